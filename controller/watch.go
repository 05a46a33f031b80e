package controller

import (
	"fmt"
	"slices"
	"time"

	"sluice/flows"
	"sluice/store"
)

// seen remembers when a revision was read, until every healthy host holds it.
type seen struct {
	revision store.Revision
	at       time.Time
}

// apply takes one batch into the state and marks the slices that it touched. Marks are
// taken under the same lock as the state, so that a host without marks holds the state's
// revision. An etcd that was restored from a backup counts revisions anew from an older one:
// what was said of those no longer holds, so that is an error. So is that this controller's
// name is another's: the state stays at what it was while the name was this one's.
func (c *Controller) apply(b store.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	had := c.state.Revision()
	if b.Revision < had {
		return fmt.Errorf("etcd went back from revision %d to %d, as after a restore: start the controller again, which changes no flow that is right", had, b.Revision)
	}
	if err := c.stillNamed(b); err != nil {
		return err
	}
	changes := c.state.Apply(b)
	c.seen = append(c.seen, seen{c.state.Revision(), time.Now()})
	for _, change := range changes {
		if change.Key.Kind == store.KindHost {
			c.syncHost(change.Key.Host)
		}
	}
	c.markAffected(changes, had+1) // what etcd gave other revisions to since is no state
	c.wakeOthers(changes)
	c.tombstones.note(changes, b.Revision)
	if slices.ContainsFunc(changes, func(ch store.Change) bool { return ch.After == nil }) {
		select {
		case c.freed <- struct{}{}:
		default:
		}
	}
	if !c.loaded {
		c.loaded = true
		close(c.ready)
	}
	c.report.applied(b)
	return nil
}

// markAffected marks the slices that the changes touched, which are in doubt from a revision
// on, and wakes their hosts.
func (c *Controller) markAffected(changes []store.Change, from store.Revision) {
	marked := map[*host]struct{}{}
	mark := func(name string, slice flows.Slice) {
		if h := c.hosts[name]; h != nil {
			h.mark(slice, from)
			marked[h] = struct{}{}
		}
	}
	for _, change := range changes {
		flows.Affected(c.state, change, mark)
	}
	for h := range marked {
		h.wakeIfMarked()
	}
}

// syncHost makes a host that is registered, and forgets one that is not.
func (c *Controller) syncHost(name string) {
	h, registered := c.hosts[name], c.state.Host(name) != nil
	switch {
	case registered && h == nil:
		c.hosts[name] = newHost(name)
	case !registered && h != nil:
		h.forget()
		delete(c.hosts, name)
		c.metrics.RemoveHost(name)
	}
}

// wakeOthers tells those who wait for more than flows. What a change costs must not grow with
// the cluster: a claim wakes its host's session alone.
func (c *Controller) wakeOthers(changes []store.Change) {
	var controllers, hosts, placing bool
	for _, change := range changes {
		switch change.Key.Kind {
		case store.KindMaster:
			if h := c.hosts[change.Key.Host]; h != nil {
				h.claims.send()
			}
		case store.KindLiveController:
			controllers = true
		case store.KindHost:
			hosts, placing = true, true
			c.doubts.noteAll()
		case store.KindLiveHost:
			placing = true
			c.doubts.noteAll()
		case store.KindTenant, store.KindGateway:
			placing = true
			c.doubts.note(change.Key.Tenant)
		}
	}
	if controllers {
		c.wakeClaimsLocked()
	}
	if hosts {
		c.hostsChanged.send()
	}
	if placing {
		c.placing.send()
	}
}

// wakeClaims makes every session look again whether it is to be its switch's master.
func (c *Controller) wakeClaims() {
	c.mu.RLock()
	defer c.mu.RUnlock()
	c.wakeClaimsLocked()
}

func (c *Controller) wakeClaimsLocked() {
	for _, h := range c.hosts {
		h.claims.send()
	}
}
