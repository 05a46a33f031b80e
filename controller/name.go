package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sluice/store"
	"sluice/store/etcd"
)

// ErrNameTaken ends a controller: a later one announced itself under the same name.
var ErrNameTaken = errors.New("another controller took this name over")

// leaseSeconds is how long a controller may be away before others take its hosts.
const leaseSeconds = 15

// holder keeps the lease under which this controller masters hosts; nil before the first.
type holder struct {
	mu    sync.Mutex
	lease *etcd.Lease
}

func (h *holder) current() *etcd.Lease {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lease
}

func (h *holder) set(l *etcd.Lease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lease = l
}

// stayAlive keeps live/controllers/{name} under a lease. When the lease is lost, because
// etcd was away, it takes another; the switches are not touched meanwhile. It fails only
// with ErrNameTaken.
func (c *Controller) stayAlive(ctx context.Context) error {
	retry := backoff.NewExponentialBackOff()
	for ctx.Err() == nil {
		lease, err := c.announce(ctx)
		switch {
		case errors.Is(err, ErrNameTaken):
			return err
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			c.opts.Log.Warn("cannot announce this controller in etcd, trying again", "err", err)
			select {
			case <-time.After(retry.NextBackOff()):
			case <-ctx.Done():
			}
			continue
		}
		retry.Reset()
		c.lease.set(lease)
		c.wakeClaims()
		select {
		case <-lease.Lost():
			c.opts.Log.Warn("the lease in etcd was lost, taking another")
		case <-ctx.Done():
			lease.Close()
		}
	}
	return nil
}

// announce writes the live key under a lease of its own.
func (c *Controller) announce(ctx context.Context) (*etcd.Lease, error) {
	lease, err := c.opts.Store.GrantLease(ctx, leaseSeconds)
	if err != nil {
		return nil, err
	}
	for {
		err = c.takeName(ctx, lease)
		if !errors.Is(err, store.ErrConflict) || ctx.Err() != nil {
			break // else somebody else wrote the key meanwhile: look again
		}
	}
	if err != nil {
		lease.Close()
		return nil, err
	}
	return lease, nil
}

// takeName makes the name this controller's. The first time it takes it from whoever has
// it: one that was killed cannot give it back, and its successor must not wait for the lease
// to end. Later it takes the name only where nobody else did.
func (c *Controller) takeName(ctx context.Context, lease *etcd.Lease) error {
	key, live := store.LiveControllerKey(c.opts.Name), c.opts.Live
	object, modified, err := c.opts.Store.Get(ctx, key)
	if err != nil {
		return err
	}
	had, _ := object.(*store.LiveController)
	foreign := had != nil && had.Incarnation != live.Incarnation
	if foreign && c.wasNamed() {
		return c.nameTaken(had)
	}
	rev, err := c.opts.Store.PutIf(ctx, key, &live, modified, lease.ID)
	if err != nil {
		return err
	}
	if foreign {
		c.opts.Log.Info("took the name over from a controller that was live, or killed just now; if it still runs, it ends",
			"name", c.opts.Name, "machine", had.Machine, "since", had.Since)
	}
	return c.nowNamed(rev)
}

func (c *Controller) wasNamed() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.named != 0
}

// nowNamed notes an announcement. The watch may have been faster, and shown a later one.
func (c *Controller) nowNamed(rev store.Revision) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.named = rev
	if live := c.state.LiveController(c.opts.Name); live != nil {
		return c.later(live.Modified, live.Value)
	}
	return nil
}

// stillNamed fails where the batch says that a later controller has this one's name.
func (c *Controller) stillNamed(b store.Batch) error {
	key := store.LiveControllerKey(c.opts.Name)
	for _, e := range b.Events {
		if e.Key != key || e.Object == nil {
			continue
		}
		if err := c.later(e.Modified, e.Object.(*store.LiveController)); err != nil {
			return err
		}
	}
	return nil
}

// later fails where a live key of this name was written by another incarnation, and after
// this one's announcement: before that it is a predecessor's.
func (c *Controller) later(modified store.Revision, live *store.LiveController) error {
	if c.named == 0 || modified <= c.named || live.Incarnation == c.opts.Live.Incarnation {
		return nil
	}
	return c.nameTaken(live)
}

// nameTaken says who has the name now and what to do.
func (c *Controller) nameTaken(by *store.LiveController) error {
	var who strings.Builder
	if by.Machine != "" {
		fmt.Fprintf(&who, "on machine %s, ", by.Machine)
	}
	fmt.Fprintf(&who, "started at %s, OpenFlow at %s, API at %s", by.Since.Format(time.RFC3339), by.OpenFlow, by.API)
	return fmt.Errorf("controller %s: %w (%s): give each controller a --name of its own", c.opts.Name, ErrNameTaken, &who)
}
