package session

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// turnTime bounds a host's turn. Who needs longer waits for its switch and not for this
// machine: the others shall not wait with it.
const turnTime = 5 * time.Second

// turns bounds how many hosts' flows are held in memory at one time.
type turns struct {
	free *semaphore.Weighted
	long time.Duration // of a turn, at most
}

func newTurns(n int64, long time.Duration) turns { return turns{semaphore.NewWeighted(n), long} }

// take waits for a turn; end gives it back.
func (t turns) take(ctx context.Context) (end func(), err error) {
	if err := t.free.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return t.begin(), nil
}

// try takes a turn where one is free; nil: none is.
func (t turns) try() (end func()) {
	if !t.free.TryAcquire(1) {
		return nil
	}
	return t.begin()
}

func (t turns) begin() (end func()) {
	release := sync.OnceFunc(func() { t.free.Release(1) })
	timer := time.AfterFunc(t.long, release)
	return func() {
		timer.Stop()
		release()
	}
}
