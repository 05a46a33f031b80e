package store

import (
	"iter"
	"maps"
	"slices"
)

// KindGateway is {tenant}.
const KindGateway Kind = "gateways"

// GatewayKey is the key of a tenant's gateway.
func GatewayKey(tenant string) Key { return Key{Kind: KindGateway, Tenant: tenant} }

// Gateway says through which host a tenant's egress leaves now.
type Gateway struct {
	Active   string   `json:"active"`
	Draining []string `json:"draining,omitempty"`
	Epoch    uint64   `json:"epoch"`
	Why      string   `json:"why,omitempty"`
}

// At reports whether the tenant's egress leaves by a host, or drains there.
func (g *Gateway) At(host string) bool { return g.Active == host || slices.Contains(g.Draining, host) }

// Kind is KindGateway.
func (*Gateway) Kind() Kind { return KindGateway }

var gatewayKind = &description[string, Gateway, *Gateway]{
	facts: facts{
		label:  "gateway",
		parts:  []part{partTenant},
		writer: "the leader of the controllers", reader: "controllers, agents",
		hostReads: allObjects,
		refers:    []reference{{to: KindTenant, onDelete: follows, needed: true}},
	},
	table: func(s *State) *table[string, Gateway] { return &s.gateways.table },
	id:    func(k Key) string { return k.Tenant },
	index: indexGateway,
}

// gateways is what State keeps of gateways.
type gateways struct {
	table[string, Gateway]
	via       sets[string, string] // host -> tenants that it is a gateway of
	activeVia map[string]int       // host -> tenants whose gateway it is now
}

func indexGateway(a *application, g *Item[Gateway], add bool) {
	gs := &a.gateways
	if gs.activeVia == nil {
		gs.activeVia = map[string]int{}
	}
	if add {
		gs.activeVia[g.Value.Active]++
	} else if gs.activeVia[g.Value.Active]--; gs.activeVia[g.Value.Active] == 0 {
		delete(gs.activeVia, g.Value.Active)
	}
	for _, host := range append([]string{g.Value.Active}, g.Value.Draining...) {
		if add {
			gs.via.add(host, g.Key.Tenant)
		} else {
			gs.via.remove(host, g.Key.Tenant)
			a.former.hosts.add(g.Key.Tenant, host)
		}
	}
}

// Gateway is where a tenant's egress leaves, or nil while no host was chosen.
func (s *State) Gateway(tenant string) *Item[Gateway] { return s.gateways.items[tenant] }

// Gateways walks all gateways, sorted by tenant.
func (s *State) Gateways() iter.Seq[*Item[Gateway]] { return sorted(s.gateways.items) }

// TenantsVia are the tenants whose gateway is, or drains, at a host, sorted.
func (s *State) TenantsVia(host string) []string {
	return slices.Sorted(maps.Keys(s.gateways.via.sets[host]))
}

// ActiveVia counts the tenants whose gateway is at a host now, without those that it drains.
func (s *State) ActiveVia(host string) int { return s.gateways.activeVia[host] }
