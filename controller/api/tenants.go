package api

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/netip"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/usage"
	"sluice/store"
)

// tenantStore writes tenants.
type tenantStore interface {
	CreateTenant(ctx context.Context, s store.TenantSpec) (store.Revision, error)
	DeleteTenant(ctx context.Context, name string) (store.Revision, error)
	Decide(ctx context.Context, request func(*store.State) (store.Proposal, error), needs ...string) (store.Revision, error)
}

// Tenant is a tenant as the API shows it: the store's fields, its name, and what it has.
type Tenant struct {
	Name string `json:"name"`
	store.Tenant
	Transit     netip.Addr     `json:"transit"`               // its own address towards its gateway's kernel
	GatewayHost string         `json:"gatewayHost,omitempty"` // through which its egress leaves now
	Networks    []string       `json:"networks"`
	Ports       int            `json:"ports"`
	Created     store.Revision `json:"created"`
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
	Hosts        []string     `json:"hosts,omitempty" doc:"hosts allowed; none: all"`
	Limits       store.Limits `json:"limits,omitzero"`
	Labels       store.Labels `json:"labels,omitempty"`
}

// tenantPath is the tenant that a route names.
type tenantPath struct {
	Tenant string `path:"tenant" example:"alice"`
}

func (s *server) tenants(a huma.API) {
	huma.Register(a, operation("list-tenants", http.MethodGet, "/v1/tenants", "tenants", "List tenants", access.Read), s.listTenants)
	huma.Register(a, operation("create-tenant", http.MethodPost, "/v1/tenants", "tenants", "Create a tenant and its network default", access.Rule), s.createTenant)
	huma.Register(a, operation("show-tenant", http.MethodGet, "/v1/tenants/{tenant}", "tenants", "Show a tenant", access.Read), s.showTenant)
	huma.Register(a, operation("set-tenant-limits", http.MethodPut, "/v1/tenants/{tenant}/limits", "tenants", "Give a tenant other limits", access.Rule), s.setLimits)
	huma.Register(a, operation("delete-tenant", http.MethodDelete, "/v1/tenants/{tenant}", "tenants", "Delete a tenant that has no ports", access.Rule), s.deleteTenant)
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

func (s *server) showTenant(ctx context.Context, in *tenantPath) (*body[Tenant], error) {
	shown, err := s.tenant(in)
	if err == nil {
		used, _ := s.Controller.Usage(ctx, in.Tenant) // while etcd is away: as it was known before
		shown.Body.Usage = (*TenantUsage)(used)
	}
	return shown, err
}

// tenant is a tenant without what it uses.
func (s *server) tenant(in *tenantPath) (*body[Tenant], error) {
	var shown *body[Tenant]
	s.Controller.View(func(state *store.State) {
		if t := state.Tenant(in.Tenant); t != nil {
			shown = &body[Tenant]{tenantOf(state, t)}
		}
	})
	if shown == nil {
		return nil, absent("tenant", in.Tenant, "tenant list")
	}
	return shown, nil
}

// tenantOf is what the API shows of a tenant.
func tenantOf(state *store.State, t *store.Item[store.Tenant]) Tenant {
	name := t.Key.Tenant
	shown := Tenant{
		Name: name, Tenant: *t.Value, Networks: []string{},
		Transit: state.Transit().Address(t.Value.Number), Created: t.Created,
	}
	if g := state.Gateway(name); g != nil {
		shown.GatewayHost = g.Value.Active
	}
	for n := range state.NetworksOf(name) {
		shown.Networks = append(shown.Networks, n.Key.Network)
		shown.Ports += state.PortCount(n.Key.NetworkName())
	}
	return shown
}

func (s *server) createTenant(ctx context.Context, in *struct{ Body TenantSpec }) (*body[Tenant], error) {
	subnets, err := prefixes(in.Body.Subnets)
	if err != nil {
		return nil, malformed(fmt.Sprintf("tenant %s: %v", in.Body.Name, err))
	}
	spec := store.TenantSpec{
		Name: in.Body.Name, Gateway: in.Body.Gateway, Segmentation: store.Segmentation(in.Body.Segmentation),
		Subnets: subnets, Hosts: in.Body.Hosts, Limits: in.Body.Limits, Labels: in.Body.Labels,
	}
	rev, err := s.write(ctx, "tenant "+spec.Name, func(ctx context.Context) (store.Revision, error) { return s.Store.CreateTenant(ctx, spec) })
	if err != nil {
		return nil, err
	}
	shown, err := s.tenant(&tenantPath{spec.Name})
	return shown, unseen(err, "tenant", spec.Name, rev)
}

func (s *server) setLimits(ctx context.Context, in *struct {
	Tenant string `path:"tenant" example:"alice"`
	Body   store.Limits
}) (*body[Tenant], error) {
	spec := store.LimitsSpec{Tenant: in.Tenant, Limits: in.Body}
	if err := spec.Validate(); err != nil { // before its name becomes a key
		return nil, s.refuse(err)
	}
	rev, err := s.write(ctx, "tenant "+in.Tenant, func(ctx context.Context) (store.Revision, error) {
		rev, err := s.Store.Decide(ctx, spec.Propose, spec.Needs()...)
		if err != nil {
			return 0, fmt.Errorf("set the limits of tenant %s: %w", in.Tenant, err)
		}
		return rev, nil
	})
	if err != nil {
		return nil, err
	}
	shown, err := s.tenant(&tenantPath{in.Tenant})
	return shown, unseen(err, "tenant", in.Tenant, rev)
}

func (s *server) deleteTenant(ctx context.Context, in *tenantPath) (*body[Deleted], error) {
	return s.remove(ctx, "tenant "+in.Tenant, func(ctx context.Context) (store.Revision, error) { return s.Store.DeleteTenant(ctx, in.Tenant) })
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

// DeleteTenant removes a tenant that has no ports.
func (c *Client) DeleteTenant(ctx context.Context, name string) (Deleted, error) {
	return do[Deleted](ctx, c, http.MethodDelete, path("tenants", name), nil)
}
