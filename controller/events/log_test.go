package events

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"sluice/store"
	"sluice/store/etcd"
	"sluice/store/etcd/etcdtest"
	"sluice/store/etcd/freeport"
)

// newLog is the log of a controller that leads, which nothing keeps yet.
func newLog(name string, s Store) *Log {
	return New(Options{
		Controller: name, Store: s, Log: slog.New(slog.DiscardHandler), Leads: func() bool { return true },
		Noted: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "noted"}, []string{"event"}), Lost: prometheus.NewCounter(prometheus.CounterOpts{Name: "lost"}),
	})
}

// keep keeps a log until the test ends.
func keep(t *testing.T, l *Log) *Log {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- l.Keep(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("controller %s: %v", l.Controller, err)
		}
	})
	return l
}

// happened is what a log holds: "count kind object: text; detail" each, the last at the end.
func happened(l *Log) (list []string) {
	all, _ := l.All()
	for _, e := range all {
		h := Of(e)
		list = append(list, strings.TrimSuffix(fmt.Sprintf("%d %s %s: %s; %s", h.Count, h.What, h.Object, h.Text, h.Detail), "; "))
	}
	return list
}

// until waits until a log holds these, in any order.
func until(t *testing.T, l *Log, want ...string) {
	t.Helper()
	slices.Sort(want)
	var got []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if got = happened(l); slices.Equal(slices.Sorted(slices.Values(got)), want) {
			return
		}
	}
	t.Fatalf("controller %s knows\n%s\nnot\n%s", l.Controller, strings.Join(got, "\n"), strings.Join(want, "\n"))
}

func drifted(detail string) store.Happening {
	return store.Happening{What: store.DriftMended, Object: "host h1", Hosts: []string{"h1"}, Text: "put right", Detail: detail}
}

// All controllers write one log: what one noted and another notes again is one event, with a count, and what reads
// otherwise is another.
func TestOneLogOfAllControllers(t *testing.T) {
	server := etcdtest.Start(t)
	c1, c2 := keep(t, newLog("c1", etcdtest.Connect(t, server))), keep(t, newLog("c2", etcdtest.Connect(t, server)))
	c1.Note(drifted("1 missing"))
	until(t, c2, "1 drift-mended host h1: put right; 1 missing")
	c2.Note(drifted("2 missing"))
	c2.Note(drifted("3 missing"))
	c2.Note(store.Happening{What: store.GatewayMoved, Object: "tenant alice", Text: "from h1 to h2"})
	c2.Note(store.Happening{What: store.GatewayMoved, Object: "tenant alice", Text: "from h2 to h1"})
	until(t, c1, "3 drift-mended host h1: put right; 3 missing", "1 gateway-moved tenant alice: from h1 to h2", "1 gateway-moved tenant alice: from h2 to h1")
	c1.Note(store.Happening{What: store.AttachRefused, Object: "tenant alice", Text: "full", Count: 40})
	c1.Note(store.Happening{What: store.AttachRefused, Object: "tenant alice", Text: "full", Count: 2})
	c3 := keep(t, newLog("c3", etcdtest.Connect(t, server))) // it reads what was there
	until(t, c3, "3 drift-mended host h1: put right; 3 missing", "1 gateway-moved tenant alice: from h1 to h2", "1 gateway-moved tenant alice: from h2 to h1",
		"42 attach-refused tenant alice: full")
	if n := testutil.ToFloat64(c1.Noted.WithLabelValues("attach-refused")); n != 42 {
		t.Errorf("42 attaches were refused, and %v are counted", n)
	}
	all, _ := c3.All()
	for _, e := range all {
		if h := Of(e); h.Warning != h.What.Warns() || h.First.After(h.Last) || h.Controller == "" {
			t.Errorf("%s is %+v", e.Key.Name, h)
		}
	}
}

// While etcd is away notes wait, each kind of event with its count, and nobody who notes does; beyond a bound they are
// lost, and counted. When it is back what waited is written.
func TestAnEtcdThatIsAwayHoldsNobodyUp(t *testing.T) {
	o := etcd.EmbedOptions{Name: "sluice-test", Dir: filepath.Join(t.TempDir(), "etcd"), ClientURL: freeport.URL(t), PeerURL: freeport.URL(t), Log: slog.New(slog.DiscardHandler)}
	server, err := etcd.StartEmbedded(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	l := keep(t, newLog("c1", etcdtest.Connect(t, server)))
	l.Note(drifted(""))
	until(t, l, "1 drift-mended host h1: put right")
	server.Close()
	for n := range 2 * mostWaiting {
		l.Note(store.Happening{What: store.Changed, Object: fmt.Sprint("tenant t", n), Text: "create-tenant", Who: "token ci"})
		l.Note(store.Happening{What: store.Changed, Object: "tenant t0", Text: "create-tenant", Who: "token ci"})
	}
	lost := testutil.ToFloat64(l.Lost)
	if lost < mostWaiting/2 || lost > mostWaiting+partSize { // some may have been on their way to etcd
		t.Errorf("%v are lost of %d, where %d may wait", lost, 2*mostWaiting, mostWaiting)
	}
	if server, err = etcd.StartEmbedded(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	for deadline := time.Now().Add(time.Minute); len(happened(l)) != 1+2*mostWaiting-int(lost); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d events are known, %v were lost of %d", len(happened(l)), lost, 1+2*mostWaiting)
		}
	}
	if !slices.Contains(happened(l), fmt.Sprintf("%d changed tenant t0: create-tenant", 2*mostWaiting+1)) {
		t.Error("what happened again while etcd was away is not counted")
	}
}

