package report

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/controller/host"
	"sluice/flows"
	"sluice/store"
)

const port = "a1"

// What etcd holds of the hosts follows how they stand, and what an earlier life left is cleared.
func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		behind := &store.StatusHost{State: store.HostBehind}
		w.listed = []store.Event{
			put(store.StatusHostKey("h1"), behind), put(store.StatusHostKey("h3"), behind), put(store.StatusHostKey("h9"), behind),
		}
		stop := w.keep()
		w.Until(time.Second)
		w.wants("before there is a picture")

		w.cluster()
		w.Until(2 * time.Second)
		w.wants("with no switch connected",
			`1s: status/hosts/h1 {"state":"down","realized":0}; status/hosts/h2 {"state":"down","realized":0}; status/controllers/c1 {"floor":2}; delete status/hosts/h9; if hosts/h1 is created at 1; if masters/h1 is unchanged 2; if hosts/h2 is created at 1; if masters/h2 is unchanged 2; if live/controllers/c1 is unchanged 2; if hosts/h9 is absent; if masters/h9 is absent`)
		w.program(nil, "h1", "h2")
		synctest.Wait()
		w.wants("programmed", `2s: delete status/hosts/h1; delete status/hosts/h2; if hosts/h1 is created at 1; if masters/h1 is unchanged 2; if hosts/h2 is created at 1; if masters/h2 is unchanged 2`)

		w.Until(10 * time.Second)
		w.apply(attached(port))
		w.lag("h1")
		w.Until(10*time.Second + 300*time.Millisecond)
		w.wants("while the switch lags a little")
		w.program(nil, "h1")
		synctest.Wait()
		w.wants("as soon as the port is programmed", `10.3s: status/controllers/c1 {"floor":3}; if live/controllers/c1 is unchanged 2`)

		w.Until(20 * time.Second)
		w.apply(attached("a2"))
		w.lag("h1")
		w.Until(25 * time.Second)
		w.wants("of a switch that lags", `21s: status/hosts/h1 {"state":"behind","realized":3}; status/controllers/c1 {"floor":4}; if hosts/h1 is created at 1; if masters/h1 is unchanged 2; if live/controllers/c1 is unchanged 2`)
		w.program(nil, "h1")
		synctest.Wait()
		w.wants("of one that caught up", `25s: delete status/hosts/h1; if hosts/h1 is created at 1; if masters/h1 is unchanged 2`)
		w.Until(time.Hour)
		w.wants("while nothing happens")
		stop()
		if w.log.Len() > 0 {
			t.Errorf("it complains: %s", w.log)
		}
	})
}

// The time to realize is from reading a revision until every healthy host holds it.
func TestTimeToRealize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cluster()
		w.program(nil, "h1", "h2")
		if _, err := w.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.realize = nil
		for range 2 {
			w.apply(attached(port))
			w.lag("h2")
			time.Sleep(200 * time.Millisecond)
		}
		if _, err := w.round(t.Context()); err != nil || len(w.realize) > 0 {
			t.Errorf("before h2 holds them, %v were observed, %v", w.realize, err)
		}
		w.program(nil, "h2")
		if _, err := w.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]float64{0.4, 0.2}, w.realize); diff != "" {
			t.Errorf("observed (-want +got):\n%s", diff)
		}
	})
}

// Where nobody waits the floor is written only while all writes are left: no more than ten in
// any second, and none that says less than one that is to come.
func TestReportsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cluster()
		w.program(nil, "h1", "h2")
		defer w.keep()()
		w.Until(time.Second)
		w.Asked()
		for range 20 {
			w.apply(put(store.TenantKey("alice"), &store.Tenant{Number: 2}))
			w.program(nil, "h1", "h2")
			time.Sleep(50 * time.Millisecond)
		}
		w.Until(3 * time.Second)
		var times []string
		for _, line := range w.Asked() {
			at, _, _ := strings.Cut(line, ":")
			d, err := time.ParseDuration(at)
			if err != nil {
				t.Fatal(err)
			}
			times = append(times, d.Round(time.Millisecond).String())
		}
		want := []string{"1s", "1.144s", "1.288s", "1.432s", "1.575s", "1.719s", "1.863s", "2.007s"}
		if diff := cmp.Diff(want, times); diff != "" {
			t.Errorf("written at (-want +got):\n%s", diff)
		}
	})
}

