package etcd

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// maxOps is how many operations one transaction may hold: etcd's default is 128.
const maxOps = 120

// maxBytes is how large the values of one transaction may be: etcd takes 1.5 MiB in all.
const maxBytes = 1 << 20

// errStale says that what a transaction was built from has changed: read it again.
var errStale = errors.New("stale")

// guard is one condition of a transaction. get reads, in the Else branch, what explain
// needs to say why the condition does not hold; explain returns nil where it does.
type guard struct {
	cmp     clientv3.Cmp
	get     clientv3.Op
	explain func(*clientv3.GetResponse) error
}

// absent holds while the key does not exist.
func absent(key string, explain func(*mvccpb.KeyValue) error) guard {
	return guard{
		cmp: clientv3.Compare(clientv3.CreateRevision(key), "=", 0),
		get: clientv3.OpGet(key),
		explain: func(r *clientv3.GetResponse) error {
			if len(r.Kvs) == 0 {
				return nil
			}
			return explain(r.Kvs[0])
		},
	}
}

// noneUnder holds while no key has the prefix. explain gets the first few.
func noneUnder(prefix string, explain func(*clientv3.GetResponse) error) guard {
	return guard{
		cmp: clientv3.Compare(clientv3.CreateRevision(prefix).WithPrefix(), "=", 0),
		get: clientv3.OpGet(prefix, clientv3.WithPrefix(), clientv3.WithLimit(3)),
		explain: func(r *clientv3.GetResponse) error {
			if len(r.Kvs) == 0 {
				return nil
			}
			return explain(r)
		},
	}
}

// createdAt holds while the key is the one that was created at rev.
func createdAt(key string, rev store.Revision, otherwise error) guard {
	return guard{
		cmp: clientv3.Compare(clientv3.CreateRevision(key), "=", int64(rev)),
		get: clientv3.OpGet(key, clientv3.WithKeysOnly()),
		explain: func(r *clientv3.GetResponse) error {
			if len(r.Kvs) == 1 && r.Kvs[0].CreateRevision == int64(rev) {
				return nil
			}
			return otherwise
		},
	}
}

// unchanged holds while the key is as it was read: rev is its mod revision, 0 for absent.
func unchanged(key string, rev store.Revision, otherwise error) guard {
	return guard{
		cmp: clientv3.Compare(clientv3.ModRevision(key), "=", int64(rev)),
		get: clientv3.OpGet(key, clientv3.WithKeysOnly()),
		explain: func(r *clientv3.GetResponse) error {
			if len(r.Kvs) == 0 && rev == 0 || len(r.Kvs) == 1 && r.Kvs[0].ModRevision == int64(rev) {
				return nil
			}
			return otherwise
		},
	}
}

// leased holds while the key is under a lease.
func leased(key string, lease clientv3.LeaseID, otherwise error) guard {
	return guard{
		cmp: clientv3.Compare(clientv3.LeaseValue(key), "=", lease),
		get: clientv3.OpGet(key, clientv3.WithKeysOnly()),
		explain: func(r *clientv3.GetResponse) error {
			if len(r.Kvs) == 1 && r.Kvs[0].Lease == int64(lease) {
				return nil
			}
			return otherwise
		},
	}
}

// nothingNewUnder holds while no key with the prefix was written after rev.
func nothingNewUnder(prefix string, rev store.Revision) guard {
	return guard{
		cmp: clientv3.Compare(clientv3.ModRevision(prefix).WithPrefix(), "<", int64(rev)+1),
		get: clientv3.OpGet(prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithMinModRev(int64(rev)+1), clientv3.WithLimit(1)),
		explain: func(r *clientv3.GetResponse) error {
			if len(r.Kvs) == 0 { // etcd's Count ignores the bound
				return nil
			}
			return errStale
		},
	}
}

