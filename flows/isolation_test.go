package flows_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/internal/worlds"
	"sluice/flows/simulate"
	"sluice/store"
)

var isolationSeed = flag.Uint64("isolation.seed", 0, "check this one cluster alone")

// Laws 1, 2 and 8 on random clusters whose tenants share subnets and MACs: packets walk
// through the compiled tables of all hosts; none reaches another tenant, every pair of a
// tenant can talk, nobody speaks with what is not his, and the counters say what was sent.
func TestIsolation(t *testing.T) {
	seeds := []uint64{rand.Uint64N(1 << 32)}
	for seed := range uint64(40) {
		seeds = append(seeds, seed)
	}
	if *isolationSeed != 0 {
		seeds = []uint64{*isolationSeed}
	}
	t.Logf("random seed %d; repeat one with -isolation.seed", seeds[0])
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			w.talk()
			w.leave()
			w.visit()
			w.speakForOthers()
			w.compareCounters()
			w.stray()
			w.misbehave()
			w.intrude()
		})
	}
}

// outside is a host of the internet as the kernel shows it.
var outside = simulate.Endpoint{IP: netip.MustParseAddr("203.0.113.1"), Port: 443}

// send lets a packet leave a port and checks what must hold for every one (law 1).
func (w *world) send(from *port, p simulate.Packet) *simulate.Walk {
	w.t.Helper()
	walk, err := w.cluster.Send(from.Host, from.OFPort, p)
	if err != nil {
		w.fatalf("%s sent %s: %v", from.Key.Short(), &p, err)
	}
	for _, d := range walk.Deliveries {
		if why := w.wrong(from, d); why != "" {
			w.fatalf("%s sent %s: %s\n%s", from.Key.Short(), &p, why, walk)
		}
	}
	return walk
}

// wrong says why a port's packet must not have been delivered there.
func (w *world) wrong(from *port, d simulate.Delivery) string {
	to, tenant := w.portAt(d), from.Key.Tenant
	switch {
	case len(d.Packet.Tags()) > 0:
		return "delivered with a tag"
	case to != nil && to.Key.Tenant != tenant && !w.State.Crosses(from.Key.NetworkName(), to.Key.NetworkName()):
		return "delivered to another tenant: " + to.Key.Short()
	case to != nil:
		return ""
	}
	transit := of.Address(store.DefaultTransit.Address(w.Number(tenant)))
	switch g := w.State.Gateway(tenant); {
	case g == nil || !g.Value.At(d.Host):
		return "left at a host that is no gateway of its tenant: " + d.Host
	case d.Packet.Get(of.FieldIPSrc) != transit:
		return "left under another source than its transit address"
	}
	return ""
}

// only is the single delivery of a walk, which must be to one port.
func (w *world) only(walk *simulate.Walk, to *port, what string) simulate.Packet {
	w.t.Helper()
	if len(walk.Deliveries) != 1 || w.portAt(walk.Deliveries[0]) != to {
		w.fatalf("%s: not delivered to %s alone, but %d times:\n%s", what, to.Key.Short(), len(walk.Deliveries), walk)
	}
	return walk.Deliveries[0].Packet
}

// nothing asks that a frame reached nobody, and was counted as refused where it ended.
func (w *world) nothing(walk *simulate.Walk, what string) {
	w.t.Helper()
	if len(walk.Deliveries) > 0 {
		w.fatalf("%s: delivered:\n%s", what, walk)
	}
	if !refused(walk.Hops[len(walk.Hops)-1].Result) {
		w.fatalf("%s: vanished without a reason:\n%s", what, walk)
	}
}

// refused reports whether a walk ended at a flow that counts drops by reason.
func refused(r *simulate.Result) bool {
	last := r.Trace[len(r.Trace)-1].Flow
	if last == nil {
		return false
	}
	class, ok := flows.Account(last)
	return ok && class.Reason != ""
}

// count expects frames in the accounting.
func (w *world) count(tenant, direction, scope string, n int) {
	w.expected[flows.Class{Tenant: w.Number(tenant), Direction: direction, Scope: scope}] += uint64(n)
}

