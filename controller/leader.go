package controller

import (
	"context"
	"errors"
	"maps"
	"time"

	"sluice/store"
)

// lead runs what only one controller may do: choosing gateway hosts and tidying up.
func (c *Controller) lead(ctx context.Context) error {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return nil
	}
	leads := false
	elected := c.opts.Store.Elect(ctx, "leader", c.opts.Name)
	tidy := time.NewTicker(tidyInterval)
	defer tidy.Stop()
	var soon <-chan time.Time
	for {
		changed := c.placing.wait()
		if leads {
			c.placeGateways(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case now, open := <-elected:
			if !open {
				return nil
			}
			leads = now
			c.startLeading(leads)
		case <-changed:
		case <-c.freed:
			soon = time.After(tidyDelay)
			continue
		case <-soon:
			soon = nil
			c.tidy(ctx)
		case <-tidy.C:
			c.tidy(ctx)
		}
	}
}

// startLeading forgets what an earlier term knew: while another led, nobody here looked.
func (c *Controller) startLeading(leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doubts.noteAll()
	c.tombstones = newTombstones(leads)
	c.opts.Log.Info("leadership", "leading", leads)
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
		if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
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
