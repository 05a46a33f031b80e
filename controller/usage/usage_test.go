package usage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/controller/account"
	"sluice/controller/cluster"
	"sluice/store"
)

// recorder stands for an etcd by a clock that only the test moves: it notes what was asked of it, and when.
type recorder struct {
	start time.Time

	mu    sync.Mutex
	calls []string
	at    store.Revision
	told  []store.Event
	saved map[store.Key]store.Object
	err   error
}

func (r *recorder) call(ctx context.Context, format string, args ...any) error {
	end, _ := ctx.Deadline()
	r.calls = append(r.calls, fmt.Sprintf("%v: %s, within %v", time.Since(r.start), fmt.Sprintf(format, args...), time.Until(end)))
	return r.err
}

func (r *recorder) Usages(ctx context.Context, after store.Revision) (list []store.Event, at store.Revision, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.told {
		if e.Modified > after {
			list = append(list, e)
		}
	}
	return list, r.at, r.call(ctx, "usages after %d", after)
}

func (r *recorder) Get(ctx context.Context, key store.Key) (store.Object, store.Revision, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.saved[key], 1, r.call(ctx, "get %s", key.Short())
}

// fail has every request fail from now on; nil: none.
func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// asked is what was asked since the last time.
func (r *recorder) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.calls
	r.calls = nil
	return list
}

// tell has a host's agent tell what tenants use, under a key that was created at a revision.
func (r *recorder) tell(host string, created store.Revision, used map[uint32]store.Used) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at++
	usage := store.UsageOf(used)
	r.told = append(r.told, store.Event{Key: store.UsageKey(host), Object: &usage, Created: created, Modified: r.at})
}

// world is a reader of a cluster of the hosts h1, h2 and h3, of which this controller programs h1. Alice leaves by h2.
type world struct {
	*recorder
	*Reader
	leads  atomic.Bool
	log    bytes.Buffer
	ledger *account.Ledger
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{recorder: &recorder{start: time.Now(), at: 20, saved: map[store.Key]store.Object{}}, ledger: account.NewLedger()}
	w.leads.Store(true)
	picture := cluster.New()
	var events []store.Event
	for key, o := range map[store.Key]store.Object{
		store.TenantKey("alice"): &store.Tenant{Number: 7}, store.TenantKey("bob"): &store.Tenant{Number: 8},
		store.GatewayKey("alice"): &store.Gateway{Active: "h2"}, store.NetworkKey("bob", "default"): &store.Network{Number: 1},
		store.PortKey("h3", "bob", "default", "b1"): &store.Port{Number: 1}, store.PortKey("h1", "bob", "default", "b2"): &store.Port{Number: 2},
		store.HostKey("h1"): &store.Host{DatapathID: 1}, store.HostKey("h2"): &store.Host{DatapathID: 2}, store.HostKey("h3"): &store.Host{DatapathID: 3},
	} {
		events = append(events, store.Event{Key: key, Object: o, Created: 5, Modified: 5})
	}
	if err := picture.Apply(store.Batch{Revision: 9, Events: events}); err != nil {
		t.Fatal(err)
	}
	w.Reader = New(Options{
		Picture: picture, Store: w.recorder, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		Mastered: func() map[string]*account.Ledger { return map[string]*account.Ledger{"h1": w.ledger} },
		Leads:    w.leads.Load,
	})
	return w
}

func (w *world) wants(t *testing.T, calls ...string) {
	t.Helper()
	if diff := cmp.Diff(calls, w.asked()); diff != "" {
		t.Errorf("asked of etcd: -want +got\n%s", diff)
	}
}