// transaction is one write: conditions, values to take, and operations.
type transaction struct {
	guards []guard
	allocs []*allocation
	// ops are built again for each attempt, once allocs have set the values that they propose then.
	ops func() ([]clientv3.Op, error)
}

// commit tries until the guards refuse, a value cannot be had, or the write is done.
func (c *Client) commit(ctx context.Context, t transaction) (*clientv3.TxnResponse, error) {
	for {
		for _, a := range t.allocs {
			a.Set(a.value)
		}
		then, err := t.ops()
		if err != nil {
			return nil, err
		}
		var cmps []clientv3.Cmp
		var otherwise []clientv3.Op
		for _, g := range t.guards {
			cmps, otherwise = append(cmps, g.cmp), append(otherwise, g.get)
		}
		for _, a := range t.allocs {
			g := a.guard()
			cmps, otherwise = append(cmps, g.cmp), append(otherwise, g.get)
			then = append(then, a.put())
		}
		resp, err := c.txn(ctx, cmps, then, otherwise)
		if err != nil || resp.Succeeded {
			return resp, err
		}
		if err := t.recover(ctx, c, ranges(resp)); err != nil {
			return nil, err
		}
	}
}

// recover says why an attempt failed, or moves the allocations that missed on.
func (t transaction) recover(ctx context.Context, c *Client, got []*clientv3.GetResponse) error {
	for i, g := range t.guards {
		if err := g.explain(got[i]); err != nil {
			return err
		}
	}
	for i, a := range t.allocs {
		kvs := got[len(t.guards)+i].Kvs
		if a.left = a.ofOwner(kvs); a.left != 0 || len(kvs) == 0 {
			continue
		}
		if err := a.missed(kvs[0]); err != nil {
			return err
		}
		if err := a.next(ctx, c, nil); err != nil {
			return err
		}
	}
	return nil
}

// retry runs one operation again for as long as what it read was stale. Each such round
// means that some other writer got on, so it ends.
func retry[T any](ctx context.Context, operation func() (T, error)) (T, error) {
	for {
		v, err := operation()
		if !errors.Is(err, errStale) {
			return v, err
		}
		if err := ctx.Err(); err != nil {
			return v, err
		}
	}
}

// commitOps commits operations that take nothing.
func (c *Client) commitOps(ctx context.Context, ops []clientv3.Op, guards ...guard) (store.Revision, error) {
	resp, err := c.commit(ctx, transaction{guards: guards, ops: func() ([]clientv3.Op, error) { return ops, nil }})
	if err != nil {
		return 0, err
	}
	return store.Revision(resp.Header.Revision), nil
}

// putOp is the operation that writes an object.
func putOp(key store.Key, o store.Object, options ...clientv3.OpOption) (clientv3.Op, error) {
	value, err := store.Encode(o)
	if err != nil {
		return clientv3.Op{}, err
	}
	return clientv3.OpPut(key.String(), string(value), options...), nil
}

func deleteOp(key store.Key) clientv3.Op { return clientv3.OpDelete(key.String()) }

// item decodes what a get answered; nil where it found nothing.
func item[T any](r *clientv3.GetResponse) (*store.Item[T], error) {
	if len(r.Kvs) == 0 {
		return nil, nil
	}
	e, err := eventOf(r.Kvs[0])
	if err != nil {
		return nil, err
	}
	return &store.Item[T]{Key: e.Key, Value: any(e.Object).(*T), Created: e.Created, Modified: e.Modified}, nil
}

// eventOf reads a key and its value.
func eventOf(kv *mvccpb.KeyValue) (store.Event, error) {
	key, err := store.ParseKey(string(kv.Key))
	if err != nil {
		return store.Event{}, err
	}
	o, err := store.Decode(key, kv.Value)
	if err != nil {
		return store.Event{}, err
	}
	return store.Event{Key: key, Object: o, Created: store.Revision(kv.CreateRevision), Modified: store.Revision(kv.ModRevision)}, nil
}
