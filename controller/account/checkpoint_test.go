package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/controller/cluster"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/internal/stage"
	"sluice/store"
)

// recorder stands for an etcd by a clock that only the test moves: it notes when which checkpoint
// was written, under which claim, and how long the write might have taken.
type recorder struct {
	*stage.Notes

	mu     sync.Mutex
	err    error        // of every write
	hangs  bool         // a write ends with its context
	saved  store.Object // what Get answers
	at     store.Revision
	getErr error
}

func (r *recorder) Get(_ context.Context, key store.Key) (store.Object, store.Revision, error) {
	if key != store.StatusCountersKey("h1") {
		return nil, 0, nil
	}
	return r.saved, r.at, r.getErr
}

func (r *recorder) Counters(context.Context, store.Revision) ([]store.Event, store.Revision, error) {
	return nil, 0, errors.New("only totals read all of them")
}

func (r *recorder) PutStatus(ctx context.Context, events []store.Event, presumed ...store.Presumption) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	end, _ := ctx.Deadline()
	packets := uint64(0)
	for _, c := range events[0].Object.(*store.StatusCounters).Counters {
		packets += c.Packets + c.LastPackets
	}
	r.Note("%s claimed at %d: %d packets, within %v", events[0].Key.Short(), presumed[1].Revision, packets, time.Until(end))
	if r.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return r.err
}

// wrote is what was written since it was last asked, sorted: hosts have no order.
func (r *recorder) wrote() []string { return slices.Sorted(slices.Values(r.Asked())) }

// answers has every write fail from now on, nil: none.
func (r *recorder) answers(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// kept is checkpoints of the hosts h1 and h2 that Keep writes.
type kept struct {
	*recorder
	t           *testing.T
	checkpoints *Checkpoints
	ledgers     map[string]*Ledger
	log         *bytes.Buffer
	flow        openflow.Flow
	counted     map[string]uint64
	stop        func()       // ends Keep
	idle        atomic.Int64 // hosts besides, of which nothing is to be written
}

func (k *kept) mastered() map[string]*Ledger {
	all := maps.Clone(k.ledgers)
	for n := range k.idle.Load() {
		all[fmt.Sprint("idle", n)] = NewLedger()
	}
	return all
}

func keep(t *testing.T) *kept {
	t.Helper()
	flow, _ := accountingFlow(t)
	k := &kept{recorder: &recorder{Notes: stage.Begin()}, t: t, flow: flow, log: &bytes.Buffer{}, counted: map[string]uint64{}}
	picture := cluster.New()
	err := picture.Apply(store.Batch{Revision: 9, Events: []store.Event{
		{Key: store.TenantKey("alice"), Object: &store.Tenant{Number: 2}, Created: 1, Modified: 1},
		{Key: store.MasterKey("h1"), Object: &store.Master{Controller: "c1"}, Created: 3, Modified: 3},
		{Key: store.MasterKey("h2"), Object: &store.Master{Controller: "c1"}, Created: 4, Modified: 4},
	}})
	if err != nil {
		t.Fatal(err)
	}
	k.ledgers = map[string]*Ledger{"h1": NewLedger(), "h2": NewLedger()}
	k.checkpoints = New(Checkpoints{
		Picture: picture, Store: k.recorder, Log: slog.New(slog.NewTextHandler(k.log, nil)),
		Mastered: k.mastered,
		Ledgers:  func() iter.Seq[*Ledger] { return maps.Values(k.ledgers) },
	})
	for _, host := range []string{"h1", "h2"} {
		if err := k.checkpoints.Load(t.Context(), host, k.ledgers[host]); err != nil {
			t.Fatal(err)
		}
	}
	k.stop = stage.Run(t, k.checkpoints.Keep)
	return k
}

// reads has a host's flow count one packet more.
func (k *kept) reads(host string) {
	k.counted[host]++
	k.ledgers[host].Read(&openflow.FlowStats{Flow: k.flow, Packets: k.counted[host]})
}

// loses has a host's flow go, whose last word is one packet more.
func (k *kept) loses(host string) {
	k.ledgers[host].Removed(&openflow.FlowStats{Flow: k.flow, Packets: k.counted[host] + 1})
	k.counted[host] = 0
	k.checkpoints.FlowGone()
	synctest.Wait()
}

func (k *kept) wants(writes ...string) {
	k.t.Helper()
	if diff := cmp.Diff(writes, k.wrote()); diff != "" {
		k.t.Errorf("written (-want +got):\n%s", diff)
	}
}

// What moved is written every two seconds, and what no switch can tell again at once, but no
// more often than once a second.
func TestCheckpointsAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		k.Until(time.Second)
		k.reads("h1")
		k.Until(2*time.Second - 1)
		k.wants()
		k.Until(2 * time.Second)
		k.wants("2s: status/counters/h1 claimed at 3: 1 packets, within 5s")
		k.Until(4500 * time.Millisecond)
		k.reads("h2")
		k.loses("h1")
		k.wants("4.5s: status/counters/h1 claimed at 3: 2 packets, within 5s")
		k.Until(4700 * time.Millisecond)
		k.loses("h1")
		k.Until(5100 * time.Millisecond)
		k.loses("h1")
		k.Until(5500*time.Millisecond - 1)
		k.wants()
		k.Until(5900 * time.Millisecond)
		k.wants("5.5s: status/counters/h1 claimed at 3: 4 packets, within 5s")
		k.Until(7 * time.Second)
		k.wants("6.5s: status/counters/h2 claimed at 4: 1 packets, within 5s")
		k.Until(45 * time.Second)
		k.reads("h1")
		k.stop()
		k.wants("45s: status/counters/h1 claimed at 3: 5 packets, within 2s")
		if k.log.Len() > 0 {
			t.Errorf("it complains: %s", k.log)
		}
	})
}