// The leader reads every 15 s what changed, and alone shows sums: of hosts that are there.
func TestSums(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Keep(ctx) }()
		until := func(d time.Duration) {
			time.Sleep(time.Until(w.start.Add(d)))
			synctest.Wait()
		}
		sums := func(what string, want map[uint32]store.Used) {
			t.Helper()
			if diff := cmp.Diff(want, w.Sums()); diff != "" {
				t.Errorf("%s: -want +got\n%s", what, diff)
			}
		}
		w.tell("h1", 10, map[uint32]store.Used{7: {PortsRefused: 1}, 8: {Connections: 3, KernelConnections: 4, KernelDrops: 5, NewPortsRefused: 6}})
		w.tell("h2", 11, map[uint32]store.Used{7: {Connections: 9}, 8: {Connections: 1}})
		w.recorder.at++
		w.told = append(w.told, store.Event{Key: store.UsageKey("h3"), Modified: 4, // before this h3 was registered, and alice was
			Object: &store.Usage{Tenants: []store.TenantUsage{{Tenant: 7, Used: store.Used{Connections: 1000, KernelDrops: 1000}}}}})
		w.tell("h9", 11, map[uint32]store.Used{7: {Connections: 1000, KernelDrops: 2}, 9: {KernelDrops: 1000}}) // no such host, no such tenant
		sums("before it read", map[uint32]store.Used{})
		until(15 * time.Second)
		w.wants(t, "15s: usages after 0, within 2s")
		first := map[uint32]store.Used{7: {Connections: 9, KernelDrops: 2, PortsRefused: 1}, 8: {Connections: 4, KernelConnections: 4, KernelDrops: 5, NewPortsRefused: 6}}
		sums("all hosts", first)

		w.tell("h2", 11, map[uint32]store.Used{7: {Connections: 2}})
		until(30 * time.Second)
		w.wants(t, "30s: usages after 24, within 2s")
		second := map[uint32]store.Used{7: {Connections: 2, KernelDrops: 2, PortsRefused: 1}, 8: {Connections: 3, KernelConnections: 4, KernelDrops: 5, NewPortsRefused: 6}}
		sums("one changed", second)

		w.fail(errors.New("etcd is away"))
		until(45 * time.Second)
		sums("etcd is away", second)
		if !strings.Contains(w.log.String(), "cannot read what tenants use") || !strings.Contains(w.log.String(), "etcd is away") {
			t.Errorf("the log says %q", w.log.String())
		}
		w.fail(nil)
		w.leads.Store(false)
		w.asked()
		until(75 * time.Second)
		w.wants(t)
		sums("another leads", map[uint32]store.Used{})
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// An etcd that counts anew is another one: what was read of the one before is forgotten.
func TestAnotherStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.tell("h1", 10, map[uint32]store.Used{7: {Connections: 1}})
		if err := w.read(t.Context(), fresh); err != nil {
			t.Fatal(err)
		}
		time.Sleep(fresh)
		w.recorder.at, w.recorder.told = 11, nil
		w.tell("h2", 10, map[uint32]store.Used{7: {Connections: 2}})
		w.asked()
		if err := w.read(t.Context(), fresh); err != nil {
			t.Fatal(err)
		}
		w.wants(t, "1s: usages after 21, within 2s", "1s: usages after 0, within 2s")
		if diff := cmp.Diff(map[uint32]store.Used{7: {Connections: 2}}, w.Sums()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

// A host that is deleted takes its connections with it, and not what it refused; it goes on from there when it comes back.
func TestSumsOutliveTheirHost(t *testing.T) {
	w := newWorld(t)
	w.tell("h1", 10, map[uint32]store.Used{7: {Connections: 1, KernelDrops: 10, PortsRefused: 1, QuestionsRefused: 2, Answers: store.Answers{3}}})
	w.tell("h2", 10, map[uint32]store.Used{7: {Connections: 4, KernelDrops: 20}})
	apply := func(rev store.Revision, events ...store.Event) {
		t.Helper()
		if err := w.Picture.Apply(store.Batch{Revision: rev, Events: events}); err != nil {
			t.Fatal(err)
		}
	}
	wants := func(what string, want store.Used) {
		t.Helper()
		if err := w.read(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		shown, err := w.Of(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, w.Sums()[7]) + cmp.Diff(want, shown.Used); diff != "" {
			t.Errorf("%s: -want +got\n%s", what, diff)
		}
	}
	all := store.Used{Connections: 5, KernelDrops: 30, PortsRefused: 1, QuestionsRefused: 2, Answers: store.Answers{3}}
	wants("two hosts", all)
	apply(30, store.Event{Key: store.HostKey("h1"), Modified: 30})
	all.Connections = 4
	wants("h1 is deleted", all)
	apply(31, store.Event{Key: store.HostKey("h1"), Object: &store.Host{DatapathID: 1}, Created: 31, Modified: 31})
	wants("it registers anew", all)
	w.recorder.at = 31
	w.tell("h1", 10, map[uint32]store.Used{7: {Connections: 2, KernelDrops: 11, PortsRefused: 1, QuestionsRefused: 2, Answers: store.Answers{3}}})
	all.Connections, all.KernelDrops = 6, 31
	wants("it tells again", all)
	apply(40, store.Event{Key: store.TenantKey("alice"), Modified: 40})
	apply(41, store.Event{Key: store.TenantKey("alice"), Object: &store.Tenant{Number: 7}, Created: 41, Modified: 41})
	wants("another alice has the number", store.Used{})
}

// What one tenant uses is read where it is asked for, once a second at most: what agents told, what
// switches of this controller's hosts dropped, and what those of others had by their checkpoints.
func TestOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.leads.Store(false)
		drops := func(tenant uint32, connections, broadcasts uint64) *store.StatusCounters {
			return &store.StatusCounters{Counters: []store.Counter{
				{Tenant: tenant, Reason: "connection-limit", Packets: connections, LastPackets: 1},
				{Tenant: tenant, Reason: "broadcast-limit", LastPackets: broadcasts},
				{Tenant: tenant, Reason: "rate", LastPackets: 3}, {Tenant: tenant, Scope: "port", Reason: "rate", Packets: 4},
				{Tenant: tenant, Reason: "spoofed", Packets: 1000}, {Tenant: tenant + 1, Reason: "connection-limit", Packets: 1000},
			}}
		}
		w.tell("h1", 10, map[uint32]store.Used{7: {PortsRefused: 1}})
		w.tell("h2", 10, map[uint32]store.Used{7: {Connections: 3, KernelDrops: 4}, 8: {Connections: 9}})
		w.ledger.Load(drops(7, 10, 20))
		w.saved[store.StatusCountersKey("h2")] = drops(7, 100, 200)
		w.saved[store.StatusCountersKey("h3")] = drops(7, 5000, 5000) // alice is not there
		of := func(tenant string) *Tenant {
			t.Helper()
			used, err := w.Of(t.Context(), tenant)
			if err != nil {
				t.Error(err)
			}
			return used
		}
		want := &Tenant{Used: store.Used{Connections: 3, KernelDrops: 4, PortsRefused: 1}, ConnectionDrops: 112, BroadcastDrops: 220, RateDrops: 14}
		if diff := cmp.Diff(want, of("alice")); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		w.wants(t, "0s: usages after 0, within 2s", "0s: get status/counters/h2, within 2s")
		time.Sleep(fresh - 1)
		if diff := cmp.Diff(&Tenant{Used: store.Used{Connections: 9}, ConnectionDrops: 2000}, of("bob")); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		w.wants(t, "999.999999ms: get status/counters/h3, within 2s")
		time.Sleep(time.Nanosecond)
		if nobody := of("carol"); nobody != nil {
			t.Errorf("carol, who is not there, uses %+v", nobody)
		}
		w.wants(t, "1s: usages after 22, within 2s")

		time.Sleep(fresh)
		w.fail(errors.New("etcd is away"))
		used, err := w.Of(t.Context(), "alice")
		want.ConnectionDrops, want.BroadcastDrops, want.RateDrops, want.HostsNotRead = 11, 20, 7, 1
		if diff := cmp.Diff(want, used); diff != "" || !errors.Is(err, w.err) {
			t.Errorf("without etcd: %v: -want +got\n%s", err, diff)
		}
	})
}

