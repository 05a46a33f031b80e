package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"sluice/controller/cluster"
	"sluice/controller/signal"
	"sluice/store"
)

const (
	// interval is how often counters that moved are written to etcd.
	interval = 10 * time.Second
	// last bounds the writing of all counters when the controller stops.
	last = 2 * time.Second
	// writeTime bounds one write.
	writeTime = 5 * time.Second
)

// Store is what the checkpoints need of etcd.
type Store interface {
	Get(ctx context.Context, key store.Key) (store.Object, store.Revision, error)
	PutStatus(ctx context.Context, events []store.Event, presumed ...store.Presumption) error
}

// Checkpoints carries ledgers over restarts of controllers, by status/counters/{host} in etcd.
type Checkpoints struct {
	Picture *cluster.Picture
	Store   Store
	Log     *slog.Logger
	// Mastered yields the ledgers of the hosts that this controller programs, by host.
	Mastered func() map[string]*Ledger

	gone signal.Flag // an accounting flow was removed
}

// New makes checkpoints that Keep writes.
func New(c Checkpoints) *Checkpoints {
	c.gone = signal.NewFlag()
	return &c
}

// FlowGone notes that a ledger holds the last word of a removed flow, which no switch can tell
// again: it is written soon.
func (c *Checkpoints) FlowGone() { c.gone.Set() }

// Load reads a host's checkpoint into its ledger: before its first counters and whenever the
// host was claimed anew, since another controller may have counted on.
func (c *Checkpoints) Load(ctx context.Context, host string, l *Ledger) error {
	object, _, err := c.Store.Get(ctx, store.StatusCountersKey(host))
	if err != nil {
		return fmt.Errorf("host %s: read the counters' checkpoint: %w", host, err)
	}
	saved, _ := object.(*store.StatusCounters)
	l.Load(saved)
	return nil
}

// Keep writes counters that moved, so that a restart of the controller finds them: soon where
// a flow is gone, and all when ctx ends.
func (c *Checkpoints) Keep(ctx context.Context) error {
	tick := time.Tick(interval)
	limit := rate.NewLimiter(1, 1)
	for {
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), last)
			defer cancel()
			c.writeAll(ctx, (*Ledger).isDirty)
			return nil
		case <-tick:
			c.writeAll(ctx, (*Ledger).isDirty)
		case <-c.gone:
			_ = limit.Wait(ctx) // fails only when ctx ends, which is looked at next
			c.writeAll(ctx, (*Ledger).isUrgent)
		}
	}
}

// writeAll writes those that are due of the hosts that this controller programs.
func (c *Checkpoints) writeAll(ctx context.Context, due func(*Ledger) bool) {
	for host, l := range c.Mastered() {
		if !due(l) {
			continue
		}
		err := c.write(ctx, host, l)
		if errors.Is(err, store.ErrConflict) {
			continue // another masters the host now; the watch will say so
		}
		if err != nil && ctx.Err() == nil {
			c.Log.Warn("cannot checkpoint counters, trying again", "host", host, "err", err)
			return
		}
	}
}

// write writes one checkpoint, unless the host is another by now, or has another claim.
func (c *Checkpoints) write(ctx context.Context, host string, l *Ledger) error {
	var saved *store.StatusCounters
	var fence []store.Presumption
	c.Picture.View(func(s *store.State) {
		saved = l.save(func(number uint32) bool { return number == 0 || s.TenantByNumber(number) != nil })
		fence = s.FenceHost(host)
	})
	if saved == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	err := c.Store.PutStatus(ctx, []store.Event{{Key: store.StatusCountersKey(host), Object: saved}}, fence...)
	if err != nil {
		l.unsaved()
	}
	return err
}
