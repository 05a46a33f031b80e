package client

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"sluice/store"
)

// Tenant is a tenant as the API shows it: the store's fields, its name, and what it has.
type Tenant struct {
	Name string `json:"name"`
	store.Tenant
	Transit     netip.Addr     `json:"transit,omitzero"`      // its own address towards its gateway's kernel; none while it has none
	GatewayHost string         `json:"gatewayHost,omitempty"` // through which its egress leaves now
	Relay       store.Relay    `json:"relay,omitempty" enum:"ready,on" doc:"on: frames between its hosts go by its gateway host; ready: they are about to, or do not any more"`
	Networks    []string       `json:"networks"`
	Ports       int            `json:"ports"`
	Ends        *time.Time     `json:"ends,omitempty" doc:"when it is removed with its networks, if it gets no port until then"`
	Created     store.Revision `json:"created"`
	Modified    store.Revision `json:"modified" doc:"at which it was written last"`
	// Usage is told of one tenant that is shown, and not in lists.
	Usage *TenantUsage `json:"usage,omitempty" doc:"what it uses of its limits and what they refused, half a minute old at most where much changed; not in lists"`
}

// TenantUsage is what a tenant uses of its limits, and what they refused.
type TenantUsage struct {
	store.Used
	ConnectionDrops uint64 `json:"connectionDrops,omitempty" doc:"packets that would have opened a connection, and that a switch refused by the limit of connections"`
	RateDrops       uint64 `json:"rateDrops,omitempty" doc:"packets that a switch dropped by the limits of kilobits a second, of the tenant and of its ports"`
	BroadcastDrops  uint64 `json:"broadcastDrops,omitempty" doc:"broadcast and multicast frames that a switch dropped by the limit of broadcasts"`
	HostsNotRead    int    `json:"hostsNotRead,omitempty" doc:"hosts whose drops are not in these sums: other controllers program them, and they could not be read or are too many"`
}

// TenantSpec is what a client says to create a tenant.
type TenantSpec struct {
	Name         string       `json:"name" doc:"a DNS label" example:"alice"`
	Gateway      string       `json:"gateway,omitempty" doc:"auto (the default), central, or a host"`
	Segmentation string       `json:"segmentation,omitempty" doc:"tunnel (the default) or vlan, of the network default"`
	Subnets      []string     `json:"subnets,omitempty" doc:"of the network default; none: 10.0.0.0/24" example:"[\"10.0.0.0/24\"]"`
	Exclude      []string     `json:"exclude,omitempty" doc:"ranges of the network default that ports get only by asking for them" example:"[\"10.0.0.2-10.0.0.20\"]"`
	Hosts        []string     `json:"hosts,omitempty" doc:"hosts allowed; none: all"`
	Limits       store.Limits `json:"limits,omitzero"`
	Labels       store.Labels `json:"labels,omitempty"`
	Topology     string       `json:"topology,omitempty" doc:"direct (the default): frames between its hosts go from host to host; star: by its gateway host"`
	TTL          string       `json:"ttl,omitempty" doc:"time without ports after which it is removed with its networks; none: never" example:"2h"`
}

// Topology is which way frames between a tenant's hosts go.
type Topology struct {
	Topology string `json:"topology" enum:"direct,star" doc:"direct: from host to host; star: by its gateway host"`
}

// SomeTenants lists a part of the tenants, sorted by name.
func (c *Client) SomeTenants(ctx context.Context, in PageQuery) (Part[Tenant], error) {
	return getPart[Tenant](ctx, c, "/v1/tenants", in.query())
}

// Tenants lists all tenants, sorted by name.
func (c *Client) Tenants(ctx context.Context) ([]Tenant, error) {
	return getAll[Tenant](ctx, c, "/v1/tenants", nil)
}

// Tenant shows one tenant.
func (c *Client) Tenant(ctx context.Context, name string) (Tenant, error) {
	return get[Tenant](ctx, c, path("tenants", name), nil)
}

// CreateTenant makes a tenant and its network "default".
func (c *Client) CreateTenant(ctx context.Context, spec TenantSpec) (Tenant, error) {
	return do[Tenant](ctx, c, http.MethodPost, "/v1/tenants", spec)
}

// SetLimits gives a tenant other limits.
func (c *Client) SetLimits(ctx context.Context, name string, l store.Limits) (Tenant, error) {
	return do[Tenant](ctx, c, http.MethodPut, path("tenants", name, "limits"), l)
}

// SetTopology lets frames between a tenant's hosts go another way.
func (c *Client) SetTopology(ctx context.Context, name string, t store.Topology) (Tenant, error) {
	return do[Tenant](ctx, c, http.MethodPut, path("tenants", name, "topology"), Topology{Topology: string(t)})
}

// DeleteTenant removes a tenant that has no ports.
func (c *Client) DeleteTenant(ctx context.Context, name string) (Deleted, error) {
	return do[Deleted](ctx, c, http.MethodDelete, path("tenants", name), nil)
}