// talk lets every pair of a tenant, or of peered networks, resolve each other and exchange packets both ways.
func (w *world) talk() {
	for _, a := range w.Ports {
		for _, b := range w.Ports {
			if a != b && (a.Key.Tenant == b.Key.Tenant || w.State.Crosses(a.Key.NetworkName(), b.Key.NetworkName())) {
				w.converse(a, b, netip.Addr.Is4)
				w.converse(a, b, netip.Addr.Is6)
			}
		}
		w.broadcast(a)
	}
}

// converse has a ask b and b answer, in one address family.
func (w *world) converse(a, b *port, is func(netip.Addr) bool) {
	from, ok := a.End(is)
	to, both := b.End(is)
	if !ok || !both {
		return
	}
	routed := a.Key.NetworkName() != b.Key.NetworkName()
	there, back := w.nextHop(a, b, from, to, routed), w.nextHop(b, a, to, from, routed)
	for _, p := range []simulate.Packet{
		simulate.ICMPEcho(from, there, 7), simulate.TCP(from, there, simulate.TCPSyn), simulate.UDP(from, there),
	} {
		got := w.only(w.send(a, p), b, "question")
		if ttl := got.Uint(of.FieldIPTTL); routed != (ttl == 63) || !routed && ttl != 64 {
			w.fatalf("%s to %s: arrived with TTL %d, routed %t", a.Key.Short(), b.Key.Short(), ttl, routed)
		}
		answer := simulate.Answer(got, b.Value.MAC)
		answer.SetUint(of.FieldEthDst, back.MAC.Uint64())
		w.only(w.send(b, answer), a, "answer")
		scope := flows.ScopeInternal
		if a.Key.Tenant != b.Key.Tenant {
			scope = flows.ScopePeering
		}
		for _, end := range []*port{a, b} {
			w.count(end.Key.Tenant, flows.DirectionOut, scope, 1)
			w.count(end.Key.Tenant, flows.DirectionIn, scope, 1)
		}
	}
}

// nextHop resolves to's MAC as a container does, or the router's, and returns to with it.
func (w *world) nextHop(a, b *port, from, to simulate.Endpoint, routed bool) simulate.Endpoint {
	asked, want := to.IP, to.MAC
	if routed {
		asked, want = w.router(a, to.IP), store.RouterMAC
	}
	var got uint64
	switch {
	case from.IP.Is4():
		answer := w.only(w.send(a, simulate.ARPRequest(from, asked)), a, "ARP request")
		got = answer.Uint(of.FieldARPSHA)
	case routed:
		answer := w.only(w.send(a, simulate.NeighbourSolicitation(from, asked)), a, "neighbour solicitation")
		got = answer.Uint(of.FieldNDTLL)
	default:
		got = w.solicit(a, b, from, to)
	}
	if got != want.Uint64() {
		w.fatalf("%s resolved %s to %012x, not %s", a.Key.Short(), asked, got, want)
	}
	to.MAC = want
	return to
}

// solicit asks the target itself, which answers.
func (w *world) solicit(a, b *port, from, to simulate.Endpoint) uint64 {
	w.only(w.send(a, simulate.NeighbourSolicitation(from, to.IP)), b, "neighbour solicitation")
	answer := w.only(w.send(b, simulate.NeighbourAdvertisement(to, from)), a, "neighbour advertisement")
	w.count(a.Key.Tenant, flows.DirectionOut, flows.ScopeInternal, 2)
	w.count(a.Key.Tenant, flows.DirectionIn, flows.ScopeInternal, 2)
	return answer.Uint(of.FieldNDTLL)
}

// router is the router's address in a port's network, of an address's family.
func (w *world) router(p *port, like netip.Addr) netip.Addr {
	for _, s := range w.State.Network(p.Key.NetworkName()).Value.Subnets {
		if s.Gateway.Is4() == like.Is4() {
			return s.Gateway
		}
	}
	return netip.Addr{}
}

