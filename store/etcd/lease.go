package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"sluice/store"
)

const (
	// hostTTL is how many seconds a host counts as live without word from its agent.
	hostTTL = 15
	// electionTTL is how many seconds a leader that fell silent stays the leader.
	electionTTL = 10
	// electionPrefix is where elections are held; Watch passes over it.
	electionPrefix = store.Prefix + "elections/"
)

// Lease is kept alive until it is closed or lost.
type Lease struct {
	ID   clientv3.LeaseID
	lost chan struct{}
	stop context.CancelFunc
	etcd *clientv3.Client
}

// GrantLease makes a lease and keeps it alive, also after ctx ends. While the client holds (see
// Trust) it waits.
func (c *Client) GrantLease(ctx context.Context, ttlSeconds int) (*Lease, error) {
	if _, err := c.trust.settled(ctx); err != nil {
		return nil, fmt.Errorf("grant a lease: %w", err)
	}
	request, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	granted, err := c.etcd.Grant(request, int64(ttlSeconds))
	if err != nil {
		return nil, fmt.Errorf("grant a lease: %w", c.failed(err))
	}
	alive, stop := context.WithCancel(context.WithoutCancel(ctx))
	kept, err := c.etcd.KeepAlive(alive, granted.ID)
	if err != nil {
		stop()
		return nil, fmt.Errorf("keep a lease alive: %w", c.failed(err))
	}
	l := &Lease{ID: granted.ID, lost: make(chan struct{}), stop: stop, etcd: c.etcd}
	go func() {
		defer close(l.lost)
		for range kept { // answers must be taken; the channel closes when the lease is gone
		}
	}()
	return l, nil
}

// Lost is closed when the lease expired, or was closed.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Close revokes the lease; its keys go at once.
func (l *Lease) Close() error {
	l.stop()
	<-l.lost
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := l.etcd.Revoke(ctx, l.ID); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return fmt.Errorf("revoke lease %x: %w", int64(l.ID), err)
	}
	return nil
}

// Elect stands for election under a name until ctx ends. The channel says true when id
// becomes the leader and false when another may be; only the latest word is kept for a
// slow reader. It is closed when ctx ends. What a leader writes must be guarded by CAS all
// the same: it learns of its fall later than etcd.
func (c *Client) Elect(ctx context.Context, name, id string) (leader <-chan bool) {
	out := make(chan bool, 1)
	say := func(v bool) {
		select {
		case <-out:
		default:
		}
		out <- v
	}
	go func() {
		defer close(out)
		for ctx.Err() == nil {
			if err := c.term(ctx, name, id, say); err != nil && ctx.Err() == nil {
				c.log.Warn("election failed", "election", name, "err", err)
				sleep(ctx, time.Second)
			}
		}
	}()
	return out
}

// term campaigns once and returns when leadership ended.
func (c *Client) term(ctx context.Context, name, id string, say func(bool)) error {
	if err := store.ValidateName(name); err != nil {
		return fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	lease, err := c.GrantLease(ctx, electionTTL)
	if err != nil {
		return err
	}
	defer lease.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	session, err := concurrency.NewSession(c.etcd, concurrency.WithLease(lease.ID), concurrency.WithContext(ctx))
	if err != nil {
		return c.failed(err)
	}
	go func() { // a campaign must not outlive its lease
		select {
		case <-lease.Lost():
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := concurrency.NewElection(session, electionPrefix+name).Campaign(ctx, id); err != nil {
		return c.failed(err)
	}
	say(true)
	defer say(false)
	select {
	case <-ctx.Done():
	case <-session.Done():
	}
	return nil
}

// sleep waits, but not longer than ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
