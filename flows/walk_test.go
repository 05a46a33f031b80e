package flows_test

import (
	"net/netip"
	"slices"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/simulate"
	"sluice/store"
)

func class(tenant uint32, direction, scope string) flows.Class {
	return flows.Class{Tenant: tenant, Direction: direction, Scope: scope}
}

func drop(tenant uint32, reason string) flows.Class {
	return flows.Class{Tenant: tenant, Reason: reason}
}

// What one frame comes to: who gets it, and what is counted for it.
func TestOneFrame(t *testing.T) {
	l := newLab(t)
	a1, a2, a3, b1 := l.end("a1"), l.end("a2"), l.end("a3"), l.end("b1")
	router := simulate.Endpoint{MAC: store.RouterMAC, IP: netip.MustParseAddr("10.0.0.254")}
	through := func(ip string) simulate.Endpoint {
		return simulate.Endpoint{MAC: store.RouterMAC, IP: netip.MustParseAddr(ip), Port: 80}
	}
	spoof := func(e simulate.Endpoint, mac byte, ip byte) simulate.Endpoint {
		e.MAC[5], e.IP = mac, netip.AddrFrom4([4]byte{10, 0, 0, ip})
		return e
	}
	outIn := map[flows.Class]uint64{class(7, "out", "internal"): 1, class(7, "in", "internal"): 1}
	refused := func(reason string) map[flows.Class]uint64 { return map[flows.Class]uint64{drop(7, reason): 1} }
	tests := []struct {
		about  string
		from   string
		packet simulate.Packet
		want   []string
		counts map[flows.Class]uint64
	}{
		{"to a port on another host", "a1", simulate.ICMPEcho(a1, a2, 1), []string{"a2"}, outIn},
		{"to a port on the same host", "a1", simulate.ICMPEcho(a1, a3, 1), []string{"a3"}, outIn},
		{"in a VLAN network", "b1", simulate.ICMPEcho(b1, l.end("b3"), 1), []string{"b3"},
			map[flows.Class]uint64{class(9, "out", "internal"): 1, class(9, "in", "internal"): 1}},
		{"a broadcast counts once as sent", "a1", simulate.UDP(a1, simulate.Endpoint{MAC: simulate.Broadcast,
			IP: netip.MustParseAddr("10.0.0.255")}), []string{"a3", "a2"},
			map[flows.Class]uint64{class(7, "out", "internal"): 1, class(7, "in", "internal"): 2}},
		{"an ARP request is answered and not counted", "a1", simulate.ARPRequest(a1, a2.IP), []string{"a1"}, nil},
		{"so is one for the router", "a1", simulate.ARPRequest(a1, router.IP), []string{"a1"}, nil},
		{"an echo request to the router is answered", "a1", simulate.ICMPEcho(a1, router, 1), []string{"a1"}, nil},
		{"one's own address is not answered, and neighbours hear of it", "a1", simulate.ARPRequest(a1, a1.IP), []string{"a3", "a2"},
			map[flows.Class]uint64{class(7, "out", "internal"): 1, class(7, "in", "internal"): 2}},
		{"so does one alone that is told", "a1", simulate.ARPReply(a1, simulate.Endpoint{MAC: a2.MAC, IP: a1.IP}), []string{"a2"},
			map[flows.Class]uint64{class(7, "out", "internal"): 1, class(7, "in", "internal"): 1}},
		{"nor one that nobody has", "a1", simulate.ARPRequest(a1, netip.MustParseAddr("10.0.0.99")), nil, refused("unanswered")},
		{"nor one of another tenant", "b1", simulate.ARPRequest(b1, a2.IP), nil, map[flows.Class]uint64{drop(9, "unanswered"): 1}},
		{"egress where the gateway is", "a1", simulate.TCP(a1, through("203.0.113.1"), simulate.TCPSyn), []string{"h1"},
			map[flows.Class]uint64{class(7, "out", "egress"): 1, class(7, "out", "gateway"): 1}},
		{"egress from another host", "a2", simulate.TCP(a2, through("203.0.113.1"), simulate.TCPSyn), []string{"h1"},
			map[flows.Class]uint64{class(7, "out", "egress"): 1, class(7, "out", "gateway"): 1}},
		{"a MAC that is not its own", "a1", simulate.ICMPEcho(spoof(a1, 2, 1), a3, 1), nil, refused("spoofed")},
		{"an address that is not its own", "a1", simulate.ICMPEcho(spoof(a1, 1, 2), a3, 1), nil, refused("spoofed")},
		{"an ARP sender that is not its own", "a1", simulate.ARPRequest(spoof(a1, 1, 2), a3.IP), nil, refused("spoofed")},
		{"IPv6 that it was not given", "a1", simulate.ICMPEcho(simulate.Endpoint{MAC: a1.MAC, IP: a1.MAC.LinkLocal()},
			simulate.Endpoint{MAC: a3.MAC, IP: a3.MAC.LinkLocal()}, 1), nil, refused("spoofed")},
		{"an 802.1Q tag", "a1", simulate.ICMPEcho(a1, a3, 1).Tag(9), nil, refused("forbidden")},
		{"two tags", "a1", simulate.ICMPEcho(a1, a3, 1).Tag(9).Tag(7), nil, refused("forbidden")},
		{"a DHCP server's message", "a1", dhcpOffer(a1, a3), nil, refused("forbidden")},
		{"a message to a DHCP client from any port", "a1", dhcpOfferFrom(6767, a1, a3), nil, refused("forbidden")},
		{"a MAC that nobody has", "a1", simulate.ICMPEcho(a1, spoof(a3, 99, 99), 1), nil, refused("unknown-destination")},
		{"the other tenant's MAC", "a1", simulate.ICMPEcho(a1, b1, 1), nil, refused("unknown-destination")},
		{"an address by the router that nobody has", "a1", simulate.ICMPEcho(a1, through("10.0.0.77"), 1), nil,
			refused("unknown-destination")},
		{"a neighbour by the router costs a hop", "a1", simulate.ICMPEcho(a1, simulate.Endpoint{MAC: store.RouterMAC, IP: a2.IP}, 1),
			[]string{"a2"}, outIn},
		{"and needs one", "a1", withTTL(simulate.ICMPEcho(a1, simulate.Endpoint{MAC: store.RouterMAC, IP: a2.IP}, 1), 1), nil,
			refused("ttl")},
		{"the other tenant's gateway", "a1", simulate.ICMPEcho(a1, through("100.64.0.9"), 1), nil, refused("no-route")},
		{"loopback", "a1", simulate.ICMPEcho(a1, through("127.0.0.1"), 1), nil, refused("no-route")},
		{"link-local", "a1", simulate.ICMPEcho(a1, through("169.254.169.254"), 1), nil, refused("no-route")},
		{"its gateway host", "a1", simulate.TCP(a1, through("172.30.0.1"), simulate.TCPSyn), nil, refused("infrastructure")},
		{"another host, from another host", "a2", simulate.TCP(a2, through("172.30.0.3"), simulate.TCPSyn), nil,
			map[flows.Class]uint64{class(7, "out", "egress"): 1, drop(7, "infrastructure"): 1}},
		{"a router's hand-over MAC", "a1", simulate.TCP(a1, simulate.Endpoint{MAC: store.HandOverMAC, IP: internet}, simulate.TCPSyn),
			nil, refused("no-route")},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			l.T = t
			l.program()
			walk, got := l.send(tt.from, tt.packet)
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("it reached %v, want %v\n%s", got, tt.want, walk)
			}
			l.compareCounts(tt.counts, walk)
		})
	}
}

