package flows_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sluice/flows"
	"sluice/flows/simulate"
	"sluice/store"
)

// world is a random cluster: its state, compiled and loaded into simulated switches.
type world struct {
	*rand.Rand
	t        *testing.T
	seed     uint64
	state    *store.State
	revision store.Revision
	hosts    []string
	tenants  []string
	ports    []*port
	strays   []*port            // of objects that a hand edit has spoilt
	spoilt   map[store.Key]bool // these alone have problems
	cluster  *simulate.Cluster
	switches []*simulate.Host
	vlans    uint32 // of networks so far
	expected map[flows.Class]uint64
}

// port is a container's port with where it is.
type port struct {
	*store.Item[store.Port]
	host   string
	ofport uint32
	dead   bool // nothing it sends reaches anybody
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		Rand: rand.New(rand.NewPCG(seed, 2)), t: t, seed: seed, state: store.NewState(), expected: map[flows.Class]uint64{},
		spoilt: map[store.Key]bool{},
	}
	for i := range 2 + w.IntN(4) {
		w.addHost(i + 1)
	}
	for i := range 2 + w.IntN(3) {
		w.addTenant(i + 1)
	}
	w.spoil()
	w.compile()
	return w
}

func (w *world) put(key store.Key, o store.Object) {
	w.revision++
	w.state.Apply(store.Batch{Revision: w.revision, Events: []store.Event{
		{Key: key, Object: o, Created: w.revision, Modified: w.revision}}})
}

func (w *world) addHost(n int) {
	name := fmt.Sprintf("h%d", n)
	w.hosts = append(w.hosts, name)
	w.put(store.HostKey(name), &store.Host{
		DatapathID: store.DatapathID(n), VTEPs: w.vteps(n), Gateway: true, Encap: "vxlan", Labels: w.labels(),
		Infrastructure: []netip.Prefix{netip.MustParsePrefix("172.30.0.0/24"), netip.MustParsePrefix("192.0.2.0/28")},
	})
}

// vteps are of the cluster's family, or of both, either first.
func (w *world) vteps(n int) []netip.Addr {
	v4, v6 := addr("172.30.0.%d", n), addr("fd30::%d", n)
	both := [][]netip.Addr{{v4, v6}, {v6, v4}}
	switch w.seed % 4 {
	case 0:
		return []netip.Addr{v6}
	case 1:
		return both[w.IntN(len(both))]
	}
	return []netip.Addr{v4}
}

// labels mean nothing to flows.
func (w *world) labels() store.Labels { return store.Labels{"zone": fmt.Sprint(w.IntN(3))} }

// addTenant makes a tenant whose networks, addresses and MACs are every other tenant's.
func (w *world) addTenant(n int) {
	name := fmt.Sprintf("t%d", n)
	w.tenants = append(w.tenants, name)
	w.put(store.TenantKey(name), &store.Tenant{Number: uint32(n), Labels: w.labels()})
	for i := range 1 + w.IntN(3) {
		w.addNetwork(name, n, i)
	}
	if w.IntN(6) == 0 {
		return // no gateway host was chosen
	}
	hosts := w.Perm(len(w.hosts))
	g := &store.Gateway{Active: w.hosts[hosts[0]]}
	if w.IntN(3) == 0 {
		g.Draining = []string{w.hosts[hosts[1]]}
	}
	w.put(store.GatewayKey(name), g)
}

func (w *world) addNetwork(tenant string, t, i int) {
	name := fmt.Sprintf("n%d", i)
	n := &store.Network{Number: uint32(0x100*t + i), Segmentation: store.SegmentationTunnel, Flood: store.FloodAuto,
		Subnets: []store.Subnet{{Prefix: netip.MustParsePrefix(fmt.Sprintf("10.0.%d.0/24", i)), Gateway: addr("10.0.%d.1", i)}}}
	n.Segment = n.Number
	if w.IntN(2) == 0 {
		w.vlans++
		n.Segmentation, n.Segment = store.SegmentationVLAN, w.vlans
	}
	if w.IntN(2) == 0 {
		n.Subnets = append(n.Subnets, store.Subnet{
			Prefix: netip.MustParsePrefix(fmt.Sprintf("fd00:%d::/64", i)), Gateway: addr("fd00:%d::1", i)})
	}
	w.put(store.NetworkKey(tenant, name), n)
	for k := range w.IntN(5) {
		w.addPort(tenant, name, n, k)
	}
}

func (w *world) addPort(tenant, network string, n *store.Network, k int) {
	at := w.newPort(w.hosts[w.IntN(len(w.hosts))], tenant, network, n, k)
	w.ports = append(w.ports, at)
}

// newPort may speak for one address more, and now and then with another MAC for a range.
func (w *world) newPort(host, tenant, network string, n *store.Network, k int) *port {
	number := uint32(len(w.ports) + len(w.strays) + 1)
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
	w.put(key, p)
	return &port{Item: w.state.Port(key), host: host, ofport: number}
}

