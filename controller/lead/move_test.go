package lead

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/store"
	"sluice/store/etcd"
)

// scene is a tenant alice with a port on h4, whose gateway moves between hosts that all are at a revision.
type scene struct {
	t     *testing.T
	state *store.State
	look  *look
	rev   store.Revision
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newScene(t *testing.T, g store.Gateway) *scene {
	s := &scene{t: t, state: store.NewState()}
	s.look = &look{s: s.state, reached: map[string]etcd.Reach{}, dead: map[string]bool{}, calm: map[string]bool{}, now: start}
	for n, host := range []string{"h1", "h2", "h3", "h4"} {
		s.put(store.HostKey(host), &store.Host{DatapathID: store.DatapathID(n + 1), Gateway: host != "h4"})
		s.put(store.LiveHostKey(host), &store.LiveHost{})
	}
	s.put(store.TenantKey("alice"), &store.Tenant{Number: 1, Gateway: store.GatewayAuto})
	s.put(store.NetworkKey("alice", "default"), &store.Network{Number: 1})
	s.put(store.PortKey("h4", "alice", "default", "a1"), &store.Port{Number: 1})
	s.put(store.GatewayKey("alice"), &g)
	s.confirm("h1", "h2", "h3", "h4")
	return s
}

func (s *scene) put(key store.Key, o store.Object) {
	s.rev++
	s.state.Apply(store.Batch{Revision: s.rev, Events: []store.Event{{Key: key, Object: o, Created: s.rev, Modified: s.rev}}})
}

// confirm says of hosts that they are at the present revision.
func (s *scene) confirm(hosts ...string) {
	for _, host := range hosts {
		s.look.reached[host] = etcd.Reach{Realized: s.rev}
	}
}

// after is the time that passes, with all calm.
func (s *scene) after(d time.Duration) { s.look.now = s.look.now.Add(d) }

// next is the gateway that follows, in short; where it stays as it is, "".
func (s *scene) next() string {
	g := s.look.next(s.state.Gateway("alice"))
	if g == nil {
		return ""
	}
	return short(g)
}

func short(g *store.Gateway) string {
	text := g.Active
	if g.Move != nil {
		text += " to " + g.Move.To
	}
	for _, host := range g.Draining {
		text += fmt.Sprintf(" drains %s", host)
		if g.Ending[host].Quiet {
			text += " quiet"
		}
	}
	for _, host := range g.Standby {
		text += " standby " + host
	}
	return text
}

func moving(draining ...string) store.Gateway {
	g := store.Gateway{Active: "h1", Draining: draining, Epoch: 3, Move: &store.Move{To: "h2", Since: start, Timeout: 60, Why: "moved by hand"}}
	for _, host := range draining {
		if g.Ending == nil {
			g.Ending = map[string]store.Ending{}
		}
		g.Ending[host] = store.Ending{Since: start, Until: start.Add(time.Hour), Quiet: true}
	}
	return g
}

func drains(quiet bool) store.Gateway {
	return store.Gateway{Active: "h2", Draining: []string{"h1"}, Epoch: 4,
		Ending: map[string]store.Ending{"h1": {Since: start, Until: start.Add(time.Minute), Quiet: quiet}}}
}

func TestStepsOfAMove(t *testing.T) {
	for _, c := range []struct {
		name    string
		gateway store.Gateway
		change  func(s *scene)
		want    string
		why     string // a part of it
	}{
		{"all are ready", moving(), nil, "h2 drains h1", "moved by hand"},
		{"who sends is not waited for", moving(), func(s *scene) { s.look.reached["h4"] = etcd.Reach{} }, "h2 drains h1", ""},
		{"the new one is not there yet", moving(), func(s *scene) { s.look.reached["h2"] = etcd.Reach{Realized: s.rev - 1} }, "", ""},
		{"nor is the one before", moving(), func(s *scene) { s.look.reached["h1"] = etcd.Reach{Realized: s.rev - 1} }, "", ""},
		{"nor is one that drains", moving("h3"), func(s *scene) { s.look.reached["h3"] = etcd.Reach{Realized: s.rev - 1} }, "", ""},
		{"one that drains and is dead is let go", moving("h3"), func(s *scene) { s.look.dead["h3"] = true }, "h2 drains h1", ""},
		{"the new one's kernel is not ready", moving(), func(s *scene) {
			s.put(store.HostKey("h2"), &store.Host{DatapathID: 2, Gateway: true, NotReady: "nftables: broken"})
		}, "", ""},
		{"it is not ready for long", moving(), func(s *scene) {
			s.put(store.HostKey("h2"), &store.Host{DatapathID: 2, Gateway: true, NotReady: "nftables: broken"})
			s.after(prepareTime)
		}, "h1 standby h2", "stays at h1: h2 was not ready within 30s: host h2: invalid: it is not ready: nftables: broken"},
		{"its agent is away for long", moving(), func(s *scene) {
			s.put(store.LiveHostKey("h2"), nil)
			s.after(prepareTime)
		}, "h1 standby h2", "its agent is away"},
		{"it could not program the tenant", moving(), func(s *scene) {
			s.look.reached["h2"] = etcd.Reach{Realized: s.rev, Problems: store.Problems{store.ProblemOf(store.NetworkKey("alice", "default"), "refused")}}
		}, "", ""},
		{"it has no way to its kernel", moving(), func(s *scene) {
			p := store.ProblemOf(store.TenantKey("alice"), "no interface")
			p.LeavesOut = store.LeavesOutGateway
			s.look.reached["h2"] = etcd.Reach{Realized: s.rev, Problems: store.Problems{p}}
		}, "", ""},
		{"it could not program another tenant", moving(), func(s *scene) {
			s.look.reached["h2"] = etcd.Reach{Realized: s.rev, Problems: store.Problems{store.ProblemOf(store.TenantKey("bob"), "refused")}}
		}, "h2 drains h1", ""},
		{"the one before is not reached for long", moving(), func(s *scene) {
			s.look.reached["h1"] = etcd.Reach{Down: true}
			s.after(prepareOthers)
		}, "h2 drains h1", ""},
		{"the one before does not confirm for long", moving(), func(s *scene) {
			s.look.reached["h1"] = etcd.Reach{Realized: 1}
			s.after(prepareTime)
		}, "h1 standby h2", "do not confirm"},
		{"the one before is dead", moving(), func(s *scene) { s.look.dead["h1"] = true; s.look.reached["h1"] = etcd.Reach{Down: true} }, "h2", ""},
		{"the new one is no gateway host any more", moving(), func(s *scene) { s.put(store.HostKey("h2"), &store.Host{DatapathID: 2}) }, "h1 standby h2", "stays at h1: host h2: invalid: it is no gateway host"},
		{"the new one is gone", moving(), func(s *scene) { s.put(store.HostKey("h2"), nil) }, "h1", "no such host"},
		{"the new one is drained", moving(), func(s *scene) { s.put(store.DrainKey("h2"), &store.Drain{}) }, "h1 standby h2", "it is drained since"},
		{"the policy is another now", moving(), func(s *scene) { s.put(store.TenantKey("alice"), &store.Tenant{Number: 1, Gateway: "h1"}) }, "h1 standby h2", "its policy is h1 now"},
		{"back to one that drains", moving("h2"), nil, "h2 drains h1", ""},

		{"not all send there yet", drains(false), nil, "", ""},
		{"all send there", drains(false), func(s *scene) { s.look.calm["alice"] = true }, "h2 drains h1 quiet", ""},
		{"it has no connection left", drains(true), func(s *scene) {
			s.put(store.EmptiedKey("h1"), &store.Emptied{Tenants: map[string]uint64{"alice": 4}})
		}, "h2 standby h1", ""},
		{"it had none in an earlier epoch", drains(true), func(s *scene) {
			s.put(store.EmptiedKey("h1"), &store.Emptied{Tenants: map[string]uint64{"alice": 3}})
		}, "", ""},
		{"it has none, and some still send there", drains(false), func(s *scene) {
			s.put(store.EmptiedKey("h1"), &store.Emptied{Tenants: map[string]uint64{"alice": 4}})
		}, "", ""},
		{"its time is not up", drains(true), func(s *scene) { s.after(time.Minute - time.Second) }, "", ""},
		{"its time is up", drains(true), func(s *scene) { s.after(time.Minute) }, "h2 standby h1", ""},
		{"it is dead", drains(true), func(s *scene) { s.look.dead["h1"] = true }, "h2", ""},
		{"it is no gateway host any more", drains(true), func(s *scene) { s.put(store.HostKey("h1"), &store.Host{DatapathID: 1}) }, "h2", ""},

		{"who stands by goes once all know", store.Gateway{Active: "h2", Standby: []string{"h1"}}, func(s *scene) { s.look.calm["alice"] = true }, "h2", ""},
		{"but not at once", store.Gateway{Active: "h2", Standby: []string{"h1"}}, nil, "", ""},
		{"nor while one that sends may not know", store.Gateway{Active: "h2", Standby: []string{"h1"}}, func(s *scene) {
			s.look.calm["alice"] = true
			s.look.dead["h4"], s.look.reached["h4"] = true, etcd.Reach{Down: true}
		}, "", ""},
		{"itself it need not know", store.Gateway{Active: "h2", Standby: []string{"h1"}}, func(s *scene) {
			s.look.calm["alice"], s.look.reached["h1"] = true, etcd.Reach{Down: true}
		}, "h2", ""},
		{"nothing is to be done", store.Gateway{Active: "h2"}, func(s *scene) { s.look.calm["alice"] = true }, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, c.gateway)
			if c.change != nil {
				c.change(s)
			}
			if got := s.next(); got != c.want {
				t.Errorf("then %q, want %q", got, c.want)
			}
			if g := s.look.next(s.state.Gateway("alice")); c.why != "" && !strings.Contains(g.Why, c.why) {
				t.Errorf("why: %q, not %q", g.Why, c.why)
			}
		})
	}
}

