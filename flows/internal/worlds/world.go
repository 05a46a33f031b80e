package worlds

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"sluice/flows/simulate"
	"sluice/store"
)

// Imposter is the host that has the VTEP of another, in some worlds.
const Imposter = "imposter"

// World is a random cluster.
type World struct {
	*rand.Rand
	Seed     uint64
	State    *store.State
	Hosts    []string
	Tenants  []string
	Ports    []*Port
	Strays   []*Port            // of objects that a hand edit has spoilt
	Spoilt   map[store.Key]bool // these alone have problems
	VLANs    uint32             // of networks so far
	revision store.Revision
	created  map[store.Key]store.Revision
}

// Port is a container's port with where it is.
type Port struct {
	*store.Item[store.Port]
	Host   string
	OFPort uint32
	Dead   bool // nothing it sends reaches anybody
}

// New makes the cluster of a seed: always the same.
func New(seed uint64) *World {
	w := &World{Rand: rand.New(rand.NewPCG(seed, 2)), Seed: seed, State: store.NewState(), Spoilt: map[store.Key]bool{}, created: map[store.Key]store.Revision{}}
	for i := range 2 + w.IntN(4) {
		w.addHost(i + 1)
	}
	for i := range 2 + w.IntN(3) {
		w.addTenant(i + 1)
	}
	w.spoil()
	w.peer()
	w.publish()
	w.move()
	w.backUp()
	w.star()
	w.trunk()
	return w
}

// Put writes one object.
func (w *World) Put(key store.Key, o store.Object) { w.Change(key, o) }

// Change writes one object, or deletes it where it is nil, and returns what that meant. The lists of
// hosts, tenants and ports stay as they are.
func (w *World) Change(key store.Key, o store.Object) []store.Change {
	w.revision++
	e := store.Event{Key: key, Object: o, Created: w.revision, Modified: w.revision}
	if at, ok := w.created[key]; ok {
		e.Created = at
	}
	if w.created[key] = e.Created; o == nil {
		delete(w.created, key)
	}
	return w.State.Apply(store.Batch{Revision: w.revision, Events: []store.Event{e}})
}

func (w *World) addHost(n int) {
	name := fmt.Sprintf("h%d", n)
	w.Hosts = append(w.Hosts, name)
	w.Put(store.HostKey(name), &store.Host{
		DatapathID: store.DatapathID(n), VTEPs: w.vteps(n), Gateway: true, Encap: "vxlan", Labels: w.labels(),
		Infrastructure: []netip.Prefix{netip.MustParsePrefix("172.30.0.0/24"), netip.MustParsePrefix("192.0.2.0/28")},
	})
}

// vteps are of the cluster's family, or of both, either first.
func (w *World) vteps(n int) []netip.Addr {
	v4, v6 := Addr("172.30.0.%d", n), Addr("fd30::%d", n)
	both := [][]netip.Addr{{v4, v6}, {v6, v4}}
	switch w.Seed % 4 {
	case 0:
		return []netip.Addr{v6}
	case 1:
		return both[w.IntN(len(both))]
	}
	return []netip.Addr{v4}
}

// labels mean nothing to flows.
func (w *World) labels() store.Labels { return store.Labels{"zone": fmt.Sprint(w.IntN(3))} }

// limits let no packet through that would not pass without them.
func (w *World) limits() (l store.Limits) {
	if w.IntN(3) == 0 {
		l = store.Limits{EgressKbps: 1 << w.IntN(30), PortIngressKbps: 1 << w.IntN(20)}
	}
	if w.IntN(3) == 0 {
		l.IngressKbps, l.PortEgressKbps = 1<<w.IntN(30), 1<<w.IntN(20)
	}
	return l
}

// addTenant makes a tenant whose networks, addresses and MACs are every other tenant's.
func (w *World) addTenant(n int) {
	name := fmt.Sprintf("t%d", n)
	w.Tenants = append(w.Tenants, name)
	w.Put(store.TenantKey(name), &store.Tenant{Number: uint32(n), Labels: w.labels(), Limits: w.limits()})
	for i := range 1 + w.IntN(3) {
		w.addNetwork(name, n, i)
	}
	if w.IntN(6) == 0 {
		return // no gateway host was chosen
	}
	hosts := w.Perm(len(w.Hosts))
	g := &store.Gateway{Active: w.Hosts[hosts[0]]}
	if w.IntN(3) == 0 {
		g.Draining = []string{w.Hosts[hosts[1]]}
	}
	w.Put(store.GatewayKey(name), g)
}

