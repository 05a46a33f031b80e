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
