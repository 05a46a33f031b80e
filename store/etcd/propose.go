package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// view reads keys, and all keys under those paths that end in "/", at one revision into a
// state of its own. A host that cannot be read, among all hosts, refuses nothing: it is
// logged and left out.
func (c *Client) view(ctx context.Context, paths ...string) (*store.State, error) {
	state, _, err := c.viewAndCount(ctx, "", paths...)
	return state, err
}

// viewAndCount counts the keys under one more path, unless it is empty.
func (c *Client) viewAndCount(ctx context.Context, counted string, paths ...string) (*store.State, int64, error) {
	var gets []clientv3.Op
	for _, path := range paths {
		gets = append(gets, clientv3.OpGet(path, prefixed(path)...))
	}
	if counted != "" {
		gets = append(gets, countOp(counted))
	}
	got, at, err := c.read(ctx, gets...)
	if err != nil {
		return nil, 0, err
	}
	batch := store.Batch{Revision: at}
	for i, path := range paths {
		for _, kv := range got[i].Kvs {
			e, err := eventOf(kv)
			switch {
			case err != nil && path == store.Under(store.KindHost):
				c.log.Warn("host passed over", "err", err)
			case err != nil:
				return nil, 0, err
			default:
				batch.Events = append(batch.Events, e)
			}
		}
	}
	state := store.NewState()
	state.Apply(batch)
	return state, got[len(got)-1].Count, nil
}

func countOp(prefix string) clientv3.Op {
	return clientv3.OpGet(prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
}

// Decide writes what a request proposes about what it needs to see, and decides again for
// as long as that was out of date. It returns the revision. needs are all that the request
// looks at: keys, and beginnings of keys that end in "/". A kind whose requests need no more
// than this and Remove has no methods of its own here.
func (c *Client) Decide(ctx context.Context, request func(*store.State) (store.Proposal, error), needs ...string) (store.Revision, error) {
	return retry(ctx, func() (store.Revision, error) {
		state, err := c.view(ctx, needs...)
		if err != nil {
			return 0, err
		}
		p, err := request(state)
		if err != nil {
			return 0, err
		}
		resp, err := c.write(ctx, p)
		if err != nil {
			return 0, err
		}
		return store.Revision(resp.Header.Revision), nil
	})
}

// Remove deletes an object with what follows it and all that they took. It is refused while
// others refer to the object. name is the object's for people. What is taken in it by objects that
// are not there refuses nothing: who wants the object gone wants that gone too. It is refused too where something
// that is presumed does not hold.
func (c *Client) Remove(ctx context.Context, key store.Key, name string, presumed ...store.Presumption) (store.Revision, error) {
	var decided error
	request := store.Presuming(func(s *store.State) (p store.Proposal, err error) {
		p, decided = store.ProposeDelete(s, key)
		return p, decided
	}, presumed...)
	rev, err := c.Decide(ctx, request, store.NeededToDelete(key)...)
	if decided == nil && errors.Is(err, store.ErrInUse) { // by what is taken in it, which was not looked at
		if err = c.freeUses(ctx, key, err); err == nil {
			rev, err = c.Decide(ctx, request, store.NeededToDelete(key)...)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("delete %s %s: %w", key.Kind.Label(), name, err)
	}
	return rev, nil
}

// write draws a proposal's values and commits it. Other operations may go before its writes, in the
// same transaction: gets, whose answers come first, or what is put under a lease.
func (c *Client) write(ctx context.Context, p store.Proposal, before ...clientv3.Op) (*clientv3.TxnResponse, error) {
	t := transaction{ops: func() ([]clientv3.Op, error) {
		ops, err := writeOps(p)
		return append(before[:len(before):len(before)], ops...), err
	}}
	for _, presumed := range p.Presumes {
		t.guards = append(t.guards, guardOf(presumed))
	}
	for _, d := range p.Draws {
		t.allocs = append(t.allocs, c.newAllocation(d))
	}
	return c.commit(ctx, t)
}

// writeOps are the operations of a proposal but those of its draws.
func writeOps(p store.Proposal) ([]clientv3.Op, error) {
	var ops []clientv3.Op
	for _, e := range p.Writes {
		if e.Object == nil {
			ops = append(ops, deleteOp(e.Key))
			continue
		}
		op, err := putOp(e.Key, e.Object)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	for _, path := range p.Clears {
		ops = append(ops, clientv3.OpDelete(path, clientv3.WithPrefix()))
	}
	for _, t := range p.Frees {
		ops = append(ops, freeOp(t))
	}
	for _, pass := range p.Passes {
		ops = append(ops, passOp(pass))
	}
	return ops, nil
}

// guardOf makes a presumption a condition of a transaction.
func guardOf(p store.Presumption) guard {
	refusal := p.Refusal
	if refusal == nil {
		refusal = errStale
	}
	switch p.Condition {
	case store.Absent:
		return absent(p.Path, func(*mvccpb.KeyValue) error { return refusal })
	case store.CreatedAt:
		return createdAt(p.Path, p.Revision, refusal)
	case store.Unchanged:
		return unchanged(p.Path, p.Revision, refusal)
	case store.Leased:
		return leased(p.Path, clientv3.LeaseID(p.Lease), refusal)
	case store.NothingNewUnder:
		return nothingNewUnder(p.Path, p.Revision)
	case store.NoneUnder:
		return noneUnder(p.Path, func(r *clientv3.GetResponse) error { return p.InUse(paths(r), r.Count-int64(len(r.Kvs))) })
	}
	never := fmt.Errorf("condition %q of %s is unknown", p.Condition, p.Path)
	return createdAt(p.Path, -1, never)
}

func paths(r *clientv3.GetResponse) []string {
	list := make([]string, 0, len(r.Kvs))
	for _, kv := range r.Kvs {
		list = append(list, string(kv.Key))
	}
	return list
}
