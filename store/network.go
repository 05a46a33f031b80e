package store

import (
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
)

// KindNetwork is {tenant}/{network}.
const KindNetwork Kind = "networks"

// NetworkKey is the key of a network.
func NetworkKey(tenant, network string) Key {
	return Key{Kind: KindNetwork, Tenant: tenant, Network: network}
}

// NetworkName names a network inside the cluster.
type NetworkName struct{ Tenant, Network string }

func (n NetworkName) String() string { return n.Tenant + "/" + n.Network }

func (n NetworkName) key() Key { return NetworkKey(n.Tenant, n.Network) }

// NetworkName is the network that a port, network or presence key belongs to.
func (k Key) NetworkName() NetworkName { return NetworkName{k.Tenant, k.Network} }

func compareNetworkNames(a, b NetworkName) int {
	return cmp.Or(strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Network, b.Network))
}

// DefaultNetwork is the name of the network that a tenant is created with.
const DefaultNetwork = "default"

// Segmentation is how a network is marked on the wire.
type Segmentation string

// The two designs of the paper.
const (
	SegmentationVLAN   Segmentation = "vlan"
	SegmentationTunnel Segmentation = "tunnel"
)

// FloodMode says whether broadcast and multicast are replicated in a network.
type FloodMode string

// FloodAuto stops replicating where the network spans more hosts than a switch can copy to.
const (
	FloodAuto FloodMode = "auto"
	FloodOn   FloodMode = "on"
	FloodOff  FloodMode = "off"
)

// Network is an L2 segment of a tenant.
type Network struct {
	Number       uint32       `json:"number"` // 24 bits; metadata's low half
	Segmentation Segmentation `json:"segmentation"`
	Segment      uint32       `json:"segment"` // a VLAN id, or the tunnel key (the number)
	Subnets      []Subnet     `json:"subnets,omitempty"`
	MTU          int          `json:"mtu,omitempty"` // 0: derived from the underlay
	Flood        FloodMode    `json:"flood"`
	// Exclude are addresses that no port is given unless it asks for them.
	Exclude []AddressRange `json:"exclude,omitempty"`
}

// Subnet is an address range of a network and the router's address in it.
type Subnet struct {
	Prefix  netip.Prefix `json:"prefix"`
	Gateway netip.Addr   `json:"gateway"`
}

// Kind is KindNetwork.
func (*Network) Kind() Kind { return KindNetwork }

var networkKind = &description[NetworkName, Network, *Network]{
	facts: facts{
		label:  "network",
		parts:  []part{partTenant, partNetwork},
		writer: "API", reader: "controllers, agents",
		hostReads: allObjects,
		refers: []reference{{
			to: KindTenant, onDelete: refuses,
			except: func(k Key) bool { return k.Network == DefaultNetwork },
			inUse: func(names []string, _ int64) error {
				return fmt.Errorf("%w: it has network %s: delete its networks but %q first", ErrInUse, names[0], DefaultNetwork)
			},
		}},
	},
	table:   func(s *State) *table[NetworkName, Network] { return &s.networks.table },
	id:      Key.NetworkName,
	packs:   NetworkName.key,
	uniques: []uniqueOf[Network]{&networkNumber, &networkVLAN},
	index:   indexNetwork,
}

var networkHandle = handle[NetworkName, Network]{of: func(n *Item[Network]) NetworkName { return n.Key.NetworkName() }, item: (*State).Network}

var networkNumber = unique[uint32, NetworkName, Network]{
	name:    "number",
	value:   func(n *Item[Network], _ int) (uint32, bool) { return n.Value.Number, true },
	holders: func(s *State) *holders[uint32, NetworkName] { return &s.networks.numbers },
	handle:  networkHandle,
	dir:     "network-numbers", tombstone: true,
}

var networkVLAN = unique[uint32, NetworkName, Network]{
	name: "VLAN id",
	value: func(n *Item[Network], _ int) (uint32, bool) {
		return n.Value.Segment, n.Value.Segmentation == SegmentationVLAN
	},
	holders: func(s *State) *holders[uint32, NetworkName] { return &s.networks.vlans },
	handle:  networkHandle,
	dir:     "vlans", tombstone: true,
}

// networks is what State keeps of networks.
type networks struct {
	table[NetworkName, Network]
	// named are the networks of each tenant that has another than the default one, sorted.
	named          map[string][]string
	numbers, vlans holders[uint32, NetworkName]
}

func indexNetwork(a *application, n *Item[Network], add bool) {
	tenant := n.Key.Tenant
	a.networks.list(tenant, n.Key.Network, add)
	if !add { // its ports, if any are left, make the tenant present no more
		for _, host := range a.HostsOf(n.Key.NetworkName()) {
			a.former.hosts.add(tenant, host)
		}
	}
}

// onlyDefault are the networks of most tenants.
var onlyDefault = []string{DefaultNetwork}

// of are the networks of a tenant, sorted.
func (n *networks) of(tenant string) []string {
	if names, has := n.named[tenant]; has {
		return names
	}
	if n.has(NetworkName{tenant, DefaultNetwork}) {
		return onlyDefault
	}
	return nil
}

// list brings a network, which is in the table, into its tenant's list, or out of it. Apply takes the old object out
// before it brings a new one in.
func (n *networks) list(tenant, name string, add bool) {
	if name == DefaultNetwork && n.named[tenant] == nil {
		return
	}
	names := slices.Clone(n.of(tenant))
	at, _ := slices.BinarySearch(names, name)
	if add {
		names = slices.Insert(names, at, name)
	} else {
		names = slices.Delete(names, at, at+1)
	}
	if len(names) == 0 || slices.Equal(names, onlyDefault) {
		delete(n.named, tenant)
		return
	}
	if n.named == nil {
		n.named = map[string][]string{}
	}
	n.named[tenant] = names
}

// Network is the network of that name, or nil.
func (s *State) Network(n NetworkName) *Item[Network] { return s.networks.get(n) }

// NetworkByNumber is the network that holds a number, or nil.
func (s *State) NetworkByNumber(n uint32) *Item[Network] { return networkNumber.holder(s, n) }

// NetworksOf walks a tenant's networks, sorted by name.
func (s *State) NetworksOf(tenant string) iter.Seq[*Item[Network]] {
	return func(yield func(*Item[Network]) bool) {
		for _, name := range s.networks.of(tenant) {
			if !yield(s.networks.get(NetworkName{tenant, name})) {
				return
			}
		}
	}
}

// NetworkClaimants are the networks that claim a number which another one holds, as TenantClaimants.
func (s *State) NetworkClaimants(number uint32) []*Item[Network] {
	return networkNumber.claimants(s, number)
}

// ContestedNetwork says why a network cannot be programmed, as ContestedPort does.
func (s *State) ContestedNetwork(n *Item[Network]) []Problem { return networkKind.contested(s, n) }