// What fails is tried again half a second later, and told, unless another has the host by then.
func TestReportsAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answers(errors.New("etcd is away"), errors.New("etcd does not list"))
		w.cluster()
		w.program(nil, "h1", "h2")
		stop := w.keep()
		w.Until(100 * time.Millisecond)
		w.wants("before it is known what etcd holds")
		w.answers(errors.New("etcd is away"), nil)
		w.Until(1900 * time.Millisecond)
		if got := w.Asked(); len(got) < 2 {
			t.Errorf("tried %v", got)
		}
		if !strings.Contains(w.log.String(), "cannot report to etcd") {
			t.Errorf("the log says %q", w.log)
		}
		w.answers(store.ErrConflict, nil)
		w.Until(2900 * time.Millisecond)
		w.log.Reset()
		w.Until(5 * time.Second)
		if got := w.Asked(); len(got) < 4 || w.log.Len() > 0 {
			t.Errorf("of a conflict it tried %v and said %q", got, w.log)
		}
		stop()
	})
}

// A controller that stops complains of nothing, wherever it was.
func TestReporterEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.keep()() // nothing was loaded
		w.answers(nil, errors.New("etcd is away"))
		w.cluster()
		w.keep()() // it could not list
		w.answers(nil, nil)
		ended, cancel := context.WithCancel(t.Context())
		w.check = func(context.Context) { cancel() }
		w.answers(context.Canceled, nil)
		if err := w.Keep(ended); err != nil {
			t.Errorf("Keep ended with %v", err)
		}
		if got := w.Asked(); len(got) != 1 || w.log.Len() > 0 {
			t.Errorf("it wrote %v and said %q", got, w.log)
		}
	})
}

// Where nobody asks, rounds come by themselves: soon while a host is behind, else every few seconds.
func TestRoundsComeByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cluster()
		w.program(nil, "h1", "h2")
		for _, step := range []struct {
			what string
			do   func()
			want time.Duration
		}{
			{"written", func() {}, idleRound},
			{"nothing to write", func() {}, idleRound},
			{"a host is behind, and an attach waits", func() { w.apply(attached(port)); w.lag("h1") }, host.Patience},
			{"it is there", func() { w.program(nil, "h1") }, idleRound},
			{"too early to write", func() { w.apply(put(store.TenantKey("bob"), nil)) }, 287 * time.Millisecond},
		} {
			step.do()
			next, err := w.round(t.Context())
			if err != nil || next.Round(time.Millisecond) != step.want {
				t.Errorf("%s: the next round comes in %v, %v; want %v", step.what, next, err, step.want)
			}
		}
		w.answers(errors.New("etcd is away"), nil)
		time.Sleep(time.Second)
		if next, err := w.round(t.Context()); err == nil || next != host.Patience {
			t.Errorf("after a failure the next round comes in %v, %v", next, err)
		}
	})
}

// A round that found nothing to write is followed by a rest of four times as long as it took.
func TestRoundsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cluster()
		w.program(nil, "h1", "h2")
		w.Problems = func(*store.State) store.Problems { time.Sleep(10 * time.Millisecond); return nil }
		for _, want := range []time.Duration{10 * time.Millisecond, 50 * time.Millisecond} {
			began := time.Now()
			if _, err := w.round(t.Context()); err != nil || time.Since(began) != want {
				t.Errorf("a round took %v, %v; want %v", time.Since(began), err, want)
			}
		}
	})
}

