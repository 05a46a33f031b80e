package lead

import (
	"testing"

	"sluice/store"
	"sluice/store/etcd"
)

func TestStepsToAStarAndBack(t *testing.T) {
	star := &store.Tenant{Number: 1, Gateway: store.GatewayAuto, Topology: store.TopologyStar}
	calm := func(s *scene) { s.look.calm["alice"] = true }
	for _, c := range []struct {
		name   string
		tenant *store.Tenant // nil: a direct one
		relay  store.Relay
		change func(s *scene)
		want   store.Relay
	}{
		{"all know that gateway hosts relay", star, store.RelayReady, calm, store.RelayOn},
		{"not all know it long enough", star, store.RelayReady, nil, store.RelayReady},
		{"one that is dead is not waited for", star, store.RelayReady, func(s *scene) {
			calm(s)
			s.look.dead["h4"], s.look.reached["h4"] = true, etcd.Reach{Down: true}
		}, store.RelayOn},
		{"all send straight", nil, store.RelayReady, calm, ""},
		{"not all do long enough", nil, store.RelayReady, nil, store.RelayReady},
		{"one that nobody reaches may still send to those that relay", nil, store.RelayReady, func(s *scene) {
			calm(s)
			s.look.dead["h4"], s.look.reached["h4"] = true, etcd.Reach{Down: true}
		}, store.RelayReady},
		{"a star stays", star, store.RelayOn, calm, store.RelayOn},
		{"so does none", nil, "", calm, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, store.Gateway{Active: "h1", Epoch: 1, Relay: c.relay})
			if c.tenant != nil {
				s.put(store.TenantKey("alice"), c.tenant)
			}
			if c.change != nil {
				c.change(s)
			}
			g := s.state.Gateway("alice")
			got := g.Value.Relay
			if next := s.look.next(g); next != nil {
				got = next.Relay
			}
			if got != c.want {
				t.Errorf("it is %q then, want %q", got, c.want)
			}
		})
	}
}

// A move goes on while gateway hosts begin to relay, one step at a time.
func TestAMoveAndAStar(t *testing.T) {
	g := moving()
	g.Relay = store.RelayReady
	s := newScene(t, g)
	s.put(store.TenantKey("alice"), &store.Tenant{Number: 1, Gateway: store.GatewayAuto, Topology: store.TopologyStar})
	s.look.calm["alice"] = true
	s.confirm("h1", "h2", "h3", "h4")
	next := s.look.next(s.state.Gateway("alice"))
	if next == nil || next.Active != "h2" || next.Relay != store.RelayReady {
		t.Fatalf("the first step is %+v", next)
	}
	s.put(store.GatewayKey("alice"), next)
	if next = s.look.next(s.state.Gateway("alice")); next == nil || next.Relay != store.RelayReady { // h1 is quiet
		t.Fatalf("the second step is %+v", next)
	}
	s.put(store.GatewayKey("alice"), next)
	if next = s.look.next(s.state.Gateway("alice")); next == nil || next.Relay != store.RelayOn {
		t.Errorf("the third step is %+v", next)
	}
}

func TestTurn(t *testing.T) {
	for _, c := range []struct {
		topology store.Topology
		relay    store.Relay
		want     bool
	}{
		{store.TopologyStar, "", true}, {"", store.RelayOn, true},
		{store.TopologyStar, store.RelayOn, false}, {"", "", false},
		{store.TopologyStar, store.RelayReady, false}, {"", store.RelayReady, false},
	} {
		s := newScene(t, store.Gateway{Active: "h1", Epoch: 1, Relay: c.relay})
		s.put(store.TenantKey("alice"), &store.Tenant{Number: 1, Gateway: store.GatewayAuto, Topology: c.topology})
		d := doubts{tenants: map[string]struct{}{"alice": {}}}
		p := place(s.state, d, start, nil).placements
		if got := len(p) == 1 && p[0].gateway.Relay == store.RelayReady && p[0].gateway.Active == "h1"; got != c.want || len(p) > 1 {
			t.Errorf("topology %q, relay %q: written is %+v", c.topology, c.relay, p)
		}
	}
	g := store.Gateway{Active: "gone", Epoch: 1, Relay: store.RelayOn}
	s := newScene(t, g)
	p := placed("alice", s.state.Gateway("alice"), "h1", "", start)
	if p.gateway.Relay != store.RelayOn {
		t.Errorf("after the host of a star is gone: %+v", p.gateway)
	}
}
