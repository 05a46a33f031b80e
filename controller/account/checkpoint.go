package account

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"sluice/controller/cluster"
	"sluice/controller/signal"
	"sluice/store"
)

const (
	// interval is how often counters that moved are written to etcd, where this controller programs few hosts: others
	// wait until there was time for perWrite for each, and no longer than maxInterval.
	interval    = 2 * time.Second
	perWrite    = 100 * time.Millisecond
	maxInterval = 10 * time.Second
	// last bounds the writing of all counters when the controller stops.
	last = 2 * time.Second
	// writeTime bounds one write.
	writeTime = 5 * time.Second
)

// Store is what the checkpoints need of etcd.
type Store interface {
	Get(ctx context.Context, key store.Key) (store.Object, store.Revision, error)
	PutStatus(ctx context.Context, events []store.Event, presumed ...store.Presumption) error
	Counters(ctx context.Context, after store.Revision) ([]store.Event, store.Revision, error)
}

// Checkpoints carries ledgers over restarts of controllers, by status/counters/{host} in etcd.
type Checkpoints struct {
	Picture *cluster.Picture
	Store   Store
	Log     *slog.Logger
	// Mastered yields the ledgers of the hosts that this controller programs, by host.
	Mastered func() map[string]*Ledger
	// Ledgers yields those of all hosts. It does not look at the picture.
	Ledgers func() iter.Seq[*Ledger]

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
	object, written, err := c.Store.Get(ctx, store.StatusCountersKey(host))
	if err != nil {
		return fmt.Errorf("host %s: read the counters' checkpoint: %w", host, err)
	}
	saved, _ := object.(*store.StatusCounters)
	c.Picture.View(func(s *store.State) {
		l.loadOf(saved, func(number uint32) bool { return counts(s, number, written) })
	})
	return nil
}

// counts reports whether a sum that was written then is of the tenant that has the number now. 0 is nobody's.
func counts(s *store.State, number uint32, written store.Revision) bool {
	t := s.TenantByNumber(number)
	return number == 0 || t != nil && t.Created <= written
}

// Observe has the ledgers forget tenants that went. It is an observer of the picture.
func (c *Checkpoints) Observe(u cluster.Update) {
	for _, change := range u.Changes {
		if gone, ok := change.Before.(*store.Tenant); ok && (change.After == nil || change.Anew) {
			for l := range c.Ledgers() {
				l.Forget(gone.Number)
			}
		}
	}
}

// Keep writes counters that moved, so that a restart of the controller finds them: soon where
// a flow is gone, and all when ctx ends.
func (c *Checkpoints) Keep(ctx context.Context) error {
	tick := time.NewTimer(interval)
	defer tick.Stop()
	limit := rate.NewLimiter(1, 1)
	for {
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), last)
			defer cancel()
			c.writeAll(ctx, (*Ledger).isDirty)
			return nil
		case <-tick.C:
			hosts := c.writeAll(ctx, (*Ledger).isDirty)
			tick.Reset(min(max(interval, time.Duration(hosts)*perWrite), maxInterval))
		case <-c.gone:
			_ = limit.Wait(ctx) // fails only when ctx ends, which is looked at next
			c.writeAll(ctx, (*Ledger).isUrgent)
		}
	}
}

// writeAll writes those that are due of the hosts that this controller programs, and returns how many hosts these are.
func (c *Checkpoints) writeAll(ctx context.Context, due func(*Ledger) bool) (hosts int) {
	mastered := c.Mastered()
	for host, l := range mastered {
		if !due(l) {
			continue
		}
		err := c.write(ctx, host, l)
		if errors.Is(err, store.ErrConflict) {
			continue // another masters the host now; the watch will say so
		}
		if err != nil && ctx.Err() == nil {
			c.Log.Warn("cannot checkpoint counters, trying again", "host", host, "err", err)
			break
		}
	}
	return len(mastered)
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
