package events

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"sluice/store"
)

const (
	// writeRest is between two writes: what happens meanwhile goes with the next one.
	writeRest = time.Second
	// failedRest is how long a write that failed waits.
	failedRest = 5 * time.Second
	// writeTime bounds one write.
	writeTime = 5 * time.Second
	// partSize is how many events one transaction writes. Each presumes one thing, and etcd takes 128 conditions.
	partSize = 60
)

// write writes what waits, again and again.
func (l *Log) write(ctx context.Context) error {
	select {
	case <-l.known: // what happens again is told by what was there
	case <-ctx.Done():
		return nil
	}
	failed := false
	for {
		select {
		case <-l.more:
		case <-ctx.Done():
			return nil
		}
		rest, err := writeRest, l.writeAll(ctx)
		if err != nil {
			l.more.Set()
			if conflict := errors.Is(err, store.ErrConflict); !conflict {
				rest = failedRest
				if !failed && ctx.Err() == nil {
					l.Log.Warn("cannot write events to etcd, trying again", "err", err)
				}
				failed = true
			}
		} else {
			failed = false
		}
		pause(ctx, rest)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// writeAll writes what waits. What is not written waits on.
func (l *Log) writeAll(ctx context.Context) error {
	var failed error
	for part := range slices.Chunk(l.takeWaiting(), partSize) {
		if failed == nil {
			failed = l.writePart(ctx, part)
		}
		if failed != nil {
			l.waitOn(part)
		}
	}
	return failed
}

// takeWaiting takes what waits, the oldest first.
func (l *Log) takeWaiting() (list []store.Happening) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.waiting {
		list = append(list, h)
	}
	clear(l.waiting)
	slices.SortFunc(list, func(a, b store.Happening) int {
		return cmp.Or(a.First.Compare(b.First), cmp.Compare(a.Same(), b.Same()))
	})
	return list
}

// waitOn has events wait that were not written, with what happened since.
func (l *Log) waitOn(part []store.Happening) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range part {
		same := h.Same()
		if since, again := l.waiting[same]; again {
			h = h.Again(since)
		}
		l.waiting[same] = h
	}
}

// writePart writes some events, each where etcd still has what it was worked out of.
func (l *Log) writePart(ctx context.Context, part []store.Happening) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	var events []store.Event
	var presumed []store.Presumption
	latest := l.latest()
	for _, h := range part {
		e, p := next(h, latest[h.Same()])
		events, presumed = append(events, e), append(presumed, p)
	}
	return l.Store.PutStatus(ctx, events, presumed...)
}

// latest are the last events that read the same, by that.
func (l *Log) latest() map[string]store.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	latest := map[string]store.Event{}
	for _, e := range l.held {
		same := Of(e).Same()
		if before, known := latest[same]; !known || byLast(before, e) < 0 {
			latest[same] = e
		}
	}
	return latest
}

// next is what is written of something that happened, after the last event that reads the same; the zero one: there is none.
func next(h store.Happening, last store.Event) (store.Event, store.Presumption) {
	if before := Of(last); last.Object != nil && h.First.Sub(before.Last) < store.DampTime {
		again := before.Again(h)
		return store.Event{Key: last.Key, Object: &again},
			store.Presumption{Condition: store.Unchanged, Path: last.Key.String(), Revision: last.Modified, Refusal: store.ErrConflict}
	}
	key := store.HappeningKey(h.Name())
	return store.Event{Key: key, Object: &h}, store.Presumption{Condition: store.Absent, Path: key.String(), Refusal: store.ErrConflict}
}
