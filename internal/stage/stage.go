// Package stage is what tests of the controller's rooms share: a picture that is changed a batch at a time, notes of
// what a room asked of its store, and a room that runs until it is stopped. Time is that of testing/synctest. Only
// tests use it.
package stage

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/controller/cluster"
	"sluice/store"
)

// Notes are what a room asked, in order, each line with when that was since they began.
type Notes struct {
	Start time.Time

	mu    sync.Mutex
	lines []string
}

// Begin begins notes now.
func Begin() *Notes { return &Notes{Start: time.Now()} }

// Note adds a line.
func (n *Notes) Note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf("%v: ", time.Since(n.Start))+fmt.Sprintf(format, args...))
}

// Asked are the lines since it was last called.
func (n *Notes) Asked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.lines
	n.lines = nil
	return list
}

// Wants compares Asked with what should have been asked.
func (n *Notes) Wants(t testing.TB, what string, lines ...string) {
	t.Helper()
	if diff := cmp.Diff(lines, n.Asked()); diff != "" {
		t.Errorf("%s, asked of etcd (-want +got):\n%s", what, diff)
	}
}

// Until lets time pass until so long after Start, and what happens then end.
func (n *Notes) Until(d time.Duration) {
	time.Sleep(time.Until(n.Start.Add(d)))
	synctest.Wait()
}

// Picture is a picture that a test changes.
type Picture struct {
	*cluster.Picture
	Revision store.Revision // of the last batch
}

// NewPicture is one of an empty store.
func NewPicture() *Picture { return &Picture{Picture: cluster.New()} }

// Put is a batch at the next revision; a nil object is deleted.
func (p *Picture) Put(t testing.TB, events ...store.Event) {
	t.Helper()
	p.Revision++
	for i := range events {
		events[i].Created, events[i].Modified = p.Revision, p.Revision
	}
	p.PutAt(t, events...)
}

// PutAt is a batch at Revision, of events that say of which revision each is.
func (p *Picture) PutAt(t testing.TB, events ...store.Event) {
	t.Helper()
	if err := p.Apply(store.Batch{Revision: p.Revision, Events: events}); err != nil {
		t.Fatal(err)
	}
}

// Put is an event of a batch.
func Put(key store.Key, o store.Object) store.Event { return store.Event{Key: key, Object: o} }

// Run runs a room until stop is called, and returns when it waits for something.
func Run(t testing.TB, room func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- room(ctx) }()
	synctest.Wait()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("it ended with %v", err)
		}
	}
}