// spoil does what only hand edits do. What stood before goes on as if nothing had happened.
func (w *world) spoil() {
	tenant := w.tenants[w.IntN(len(w.tenants))]
	older := w.state.Network(store.NetworkName{Tenant: w.tenants[0], Network: "n0"}).Value
	own := w.state.Network(store.NetworkName{Tenant: tenant, Network: "n0"}).Value
	if w.IntN(2) == 0 { // a network with another's number, or its VLAN id
		n := &store.Network{Number: older.Number, Segmentation: store.SegmentationTunnel, Subnets: []store.Subnet{
			{Prefix: netip.MustParsePrefix("10.0.77.0/24"), Gateway: addr("10.0.77.1")}}}
		if older.Segmentation == store.SegmentationVLAN {
			n.Number, n.Segmentation, n.Segment = 0x7000, store.SegmentationVLAN, older.Segment
		}
		w.spoiltNetwork(tenant, "contested", n)
	}
	if w.IntN(2) == 0 { // a network whose subnet overlaps an older one's
		w.spoiltNetwork(tenant, "overlapping", &store.Network{Number: 0x7001, Segmentation: store.SegmentationTunnel, Flood: store.FloodOn,
			Subnets: []store.Subnet{{Prefix: netip.MustParsePrefix("10.0.0.0/16"), Gateway: addr("10.0.0.2")}}})
	}
	if w.IntN(2) == 0 { // a host with another's VTEP
		key := store.HostKey("imposter")
		w.put(key, &store.Host{DatapathID: 99, VTEPs: w.state.Host(w.hosts[0]).Value.VTEPs, Gateway: true, Encap: "vxlan"})
		w.spoilt[key] = true
		w.strays = append(w.strays, w.newPort("imposter", tenant, "n0", own, 50))
	}
}

// spoiltNetwork has a port on every host. None gets anything.
func (w *world) spoiltNetwork(tenant, name string, n *store.Network) {
	key := store.NetworkKey(tenant, name)
	w.put(key, n)
	w.spoilt[key] = true
	for i, host := range w.hosts {
		p := w.newPort(host, tenant, name, n, i)
		p.dead = true
		w.spoilt[p.Key] = true
		w.strays = append(w.strays, p)
	}
}

// nth is the address of a prefix that ends in n.
func nth(p netip.Prefix, n byte) netip.Addr {
	b := p.Addr().AsSlice()
	b[len(b)-1] = n
	a, _ := netip.AddrFromSlice(b)
	return a
}

func addr(format string, args ...any) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf(format, args...))
}

// compile loads every host's flows into its switch.
func (w *world) compile() {
	hosts := w.hosts
	if w.state.Host("imposter") != nil {
		hosts = append([]string{"imposter"}, hosts...) // first, so that the VTEP leads to its holder
	}
	for _, name := range hosts {
		sw := flows.Switch{Host: name, OFPort: map[string]uint32{
			store.TunnelInterface: tunnelPort, store.GatewayInterface: gatewayPort}}
		h := &simulate.Host{Name: name, VTEP: w.state.Host(name).Value.VTEP(), Further: w.state.Host(name).Value.VTEPs[1:], Tunnel: tunnelPort, Gateway: gatewayPort,
			Ports: map[uint32]string{}}
		for _, p := range slices.Concat(w.ports, w.strays) {
			if p.host == name {
				sw.OFPort[p.Value.Interface] = p.ofport
				h.Ports[p.ofport] = p.Key.Short()
			}
		}
		all, problems := flows.Desired(w.state, sw)
		for _, p := range problems {
			if !w.spoilt[p.Key] {
				w.fatalf("host %s: problem of %s: %s", name, p.Object, p.Text)
			}
		}
		var err error
		if h.Bridge, err = simulate.NewBridge(all); err != nil {
			w.fatalf("host %s: %v", name, err)
		}
		w.switches = append(w.switches, h)
	}
	w.cluster = simulate.NewCluster(w.switches...)
}

// portAt is the port that a delivery reached; nil for a kernel.
func (w *world) portAt(d simulate.Delivery) *port {
	for _, p := range slices.Concat(w.ports, w.strays) {
		if !d.Kernel && p.host == d.Host && p.ofport == d.Port {
			return p
		}
	}
	return nil
}

// others are the ports of p's network but p.
func (w *world) others(p *port) (same []*port) {
	for _, q := range w.ports {
		if q != p && q.Key.NetworkName() == p.Key.NetworkName() {
			same = append(same, q)
		}
	}
	return same
}

// end is the port as one end of a conversation, by its first address of a family.
func (p *port) end(is func(netip.Addr) bool) (e simulate.Endpoint, ok bool) {
	e = simulate.Endpoint{MAC: p.Value.MAC, Port: 4000}
	for _, a := range p.Value.Addresses {
		if is(a.Addr()) {
			e.IP = a.Addr()
			return e, true
		}
	}
	return e, false
}

func (p *port) end4() simulate.Endpoint {
	e, _ := p.end(netip.Addr.Is4)
	return e
}

func (w *world) number(tenant string) uint32 { return w.state.Tenant(tenant).Value.Number }

// String is the cluster as a person needs it to understand a failure.
func (w *world) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d\n", w.seed)
	for _, h := range w.hosts {
		fmt.Fprintf(&b, "host %s vtep %s\n", h, w.state.Host(h).Value.VTEP())
	}
	for _, t := range w.tenants {
		fmt.Fprintf(&b, "tenant %s number %d", t, w.number(t))
		if g := w.state.Gateway(t); g != nil {
			fmt.Fprintf(&b, " gateway %s draining %v", g.Value.Active, g.Value.Draining)
		}
		b.WriteString("\n")
		for n := range w.state.NetworksOf(t) {
			fmt.Fprintf(&b, "  network %s number %#x %s %d %v\n", n.Key.Network, n.Value.Number, n.Value.Segmentation,
				n.Value.Segment, n.Value.Subnets)
		}
	}
	for _, p := range slices.Concat(w.ports, w.strays) {
		fmt.Fprintf(&b, "port %s number %d (%d at %s) %s %v\n", p.Key.Short(), p.Value.Number, p.ofport, p.host, p.Value.MAC,
			p.Value.Addresses)
	}
	return b.String()
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), w)
}
