package lead

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/controller/cluster"
	"sluice/store"
)

// county is a picture of random hosts and tenants, with a leader whose writes are taken in at once.
type county struct {
	*rand.Rand
	t       *testing.T
	picture *cluster.Picture
	leader  *Leader
}

func newCounty(t *testing.T, seed uint64) *county {
	w := &county{Rand: rand.New(rand.NewPCG(seed, 11)), t: t, picture: cluster.New()}
	w.leader = w.newLeader()
	w.picture.Observe(w.leader.Observe)
	w.apply(store.Event{Key: store.SettingsKey(), Object: &store.Settings{FailOver: seed%4 > 0, FailOverByDefault: seed%2 == 0}})
	return w
}

// newLeader is one that begins to lead now.
func (w *county) newLeader() *Leader {
	l := New(Options{Picture: w.picture, Log: slog.New(slog.DiscardHandler)})
	l.tombstones = newTombstones(true)
	return l
}

func (w *county) apply(events ...store.Event) {
	w.t.Helper()
	rev := w.picture.Revision() + 1
	for i := range events {
		events[i].Created, events[i].Modified = rev, rev
	}
	if err := w.picture.Apply(store.Batch{Revision: rev, Events: events}); err != nil {
		w.t.Fatal(err)
	}
}

// settle takes in what the leader writes until it writes nothing more.
func (w *county) settle() {
	w.t.Helper()
	for range 100 {
		p, looked := w.leader.choose()
		if !looked && len(w.leader.unswept) == 0 {
			return
		}
		if p.central != "" {
			w.central(p.central)
		}
		for _, at := range p.placements {
			g := at.gateway.WithSlots(nil)
			w.apply(store.Event{Key: store.GatewayKey(at.tenant), Object: &g})
		}
	}
	w.t.Fatal("the leader does not come to rest")
}

func (w *county) central(host string) {
	var settings store.Settings
	w.picture.View(func(s *store.State) { settings, _ = s.Settings() })
	settings.Central = host
	w.apply(store.Event{Key: store.SettingsKey(), Object: &settings})
}

// event is something that happens to a host, a tenant or a gateway.
func (w *county) event() store.Event {
	host, tenant := fmt.Sprint("h", w.IntN(4)), fmt.Sprint("t", w.IntN(8))
	gone := w.IntN(4) == 0
	e := store.Event{Key: store.HostKey(host), Object: &store.Host{DatapathID: 1, Gateway: w.IntN(4) > 0, NotReady: []string{"", "it starts"}[w.IntN(4)/3]}}
	switch w.IntN(6) {
	case 0, 1:
		e = store.Event{Key: store.LiveHostKey(host), Object: &store.LiveHost{}}
	case 2:
		gone = w.IntN(2) == 0
		e = store.Event{Key: store.DrainKey(host), Object: &store.Drain{}}
	case 3, 4:
		e = store.Event{Key: store.TenantKey(tenant), Object: &store.Tenant{Number: 1 + w.Uint32N(9), Gateway: []string{"auto", "auto", "central", "h0", "h1", "h9"}[w.IntN(6)]}}
	}
	if gone {
		e.Object = nil
	}
	return e
}

// moved ends the moves that are under way.
func (w *county) moved() {
	var events []store.Event
	w.picture.View(func(s *store.State) {
		for _, tenant := range s.Unsettled() {
			g := *s.Gateway(tenant).Value
			if g.Move != nil {
				g.Active = g.Move.To
			}
			g.Move, g.Standby, g.Draining = nil, nil, nil
			events = append(events, store.Event{Key: store.GatewayKey(tenant), Object: &g})
		}
	})
	w.apply(events...)
}

// What the leader does about hosts that changed is what it would do if it looked at all tenants: whoever looks at all of
// them afterwards finds nothing to write, and the same problems.
func TestHostsThatChangedCastEnoughDoubt(t *testing.T) {
	for seed := range uint64(40) {
		w := newCounty(t, seed)
		w.settle()
		for step := range 60 {
			e := w.event()
			if w.apply(e); e.Key.Kind == store.KindTenant && e.Object == nil {
				w.apply(store.Event{Key: store.GatewayKey(e.Key.Tenant)}) // which follows
			}
			w.settle()
			if w.IntN(3) == 0 {
				w.moved()
				w.settle()
			}
			all := w.newLeader()
			p, _ := all.choose()
			if len(p.placements) > 0 || p.central != "" {
				t.Fatalf("seed %d, step %d, %s: who looks at all writes %+v, central %q", seed, step, e.Key, p.placements, p.central)
			}
			for what, diff := range map[string]string{
				"unplaced":   cmp.Diff(all.unplaced, w.leader.unplaced),
				"backupless": cmp.Diff(all.backupless, w.leader.backupless),
				"waiting":    cmp.Diff(all.waiting, w.leader.waiting),
			} {
				if diff != "" {
					t.Fatalf("seed %d, step %d, %s: %s (-who looks at all, +who looks at few)\n%s", seed, step, e.Key, what, diff)
				}
			}
		}
	}
}