// broadcast reaches every other port of the network once.
func (w *world) broadcast(a *port) {
	to := simulate.Endpoint{MAC: simulate.Broadcast, IP: netip.MustParseAddr("255.255.255.255"), Port: 9}
	if w.IntN(2) == 0 {
		to.MAC, to.IP = store.MAC{1, 0, 0x5e, 0, 0, 9}, netip.MustParseAddr("224.0.0.9")
	}
	walk := w.send(a, simulate.UDP(a.End4(), to))
	reached := map[*port]int{}
	for _, d := range walk.Deliveries {
		reached[w.portAt(d)]++
	}
	others := w.Others(a)
	for _, b := range others {
		if reached[b] != 1 {
			w.fatalf("broadcast of %s reached %s %d times:\n%s", a.Key.Short(), b.Key.Short(), reached[b], walk)
		}
	}
	if len(reached) != len(others) {
		w.fatalf("broadcast of %s reached others than its network:\n%s", a.Key.Short(), walk)
	}
	w.count(a.Key.Tenant, flows.DirectionOut, flows.ScopeInternal, 1)
	w.count(a.Key.Tenant, flows.DirectionIn, flows.ScopeInternal, len(others))
}

// leave lets every port speak with the internet and get its answers.
func (w *world) leave() {
	for _, a := range w.Ports {
		from, to := a.End4(), outside
		to.MAC = store.RouterMAC
		for i, p := range []simulate.Packet{
			simulate.ICMPEcho(from, to, uint16(a.Value.Number)), simulate.TCP(from, to, simulate.TCPSyn), simulate.UDP(from, to),
			simulate.TCP(from, to, simulate.TCPAck),
		} {
			w.egress(a, p, i)
		}
	}
}

// egress sends one packet out and, where the tenant has a gateway, an answer back.
func (w *world) egress(a *port, p simulate.Packet, i int) {
	walk := w.send(a, p)
	g := w.State.Gateway(a.Key.Tenant)
	if g == nil {
		w.nothing(walk, "egress without a gateway")
		return
	}
	if len(walk.Deliveries) != 1 || !walk.Deliveries[0].Kernel {
		w.fatalf("egress packet %d of %s did not leave once:\n%s", i, a.Key.Short(), walk)
	}
	left := walk.Deliveries[0]
	if left.Host != g.Value.Active {
		w.fatalf("egress packet %d of %s left at %s:\n%s", i, a.Key.Short(), left.Host, walk)
	}
	answer := simulate.Answer(left.Packet, store.KernelMAC)
	back, err := w.cluster.Send(left.Host, gatewayPort, answer)
	if err != nil {
		w.fatalf("answer to %s: %v", &left.Packet, err)
	}
	got := w.only(back, a, "answer from outside")
	if got.Get(of.FieldIPDst) != p.Get(of.FieldIPSrc) || got.Uint(of.FieldTCPDst) != p.Uint(of.FieldTCPSrc) {
		w.fatalf("answer to %s was not translated back:\n%s", a.Key.Short(), back)
	}
	w.count(a.Key.Tenant, flows.DirectionOut, flows.ScopeEgress, 1)
	w.count(a.Key.Tenant, flows.DirectionIn, flows.ScopeEgress, 1)
	w.count(a.Key.Tenant, flows.DirectionOut, flows.ScopeGateway, 1)
	w.count(a.Key.Tenant, flows.DirectionIn, flows.ScopeGateway, 1)
}

// counters sums what the switches counted, traffic only.
func (w *world) counters() map[flows.Class]uint64 {
	sums := map[flows.Class]uint64{}
	for _, h := range w.switches {
		for f := range h.Bridge.Flows() {
			if class, ok := flows.Account(&f.Flow); ok && class.Reason == "" && f.Packets > 0 {
				sums[class] += f.Packets
			}
		}
	}
	return sums
}

