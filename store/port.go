package store

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// KindPort is {host}/{tenant}/{network}/{port}.
const KindPort Kind = "ports"

// PortKey is the key of a port.
func PortKey(host, tenant, network, port string) Key {
	return Key{Kind: KindPort, Host: host, Tenant: tenant, Network: network, Name: port}
}

// Port is a container's attachment to a network.
type Port struct {
	UID          string         `json:"uid"`    // random; Interface derives from it
	Number       uint32         `json:"number"` // reg1 and reg2 of its frames, its slice's object
	MAC          MAC            `json:"mac"`
	Addresses    []netip.Prefix `json:"addresses"` // with the subnet's length
	AllowedPairs []AddressPair  `json:"allowedPairs,omitempty"`
	Interface    string         `json:"interface"` // on the host's side; at most 15 characters
	ContainerID  string         `json:"containerID,omitempty"`
	Runtime      string         `json:"runtime,omitempty"`
	Labels       Labels         `json:"labels,omitempty"`
	Sticky       Stickiness     `json:"sticky,omitempty"` // what of it stays with its name
	// Publish is what it publishes itself, as its runtime asked. It goes with the port.
	Publish []PortPublication `json:"publish,omitempty"`
	Limits  PortLimits        `json:"limits,omitzero"` // beside those of its tenant, as its runtime asked
	// LimitsSet is the operator's word since. The host's agent leaves it as it is.
	LimitsSet PortLimitsSet `json:"limitsSet,omitzero"`
}

// AddressPair is one more address, or range, that a port may speak with.
type AddressPair struct {
	MAC    MAC          `json:"mac,omitzero"` // zero: the port's own
	Prefix netip.Prefix `json:"prefix"`
}

// Kind is KindPort.
func (*Port) Kind() Kind { return KindPort }

var portKind = &description[Key, Port, *Port]{
	facts: facts{
		label:  "port",
		parts:  []part{partHost, partTenant, partNetwork, partName},
		writer: "the host's agent; the API moves one to another host, sets its limits, and deletes, as the leader does, those of a deleted host", reader: "controllers, agents: the names that containers ask for",
		hostReads: allObjects, hostWrites: ownObjects,
		refers: []reference{
			{to: KindTenant, onDelete: refuses, dir: portName.dir, inUse: usedByPorts},
			{to: KindNetwork, onDelete: refuses, dir: portName.dir, inUse: usedByPorts},
			{to: KindHost, onDelete: cleared},
		},
	},
	table:   func(s *State) *table[Key, Port] { return &s.ports.table },
	id:      func(k Key) Key { return k },
	uniques: []uniqueOf[Port]{&portName, &portNumber, &portMAC, &portInterface, &portAddress},
	index:   indexPort,
}

// portName is a port's name in its network, whatever its host.
var portName = unique[scoped[string], *Item[Port], Port]{
	name: "name",
	value: func(p *Item[Port], _ int) (scoped[string], bool) {
		return scoped[string]{p.Key.NetworkName(), p.Key.Name}, true
	},
	dir: "ports",
}

// PortNamesUnder is where etcd keeps the names of a tenant's ports: one key a port.
func PortNamesUnder(tenant string) string { return Under(KindAlloc, portName.dir, tenant) }

// MACsUnder is where etcd keeps the MACs of a network's ports: one key a port.
func MACsUnder(n NetworkName) string { return Under(KindAlloc, portMAC.dir, n.Tenant, n.Network) }

var portNumber = unique[uint32, *Item[Port], Port]{
	name:    "number",
	value:   func(p *Item[Port], _ int) (uint32, bool) { return p.Value.Number, true },
	holders: func(s *State) *holders[uint32, *Item[Port]] { return &s.ports.numbers },
	handle:  itself[Port](),
	dir:     "port-numbers", tombstone: true,
}

var portMAC = unique[scoped[MAC], *Item[Port], Port]{
	name: "MAC",
	value: func(p *Item[Port], _ int) (scoped[MAC], bool) {
		return scoped[MAC]{p.Key.NetworkName(), p.Value.MAC}, true
	},
	holders: func(s *State) *holders[scoped[MAC], *Item[Port]] { return &s.ports.macs },
	handle:  itself[Port](),
	dir:     "macs",
}

var portInterface = unique[hostInterface, *Item[Port], Port]{
	name: "interface",
	value: func(p *Item[Port], _ int) (hostInterface, bool) {
		return hostInterface{p.Key.Host, p.Value.Interface}, p.Value.Interface != ""
	},
	holders: func(s *State) *holders[hostInterface, *Item[Port]] { return &s.ports.interfaces },
	handle:  itself[Port](),
}

var portAddress = unique[scoped[netip.Addr], *Item[Port], Port]{
	name: "address",
	value: func(p *Item[Port], n int) (scoped[netip.Addr], bool) {
		return scoped[netip.Addr]{p.Key.NetworkName(), p.Value.Addresses[n].Addr().Unmap()}, true
	},
	count:   func(p *Item[Port]) int { return len(p.Value.Addresses) },
	holders: func(s *State) *holders[scoped[netip.Addr], *Item[Port]] { return &s.ports.addresses },
	handle:  itself[Port](),
	dir:     "addresses",
}