// Of a tenant that is nearly everywhere, some hosts of other controllers are not read, and counted.
func TestOfMany(t *testing.T) {
	w := newWorld(t)
	var events []store.Event
	for n := range othersHosts + 3 {
		host := fmt.Sprintf("m%d", n)
		events = append(events,
			store.Event{Key: store.HostKey(host), Object: &store.Host{DatapathID: store.DatapathID(100 + n)}, Created: 10, Modified: 10},
			store.Event{Key: store.PortKey(host, "bob", "default", "p"), Object: &store.Port{Number: uint32(10 + n)}, Created: 10, Modified: 10})
	}
	if err := w.Picture.Apply(store.Batch{Revision: 10, Events: events}); err != nil {
		t.Fatal(err)
	}
	used, err := w.Of(t.Context(), "bob")
	if err != nil || used.HostsNotRead != 4 { // h3 is one, too
		t.Errorf("%+v, %v", used, err)
	}
	if asked := len(w.asked()); asked != 1+othersHosts {
		t.Errorf("asked %d times", asked)
	}
}

// When something passed last is the latest of all entries, of the latest publication of the name, by hosts that are there.
func TestVisited(t *testing.T) {
	w := newWorld(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	visit := func(publication string, created store.Revision, minutes int) store.Visit {
		return store.Visit{Tenant: "alice", Publication: publication, Created: created, Last: at.Add(time.Duration(minutes) * time.Minute)}
	}
	for host, visits := range map[string][]store.Visit{
		"h1": {visit("a", 7, 5), visit("b", 8, 1)}, "h2": {visit("a", 7, 3), visit("b", 6, 9)}, "h3": {visit("a", 7, 4)}, "h9": {visit("a", 7, 99)},
	} {
		w.recorder.told = append(w.recorder.told, store.Event{Key: store.UsageKey(host), Object: &store.Usage{Visits: visits}, Created: 11, Modified: 21})
	}
	w.recorder.at = 21
	got, err := w.Visited(t.Context())
	want := map[store.Key]store.Visit{store.PublicationKey("alice", "a"): visit("a", 7, 5), store.PublicationKey("alice", "b"): visit("b", 8, 1)}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v: -want +got\n%s", err, diff)
	}
}

