package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// realization is what etcd says at one revision about how far hosts are.
type realization struct {
	masters    map[string]*store.Master           // by host
	floors     map[string]*store.StatusController // by controller
	exceptions map[string]*store.StatusHost       // by host
}

// missing says what a host lacks to be realized at a revision, or nil (design, section 7).
// A port that the host lists as missing is not realized; the zero key asks for none.
func (r realization) missing(host string, rev store.Revision, port store.Key) error {
	master, exception := r.masters[host], r.exceptions[host]
	switch {
	case exception != nil && exception.Realized < rev:
		return fmt.Errorf("host %s is %s: realized at revision %d, not at %d: %w", host, exception.State, exception.Realized, rev, ErrNotRealized)
	case exception != nil && (slices.Contains(exception.Missing, port.Short()) || slices.Contains(exception.Missing, port.String())):
		return fmt.Errorf("port %s: the switch of host %s lacks its interface: %w", port.Short(), host, ErrNotRealized)
	case exception != nil:
		return unprogrammed(exception, host, port)
	case master == nil:
		return fmt.Errorf("host %s has no master: no controller is connected to its switch: %w", host, ErrNotRealized)
	}
	floor := r.floors[master.Controller]
	if floor == nil {
		return fmt.Errorf("host %s: its master %s has not reported yet: %w", host, master.Controller, ErrNotRealized)
	}
	if floor.Floor < rev {
		return fmt.Errorf("host %s is behind: its master %s is at revision %d, not at %d: %w", host, master.Controller, floor.Floor, rev, ErrNotRealized)
	}
	return nil
}

// unprogrammed is the problem of a port that its host could not program, or nil.
func unprogrammed(exception *store.StatusHost, host string, port store.Key) error {
	for _, p := range exception.Problems {
		if p.Object == port.Short() {
			return fmt.Errorf("port %s is not programmed on host %s: %s: %w", port.Short(), host, p.Text, ErrNotRealized)
		}
	}
	return nil
}

// WaitHost waits until a host's switch holds a revision and, unless port is the zero key,
// the flows of that port. When ctx ends first, the error says what is missing.
func (c *Client) WaitHost(ctx context.Context, host string, rev store.Revision, port store.Key) error {
	return c.wait(ctx, []string{host}, func(r realization) error { return r.missing(host, rev, port) })
}

// WaitAll waits until all hosts are realized at a revision. When ctx's deadline passes
// first, it returns those that are behind, and no error.
func (c *Client) WaitAll(ctx context.Context, rev store.Revision, hosts []string) (behind []string, err error) {
	behind = hosts
	err = c.wait(ctx, hosts, func(r realization) error {
		behind = nil
		var last error
		for _, h := range hosts {
			if err := r.missing(h, rev, store.Key{}); err != nil {
				behind, last = append(behind, h), err
			}
		}
		return last
	})
	if errors.Is(err, ErrNotRealized) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = nil
	}
	return behind, err
}

// wait reads and watches what etcd says about hosts until missing finds nothing more.
func (c *Client) wait(ctx context.Context, hosts []string, missing func(realization) error) error {
	last := fmt.Errorf("etcd at %s was not read: %w", c.endpoints, ErrNotRealized)
	for {
		r, keys, at, err := c.realization(ctx, hosts)
		if err == nil {
			if last = missing(r); last == nil {
				return nil
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w (%w)", last, ctx.Err())
		}
		if err != nil {
			sleep(ctx, 200*time.Millisecond)
			continue
		}
		select {
		case <-c.changed(ctx, at, keys...):
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", last, ctx.Err())
		}
	}
}

// realization reads what concerns the hosts at one revision, and which keys to watch. One
// host is read by its own keys, so that a cluster of agents does not read each other's.
func (c *Client) realization(ctx context.Context, hosts []string) (realization, []string, store.Revision, error) {
	r := realization{masters: map[string]*store.Master{}, floors: map[string]*store.StatusController{}, exceptions: map[string]*store.StatusHost{}}
	keys := []string{under(store.KindMaster), under(store.KindStatusHost), under(store.KindStatusController)}
	if len(hosts) == 1 {
		keys[0], keys[1] = store.MasterKey(hosts[0]).String(), store.StatusHostKey(hosts[0]).String()
	}
	var gets []clientv3.Op
	for _, key := range keys {
		gets = append(gets, clientv3.OpGet(key, prefixed(key)...))
	}
	got, at, err := c.read(ctx, gets...)
	if err != nil {
		return r, nil, 0, err
	}
	for _, g := range got {
		for _, kv := range g.Kvs {
			if e, err := eventOf(kv); err == nil { // an unreadable one counts as absent
				r.add(e)
			}
		}
	}
	return r, keys, at, nil
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
