package etcd

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// Registration is an agent's hold on its host's name.
type Registration struct {
	Created store.Revision // create revision of the host's key: what port writes compare
	Host    store.Host     // as it registered
	Lease   *Lease

	name   string
	client *Client
	lost   chan struct{}
	stop   context.CancelFunc
	mu     sync.Mutex
	err    error
}

// RegisterHost writes the host and its lease key. It refuses a name that another agent
// has: one with another incarnation that is live, or that is registered though not live
// (the operator deletes that host first, so that its ports are not mixed with ours). A
// lease key of the same incarnation is replaced, and its holder told through Lost.
func (c *Client) RegisterHost(ctx context.Context, name string, h store.Host) (*Registration, error) {
	if err := store.ValidateName(name); err != nil {
		return nil, fmt.Errorf("register host: %w: %w", store.ErrInvalid, err)
	}
	if h.Incarnation == "" {
		return nil, fmt.Errorf("register host %s: %w: it has no incarnation", name, store.ErrInvalid)
	}
	lease, err := c.GrantLease(ctx, hostTTL)
	if err != nil {
		return nil, fmt.Errorf("register host %s: %w", name, err)
	}
	created, err := retry(ctx, func() (store.Revision, error) { return c.registerHost(ctx, name, h, lease) })
	if err != nil {
		if failed := lease.Close(); failed != nil {
			c.log.Warn("lease is left to expire", "host", name, "err", failed)
		}
		return nil, fmt.Errorf("register host %s: %w", name, err)
	}
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &Registration{Created: created, Host: h, Lease: lease, name: name, client: c, lost: make(chan struct{}), stop: stop}
	go r.hold(watch, c)
	return r, nil
}

// registerHost returns the create revision of the host's key.
func (c *Client) registerHost(ctx context.Context, name string, h store.Host, lease *Lease) (store.Revision, error) {
	key, liveKey := store.HostKey(name), store.LiveHostKey(name)
	got, _, err := c.read(ctx, clientv3.OpGet(key.String()), clientv3.OpGet(liveKey.String()))
	if err != nil {
		return 0, err
	}
	host, err := item[store.Host](got[0])
	if err != nil {
		return 0, err
	}
	live, err := item[store.LiveHost](got[1])
	if err != nil {
		return 0, err
	}
	if err := free(name, h.Incarnation, host, live); err != nil {
		return 0, err
	}
	liveOp, err := putOp(liveKey, &store.LiveHost{Incarnation: h.Incarnation, Since: time.Now().UTC()}, clientv3.WithLease(lease.ID))
	if err != nil {
		return 0, err
	}
	hostOp, err := putOp(key, &h)
	if err != nil {
		return 0, err
	}
	ops := []clientv3.Op{liveOp}
	if host == nil || string(got[0].Kvs[0].Value) != string(hostOp.ValueBytes()) {
		ops = append(ops, hostOp)
	}
	rev, err := c.commitOps(ctx, ops, unchanged(key.String(), modified(host)), unchanged(liveKey.String(), modified(live)))
	if host != nil {
		rev = host.Created
	}
	return rev, err
}

// modified is an item's mod revision, 0 where there is none.
func modified[T any](i *store.Item[T]) store.Revision {
	if i == nil {
		return 0
	}
	return i.Modified
}

// free refuses a name that another incarnation has.
func free(name, incarnation string, host *store.Item[store.Host], live *store.Item[store.LiveHost]) error {
	if live != nil && live.Value.Incarnation != incarnation {
		return fmt.Errorf("%w: another agent runs under this name since %s: stop it, or give this one another --host",
			store.ErrHostTaken, live.Value.Since.Format(time.RFC3339))
	}
	if host != nil && host.Value.Incarnation != incarnation {
		return fmt.Errorf("%w: another agent, not running now, registered it: if this machine replaces that one, run `sluice host delete %s` first",
			store.ErrHostTaken, name)
	}
	return nil
}

