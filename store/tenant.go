package store

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"
)

// KindTenant is {tenant}.
const KindTenant Kind = "tenants"

// TenantKey is the key of a tenant.
func TenantKey(tenant string) Key { return Key{Kind: KindTenant, Tenant: tenant} }

// Gateway policies of a tenant; any other text names a host.
const (
	GatewayAuto    = "auto"    // the leader spreads tenants over gateway-capable hosts
	GatewayCentral = "central" // all such tenants share one host, as the paper's small design does
)

// Tenant is the unit of isolation, counters and quota.
type Tenant struct {
	Number  uint32   `json:"number"`           // 1 to MaxTenantNumber
	Gateway string   `json:"gateway"`          // GatewayAuto, GatewayCentral or a host
	Hosts   []string `json:"hosts,omitempty"`  // hosts allowed; empty: all
	Limits  Limits   `json:"limits,omitzero"`  // what the tenant may take
	Labels  Labels   `json:"labels,omitempty"` // free
	// TTL is for how long the tenant may have no port before it is removed; 0: for ever.
	TTL Duration `json:"ttl,omitzero"`
	// Topology is which way frames between its hosts go; empty: TopologyDirect.
	Topology Topology `json:"topology,omitempty"`
}

// Duration is a time span. In JSON it is text: "2h0m0s".
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is no time such as 90m or 2h", b)
	}
	*d = Duration(parsed)
	return nil
}

// MayUse reports whether the tenant may have ports on a host.
func (t *Tenant) MayUse(host string) bool {
	return len(t.Hosts) == 0 || slices.Contains(t.Hosts, host)
}

// Kind is KindTenant.
func (*Tenant) Kind() Kind { return KindTenant }

var tenantKind = &description[string, Tenant, *Tenant]{
	facts: facts{
		label:  "tenant",
		parts:  []part{partTenant},
		writer: "API", reader: "controllers, agents",
		hostReads: allObjects,
	},
	table:   func(s *State) *table[string, Tenant] { return &s.tenants.table },
	id:      func(k Key) string { return k.Tenant },
	packs:   TenantKey,
	uniques: []uniqueOf[Tenant]{&tenantNumber},
	index:   indexTenant,
}

var tenantNumber = unique[uint32, string, Tenant]{
	name:    "number",
	value:   func(t *Item[Tenant], _ int) (uint32, bool) { return t.Value.Number, true },
	holders: func(s *State) *holders[uint32, string] { return &s.tenants.numbers },
	handle:  handle[string, Tenant]{of: func(t *Item[Tenant]) string { return t.Key.Tenant }, item: (*State).Tenant},
	dir:     "tenant-numbers", tombstone: true,
}

// tenants is what State keeps of tenants.
type tenants struct {
	table[string, Tenant]
	numbers holders[uint32, string]
	naming  sets[string, string] // GatewayCentral, or a host that tenants name -> these tenants
	mortal  marked               // tenants with a time to live
}

func indexTenant(a *application, t *Item[Tenant], add bool) {
	if policy := t.Value.Gateway; policy != GatewayAuto && policy != "" {
		a.tenants.naming.put(policy, t.Key.Tenant, add)
	}
	a.tenants.mortal.put(t.Key.Tenant, add && t.Value.TTL > 0)
	if !add {
		a.former.addNumber(t.Key.Tenant, t.Value.Number)
	}
}

// Tenant is the tenant of that name, or nil. So are Network, Host, Port and Gateway.
func (s *State) Tenant(name string) *Item[Tenant] { return s.tenants.get(name) }

// Tenants walks all tenants, sorted by name. So do the other plurals by theirs.
func (s *State) Tenants() iter.Seq[*Item[Tenant]] { return sorted(&s.tenants.table) }

// SortedTenantNames are the names of all tenants, in their order: who wants few of the tenants themselves asks for those by name.
func (s *State) SortedTenantNames() []string { return slices.Sorted(s.tenants.ids()) }

// TenantNames are the names of all tenants, in no order.
func (s *State) TenantNames() []string { return slices.Collect(s.tenants.ids()) }

// TenantsNaming are the tenants whose policy is GatewayCentral, or a host that they name, sorted.
func (s *State) TenantsNaming(policy string) []string {
	return slices.Sorted(maps.Keys(s.tenants.naming.sets[policy]))
}

// MortalTenants are those with a time to live, sorted.
func (s *State) MortalTenants() []string { return s.tenants.mortal.sorted() }

// TenantName is the name of the tenant that holds a number; empty: none does.
func (s *State) TenantName(number uint32) string { return s.tenants.numbers.of[number] }

// TenantByNumber is the tenant that holds a number, or nil.
func (s *State) TenantByNumber(n uint32) *Item[Tenant] { return tenantNumber.holder(s, n) }

// TenantClaimants are the tenants that claim a number which another one holds (see
// TenantByNumber), in no order; only hand edits make them.
func (s *State) TenantClaimants(number uint32) []*Item[Tenant] {
	return tenantNumber.claimants(s, number)
}

// ContestedTenant says why a tenant cannot be programmed, as ContestedPort does.
func (s *State) ContestedTenant(t *Item[Tenant]) []Problem { return tenantKind.contested(s, t) }

// TenantPorts is how many ports a tenant's networks have.
func (s *State) TenantPorts(tenant string) (ports int) {
	for _, name := range s.networks.of(tenant) {
		ports += s.PortCount(NetworkName{tenant, name})
	}
	return ports
}

// TenantPresent reports whether any network of the tenant has a port on the host.
func (s *State) TenantPresent(host, tenant string) bool {
	for _, name := range s.networks.of(tenant) {
		if len(s.PortsAt(host, NetworkName{tenant, name})) > 0 {
			return true
		}
	}
	return false
}

// Awake reports whether a tenant has a port on any host: one that sleeps needs no gateway.
func (s *State) Awake(tenant string) bool { return s.presences(tenant) > 0 }

// presences counts the hosts of each of a tenant's networks.
func (s *State) presences(tenant string) (n int) {
	for _, name := range s.networks.of(tenant) {
		n += len(s.HostsOf(NetworkName{tenant, name}))
	}
	return n
}
