package controller

import (
	"context"
	"time"

	"sluice/store"
	"sluice/store/etcd"
)

const (
	// tidyInterval is how often the leader looks for tombstones that every host has passed
	// and for keys of hosts that are gone.
	tidyInterval = 30 * time.Second
	// tidyDelay is how long after a deletion it looks besides: the hosts have passed it by then.
	tidyDelay = time.Second
	// searchInterval is how often it searches etcd for tombstones that it does not know of:
	// an object may have come and gone while its watch was cut off.
	searchInterval = time.Hour
	// maxTombstones bounds those that it keeps in mind while a host is away; the others are
	// searched for once there is room.
	maxTombstones = 10_000
)

// tombstones are what the leader knows of numbers that objects had which are gone: so that
// what a deletion costs does not grow with what is there.
type tombstones struct {
	known    map[etcd.Tombstone]struct{} // nil: this controller does not lead, and keeps none
	searched time.Time                   // when all of them were known; zero: etcd may hold others
}

func newTombstones(leads bool) tombstones {
	if !leads {
		return tombstones{}
	}
	return tombstones{known: map[etcd.Tombstone]struct{}{}}
}

// lacks is how many are to be searched for: none, unless it is time and there is room.
func (t *tombstones) lacks() int {
	if time.Since(t.searched) < searchInterval {
		return 0
	}
	return maxTombstones - len(t.known)
}

// note adds what the changes of one revision left.
func (t *tombstones) note(changes []store.Change, at store.Revision) {
	for _, change := range changes {
		if change.After == nil || change.Anew {
			t.add(etcd.TombstonesOf(change.Key, change.Before, at))
		}
	}
}

func (t *tombstones) add(list []etcd.Tombstone) {
	if t.known == nil {
		return
	}
	for _, s := range list {
		if len(t.known) >= maxTombstones {
			t.searched = time.Time{}
			return
		}
		t.known[s] = struct{}{}
	}
}

// passed are those that a host which is realized at a revision holds no flows of.
func (t *tombstones) passed(realized store.Revision) []etcd.Tombstone {
	var list []etcd.Tombstone
	for s := range t.known {
		if s.Freed <= realized {
			list = append(list, s)
		}
	}
	return list
}

func (t *tombstones) forget(list []etcd.Tombstone) {
	for _, s := range list {
		delete(t.known, s)
	}
}

// tidy removes what nobody needs any more, if this controller leads. Each step is safe to
// repeat.
func (c *Controller) tidy(ctx context.Context) {
	if !c.leads() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tidyInterval)
	defer cancel()
	err := c.searchTombstones(ctx)
	if err == nil {
		err = c.releaseTombstones(ctx)
	}
	gone, at := c.goneHosts()
	for _, host := range gone {
		if err == nil {
			_, err = c.opts.Store.ClearHost(ctx, host, at)
		}
	}
	if err != nil && ctx.Err() == nil {
		c.opts.Log.Warn("cannot tidy etcd up, trying again", "err", err)
	}
}

func (c *Controller) leads() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tombstones.known != nil
}

// searchTombstones reads those that this controller may not know of.
func (c *Controller) searchTombstones(ctx context.Context) error {
	c.mu.RLock()
	lacks := c.tombstones.lacks()
	c.mu.RUnlock()
	if lacks == 0 {
		return nil
	}
	began := time.Now()
	found, more, err := c.opts.Store.Tombstones(ctx, lacks)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !more {
		c.tombstones.searched = began
	}
	c.tombstones.add(found)
	return nil
}

// releaseTombstones makes the numbers usable again that no switch can hold flows of.
func (c *Controller) releaseTombstones(ctx context.Context) error {
	c.mu.RLock()
	none := len(c.tombstones.known) == 0
	c.mu.RUnlock()
	if none {
		return nil
	}
	realized, err := c.realizedEverywhere(ctx)
	if err != nil {
		return err
	}
	c.mu.RLock()
	passed := c.tombstones.passed(realized)
	c.mu.RUnlock()
	if _, err := c.opts.Store.ReleaseTombstones(ctx, passed); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tombstones.forget(passed)
	return nil
}

// realizedEverywhere is the revision that every registered host is past: the smallest
// floor and exception. It is 0 while a host has no master.
func (c *Controller) realizedEverywhere(ctx context.Context) (store.Revision, error) {
	floors, _, err := c.opts.Store.List(ctx, store.KindStatusController)
	if err != nil {
		return 0, err
	}
	exceptions, _, err := c.opts.Store.List(ctx, store.KindStatusHost)
	if err != nil {
		return 0, err
	}
	floor := map[string]store.Revision{}
	for _, e := range floors {
		if status, ok := e.Object.(*store.StatusController); ok {
			floor[e.Key.Name] = status.Floor
		}
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	lowest := c.state.Revision()
	for h := range c.state.Hosts() {
		m := c.state.Master(h.Key.Host)
		if m == nil {
			return 0, nil
		}
		lowest = min(lowest, floor[m.Value.Controller])
	}
	for _, e := range exceptions {
		if status, ok := e.Object.(*store.StatusHost); ok && c.state.Host(e.Key.Host) != nil {
			lowest = min(lowest, status.Realized)
		}
	}
	return lowest, nil
}

// goneHosts are hosts that have ports but are not registered, at the revision returned:
// they were deleted.
func (c *Controller) goneHosts() ([]string, store.Revision) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.state.HostsGone(), c.state.Revision()
}
