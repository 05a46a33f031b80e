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
	"sluice/controller/client"
	"sluice/store"
)

// tenantStore writes tenants.
type tenantStore interface {
	CreateTenant(ctx context.Context, s store.TenantSpec) (store.Revision, error)
	DeleteTenant(ctx context.Context, name string, presumed ...store.Presumption) (store.Revision, error)
	Decide(ctx context.Context, request func(*store.State) (store.Proposal, error), needs ...string) (store.Revision, error)
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

func (s *server) listTenants(ctx context.Context, in *client.PageQuery) (*page[client.Tenant], error) {
	return listing(s, store.KindTenant, *in, tenantKeys(ctx), func(state *store.State, key store.Key) (client.Tenant, bool) {
		t := state.Tenant(key.Tenant)
		if t == nil {
			return client.Tenant{}, false
		}
		return tenantOf(state, t), true
	})
}

// tenantKeys walks the tenants that a caller sees, by name.
func tenantKeys(ctx context.Context) keysAfter {
	caller := access.From(ctx)
	return func(state *store.State, after store.Key) iter.Seq[store.Key] {
		return func(yield func(store.Key) bool) {
			for _, name := range state.SortedTenantNames() {
				if name > after.Tenant && caller.Sees(name) && !yield(store.TenantKey(name)) {
					return
				}
			}
		}
	}
}

func (s *server) showTenant(ctx context.Context, in *tenantPath) (*tagged[client.Tenant], error) {
	shown, err := s.tenant(in.Tenant)
	if err != nil {
		return nil, err
	}
	used, _ := s.Controller.Usage(ctx, in.Tenant) // while etcd is away: as it was known before
	shown.Usage = (*client.TenantUsage)(used)
	return show(ctx, shown.Modified, shown)
}

// tenant is a tenant without what it uses.
func (s *server) tenant(name string) (shown client.Tenant, err error) {
	err = absent("tenant", name, "tenant list")
	s.Controller.View(func(state *store.State) {
		if t := state.Tenant(name); t != nil {
			shown, err = tenantOf(state, t), nil
		}
	})
	return shown, err
}

// tenantWritten shows a tenant that was just written.
func (s *server) tenantWritten(ctx context.Context, name string, rev store.Revision) (*tagged[client.Tenant], error) {
	shown, err := s.tenant(name)
	if err != nil {
		return nil, unseen(err, "tenant", name, rev)
	}
	return show(ctx, shown.Modified, shown)
}

// tenantOf is what the API shows of a tenant.
func tenantOf(state *store.State, t *store.Item[store.Tenant]) client.Tenant {
	name := t.Key.Tenant
	shown := client.Tenant{
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

func (s *server) createTenant(ctx context.Context, in *struct{ Body client.TenantSpec }) (*tagged[client.Tenant], error) {
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
func tenantSpec(in client.TenantSpec) (spec store.TenantSpec, err error) {
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
}) (*tagged[client.Tenant], error) {
	spec := store.LimitsSpec{Tenant: in.Tenant, Limits: in.Body}
	return s.setTenant(ctx, in.Tenant, "limits", spec)
}

func (s *server) setTopology(ctx context.Context, in *struct {
	Tenant string `path:"tenant" example:"alice"`
	Body   client.Topology
}) (*tagged[client.Tenant], error) {
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
func (s *server) setTenant(ctx context.Context, tenant, what string, spec tenantChange) (*tagged[client.Tenant], error) {
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

func (s *server) deleteTenant(ctx context.Context, in *tenantPath) (*body[client.Deleted], error) {
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
