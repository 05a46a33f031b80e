package flows_test

import (
	"fmt"
	"slices"
	"testing"

	"sluice/flows"
	"sluice/flows/simulate"
	"sluice/store"

	of "sluice/datapath/openflow"
)

// trunks gives each of some hosts a trunk, and says whether it is ready, and programs some of the switches.
func (l *lab) trunks(ready map[string]bool, program ...string) {
	l.Helper()
	for _, name := range []string{"h1", "h2", "h3"} {
		h := *l.state.Host(name).Value
		_, has := ready[name]
		if h.Trunk, h.TrunkReady = "", ready[name]; has {
			h.Trunk = "eth1"
		}
		if h.Trunk != l.state.Host(name).Value.Trunk || h.TrunkReady != l.state.Host(name).Value.TrunkReady {
			l.put(store.HostKey(name), &h)
		}
	}
	l.gateway(*l.state.Gateway("alice").Value, program...)
}

// all are trunks of all hosts.
var allTrunks = map[string]bool{"h1": true, "h2": true, "h3": true}

// newTrunk is a lab in which bob (VLAN) has containers on all hosts, and all hosts have a trunk.
func newTrunk(t *testing.T) *lab {
	l := newLab(t)
	l.port("h2", "bob", "b2", 12)
	l.program()
	l.trunks(allTrunks, "h1", "h2", "h3")
	return l
}

// by are the ways on which a frame left switches, of a walk: the numbers of ports.
func by(walk *simulate.Walk, port uint32) (frames int) {
	for _, hop := range walk.Hops {
		for _, o := range hop.Result.Outputs {
			if o.Port == port {
				frames++
			}
		}
	}
	return frames
}

// A frame between two ports of a VLAN network goes over the trunk, arrives once though a switch there sends it to all hosts, and
// counts as one that went by tunnel would.
func TestTrunkCarriesFramesOfItsNetwork(t *testing.T) {
	l := newTrunk(t)
	walk, got := l.send("b1", simulate.UDP(l.end("b1"), l.end("b3")))
	if !slices.Equal(got, []string{"b3"}) || by(walk, trunkPort) != 1 || by(walk, tunnelPort) != 0 {
		t.Errorf("it reached %v\n%s", got, walk)
	}
	l.compareCounts(map[flows.Class]uint64{class(9, "out", "internal"): 1, class(9, "in", "internal"): 1, {Reason: "elsewhere"}: 1}, walk)

	walk, got = l.send("b1", simulate.UDP(l.end("b1"), simulate.Endpoint{MAC: simulate.Broadcast, IP: l.end("b3").IP}))
	slices.Sort(got)
	if !slices.Equal(got, []string{"b2", "b3"}) || by(walk, trunkPort) != 1 || by(walk, tunnelPort) != 0 {
		t.Errorf("a broadcast reached %v\n%s", got, walk)
	}
}

// What leaves by the gateway goes by tunnel as ever: its MACs are on no trunk. So does what comes back.
func TestTrunkCarriesNoRoutersMAC(t *testing.T) {
	l := newTrunk(t)
	walk, got := l.send("b1", simulate.UDP(l.end("b1"), simulate.Endpoint{MAC: store.RouterMAC, IP: internet, Port: 53}))
	if !slices.Equal(got, []string{"h2"}) || by(walk, trunkPort) != 0 {
		t.Fatalf("it reached %v\n%s", got, walk)
	}
	out := walk.Deliveries[0].Packet
	back := simulate.UDP(simulate.Endpoint{MAC: store.KernelMAC, IP: internet, Port: 53},
		simulate.Endpoint{MAC: store.RouterMAC, IP: out.Get(of.FieldIPSrc).IP(false), Port: uint16(out.Uint(of.FieldUDPSrc))})
	if walk, got = l.enter("h2", gatewayPort, back); !slices.Equal(got, []string{"b1"}) || by(walk, trunkPort) != 0 {
		t.Errorf("the answer reached %v\n%s", got, walk)
	}
}