func (w *World) addNetwork(tenant string, t, i int) {
	name := fmt.Sprintf("n%d", i)
	n := &store.Network{Number: uint32(0x100*t + i), Segmentation: store.SegmentationTunnel, Flood: store.FloodAuto,
		Subnets: []store.Subnet{{Prefix: netip.MustParsePrefix(fmt.Sprintf("10.0.%d.0/24", i)), Gateway: Addr("10.0.%d.1", i)}}}
	n.Segment = n.Number
	if w.IntN(2) == 0 {
		w.VLANs++
		n.Segmentation, n.Segment = store.SegmentationVLAN, w.VLANs
	}
	if w.IntN(2) == 0 {
		n.Subnets = append(n.Subnets, store.Subnet{
			Prefix: netip.MustParsePrefix(fmt.Sprintf("fd00:%d::/64", i)), Gateway: Addr("fd00:%d::1", i)})
	}
	w.Put(store.NetworkKey(tenant, name), n)
	for k := range w.IntN(5) {
		w.addPort(tenant, name, n, k)
	}
}

func (w *World) addPort(tenant, network string, n *store.Network, k int) {
	at := w.newPort(w.Hosts[w.IntN(len(w.Hosts))], tenant, network, n, k)
	w.Ports = append(w.Ports, at)
}

// newPort may speak for one address more, and now and then with another MAC for a range.
func (w *World) newPort(host, tenant, network string, n *store.Network, k int) *Port {
	number := uint32(len(w.Ports) + len(w.Strays) + 1)
	p := &store.Port{
		UID: fmt.Sprintf("%012d", number), Number: number, Interface: fmt.Sprintf("sl-%012d", number), Labels: w.labels(),
		MAC: store.MAC{2, 0, 0, 0, byte(n.Number), byte(11 + k)},
	}
	if w.IntN(2) == 0 {
		p.AllowedPairs = []store.AddressPair{{Prefix: netip.PrefixFrom(nth(n.Subnets[0].Prefix, byte(100+k)), 32)}}
		if w.IntN(2) == 0 {
			p.AllowedPairs[0].MAC = store.MAC{2, 0, 0, 1, byte(n.Number), byte(11 + k)}
		}
	}
	for _, s := range n.Subnets {
		p.Addresses = append(p.Addresses, netip.PrefixFrom(nth(s.Prefix, byte(11+k)), s.Prefix.Bits()))
	}
	key := store.PortKey(host, tenant, network, fmt.Sprintf("p%d", number))
	w.Put(key, p)
	return &Port{Item: w.State.Port(key), Host: host, OFPort: number}
}

// spoil does what only hand edits do. What stood before goes on as if nothing had happened.
func (w *World) spoil() {
	tenant := w.Tenants[w.IntN(len(w.Tenants))]
	older := w.State.Network(store.NetworkName{Tenant: w.Tenants[0], Network: "n0"}).Value
	own := w.State.Network(store.NetworkName{Tenant: tenant, Network: "n0"}).Value
	if w.IntN(2) == 0 { // a network with another's number, or its VLAN id
		n := &store.Network{Number: older.Number, Segmentation: store.SegmentationTunnel, Subnets: []store.Subnet{
			{Prefix: netip.MustParsePrefix("10.0.77.0/24"), Gateway: Addr("10.0.77.1")}}}
		if older.Segmentation == store.SegmentationVLAN {
			n.Number, n.Segmentation, n.Segment = 0x7000, store.SegmentationVLAN, older.Segment
		}
		w.spoiltNetwork(tenant, "contested", n)
	}
	if w.IntN(2) == 0 { // a network whose subnet overlaps an older one's
		w.spoiltNetwork(tenant, "overlapping", &store.Network{Number: 0x7001, Segmentation: store.SegmentationTunnel, Flood: store.FloodOn,
			Subnets: []store.Subnet{{Prefix: netip.MustParsePrefix("10.0.0.0/16"), Gateway: Addr("10.0.0.2")}}})
	}
	if w.IntN(2) == 0 { // a host with another's VTEP
		key := store.HostKey(Imposter)
		w.Put(key, &store.Host{DatapathID: 99, VTEPs: w.State.Host(w.Hosts[0]).Value.VTEPs, Gateway: true, Encap: "vxlan"})
		w.Spoilt[key] = true
		w.Strays = append(w.Strays, w.newPort(Imposter, tenant, "n0", own, 50))
	}
}

