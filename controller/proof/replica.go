package proof

import (
	"sync"

	"sluice/controller/cluster"
	"sluice/store"
)

// replica is a second State, which proofs read without the picture's lock: a proof over many flows takes
// longer than a batch of the watch may wait. It follows the picture, but for while somebody reads it.
type replica struct {
	reading sync.Mutex // held by who reads state or changes it
	state   *store.State

	mu    sync.Mutex
	queue store.Batch // that state does not have yet
}

func newReplica() *replica { return &replica{state: store.NewState()} }

// note takes in a batch. It is an observer of the picture: it does not wait for a reader.
func (r *replica) note(u cluster.Update) {
	r.put(u.Batch)
	if r.reading.TryLock() {
		r.catchUp()
		r.reading.Unlock()
	}
}

func (r *replica) put(b store.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue.Revision = b.Revision
	for _, e := range b.Events {
		if e.Key.Kind.IsFact() {
			r.queue.Events = append(r.queue.Events, e)
		}
	}
}

// catchUp brings the state to what was noted. Who calls it reads.
func (r *replica) catchUp() {
	r.mu.Lock()
	batch := r.queue
	r.queue.Events = nil
	r.mu.Unlock()
	r.state.Apply(batch)
}

// read lets f read the state, as the picture was at least when it was called. Picture waits for none who read.
func (r *replica) read(f func(*store.State)) {
	r.reading.Lock()
	defer r.reading.Unlock()
	r.catchUp()
	f(r.state)
}
