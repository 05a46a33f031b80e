// Package events keeps what happened to the cluster, for operators: gateways that moved, hosts that fell behind and came
// back, drift that was mended, who changed what.
//
// In the loop it stands beside the programming. Who knows that something happened notes it in the Log, which counts what
// happens again, writes it to etcd a moment later, and follows what all controllers wrote there. The Lookout notes what
// can be seen by looking.
//
// It must never hold up who notes something, whatever etcd does: notes wait in a bounded place, and what finds none is
// counted and lost. It decides nothing, and nobody decides by it.
package events

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"sluice/controller/changes"
	"sluice/controller/cluster"
	"sluice/controller/signal"
	"sluice/store"
)

// Store is what the Log needs of etcd.
type Store interface {
	Follow(ctx context.Context, kind store.Kind, handle func(store.Batch) error) error
	PutStatus(ctx context.Context, events []store.Event, presumed ...store.Presumption) error
}

// Options are what a Log stands on. All are required.
type Options struct {
	Controller string // its name
	Store      Store
	Log        *slog.Logger
	Leads      func() bool
	Noted      *prometheus.CounterVec // by kind
	Lost       prometheus.Counter     // what found no place
}

// mostWaiting bounds the events that wait to be written.
const mostWaiting = 512

// Log is what happened. It is safe for concurrent use.
type Log struct {
	Options
	window *changes.Window
	known  chan struct{} // closed once etcd's events were read

	mu      sync.Mutex
	held    map[string]store.Event // as etcd has them, by name
	at      store.Revision         // as of which
	waiting map[string]store.Happening
	more    signal.Flag // something waits
}

// New makes a log that Keep keeps.
func New(o Options) *Log {
	for _, what := range store.Whats() { // of a series that begins with its first event, Prometheus sees no increase
		o.Noted.WithLabelValues(string(what))
	}
	return &Log{Options: o, window: changes.New(store.KindHappening), known: make(chan struct{}),
		held: map[string]store.Event{}, waiting: map[string]store.Happening{}, more: signal.NewFlag()}
}

// Note notes that something happened just now: Count times, or once. It waits for nothing.
func (l *Log) Note(h store.Happening) {
	h.Bound()
	h.Count, h.Controller, h.Warning = max(h.Count, 1), l.Controller, h.What.Warns()
	h.First = time.Now().UTC().Truncate(time.Millisecond)
	h.Last = h.First
	if !l.wait(h) {
		l.Lost.Add(float64(h.Count))
		return
	}
	l.Noted.WithLabelValues(string(h.What)).Add(float64(h.Count))
	l.more.Set()
}

// wait keeps an event until it is written. It reports whether there was a place.
func (l *Log) wait(h store.Happening) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	same := h.Same()
	if before, again := l.waiting[same]; again {
		h = before.Again(h)
	} else if len(l.waiting) >= mostWaiting {
		return false
	}
	l.waiting[same] = h
	return true
}

// Keep follows what is written, writes what is noted, and deletes what is too old while this controller leads, until ctx ends.
func (l *Log) Keep(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.Store.Follow(ctx, store.KindHappening, l.take) })
	g.Go(func() error { return l.write(ctx) })
	g.Go(func() error { return l.tidy(ctx) })
	if err := g.Wait(); ctx.Err() == nil {
		return err
	}
	return nil
}

// take takes in what etcd says.
func (l *Log) take(b store.Batch) error {
	l.mu.Lock()
	first := l.at == 0
	l.at = b.Revision
	for _, e := range b.Events {
		if e.Object == nil {
			delete(l.held, e.Key.Name)
		} else {
			l.held[e.Key.Name] = e
		}
	}
	l.mu.Unlock()
	if first {
		close(l.known)
	}
	l.window.Observe(cluster.Update{Batch: b})
	return nil
}

// Window is what changed last, for those who watch.
func (l *Log) Window() *changes.Window { return l.window }

// All are the events that etcd has, and as of which revision: what happened last comes last.
func (l *Log) All() ([]store.Event, store.Revision) {
	l.mu.Lock()
	all, at := slices.Collect(maps.Values(l.held)), l.at
	l.mu.Unlock()
	slices.SortFunc(all, byLast)
	return all, at
}

// byLast sorts events by when they happened last.
func byLast(a, b store.Event) int {
	return cmp.Or(Of(a).Last.Compare(Of(b).Last), cmp.Compare(a.Modified, b.Modified), cmp.Compare(a.Key.Name, b.Key.Name))
}

// Of is what an event of the log says.
func Of(e store.Event) *store.Happening {
	if h, ok := e.Object.(*store.Happening); ok {
		return h
	}
	return &store.Happening{}
}