func (w *world) compareCounters() {
	got := w.counters()
	for class, n := range w.expected {
		if got[class] != n {
			w.t.Errorf("counted %d packets of %+v, sent %d", got[class], class, n)
		}
	}
	for class, n := range got {
		if _, ok := w.expected[class]; !ok {
			w.t.Errorf("counted %d packets of %+v, sent none", n, class)
		}
	}
	if w.t.Failed() {
		w.fatalf("counters differ")
	}
}

// misbehave sends from every port what it may not, and what leads nowhere: it reaches
// nobody, and what is spoofed is not even counted as sent.
func (w *world) misbehave() {
	for _, a := range w.Ports {
		before := w.counters()
		for what, p := range w.spoofed(a) {
			w.nothing(w.send(a, p), what)
		}
		if after := w.counters(); fmt.Sprint(before) != fmt.Sprint(after) {
			w.fatalf("spoofed frames of %s were counted: %v, then %v", a.Key.Short(), before, after)
		}
		for what, p := range w.misdirected(a) {
			w.nothing(w.send(a, p), what)
		}
		w.trespass(a)
	}
}

// spoofed are frames that claim what the port was not given, or are forbidden.
func (w *world) spoofed(a *port) map[string]simulate.Packet {
	me, router := a.End4(), simulate.Endpoint{MAC: store.RouterMAC, IP: outside.IP, Port: 53}
	victim := w.Ports[w.IntN(len(w.Ports))].End4()
	if others := w.Others(a); len(others) > 0 {
		victim = others[w.IntN(len(others))].End4()
	}
	stranger := simulate.Endpoint{MAC: store.MAC{2, 0xff, 0, 0, 0, 1}, IP: netip.MustParseAddr("10.0.0.250")}
	answered := victim
	if answered.IP == me.IP { // by that a port tells its neighbours of its own address
		answered = stranger
	}
	notMyMAC, notMyIP := me, me
	notMyMAC.MAC, notMyIP.IP = stranger.MAC, stranger.IP
	inside := simulate.ARPRequest(me, w.router(a, me.IP))
	inside.SetUint(of.FieldARPSHA, stranger.MAC.Uint64())
	vlan := uint16(1 + w.IntN(int(w.VLANs)+1))
	return map[string]simulate.Packet{
		"spoofed MAC":             simulate.UDP(notMyMAC, victim),
		"spoofed MAC to outside":  simulate.UDP(notMyMAC, router),
		"spoofed IP":              simulate.UDP(notMyIP, victim),
		"spoofed IP to outside":   simulate.TCP(notMyIP, router, simulate.TCPSyn),
		"spoofed transit address": simulate.UDP(simulate.Endpoint{MAC: me.MAC, IP: store.DefaultTransit.Address(1)}, router),
		"the router's MAC":        simulate.UDP(simulate.Endpoint{MAC: store.RouterMAC, IP: me.IP}, victim),
		"the kernel's MAC":        simulate.UDP(simulate.Endpoint{MAC: store.KernelMAC, IP: me.IP}, victim),
		"ARP for another":         simulate.ARPReply(notMyIP, victim),
		"ARP request by another":  simulate.ARPRequest(notMyIP, w.router(a, me.IP)),
		"ARP request by a MAC":    inside,
		"unsolicited ARP reply":   simulate.ARPReply(me, answered),
		"tagged":                  simulate.UDP(me, victim).Tag(vlan),
		"priority-tagged":         simulate.UDP(me, victim).Tag(0),
		"double-tagged":           simulate.UDP(me, victim).Tag(vlan).Tag(vlan),
		"tagged broadcast":        simulate.UDP(me, simulate.Endpoint{MAC: simulate.Broadcast, IP: victim.IP}).Tag(vlan),
		"fragment to broadcast":   fragment(simulate.UDP(me, simulate.Endpoint{MAC: simulate.Broadcast, IP: victim.IP, Port: 68})),
		"fragment to 255.255.255.255 at a unicast MAC": fragment(simulate.UDP(me, simulate.Endpoint{MAC: victim.MAC, IP: worlds.Addr("255.255.255.255")})),
		"later fragment to a group":                    laterFragment(simulate.UDP(me, simulate.Endpoint{MAC: store.MAC{1, 0, 0x5e, 0, 0, 9}, IP: worlds.Addr("224.0.0.9")})),
		"DHCP server":                                  simulate.UDP(simulate.Endpoint{MAC: me.MAC, IP: me.IP, Port: 67}, victim),
		"to a DHCP client":                             simulate.UDP(me, simulate.Endpoint{MAC: victim.MAC, IP: victim.IP, Port: 68}),
		"other Ethernet type":                          simulate.Ethernet(me.MAC, victim.MAC, 0x88b5),
		"spoofed IPv6":                                 simulate.UDP(simulate.Endpoint{MAC: me.MAC, IP: worlds.Addr("fd00::250")}, simulate.Endpoint{MAC: victim.MAC, IP: worlds.Addr("fd00::11")}),
		"neighbour advertisement":                      simulate.NeighbourAdvertisement(simulate.Endpoint{MAC: me.MAC, IP: worlds.Addr("fd00::250")}, simulate.Endpoint{MAC: victim.MAC, IP: worlds.Addr("fd00::11")}),
		"source is a multicast":                        simulate.UDP(simulate.Endpoint{MAC: store.MAC{1, 0, 0x5e, 0, 0, 1}, IP: me.IP}, victim),
		"zero source":                                  simulate.UDP(simulate.Endpoint{MAC: me.MAC, IP: worlds.Addr("0.0.0.0")}, victim),
		"hand-over MAC":                                simulate.UDP(me, simulate.Endpoint{MAC: store.HandOverMAC, IP: outside.IP}),
		"bounce MAC":                                   simulate.UDP(me, simulate.Endpoint{MAC: store.BounceMAC, IP: outside.IP}),
		"ARP for nobody":                               simulate.ARPRequest(me, stranger.IP),
		"ARP for a transit address":                    simulate.ARPRequest(me, store.DefaultTransit.Address(1)),
	}
}

