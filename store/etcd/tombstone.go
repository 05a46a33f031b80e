package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// Tombstone is a number or VLAN id of an object that was deleted: it is not given out again
// while a switch may hold that object's flows. Two are equal if they are the same one.
type Tombstone struct {
	// Freed is when the object was deleted, or a later revision. A host that is realized at it
	// holds no flow of the object.
	Freed store.Revision

	path, value string // of its key under alloc/
}

// TombstonesOf are those that an object leaves which is deleted at a revision.
func TombstonesOf(key store.Key, deleted store.Object, at store.Revision) []Tombstone {
	var list []Tombstone
	for _, t := range store.TakenBy(key, deleted) {
		if t.Tombstone {
			op := freed(t)
			list = append(list, Tombstone{Freed: at, path: string(op.KeyBytes()), value: string(op.ValueBytes())})
		}
	}
	return list
}

// freeOp frees a value, if it is the object's: where two claim one value its key names the other.
func freeOp(t store.Taken) clientv3.Op {
	taken := putAlloc(t.Key().String(), store.Alloc{Owner: t.Owner.Short()})
	own := clientv3.Compare(clientv3.Value(string(taken.KeyBytes())), "=", string(taken.ValueBytes()))
	return clientv3.OpTxn([]clientv3.Cmp{own}, []clientv3.Op{freed(t)}, nil)
}

// passOp gives a value to its object's new key, if it is the object's.
func passOp(p store.Pass) clientv3.Op {
	own := putAlloc(p.Key().String(), store.Alloc{Owner: p.Owner.Short()})
	is := clientv3.Compare(clientv3.Value(string(own.KeyBytes())), "=", string(own.ValueBytes()))
	return clientv3.OpTxn([]clientv3.Cmp{is}, []clientv3.Op{putAlloc(p.Key().String(), store.Alloc{Owner: p.To.Short()})}, nil)
}

// freed is what becomes of the key of a value: it goes, or becomes a tombstone.
func freed(t store.Taken) clientv3.Op {
	if t.Tombstone {
		return putAlloc(t.Key().String(), store.Alloc{Owner: t.Owner.Short(), Freed: true})
	}
	return deleteOp(t.Key())
}

func isTombstone(kv *mvccpb.KeyValue) bool {
	var a store.Alloc
	return json.Unmarshal(kv.Value, &a) == nil && a.Freed
}

// Tombstones reads up to limit tombstones, and reports whether there are more. It reads
// every number that is taken: who sees objects being deleted needs it once.
func (c *Client) Tombstones(ctx context.Context, limit int) (list []Tombstone, more bool, err error) {
	var l listing
	for _, dir := range store.TombstoneDirs() {
		l.under = append(l.under, allocUnder(dir))
	}
	enough := errors.New("enough")
	_, err = c.list(ctx, l, func(kv *mvccpb.KeyValue) error {
		if !isTombstone(kv) {
			return nil
		}
		if len(list) == limit {
			return enough
		}
		list = append(list, Tombstone{Freed: store.Revision(kv.ModRevision), path: string(kv.Key), value: string(kv.Value)})
		return nil
	})
	if errors.Is(err, enough) {
		return list, true, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("list tombstones: %w", err)
	}
	return list, false, nil
}

// ReleaseTombstones makes numbers and VLAN ids usable again, and returns how many it found
// to be tombstones still. The caller knows that every registered host is realized at the
// revisions at which they were freed.
func (c *Client) ReleaseTombstones(ctx context.Context, list []Tombstone) (released int, err error) {
	for len(list) > 0 {
		n := min(len(list), maxOps)
		var nested []clientv3.Op
		for _, t := range list[:n] {
			nested = append(nested, t.release())
		}
		resp, err := c.txnAsRead(ctx, nil, nested, nil)
		if err != nil {
			return released, fmt.Errorf("release tombstones: %w", err)
		}
		for _, r := range resp.Responses {
			if r.GetResponseTxn().GetSucceeded() {
				released++
			}
		}
		list = list[n:]
	}
	return released, nil
}

// release deletes the tombstone's key, unless something else is there by now: another object
// that took the number, or one of the same name that was deleted later.
func (t Tombstone) release() clientv3.Op {
	same := []clientv3.Cmp{
		clientv3.Compare(clientv3.Value(t.path), "=", t.value),
		clientv3.Compare(clientv3.ModRevision(t.path), "<", int64(t.Freed)+1),
	}
	return clientv3.OpTxn(same, []clientv3.Op{clientv3.OpDelete(t.path)}, nil)
}
