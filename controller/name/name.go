// Package name keeps a controller's name in etcd: the live key under a lease, by which others
// know that it is there, and under which it claims hosts.
//
// In the loop it stands at the door: no batch that shows the name to be another's is taken
// into the picture, so that a controller which lost its name does nothing more under it.
//
// It must never take a name back: of controllers with one name the latest goes on.
package name

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
	"sluice/store/etcd"
)

// ErrTaken ends a controller: a later one announced itself under the same name.
var ErrTaken = errors.New("another controller took this name over")

// leaseSeconds is how long a controller may be away before others take its hosts.
const leaseSeconds = 15

// addressInterval is how often a controller looks whether its machine has other addresses.
const addressInterval = 10 * time.Second

// Store is what a name needs of etcd.
type Store interface {
	Get(ctx context.Context, key store.Key) (store.Object, store.Revision, error)
	PutIf(ctx context.Context, key store.Key, o store.Object, modified store.Revision, lease clientv3.LeaseID) (store.Revision, error)
	GrantLease(ctx context.Context, ttlSeconds int) (*etcd.Lease, error)
}

// Name is one controller's name.
type Name struct {
	name  string
	live  store.LiveController
	store Store
	log   *slog.Logger

	addresses func() []netip.Addr // of the machine, now; nil: as in live
	interval  time.Duration       // between two looks at them

	mu    sync.Mutex
	lease *etcd.Lease    // nil before the first
	named store.Revision // of the last announcement; 0: before the first
	shown store.Event    // the live key of this name as the watch showed it last
}

// New is a name that Keep announces. It chooses the incarnation of live. What addresses says, where it
// is not nil, goes before live's.
func New(name string, live store.LiveController, addresses func() []netip.Addr, s Store, log *slog.Logger) *Name {
	live.Incarnation, live.Schema = strings.ToLower(rand.Text()), store.SchemaVersion
	if addresses != nil {
		live.Addresses = addresses()
	}
	return &Name{name: name, live: live, store: s, log: log, addresses: addresses, interval: addressInterval}
}

func (n *Name) String() string { return n.name }

// Lease is the one under which this controller claims hosts; nil before the first.
func (n *Name) Lease() *etcd.Lease {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lease
}

func (n *Name) setLease(l *etcd.Lease) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lease = l
}

// Release gives the lease up, and with it all claims: others may take the hosts at once. Keep takes
// another one when etcd takes writes of this controller again.
func (n *Name) Release() {
	lease := n.Lease()
	if lease == nil {
		return
	}
	n.setLease(nil)
	if err := lease.Close(); err != nil {
		n.log.Warn("the lease is left to expire", "err", err)
	}
}

// Keep keeps live/controllers/{name} under a lease until ctx ends, and calls announced each
// time that it has a new one. When the lease is lost, because etcd was away, it takes another;
// the switches are not touched meanwhile. It fails only with ErrTaken.
func (n *Name) Keep(ctx context.Context, announced func()) error {
	for ctx.Err() == nil {
		lease, err := n.announceAtLast(ctx)
		if errors.Is(err, ErrTaken) {
			return err
		}
		if err != nil {
			return nil // only when ctx ended
		}
		n.setLease(lease)
		announced()
		if err := n.keepTold(ctx, lease); err != nil {
			return err
		}
	}
	return nil
}

// keepTold keeps the machine's addresses in the live key, until the lease is lost or ctx ends: every gateway
// host closes them to tenants. It fails only with ErrTaken.
func (n *Name) keepTold(ctx context.Context, lease *etcd.Lease) error {
	look := time.NewTicker(n.interval)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			err := n.tellAddresses(ctx, lease)
			if errors.Is(err, ErrTaken) {
				return err
			}
			if err != nil && ctx.Err() == nil {
				n.log.Warn("cannot tell this machine's new addresses in etcd, trying again", "err", err)
			}
		case <-lease.Lost():
			n.log.Warn("the lease in etcd was lost, taking another")
			return nil
		case <-ctx.Done():
			lease.Close()
			return nil
		}
	}
}

