// Package history is the cluster as it was: states of revisions that are over, made from etcd's history.
//
// It is beside the loop: nothing is programmed from it. People look at it, to see what flows a host was to have and what
// changed between two revisions.
//
// It must never change a State that it handed out, and keeps few of them, for a short time.
package history

import (
	"context"
	"slices"
	"sync"
	"time"

	"sluice/store"
)

// Store is what history needs of etcd.
type Store interface {
	At(ctx context.Context, rev store.Revision) (store.Batch, error)
}

// How many states are kept, and for how long after somebody looked at one: a question about all hosts is one for each host, of
// one or two revisions.
const (
	kept  = 2
	keeps = time.Minute
)

// Reader reads states of the past. It is safe for concurrent use.
type Reader struct {
	store Store

	mu     sync.Mutex // while a state is read, others wait for it: it is large, and they may want the same
	states []past     // longest not looked at first
}

type past struct {
	state  *store.State
	forget *time.Timer
}

// New makes a reader.
func New(s Store) *Reader { return &Reader{store: s} }

// At is the state as it was at a revision. Nobody may change it.
func (r *Reader) At(ctx context.Context, rev store.Revision) (*store.State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := r.index(rev); at >= 0 {
		p := r.states[at]
		p.forget.Reset(keeps)
		r.states = append(slices.Delete(r.states, at, at+1), p)
		return p.state, nil
	}
	batch, err := r.store.At(ctx, rev)
	if err != nil {
		return nil, err
	}
	state := store.NewState()
	state.Apply(batch)
	if len(r.states) == kept {
		r.states[0].forget.Stop()
		r.states = slices.Delete(r.states, 0, 1)
	}
	r.states = append(r.states, past{state, time.AfterFunc(keeps, func() { r.forget(state) })})
	return state, nil
}

// index is where the state of a revision is; -1: it is not kept.
func (r *Reader) index(rev store.Revision) int {
	return slices.IndexFunc(r.states, func(p past) bool { return p.state.Revision() == rev })
}

func (r *Reader) forget(state *store.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states = slices.DeleteFunc(r.states, func(p past) bool { return p.state == state })
}