// Gateway hosts that come and go are told with the hosts that damp them, of those that are registered and whose agents live.
func TestDamped(t *testing.T) {
	w := newWorld(t)
	events := []store.Event{
		{Key: store.LiveHostKey("h1"), Object: &store.LiveHost{}, Created: 20, Modified: 20}, {Key: store.LiveHostKey("h2"), Object: &store.LiveHost{}, Created: 20, Modified: 20},
		{Key: store.LiveHostKey("h9"), Object: &store.LiveHost{}, Created: 20, Modified: 20}}
	if err := w.Picture.Apply(store.Batch{Revision: 20, Events: events}); err != nil {
		t.Fatal(err)
	}
	for host, damped := range map[string][]string{"h2": {"h3", "h4"}, "h1": {"h3"}, "h3": {"h1"}, "h9": {"h3"}} {
		w.recorder.told = append(w.recorder.told, store.Event{Key: store.UsageKey(host), Object: &store.Usage{Damped: damped}, Created: 11, Modified: 21})
	}
	w.recorder.at = 21
	got, err := w.Damped(t.Context())
	if diff := cmp.Diff(map[string][]string{"h3": {"h1", "h2"}, "h4": {"h2"}}, got); diff != "" || err != nil {
		t.Errorf("%v: -want +got\n%s", err, diff)
	}
}