func withTTL(p simulate.Packet, ttl uint64) simulate.Packet {
	p.SetUint(of.FieldIPTTL, ttl)
	return p
}

func dhcpOffer(from, to simulate.Endpoint) simulate.Packet { return dhcpOfferFrom(67, from, to) }

func dhcpOfferFrom(port uint16, from, to simulate.Endpoint) simulate.Packet {
	from.Port, to.Port = port, 68
	return simulate.UDP(from, to)
}

// Frames that no container sent: from the kernel, and from tunnels.
func TestFromOutside(t *testing.T) {
	l := newLab(t)
	kernel := simulate.Endpoint{MAC: store.KernelMAC, IP: internet, Port: 80}
	transit := func(n byte) simulate.Endpoint {
		return simulate.Endpoint{MAC: store.RouterMAC, IP: netip.AddrFrom4([4]byte{100, 64, 0, n}), Port: 1000}
	}
	tests := []struct {
		about  string
		port   uint32
		packet simulate.Packet
		want   []string
		counts map[flows.Class]uint64
	}{
		{"the kernel asks for a transit address", gatewayPort, simulate.ARPRequest(
			simulate.Endpoint{MAC: store.KernelMAC, IP: store.DefaultTransit.Kernel()}, transit(7).IP), []string{"h1"}, nil},
		{"a connection from outside", gatewayPort, simulate.TCP(kernel, transit(7), simulate.TCPSyn), nil,
			map[flows.Class]uint64{drop(7, "no-connection"): 1}},
		{"for a tenant whose gateway is elsewhere", gatewayPort, simulate.TCP(kernel, transit(9), simulate.TCPSyn), nil,
			map[flows.Class]uint64{drop(0, "no-connection"): 1}},
		{"a frame by tunnel from an address that is no host's", tunnelPort, simulate.ICMPEcho(l.end("a2"), l.end("a1"), 1), nil,
			map[flows.Class]uint64{drop(0, "unknown-vtep"): 1}},
		{"a port that nobody owns", 77, simulate.ICMPEcho(l.end("a2"), l.end("a1"), 1), nil,
			map[flows.Class]uint64{drop(0, "unknown-port"): 1}},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			l.T = t
			l.program()
			walk, got := l.enter("h1", tt.port, tt.packet)
			if !slices.Equal(got, tt.want) {
				t.Errorf("it reached %v, want %v\n%s", got, tt.want, walk)
			}
			l.compareCounts(tt.counts, walk)
		})
	}
}

