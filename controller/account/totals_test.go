package account

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// shelf is an etcd of checkpoints.
type shelf struct {
	Store
	now    store.Revision
	events map[string]store.Event // by host
	err    error
	told   int // how many checkpoints it told
}

func newShelf() *shelf { return &shelf{events: map[string]store.Event{}} }

// put writes one, as a txn does.
func (s *shelf) put(host string, saved *store.StatusCounters) {
	s.now++
	s.events[host] = store.Event{Key: store.StatusCountersKey(host), Object: saved, Modified: s.now}
}

func (s *shelf) Get(_ context.Context, key store.Key) (store.Object, store.Revision, error) {
	e := s.events[key.Host]
	return e.Object, e.Modified, s.err
}

func (s *shelf) Counters(_ context.Context, after store.Revision) (list []store.Event, _ store.Revision, _ error) {
	for _, e := range s.events {
		if e.Modified > after {
			list = append(list, e)
		}
	}
	s.told += len(list)
	return list, s.now, s.err
}

func spoofed(tenant uint32, packets uint64) *store.StatusCounters {
	return &store.StatusCounters{Counters: []store.Counter{{Tenant: tenant, Reason: "spoofed", Packets: packets - 1, LastPackets: 1}}}
}

// The leader adds up what all hosts' checkpoints say of tenants that there are, reads only what is new, and says
// nothing where it does not lead or cannot read.
func TestTotals(t *testing.T) {
	etcd, leads := newShelf(), true
	totals := &Totals{Picture: pictureOf(t, &store.Tenant{Number: 2}), Store: etcd, Leads: func() bool { return leads }}
	wants := func(what string, packets uint64, told int) {
		t.Helper()
		etcd.told = 0
		sums, err := totals.Sums(t.Context())
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		want := map[flows.Class]Sum{{Tenant: 2, Reason: "spoofed"}: {Packets: packets}}
		if packets == 0 {
			want = nil
		}
		if diff := cmp.Diff(want, sums.Classes); diff != "" || etcd.told != told {
			t.Errorf("%s: %d checkpoints were read, not %d; -want +got\n%s", what, etcd.told, told, diff)
		}
	}
	etcd.put("h1", spoofed(2, 5))
	etcd.put("h2", spoofed(2, 6))
	etcd.put("h3", spoofed(7, 1000)) // nobody's number
	wants("at first", 11, 3)
	etcd.put("h2", spoofed(2, 8))
	wants("one was written anew", 13, 1)
	etcd.put("h9", &store.StatusCounters{Counters: []store.Counter{
		{Tenant: 2, Reason: "spoofed", Scope: flows.ScopePort, Packets: 1}, {Tenant: 2, Reason: "rate"},
	}})
	wants("a port's drops are its tenant's, and what is zero is left out", 14, 1)
	etcd.err = errors.New("etcd is away")
	if sums, err := totals.Sums(t.Context()); sums.Classes != nil || !errors.Is(err, etcd.err) {
		t.Errorf("etcd is away, and the sums are %v, %v", sums, err)
	}
	etcd.err = nil
	wants("it is back", 14, 0)
	leads = false
	wants("another leads", 0, 0)
	leads = true
	wants("this one again", 14, 4)
	etcd.now, etcd.events = 0, map[string]store.Event{}
	etcd.put("h1", spoofed(2, 3))
	wants("another store", 3, 1)
}

// Sums of a tenant that had the number before are not those of the one that has it.
func TestTotalsOfAnOldNumber(t *testing.T) {
	etcd := newShelf()
	etcd.put("h1", spoofed(2, 5))
	alice := pictureOf(t, nil)
	events := []store.Event{{Key: store.TenantKey("alice"), Object: &store.Tenant{Number: 2}, Created: 10, Modified: 10}}
	if err := alice.Apply(store.Batch{Revision: 10, Events: events}); err != nil {
		t.Fatal(err)
	}
	totals := &Totals{Picture: alice, Store: etcd, Leads: func() bool { return true }}
	if sums, err := totals.Sums(t.Context()); err != nil || len(sums.Classes) > 0 {
		t.Errorf("what was written before alice was is %v, %v", sums, err)
	}
	etcd.now = 10
	etcd.put("h1", spoofed(2, 5))
	if sums, err := totals.Sums(t.Context()); err != nil || len(sums.Classes) != 1 {
		t.Errorf("what was written since is %v, %v", sums, err)
	}
}