// What controllers show of single objects goes with the floor, as far as a key may carry it.
func TestFloorCarriesProblems(t *testing.T) {
	w := newWorld(t)
	w.cluster()
	w.unknown = []store.DatapathID{7}
	for n := range 70 {
		w.problems = append(w.problems, store.Problem{Object: fmt.Sprint("tenants/", n)})
	}
	floor := w.draft().floor
	if len(floor.Problems) != 50 || floor.Problems[49].Object != "tenants/49" || len(floor.Unknown) != 1 {
		t.Errorf("the floor carries %d problems and unknown switches %v", len(floor.Problems), floor.Unknown)
	}
}

// news is an exception that comes or goes; changes, one that says more than that its host moved
// with the floor.
func TestDraft(t *testing.T) {
	refused := func(why string) map[flows.Slice]host.Trouble {
		port := store.PortKey("h1", "alice", "default", port)
		return map[flows.Slice]host.Trouble{1: {Unserved: []store.Problem{store.LeftOut(port, "%s", why)}}}
	}
	for _, c := range []struct {
		name          string
		is, was       map[flows.Slice]host.Trouble
		moves         bool // another revision came meanwhile
		lag           bool // which h1 does not hold
		events        string
		news, changes bool
	}{
		{name: "nothing", events: ""},
		{name: "an exception comes", is: refused("full"), events: "status/hosts/h1", news: true},
		{name: "it goes", was: refused("full"), events: "delete status/hosts/h1", news: true},
		{name: "it stays", is: refused("full"), was: refused("full"), events: ""},
		{name: "it moves with the floor", is: refused("full"), was: refused("full"), moves: true, events: "status/hosts/h1 status/controllers/c1"},
		{name: "it stays behind the floor", is: refused("full"), was: refused("full"), moves: true, lag: true, events: "status/controllers/c1"},
		{name: "it says more", is: refused("fuller"), was: refused("full"), events: "status/hosts/h1", changes: true},
		{name: "it says more and moves", is: refused("fuller"), was: refused("full"), moves: true, events: "status/hosts/h1 status/controllers/c1", changes: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.cluster()
			w.program(nil, "h2")
			w.program(c.was, "h1")
			if err := w.put(t.Context(), w.draft()); err != nil {
				t.Fatal(err)
			}
			w.vouched(w.picture.Revision)
			if c.moves {
				w.apply(put(store.TenantKey("bob"), nil))
				w.program(nil, "h2")
			}
			if c.lag {
				w.lag("h1")
			} else {
				w.program(c.is, "h1")
			}
			d := w.draft()
			var events []string
			for _, e := range d.events {
				name := e.Key.Short()
				if e.Object == nil {
					name = "delete " + name
				}
				events = append(events, name)
			}
			if got := strings.Join(events, " "); got != c.events || d.news != c.news || d.changes != c.changes {
				t.Errorf("it tells %q, news %v, changes %v; want %q, %v, %v", got, d.news, d.changes, c.events, c.news, c.changes)
			}
		})
	}
}

// An exception whose host lags further below the floor than it says is a change.
func TestDraftOfAHostThatMovesBelowTheFloor(t *testing.T) {
	w := newWorld(t)
	w.cluster()
	w.program(nil, "h2")
	w.wrote("h1", &store.StatusHost{State: store.HostDown, Realized: 1})
	w.Reporter.floor = &store.StatusController{Floor: w.picture.Revision}
	if d := w.draft(); !d.changes || d.news || len(d.events) != 1 {
		t.Errorf("it tells %+v", d)
	}
}