// An egress conversation is seen outside from the tenant's transit address, comes back,
// and counts in both directions as egress.
func TestEgressConversation(t *testing.T) {
	for _, name := range []string{"a1", "a2"} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			to := simulate.Endpoint{MAC: store.RouterMAC, IP: internet, Port: 80}
			walk, got := l.send(name, simulate.TCP(l.end(name), to, simulate.TCPSyn))
			if !slices.Equal(got, []string{"h1"}) {
				t.Fatalf("the request reached %v\n%s", got, walk)
			}
			out := walk.Deliveries[0].Packet
			if src := out.Get(of.FieldIPSrc); src != of.Address(store.DefaultTransit.Address(7)) {
				t.Errorf("its source is %x outside", src.Lo)
			}
			if dst := out.Uint(of.FieldEthDst); dst != store.KernelMAC.Uint64() {
				t.Errorf("its MAC is %x, not the kernel's", dst)
			}
			walk, got = l.enter("h1", gatewayPort, simulate.Answer(out, store.KernelMAC))
			if !slices.Equal(got, []string{name}) {
				t.Fatalf("the answer reached %v\n%s", got, walk)
			}
			want := map[flows.Class]uint64{class(7, "out", "egress"): 1, class(7, "in", "egress"): 1, class(7, "out", "gateway"): 1, class(7, "in", "gateway"): 1}
			l.compareCounts(want, walk)
		})
	}
}

// The kernel's "time exceeded" comes from the tenant's own router.
func TestTimeExceeded(t *testing.T) {
	l := newLab(t)
	to := simulate.Endpoint{MAC: store.RouterMAC, IP: internet, Port: 80}
	walk, _ := l.send("a2", simulate.UDP(l.end("a2"), to))
	sent := walk.Deliveries[0].Packet
	kernel := simulate.Endpoint{MAC: store.KernelMAC, IP: store.DefaultTransit.Kernel()}
	walk, got := l.enter("h1", gatewayPort, simulate.ICMPError(kernel, &sent))
	if !slices.Equal(got, []string{"a2"}) {
		t.Fatalf("it reached %v\n%s", got, walk)
	}
	if src := walk.Deliveries[0].Packet.Get(of.FieldIPSrc); src != of.Address(netip.MustParseAddr("10.0.0.254")) {
		t.Errorf("its source is %x, not the router's", src.Lo)
	}
}