// tellAddresses writes the live key anew where the machine has other addresses than it says.
func (n *Name) tellAddresses(ctx context.Context, lease *etcd.Lease) error {
	if n.addresses == nil {
		return nil
	}
	told, now := n.live.Addresses, n.addresses()
	if slices.Equal(told, now) {
		return nil
	}
	n.live.Addresses = now
	if err := n.take(ctx, lease); err != nil {
		n.live.Addresses = told
		return err
	}
	n.log.Info("this machine has other addresses, which gateway hosts close to tenants", "addresses", now)
	return nil
}

// announceAtLast tries until it has announced this controller, another has its name, or ctx ends.
func (n *Name) announceAtLast(ctx context.Context) (*etcd.Lease, error) {
	announce := func() (*etcd.Lease, error) {
		lease, err := n.announce(ctx)
		if errors.Is(err, ErrTaken) {
			err = backoff.Permanent(err)
		}
		return lease, err
	}
	retry := backoff.NewExponentialBackOff()
	retry.MaxInterval = 5 * time.Second // without a lease no host is claimed
	return backoff.Retry(ctx, announce, backoff.WithBackOff(retry), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		n.log.Warn("cannot announce this controller in etcd, trying again", "err", err)
	}))
}

// announce writes the live key under a lease of its own.
func (n *Name) announce(ctx context.Context) (*etcd.Lease, error) {
	lease, err := n.store.GrantLease(ctx, leaseSeconds)
	if err != nil {
		return nil, err
	}
	for {
		err = n.take(ctx, lease)
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

// take makes the name this controller's. The first time it takes it from whoever has
// it: one that was killed cannot give it back, and its successor must not wait for the lease
// to end. Later it takes the name only where nobody else did.
func (n *Name) take(ctx context.Context, lease *etcd.Lease) error {
	key, live := store.LiveControllerKey(n.name), n.live
	object, modified, err := n.store.Get(ctx, key)
	if err != nil {
		return err
	}
	had, _ := object.(*store.LiveController)
	foreign := had != nil && had.Incarnation != live.Incarnation
	if foreign && n.wasNamed() {
		return n.takenBy(had)
	}
	rev, err := n.store.PutIf(ctx, key, &live, modified, lease.ID)
	if err != nil {
		return err
	}
	if foreign {
		n.log.Info("took the name over from a controller that was live, or killed just now; if it still runs, it ends",
			"name", n.name, "machine", had.Machine, "since", had.Since)
	}
	return n.nowNamed(rev)
}

func (n *Name) wasNamed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.named != 0
}

// nowNamed notes an announcement. The watch may have been faster, and shown a later one.
func (n *Name) nowNamed(rev store.Revision) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.named = rev
	return n.check(n.shown)
}

// Check fails with ErrTaken where a batch says that a later controller has this one's name.
// It is asked about each batch before the picture takes it.
func (n *Name) Check(b store.Batch) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range b.Events {
		if e.Key != store.LiveControllerKey(n.name) {
			continue
		}
		n.shown = e
		if err := n.check(e); err != nil {
			return err
		}
	}
	return nil
}

// check fails where a live key of this name was written by another incarnation, and after
// this one's announcement: before that it is a predecessor's.
func (n *Name) check(e store.Event) error {
	live, ok := e.Object.(*store.LiveController)
	if !ok || n.named == 0 || e.Modified <= n.named || live.Incarnation == n.live.Incarnation {
		return nil
	}
	return n.takenBy(live)
}

// takenBy says who has the name now and what to do.
func (n *Name) takenBy(by *store.LiveController) error {
	var who strings.Builder
	if by.Machine != "" {
		fmt.Fprintf(&who, "on machine %s, ", by.Machine)
	}
	fmt.Fprintf(&who, "started at %s, OpenFlow at %s, API at %s", by.Since.Format(time.RFC3339), by.OpenFlow, by.API)
	return fmt.Errorf("controller %s: %w (%s): give each controller a --name of its own", n.name, ErrTaken, &who)
}
