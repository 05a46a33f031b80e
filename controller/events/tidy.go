package events

import (
	"context"
	"slices"
	"time"

	"sluice/store"
)

const (
	// Most bounds the events that are kept.
	Most = 1000
	// Oldest is how long after it happened last an event is kept.
	Oldest = 7 * 24 * time.Hour
	// tidyInterval is how often the leader looks for more than that.
	tidyInterval = 30 * time.Second
)

// tidy deletes what is too much or too old, while this controller leads.
func (l *Log) tidy(ctx context.Context) error {
	tick := time.NewTicker(tidyInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if !l.Leads() {
			continue
		}
		if err := l.forget(ctx); err != nil && ctx.Err() == nil {
			l.Log.Warn("cannot delete old events, trying again", "err", err)
		}
	}
}

// forget deletes what is too much or too old. An event that happened again meanwhile goes with what it counts: it was
// among the oldest.
func (l *Log) forget(ctx context.Context) error {
	all, _ := l.All()
	for part := range slices.Chunk(surplus(all, time.Now().Add(-Oldest), Most), partSize) {
		ctx, cancel := context.WithTimeout(ctx, writeTime)
		var gone []store.Event
		for _, e := range part {
			gone = append(gone, store.Event{Key: e.Key})
		}
		err := l.Store.PutStatus(ctx, gone)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// surplus are the events that go: those that happened last before a time, and, where more than most are left, the oldest
// of the kind that has the most. So many changes by one program do not push out that a host was down. all is sorted.
func surplus(all []store.Event, before time.Time, most int) (gone []store.Event) {
	kinds := map[store.What][]store.Event{}
	left := 0
	for _, e := range all {
		if h := Of(e); h.Last.Before(before) {
			gone = append(gone, e)
		} else {
			kinds[h.What] = append(kinds[h.What], e)
			left++
		}
	}
	for ; left > most; left-- {
		var largest store.What
		for what, list := range kinds {
			if len(list) > len(kinds[largest]) || len(list) == len(kinds[largest]) && what < largest {
				largest = what
			}
		}
		gone = append(gone, kinds[largest][0])
		kinds[largest] = kinds[largest][1:]
	}
	return gone
}
