package controller

import (
	"context"
	"errors"
	"maps"
	"time"

	"sluice/store"
	"sluice/store/etcd"
)

// tidyInterval is how often the leader looks for tombstones that every host has passed
// and for keys of hosts and tenants that are gone.
const tidyInterval = 30 * time.Second

// tidyDelay is how long after a deletion it looks besides: the hosts have passed it by then.
const tidyDelay = time.Second

// lead runs what only one controller may do: choosing gateway hosts and tidying up.
func (c *Controller) lead(ctx context.Context) error {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return nil
	}
	leading := false
	elected := c.opts.Store.Elect(ctx, "leader", c.opts.Name)
	tidy := time.NewTicker(tidyInterval)
	defer tidy.Stop()
	var soon <-chan time.Time
	for {
		changed := c.placing.wait()
		if leading {
			c.placeGateways(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case now, open := <-elected:
			if !open {
				return nil
			}
			leading = now
			c.mu.Lock()
			c.doubts.noteAll() // while another led, nobody here looked
			c.mu.Unlock()
			c.opts.Log.Info("leadership", "leading", leading)
		case <-changed:
		case <-c.freed:
			soon = time.After(tidyDelay)
			continue
		case <-soon:
			soon = nil
			c.tidy(ctx, leading)
		case <-tidy.C:
			c.tidy(ctx, leading)
		}
	}
}

// placeGateways writes the gateways that are missing. A conflict means that somebody was
// faster: the next change shows what they wrote.
func (c *Controller) placeGateways(ctx context.Context) {
	c.mu.Lock()
	doubts := c.doubts.take()
	placements, problems := place(c.state, doubts)
	c.noteUnplaced(doubts, problems)
	c.mu.Unlock()
	c.report.poke()
	for i, p := range placements {
		gateway := p.gateway
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := c.opts.Store.PutIf(ctx, store.GatewayKey(p.tenant), &gateway, p.modified, 0)
		cancel()
		if errors.Is(err, etcd.ErrConflict) || errors.Is(err, etcd.ErrNotFound) {
			continue // somebody was faster, or the tenant is gone
		}
		if err != nil {
			c.opts.Log.Warn("cannot place a gateway, trying again", "tenant", p.tenant, "err", err)
			c.doubt(placements[i:])
			return
		}
		c.opts.Log.Info("gateway placed", "tenant", p.tenant, "host", gateway.Active, "why", gateway.Why)
	}
}

// noteUnplaced keeps the problems of tenants that were in doubt.
func (c *Controller) noteUnplaced(d doubts, problems map[string]store.Problem) {
	if d.all {
		c.unplaced = problems
		return
	}
	for tenant := range d.tenants {
		delete(c.unplaced, tenant)
	}
	maps.Copy(c.unplaced, problems)
}

// doubt keeps placements that were not written for the next try.
func (c *Controller) doubt(placements []placement) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range placements {
		c.doubts.note(p.tenant)
	}
}

// tidy removes what nobody needs any more. Each step is safe to repeat.
func (c *Controller) tidy(ctx context.Context, leading bool) {
	if !leading {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tidyInterval)
	defer cancel()
	realized, err := c.realizedEverywhere(ctx)
	if err == nil && realized > 0 {
		_, err = c.opts.Store.ReleaseTombstones(ctx, realized)
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
