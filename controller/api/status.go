package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

// showStatus is the operation that answers also before there is a state.
const showStatus = "show-status"

func (s *server) status(a huma.API) {
	huma.Register(a, operation(showStatus, http.MethodGet, "/v1/status", "status", "Show the cluster at a glance", access.Look), s.showStatus)
}

func (s *server) showStatus(ctx context.Context, _ *struct{}) (*body[client.Status], error) {
	return &body[client.Status]{s.clusterStatus(ctx)}, nil
}

// clusterStatus answers also while etcd is away, and then says so.
func (s *server) clusterStatus(ctx context.Context) client.Status {
	reports, err := s.reports(ctx)
	st := client.Status{
		HostStates: map[string]int{}, Hosts: append([]client.HostStatus{}, s.standing(reports)...),
		Requests: map[string]store.Request{},
		Program:  s.program(), UnknownKinds: s.Store.UnknownKinds(),
		Controllers: []client.ControllerStatus{}, Problems: s.problems(reports),
	}
	s.addUnknown(&st, reports)
	if err != nil && !errors.Is(err, store.ErrHeld) {
		text := fmt.Sprintf("it does not answer, so no change is taken and other controllers' hosts are not shown; the switches keep their flows: %v", err)
		st.Problems = append(st.Problems, store.Problem{Object: "etcd", Text: text})
	}
	st.Store, st.Problems = s.served(st.Problems)
	s.addRequests(ctx, &st)
	if err == nil {
		st.Problems = append(st.Problems, damped(s.Controller.Damped(ctx))...)
	}
	for _, h := range st.Hosts {
		st.HostStates[string(h.State)]++
	}
	s.Controller.View(func(state *store.State) {
		st.Revision = state.Revision()
		st.Tenants, st.Networks, _, st.Ports = state.Counts()
		st.LeastSchema = state.LeastSchema()
		st.Notes = notes(state)
		st.Problems = append(st.Problems, tooOld(state)...)
		st.Problems = append(st.Problems, trunkless(state)...)
		st.Problems = append(st.Problems, deaf(st.Problems, state)...)
		for c := range state.LiveControllers() {
			st.Controllers = append(st.Controllers, client.ControllerStatus{
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

// damped tells of gateway hosts that come and go, by hosts that do not send there for a while.
func damped(by map[string][]string) (list store.Problems) {
	for _, gateway := range slices.Sorted(maps.Keys(by)) {
		hosts := by[gateway]
		shown := strings.Join(hosts[:min(len(hosts), dampedShown)], ", ")
		if more := len(hosts) - dampedShown; more > 0 {
			shown += fmt.Sprintf(" and %d more", more)
		}
		list = append(list, store.ProblemOf(store.HostKey(gateway),
			"it comes and goes by the probes of %s: these send to backups in its place for a while, 2 minutes at most after it last went: look at its link and its switch", shown))
	}
	return list
}

// dampedShown bounds the hosts that are named.
const dampedShown = 5

// trunkless are the hosts whose trunk is not what their operators want.
func trunkless(state *store.State) (list store.Problems) {
	for h := range state.Hosts() {
		if why := h.Value.NoTrunk; why != "" {
			list = append(list, store.ProblemOf(h.Key, "its VLAN networks go by tunnels: %s", why))
		}
	}
	return list
}

// addRequests adds what hosts' agents wait for a word about. They ask in the etcd at hand, also while
// this controller holds.
func (s *server) addRequests(ctx context.Context, st *client.Status) {
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
func (s *server) served(problems store.Problems) (client.StoreStatus, store.Problems) {
	serving := s.Controller.Serving()
	status := client.StoreStatus{ID: serving.Memory.Store, Held: serving.Held(), Why: serving.Why}
	if !status.Held {
		return status, problems
	}
	text := "this controller holds: it reads nothing from this etcd, writes nothing to it, and the switches keep their flows: " + serving.Why + ": " + serving.Help
	return status, append(store.Problems{{Object: "store", Text: text}}, problems...)
}

// addUnknown adds the switches that dialled in anywhere and belong to no host.
func (s *server) addUnknown(st *client.Status, r reports) {
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
