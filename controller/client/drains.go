package client

import (
	"context"
	"net/http"

	"sluice/store"
)

// CentralGateway says by which host the tenants leave whose policy is central.
type CentralGateway struct {
	Central string `json:"central" doc:"the host by which they leave; empty: none was chosen yet" example:"h1"`

	Modified store.Revision `json:"modified,omitempty" readOnly:"true" doc:"at which the cluster's settings were written last"`
}

// HostDrain is how far a gateway host is drained.
type HostDrain struct {
	Host    string `json:"host"`
	Drained bool   `json:"drained"` // it is to have no tenants
	store.Drain
	Active   int    `json:"active" doc:"tenants that leave by it, those that are on their way included"`
	Moving   int    `json:"moving" doc:"those of them that are on their way to another host"`
	Draining int    `json:"draining" doc:"tenants that leave by another host, and whose earlier connections go on through it"`
	Problem  string `json:"problem,omitempty" doc:"why one of its tenants does not move"`

	Modified store.Revision `json:"modified,omitempty" doc:"at which the drain was ordered last; none: it is not drained"`
}

// DrainOrder is what a client says to drain a host.
type DrainOrder struct {
	AtOnce  int  `json:"atOnce,omitempty" minimum:"0" maximum:"100" doc:"how many gateways move at one time; none: 8" example:"8"`
	Timeout *int `json:"timeout,omitempty" minimum:"0" maximum:"604800" doc:"seconds that connections may go on through the host; none: 3600" example:"3600"`
}

// CentralGateway tells by which host the tenants leave whose policy is central.
func (c *Client) CentralGateway(ctx context.Context) (CentralGateway, error) {
	return get[CentralGateway](ctx, c, "/v1/central-gateway", nil)
}

// SetCentralGateway has all tenants whose policy is central leave by a host.
func (c *Client) SetCentralGateway(ctx context.Context, host string) error {
	_, err := do[CentralGateway](ctx, c, http.MethodPut, "/v1/gateways", CentralGateway{Central: host})
	return err
}

// Drain shows how far a host is drained.
func (c *Client) Drain(ctx context.Context, host string) (HostDrain, error) {
	return get[HostDrain](ctx, c, path("hosts", host, "drain"), nil)
}

// DrainHost moves all gateways away from a host, and sends it no others. It returns once that is asked for.
func (c *Client) DrainHost(ctx context.Context, host string, order DrainOrder) (HostDrain, error) {
	return do[HostDrain](ctx, c, http.MethodPut, path("hosts", host, "drain"), order)
}

// UndrainHost lets a host take tenants again.
func (c *Client) UndrainHost(ctx context.Context, host string) error {
	_, err := do[Deleted](ctx, c, http.MethodDelete, path("hosts", host, "drain"), nil)
	return err
}