// A change of a host has the leader look at the tenants that have a part there, and at no other: not at a thousand that sleep.
func TestAHostCastsDoubtOnItsTenantsAlone(t *testing.T) {
	const hosts, tenants = 20, 2000
	w := newCounty(t, 1)
	for n := range hosts {
		w.apply(store.Event{Key: store.HostKey(fmt.Sprintf("h%02d", n)), Object: &store.Host{DatapathID: store.DatapathID(n + 1), Gateway: true}},
			store.Event{Key: store.LiveHostKey(fmt.Sprintf("h%02d", n)), Object: &store.LiveHost{}})
	}
	var events []store.Event
	for n := range tenants {
		events = append(events, store.Event{Key: store.TenantKey(fmt.Sprintf("t%04d", n)), Object: &store.Tenant{Number: uint32(n + 1), Gateway: "auto"}})
	}
	w.apply(events...)
	w.settle()
	for _, e := range []store.Event{
		{Key: store.HostKey("h03"), Object: &store.Host{DatapathID: 4, Gateway: true, Weight: 2}},
		{Key: store.LiveHostKey("h03")},
		{Key: store.LiveHostKey("h03"), Object: &store.LiveHost{}},
		{Key: store.DrainKey("h03"), Object: &store.Drain{}},
		{Key: store.DrainKey("h03")},
	} {
		via := 0
		w.picture.View(func(s *store.State) { via = len(s.TenantsVia("h03")) })
		w.apply(e)
		var d doubts
		w.picture.View(func(s *store.State) { d, _ = w.leader.inDoubt(s) })
		if via == 0 || len(d.tenants) != via {
			t.Errorf("%s: %d of %d tenants are in doubt, %d have a part there", e.Key, len(d.tenants), tenants, via)
		}
	}
}

// Where all tenants are to be looked at, it is some at one time, each once, and none while what was written is not in the picture.
func TestASweepGoesInParts(t *testing.T) {
	const tenants = 3*sweepAtOnce/2 + 7
	w := newCounty(t, 1)
	var events []store.Event
	for n := range tenants {
		events = append(events, store.Event{Key: store.TenantKey(fmt.Sprintf("t%05d", n)), Object: &store.Tenant{Number: uint32(n + 1), Gateway: "h1"}})
	}
	w.apply(events...)
	seen := map[string]struct{}{}
	look := func(want int, goesOn bool) {
		t.Helper()
		next := w.leader.placing.Wait()
		var d doubts
		w.picture.View(func(s *store.State) { d, _ = w.leader.inDoubt(s) })
		for tenant := range d.tenants {
			seen[tenant] = struct{}{}
		}
		select {
		case <-next:
			if !goesOn {
				t.Error("it goes on at once")
			}
		default:
			if goesOn {
				t.Error("it does not go on")
			}
		}
		if len(d.tenants) != want {
			t.Errorf("%d tenants are looked at, want %d", len(d.tenants), want)
		}
	}
	look(sweepAtOnce, true)
	w.leader.slots.wrote(w.picture.Revision() + 1)
	look(0, false)
	w.apply()
	look(tenants-sweepAtOnce, false)
	look(0, false)
	if len(seen) != tenants {
		t.Errorf("%d of %d tenants were looked at", len(seen), tenants)
	}
}

// Where a host has many tenants, they are looked at in parts too, each once.
func TestManyTenantsOfAHostAreLookedAtInParts(t *testing.T) {
	const tenants = 2*sweepAtOnce + 5
	w := newCounty(t, 1)
	var events []store.Event
	for n := range tenants {
		events = append(events, store.Event{Key: store.TenantKey(fmt.Sprintf("t%05d", n)), Object: &store.Tenant{Number: uint32(n + 1), Gateway: "h1"}},
			store.Event{Key: store.GatewayKey(fmt.Sprintf("t%05d", n)), Object: &store.Gateway{Active: "h1", Epoch: 1}})
	}
	w.apply(events...)
	inDoubt := func() (d doubts) {
		w.picture.View(func(s *store.State) { d, _ = w.leader.inDoubt(s) })
		return d
	}
	for range 3 {
		inDoubt()
	}
	w.apply(store.Event{Key: store.HostKey("h1"), Object: &store.Host{DatapathID: 1, Gateway: true, Weight: 2}})
	w.leader.doubts.note("t00001")
	seen := map[string]int{}
	for _, want := range []int{sweepAtOnce, sweepAtOnce, 5, 0} {
		d := inDoubt()
		if len(d.tenants) != want {
			t.Errorf("%d tenants are looked at, want %d", len(d.tenants), want)
		}
		for tenant := range d.tenants {
			seen[tenant]++
		}
	}
	if len(seen) != tenants {
		t.Errorf("%d of %d tenants were looked at", len(seen), tenants)
	}
}

// A host that flapped is one that its tenants are looked at for once its time is over, by whatever the leader is woken up then.
func TestFlapsCastDoubt(t *testing.T) {
	w := newCounty(t, 1)
	w.apply(store.Event{Key: store.TenantKey("alice"), Object: &store.Tenant{Number: 1, Gateway: "h1"}},
		store.Event{Key: store.GatewayKey("alice"), Object: &store.Gateway{Active: "h1", Epoch: 1}})
	inDoubt := func() (d doubts) {
		w.picture.View(func(s *store.State) { d, _ = w.leader.inDoubt(s) })
		return d
	}
	inDoubt()
	inDoubt()
	w.leader.flaps["h1"] = flap{falls: 2, until: now().Add(time.Hour)}
	if d := inDoubt(); len(d.tenants) != 0 {
		t.Errorf("while nobody goes there: %v", d.tenants)
	}
	w.leader.flaps["h1"] = flap{falls: 2, until: now()}
	if _, doubted := inDoubt().tenants["alice"]; !doubted {
		t.Error("its tenant is not looked at once its time is over")
	}
	if d := inDoubt(); len(d.tenants) != 0 {
		t.Errorf("again: %v", d.tenants)
	}
}