// Who programs many hosts writes less often, but still every ten seconds.
func TestCheckpointsOfManyHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		k.idle.Store(48) // and the two that there are
		k.Until(2500 * time.Millisecond)
		k.reads("h1")
		k.Until(7*time.Second - 1)
		k.wants()
		k.Until(7 * time.Second)
		k.wants("7s: status/counters/h1 claimed at 3: 1 packets, within 5s")
		k.idle.Store(1000)
		k.Until(12500 * time.Millisecond)
		k.reads("h1")
		k.Until(22 * time.Second)
		k.wants("22s: status/counters/h1 claimed at 3: 2 packets, within 5s")
		k.stop()
		k.wants()
	})
}

// A write that failed is tried again as what no switch can tell: where one fails the others of
// the round are not tried. That a host has another master by now is no complaint, and no reason
// to leave the others.
func TestCheckpointsAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		k.answers(errors.New("etcd is away"))
		k.reads("h1")
		k.reads("h2")
		k.Until(2 * time.Second)
		if got := k.wrote(); len(got) != 1 {
			t.Errorf("after one failed, the other was tried: %v", got)
		}
		if !strings.Contains(k.log.String(), "cannot checkpoint counters") || !strings.Contains(k.log.String(), "etcd is away") {
			t.Errorf("the log says %q", k.log)
		}
		k.log.Reset()
		k.answers(fmt.Errorf("put status: %w", store.ErrConflict))
		k.Until(4 * time.Second)
		k.wants("4s: status/counters/h1 claimed at 3: 1 packets, within 5s", "4s: status/counters/h2 claimed at 4: 1 packets, within 5s")
		k.answers(nil)
		k.checkpoints.FlowGone()
		synctest.Wait()
		k.wants("4s: status/counters/h1 claimed at 3: 1 packets, within 5s", "4s: status/counters/h2 claimed at 4: 1 packets, within 5s")
		if k.log.Len() > 0 {
			t.Errorf("it complains of a conflict: %s", k.log)
		}
		k.stop()
		k.wants()
	})
}

// An etcd that does not answer does not hold up a controller that stops.
func TestCheckpointsEndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		k.Until(time.Second)
		k.reads("h1")
		k.hangs = true
		k.stop()
		if took := time.Since(k.Start); took != 3*time.Second {
			t.Errorf("stopped at 1s, it ended at %v", took)
		}
		if k.log.Len() > 0 {
			t.Errorf("it complains: %s", k.log)
		}
	})
}

