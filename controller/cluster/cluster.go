// Package cluster is the picture of the cluster that every part of a controller looks at: the
// store's State under one lock.
//
// In the loop it is the first room: what the watch of etcd reads is applied here, observers note
// what it means for them, and from then on everybody who looks sees the new revision.
//
// It must never wait for anything but its lock, and never do I/O: each batch passes through it.
//
// Order of locks: this one first, then the lock of the room that looks. No room calls a Picture
// while it holds a lock of its own.
package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"sluice/store"
)

// Update is one batch and what it meant.
type Update struct {
	State   *store.State // as it is with the batch
	Batch   store.Batch
	Changes []store.Change
	From    store.Revision // the first revision that may differ from the state before
}

// Observer is told of every batch while the picture is locked, in the order of the observers.
// What it notes belongs to exactly that revision. It must not block and not call the Picture.
type Observer func(Update)

// Picture is the cluster as etcd last told it. It is safe for concurrent use.
type Picture struct {
	observers []Observer
	loaded    chan struct{}

	mu      sync.RWMutex
	state   *store.State
	first   bool     // no batch was applied yet
	waiters []waiter // by revision, smallest first
}

// waiter waits for a revision.
type waiter struct {
	revision store.Revision
	reached  chan struct{}
}

// New is the picture of an empty cluster.
func New() *Picture {
	return &Picture{loaded: make(chan struct{}), state: store.NewState(), first: true}
}

// Observe adds observers. It is called before the first Apply.
func (p *Picture) Observe(o ...Observer) { p.observers = append(p.observers, o...) }

// Apply takes a batch in. It fails where etcd counts revisions anew from an older one, as after
// a restore from a backup: what was said of those revisions no longer holds.
func (p *Picture) Apply(b store.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.state.Revision()
	if b.Revision < before {
		return fmt.Errorf("etcd went back from revision %d to %d, as after a restore: start the controller again, which changes no flow that is right", before, b.Revision)
	}
	update := Update{State: p.state, Batch: b, Changes: p.state.Apply(b), From: before + 1}
	for _, observe := range p.observers {
		observe(update)
	}
	if p.first {
		p.first = false
		close(p.loaded)
	}
	p.wake()
	return nil
}

// wake lets those go on whose revision is reached.
func (p *Picture) wake() {
	reached := 0
	for reached < len(p.waiters) && p.waiters[reached].revision <= p.state.Revision() {
		close(p.waiters[reached].reached)
		reached++
	}
	p.waiters = slices.Delete(p.waiters, 0, reached)
}

// Loaded is closed when the first batch, which is the whole store, was applied.
func (p *Picture) Loaded() <-chan struct{} { return p.loaded }

// View lets f read the state, which stays as it is until f returns. f must not keep the state,
// nor call the Picture.
func (p *Picture) View(f func(*store.State)) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	f(p.state)
}

// perView is how many objects a walk looks at under one hold of the lock. It is what a batch has to
// wait for at most, however large the cluster is.
const perView = 64

// Each lets f look at the n objects of a list, one after another: at most perView of them under one
// hold of the lock, so that a walk over the whole cluster holds up no batch. The state may be
// another one from one object to the next, and newer. What View asks of f holds here too.
func (p *Picture) Each(n int, f func(s *store.State, i int)) {
	for from := 0; from < n; from += perView {
		p.View(func(s *store.State) {
			for i := from; i < min(from+perView, n); i++ {
				f(s, i)
			}
		})
	}
}

// Revision is the last one applied.
func (p *Picture) Revision() (rev store.Revision) {
	p.View(func(s *store.State) { rev = s.Revision() })
	return rev
}

// Await returns once the picture is at least at a revision, or when ctx ends.
func (p *Picture) Await(ctx context.Context, rev store.Revision) error {
	w := waiter{rev, make(chan struct{})}
	p.add(w)
	select {
	case <-w.reached:
		return nil
	case <-ctx.Done():
	}
	p.remove(w)
	return fmt.Errorf("the watch of etcd is at revision %d, not yet at %d: %w", p.Revision(), rev, ctx.Err())
}

func (p *Picture) add(w waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.Revision() >= w.revision {
		close(w.reached)
		return
	}
	at, _ := slices.BinarySearchFunc(p.waiters, w, func(a, b waiter) int { return cmp.Compare(a.revision, b.revision) })
	p.waiters = slices.Insert(p.waiters, at, w)
}

func (p *Picture) remove(w waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiters = slices.DeleteFunc(p.waiters, func(o waiter) bool { return o.reached == w.reached })
}