// The leader deletes what is too much.
func TestTheLeaderForgets(t *testing.T) {
	l := keep(t, newLog("c1", etcdtest.Connect(t, etcdtest.Start(t))))
	for n := range Most/2 - 1 {
		l.Note(store.Happening{What: store.Changed, Object: fmt.Sprint("tenant t", n)})
	}
	for deadline := time.Now().Add(time.Minute); len(happened(l)) < Most/2-1; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d events are known", len(happened(l)))
		}
	}
	all, _ := l.All()
	old := *Of(all[0])
	old.Last = old.Last.Add(-Oldest - time.Hour)
	if err := l.Store.PutStatus(t.Context(), []store.Event{{Key: all[0].Key, Object: &old}}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); len(happened(l)) != Most/2-2; time.Sleep(5 * time.Millisecond) {
		if err := l.forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events are known", len(happened(l)))
		}
	}
}

func at(second int, what store.What, name string) store.Event {
	last := time.Unix(int64(second), 0).UTC()
	return store.Event{Key: store.HappeningKey(name), Object: &store.Happening{What: what, First: last, Last: last}}
}

// What goes is the oldest of the kind that there is most of, so that one kind does not push out the others.
func TestSurplus(t *testing.T) {
	all := []store.Event{
		at(1, store.HostIsDown, "old"), at(10, store.HostIsDown, "d1"), at(11, store.Changed, "c1"), at(12, store.Changed, "c2"),
		at(13, store.Changed, "c3"), at(14, store.Changed, "c4"), at(15, store.GatewayMoved, "g1"), at(16, store.GatewayMoved, "g2"),
	}
	for most, want := range map[int][]string{
		9: {"old"}, 7: {"old"}, 5: {"old", "c1", "c2"}, 4: {"old", "c1", "c2", "c3"}, 3: {"old", "c1", "c2", "c3", "g1"}, 0: {"old", "c1", "c2", "c3", "g1", "c4", "g2", "d1"},
	} {
		var gone []string
		for _, e := range surplus(all, time.Unix(5, 0), most) {
			gone = append(gone, e.Key.Name)
		}
		if diff := cmp.Diff(want, gone); diff != "" {
			t.Errorf("where %d stay (-want +got):\n%s", most, diff)
		}
	}
}

// What happens again soon raises the count of its event, and what happens later is a new one. Each write presumes what it
// was worked out of.
func TestNext(t *testing.T) {
	first := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h := func(at time.Time, count int, detail string, hosts ...string) store.Happening {
		return store.Happening{What: store.DriftMended, Object: "host h1", Text: "put right", Detail: detail, Hosts: hosts, Count: count, First: at, Last: at, Controller: detail}
	}
	before := h(first, 3, "c1", "h1")
	last := store.Event{Key: store.HappeningKey("x-1"), Object: &before, Modified: 7}
	again, presumed := next(h(first.Add(store.DampTime-1), 2, "c2", "h1", "h2"), last)
	want := h(first, 5, "c2", "h1", "h2")
	want.Last = first.Add(store.DampTime - 1)
	if diff := cmp.Diff(store.Event{Key: last.Key, Object: &want}, again); diff != "" {
		t.Errorf("again (-want +got):\n%s", diff)
	}
	if presumed.Condition != store.Unchanged || presumed.Revision != 7 || presumed.Path != last.Key.String() {
		t.Errorf("presumed is %+v", presumed)
	}
	if before.Count != 3 || len(before.Hosts) != 1 {
		t.Errorf("the event before was changed: %+v", before)
	}
	for name, last := range map[string]store.Event{"later": last, "none": {}} {
		later := h(first.Add(store.DampTime), 2, "c2")
		anew, presumed := next(later, last)
		if anew.Key.Name != later.Name() || Of(anew).Count != 2 || presumed.Condition != store.Absent || presumed.Path != anew.Key.String() {
			t.Errorf("%s: %+v, %+v", name, anew, presumed)
		}
		if err := store.CheckPath(anew.Key.String()); err != nil {
			t.Error(err)
		}
	}
}