// AddressPath is the key under alloc/ of an address of a network.
func AddressPath(n NetworkName, a netip.Addr) string {
	return AllocKey(portAddress.dir, allocPath(scoped[netip.Addr]{n, a.Unmap()})).String()
}

// hostInterface is an interface of a host, which one port has at most. People read its name.
type hostInterface struct{ host, name string }

func (i hostInterface) String() string { return i.name }

// usedByPorts is the refusal to delete what has ports: some of them, and how many more.
func usedByPorts(names []string, more int64) error {
	rest := ""
	if more > 0 {
		rest = fmt.Sprintf(" and %d more", more)
	}
	return fmt.Errorf("%w: it has ports %s%s: detach them first, and delete what is sticky", ErrInUse, strings.Join(names, ", "), rest)
}

// ports is what State keeps of ports.
type ports struct {
	table[Key, Port]
	members    map[NetworkName]*members  // network -> its ports
	on         sets[string, NetworkName] // host -> networks with a port there
	numbers    holders[uint32, *Item[Port]]
	macs       holders[scoped[MAC], *Item[Port]]
	addresses  holders[scoped[netip.Addr], *Item[Port]]
	interfaces holders[hostInterface, *Item[Port]]
}

func indexPort(a *application, p *Item[Port], add bool) {
	host, network := p.Key.Host, p.Key.NetworkName()
	a.touch(host, network)
	a.publications.putPort(p, add)
	if add {
		a.ports.join(p, host, network)
	} else if a.ports.leave(p, host, network) {
		a.former.hosts.add(network.Tenant, host)
	}
}

func (ps *ports) join(p *Item[Port], host string, network NetworkName) {
	m := ps.members[network]
	if m == nil {
		if ps.members == nil {
			ps.members = map[NetworkName]*members{}
		}
		m = &members{ports: map[string][]*Item[Port]{}}
		ps.members[network] = m
	}
	if m.add(p) == 1 {
		ps.on.add(host, network)
	}
}

// leave reports whether the network left the host with the port.
func (ps *ports) leave(p *Item[Port], host string, network NetworkName) bool {
	m := ps.members[network]
	if m.remove(p) > 0 {
		return false
	}
	ps.on.remove(host, network)
	if len(m.hosts) == 0 {
		delete(ps.members, network)
	}
	return true
}

// Port is the port under that key, or nil.
func (s *State) Port(key Key) *Item[Port] { return s.ports.items[key] }

// PortByNumber is the port that holds a number, or nil.
func (s *State) PortByNumber(n uint32) *Item[Port] { return portNumber.holder(s, n) }

// PortByMAC is the port that holds a MAC in a network, or nil.
func (s *State) PortByMAC(n NetworkName, mac MAC) *Item[Port] {
	return portMAC.holder(s, scoped[MAC]{n, mac})
}

// PortByInterface is the port that holds an interface of a host, or nil.
func (s *State) PortByInterface(host, name string) *Item[Port] {
	return portInterface.holder(s, hostInterface{host, name})
}

// PortAt is the port that holds an address in a network, or nil.
func (s *State) PortAt(n NetworkName, address netip.Addr) *Item[Port] {
	return portAddress.holder(s, scoped[netip.Addr]{n, address.Unmap()})
}

// PortsOf walks a network's ports, sorted by host and name.
func (s *State) PortsOf(n NetworkName) iter.Seq[*Item[Port]] { return s.ports.members[n].all() }

// PortCount is how many ports a network has.
func (s *State) PortCount(n NetworkName) int {
	if m := s.ports.members[n]; m != nil {
		return m.count
	}
	return 0
}

// PortsAt are a network's ports on one host, sorted by name. The caller must not change
// the slice.
func (s *State) PortsAt(host string, n NetworkName) []*Item[Port] {
	if m := s.ports.members[n]; m != nil {
		return m.ports[host]
	}
	return nil
}

// HostsOf are the hosts where a network is present, sorted. The caller must not change
// the slice.
func (s *State) HostsOf(n NetworkName) []string {
	if m := s.ports.members[n]; m != nil {
		return m.hosts
	}
	return nil
}

// NetworksOn are the networks with a port on a host, sorted.
func (s *State) NetworksOn(host string) []NetworkName {
	return slices.SortedFunc(maps.Keys(s.ports.on.sets[host]), compareNetworkNames)
}

// PortClaimants are the ports that claim a number which another one holds, as TenantClaimants.
func (s *State) PortClaimants(number uint32) []*Item[Port] { return portNumber.claimants(s, number) }

// ContestedPort says why a port cannot be programmed: an older port has its number, MAC,
// interface or one of its addresses. It is nil for nearly every port.
func (s *State) ContestedPort(p *Item[Port]) []Problem { return portKind.contested(s, p) }
