package etcd

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// CreatePort makes a port, with a number, a MAC and an address in each subnet of its
// network. A port that exists with the same UID keeps all that it took, so that an attach
// whose answer was lost may be repeated, and becomes this container's.
//
// The tenant's limit of ports holds also among concurrent creators: whoever finds it
// passed after its own write takes that write back. Two at the very limit may both be
// refused, and a creator that dies between the two writes leaves one port too many.
func (c *Client) CreatePort(ctx context.Context, s store.PortSpec) (store.Item[store.Port], error) {
	port, err := retry(ctx, func() (store.Item[store.Port], error) { return c.createPort(ctx, s) })
	if err != nil {
		return store.Item[store.Port]{}, fmt.Errorf("create port %s: %w", s.Key().Short(), err)
	}
	return port, nil
}

func (c *Client) createPort(ctx context.Context, s store.PortSpec) (store.Item[store.Port], error) {
	none := store.Item[store.Port]{}
	if err := s.Validate(); err != nil { // its name is about to be a part of keys
		return none, err
	}
	key, ofTenant := s.Key(), store.PortNamesUnder(s.Tenant)
	state, ports, err := c.viewAndCount(ctx, ofTenant, store.TenantKey(s.Tenant).String(),
		store.NetworkKey(s.Tenant, s.Network).String(), store.HostKey(s.Host).String(), key.String(),
		store.StickyKey(s.Host, s.Tenant, s.Network, s.Name).String())
	if err != nil {
		return none, err
	}
	p, err := s.Propose(state, ports)
	if err != nil {
		return none, err
	}
	if len(p.Writes) == 0 {
		return *state.Port(key), nil
	}
	resp, err := c.write(ctx, p, countOp(ofTenant))
	if err != nil {
		return none, err
	}
	at := store.Revision(resp.Header.Revision)
	created := store.Item[store.Port]{Key: key, Value: p.Writes[0].Object.(*store.Port), Created: at, Modified: at}
	if mine := state.Port(key); mine != nil {
		created.Created = mine.Created
		return created, nil
	}
	return created, c.keepLimit(ctx, s.CheckLimit(state, ranges(resp)[0].Count+1), created)
}

// keepLimit takes a port back when, in its own transaction, the tenant had too many.
func (c *Client) keepLimit(ctx context.Context, tooMany error, port store.Item[store.Port]) error {
	if tooMany == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	if _, err := c.UndoPort(ctx, port.Key, port.Value.UID, 0); err != nil {
		return fmt.Errorf("%w, and taking it back failed: %w", tooMany, err)
	}
	return tooMany
}

// DeletePort removes a port and frees what it took. hostCreated is as in store.PortSpec, 0 for
// callers that are not the host's agent. store.ErrNotFound says that there is no such port. One whose
// value cannot be read goes with its name; what else it took no object has then, and the leader frees it.
func (c *Client) DeletePort(ctx context.Context, key store.Key, hostCreated store.Revision) (store.Revision, error) {
	return c.deletePort(ctx, key, hostCreated, func(s *store.State) (store.Proposal, error) {
		return store.ProposeDeletePort(s, key, hostCreated)
	})
}

// DeletePortOf is DeletePort of the port with a uid: a later one of its name stays, and the error says
// store.ErrNotFound. One whose value cannot be read has no uid, and goes.
func (c *Client) DeletePortOf(ctx context.Context, key store.Key, uid string, hostCreated store.Revision) (store.Revision, error) {
	return c.deletePort(ctx, key, hostCreated, func(s *store.State) (store.Proposal, error) {
		return store.ProposeDeletePortOf(s, key, uid, hostCreated)
	})
}

// UndoPort is DeletePortOf where nobody was told of the port: its name has what it had before.
func (c *Client) UndoPort(ctx context.Context, key store.Key, uid string, hostCreated store.Revision) (store.Revision, error) {
	return c.deletePort(ctx, key, hostCreated, func(s *store.State) (store.Proposal, error) {
		return store.ProposeUndoPort(s, key, uid, hostCreated)
	})
}

func (c *Client) deletePort(ctx context.Context, key store.Key, hostCreated store.Revision, request func(*store.State) (store.Proposal, error)) (store.Revision, error) {
	rev, err := c.Decide(ctx, request, key.String())
	if errors.Is(err, store.ErrUnreadable) && key.Kind == store.KindPort {
		rev, err = retry(ctx, func() (store.Revision, error) { return c.deleteUnreadable(ctx, key, hostCreated) })
	}
	if err != nil {
		return 0, fmt.Errorf("delete port %s: %w", key.Short(), err)
	}
	return rev, nil
}

// deleteUnreadable is DeletePort of a port whose value cannot be read, unless it changed.
func (c *Client) deleteUnreadable(ctx context.Context, key store.Key, hostCreated store.Revision) (store.Revision, error) {
	got, at, err := c.read(ctx, clientv3.OpGet(key.String()))
	if err != nil {
		return 0, err
	}
	state := store.NewState()
	state.Apply(store.Batch{Revision: at, Events: readable(key, &store.Port{}, got[0])})
	p, err := store.ProposeDeletePort(state, key, hostCreated)
	if err != nil {
		return 0, err
	}
	resp, err := c.write(ctx, p)
	if err != nil {
		return 0, err
	}
	return store.Revision(resp.Header.Revision), nil
}

// TakePortBack writes a port anew that its host has and the store lacks, and returns it as it is
// then. Where that cannot be, as when an address is another's, the error says why.
func (c *Client) TakePortBack(ctx context.Context, r store.Readoption) (store.Item[store.Port], error) {
	port, err := c.takePortBack(ctx, r)
	if store.NumberTaken(err) {
		r.AnyNumber = true
		port, err = c.takePortBack(ctx, r)
	}
	if err != nil {
		return store.Item[store.Port]{}, fmt.Errorf("take port %s back: %w", r.Key.Short(), err)
	}
	return port, nil
}

func (c *Client) takePortBack(ctx context.Context, r store.Readoption) (store.Item[store.Port], error) {
	var port store.Item[store.Port]
	request := func(s *store.State) (store.Proposal, error) {
		p, err := r.Propose(s)
		switch {
		case err != nil:
		case len(p.Writes) == 0:
			port = *s.Port(r.Key)
		default:
			port = store.Item[store.Port]{Key: r.Key, Value: p.Writes[0].Object.(*store.Port)}
		}
		return p, err
	}
	at, err := c.Decide(ctx, request, store.TenantKey(r.Key.Tenant).String(),
		store.NetworkKey(r.Key.Tenant, r.Key.Network).String(), store.HostKey(r.Key.Host).String(), r.Key.String())
	if port.Created == 0 {
		port.Created, port.Modified = at, at
	}
	return port, err
}
