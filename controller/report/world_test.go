package report

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"sluice/controller/host"
	"sluice/flows"
	"sluice/internal/stage"
	"sluice/metrics"
	"sluice/store"
)

// recorder stands for an etcd by a clock that only the test moves: it notes what was written
// when, in which transaction, and under which claims.
type recorder struct {
	*stage.Notes

	mu      sync.Mutex
	err     error // of every write
	listed  []store.Event
	listErr error
	check   func(ctx context.Context) // called within each write
}

func (r *recorder) List(_ context.Context, kind store.Kind, _ ...string) ([]store.Event, store.Revision, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if kind != store.KindStatusHost {
		return nil, 0, fmt.Errorf("%s is listed", kind)
	}
	return r.listed, 1, r.listErr
}

func (r *recorder) PutStatus(ctx context.Context, events []store.Event, presumed ...store.Presumption) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.check != nil {
		r.check(ctx)
	}
	var words []string
	for _, e := range events {
		text := "delete " + e.Key.Short()
		if e.Object != nil {
			value, err := store.Encode(e.Object)
			if err != nil {
				return err
			}
			text = fmt.Sprintf("%s %s", e.Key.Short(), value)
		}
		words = append(words, text)
	}
	for _, p := range presumed {
		at := ""
		if p.Revision != 0 {
			at = fmt.Sprint(" ", p.Revision)
		}
		words = append(words, fmt.Sprintf("if %s is %s%s", strings.TrimPrefix(p.Path, store.Prefix), p.Condition, at))
	}
	r.Note("%s", strings.Join(words, "; "))
	return r.err
}

// answers has every write and every list fail from now on, nil: none.
func (r *recorder) answers(write, list error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.listErr = write, list
}

// world is the reporter of a controller c1, what it looks at, and what it wrote.
type world struct {
	*Reporter
	*recorder
	t       *testing.T
	picture *stage.Picture
	log     *bytes.Buffer
	realize []float64 // seconds

	mu       sync.Mutex
	unknown  []store.DatapathID
	problems store.Problems
}

// observed is the histogram of the time to realize.
func (w *world) observed(seconds float64) { w.realize = append(w.realize, seconds) }

type observer func(float64)

func (o observer) Observe(v float64) { o(v) }

func newWorld(t *testing.T) *world {
	t.Helper()
	set, err := metrics.New(prometheus.NewRegistry(), func() metrics.Snapshot { return metrics.Snapshot{} })
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, picture: stage.NewPicture(), recorder: &recorder{Notes: stage.Begin()}, log: &bytes.Buffer{}}
	w.Reporter = New(Options{
		Controller: "c1", Picture: w.picture.Picture, Fleet: host.NewFleet("c1", set), Store: w.recorder,
		Realize: observer(w.observed), Log: slog.New(slog.NewTextHandler(w.log, nil)),
		Problems: func(*store.State) store.Problems {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.problems
		},
		Unknown: func() store.UnknownSwitches {
			w.mu.Lock()
			defer w.mu.Unlock()
			return store.UnknownSwitches{Unknown: w.unknown}
		},
	})
	w.limit = rate.NewLimiter(writeRate, writeBurst)
	w.Picture.Observe(w.Fleet.Observe, w.Observe)
	return w
}

// keep runs Keep, which stop ends.
func (w *world) keep() (stop func()) { return stage.Run(w.t, w.Keep) }

// apply is a batch of puts at the next revision.
func (w *world) apply(events ...store.Event) {
	w.t.Helper()
	w.picture.Put(w.t, events...)
}

func put(key store.Key, o store.Object) store.Event { return stage.Put(key, o) }

// cluster puts the hosts h1 and h2, which c1 programs, and h3, which c2 does.
func (w *world) cluster() {
	w.t.Helper()
	const registered, claimed = 1, 2 // in one batch: the reporter begins with the first that it sees
	w.picture.Revision = claimed
	w.picture.PutAt(w.t, append(
		at(registered, put(store.HostKey("h1"), &store.Host{DatapathID: 1}), put(store.HostKey("h2"), &store.Host{DatapathID: 2}), put(store.HostKey("h3"), &store.Host{DatapathID: 3})),
		at(claimed, put(store.MasterKey("h1"), &store.Master{Controller: "c1"}), put(store.MasterKey("h2"), &store.Master{Controller: "c1"}), put(store.MasterKey("h3"), &store.Master{Controller: "c2"}),
			put(store.LiveControllerKey("c1"), &store.LiveController{}))...)...)
}

// at are events of a revision.
func at(rev store.Revision, events ...store.Event) []store.Event {
	for i := range events {
		events[i].Created, events[i].Modified = rev, rev
	}
	return events
}

// program has the switches hold what they should at the last revision, but for troubles.
func (w *world) program(troubles map[flows.Slice]host.Trouble, names ...string) {
	for _, name := range names {
		h := w.Fleet.Get(name)
		h.Connect()
		h.MarkAll(w.picture.Revision)
		h.Take()
		if troubles == nil {
			troubles = map[flows.Slice]host.Trouble{}
		}
		h.Confirm(host.Outcome{Revision: w.picture.Revision, Tables: map[uint8]int{}, Troubles: troubles})
	}
	w.Poke()
}

// lag has a host's switch be out of date from the last revision on.
func (w *world) lag(name string) {
	w.Fleet.Get(name).Mark(1, w.picture.Revision)
	w.Poke()
}

func (w *world) wants(what string, writes ...string) {
	w.t.Helper()
	w.Wants(w.t, what, writes...)
}

func attached(name string) store.Event {
	return put(store.PortKey("h1", "alice", "default", name), &store.Port{Number: 7})
}
