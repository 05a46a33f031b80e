package flows_test

import (
	"net/netip"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/simulate"
	"sluice/store"
)

// Questions for names go to the resolver of the host, each tenant's to its own desk, and nothing else does.
func TestQuestionsReachTheResolver(t *testing.T) {
	l := newLab(t)
	at := func(ip netip.Addr, port uint16) simulate.Endpoint {
		return simulate.Endpoint{MAC: store.RouterMAC, IP: ip, Port: port}
	}
	asked := at(store.Resolver4, 53)
	out := func(tenant uint32) map[flows.Class]uint64 {
		return map[flows.Class]uint64{class(tenant, "out", "internal"): 1}
	}
	for _, tt := range []struct {
		about, from string
		packet      simulate.Packet
		to          string // "": nobody
		desk        string
		counts      map[flows.Class]uint64
	}{
		{"over UDP", "a1", simulate.UDP(l.end("a1"), asked), "resolver of h1", "240.53.0.7", out(7)},
		{"over TCP", "a1", simulate.TCP(l.end("a1"), asked, simulate.TCPSyn), "resolver of h1", "240.53.0.7", out(7)},
		{"on another host", "a2", simulate.UDP(l.end("a2"), asked), "resolver of h2", "240.53.0.7", out(7)},
		{"of another tenant", "b1", simulate.UDP(l.end("b1"), asked), "resolver of h1", "240.53.0.9", out(9)},
		{"another port", "a1", simulate.UDP(l.end("a1"), at(store.Resolver4, 54)), "", "", map[flows.Class]uint64{drop(7, "no-route"): 1}},
		{"HTTP", "a1", simulate.TCP(l.end("a1"), at(store.Resolver4, 80), simulate.TCPSyn), "", "", map[flows.Class]uint64{drop(7, "no-route"): 1}},
		{"an echo", "a1", simulate.ICMPEcho(l.end("a1"), asked, 1), "", "", map[flows.Class]uint64{drop(7, "no-route"): 1}},
		{"another address of the range", "a1", simulate.UDP(l.end("a1"), at(store.Resolver4.Next(), 53)), "", "", map[flows.Class]uint64{drop(7, "no-route"): 1}},
		{"another's desk", "a1", simulate.UDP(l.end("a1"), at(store.Desk(9, store.Resolver4), 53)), "", "", map[flows.Class]uint64{drop(7, "no-route"): 1}},
		{"from another's address", "a1", simulate.UDP(simulate.Endpoint{MAC: l.end("a1").MAC, IP: l.end("a2").IP, Port: 1}, asked), "", "",
			map[flows.Class]uint64{drop(7, "spoofed"): 1}},
	} {
		t.Run(tt.about, func(t *testing.T) {
			l.T = t
			l.program()
			walk, got := l.send(tt.from, tt.packet)
			l.compareCounts(tt.counts, walk)
			if tt.to == "" {
				if len(got) > 0 {
					t.Errorf("%v got it\n%s", got, walk)
				}
				return
			}
			if len(got) != 1 || got[0] != tt.to {
				t.Fatalf("%v got it, want %s\n%s", got, tt.to, walk)
			}
			p := &walk.Deliveries[0].Packet
			if at := p.Get(of.FieldIPDst).IP(false); at.String() != tt.desk || p.Get(of.FieldIPSrc) != of.Address(l.end(tt.from).IP) ||
				p.Uint(of.FieldEthDst) != store.ResolverMAC.Uint64() || p.Uint(of.FieldEthSrc) != store.RouterMAC.Uint64() {
				t.Errorf("it got %s", p)
			}
		})
	}
}

// An answer comes to the port that has its address, of the tenant whose desk it comes from, under the resolver's address.
func TestAnswersOfTheResolver(t *testing.T) {
	l := newLab(t)
	for name, tenant := range map[string]uint32{"a1": 7, "b1": 9} {
		l.program()
		e := l.end(name)
		desk := simulate.Endpoint{MAC: store.ResolverMAC, IP: store.Desk(tenant, store.Resolver4), Port: 53}
		walk, got := l.enter("h1", resolver, simulate.UDP(desk, simulate.Endpoint{MAC: store.ResolverMAC, IP: e.IP, Port: 1000}))
		if len(got) != 1 || got[0] != name {
			t.Fatalf("%v got the answer for %s\n%s", got, name, walk)
		}
		p := &walk.Deliveries[0].Packet
		if p.Get(of.FieldIPSrc) != of.Address(store.Resolver4) || p.Uint(of.FieldEthSrc) != store.RouterMAC.Uint64() || p.Uint(of.FieldEthDst) != e.MAC.Uint64() {
			t.Errorf("%s got %s", name, p)
		}
		l.compareCounts(map[flows.Class]uint64{class(tenant, "in", "internal"): 1}, walk)
	}
	for about, src := range map[string]netip.Addr{"a desk of nobody": store.Desk(8, store.Resolver4), "no desk": netip.MustParseAddr("192.0.2.1")} {
		walk, got := l.enter("h1", resolver, simulate.UDP(simulate.Endpoint{MAC: store.ResolverMAC, IP: src, Port: 53},
			simulate.Endpoint{MAC: store.ResolverMAC, IP: l.end("a1").IP, Port: 1000}))
		if len(got) > 0 {
			t.Errorf("%s: %v got it\n%s", about, got, walk)
		}
	}
}

// Whoever takes the resolver for a neighbour is sent to the router.
func TestARPForTheResolver(t *testing.T) {
	l := newLab(t)
	walk, got := l.send("a1", simulate.ARPRequest(l.end("a1"), store.Resolver4))
	if len(got) != 1 || got[0] != "a1" || walk.Deliveries[0].Packet.Uint(of.FieldARPSHA) != store.RouterMAC.Uint64() {
		t.Errorf("%v got the answer\n%s", got, walk)
	}
	if walk, got = l.send("a1", simulate.ARPRequest(l.end("a1"), store.Resolver4.Next())); len(got) > 0 {
		t.Errorf("of another address %v got an answer\n%s", got, walk)
	}
}

// A host without a resolver port has no flows of it, and questions are refused like all else to such an address.
func TestAHostWithoutAResolver(t *testing.T) {
	l := newLab(t)
	all, _ := flows.Desired(l.state, flows.Switch{Host: "h1", OFPort: map[string]uint32{store.TunnelInterface: 1, "sl-a1": 2}})
	for i := range all {
		if flows.Slice(all[i].Cookie).Kind() == flows.KindResolver {
			t.Errorf("it holds %s", &all[i])
		}
	}
}
