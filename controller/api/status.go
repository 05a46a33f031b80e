package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/store"
)

func (s *server) status(a huma.API) {
	huma.Register(a, operation("show-status", http.MethodGet, "/v1/status", "status", "Show the cluster at a glance"), s.showStatus)
}

func (s *server) showStatus(context.Context, *struct{}) (*body[Status], error) {
	st := s.clusterStatus()
	return &body[Status]{st}, nil
}

func (s *server) clusterStatus() Status {
	st := Status{
		HostStates: map[string]int{}, Hosts: s.Controller.Hosts(), Controllers: []ControllerStatus{},
		Unknown: s.Controller.Unknown(), Problems: s.Controller.Problems(),
	}
	if st.Unknown == nil {
		st.Unknown = []store.DatapathID{}
	}
	if st.Problems == nil {
		st.Problems = store.Problems{}
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
				Answers: c.Key.Name == s.Name,
			})
		}
	})
	return st
}