// What passed gateway hosts is told of each host apart, also after the gateway moved on, and is in no other sum.
func TestTotalsOfGatewayHosts(t *testing.T) {
	etcd := newShelf()
	totals := &Totals{Picture: pictureOf(t, &store.Tenant{Number: 2}), Store: etcd, Leads: func() bool { return true }}
	through := func(direction string, packets uint64) store.Counter {
		return store.Counter{Tenant: 2, Direction: direction, Scope: flows.ScopeGateway, Packets: packets, Bytes: 100 * packets, LastPackets: 1, LastBytes: 100}
	}
	etcd.put("h1", &store.StatusCounters{Counters: []store.Counter{
		through("out", 3), through("in", 2), {Tenant: 2, Direction: "out", Scope: flows.ScopeEgress, Packets: 9, Bytes: 900},
	}})
	etcd.put("h2", &store.StatusCounters{Counters: []store.Counter{through("out", 4), {Tenant: 7, Direction: "out", Scope: flows.ScopeGateway, Packets: 1}}})
	got, err := totals.Sums(t.Context())
	want := Shown{
		map[flows.Class]Sum{{Tenant: 2, Direction: "out", Scope: flows.ScopeEgress}: {9, 900}},
		map[Gateway]Sum{{2, "h1", "out"}: {4, 400}, {2, "h1", "in"}: {3, 300}, {2, "h2", "out"}: {5, 500}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v; -want +got\n%s", err, diff)
	}
}

// world is switches whose flows count, and controllers that read them, until the test says so.
type world struct {
	t      *testing.T
	random *rand.Rand
	flow   openflow.Flow
	etcd   *shelf
	hosts  []*counting
	shown  uint64 // by whoever leads
	leader *Totals
}

// counting is one switch: what its flow counts, and since when it stands.
type counting struct {
	name        string
	now, passed uint64 // of this flow; of all
	lost        uint64 // with crashes
	born        uint64
	ledger      *Ledger
	dead        bool // its master was killed
}

// step does one of what happens in a cluster to one host.
func (w *world) step(clock uint64) {
	h := w.hosts[w.random.IntN(len(w.hosts))]
	switch w.random.IntN(9) {
	case 0, 1, 2:
		n := w.random.Uint64N(1000)
		h.now, h.passed = h.now+n, h.passed+n
	case 3, 4:
		w.read(h, clock)
	case 5:
		w.save(h)
	case 6: // the flow is removed, its master told, and it is added anew
		if !h.dead {
			w.gone(h, clock)
		}
	case 7: // another controller takes over, or the same one that died
		l := NewLedger()
		e := w.etcd.events[h.name]
		saved, _ := e.Object.(*store.StatusCounters)
		l.Load(saved)
		h.ledger, h.dead = l, w.random.IntN(2) == 0
	case 8: // the switch crashes: what was counted since it was last read is lost
		if !h.dead {
			w.read(h, clock)
			n := w.random.Uint64N(1000)
			h.now, h.passed = h.now+n, h.passed+n
			h.lost += n
			h.now, h.born = 0, clock
			w.read(h, clock)
			w.read(h, clock)
			w.save(h)
		}
	}
}

func (w *world) read(h *counting, clock uint64) {
	if h.dead {
		return
	}
	h.ledger.Read(&openflow.FlowStats{Flow: w.flow, Packets: h.now, Bytes: h.now, Seconds: uint32(clock - h.born)})
}

func (w *world) gone(h *counting, clock uint64) {
	w.read(h, clock)
	h.ledger.Removed(&openflow.FlowStats{Flow: w.flow, Packets: h.now, Bytes: h.now})
	w.save(h) // FlowGone has it written
	h.now, h.born = 0, clock
}

func (w *world) save(h *counting) {
	if h.dead {
		return
	}
	if saved := h.ledger.save(everybody); saved != nil {
		w.etcd.put(h.name, saved)
	}
}

// shows says that what the leader shows never goes back and is never more than what passed.
func (w *world) shows() {
	w.t.Helper()
	if w.random.IntN(4) == 0 { // another leads, which knows nothing yet
		w.leader = &Totals{Picture: w.leader.Picture, Store: w.etcd, Leads: w.leader.Leads}
	}
	sums, err := w.leader.Sums(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	shown, passed := uint64(0), uint64(0)
	for _, sum := range sums.Classes {
		shown += sum.Packets
	}
	for _, h := range w.hosts {
		passed += h.passed
	}
	if shown < w.shown || shown > passed {
		w.t.Fatalf("shown are %d packets, before that %d, and %d passed", shown, w.shown, passed)
	}
	w.shown = shown
}

// Whatever becomes of flows, switches, controllers and leaders: what is shown never goes back, is never too much, and in
// the end is all but what crashes of switches lost.
func TestTotalsOfRandomLives(t *testing.T) {
	flow, _ := accountingFlow(t)
	for seed := range uint64(200) {
		w := &world{t: t, random: rand.New(rand.NewPCG(seed, 1)), flow: flow, etcd: newShelf()}
		w.leader = &Totals{Picture: pictureOf(t, &store.Tenant{Number: 2}), Store: w.etcd, Leads: func() bool { return true }}
		for n := range 3 {
			w.hosts = append(w.hosts, &counting{name: fmt.Sprint("h", n), ledger: NewLedger()})
			w.hosts[n].ledger.Load(nil)
		}
		for clock := range uint64(300) {
			w.step(clock + 1)
			w.shows()
		}
		w.ends(400)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// ends says that all that passed is shown once masters live and have read and saved.
func (w *world) ends(clock uint64) {
	passed, lost := uint64(0), uint64(0)
	for _, h := range w.hosts {
		if h.dead {
			l := NewLedger()
			saved, _ := w.etcd.events[h.name].Object.(*store.StatusCounters)
			l.Load(saved)
			h.ledger, h.dead = l, false
		}
		w.read(h, clock)
		w.read(h, clock)
		w.save(h)
		passed, lost = passed+h.passed, lost+h.lost
	}
	w.shows()
	if w.shown != passed-lost {
		w.t.Errorf("%d packets passed, crashes lost %d, and shown are %d", passed, lost, w.shown)
	}
}
