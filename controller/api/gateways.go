package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/store"
)

// Gateway says through which host a tenant's egress leaves, and by which policy.
type Gateway struct {
	Tenant string `json:"tenant"`
	Policy string `json:"policy"` // auto, central, or a host
	store.Gateway
	Modified store.Revision `json:"modified,omitempty" doc:"at which it was written last; none: it has no gateway host yet"`
}

func (s *server) gateways(a huma.API) {
	huma.Register(a, conditional(operation("show-gateway", http.MethodGet, "/v1/gateways/{tenant}", "gateways", "Show through which host a tenant's egress leaves", access.Read)), s.showGateway)
	huma.Register(a, conditional(operation("move-gateway", http.MethodPut, "/v1/gateways/{tenant}/move", "gateways", "Move a tenant's gateway to another host, without loss", access.Rule)), s.moveGateway)
	huma.Register(a, operation("set-gateway-policy", http.MethodPut, "/v1/tenants/{tenant}/gateway", "gateways", "Give a tenant another gateway policy", access.Rule), s.setGatewayPolicy)
	huma.Register(a, operation("set-central-gateway", http.MethodPut, "/v1/gateways", "gateways", "Have all tenants whose policy is central leave by another host", access.Rule), s.setCentral)
	huma.Register(a, operation("show-fail-over", http.MethodGet, "/v1/fail-over", "gateways", "Show whether gateways fail over", access.Look), s.showFailOver)
	huma.Register(a, operation("set-fail-over", http.MethodPut, "/v1/fail-over", "gateways", "Have gateways fail over, or not", access.Rule), s.setFailOver)
	huma.Register(a, operation("show-balance", http.MethodGet, "/v1/balance", "gateways", "Show what gateway hosts carry, and the moves that would have them carry alike", access.Look), s.showBalance)
	huma.Register(a, operation("set-balance", http.MethodPut, "/v1/balance", "gateways", "Say whether and how the leader moves gateways so that hosts carry alike", access.Rule), s.setBalance)
	huma.Register(a, operation("show-drain", http.MethodGet, "/v1/hosts/{host}/drain", "gateways", "Show how far a gateway host is drained", access.Look), s.showDrain)
	huma.Register(a, operation("drain-host", http.MethodPut, "/v1/hosts/{host}/drain", "gateways", "Move all gateways away from a host, and send it no others", access.Rule), s.drainHost)
	huma.Register(a, operation("undrain-host", http.MethodDelete, "/v1/hosts/{host}/drain", "gateways", "Let a gateway host take tenants again", access.Rule), s.undrainHost)
	huma.Register(a, operation("list-gateways", http.MethodGet, "/v1/gateways", "gateways", "List through which host each tenant's egress leaves", access.Read), s.listGateways)
}

// listGateways shows every tenant: one without a gateway host is what an operator looks for.
func (s *server) listGateways(ctx context.Context, in *PageQuery) (*page[Gateway], error) {
	return listing(s, store.KindTenant, *in, tenantKeys(ctx), func(state *store.State, key store.Key) (Gateway, bool) {
		return gatewayOf(state, key.Tenant)
	})
}

// gatewayOf is what the API shows of a tenant's gateway.
func gatewayOf(state *store.State, tenant string) (Gateway, bool) {
	t := state.Tenant(tenant)
	if t == nil {
		return Gateway{}, false
	}
	g := Gateway{Tenant: tenant, Policy: t.Value.Gateway}
	if placed := state.Gateway(tenant); placed != nil {
		g.Gateway, g.Modified = *placed.Value, placed.Modified
	}
	return g, true
}

func (s *server) showGateway(ctx context.Context, in *tenantPath) (*tagged[Gateway], error) {
	return s.gateway(ctx, in.Tenant)
}

