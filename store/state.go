package store

import (
	"iter"
	"maps"
	"net/netip"
	"slices"
)

// Batch is everything that happened up to Revision: whole revisions only, in order.
type Batch struct {
	Revision Revision
	Events   []Event
}

// Event is one key's new value; a nil Object says that the key was deleted.
type Event struct {
	Key      Key
	Object   Object
	Created  Revision
	Modified Revision
}

// Change is what an event meant: the object before and after, nil where there was none.
// Both are the same object where nothing about it changed but its claims (see Contested).
// A KindPresence change says that a network came to a host or left it.
type Change struct {
	Key           Key
	Before, After Object
	// Anew says that After was created anew, not changed: Before was deleted, and no batch
	// told of it alone.
	Anew bool
}

// scoped is a value that is unique inside one network.
type scoped[V comparable] struct {
	network NetworkName
	value   V
}

// hostInterface is an interface of a host, which one port has at most.
type hostInterface struct{ host, name string }

// State is the picture of the store at one revision, with the indexes that the compiler
// needs. It is not safe for concurrent use: readers and Apply exclude each other outside.
type State struct {
	revision Revision

	tenants     map[string]*Item[Tenant]
	networks    map[NetworkName]*Item[Network]
	hosts       map[string]*Item[Host]
	ports       map[Key]*Item[Port]
	gateways    map[string]*Item[Gateway]
	masters     map[string]*Item[Master]
	liveHosts   map[string]*Item[LiveHost]
	controllers map[string]*Item[LiveController]

	networksOf map[string][]string                 // tenant -> its networks, sorted
	members    map[NetworkName]*members            // network -> its ports
	networksOn map[string]map[NetworkName]struct{} // host -> networks with a port there
	tenantsVia map[string]map[string]struct{}      // host -> tenants that it is a gateway of
	activeVia  map[string]int                      // host -> tenants whose gateway it is now

	tenantNumbers  claims[uint32, Tenant]
	networkNumbers claims[uint32, Network]
	vlans          claims[uint32, Network]
	portNumbers    claims[uint32, Port]
	portMACs       claims[scoped[MAC], Port]
	portAddresses  claims[scoped[netip.Addr], Port]
	interfaces     claims[hostInterface, Port]
	datapaths      claims[DatapathID, Host]
	vteps          claims[netip.Addr, Host]
	hostHashes     map[uint32][]*Item[Host] // by HostHash, sorted by name

	former former // what the last batch took away
}

// NewState is the picture of an empty store.
func NewState() *State {
	return &State{
		tenants:     map[string]*Item[Tenant]{},
		networks:    map[NetworkName]*Item[Network]{},
		hosts:       map[string]*Item[Host]{},
		ports:       map[Key]*Item[Port]{},
		gateways:    map[string]*Item[Gateway]{},
		masters:     map[string]*Item[Master]{},
		liveHosts:   map[string]*Item[LiveHost]{},
		controllers: map[string]*Item[LiveController]{},

		networksOf: map[string][]string{},
		members:    map[NetworkName]*members{},
		networksOn: map[string]map[NetworkName]struct{}{},
		tenantsVia: map[string]map[string]struct{}{},
		activeVia:  map[string]int{},

		tenantNumbers:  newClaims[uint32, Tenant](),
		networkNumbers: newClaims[uint32, Network](),
		vlans:          newClaims[uint32, Network](),
		portNumbers:    newClaims[uint32, Port](),
		portMACs:       newClaims[scoped[MAC], Port](),
		portAddresses:  newClaims[scoped[netip.Addr], Port](),
		interfaces:     newClaims[hostInterface, Port](),
		datapaths:      newClaims[DatapathID, Host](),
		vteps:          newClaims[netip.Addr, Host](),
		hostHashes:     map[uint32][]*Item[Host]{},

		former: newFormer(),
	}
}

// Revision is the last one applied.
func (s *State) Revision() Revision { return s.revision }

// Tenant is the tenant of that name, or nil. So are Network, Host, Port and Gateway.
func (s *State) Tenant(name string) *Item[Tenant] { return s.tenants[name] }

// Network is the network of that name, or nil.
func (s *State) Network(n NetworkName) *Item[Network] { return s.networks[n] }

// Host is the host of that name, or nil.
func (s *State) Host(name string) *Item[Host] { return s.hosts[name] }

// Port is the port under that key, or nil.
func (s *State) Port(key Key) *Item[Port] { return s.ports[key] }

// Gateway is where a tenant's egress leaves, or nil while no host was chosen.
func (s *State) Gateway(tenant string) *Item[Gateway] { return s.gateways[tenant] }

// Master is who programs a host, or nil.
func (s *State) Master(host string) *Item[Master] { return s.masters[host] }

// LiveHost is a host's lease key, or nil while its agent is away.
func (s *State) LiveHost(host string) *Item[LiveHost] { return s.liveHosts[host] }

