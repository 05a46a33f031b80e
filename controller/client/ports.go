package client

import (
	"context"
	"maps"
	"net/http"

	"sluice/store"
)

// Port is a container's attachment.
type Port struct {
	Tenant  string `json:"tenant"`
	Network string `json:"network"`
	Name    string `json:"name"`
	Host    string `json:"host"`
	store.Port
	Created  store.Revision `json:"created"`
	Modified store.Revision `json:"modified" doc:"at which it was written last"`
}

// PortMove says where a port goes.
type PortMove struct {
	Host string `json:"host" doc:"a host where its container is attached next, under its name" example:"h2"`
}

// PortFilter chooses ports; an empty field chooses all.
type PortFilter struct{ Tenant, Network, Host string }

// Ports lists ports, sorted by tenant, network, host and name.
func (c *Client) Ports(ctx context.Context, f PortFilter) ([]Port, error) {
	return getAll[Port](ctx, c, "/v1/ports", query("tenant", f.Tenant, "network", f.Network, "host", f.Host))
}

// SomePorts lists a part of them.
func (c *Client) SomePorts(ctx context.Context, f PortFilter, in PageQuery) (Part[Port], error) {
	q := in.query()
	maps.Copy(q, query("tenant", f.Tenant, "network", f.Network, "host", f.Host))
	return getPart[Port](ctx, c, "/v1/ports", q)
}

// Port shows one port.
func (c *Client) Port(ctx context.Context, tenant, network, name string) (Port, error) {
	return get[Port](ctx, c, path("ports", tenant, network, name), nil)
}

// MovePort takes a port to another host, where its container is attached next.
func (c *Client) MovePort(ctx context.Context, tenant, network, name, host string) (Port, error) {
	return do[Port](ctx, c, http.MethodPost, path("ports", tenant, network, name, "move"), PortMove{host})
}

// SetPortLimits says which limits a port has of its own, in place of what its runtime asked and of what was said before.
func (c *Client) SetPortLimits(ctx context.Context, tenant, network, name string, set store.PortLimitsSet) (Port, error) {
	return do[Port](ctx, c, http.MethodPut, path("ports", tenant, network, name, "limits"), set)
}