// A container's ICMP error about its own connection goes to that connection's other end,
// and opens no way to the infrastructure.
func TestICMPErrorOut(t *testing.T) {
	l := newLab(t)
	a1, to := l.end("a1"), simulate.Endpoint{MAC: store.RouterMAC, IP: internet, Port: 80}
	walk, _ := l.send("a1", simulate.UDP(a1, to))
	walk, _ = l.enter("h1", gatewayPort, simulate.Answer(walk.Deliveries[0].Packet, store.KernelMAC))
	about := simulate.ICMPError(a1, &walk.Deliveries[0].Packet)
	about.SetUint(of.FieldEthDst, store.RouterMAC.Uint64())
	if walk, got := l.send("a1", about); !slices.Equal(got, []string{"h1"}) ||
		walk.Deliveries[0].Packet.Get(of.FieldIPSrc) != of.Address(store.DefaultTransit.Address(7)) {
		t.Errorf("it reached %v\n%s", got, walk)
	}
	for _, ip := range []string{"172.30.0.1", "172.30.0.3"} {
		about.Set(of.FieldIPDst, of.Address(netip.MustParseAddr(ip)))
		if walk, got := l.send("a1", about); len(got) > 0 {
			t.Errorf("to %s it reached %v\n%s", ip, got, walk)
		}
	}
}

// A tenant that got a deleted one's number gets none of the answers that are still on
// their way to it.
func TestConnectionsOfAFormerTenant(t *testing.T) {
	l := newLab(t)
	to := simulate.Endpoint{MAC: store.RouterMAC, IP: internet, Port: 80}
	walk, _ := l.send("a1", simulate.UDP(l.end("a1"), to))
	answer := simulate.Answer(walk.Deliveries[0].Packet, store.KernelMAC)
	if walk, got := l.enter("h1", gatewayPort, answer); !slices.Equal(got, []string{"a1"}) {
		t.Fatalf("the answer reached %v\n%s", got, walk)
	}
	l.put(store.TenantKey("alice"), &store.Tenant{Number: 7}) // created anew
	l.reprogram()
	if walk, got := l.enter("h1", gatewayPort, answer); len(got) > 0 {
		t.Errorf("another answer reached %v\n%s", got, walk)
	}
	from := l.end("a1")
	from.Port = 2000
	walk, got := l.send("a1", simulate.UDP(from, to))
	if !slices.Equal(got, []string{"h1"}) {
		t.Fatalf("its own packet reached %v\n%s", got, walk)
	}
	own := simulate.Answer(walk.Deliveries[0].Packet, store.KernelMAC)
	if walk, got := l.enter("h1", gatewayPort, own); !slices.Equal(got, []string{"a1"}) {
		t.Errorf("its own answer reached %v\n%s", got, walk)
	}
}

// While a gateway moves from h1 to h3, h1's connections go on through h1, new ones
// through h3, whichever host the container is on.
func TestGatewayMoves(t *testing.T) {
	for _, proto := range []string{"tcp", "udp"} {
		t.Run(proto, func(t *testing.T) {
			l := newLab(t)
			segment := func(port uint16, flags uint16) simulate.Packet {
				from := l.end("a2")
				from.Port = port
				to := simulate.Endpoint{MAC: store.RouterMAC, IP: internet, Port: 80}
				if proto == "udp" {
					return simulate.UDP(from, to)
				}
				return simulate.TCP(from, to, flags)
			}
			walk, _ := l.send("a2", segment(1, simulate.TCPSyn))
			l.enter("h1", gatewayPort, simulate.Answer(walk.Deliveries[0].Packet, store.KernelMAC))

			l.move("alice", "h3", "h1")
			for _, step := range []struct {
				about string
				p     simulate.Packet
				want  string
			}{
				{"the old connection", segment(1, simulate.TCPAck), "h1"},
				{"a new one", segment(2, simulate.TCPSyn), "h3"},
				{"the old one again", segment(1, simulate.TCPAck), "h1"},
			} {
				walk, got := l.send("a2", step.p)
				if !slices.Equal(got, []string{step.want}) {
					t.Errorf("%s leaves by %v, want %s\n%s", step.about, got, step.want, walk)
				}
			}
		})
	}
}

// move makes another host the tenant's gateway while the old one drains.
func (l *lab) move(tenant, to, draining string) {
	l.Helper()
	l.put(store.GatewayKey(tenant), &store.Gateway{Active: to, Draining: []string{draining}})
	l.reprogram()
}

// reprogram gives every switch the flows of the state as it is now. Connections stay.
func (l *lab) reprogram() {
	l.Helper()
	before := l.hosts
	l.program()
	for i, h := range before {
		if err := h.Bridge.Replace(l.installed(i)); err != nil {
			l.Fatal(err)
		}
		l.hosts[i].Bridge = h.Bridge
	}
}

func (l *lab) installed(host int) []of.Flow {
	var all []of.Flow
	for f := range l.hosts[host].Bridge.Flows() {
		all = append(all, f.Flow)
	}
	return all
}
