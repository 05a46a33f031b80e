package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// realization is what etcd says at one revision about how far hosts are.
type realization struct {
	revision   store.Revision
	masters    map[string]*store.Master           // by host
	floors     map[string]*store.StatusController // by controller
	exceptions map[string]*store.StatusHost       // by host
}

// missing says what a host lacks to be realized at a revision, or nil. An exception of the host
// counts before its master's floor: it was written first.
// A port that the host lists as missing, or that needs what it lists as a problem, is not
// realized, there or elsewhere; the zero key asks for none.
func (r realization) missing(host string, rev store.Revision, port store.Key) error {
	master, exception := r.masters[host], r.exceptions[host]
	switch {
	case exception != nil && exception.Realized < rev:
		return fmt.Errorf("host %s is %s: realized at revision %d, not at %d: %w", host, exception.State, exception.Realized, rev, store.ErrNotRealized)
	case exception != nil && (slices.Contains(exception.Missing, port.Short()) || slices.Contains(exception.Missing, port.String())):
		return fmt.Errorf("port %s: the switch of host %s lacks its interface: %w", port.Short(), host, store.ErrNotRealized)
	case exception != nil:
		return unprogrammed(exception, host, port)
	case master == nil:
		return fmt.Errorf("host %s has no master: no controller is connected to its switch: %w", host, store.ErrNotRealized)
	}
	floor := r.floors[master.Controller]
	if floor == nil {
		return fmt.Errorf("host %s: its master %s has not reported yet: %w", host, master.Controller, store.ErrNotRealized)
	}
	if floor.Floor < rev {
		return fmt.Errorf("host %s is behind: its master %s is at revision %d, not at %d: %w", host, master.Controller, floor.Floor, rev, store.ErrNotRealized)
	}
	return nil
}

// unprogrammed is why a host could not program what a port needs there, or nil.
func unprogrammed(exception *store.StatusHost, host string, port store.Key) error {
	if port == (store.Key{}) {
		return nil
	}
	needed := []string{port.Short(), store.NetworkKey(port.Tenant, port.Network).Short(),
		store.TenantKey(port.Tenant).Short(), store.HostKey(host).Short()}
	for _, p := range exception.Problems {
		if p.LeavesOut != store.LeavesOutGateway && slices.Contains(needed, p.Object) {
			return fmt.Errorf("port %s is not programmed on host %s: %s: %w", port.Short(), host, p.Text, store.ErrNotRealized)
		}
	}
	return nil
}

// RealizedEverywhere is the revision that every registered host is past: the smallest floor and
// exception, all read at one revision. It is 0 while a host has no master.
func (c *Client) RealizedEverywhere(ctx context.Context) (store.Revision, error) {
	hosts := clientv3.OpGet(store.Under(store.KindHost), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	r, got, err := c.realization(ctx, realizationKeys(nil), hosts)
	if err != nil {
		return 0, fmt.Errorf("read how far hosts are: %w", err)
	}
	registered := paths(got[0]) // also those that cannot be read: their switches hold flows all the same
	for i, path := range registered {
		registered[i] = strings.TrimPrefix(path, store.Under(store.KindHost))
	}
	return r.lowest(registered), nil
}

// lowest is the revision that all of the hosts are past.
func (r realization) lowest(hosts []string) store.Revision {
	least := r.revision
	for _, host := range hosts {
		master := r.masters[host]
		if master == nil {
			return 0
		}
		floor := store.Revision(0)
		if said := r.floors[master.Controller]; said != nil {
			floor = said.Floor
		}
		if exception := r.exceptions[host]; exception != nil {
			floor = min(floor, exception.Realized)
		}
		least = min(least, floor)
	}
	return least
}

// Reach is how far one host is.
type Reach struct {
	Realized store.Revision
	Down     bool           // no controller has a session with its switch
	Problems store.Problems // of what is not programmed there whole
}

// Reached is how far the hosts are that have a master, by host, all at one revision.
func (c *Client) Reached(ctx context.Context) (map[string]Reach, error) {
	r, _, err := c.realization(ctx, realizationKeys(nil))
	if err != nil {
		return nil, fmt.Errorf("read how far hosts are: %w", err)
	}
	reached := make(map[string]Reach, len(r.masters))
	for host, master := range r.masters {
		if exception := r.exceptions[host]; exception != nil {
			reached[host] = Reach{exception.Realized, exception.State == store.HostDown, exception.Problems}
		} else if said := r.floors[master.Controller]; said != nil {
			reached[host] = Reach{Realized: said.Floor}
		}
	}
	return reached, nil
}

// Reports are the exceptions of hosts and the floors of controllers, by name, at one revision.
func (c *Client) Reports(ctx context.Context) (hosts map[string]*store.StatusHost, controllers map[string]*store.StatusController, err error) {
	r, _, err := c.realization(ctx, []string{store.Under(store.KindStatusHost), store.Under(store.KindStatusController)})
	if err != nil {
		return nil, nil, fmt.Errorf("read reports: %w", err)
	}
	return r.exceptions, r.floors, nil
}

// WaitHost waits until a host's switch holds a revision and, unless port is the zero key,
// the flows of that port. When ctx ends first, the error says what is missing.
func (c *Client) WaitHost(ctx context.Context, host string, rev store.Revision, port store.Key) error {
	if err := checkNames([]string{host}, port); err != nil {
		return fmt.Errorf("wait for host %s: %w", host, err)
	}
	return c.wait(ctx, []string{host}, func(r realization) error { return r.missing(host, rev, port) })
}

// WaitAll waits until all hosts are realized at a revision, with what a port anywhere needs
// of them unless it is the zero key. When ctx's deadline passes first, it returns those that
// are not, and no error.
func (c *Client) WaitAll(ctx context.Context, hosts []string, rev store.Revision, port store.Key) (behind []string, err error) {
	if err := checkNames(hosts, port); err != nil {
		return nil, fmt.Errorf("wait for hosts: %w", err)
	}
	behind = hosts
	err = c.wait(ctx, hosts, func(r realization) error {
		behind = nil
		var last error
		for _, h := range hosts {
			if err := r.missing(h, rev, port); err != nil {
				behind, last = append(behind, h), err
			}
		}
		return last
	})
	if errors.Is(err, store.ErrNotRealized) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = nil
	}
	return behind, err
}