// A transaction carries a bounded number of keys, each part under the fences of its own hosts;
// what was written is remembered, and no more.
func TestPutInParts(t *testing.T) {
	w := newWorld(t)
	d := draft{standing: standing{fences: map[store.Key][]store.Presumption{}}}
	for n := range 130 {
		name := fmt.Sprintf("h%03d", n)
		d.events = append(d.events, put(store.StatusHostKey(name), &store.StatusHost{State: store.HostDown}))
		if n%2 == 0 {
			d.fences[store.StatusHostKey(name)] = store.NewState().FenceHost(name)
		}
	}
	if err := w.put(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	writes := w.Asked()
	for i, want := range []struct{ keys, claims int }{{60, 30}, {60, 30}, {10, 5}} {
		if len(writes) != 3 {
			t.Fatalf("%d transactions", len(writes))
		}
		if keys, claims := strings.Count(writes[i], "status/hosts/"), strings.Count(writes[i], "if masters/"); keys != want.keys || claims != want.claims {
			t.Errorf("transaction %d carries %d keys under %d claims, want %+v", i, keys, claims, want)
		}
	}
	if got := len(w.written()); got != 130 {
		t.Errorf("%d of 130 are remembered", got)
	}

	w = newWorld(t)
	w.answers(errors.New("etcd is away"), nil)
	if err := w.put(t.Context(), d); err == nil || len(w.Asked()) != 1 || len(w.written()) > 0 {
		t.Errorf("after a part failed it went on, or remembers %d: %v", len(w.written()), err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.put(ended, d); !errors.Is(err, context.Canceled) || len(w.Asked()) > 0 {
		t.Errorf("ended, it writes: %v", err)
	}
}

// One transaction may take five seconds.
func TestPutIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var long time.Duration
		w.check = func(ctx context.Context) {
			end, _ := ctx.Deadline()
			long = time.Until(end)
		}
		if err := w.put(t.Context(), draft{events: []store.Event{put(store.StatusHostKey("h1"), nil)}}); err != nil || long != 5*time.Second {
			t.Errorf("a transaction may take %v, %v", long, err)
		}
	})
}

// A claim writes an exception; no report may come between that and its being noted. Claims of
// different hosts do not wait for each other.
func TestClaimAndReportsTakeTurns(t *testing.T) {
	w := newWorld(t)
	status := &store.StatusHost{State: store.HostBehind}
	rev, err := w.Claim("h1", status, func() (store.Revision, error) {
		if w.order.TryLock() {
			t.Error("a report is written while a host is claimed")
			w.order.Unlock()
		}
		if !w.order.TryRLock() {
			t.Fatal("no other host can be claimed meanwhile")
		}
		w.order.RUnlock()
		return 7, nil
	})
	if err != nil || rev != 7 || w.written()["h1"] != status {
		t.Errorf("claimed at %d, %v; noted is %v", rev, err, w.written())
	}
	failed := errors.New("another has it")
	if _, err := w.Claim("h2", status, func() (store.Revision, error) { return 0, failed }); !errors.Is(err, failed) || w.written()["h2"] != nil {
		t.Errorf("a claim that failed: %v; noted is %v", err, w.written())
	}
	w.check = func(context.Context) {
		if w.order.TryRLock() {
			t.Error("a host is claimed while a report is written")
			w.order.RUnlock()
		}
	}
	if err := w.put(t.Context(), draft{events: []store.Event{put(store.StatusHostKey("h1"), nil)}}); err != nil || w.written()["h1"] != nil {
		t.Errorf("%v; noted is %v", err, w.written())
	}
	if !w.order.TryLock() {
		t.Error("the order is still locked")
	}
}

// What a claim wrote while the earlier exceptions were read is newer than these.
func TestClaimsAreNewerThanWhatWasLeft(t *testing.T) {
	w := newWorld(t)
	w.cluster()
	claimed := &store.StatusHost{State: store.HostBehind, Realized: 9}
	w.wrote("h1", claimed)
	w.listed = []store.Event{
		put(store.StatusHostKey("h1"), &store.StatusHost{State: store.HostDown}),
		put(store.StatusHostKey("h2"), &store.StatusHost{State: store.HostDown}),
		{Key: store.StatusHostKey("h3")},
	}
	if err := w.loadExceptions(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.written(); len(got) != 2 || got["h1"] != claimed || got["h2"] == nil {
		t.Errorf("noted are %v", got)
	}
}