// fragment is the first fragment of a packet: a switch reads no ports in it.
func fragment(p simulate.Packet) simulate.Packet {
	p.SetUint(of.FieldIPFrag, simulate.FragmentFirst)
	return p
}

// laterFragment is any but the first.
func laterFragment(p simulate.Packet) simulate.Packet {
	p.SetUint(of.FieldIPFrag, simulate.FragmentLater)
	return p
}

// misdirected are honest frames to where no tenant may go, or where nobody is.
func (w *world) misdirected(a *port) map[string]simulate.Packet {
	me := a.End4()
	via := func(ip string) simulate.Endpoint {
		return simulate.Endpoint{MAC: store.RouterMAC, IP: netip.MustParseAddr(ip), Port: 22}
	}
	vtep := "172.30.0.1" // of the infrastructure at least
	if v := w.State.Host(w.Hosts[w.IntN(len(w.Hosts))]).Value.VTEP(); v.Is4() {
		vtep = v.String()
	}
	return map[string]simulate.Packet{
		"unknown MAC":          simulate.UDP(me, simulate.Endpoint{MAC: store.MAC{2, 0xff, 0, 0, 0, 9}, IP: me.IP}),
		"the kernel's MAC":     simulate.UDP(me, simulate.Endpoint{MAC: store.KernelMAC, IP: outside.IP}),
		"unknown address":      simulate.UDP(me, via("10.0.0.250")),
		"a VTEP":               simulate.TCP(me, via(vtep), simulate.TCPSyn),
		"a VTEP, midstream":    simulate.TCP(me, via(vtep), simulate.TCPAck),
		"infrastructure":       simulate.TCP(me, via("192.0.2.3"), simulate.TCPSyn),
		"a transit address":    simulate.UDP(me, via(store.DefaultTransit.Address(uint32(1+w.IntN(4))).String())),
		"the kernel's address": simulate.ICMPEcho(me, via(store.DefaultTransit.Kernel().String()), 1),
		"loopback":             simulate.UDP(me, via("127.0.0.1")),
		"link-local":           simulate.UDP(me, via("169.254.169.254")),
		"multicast, routed":    simulate.UDP(me, via("224.0.0.5")),
		"TTL 0 to a network":   withTTL(simulate.UDP(me, via(me.IP.String())), 0),
		"TTL 1 to a network":   withTTL(simulate.UDP(me, via(me.IP.String())), 1),
	}
}

