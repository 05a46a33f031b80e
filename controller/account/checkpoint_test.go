package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/controller/cluster"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// recorder stands for an etcd by a clock that only the test moves: it notes when which checkpoint
// was written, under which claim, and how long the write might have taken.
type recorder struct {
	start time.Time

	mu     sync.Mutex
	writes []string
	err    error        // of every write
	hangs  bool         // a write ends with its context
	saved  store.Object // what Get answers
	getErr error
}

func (r *recorder) Get(_ context.Context, key store.Key) (store.Object, store.Revision, error) {
	if key != store.StatusCountersKey("h1") {
		return nil, 0, nil
	}
	return r.saved, 1, r.getErr
}

func (r *recorder) PutStatus(ctx context.Context, events []store.Event, presumed ...store.Presumption) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	end, _ := ctx.Deadline()
	packets := uint64(0)
	for _, c := range events[0].Object.(*store.StatusCounters).Counters {
		packets += c.Packets + c.LastPackets
	}
	r.writes = append(r.writes, fmt.Sprintf("%v: %s claimed at %d: %d packets, within %v", time.Since(r.start),
		events[0].Key.Short(), presumed[1].Revision, packets, time.Until(end)))
	if r.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return r.err
}

// wrote is what was written since it was last asked, sorted: hosts have no order.
func (r *recorder) wrote() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.writes
	r.writes = nil
	slices.Sort(list)
	return list
}

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
	stop        func() // ends Keep
}

func keep(t *testing.T) *kept {
	t.Helper()
	flow, _ := accountingFlow(t)
	k := &kept{recorder: &recorder{start: time.Now()}, t: t, flow: flow, log: &bytes.Buffer{}, counted: map[string]uint64{}}
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
		Mastered: func() map[string]*Ledger { return maps.Clone(k.ledgers) },
	})
	for _, host := range []string{"h1", "h2"} {
		if err := k.checkpoints.Load(t.Context(), host, k.ledgers[host]); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.checkpoints.Keep(ctx) }()
	k.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Keep ended with %v", err)
		}
	}
	return k
}

// until lets time pass until so long after the start.
func (k *kept) until(d time.Duration) {
	time.Sleep(time.Until(k.start.Add(d)))
	synctest.Wait()
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

// What moved is written every ten seconds, and what no switch can tell again at once, but no
// more often than once a second.
func TestCheckpointsAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		k.until(9 * time.Second)
		k.reads("h1")
		k.until(10*time.Second - 1)
		k.wants()
		k.until(10 * time.Second)
		k.wants("10s: status/counters/h1 claimed at 3: 1 packets, within 5s")
		k.until(11 * time.Second)
		k.reads("h2")
		k.loses("h1")
		k.wants("11s: status/counters/h1 claimed at 3: 2 packets, within 5s")
		k.until(11200 * time.Millisecond)
		k.loses("h1")
		k.until(11800 * time.Millisecond)
		k.loses("h1")
		k.until(19 * time.Second)
		k.wants("12s: status/counters/h1 claimed at 3: 4 packets, within 5s")
		k.until(21 * time.Second)
		k.wants("20s: status/counters/h2 claimed at 4: 1 packets, within 5s")
		k.until(45 * time.Second)
		k.reads("h1")
		k.stop()
		k.wants("45s: status/counters/h1 claimed at 3: 5 packets, within 2s")
		if k.log.Len() > 0 {
			t.Errorf("it complains: %s", k.log)
		}
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
		k.until(10 * time.Second)
		if got := k.wrote(); len(got) != 1 {
			t.Errorf("after one failed, the other was tried: %v", got)
		}
		if !strings.Contains(k.log.String(), "cannot checkpoint counters") || !strings.Contains(k.log.String(), "etcd is away") {
			t.Errorf("the log says %q", k.log)
		}
		k.log.Reset()
		k.answers(fmt.Errorf("put status: %w", store.ErrConflict))
		k.until(20 * time.Second)
		k.wants("20s: status/counters/h1 claimed at 3: 1 packets, within 5s", "20s: status/counters/h2 claimed at 4: 1 packets, within 5s")
		k.answers(nil)
		k.checkpoints.FlowGone()
		synctest.Wait()
		k.wants("20s: status/counters/h1 claimed at 3: 1 packets, within 5s", "20s: status/counters/h2 claimed at 4: 1 packets, within 5s")
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
		k.until(time.Second)
		k.reads("h1")
		k.hangs = true
		k.stop()
		if took := time.Since(k.start); took != 3*time.Second {
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

func TestLoadCheckpoint(t *testing.T) {
	saved := &store.StatusCounters{Counters: []store.Counter{{Tenant: 2, Reason: "spoofed", Packets: 7}}}
	r := &recorder{saved: saved}
	c := New(Checkpoints{Store: r})
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
