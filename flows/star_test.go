package flows_test

import (
	"fmt"
	"slices"
	"testing"

	"sluice/flows"
	"sluice/flows/simulate"
	"sluice/store"
)

// newStar is a lab in which alice has containers on all hosts: a1 and a3 on h1, a2 on h2, a4 on h3.
func newStar(t *testing.T, g store.Gateway) *lab {
	l := newLab(t)
	l.port("h3", "alice", "a4", 44)
	l.program()
	l.gateway(g, "h1", "h2", "h3")
	return l
}

// starValues are what follows each other while alice gets a star, her gateway moves, a backup takes over, and the star ends.
func starValues() []store.Gateway {
	list := []store.Gateway{{Active: "h1"}, {Active: "h1", Relay: store.RelayReady}}
	for _, g := range values {
		g.Relay = store.RelayOn
		list = append(list, g)
	}
	end := list[len(list)-1]
	end.Relay = store.RelayReady
	list = append(list, end)
	end.Relay = ""
	return append(list, end)
}

var starPairs = [][2]string{{"a1", "a2"}, {"a2", "a1"}, {"a1", "a4"}, {"a4", "a1"}, {"a2", "a4"}, {"a4", "a2"}, {"a2", "a3"}}

// In whatever order the switches get the flows of the next value, each frame between two hosts arrives, and once.
func TestEachStepOfAStarMayBeHalfDone(t *testing.T) {
	hosts := []string{"h1", "h2", "h3"}
	values := starValues()
	for n := 1; n < len(values); n++ {
		for done := range 1 << len(hosts) {
			var some []string
			for i, host := range hosts {
				if done&(1<<i) != 0 {
					some = append(some, host)
				}
			}
			l := newStar(t, values[n-1])
			l.gateway(values[n], some...)
			for _, pair := range starPairs {
				walk, got := l.send(pair[0], simulate.UDP(l.end(pair[0]), l.end(pair[1])))
				if !slices.Equal(got, []string{pair[1]}) {
					t.Errorf("step %d, %+v to %+v on %v: from %s to %s it reached %v\n%s", n, values[n-1], values[n], some, pair[0], pair[1], got, walk)
				}
			}
		}
	}
}

// Where nothing moves all goes by the active gateway host, and counts once where it was sent and once where it arrived.
func TestStarRelays(t *testing.T) {
	for _, g := range []store.Gateway{
		{Active: "h1", Relay: store.RelayOn},
		{Active: "h3", Relay: store.RelayOn},
		{Active: "h3", Backup: "h2", Relay: store.RelayOn},
	} {
		t.Run(fmt.Sprint(g.Active, g.Backup), func(t *testing.T) {
			l := newStar(t, g)
			for _, pair := range starPairs {
				l.program()
				l.gateway(g, "h1", "h2", "h3")
				from, to := l.ports[pair[0]].Key.Host, l.ports[pair[1]].Key.Host
				walk, got := l.send(pair[0], simulate.UDP(l.end(pair[0]), l.end(pair[1])))
				want := []string{from, g.Active, to}
				if from == g.Active || to == g.Active {
					want = []string{from, to}
				}
				if !slices.Equal(got, pair[1:]) || !slices.Equal(append(walk.Deliveries[0].Through, ""), append(want, "")) {
					t.Errorf("from %s to %s it reached %v through %v, want %v\n%s", pair[0], pair[1], got, walk.Deliveries[0].Through, want, walk)
				}
				l.compareCounts(map[flows.Class]uint64{class(7, "out", "internal"): 1, class(7, "in", "internal"): 1}, walk)
			}
		})
	}
}

// A broadcast comes to each container once, in whichever part of a move the hosts are, and counts once as sent. Where the
// gateway hosts only begin to relay it goes to all hosts straight.
func TestStarBroadcasts(t *testing.T) {
	all := []string{"a1", "a2", "a3", "a4"}
	for n, g := range starValues() {
		l := newStar(t, g)
		for _, from := range all {
			l.program()
			l.gateway(g, "h1", "h2", "h3")
			to := simulate.Endpoint{MAC: simulate.Broadcast, IP: l.end("a1").IP}
			walk, got := l.send(from, simulate.UDP(l.end(from), to))
			slices.Sort(got)
			want := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == from })
			if !slices.Equal(got, want) {
				t.Errorf("value %d, %+v: from %s it reached %v\n%s", n, g, from, got, walk)
			}
			l.compareCounts(map[flows.Class]uint64{class(7, "out", "internal"): 1, class(7, "in", "internal"): 3}, walk)
		}
	}
}

// Two gateway hosts that differ in where a port is send a frame once to each other, and not in circles.
func TestStarDoesNotCircle(t *testing.T) {
	g := store.Gateway{Active: "h1", Move: &store.Move{To: "h3"}, Relay: store.RelayOn}
	l := newStar(t, g)
	moved := *l.ports["a3"].Value // h1 has it no more, h3 not yet
	l.put(l.ports["a3"].Key, nil)
	l.put(store.PortKey("h3", "alice", "default", "a3"), &moved)
	delete(l.ports, "a3")
	to := simulate.Endpoint{MAC: moved.MAC, IP: moved.Addresses[0].Addr(), Port: 1}
	l.gateway(g, "h1")
	l.put(store.PortKey("h3", "alice", "default", "a3"), nil)
	l.put(store.PortKey("h1", "alice", "default", "a3"), &moved)
	l.gateway(g, "h3")
	if walk, got := l.send("a2", simulate.UDP(l.end("a2"), to)); len(got) > 0 || len(walk.Hops) > 3 {
		t.Errorf("it reached %v\n%s", got, walk)
	}
}

// A host that is no gateway host any more relays nothing: nothing there keeps a frame from going back.
func TestOnlyGatewayHostsRelay(t *testing.T) {
	g := store.Gateway{Active: "h1", Relay: store.RelayOn}
	l := newStar(t, g)
	h1 := *l.state.Host("h1").Value
	h1.Gateway = false
	l.put(store.HostKey("h1"), &h1)
	l.gateway(g, "h1", "h2", "h3")
	if walk, got := l.send("a2", simulate.UDP(l.end("a2"), l.end("a4"))); len(got) > 0 {
		t.Errorf("it reached %v\n%s", got, walk)
	}
	if walk, got := l.send("a2", simulate.UDP(l.end("a2"), simulate.Endpoint{MAC: simulate.Broadcast, IP: l.end("a1").IP})); len(got) != 2 {
		t.Errorf("a broadcast reached %v\n%s", got, walk)
	}
}
