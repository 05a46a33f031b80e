package lead

import (
	"context"
	"time"
)

const (
	// tidyInterval is how often the leader looks for tombstones that every host has passed
	// and for keys of hosts that are gone.
	tidyInterval = 30 * time.Second
	// tidyDelay is how long after a deletion it looks besides: the hosts have passed it by then.
	tidyDelay = time.Second
)

// tidy removes what nobody needs any more, if this controller leads, and etcd holds the store that
// it serves. Each step is safe to repeat.
func (l *Leader) tidy(ctx context.Context) {
	if !l.Leads() {
		return
	}
	if _, right := l.Store.Trusted(); !right {
		l.hosts.see(nil) // what is absent there says nothing
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tidyInterval)
	defer cancel()
	for _, step := range []func(context.Context) error{l.searchTombstones, l.releaseTombstones, l.clearHosts, l.endIdle} {
		if err := step(ctx); err != nil {
			if ctx.Err() == nil {
				l.Log.Warn("cannot tidy etcd up, trying again", "err", err)
			}
			return
		}
	}
}

// Leads reports whether this controller is the leader, as far as it knows.
func (l *Leader) Leads() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tombstones.known != nil
}

// searchTombstones reads those that this controller may not know of.
func (l *Leader) searchTombstones(ctx context.Context) error {
	l.mu.Lock()
	lacks := l.tombstones.lacks()
	l.mu.Unlock()
	if lacks == 0 {
		return nil
	}
	began := time.Now()
	found, more, err := l.Store.Tombstones(ctx, lacks)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !more {
		l.tombstones.searched = began
	}
	l.tombstones.add(found)
	return nil
}

// releaseTombstones makes the numbers usable again that no switch can hold flows of.
func (l *Leader) releaseTombstones(ctx context.Context) error {
	l.mu.Lock()
	none := len(l.tombstones.known) == 0
	l.mu.Unlock()
	if none {
		return nil
	}
	realized, err := l.Store.RealizedEverywhere(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	passed := l.tombstones.passed(realized)
	l.mu.Unlock()
	if _, err := l.Store.ReleaseTombstones(ctx, passed); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tombstones.forget(passed)
	return nil
}
