package etcd

import (
	"context"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// Get reads one object and its mod revision: nil and 0 where there is none.
func (c *Client) Get(ctx context.Context, key store.Key) (store.Object, store.Revision, error) {
	got, _, err := c.read(ctx, clientv3.OpGet(key.String()))
	if err != nil {
		return nil, 0, fmt.Errorf("get %s: %w", key.Short(), err)
	}
	if len(got[0].Kvs) == 0 {
		return nil, 0, nil
	}
	e, err := eventOf(got[0].Kvs[0])
	if err != nil {
		return nil, 0, err
	}
	return e.Object, e.Modified, nil
}

// List reads all objects of a kind whose key begins with the given parts, in the order of
// their keys, and the revision that they were read at. An object that cannot be read is
// logged and left out.
func (c *Client) List(ctx context.Context, kind store.Kind, prefix ...string) ([]store.Event, store.Revision, error) {
	return c.listSince(ctx, 0, kind, prefix...)
}

// Usages reads what was told, after a revision, of what tenants use, as List does. It does not tell of
// keys that are gone.
func (c *Client) Usages(ctx context.Context, after store.Revision) ([]store.Event, store.Revision, error) {
	return c.listSince(ctx, after, store.KindUsage)
}

// Counters reads the checkpoints of hosts' counters that were written after a revision, as Usages does.
func (c *Client) Counters(ctx context.Context, after store.Revision) ([]store.Event, store.Revision, error) {
	return c.listSince(ctx, after, store.KindStatusCounters)
}

// listSince is List of what was written after a revision.
func (c *Client) listSince(ctx context.Context, since store.Revision, kind store.Kind, prefix ...string) ([]store.Event, store.Revision, error) {
	var events []store.Event
	l := listing{under: []string{store.Under(kind, prefix...)}, since: since}
	rev, err := c.list(ctx, l, func(kv *mvccpb.KeyValue) error {
		e, err := eventOf(kv)
		if err != nil {
			c.log.Warn("object passed over", "err", err)
			return nil
		}
		events = append(events, e)
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list %s: %w", strings.Join(append([]string{string(kind)}, prefix...), "/"), err)
	}
	return events, rev, nil
}

// PutIf writes an object if its key's mod revision is still the given one; 0: if there is
// none. It fails with store.ErrConflict otherwise. The object goes with the lease, if one is
// given. It is refused where an object that it needs is gone, such as
// a gateway's tenant.
func (c *Client) PutIf(ctx context.Context, key store.Key, o store.Object, modified store.Revision, lease clientv3.LeaseID) (store.Revision, error) {
	op, err := putOp(key, o, clientv3.WithLease(lease))
	if err != nil {
		return 0, err
	}
	guards := []guard{unchanged(key.String(), modified, store.ErrConflict)}
	for _, parent := range store.NeededToPut(key) {
		guards = append(guards, present(parent))
	}
	rev, err := c.commitOps(ctx, []clientv3.Op{op}, guards...)
	if err != nil {
		return 0, fmt.Errorf("put %s: %w", key.Short(), err)
	}
	return rev, nil
}

// present holds while the key exists.
func present(key store.Key) guard {
	return guard{
		cmp: clientv3.Compare(clientv3.CreateRevision(key.String()), "!=", 0),
		get: clientv3.OpGet(key.String(), clientv3.WithKeysOnly()),
		explain: func(r *clientv3.GetResponse) error {
			if len(r.Kvs) > 0 {
				return nil
			}
			return fmt.Errorf("%s: %w", key.Short(), store.ErrNotFound)
		},
	}
}

// Delete removes an object that took nothing and that nothing belongs to. The others have
// deletes of their own.
func (c *Client) Delete(ctx context.Context, key store.Key) (store.Revision, error) {
	if store.HasOwnDelete(key.Kind) {
		return 0, fmt.Errorf("delete %s: %w: it holds numbers or parts, which its own delete frees", key.Short(), store.ErrInvalid)
	}
	rev, err := c.commitOps(ctx, []clientv3.Op{deleteOp(key)})
	if err != nil {
		return 0, fmt.Errorf("delete %s: %w", key.Short(), err)
	}
	return rev, nil
}

// PutStatus writes status objects, and deletes those whose Object is nil, in one
// transaction. More than 120 of them, or than 1 MiB, take several, in the given order. It
// writes nothing where something that is presumed does not hold, and fails with the refusal of that.
func (c *Client) PutStatus(ctx context.Context, events []store.Event, presumed ...store.Presumption) error {
	var guards []guard
	for _, p := range presumed {
		guards = append(guards, guardOf(p))
	}
	var ops []clientv3.Op
	size := 0
	flush := func() error {
		if _, err := c.commitOps(ctx, ops, guards...); err != nil {
			return fmt.Errorf("put status: %w", err)
		}
		ops, size = nil, 0
		return nil
	}
	for _, e := range events {
		op := deleteOp(e.Key)
		if e.Object != nil {
			var err error
			if op, err = putOp(e.Key, e.Object); err != nil {
				return err
			}
		}
		if len(ops) == maxOps || len(ops) > 0 && size+len(op.ValueBytes()) > maxBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		ops, size = append(ops, op), size+len(op.ValueBytes())
	}
	if len(ops) == 0 {
		return nil
	}
	return flush()
}
