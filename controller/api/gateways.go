package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/store"
)

// Gateway says through which host a tenant's egress leaves, and by which policy.
type Gateway struct {
	Tenant string `json:"tenant"`
	Policy string `json:"policy"` // auto, central, or a host
	store.Gateway
}

func (s *server) gateways(a huma.API) {
	huma.Register(a, operation("list-gateways", http.MethodGet, "/v1/gateways", "gateways", "List through which host each tenant's egress leaves", access.Read), s.listGateways)
}

// listGateways shows every tenant: one without a gateway host is what an operator looks for.
func (s *server) listGateways(ctx context.Context, in *PageQuery) (*page[Gateway], error) {
	return listing(s, store.KindTenant, *in, tenantKeys(ctx), func(state *store.State, key store.Key) (Gateway, bool) {
		t := state.Tenant(key.Tenant)
		if t == nil {
			return Gateway{}, false
		}
		g := Gateway{Tenant: key.Tenant, Policy: t.Value.Gateway}
		if placed := state.Gateway(key.Tenant); placed != nil {
			g.Gateway = *placed.Value
		}
		return g, true
	})
}

// Gateways lists through which host each tenant's egress leaves.
func (c *Client) Gateways(ctx context.Context) ([]Gateway, error) {
	return getAll[Gateway](ctx, c, "/v1/gateways", nil)
}
