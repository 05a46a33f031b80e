package web

import (
	"fmt"
	"testing"

	"sluice/controller/client"
	"sluice/store"
)

func hostsNamed(n int) (list []client.HostStatus) {
	for i := range n {
		list = append(list, client.HostStatus{Name: fmt.Sprint("h", i), State: store.HostRealized})
	}
	return list
}

func TestDraw(t *testing.T) {
	hosts := hostsNamed(4)
	hosts[3].State = store.HostDown
	p := draw(hosts, measured[link]{Rates: map[link]float64{
		{"h0", "h1"}: 9000, {"h1", "h0"}: 990_000, {"h1", "h2"}: 10,
	}})
	if len(p.Nodes) != 4 || len(p.Squares) != 0 || len(p.Lines) != 6 {
		t.Fatalf("%d hosts, %d squares, %d tunnels", len(p.Nodes), len(p.Squares), len(p.Lines))
	}
	seen := map[[2]int]bool{}
	for _, n := range p.Nodes {
		at := [2]int{n.X, n.Y}
		if seen[at] || n.X < pictureMargin/2 || n.X > pictureWidth-pictureMargin/2 || n.Y < pictureMargin/2 || n.Y > pictureHeight-pictureMargin/2 {
			t.Errorf("%s is at %v, among %v", n.Name, at, seen)
		}
		seen[at] = true
	}
	top := p.Lines[len(p.Lines)-1]
	if top.A.Name != "h0" || top.B.Name != "h1" || top.AB != 9000 || top.BA != 990_000 || !top.Known || top.Broken || top.Width != 4 {
		t.Errorf("the busiest tunnel is drawn as %+v", top)
	}
	for _, l := range p.Lines {
		if cut := l.A.Name == "h3" || l.B.Name == "h3"; l.Broken != cut {
			t.Errorf("%s to %s: broken is %v", l.A.Name, l.B.Name, l.Broken)
		}
		if l.A.Name == "h0" && l.B.Name == "h2" && (l.Known || l.Width != 1) {
			t.Errorf("a tunnel of which nothing is known: %+v", l)
		}
	}
}

func TestDrawMany(t *testing.T) {
	for n, squares := range map[int]int{0: 0, 1: 0, picturedHosts: 0, picturedHosts + 1: picturedHosts + 1, 1000: 1000} {
		p := draw(hostsNamed(n), measured[link]{})
		if len(p.Squares) != squares || len(p.Nodes)+len(p.Squares) != n {
			t.Errorf("%d hosts: %d nodes, %d squares", n, len(p.Nodes), len(p.Squares))
		}
	}
}

func TestTrouble(t *testing.T) {
	ill := client.HostStatus{State: store.HostRealized, Problems: store.Problems{{Object: "x"}, {Object: "y"}}}
	ranks := map[store.HostState]int{store.HostRealized: 0, store.HostBehind: 2, store.HostMissing: 2, store.HostDown: 3, store.HostUnreachable: 3}
	for state, want := range ranks {
		if got := trouble(client.HostStatus{State: state}); got != want {
			t.Errorf("%s: %d", state, got)
		}
	}
	if got := trouble(ill); got != 1 {
		t.Errorf("a host with problems: %d", got)
	}
}

// A tenant's hosts stand around the one by which its frames go, each once, also where that one has no port of it.
func TestDrawStar(t *testing.T) {
	networks := []client.Network{{Hosts: []string{"h2", "h1"}}, {Hosts: []string{"h3", "h2"}}}
	g := client.Gateway{Gateway: store.Gateway{Active: "h1", Relay: store.RelayOn}}
	p := drawStar(g, networks)
	if p == nil || p.Hub.Name != "h1" || len(p.Spokes) != 2 || p.Spokes[0].Name != "h2" || p.Spokes[1].Name != "h3" || p.More != 0 {
		t.Fatalf("drawn is %+v", p)
	}
	for _, s := range p.Spokes {
		if s.X == p.Hub.X && s.Y == p.Hub.Y {
			t.Errorf("%s stands on the hub", s.Name)
		}
	}
	for _, relay := range []store.Relay{"", store.RelayReady} {
		if g.Relay = relay; drawStar(g, networks) != nil {
			t.Errorf("with relay %q frames go straight, and a star is drawn", relay)
		}
	}
	g = client.Gateway{Gateway: store.Gateway{Active: "far", Relay: store.RelayOn}}
	for i := range picturedHosts + 2 {
		networks = append(networks, client.Network{Hosts: []string{fmt.Sprint("x", i)}})
	}
	if p := drawStar(g, networks); len(p.Spokes) != picturedHosts || p.More != 5 || p.Hub.Name != "far" {
		t.Errorf("of many hosts %d are drawn, %d are more", len(p.Spokes), p.More)
	}
}
