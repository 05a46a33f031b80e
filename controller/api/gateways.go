package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/store"
)

// Gateway says through which host a tenant's egress leaves, and by which policy.
type Gateway struct {
	Tenant string `json:"tenant"`
	Policy string `json:"policy"` // auto, central, or a host
	store.Gateway
}

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

// Gateways lists through which host each tenant's egress leaves.
func (c *Client) Gateways(ctx context.Context) ([]Gateway, error) {
	return get[[]Gateway](ctx, c, "/v1/gateways", nil)
}
