package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/host"
	"sluice/store"
)

// HostStatus is how one host stands.
type HostStatus host.Status

// Status is the whole cluster at a glance.
type Status struct {
	Store   StoreStatus   `json:"store"`
	Program store.Program `json:"program"` // the controller that gave this status
	// LeastSchema is the least schema that a program writes which may write the store.
	LeastSchema int `json:"leastSchema"`
	// UnknownKinds are how many objects of each kind there are that this controller does not know. They are kept.
	UnknownKinds map[string]int     `json:"unknownKinds,omitempty"`
	Revision     store.Revision     `json:"revision"`
	Tenants      int                `json:"tenants"`
	Networks     int                `json:"networks"`
	Ports        int                `json:"ports"`
	HostStates   map[string]int     `json:"hostStates"` // how many hosts are in each state
	Hosts        []HostStatus       `json:"hosts"`
	Controllers  []ControllerStatus `json:"controllers"`
	Unknown      []store.DatapathID `json:"unknown"` // switches that dialled in and belong to no host
	// UnknownShows says of those that showed a certificate whose it is, by datapath id.
	UnknownShows map[string]string `json:"unknownShows,omitempty"`
	// UnknownMore is how many are not listed, by every controller that they dialled.
	UnknownMore int            `json:"unknownMore,omitempty"`
	Problems    store.Problems `json:"problems"`
	// Notes are what an operator may want to know, though nothing is wrong.
	Notes []string `json:"notes,omitempty"`
	// Requests are what hosts' agents wait for a word about, by host.
	Requests map[string]store.Request `json:"requests,omitempty"`
}

// StoreStatus is which store the controller serves.
type StoreStatus struct {
	ID   string `json:"id,omitempty"` // empty: it remembers none yet
	Held bool   `json:"held"`         // etcd holds another, or one that went back: the controller touches nothing
	Why  string `json:"why,omitempty"`
}

// ControllerStatus is one live controller.
type ControllerStatus struct {
	Name     string    `json:"name"`
	OpenFlow string    `json:"openflow"` // where switches dial in
	API      string    `json:"api"`
	Since    time.Time `json:"since"`
	Answers  bool      `json:"answers"` // it is the one that gave this status
	store.Program
}

// showStatus is the operation that answers also before there is a state.
const showStatus = "show-status"

func (s *server) status(a huma.API) {
	huma.Register(a, operation(showStatus, http.MethodGet, "/v1/status", "status", "Show the cluster at a glance", access.Look), s.showStatus)
}

func (s *server) showStatus(ctx context.Context, _ *struct{}) (*body[Status], error) {
	return &body[Status]{s.clusterStatus(ctx)}, nil
}

// clusterStatus answers also while etcd is away, and then says so.
func (s *server) clusterStatus(ctx context.Context) Status {
	reports, err := s.reports(ctx)
	st := Status{
		HostStates: map[string]int{}, Hosts: append([]HostStatus{}, s.standing(reports)...),
		Requests: map[string]store.Request{},
		Program:  s.program(), UnknownKinds: s.Store.UnknownKinds(),
		Controllers: []ControllerStatus{}, Problems: s.problems(reports),
	}
	s.addUnknown(&st, reports)
	if err != nil && !errors.Is(err, store.ErrHeld) {
		text := fmt.Sprintf("it does not answer, so no change is taken and other controllers' hosts are not shown; the switches keep their flows: %v", err)
		st.Problems = append(st.Problems, store.Problem{Object: "etcd", Text: text})
	}
	st.Store, st.Problems = s.served(st.Problems)
	s.addRequests(ctx, &st)
	for _, h := range st.Hosts {
		st.HostStates[string(h.State)]++
	}
	s.Controller.View(func(state *store.State) {
		st.Revision = state.Revision()
		st.Tenants, st.Networks, _, st.Ports = state.Counts()
		st.LeastSchema = state.LeastSchema()
		st.Notes = notes(state)
		st.Problems = append(st.Problems, tooOld(state)...)
		st.Problems = append(st.Problems, deaf(st.Problems, state)...)
		for c := range state.LiveControllers() {
			st.Controllers = append(st.Controllers, ControllerStatus{
				Name: c.Key.Name, OpenFlow: c.Value.OpenFlow, API: c.Value.API, Since: c.Value.Since,
				Answers: c.Key.Name == s.Controller.Name(), Program: c.Value.Program,
			})
		}
	})
	return st
}

// notes are what an operator may want to know of a state in which nothing is wrong.
func notes(state *store.State) (list []string) {
	if tenants, _, _, _ := state.Counts(); tenants > 0 && !state.MindsBackups() {
		list = append(list, state.LacksGatewayHosts())
	}
	return slices.DeleteFunc(list, func(note string) bool { return note == "" })
}

// addRequests adds what hosts' agents wait for a word about. They ask in the etcd at hand, also while
// this controller holds.
func (s *server) addRequests(ctx context.Context, st *Status) {
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	requests, err := s.Store.Requests(ctx)
	if err != nil {
		return // that etcd is away is told already
	}
	st.Requests = requests
	for _, host := range slices.Sorted(maps.Keys(requests)) {
		r := requests[host]
		for _, line := range r.Asks(host) {
			st.Problems = append(st.Problems, store.ProblemOf(store.HostKey(host), "%s", line))
		}
	}
}

// served is which store this controller serves. That it holds is a problem before all others.
func (s *server) served(problems store.Problems) (StoreStatus, store.Problems) {
	serving := s.Controller.Serving()
	status := StoreStatus{ID: serving.Memory.Store, Held: serving.Held(), Why: serving.Why}
	if !status.Held {
		return status, problems
	}
	text := "this controller holds: it reads nothing from this etcd, writes nothing to it, and the switches keep their flows: " + serving.Why + ": " + serving.Help
	return status, append(store.Problems{{Object: "store", Text: text}}, problems...)
}

// addUnknown adds the switches that dialled in anywhere and belong to no host.
func (s *server) addUnknown(st *Status, r reports) {
	st.Unknown, st.UnknownShows = []store.DatapathID{}, map[string]string{}
	add := func(u store.UnknownSwitches) {
		st.Unknown, st.UnknownMore = append(st.Unknown, u.Unknown...), st.UnknownMore+u.UnknownMore
		for id, shows := range u.UnknownShows {
			st.UnknownShows[id.String()] = shows
		}
	}
	add(s.Controller.Unknown())
	for _, other := range r.controllers {
		add(other.UnknownSwitches)
	}
	slices.Sort(st.Unknown)
	st.Unknown = slices.Compact(st.Unknown)
}

// problems are those of every controller, and the keys that nobody can read; each once.
func (s *server) problems(r reports) store.Problems {
	list := append(store.Problems{}, s.Controller.Problems()...)
	list = append(list, s.Store.Problems()...)
	for _, other := range r.controllers {
		list = append(list, other.Problems...)
	}
	return list.Told()
}

// Status is the cluster at a glance.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "/v1/status", nil)
}