// wait reads what etcd says about hosts until missing finds nothing more. It watches only
// where the first look does not settle it, and looks again once it does.
func (c *Client) wait(ctx context.Context, hosts []string, missing func(realization) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	last := fmt.Errorf("etcd at %s was not read: %w", c.endpoints, store.ErrNotRealized)
	keys := realizationKeys(hosts)
	var changed <-chan struct{}
	for {
		r, _, err := c.realization(ctx, keys)
		if err == nil {
			if last = missing(r); last == nil {
				return nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("%w (%w)", last, ctx.Err())
		case err != nil:
			sleep(ctx, 200*time.Millisecond)
		case changed == nil:
			changed = c.writes(ctx, keys)
		default:
			if _, open := <-changed; !open {
				changed = nil
				sleep(ctx, 200*time.Millisecond)
			}
		}
	}
}

// checkNames refuses names that are not valid. A port's key may be the zero key.
func checkNames(hosts []string, port store.Key) error {
	for _, h := range hosts {
		if err := store.CheckPath(store.HostKey(h).String()); err != nil {
			return err
		}
	}
	if port == (store.Key{}) {
		return nil
	}
	return store.CheckPath(port.String())
}

// writes returns once etcd watches the keys, and those under a key that ends in "/": what is
// read from then on, and again after each token, misses no write. The channel is closed when
// ctx ends or etcd watches no more. To watch from the revision of an earlier read instead
// would cost up to 0.1 s: so seldom does etcd serve watches that begin in its past, and
// whatever anyone writes makes it past.
func (c *Client) writes(ctx context.Context, keys []string) <-chan struct{} {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	changed := make(chan struct{}, 1)
	var begun, all sync.WaitGroup
	for _, key := range keys {
		begun.Add(1)
		all.Go(func() {
			defer cancel()
			events := c.etcd.Watch(ctx, key, append(prefixed(key), clientv3.WithCreatedNotify())...)
			<-events // it is made, or cannot be
			begun.Done()
			for range events {
				select {
				case changed <- struct{}{}:
				default:
				}
			}
		})
	}
	go func() {
		defer cancel()
		all.Wait()
		close(changed)
	}()
	begun.Wait()
	return changed
}

// realizationKeys are what tells about hosts, and changes when they move on. One host is read
// by its own keys, so that a cluster of agents does not read each other's.
func realizationKeys(hosts []string) []string {
	keys := []string{store.Under(store.KindMaster), store.Under(store.KindStatusHost), store.Under(store.KindStatusController)}
	if len(hosts) == 1 {
		keys[0], keys[1] = store.MasterKey(hosts[0]).String(), store.StatusHostKey(hosts[0]).String()
	}
	return keys
}

// realization reads what the keys tell about hosts, at one revision: of two, a floor could vouch
// for a host whose exception was written, or taken back, between them.
// others are read with them.
func (c *Client) realization(ctx context.Context, keys []string, others ...clientv3.Op) (realization, []*clientv3.GetResponse, error) {
	r := realization{masters: map[string]*store.Master{}, floors: map[string]*store.StatusController{}, exceptions: map[string]*store.StatusHost{}}
	var gets []clientv3.Op
	for _, key := range keys {
		gets = append(gets, clientv3.OpGet(key, prefixed(key)...))
	}
	got, at, err := c.read(ctx, append(gets, others...)...)
	if err != nil {
		return r, nil, err
	}
	r.revision = at
	for _, g := range got[:len(keys)] {
		for _, kv := range g.Kvs {
			if e, err := eventOf(kv); err == nil { // an unreadable one counts as absent
				r.add(e)
			}
		}
	}
	return r, got[len(keys):], nil
}

// prefixed makes an operation on a key that ends in "/" one on all keys under it.
func prefixed(key string) []clientv3.OpOption {
	if key[len(key)-1] == '/' {
		return []clientv3.OpOption{clientv3.WithPrefix()}
	}
	return nil
}

func (r realization) add(e store.Event) {
	switch o := e.Object.(type) {
	case *store.Master:
		r.masters[e.Key.Host] = o
	case *store.StatusController:
		r.floors[e.Key.Name] = o
	case *store.StatusHost:
		r.exceptions[e.Key.Host] = o
	}
}
