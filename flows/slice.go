package flows

import (
	"slices"

	"sluice/store"
)

// Slice names exactly the flows of one object on one host. It is their cookie: the kind
// in the high 8 bits, the tenant's number in the next 24, the object's number in the
// low 32.
type Slice uint64

// sliceKind is the sort of object that a slice belongs to.
type sliceKind uint8

const (
	kindBase    sliceKind = 1 + iota // what every bridge holds
	kindPeer                         // another host, or several whose names share a hash
	kindTenant                       // a tenant's gateway and counters
	kindNetwork                      // a network
	kindPort                         // a port, here or on another host
)

// beyondTenants stands for every number that is too high for a cookie, and for a tenant.
const beyondTenants = 0xffffff

func newSlice(kind sliceKind, tenant, object uint32) Slice {
	return Slice(uint64(kind)<<56 | uint64(min(tenant, beyondTenants))<<32 | uint64(object))
}

// Tenant is the number of the tenant that the slice is of; 0: it is no tenant's.
func (sl Slice) Tenant() uint32 { return uint32(sl>>32) & beyondTenants }

func (sl Slice) kind() sliceKind { return sliceKind(sl >> 56) }
func (sl Slice) object() uint32  { return uint32(sl) }

func baseSlice() Slice                          { return newSlice(kindBase, 0, 0) }
func peerSlice(host string) Slice               { return newSlice(kindPeer, 0, store.HostHash(host)) }
func tenantSlice(tenant uint32) Slice           { return newSlice(kindTenant, tenant, 0) }
func networkSlice(tenant, network uint32) Slice { return newSlice(kindNetwork, tenant, network) }
func portSlice(tenant, port uint32) Slice       { return newSlice(kindPort, tenant, port) }

// Switch is the one bridge that flows are compiled for.
type Switch struct {
	Host   string
	OFPort map[string]uint32 // interface name -> OpenFlow port
}

// Slices yields every slice that the host holds flows of, each once.
func Slices(s *store.State, host string, yield func(Slice)) {
	var shared map[Slice]bool // that several objects say is theirs; true: it was yielded
	once := func(sl Slice, alone bool) {
		switch {
		case alone:
			yield(sl)
		case !shared[sl]:
			if shared == nil {
				shared = map[Slice]bool{}
			}
			shared[sl] = true
			yield(sl)
		}
	}
	yield(baseSlice())
	for h := range s.Hosts() {
		if h.Key.Host != host {
			once(peerSlice(h.Key.Host), len(s.HostsByHash(store.HostHash(h.Key.Host))) == 1)
		}
	}
	for _, name := range tenantsOn(s, host) {
		if t := s.Tenant(name); t != nil {
			tenantSlices(s, name, t.Value.Number, once)
		}
	}
}

// tenantSlices yields the slices of a tenant and all that it has; alone says that no other
// object can have the slice too.
func tenantSlices(s *store.State, name string, number uint32, yield func(sl Slice, alone bool)) {
	yield(tenantSlice(number), number < beyondTenants && len(s.TenantsWaiting(number)) == 0)
	for n := range s.NetworksOf(name) {
		yield(networkSlice(number, n.Value.Number), len(s.NetworksWaiting(n.Value.Number)) == 0)
		for p := range s.PortsOf(n.Key.NetworkName()) {
			yield(portSlice(number, p.Value.Number), len(s.PortsWaiting(p.Value.Number)) == 0)
		}
	}
}

// tenantsOn are the tenants that have a port or a gateway on the host, sorted.
func tenantsOn(s *store.State, host string) []string {
	names := s.TenantsVia(host)
	for _, n := range s.NetworksOn(host) {
		names = append(names, n.Tenant)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
