package traffic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/flows"
	"sluice/internal/stage"
	"sluice/store"
	"sluice/store/etcd"
)

// recorder stands for an etcd in which hosts' checkpoints are.
type recorder struct {
	mu      sync.Mutex
	at      store.Revision
	told    map[string]store.Event
	reached map[string]etcd.Reach
	err     error
	asked   []store.Revision
}

func (r *recorder) Counters(_ context.Context, after store.Revision) (list []store.Event, at store.Revision, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, after)
	for _, e := range r.told {
		if e.Modified > after {
			list = append(list, e)
		}
	}
	return list, r.at, r.err
}

func (r *recorder) Reached(context.Context) (map[string]etcd.Reach, error) { return r.reached, r.err }

// tell has a host's checkpoint say what tenants sent and got, under a key that was created at a revision.
func (r *recorder) tell(host string, created store.Revision, bytes map[uint32]uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at++
	saved := &store.StatusCounters{}
	for tenant, n := range bytes {
		saved.Counters = append(saved.Counters,
			store.Counter{Tenant: tenant, Direction: flows.DirectionOut, Scope: flows.ScopeEgress, Bytes: n / 2},
			store.Counter{Tenant: tenant, Direction: flows.DirectionIn, Scope: flows.ScopeEgress, LastBytes: n - n/2},
			store.Counter{Tenant: tenant, Direction: flows.DirectionOut, Scope: flows.ScopeInternal, Bytes: 1 << 40},
			store.Counter{Tenant: tenant, Scope: flows.ScopeEgress, Reason: "rate", Bytes: 1 << 40})
	}
	r.told[host] = store.Event{Key: store.StatusCountersKey(host), Object: saved, Created: created, Modified: r.at}
}

func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// metered is a meter that measures, of tenants t7 and t8.
func metered(t *testing.T, window time.Duration) (*recorder, *Meter) {
	t.Helper()
	r := &recorder{at: 20, told: map[string]store.Event{}}
	picture := stage.NewPicture()
	picture.Put(t, stage.Put(store.SettingsKey(), &store.Settings{Balance: store.Balance{Window: int(window / time.Second)}}),
		stage.Put(store.TenantKey("t7"), &store.Tenant{Number: 7}), stage.Put(store.GatewayKey("t7"), &store.Gateway{Active: "h1"}),
		stage.Put(store.HostKey("h1"), &store.Host{DatapathID: 1, Gateway: true}))
	m := New(Options{Picture: picture.Picture, Store: r, Log: slog.New(slog.DiscardHandler)})
	return r, m
}

// near compares averages, in bytes a second.
func near(t *testing.T, what string, m *Meter, want map[uint32]float64) {
	t.Helper()
	got := m.averages().loads
	for tenant, w := range want {
		if math.Abs(got[tenant]-w) > 0.02*w+1 {
			t.Errorf("%s: tenant %d has %.0f bytes a second, want %.0f", what, tenant, got[tenant], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: averages are %v", what, got)
	}
}

// What was sent before the meter began counts for nothing. A steady stream is told as it is from the first minute; one that ends is
// forgotten over some windows; checkpoints that come late change nothing in the long run.
func TestAverages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = 2 * time.Minute
		r, m := metered(t, window)
		r.tell("h1", 3, map[uint32]uint64{7: 1e12})
		stop := stage.Run(t, m.Keep)
		near(t, "at first", m, map[uint32]float64{})
		send := func(d time.Duration, rates map[uint32]uint64) {
			for range int(d / (10 * time.Second)) {
				time.Sleep(10 * time.Second)
				total := map[uint32]uint64{}
				for tenant, rate := range rates {
					total[tenant] = bytesOf(r.told["h1"].Object.(*store.StatusCounters), flows.ScopeEgress)[tenant] + 10*rate
				}
				r.tell("h1", 3, total)
			}
			time.Sleep(16 * time.Second)
			synctest.Wait()
		}
		send(10*time.Minute, map[uint32]uint64{7: 1000, 8: 50})
		known := m.averages()
		got, measured := known.loads, known.time
		if got[7] < 850 || got[7] > 1150 || got[8] < 42 || got[8] > 58 || measured < 10*time.Minute {
			t.Errorf("after ten minutes of 1000 and 50 bytes a second: %v, measured for %v", got, measured)
		}
		send(10*time.Minute, map[uint32]uint64{7: 0, 8: 50})
		if got := m.averages().loads; got[7] > 20 || got[8] < 40 {
			t.Errorf("ten minutes after it ended: %v", got)
		}
		stop()
	})
}

