package client

import (
	"context"
	"net/http"

	"sluice/store"
)

// Network is a network of a tenant.
type Network struct {
	Tenant string `json:"tenant"`
	Name   string `json:"name"`
	store.Network
	Hosts    []string       `json:"hosts"` // where it is present
	Ports    int            `json:"ports"`
	Created  store.Revision `json:"created"`
	Modified store.Revision `json:"modified" doc:"at which it was written last"`
	// Addresses is told of one network that is shown, and not in lists.
	Addresses []store.SubnetUse `json:"addresses,omitempty" doc:"what is left of each subnet; not in lists"`
}

// NetworkSpec is what a client says to create a network.
type NetworkSpec struct {
	Tenant       string   `json:"tenant" example:"alice"`
	Name         string   `json:"name" doc:"a DNS label" example:"db"`
	Segmentation string   `json:"segmentation,omitempty" doc:"tunnel (the default) or vlan"`
	Subnets      []string `json:"subnets" example:"[\"10.0.1.0/24\"]"`
	Gateways     []string `json:"gateways,omitempty" doc:"the router's address in each subnet; none: the first usable"`
	MTU          int      `json:"mtu,omitempty" doc:"bytes; 0: derived from the underlay"`
	Flood        string   `json:"flood,omitempty" doc:"auto (the default), on or off"`
	Exclude      []string `json:"exclude,omitempty" doc:"ranges of addresses that ports get only by asking for them" example:"[\"10.0.1.2-10.0.1.20\"]"`
}

// Networks lists the networks of a tenant, or of all.
func (c *Client) Networks(ctx context.Context, tenant string) ([]Network, error) {
	return getAll[Network](ctx, c, "/v1/networks", query("tenant", tenant))
}

// Network shows one network.
func (c *Client) Network(ctx context.Context, tenant, name string) (Network, error) {
	return get[Network](ctx, c, path("networks", tenant, name), nil)
}

// CreateNetwork makes one more network of a tenant.
func (c *Client) CreateNetwork(ctx context.Context, spec NetworkSpec) (Network, error) {
	return do[Network](ctx, c, http.MethodPost, "/v1/networks", spec)
}

// DeleteNetwork removes a network that has no ports.
func (c *Client) DeleteNetwork(ctx context.Context, tenant, name string) (Deleted, error) {
	return do[Deleted](ctx, c, http.MethodDelete, path("networks", tenant, name), nil)
}