// Only sums of tenants that there are, and those of no tenant, are carried on.
func TestCheckpointForgetsTenantsThatAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		k.ledgers["h1"].Load(&store.StatusCounters{Counters: []store.Counter{
			{Tenant: 0, Reason: "spoofed", Packets: 100}, {Tenant: 1, Reason: "spoofed", Packets: 1000},
		}})
		k.reads("h1")
		k.stop()
		k.wants("0s: status/counters/h1 claimed at 3: 101 packets, within 2s")
		totals := map[flows.Class]Sum{}
		k.ledgers["h1"].AddTo(totals)
		if _, has := totals[flows.Class{Tenant: 1, Reason: "spoofed"}]; has {
			t.Error("the sums of a tenant that is gone are kept for whoever gets its number")
		}
	})
}

// pictureOf is one of a tenant that was created at revision 1; nil: of none.
func pictureOf(t *testing.T, alice *store.Tenant) *cluster.Picture {
	t.Helper()
	b := store.Batch{Revision: 9}
	if alice != nil {
		b.Events = []store.Event{{Key: store.TenantKey("alice"), Object: alice, Created: 1, Modified: 1}}
	}
	picture := cluster.New()
	if err := picture.Apply(b); err != nil {
		t.Fatal(err)
	}
	return picture
}

// A tenant that goes leaves nothing to whoever gets its number: not where its host counts, nor in a checkpoint that
// nobody wrote since.
func TestNumbersGoToOthers(t *testing.T) {
	sums := &store.StatusCounters{Counters: []store.Counter{{Tenant: 0, Reason: "spoofed", Packets: 1}, {Tenant: 2, Reason: "spoofed", Packets: 10}}}
	class := flows.Class{Tenant: 2, Reason: "spoofed"}
	for _, test := range []struct {
		written store.Revision
		want    uint64
	}{{1, 10}, {9, 10}, {0, 0}} { // alice was created at 1
		c := New(Checkpoints{Store: &recorder{saved: sums, at: test.written}, Picture: pictureOf(t, &store.Tenant{Number: 2})})
		l := NewLedger()
		if err := c.Load(t.Context(), "h1", l); err != nil || l.Total(class).Packets != test.want {
			t.Errorf("written at %d, it goes on from %d, %v; want %d", test.written, l.Total(class).Packets, err, test.want)
		}
		if l.isDirty() != (test.want == 0) {
			t.Errorf("written at %d: to be written again: %v", test.written, l.isDirty())
		}
	}
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		k.checkpoints.Picture.Observe(k.checkpoints.Observe)
		k.ledgers["h1"].Load(sums)
		err := k.checkpoints.Picture.Apply(store.Batch{Revision: 12, Events: []store.Event{
			{Key: store.TenantKey("alice"), Modified: 10},
			{Key: store.TenantKey("bob"), Object: &store.Tenant{Number: 2}, Created: 11, Modified: 11},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got := k.ledgers["h1"].Total(class); got != (Sum{}) {
			t.Errorf("bob begins with %v", got)
		}
		k.stop()
		k.wants("0s: status/counters/h1 claimed at 3: 1 packets, within 2s")
	})
}

func TestLoadCheckpoint(t *testing.T) {
	saved := &store.StatusCounters{Counters: []store.Counter{{Tenant: 2, Reason: "spoofed", Packets: 7}}}
	r := &recorder{saved: saved, at: 1}
	c := New(Checkpoints{Store: r, Picture: pictureOf(t, &store.Tenant{Number: 2})})
	packets := func(l *Ledger) (n uint64) {
		totals := map[flows.Class]Sum{}
		l.AddTo(totals)
		for _, sum := range totals {
			n += sum.Packets
		}
		return n
	}
	for host, want := range map[string]uint64{"h1": 7, "h2": 0} {
		l := NewLedger()
		if err := c.Load(t.Context(), host, l); err != nil || packets(l) != want || l.saved == nil {
			t.Errorf("%s begins at %d, %v; want %d", host, packets(l), err, want)
		}
	}
	away := errors.New("etcd is away")
	r.getErr = away
	l := NewLedger()
	if err := c.Load(t.Context(), "h1", l); !errors.Is(err, away) || !strings.Contains(err.Error(), "host h1: read the counters' checkpoint") {
		t.Errorf("an etcd that is away: %v", err)
	}
	if l.saved != nil {
		t.Error("nothing was read, and yet the sums may be saved over what is there")
	}
}