// spoiltNetwork has a port on every host. None gets anything.
func (w *World) spoiltNetwork(tenant, name string, n *store.Network) {
	key := store.NetworkKey(tenant, name)
	w.Put(key, n)
	w.Spoilt[key] = true
	for i, host := range w.Hosts {
		p := w.newPort(host, tenant, name, n, i)
		p.Dead = true
		w.Spoilt[p.Key] = true
		w.Strays = append(w.Strays, p)
	}
}

// nth is the address of a prefix that ends in n.
func nth(p netip.Prefix, n byte) netip.Addr {
	b := p.Addr().AsSlice()
	b[len(b)-1] = n
	a, _ := netip.AddrFromSlice(b)
	return a
}

// Addr is an address, written as by fmt.
func Addr(format string, args ...any) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf(format, args...))
}

// Others are the ports of p's network but p.
func (w *World) Others(p *Port) (same []*Port) {
	for _, q := range w.Ports {
		if q != p && q.Key.NetworkName() == p.Key.NetworkName() {
			same = append(same, q)
		}
	}
	return same
}

// End is the port as one end of a conversation, by its first address of a family.
func (p *Port) End(is func(netip.Addr) bool) (e simulate.Endpoint, ok bool) {
	e = simulate.Endpoint{MAC: p.Value.MAC, Port: 4000}
	for _, a := range p.Value.Addresses {
		if is(a.Addr()) {
			e.IP = a.Addr()
			return e, true
		}
	}
	return e, false
}

// End4 is the same of IPv4, which every port has.
func (p *Port) End4() simulate.Endpoint {
	e, _ := p.End(netip.Addr.Is4)
	return e
}

// Number is a tenant's.
func (w *World) Number(tenant string) uint32 { return w.State.Tenant(tenant).Value.Number }

// String is the cluster as a person needs it to understand a failure.
func (w *World) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d\n", w.Seed)
	for _, h := range w.Hosts {
		fmt.Fprintf(&b, "host %s vtep %s\n", h, w.State.Host(h).Value.VTEP())
	}
	for _, t := range w.Tenants {
		fmt.Fprintf(&b, "tenant %s number %d", t, w.Number(t))
		if g := w.State.Gateway(t); g != nil {
			fmt.Fprintf(&b, " gateway %s draining %v standby %v backup %s", g.Value.Active, g.Value.Draining, g.Value.Standby, g.Value.Backup)
			if g.Value.Relay != "" {
				fmt.Fprintf(&b, " relay %s", g.Value.Relay)
			}
			if g.Value.Move != nil {
				fmt.Fprintf(&b, " on its way to %s", g.Value.Move.To)
			}
		}
		b.WriteString("\n")
		for n := range w.State.NetworksOf(t) {
			fmt.Fprintf(&b, "  network %s number %#x %s %d %v\n", n.Key.Network, n.Value.Number, n.Value.Segmentation,
				n.Value.Segment, n.Value.Subnets)
		}
	}
	for p := range w.State.Peerings() {
		fmt.Fprintf(&b, "%s %+v\n", p.Key.Short(), *p.Value)
	}
	for p := range w.State.Publications() {
		fmt.Fprintf(&b, "%s %+v\n", p.Key.Short(), *p.Value)
	}
	for _, p := range slices.Concat(w.Ports, w.Strays) {
		fmt.Fprintf(&b, "port %s number %d (%d at %s) %s %v\n", p.Key.Short(), p.Value.Number, p.OFPort, p.Host, p.Value.MAC,
			p.Value.Addresses)
	}
	return b.String()
}