// A host that comes, one that is registered anew, and sums that went back begin at 0; another store begins all.
func TestSumsThatBeginAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m := metered(t, time.Hour)
		read := func() {
			time.Sleep(10 * time.Second)
			if err := m.read(t.Context(), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		r.tell("h1", 3, map[uint32]uint64{7: 1000})
		read()
		r.tell("h2", 22, map[uint32]uint64{7: 500})
		read()
		near(t, "a host that is new", m, map[uint32]float64{7: 50})
		r.tell("h1", 3, map[uint32]uint64{7: 100})
		read()
		near(t, "a sum that went back", m, map[uint32]float64{7: 30})
		r.tell("h1", 30, map[uint32]uint64{7: 600})
		read()
		near(t, "a host that came again", m, map[uint32]float64{7: 40})
		read()
		near(t, "nothing new", m, map[uint32]float64{7: 30})
		if diff := cmp.Diff([]store.Revision{0, 21, 22, 23, 24}, r.asked); diff != "" {
			t.Errorf("it read after (-want +got):\n%s", diff)
		}
		r.at = 5
		read()
		near(t, "another store", m, map[uint32]float64{})
		if measured := m.averages().time; measured != 0 {
			t.Errorf("it measures for %v", measured)
		}
	})
}

// While etcd is away the averages stay, and what was sent meanwhile counts over that time.
func TestWhileEtcdIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m := metered(t, time.Hour)
		r.tell("h1", 3, map[uint32]uint64{7: 0})
		stop := stage.Run(t, m.Keep)
		time.Sleep(time.Minute)
		r.fail(errors.New("etcd is away"))
		time.Sleep(4 * time.Minute)
		r.tell("h1", 3, map[uint32]uint64{7: 300 * 100})
		r.fail(nil)
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if got := m.averages().loads; got[7] < 80 || got[7] > 105 {
			t.Errorf("100 bytes a second are told as %v", got)
		}
		stop()
	})
}

func TestOutlook(t *testing.T) {
	s := store.NewState()
	b := store.Batch{}
	put := func(k store.Key, o store.Object) {
		b.Revision++
		b.Events = append(b.Events, store.Event{Key: k, Object: o, Created: b.Revision, Modified: b.Revision})
	}
	host := func(name string, weight int, h store.Host) {
		h.DatapathID, h.Weight = store.DatapathID(len(b.Events)+1), weight
		put(store.HostKey(name), &h)
		put(store.LiveHostKey(name), &store.LiveHost{})
	}
	host("h1", 0, store.Host{Gateway: true})
	host("h2", 2, store.Host{Gateway: true})
	host("drained", 1, store.Host{Gateway: true})
	put(store.DrainKey("drained"), &store.Drain{})
	host("unready", 1, store.Host{Gateway: true, NotReady: "nftables: broken"})
	host("unreached", 1, store.Host{Gateway: true})
	host("down", 1, store.Host{Gateway: true})
	host("plain", 1, store.Host{})
	loads := map[uint32]float64{99: 1e9} // of nobody
	for n, tt := range []struct {
		policy string
		load   float64
		g      store.Gateway
	}{
		{"auto", 100, store.Gateway{Active: "h1"}},
		{"", 90, store.Gateway{Active: "h1", Backup: "h2"}},
		{"h1", 80, store.Gateway{Active: "h1"}},
		{"central", 70, store.Gateway{Active: "h1"}},
		{"auto", 60, store.Gateway{Active: "h1", Draining: []string{"h2"}}},
		{"auto", 50, store.Gateway{Active: "h2", Move: &store.Move{To: "h1"}}},
		{"auto", 40, store.Gateway{Active: "drained"}},
		{"auto", 0, store.Gateway{Active: "h1"}},
	} {
		name := fmt.Sprint("t", n)
		put(store.TenantKey(name), &store.Tenant{Number: uint32(n + 1), Gateway: tt.policy})
		put(store.GatewayKey(name), &tt.g)
		if tt.load > 0 {
			loads[uint32(n+1)] = tt.load
		}
	}
	s.Apply(b)
	reached := map[string]etcd.Reach{"h1": {}, "h2": {}, "drained": {}, "unready": {}, "down": {Down: true}}
	o := outlook(s, reached, measured{loads: loads, stays: map[place]float64{{5, "h2"}: 25, {5, "h9"}: 7}}, Question{Start: 1.1, Most: 100, Rests: func(tenant string, _ *store.Gateway) bool { return tenant == "t0" }})
	var moves []string
	for _, m := range o.Moves {
		moves = append(moves, fmt.Sprint(m.Tenant, " ", m.From, " ", m.To))
	}
	if diff := cmp.Diff([]string{"t1 h1 h2"}, moves); diff != "" {
		t.Errorf("moves (-want +got):\n%s", diff)
	}
	var lines []string
	for _, h := range o.Hosts {
		lines = append(lines, fmt.Sprintf("%s %d %d %.0f %.0f %t", h.Host, h.Weight, h.Tenants, h.Load, h.Then, h.Out == ""))
	}
	want := []string{"down 1 0 0 0 false", "drained 1 1 40 40 false", "h1 1 7 425 360 true", "h2 2 0 25 90 true", "unreached 1 0 0 0 false", "unready 1 0 0 0 false"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if o.Mean() != 150 || o.Hottest() != 425 {
		t.Errorf("the mean is %v, the hottest carries %v", o.Mean(), o.Hottest())
	}
}
