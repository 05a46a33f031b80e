package etcd

import (
	"context"
	"fmt"
	"sync"
	"time"

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

// RegisterHost writes the host and its lease key, under the rules of store.Registrant. A lease key
// of the same incarnation is replaced, and its holder told through Lost.
func (c *Client) RegisterHost(ctx context.Context, name string, h store.Host) (*Registration, error) {
	spec := store.Registrant{Name: name, Host: h}
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("register host %s: %w", name, err)
	}
	lease, err := c.GrantLease(ctx, hostTTL)
	if err != nil {
		return nil, fmt.Errorf("register host %s: %w", name, err)
	}
	created, err := retry(ctx, func() (store.Revision, error) { return c.registerHost(ctx, spec, lease) })
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

// MayRegister fails where RegisterHost would be refused by what etcd holds now. It writes nothing.
func (c *Client) MayRegister(ctx context.Context, name string, h store.Host) error {
	spec := store.Registrant{Name: name, Host: h}
	err := spec.Validate()
	if err == nil {
		var state *store.State
		if state, err = c.view(ctx, spec.Key().String(), store.LiveHostKey(name).String(), store.Under(store.KindHost)); err == nil {
			_, err = spec.Propose(state)
		}
	}
	if err != nil {
		return fmt.Errorf("register host %s: %w", name, err)
	}
	return nil
}

// registerHost returns the create revision of the host's key.
func (c *Client) registerHost(ctx context.Context, spec store.Registrant, lease *Lease) (store.Revision, error) {
	live := store.LiveHostKey(spec.Name)
	state, err := c.view(ctx, spec.Key().String(), live.String())
	if err == nil && !spec.Registered(state) { // an agent that comes back does not read a thousand hosts
		if state, err = c.view(ctx, spec.Key().String(), live.String(), store.Under(store.KindHost)); err == nil {
			spec.Held, err = c.heldBy(ctx, spec)
		}
	}
	if err != nil {
		return 0, err
	}
	p, err := spec.Propose(state)
	if err != nil {
		return 0, err
	}
	put, err := putOp(live, c.liveHost(spec), clientv3.WithLease(lease.ID))
	if err != nil {
		return 0, err
	}
	resp, err := c.write(ctx, p, put)
	if err != nil {
		return 0, err
	}
	if host := state.Host(spec.Name); host != nil {
		return host.Created, nil
	}
	return store.Revision(resp.Header.Revision), nil
}

// liveHost is what the cluster is told of the agent of a host.
func (c *Client) liveHost(spec store.Registrant) *store.LiveHost {
	return &store.LiveHost{
		Incarnation: spec.Host.Incarnation, Since: time.Now().UTC(),
		Program: store.Program{Version: c.version, Schema: store.SchemaVersion},
	}
}

// heldBy are the keys under alloc/ of a registrant's values that say that they are its own.
func (c *Client) heldBy(ctx context.Context, spec store.Registrant) (map[string]store.Revision, error) {
	held := map[string]store.Revision{}
	for _, v := range store.TakenBy(spec.Key(), &spec.Host) {
		got, _, err := c.read(ctx, clientv3.OpGet(v.Key().String()))
		if err != nil {
			return nil, err
		}
		taken, err := item[store.Alloc](got[0])
		if err == nil && taken != nil && taken.Value.Owner == spec.Key().Short() {
			held[taken.Key.String()] = taken.Modified
		}
	}
	return held, nil
}

// Update tells the cluster what became of the host since it registered, such as other addresses.
// It fails with store.ErrHostGone or store.ErrHostTaken where the registration is lost.
func (r *Registration) Update(ctx context.Context, h store.Host) error {
	if err := r.put(ctx, store.HostKey(r.name), &h); err != nil {
		return fmt.Errorf("update host %s: %w", r.name, err)
	}
	return nil
}

// TellUsage tells the cluster what tenants use on the host. It fails as Update does.
func (r *Registration) TellUsage(ctx context.Context, u store.Usage) error {
	if err := r.put(ctx, store.UsageKey(r.name), &u); err != nil {
		return fmt.Errorf("tell what tenants use on host %s: %w", r.name, err)
	}
	return nil
}

// TellEmptied tells the cluster for which tenants the host has drained. It fails as Update does.
func (r *Registration) TellEmptied(ctx context.Context, e store.Emptied) error {
	if err := r.put(ctx, store.EmptiedKey(r.name), &e); err != nil {
		return fmt.Errorf("tell what host %s has drained: %w", r.name, err)
	}
	return nil
}

// put writes an object of the host's while the registration is held.
func (r *Registration) put(ctx context.Context, key store.Key, o store.Object) error {
	op, err := putOp(key, o)
	if err != nil {
		return err
	}
	_, err = r.client.commitOps(ctx, []clientv3.Op{op},
		createdAt(store.HostKey(r.name).String(), r.Created, store.HostGone(r.name)),
		leased(store.LiveHostKey(r.name).String(), r.Lease.ID, fmt.Errorf("host %s: %w", r.name, store.ErrHostTaken)))
	return err
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

// EgressChanged returns a channel that is closed when a tenant or its gateway comes, changes or goes
// after a revision, and when ctx ends.
func (c *Client) EgressChanged(ctx context.Context, after store.Revision) <-chan struct{} {
	return c.changed(ctx, after, store.Under(store.KindTenant), store.Under(store.KindGateway))
}

// PublishedChanged returns a channel that is closed when a publication or a gateway comes, changes or goes
// after a revision, and when ctx ends.
func (c *Client) PublishedChanged(ctx context.Context, after store.Revision) <-chan struct{} {
	return c.changed(ctx, after, store.Under(store.KindPublication), store.Under(store.KindGateway))
}

// LiveChanged returns a channel that is closed when a host's agent comes or goes after a
// revision, and when ctx ends.
func (c *Client) LiveChanged(ctx context.Context, after store.Revision) <-chan struct{} {
	return c.changed(ctx, after, store.Under(store.KindLiveHost))
}
