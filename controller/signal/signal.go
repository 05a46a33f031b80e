// Package signal wakes those who wait for something that changes again and again.
//
// It carries no news: whoever wakes looks for itself at what there is now. It must never block
// the sender.
package signal

import "sync"

// Broadcast wakes everyone who waits, once for each Send. The zero value is ready.
type Broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

// Wait returns a channel that the next Send closes. Who calls it before looking at what the
// signal is about misses no change.
func (b *Broadcast) Wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

// Send wakes those who wait.
func (b *Broadcast) Send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
	}
	b.ch = make(chan struct{})
}

// Flag keeps one token until somebody takes it: however often it was set, its reader wakes once.
type Flag chan struct{}

// NewFlag makes a flag that is not set.
func NewFlag() Flag { return make(Flag, 1) }

// Set sets the flag.
func (f Flag) Set() {
	select {
	case f <- struct{}{}:
	default:
	}
}