func (s *server) gateway(ctx context.Context, tenant string) (*tagged[Gateway], error) {
	var shown Gateway
	var found bool
	s.Controller.View(func(state *store.State) { shown, found = gatewayOf(state, tenant) })
	if !found {
		return nil, absent("tenant", tenant, "tenant list")
	}
	return show(ctx, shown.Modified, shown)
}

// GatewayMove is what a client says to move a tenant's gateway.
type GatewayMove struct {
	Host    string `json:"host" doc:"the host to which it goes" example:"h2"`
	Timeout *int   `json:"timeout,omitempty" minimum:"0" maximum:"604800" doc:"seconds that connections may go on through the host before; none: 3600" example:"3600"`
	Balance string `json:"balance,omitempty" maxLength:"200" doc:"why, where it moves so that gateway hosts carry alike; it counts against the moves an hour" example:"h1 carries 1.4 times its share"`
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
	Body   GatewayMove
}) (*tagged[Gateway], error) {
	spec := store.MoveSpec{Tenant: in.Tenant, Host: in.Body.Host, Timeout: seconds(in.Body.Timeout), Balance: in.Body.Balance, Now: time.Now()}
	return s.askOfGateway(ctx, in.Tenant, spec)
}

// GatewayPolicy is what a client says to change a tenant's gateway policy.
type GatewayPolicy struct {
	Policy string `json:"policy" doc:"auto, central or a host" example:"auto"`
}

func (s *server) setGatewayPolicy(ctx context.Context, in *struct {
	Tenant string `path:"tenant" example:"alice"`
	Body   GatewayPolicy
}) (*tagged[Gateway], error) {
	return s.askOfGateway(ctx, in.Tenant, store.PolicySpec{Tenant: in.Tenant, Policy: in.Body.Policy})
}

// gatewaySpec is a request about one tenant's gateway.
type gatewaySpec interface {
	Validate() error
	Needs() []string
	Propose(*store.State) (store.Proposal, error)
}

// askOfGateway writes a request, and shows the gateway as it is then.
func (s *server) askOfGateway(ctx context.Context, tenant string, spec gatewaySpec) (*tagged[Gateway], error) {
	if err := spec.Validate(); err != nil { // before a name becomes a key
		return nil, s.refuse(err)
	}
	rev, err := s.write(ctx, "tenant "+tenant, func(ctx context.Context) (store.Revision, error) {
		return s.Store.Decide(ctx, store.Presuming(spec.Propose, match(ctx, store.GatewayKey(tenant))...), spec.Needs()...)
	})
	if err != nil {
		return nil, err
	}
	shown, err := s.gateway(ctx, tenant)
	return shown, unseen(err, "tenant", tenant, rev)
}

// SomeGateways lists a part of them, sorted by tenant.
func (c *Client) SomeGateways(ctx context.Context, in PageQuery) (Part[Gateway], error) {
	return getPart[Gateway](ctx, c, "/v1/gateways", in.query())
}

// Gateways lists through which host each tenant's egress leaves.
func (c *Client) Gateways(ctx context.Context) ([]Gateway, error) {
	return getAll[Gateway](ctx, c, "/v1/gateways", nil)
}

// Gateway shows through which host a tenant's egress leaves.
func (c *Client) Gateway(ctx context.Context, tenant string) (Gateway, error) {
	return get[Gateway](ctx, c, path("gateways", tenant), nil)
}

// MoveGateway moves a tenant's gateway to another host. It returns once that is asked for: Gateway shows how far it is.
func (c *Client) MoveGateway(ctx context.Context, tenant string, move GatewayMove) (Gateway, error) {
	return do[Gateway](ctx, c, http.MethodPut, path("gateways", tenant, "move"), move)
}

// SetGatewayPolicy gives a tenant another gateway policy: auto, central or a host.
func (c *Client) SetGatewayPolicy(ctx context.Context, tenant, policy string) (Gateway, error) {
	return do[Gateway](ctx, c, http.MethodPut, path("tenants", tenant, "gateway"), GatewayPolicy{policy})
}
