package api

import (
	"context"
	"fmt"
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
	Revision    store.Revision     `json:"revision"`
	Tenants     int                `json:"tenants"`
	Networks    int                `json:"networks"`
	Ports       int                `json:"ports"`
	HostStates  map[string]int     `json:"hostStates"` // how many hosts are in each state
	Hosts       []HostStatus       `json:"hosts"`
	Controllers []ControllerStatus `json:"controllers"`
	Unknown     []store.DatapathID `json:"unknown"` // switches that dialled in and belong to no host
	Problems    store.Problems     `json:"problems"`
}

// ControllerStatus is one live controller.
type ControllerStatus struct {
	Name     string    `json:"name"`
	OpenFlow string    `json:"openflow"` // where switches dial in
	API      string    `json:"api"`
	Since    time.Time `json:"since"`
	Answers  bool      `json:"answers"` // it is the one that gave this status
}

func (s *server) status(a huma.API) {
	huma.Register(a, operation("show-status", http.MethodGet, "/v1/status", "status", "Show the cluster at a glance", access.Look), s.showStatus)
}

func (s *server) showStatus(ctx context.Context, _ *struct{}) (*body[Status], error) {
	return &body[Status]{s.clusterStatus(ctx)}, nil
}

// clusterStatus answers also while etcd is away, and then says so.
func (s *server) clusterStatus(ctx context.Context) Status {
	reports, err := s.reports(ctx)
	st := Status{
		HostStates: map[string]int{}, Hosts: append([]HostStatus{}, s.standing(reports)...),
		Controllers: []ControllerStatus{}, Unknown: s.unknown(reports), Problems: s.problems(reports),
	}
	if err != nil {
		text := fmt.Sprintf("it does not answer, so no change is taken and other controllers' hosts are not shown; the switches keep their flows: %v", err)
		st.Problems = append(st.Problems, store.Problem{Object: "etcd", Text: text})
	}
	for _, h := range st.Hosts {
		st.HostStates[string(h.State)]++
	}
	s.Controller.View(func(state *store.State) {
		st.Revision = state.Revision()
		st.Tenants, st.Networks, _, st.Ports = state.Counts()
		for c := range state.LiveControllers() {
			st.Controllers = append(st.Controllers, ControllerStatus{
				Name: c.Key.Name, OpenFlow: c.Value.OpenFlow, API: c.Value.API, Since: c.Value.Since,
				Answers: c.Key.Name == s.Controller.Name(),
			})
		}
	})
	return st
}

// unknown are the switches that dialled in anywhere and belong to no host.
func (s *server) unknown(r reports) []store.DatapathID {
	list := append([]store.DatapathID{}, s.Controller.Unknown()...)
	for _, other := range r.controllers {
		list = append(list, other.Unknown...)
	}
	slices.Sort(list)
	return slices.Compact(list)
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