// Update tells the cluster what became of the host since it registered, such as other addresses.
// It fails with store.ErrHostGone or store.ErrHostTaken where the registration is lost.
func (r *Registration) Update(ctx context.Context, h store.Host) error {
	op, err := putOp(store.HostKey(r.name), &h)
	if err == nil {
		_, err = r.client.commitOps(ctx, []clientv3.Op{op},
			createdAt(store.HostKey(r.name).String(), r.Created, store.HostGone(r.name)),
			leased(store.LiveHostKey(r.name).String(), r.Lease.ID, fmt.Errorf("host %s: %w", r.name, store.ErrHostTaken)))
	}
	if err != nil {
		return fmt.Errorf("update host %s: %w", r.name, err)
	}
	return nil
}

// Lost is closed when the lease expired, another agent took the name over, or the host was
// deleted; Err says which. It is closed by Close too.
func (r *Registration) Lost() <-chan struct{} { return r.lost }

// Err says why the registration was lost: store.ErrLeaseLost, store.ErrHostTaken or store.ErrHostGone; nil
// while it is held, or after Close.
func (r *Registration) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Close gives the name up: the host stays registered, but is not live.
func (r *Registration) Close() error {
	r.stop()
	<-r.lost
	return r.Lease.Close()
}

// hold waits until the registration is lost or ctx ends.
func (r *Registration) hold(ctx context.Context, c *Client) {
	defer close(r.lost)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	keys := []string{store.HostKey(r.name).String(), store.LiveHostKey(r.name).String()}
	for ctx.Err() == nil {
		changed, at, err := r.check(ctx, c, keys)
		if changed != nil {
			r.fail(changed)
			return
		}
		if err != nil {
			select {
			case <-r.Lease.Lost():
			case <-time.After(time.Second):
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-r.Lease.Lost():
			r.fail(fmt.Errorf("host %s: %w", r.name, store.ErrLeaseLost))
			return
		case <-c.changed(ctx, at, keys...):
		}
	}
}

func (r *Registration) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// check says who has the name now, if not this registration.
func (r *Registration) check(ctx context.Context, c *Client, keys []string) (lost error, at store.Revision, err error) {
	got, at, err := c.read(ctx, clientv3.OpGet(keys[0], clientv3.WithKeysOnly()), clientv3.OpGet(keys[1], clientv3.WithKeysOnly()))
	if err != nil {
		return nil, 0, err
	}
	host, live := got[0].Kvs, got[1].Kvs
	switch {
	case len(host) == 0 || host[0].CreateRevision != int64(r.Created):
		return store.HostGone(r.name), at, nil
	case len(live) == 0:
		return fmt.Errorf("host %s: %w", r.name, store.ErrLeaseLost), at, nil
	case live[0].Lease != int64(r.Lease.ID):
		return fmt.Errorf("host %s: %w: another agent of the same incarnation took it over", r.name, store.ErrHostTaken), at, nil
	}
	return nil, at, nil
}

// changed returns a channel that is closed once one of the keys, or of those under a key
// that ends in "/", was written after a revision, or the watch of it failed.
func (c *Client) changed(ctx context.Context, after store.Revision, keys ...string) <-chan struct{} {
	out := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	first := make(chan struct{}, len(keys))
	for _, key := range keys {
		events := c.etcd.Watch(clientv3.WithRequireLeader(ctx), key, append(prefixed(key), clientv3.WithRev(int64(after)+1))...)
		go func() {
			<-events // closed when ctx ends
			first <- struct{}{}
		}()
	}
	go func() {
		defer cancel()
		<-first
		close(out)
	}()
	return out
}

// HostsChanged returns a channel that is closed when a host registers, changes or goes after
// a revision, and when ctx ends.
func (c *Client) HostsChanged(ctx context.Context, after store.Revision) <-chan struct{} {
	return c.changed(ctx, after, store.Under(store.KindHost))
}

// AddressesChanged returns a channel that is closed when a host or a controller comes, changes or
// goes after a revision, when the cluster's settings change, and when ctx ends.
func (c *Client) AddressesChanged(ctx context.Context, after store.Revision) <-chan struct{} {
	return c.changed(ctx, after, store.Under(store.KindHost), store.Under(store.KindLiveController), store.Under(store.KindSettings))
}

// LiveChanged returns a channel that is closed when a host's agent comes or goes after a
// revision, and when ctx ends.
func (c *Client) LiveChanged(ctx context.Context, after store.Revision) <-chan struct{} {
	return c.changed(ctx, after, store.Under(store.KindLiveHost))
}

// DeleteHost removes a host, first its own key, so that its agent's writes are refused
// from then on, then its ports with what they took. A call that was cut short is finished
// by another.
func (c *Client) DeleteHost(ctx context.Context, name string) (store.Revision, error) {
	rev, err := retry(ctx, func() (store.Revision, error) { return c.deleteHost(ctx, name) })
	if err != nil {
		return 0, fmt.Errorf("delete host %s: %w", name, err)
	}
	return rev, nil
}

func (c *Client) deleteHost(ctx context.Context, name string) (store.Revision, error) {
	key := store.HostKey(name)
	got, at, err := c.read(ctx, clientv3.OpGet(key.String(), clientv3.WithKeysOnly()), countOp(store.Under(store.KindPort, name)))
	if err != nil {
		return 0, err
	}
	state, batch := store.NewState(), store.Batch{Revision: at}
	for _, kv := range got[0].Kvs { // its value does not matter, so that one that cannot be read can go
		batch.Events = append(batch.Events, store.Event{
			Key: key, Object: &store.Host{}, Created: store.Revision(kv.CreateRevision), Modified: store.Revision(kv.ModRevision),
		})
	}
	state.Apply(batch)
	p, err := store.ProposeDeleteHost(state, name, got[1].Count)
	if err != nil {
		return 0, err
	}
	if len(p.Writes) > 0 {
		resp, err := c.write(ctx, p)
		if err != nil {
			return 0, err
		}
		at = store.Revision(resp.Header.Revision)
	}
	last, err := c.ClearHost(ctx, name, at)
	return max(at, last), err
}

// ClearHost removes the ports of a host that were created up to a revision, and returns
// the revision of the last removal. The caller knows that the host's key was gone then.
func (c *Client) ClearHost(ctx context.Context, name string, at store.Revision) (store.Revision, error) {
	var last store.Revision
	var pending []store.Event
	flush := func() (err error) {
		if len(pending) > 0 {
			last, err = c.removePorts(ctx, pending)
		}
		pending = nil
		return err
	}
	_, err := c.list(ctx, listing{ranges: []keyRange{prefixRange(store.Under(store.KindPort, name))}, maxCreated: at}, func(kv *mvccpb.KeyValue) error {
		p, err := eventOf(kv)
		if err != nil {
			c.log.Warn("port is removed without what it took", "host", name, "err", err)
			return c.deleteUnchanged(ctx, []*mvccpb.KeyValue{kv})
		}
		if pending = append(pending, p); len(pending) < 60 {
			return nil
		}
		return flush()
	})
	if err != nil {
		return last, err
	}
	return last, flush()
}

// removePorts removes ports, each unless it changed, in as few transactions as fit.
func (c *Client) removePorts(ctx context.Context, ports []store.Event) (store.Revision, error) {
	var last store.Revision
	for len(ports) > 0 {
		n, ops, err := removalBatch(ports)
		if err != nil {
			return last, err
		}
		resp, err := c.txn(ctx, nil, ops, nil)
		if err != nil {
			return last, err
		}
		last, ports = store.Revision(resp.Header.Revision), ports[n:]
	}
	return last, nil
}

// removalBatch is one transaction's worth of removals, and how many ports it removes.
func removalBatch(ports []store.Event) (n int, ops []clientv3.Op, err error) {
	size, written := 0, map[string]bool{}
	for ; n < len(ports); n++ {
		p := store.ProposeRemoval(ports[n])
		removal, err := writeOps(p)
		if err != nil {
			return 0, nil, err
		}
		size += len(removal)
		// A transaction may write a key once: hand edits can give a number to two ports.
		if n > 0 && (size > maxOps || slices.ContainsFunc(removal, func(o clientv3.Op) bool { return o.IsPut() && written[string(o.KeyBytes())] })) {
			break
		}
		for _, o := range removal {
			written[string(o.KeyBytes())] = true
		}
		ops = append(ops, clientv3.OpTxn([]clientv3.Cmp{guardOf(p.Presumes[0]).cmp}, removal, nil))
	}
	return n, ops, nil
}