// TenantByNumber is the tenant that holds a number, or nil.
func (s *State) TenantByNumber(n uint32) *Item[Tenant] { return s.tenantNumbers.holder(n) }

// NetworkByNumber is the network that holds a number, or nil.
func (s *State) NetworkByNumber(n uint32) *Item[Network] { return s.networkNumbers.holder(n) }

// PortByNumber is the port that holds a number, or nil.
func (s *State) PortByNumber(n uint32) *Item[Port] { return s.portNumbers.holder(n) }

// PortByMAC is the port that holds a MAC in a network, or nil.
func (s *State) PortByMAC(n NetworkName, mac MAC) *Item[Port] {
	return s.portMACs.holder(scoped[MAC]{n, mac})
}

// PortByInterface is the port that holds an interface of a host, or nil.
func (s *State) PortByInterface(host, name string) *Item[Port] {
	return s.interfaces.holder(hostInterface{host, name})
}

// HostByDatapath is the host with that datapath id, or nil.
func (s *State) HostByDatapath(id DatapathID) *Item[Host] { return s.datapaths.holder(id) }

// HostByVTEP is the host that holds a tunnel address, or nil.
func (s *State) HostByVTEP(a netip.Addr) *Item[Host] { return s.vteps.holder(a.Unmap()) }

// HostsByHash are the hosts whose names have that HostHash, sorted by name. The caller must
// not change the slice.
func (s *State) HostsByHash(hash uint32) []*Item[Host] { return s.hostHashes[hash] }

// Tenants walks all tenants, sorted by name. So do the other plurals by theirs.
func (s *State) Tenants() iter.Seq[*Item[Tenant]] { return sorted(s.tenants) }

// Hosts walks all hosts, sorted by name.
func (s *State) Hosts() iter.Seq[*Item[Host]] { return sorted(s.hosts) }

// Gateways walks all gateways, sorted by tenant.
func (s *State) Gateways() iter.Seq[*Item[Gateway]] { return sorted(s.gateways) }

// LiveController is the live key of a controller, or nil.
func (s *State) LiveController(name string) *Item[LiveController] { return s.controllers[name] }

// LiveControllers walks the controllers that hold a lease, sorted by name.
func (s *State) LiveControllers() iter.Seq[*Item[LiveController]] { return sorted(s.controllers) }

func sorted[T any](m map[string]*Item[T]) iter.Seq[*Item[T]] {
	return func(yield func(*Item[T]) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(m[name]) {
				return
			}
		}
	}
}

// NetworksOf walks a tenant's networks, sorted by name.
func (s *State) NetworksOf(tenant string) iter.Seq[*Item[Network]] {
	return func(yield func(*Item[Network]) bool) {
		for _, name := range s.networksOf[tenant] {
			if !yield(s.networks[NetworkName{tenant, name}]) {
				return
			}
		}
	}
}

// PortsOf walks a network's ports, sorted by host and name.
func (s *State) PortsOf(n NetworkName) iter.Seq[*Item[Port]] { return s.members[n].all() }

// PortsAt are a network's ports on one host, sorted by name. The caller must not change
// the slice.
func (s *State) PortsAt(host string, n NetworkName) []*Item[Port] {
	if m := s.members[n]; m != nil {
		return m.ports[host]
	}
	return nil
}

// HostsOf are the hosts where a network is present, sorted. The caller must not change
// the slice.
func (s *State) HostsOf(n NetworkName) []string {
	if m := s.members[n]; m != nil {
		return m.hosts
	}
	return nil
}

// NetworksOn are the networks with a port on a host, sorted.
func (s *State) NetworksOn(host string) []NetworkName {
	return slices.SortedFunc(maps.Keys(s.networksOn[host]), compareNetworkNames)
}

// TenantPresent tells whether any network of the tenant has a port on the host.
func (s *State) TenantPresent(host, tenant string) bool {
	for _, name := range s.networksOf[tenant] {
		if len(s.PortsAt(host, NetworkName{tenant, name})) > 0 {
			return true
		}
	}
	return false
}

// TenantsVia are the tenants whose gateway is, or drains, at a host, sorted.
func (s *State) TenantsVia(host string) []string {
	return slices.Sorted(maps.Keys(s.tenantsVia[host]))
}

// ActiveVia counts the tenants whose gateway is at a host now, without those that it drains.
func (s *State) ActiveVia(host string) int { return s.activeVia[host] }

// HostsGone are hosts that have ports though they are not registered, sorted: they were
// deleted and their ports are not cleared yet.
func (s *State) HostsGone() []string {
	var gone []string
	for host := range s.networksOn {
		if s.hosts[host] == nil {
			gone = append(gone, host)
		}
	}
	slices.Sort(gone)
	return gone
}

// Counts are the numbers of objects, for metrics and status.
func (s *State) Counts() (tenants, networks, hosts, ports int) {
	return len(s.tenants), len(s.networks), len(s.hosts), len(s.ports)
}
