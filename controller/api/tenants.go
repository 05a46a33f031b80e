package api

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/usage"
	"sluice/store"
)

// tenantStore writes tenants.
type tenantStore interface {
	CreateTenant(ctx context.Context, s store.TenantSpec) (store.Revision, error)
	DeleteTenant(ctx context.Context, name string, presumed ...store.Presumption) (store.Revision, error)
	Decide(ctx context.Context, request func(*store.State) (store.Proposal, error), needs ...string) (store.Revision, error)
}

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
type TenantUsage usage.Tenant

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

// tenantPath is the tenant that a route names.
type tenantPath struct {
	Tenant string `path:"tenant" example:"alice"`
}

func (s *server) tenants(a huma.API) {
	huma.Register(a, operation("list-tenants", http.MethodGet, "/v1/tenants", "tenants", "List tenants", access.Read), s.listTenants)
	huma.Register(a, operation("create-tenant", http.MethodPost, "/v1/tenants", "tenants", "Create a tenant and its network default", access.Rule), s.createTenant)
	huma.Register(a, conditional(operation("show-tenant", http.MethodGet, "/v1/tenants/{tenant}", "tenants", "Show a tenant", access.Read)), s.showTenant)
	huma.Register(a, conditional(operation("set-tenant-limits", http.MethodPut, "/v1/tenants/{tenant}/limits", "tenants", "Give a tenant other limits", access.Rule)), s.setLimits)
	huma.Register(a, conditional(operation("set-tenant-topology", http.MethodPut, "/v1/tenants/{tenant}/topology", "tenants", "Let frames between a tenant's hosts go another way", access.Rule)), s.setTopology)
	huma.Register(a, conditional(operation("delete-tenant", http.MethodDelete, "/v1/tenants/{tenant}", "tenants", "Delete a tenant that has no ports", access.Rule)), s.deleteTenant)
}

func (s *server) listTenants(ctx context.Context, in *PageQuery) (*page[Tenant], error) {
	return listing(s, store.KindTenant, *in, tenantKeys(ctx), func(state *store.State, key store.Key) (Tenant, bool) {
		t := state.Tenant(key.Tenant)
		if t == nil {
			return Tenant{}, false
		}
		return tenantOf(state, t), true
	})
}

// tenantKeys walks the tenants that a caller sees, by name.
func tenantKeys(ctx context.Context) keysAfter {
	caller := access.From(ctx)
	return func(state *store.State, after store.Key) iter.Seq[store.Key] {
		return func(yield func(store.Key) bool) {
			for t := range state.Tenants() {
				if t.Key.Tenant > after.Tenant && caller.Sees(t.Key.Tenant) && !yield(t.Key) {
					return
				}
			}
		}
	}
}

func (s *server) showTenant(ctx context.Context, in *tenantPath) (*tagged[Tenant], error) {
	shown, err := s.tenant(in.Tenant)
	if err != nil {
		return nil, err
	}
	used, _ := s.Controller.Usage(ctx, in.Tenant) // while etcd is away: as it was known before
	shown.Usage = (*TenantUsage)(used)
	return show(ctx, shown.Modified, shown)
}

// tenant is a tenant without what it uses.
func (s *server) tenant(name string) (shown Tenant, err error) {
	err = absent("tenant", name, "tenant list")
	s.Controller.View(func(state *store.State) {
		if t := state.Tenant(name); t != nil {
			shown, err = tenantOf(state, t), nil
		}
	})
	return shown, err
}

// tenantWritten shows a tenant that was just written.
func (s *server) tenantWritten(ctx context.Context, name string, rev store.Revision) (*tagged[Tenant], error) {
	shown, err := s.tenant(name)
	if err != nil {
		return nil, unseen(err, "tenant", name, rev)
	}
	return show(ctx, shown.Modified, shown)
}

// tenantOf is what the API shows of a tenant.
func tenantOf(state *store.State, t *store.Item[store.Tenant]) Tenant {
	name := t.Key.Tenant
	shown := Tenant{
		Name: name, Tenant: *t.Value, Networks: []string{}, Transit: transitOf(state, t), Created: t.Created, Modified: t.Modified,
	}
	if g := state.Gateway(name); g != nil {
		shown.GatewayHost, shown.Relay = g.Value.Active, g.Value.Relay
	}
	if ends := state.Ends(t); !ends.IsZero() {
		shown.Ends = &ends
	}
	for n := range state.NetworksOf(name) {
		shown.Networks = append(shown.Networks, n.Key.Network)
	}
	shown.Ports = state.TenantPorts(name)
	return shown
}