// What is written when the gateway switches says since when, why, and until when connections go on.
func TestTheSwitchIsTold(t *testing.T) {
	s := newScene(t, moving("h3"))
	s.after(time.Second)
	g := s.look.next(s.state.Gateway("alice"))
	until := g.Ending["h1"]
	if g.Epoch != 4 || g.Since != s.look.now || g.Why != "moved by hand" || until.Since != s.look.now || until.Until != s.look.now.Add(time.Minute) || until.Quiet {
		t.Errorf("written is %+v", g)
	}
	if !g.Ending["h3"].Quiet || !slices.Equal(g.Draining, []string{"h1", "h3"}) {
		t.Errorf("of the one that drained before is written %+v", g)
	}
}

// Whoever is sent to or asked by flows of one value is a member in the next: so switches may get them in any order.
func TestStepsMayStandSideBySide(t *testing.T) {
	s := newScene(t, moving())
	for n := range 200 {
		s.look.calm["alice"] = n%3 == 0
		if n%7 == 0 {
			s.put(store.EmptiedKey("h1"), &store.Emptied{Tenants: map[string]uint64{"alice": s.state.Gateway("alice").Value.Epoch}})
		}
		before := s.state.Gateway("alice")
		s.after(time.Second)
		if after := s.look.next(before); after != nil {
			for _, host := range slices.Concat(before.Value.Asked(), after.Asked()) {
				if !before.Value.At(host) || !after.At(host) {
					t.Fatalf("%s is asked, from %s to %s", host, short(before.Value), short(after))
				}
			}
			s.put(store.GatewayKey("alice"), after)
		}
		if g := *s.state.Gateway("alice").Value; g.Move == nil && n%5 == 0 {
			to := []string{"h1", "h2", "h3"}[n%3]
			if to != g.Active && len(g.Draining) < store.MaxDraining {
				g.Move = &store.Move{To: to, Since: s.look.now, Timeout: n % 40}
				s.put(store.GatewayKey("alice"), &g)
			}
		}
		s.confirm("h1", "h2", "h3", "h4")
	}
	if epoch := s.state.Gateway("alice").Value.Epoch; epoch < 10 {
		t.Errorf("it moved only %d times", epoch-3)
	}
}
