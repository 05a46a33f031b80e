package client

import (
	"context"
	"net/http"

	"sluice/store"
)

// Gateway says through which host a tenant's egress leaves, and by which policy.
type Gateway struct {
	Tenant string `json:"tenant"`
	Policy string `json:"policy"` // auto, central, or a host
	store.Gateway
	Modified store.Revision `json:"modified,omitempty" doc:"at which it was written last; none: it has no gateway host yet"`
}

// GatewayMove is what a client says to move a tenant's gateway.
type GatewayMove struct {
	Host    string `json:"host" doc:"the host to which it goes" example:"h2"`
	Timeout *int   `json:"timeout,omitempty" minimum:"0" maximum:"604800" doc:"seconds that connections may go on through the host before; none: 3600" example:"3600"`
	Balance string `json:"balance,omitempty" maxLength:"200" doc:"why, where it moves so that gateway hosts carry alike; it counts against the moves an hour" example:"h1 carries 1.4 times its share"`
}

// GatewayPolicy is what a client says to change a tenant's gateway policy.
type GatewayPolicy struct {
	Policy string `json:"policy" doc:"auto, central or a host" example:"auto"`
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