// trespass aims at every port of other tenants, by MAC and by address. Where the own
// tenant has the same, that one gets the frame; send checks that no other does.
func (w *world) trespass(a *port) {
	for _, b := range w.Ports {
		if a.Key.Tenant == b.Key.Tenant {
			continue
		}
		direct, routed := b.End4(), b.End4()
		routed.MAC = store.RouterMAC
		w.send(a, simulate.ARPRequest(a.End4(), direct.IP))
		for _, to := range []simulate.Endpoint{direct, routed} {
			w.send(a, simulate.ICMPEcho(a.End4(), to, 99))
			w.send(a, simulate.TCP(a.End4(), to, simulate.TCPSyn))
		}
	}
}

// intrude comes from where no container is: from the kernel without a connection, by
// tunnel from strangers or under keys that are nobody's, by ports that nobody has.
func (w *world) intrude() {
	for _, h := range w.switches {
		for _, a := range w.Ports {
			inner := simulate.UDP(simulate.Endpoint{MAC: store.MAC{2, 9, 9, 9, 9, 9}, IP: outside.IP, Port: 1}, a.End4())
			transit := simulate.Endpoint{MAC: store.RouterMAC, IP: store.DefaultTransit.Address(w.Number(a.Key.Tenant)), Port: 7}
			for what, p := range map[string]simulate.Packet{
				"unasked, to a transit address": simulate.TCP(outside, transit, simulate.TCPSyn),
				"unasked, to a container":       inner,
			} {
				w.unsent(h, gatewayPort, p, what)
			}
			w.unsent(h, 99, inner, "from a port that nobody has")
			w.tunnelled(h, inner, a)
		}
	}
}

func (w *world) unsent(h *simulate.Host, port uint32, p simulate.Packet, what string) {
	result, err := h.Bridge.Run(p, port)
	if err != nil || len(result.Outputs) > 0 || !refused(result) {
		w.fatalf("%s, host %s: %v\n%s", what, h.Name, err, result)
	}
}

// tunnelled is a's frame as it would come by tunnel, but from no host's address, or under a
// key that is no network's.
func (w *world) tunnelled(h *simulate.Host, p simulate.Packet, a *port) {
	n := w.State.Network(a.Key.NetworkName()).Value
	key := uint64(n.Number)
	if n.Segmentation == store.SegmentationVLAN {
		key, p = store.VLANTunnelKey, p.Tag(uint16(n.Segment))
	}
	p.SetUint(of.FieldTunID, key)
	for _, stranger := range []string{"172.30.0.99", "fd30::99"} {
		w.unsent(h, tunnelPort, from(p, netip.MustParseAddr(stranger)), "by tunnel from a stranger")
	}
	if h.Name != "imposter" {
		w.unsent(h, tunnelPort, from(p, h.VTEP), "by tunnel from itself")
	}
	for _, other := range w.switches {
		if other != h {
			p = from(p, other.VTEP)
		}
	}
	p.SetUint(of.FieldTunID, 0xabcdef)
	w.unsent(h, tunnelPort, p, "by tunnel under a strange key")
	p.SetUint(of.FieldTunID, store.VLANTunnelKey)
	w.unsent(h, tunnelPort, p.Tag(4000), "by tunnel under a strange VLAN id")
}

// from is the frame as it comes by tunnel from an address.
func from(p simulate.Packet, vtep netip.Addr) simulate.Packet {
	src, other := of.FieldTunSrc, of.FieldTunIPv6Src
	if vtep.Is6() {
		src, other = other, src
	}
	p.Set(src, of.Address(vtep))
	p.SetUint(other, 0)
	return p
}
