package controller

import (
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
// revision.
func (c *Controller) apply(b store.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	changes := c.state.Apply(b)
	c.seen = append(c.seen, seen{c.state.Revision(), time.Now()})
	c.syncHosts()
	for _, change := range changes {
		flows.Affected(c.state, change, c.mark)
	}
	c.wakeHosts()
	if wakesClaims(changes) {
		c.changed.send()
	}
	if slices.ContainsFunc(changes, func(ch store.Change) bool { return ch.After == nil }) {
		select {
		case c.freed <- struct{}{}:
		default:
		}
	}
	if !c.loaded {
		c.loaded = true
		close(c.ready)
		c.changed.send()
	}
	c.report.poke()
	return nil
}

func (c *Controller) mark(host string, slice flows.Slice) {
	if h := c.hosts[host]; h != nil {
		h.mark(slice, c.state.Revision())
	}
}

// syncHosts makes a host for each that is registered and forgets those that are not.
func (c *Controller) syncHosts() {
	for item := range c.state.Hosts() {
		if name := item.Key.Host; c.hosts[name] == nil {
			c.hosts[name] = newHost(name)
		}
	}
	for name, h := range c.hosts {
		if c.state.Host(name) == nil {
			h.forget()
			delete(c.hosts, name)
		}
	}
}

func (c *Controller) wakeHosts() {
	for _, h := range c.hosts {
		h.wakeIfMarked()
	}
}

// wakesClaims tells whether a change may alter who masters or places what.
func wakesClaims(changes []store.Change) bool {
	for _, change := range changes {
		switch change.Key.Kind {
		case store.KindHost, store.KindMaster, store.KindLiveController, store.KindLiveHost,
			store.KindTenant, store.KindGateway:
			return true
		}
	}
	return false
}