// transitOf is a tenant's transit address on its gateway host. Before it has such a host it is the one that its number stands for.
func transitOf(state *store.State, t *store.Item[store.Tenant]) (a netip.Addr) {
	slot := t.Value.Number
	if g := state.Gateway(t.Key.Tenant); g != nil {
		slot = state.Slot(g.Value.Active, t)
	}
	if slot < 1 || slot > store.MaxSlot {
		return a
	}
	return state.Transit().Address(slot)
}

func (s *server) createTenant(ctx context.Context, in *struct{ Body TenantSpec }) (*tagged[Tenant], error) {
	spec, err := tenantSpec(in.Body)
	if err != nil {
		return nil, malformed(fmt.Sprintf("tenant %s: %v", in.Body.Name, err))
	}
	rev, err := s.write(ctx, "tenant "+spec.Name, func(ctx context.Context) (store.Revision, error) { return s.Store.CreateTenant(ctx, spec) })
	if err != nil {
		return nil, err
	}
	return s.tenantWritten(ctx, spec.Name, rev)
}

// tenantSpec reads the texts of a request.
func tenantSpec(in TenantSpec) (spec store.TenantSpec, err error) {
	spec = store.TenantSpec{
		Name: in.Name, Gateway: in.Gateway, Segmentation: store.Segmentation(in.Segmentation),
		Hosts: in.Hosts, Limits: in.Limits, Labels: in.Labels, Topology: store.Topology(in.Topology),
	}
	if spec.Subnets, err = prefixes(in.Subnets); err != nil {
		return spec, err
	}
	if spec.Exclude, err = addressRanges(in.Exclude); err != nil {
		return spec, err
	}
	if in.TTL != "" {
		if spec.TTL, err = time.ParseDuration(in.TTL); err != nil {
			return spec, fmt.Errorf("time to live %q: write it as 90m or 2h", in.TTL)
		}
	}
	return spec, nil
}

func (s *server) setLimits(ctx context.Context, in *struct {
	Tenant string `path:"tenant" example:"alice"`
	Body   store.Limits
}) (*tagged[Tenant], error) {
	spec := store.LimitsSpec{Tenant: in.Tenant, Limits: in.Body}
	return s.setTenant(ctx, in.Tenant, "limits", spec)
}

// Topology is which way frames between a tenant's hosts go.
type Topology struct {
	Topology string `json:"topology" enum:"direct,star" doc:"direct: from host to host; star: by its gateway host"`
}

func (s *server) setTopology(ctx context.Context, in *struct {
	Tenant string `path:"tenant" example:"alice"`
	Body   Topology
}) (*tagged[Tenant], error) {
	spec := store.TopologySpec{Tenant: in.Tenant, Topology: store.Topology(in.Body.Topology)}
	return s.setTenant(ctx, in.Tenant, "topology", spec)
}

// tenantChange is one thing of a tenant that a request changes.
type tenantChange interface {
	Validate() error
	Needs() []string
	Propose(state *store.State) (store.Proposal, error)
}

// setTenant changes one thing of a tenant.
func (s *server) setTenant(ctx context.Context, tenant, what string, spec tenantChange) (*tagged[Tenant], error) {
	if err := spec.Validate(); err != nil { // before its name becomes a key
		return nil, s.refuse(err)
	}
	rev, err := s.write(ctx, "tenant "+tenant, func(ctx context.Context) (store.Revision, error) {
		rev, err := s.Store.Decide(ctx, store.Presuming(spec.Propose, match(ctx, store.TenantKey(tenant))...), spec.Needs()...)
		if err != nil {
			return 0, fmt.Errorf("set the %s of tenant %s: %w", what, tenant, err)
		}
		return rev, nil
	})
	if err != nil {
		return nil, err
	}
	return s.tenantWritten(ctx, tenant, rev)
}

func (s *server) deleteTenant(ctx context.Context, in *tenantPath) (*body[Deleted], error) {
	return s.remove(ctx, "tenant "+in.Tenant, func(ctx context.Context) (store.Revision, error) {
		return s.Store.DeleteTenant(ctx, in.Tenant, match(ctx, store.TenantKey(in.Tenant))...)
	})
}

// prefixes reads subnets such as 10.0.0.0/24. What a subnet may be is the store's to say.
func prefixes(texts []string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("subnet %q: write it as ADDRESS/LENGTH, such as 10.0.0.0/24", text)
		}
		list = append(list, p)
	}
	return list, nil
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
