package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

func (s *server) gateways(a huma.API) {
	huma.Register(a, conditional(operation("show-gateway", http.MethodGet, "/v1/gateways/{tenant}", "gateways", "Show through which host a tenant's egress leaves", access.Read)), s.showGateway)
	huma.Register(a, conditional(operation("move-gateway", http.MethodPut, "/v1/gateways/{tenant}/move", "gateways", "Move a tenant's gateway to another host, without loss", access.Rule)), s.moveGateway)
	huma.Register(a, conditional(operation("set-gateway-policy", http.MethodPut, "/v1/tenants/{tenant}/gateway", "gateways", "Give a tenant another gateway policy; the ETag is the tenant's", access.Rule)), s.setGatewayPolicy)
	huma.Register(a, conditional(operation("show-central-gateway", http.MethodGet, "/v1/central-gateway", "gateways", "Show by which host all tenants leave whose policy is central", access.Look)), s.showCentral)
	huma.Register(a, conditional(operation("set-central-gateway", http.MethodPut, "/v1/gateways", "gateways", "Have all tenants whose policy is central leave by another host; the ETag is show-central-gateway's", access.Rule)), s.setCentral)
	huma.Register(a, conditional(operation("show-fail-over", http.MethodGet, "/v1/fail-over", "gateways", "Show whether gateways fail over", access.Look)), s.showFailOver)
	huma.Register(a, conditional(operation("set-fail-over", http.MethodPut, "/v1/fail-over", "gateways", "Have gateways fail over, or not", access.Rule)), s.setFailOver)
	huma.Register(a, conditional(operation("show-floating", http.MethodGet, "/v1/floating", "gateways", "Show which addresses may float, and which do", access.Look)), s.showFloating)
	huma.Register(a, conditional(operation("set-floating", http.MethodPut, "/v1/floating", "gateways", "Say which addresses may float", access.Rule)), s.setFloating)
	huma.Register(a, conditional(operation("show-balance", http.MethodGet, "/v1/balance", "gateways", "Show what gateway hosts carry, and the moves that would have them carry alike", access.Look)), s.showBalance)
	huma.Register(a, conditional(operation("set-balance", http.MethodPut, "/v1/balance", "gateways", "Say whether and how the leader moves gateways so that hosts carry alike", access.Rule)), s.setBalance)
	huma.Register(a, conditional(operation("show-drain", http.MethodGet, "/v1/hosts/{host}/drain", "gateways", "Show how far a gateway host is drained", access.Look)), s.showDrain)
	huma.Register(a, conditional(operation("drain-host", http.MethodPut, "/v1/hosts/{host}/drain", "gateways", "Move all gateways away from a host, and send it no others", access.Rule)), s.drainHost)
	huma.Register(a, conditional(operation("undrain-host", http.MethodDelete, "/v1/hosts/{host}/drain", "gateways", "Let a gateway host take tenants again", access.Rule)), s.undrainHost)
	huma.Register(a, operation("list-gateways", http.MethodGet, "/v1/gateways", "gateways", "List through which host each tenant's egress leaves", access.Read), s.listGateways)
}

// listGateways shows every tenant: one without a gateway host is what an operator looks for.
func (s *server) listGateways(ctx context.Context, in *client.PageQuery) (*page[client.Gateway], error) {
	return listing(s, store.KindTenant, *in, tenantKeys(ctx), func(state *store.State, key store.Key) (client.Gateway, bool) {
		return gatewayOf(state, key.Tenant)
	})
}

// gatewayOf is what the API shows of a tenant's gateway.
func gatewayOf(state *store.State, tenant string) (client.Gateway, bool) {
	t := state.Tenant(tenant)
	if t == nil {
		return client.Gateway{}, false
	}
	g := client.Gateway{Tenant: tenant, Policy: t.Value.Gateway}
	if placed := state.Gateway(tenant); placed != nil {
		g.Gateway, g.Modified = *placed.Value, placed.Modified
	}
	return g, true
}

func (s *server) showGateway(ctx context.Context, in *tenantPath) (*tagged[client.Gateway], error) {
	return s.gateway(ctx, in.Tenant)
}

func (s *server) gateway(ctx context.Context, tenant string) (*tagged[client.Gateway], error) {
	var shown client.Gateway
	var found bool
	s.Controller.View(func(state *store.State) { shown, found = gatewayOf(state, tenant) })
	if !found {
		return nil, absent("tenant", tenant, "tenant list")
	}
	return show(ctx, shown.Modified, shown)
}

// seconds is a time-out as a client said it.
func seconds(said *int) int {
	if said == nil {
		return int(store.DefaultDrainTimeout / time.Second)
	}
	return *said
}

func (s *server) moveGateway(ctx context.Context, in *struct {
	Tenant string `path:"tenant" example:"alice"`
	Body   client.GatewayMove
}) (*tagged[client.Gateway], error) {
	spec := store.MoveSpec{Tenant: in.Tenant, Host: in.Body.Host, Timeout: seconds(in.Body.Timeout), Balance: in.Body.Balance, Now: time.Now()}
	return s.askOfGateway(ctx, in.Tenant, store.GatewayKey(in.Tenant), spec)
}

func (s *server) setGatewayPolicy(ctx context.Context, in *struct {
	Tenant string `path:"tenant" example:"alice"`
	Body   client.GatewayPolicy
}) (*tagged[client.Gateway], error) {
	shown, err := s.askOfGateway(ctx, in.Tenant, store.TenantKey(in.Tenant), store.PolicySpec{Tenant: in.Tenant, Policy: in.Body.Policy})
	if err != nil {
		return nil, err
	}
	tenant, err := s.tenant(in.Tenant)
	if err != nil {
		return nil, err
	}
	return show(ctx, tenant.Modified, shown.Body)
}

// gatewaySpec is a request about one tenant's gateway.
type gatewaySpec interface {
	Validate() error
	Needs() []string
	Propose(*store.State) (store.Proposal, error)
}

// askOfGateway writes a request about the object of a key, and shows the gateway as it is then.
func (s *server) askOfGateway(ctx context.Context, tenant string, key store.Key, spec gatewaySpec) (*tagged[client.Gateway], error) {
	if err := spec.Validate(); err != nil { // before a name becomes a key
		return nil, s.refuse(err)
	}
	rev, err := s.write(ctx, "tenant "+tenant, func(ctx context.Context) (store.Revision, error) {
		return s.Store.Decide(ctx, store.Presuming(spec.Propose, match(ctx, key)...), spec.Needs()...)
	})
	if err != nil {
		return nil, err
	}
	shown, err := s.gateway(ctx, tenant)
	return shown, unseen(err, "tenant", tenant, rev)
}