// A stranger on the trunk reaches nobody: neither with a MAC of nobody, nor with that of a port here, nor in a VLAN of nobody, nor without a
// tag. Nor does anybody reach a router or another host by it.
func TestTrunkTakesFramesOfItsPortsAlone(t *testing.T) {
	l := newTrunk(t)
	stranger := l.end("b3")
	stranger.MAC = store.MAC{2, 0, 0, 0, 0, 99}
	for _, tt := range []struct {
		about  string
		packet simulate.Packet
		reason flows.Class
	}{
		{"nobody's MAC", simulate.UDP(stranger, l.end("b1")).Tag(9), flows.Class{Reason: "unknown-source"}},
		{"the MAC of a port here", simulate.UDP(l.end("b1"), l.end("b1")).Tag(9), flows.Class{Reason: "unknown-source"}},
		{"nobody's VLAN", simulate.UDP(l.end("b3"), l.end("b1")).Tag(10), flows.Class{Reason: "unknown-segment"}},
		{"the VLAN of a network in tunnels", simulate.UDP(l.end("a2"), l.end("a1")).Tag(7), flows.Class{Reason: "unknown-segment"}},
		{"no tag", simulate.UDP(l.end("b3"), l.end("b1")), flows.Class{Reason: "unknown-segment"}},
		{"to a router", simulate.UDP(l.end("b3"), simulate.Endpoint{MAC: store.RouterMAC, IP: internet, Port: 53}).Tag(9),
			flows.Class{Tenant: 9, Reason: "unknown-destination"}},
		{"to a port on another host", simulate.UDP(l.end("b3"), l.end("b2")).Tag(9), flows.Class{Reason: "elsewhere"}},
	} {
		l.program()
		walk, got := l.enter("h1", trunkPort, tt.packet)
		if len(got) > 0 {
			t.Errorf("%s: it reached %v\n%s", tt.about, got, walk)
		}
		l.compareCounts(map[flows.Class]uint64{tt.reason: 1}, walk)
	}
}

// A second MAC of a port passes too, and two ports may share it.
func TestTrunkKnowsAllowedPairs(t *testing.T) {
	l := newTrunk(t)
	for _, name := range []string{"b1", "b3"} {
		p := *l.ports[name].Value
		p.AllowedPairs = []store.AddressPair{{MAC: store.MAC{2, 0, 0, 0, 0, 77}, Prefix: p.Addresses[0]}}
		l.put(l.ports[name].Key, &p)
		l.ports[name] = l.state.Port(l.ports[name].Key)
	}
	l.program()
	for _, name := range []string{"b1", "b3"} {
		from := l.end(name)
		from.MAC = store.MAC{2, 0, 0, 0, 0, 77}
		if walk, got := l.send(name, simulate.UDP(from, l.end("b2"))); !slices.Equal(got, []string{"b2"}) || by(walk, trunkPort) != 1 {
			t.Errorf("from %s it reached %v\n%s", name, got, walk)
		}
	}
}

// In whatever order the switches get the flows of the next value, each frame and each broadcast arrives, and once: while trunks come
// in their two steps and go again.
func TestEachStepOfATrunkMayBeHalfDone(t *testing.T) {
	hosts := []string{"h1", "h2", "h3"}
	values := []map[string]bool{
		{}, {"h1": false, "h2": false, "h3": false}, {"h1": true, "h2": false, "h3": true}, allTrunks,
		{"h1": true, "h2": true, "h3": false}, {"h1": true, "h2": true}, {"h1": false, "h2": false}, {},
	}
	pairs := [][2]string{{"b1", "b2"}, {"b2", "b3"}, {"b3", "b1"}}
	for n := 1; n < len(values); n++ {
		for done := range 1 << len(hosts) {
			some := slices.DeleteFunc(slices.Clone(hosts), func(host string) bool { return done&(1<<slices.Index(hosts, host)) == 0 })
			l := newTrunk(t)
			l.trunks(values[n-1], hosts...)
			l.trunks(values[n], some...)
			for _, pair := range pairs {
				if walk, got := l.send(pair[0], simulate.UDP(l.end(pair[0]), l.end(pair[1]))); !slices.Equal(got, pair[1:]) {
					t.Errorf("%v to %v on %v: from %s to %s it reached %v\n%s", values[n-1], values[n], some, pair[0], pair[1], got, walk)
				}
				to := simulate.Endpoint{MAC: simulate.Broadcast, IP: l.end("b3").IP}
				if walk, got := l.send(pair[0], simulate.UDP(l.end(pair[0]), to)); len(got) != 2 || got[0] == got[1] {
					t.Errorf("%v to %v on %v: a broadcast of %s reached %v\n%s", values[n-1], values[n], some, pair[0], got, walk)
				}
			}
		}
	}
}

// Flows of a cluster without trunks are what they were without the word: no host's change touches others.
func TestATrunkChangesItsOwnNetworksAlone(t *testing.T) {
	texts := func(l *lab, host int) (all []string) {
		for _, f := range l.installed(host) {
			if flows.Slice(f.Cookie).Kind() != flows.KindBase {
				all = append(all, f.String())
			}
		}
		slices.Sort(all)
		return all
	}
	l := newLab(t)
	before := texts(l, 1) // h2 has alice's port, and is bob's gateway host
	l.trunks(allTrunks, "h1", "h2", "h3")
	if after := texts(l, 1); !slices.Equal(before, after) {
		t.Errorf("h2 has no port of a VLAN network, and its flows changed:\n%s", fmt.Sprint(after))
	}
}
