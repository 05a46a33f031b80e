package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/store"
)

func (s *server) gateways(a huma.API) {
	huma.Register(a, operation("list-gateways", http.MethodGet, "/v1/gateways", "gateways", "List through which host each tenant's egress leaves"), s.listGateways)
}

// listGateways shows every tenant: one without a gateway host is what an operator looks for.
func (s *server) listGateways(context.Context, *struct{}) (*body[[]Gateway], error) {
	list := []Gateway{}
	s.Controller.View(func(state *store.State) {
		for t := range state.Tenants() {
			g := Gateway{Tenant: t.Key.Tenant, Policy: t.Value.Gateway}
			if placed := state.Gateway(t.Key.Tenant); placed != nil {
				g.Gateway = *placed.Value
			}
			list = append(list, g)
		}
	})
	return &body[[]Gateway]{list}, nil
}
