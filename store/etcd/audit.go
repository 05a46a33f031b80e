package etcd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// AllocKey is one key under alloc/ as it was read.
type AllocKey struct {
	Path string
	store.Alloc
	Modified store.Revision
}

func allocKey(kv *mvccpb.KeyValue) AllocKey {
	a := AllocKey{Path: string(kv.Key), Modified: store.Revision(kv.ModRevision)}
	_ = json.Unmarshal(kv.Value, &a.Alloc) // what cannot be read names nobody
	return a
}

// Allocs reads one page of the keys under alloc/ that come after a path, in order. next is the path
// to go on after, empty where these were the last.
func (c *Client) Allocs(ctx context.Context, after string) (page []AllocKey, next string, err error) {
	all := prefixRange(store.Under(store.KindAlloc))
	if after != "" {
		all.from = after + "\x00"
	}
	resp, _, err := c.page(ctx, listing{}, all)
	if err != nil {
		return nil, "", fmt.Errorf("list %s: %w", store.KindAlloc, err)
	}
	for _, kv := range resp.Kvs {
		page = append(page, allocKey(kv))
	}
	if resp.More {
		next = page[len(page)-1].Path
	}
	return page, next, nil
}

// Mended is a key under alloc/ that was put right.
type Mended struct {
	Path  string
	Owner string // who has the value now; empty: nobody
	Was   string // who had it
	At    store.Revision
	// Tombstones are what a freed number left.
	Tombstones []Tombstone
}

// mending is one key's mending: under which conditions, and what to do.
type mending struct {
	Mended
	cmps []clientv3.Cmp
	op   clientv3.Op
}

// maxMendings bounds a transaction: each reads or writes about one key, under conditions of its own.
const maxMendings = 60

// commitMendings writes each that still holds, and returns those.
func (c *Client) commitMendings(ctx context.Context, list []mending) (done []Mended, err error) {
	for part := range slices.Chunk(list, maxMendings) {
		ops := make([]clientv3.Op, len(part))
		for i, m := range part {
			ops[i] = clientv3.OpTxn(m.cmps, []clientv3.Op{m.op}, nil)
		}
		resp, err := c.txnAsRead(ctx, nil, ops, nil)
		if err != nil {
			return done, err
		}
		for i, r := range resp.Responses {
			if r.GetResponseTxn().GetSucceeded() {
				m := part[i].Mended
				m.At = store.Revision(resp.Header.Revision)
				for j := range m.Tombstones {
					m.Tombstones[j].Freed = store.Revision(resp.Header.Revision)
				}
				done = append(done, m)
			}
		}
	}
	return done, nil
}

// as is the condition that a key is as it was read; nil: that there is none.
func as(path string, kv *mvccpb.KeyValue) clientv3.Cmp {
	if kv == nil {
		return clientv3.Compare(clientv3.CreateRevision(path), "=", 0)
	}
	return clientv3.Compare(clientv3.ModRevision(path), "=", kv.ModRevision)
}

// objectIn is the object of what was read, if there is one that can be read.
func objectIn(kv *mvccpb.KeyValue) (store.Event, bool) {
	if kv == nil {
		return store.Event{}, false
	}
	e, err := eventOf(kv)
	return e, err == nil
}

// FreeStrays frees those of the keys under alloc/ that are as they were read and name no object that
// has the value, by now. A number becomes a tombstone. It returns those that it freed.
func (c *Client) FreeStrays(ctx context.Context, strays []AllocKey) (freed []Mended, err error) {
	for part := range slices.Chunk(strays, maxMendings) {
		owners, err := c.objects(ctx, part)
		if err != nil {
			return freed, fmt.Errorf("free strays: %w", err)
		}
		var list []mending
		for _, a := range part {
			if m, stray := freeing(a, owners); stray {
				list = append(list, m)
			}
		}
		done, err := c.commitMendings(ctx, list)
		freed = append(freed, done...)
		if err != nil {
			return freed, fmt.Errorf("free strays: %w", err)
		}
	}
	return freed, nil
}

// StillStrays are those of the keys under alloc/ that are as they were read and name no object that has
// the value.
func (c *Client) StillStrays(ctx context.Context, strays []AllocKey) (still []AllocKey, err error) {
	for part := range slices.Chunk(strays, maxMendings) {
		owners, err := c.objects(ctx, part) // before the keys: one that is unchanged then stood when its object lacked
		if err != nil {
			return nil, fmt.Errorf("look at strays: %w", err)
		}
		gets := make([]clientv3.Op, len(part))
		for i, a := range part {
			gets[i] = clientv3.OpGet(a.Path, clientv3.WithKeysOnly())
		}
		got, _, err := c.readAsRead(ctx, gets...)
		if err != nil {
			return nil, fmt.Errorf("look at strays: %w", err)
		}
		for i, a := range part {
			unchanged := len(got[i].Kvs) == 1 && store.Revision(got[i].Kvs[0].ModRevision) == a.Modified
			if _, stray := freeing(a, owners); stray && unchanged {
				still = append(still, a)
			}
		}
	}
	return still, nil
}

// freeing is how to free a key, unless the object that it names has the value.
func freeing(a AllocKey, owners map[string]*mvccpb.KeyValue) (mending, bool) {
	m := mending{
		Mended: Mended{Path: a.Path, Was: a.Owner}, op: clientv3.OpDelete(a.Path),
		cmps: []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(a.Path), "=", int64(a.Modified))},
	}
	if owner, named := owners[a.Owner]; named {
		if e, exists := objectIn(owner); exists && store.Takes(e, a.Path) {
			return m, false
		}
		m.cmps = append(m.cmps, as(store.Prefix+a.Owner, owner))
	}
	stone, known := store.Stray(a.Path, a.Alloc)
	if stone != nil {
		m.op = putAlloc(a.Path, *stone)
		m.Tombstones = []Tombstone{{path: a.Path, value: string(m.op.ValueBytes())}}
	}
	return m, known
}

// objects are those that keys under alloc/ name, by what names them; nil: there is none. What is no
// key of an object is left out.
func (c *Client) objects(ctx context.Context, named []AllocKey) (map[string]*mvccpb.KeyValue, error) {
	var names []string
	for _, a := range named {
		if _, err := store.ParseKey(store.Prefix + a.Owner); err == nil && !slices.Contains(names, a.Owner) {
			names = append(names, a.Owner)
		}
	}
	found := map[string]*mvccpb.KeyValue{}
	if len(names) == 0 {
		return found, nil
	}
	gets := make([]clientv3.Op, len(names))
	for i, name := range names {
		gets[i] = clientv3.OpGet(store.Prefix + name)
	}
	got, _, err := c.read(ctx, gets...)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		found[name] = nil
		if len(got[i].Kvs) > 0 {
			found[name] = got[i].Kvs[0]
		}
	}
	return found, nil
}

// RestoreTaken writes the keys under alloc/ that objects lack, where the objects are as given still:
// keys that are missing, cannot be read, or name another that does not have the value. Where two
// objects have one value the older gets it. It returns what it wrote.
func (c *Client) RestoreTaken(ctx context.Context, objects []store.Event) (restored []Mended, err error) {
	slices.SortFunc(objects, func(a, b store.Event) int {
		return cmp.Or(cmp.Compare(a.Created, b.Created), strings.Compare(a.Key.String(), b.Key.String()))
	})
	for len(objects) > 0 {
		n, taken := 0, []store.Taken{}
		events := map[store.Key]store.Event{}
		for ; n < len(objects); n++ {
			of := store.TakenBy(objects[n].Key, objects[n].Object)
			if n > 0 && len(taken)+len(of) > maxMendings {
				break
			}
			taken, events[objects[n].Key] = append(taken, of...), objects[n]
		}
		done, err := c.restore(ctx, taken, events)
		restored = append(restored, done...)
		if err != nil {
			return restored, fmt.Errorf("restore taken values: %w", err)
		}
		objects = objects[n:]
	}
	return restored, nil
}

// restore is RestoreTaken for one transaction's worth of values.
func (c *Client) restore(ctx context.Context, taken []store.Taken, events map[store.Key]store.Event) ([]Mended, error) {
	gets := make([]clientv3.Op, len(taken))
	for i, t := range taken {
		gets[i] = clientv3.OpGet(t.Key().String())
	}
	got, _, err := c.read(ctx, gets...)
	if err != nil {
		return nil, err
	}
	held := make([]AllocKey, len(taken))
	for i := range taken {
		held[i].Path = taken[i].Key().String()
		if len(got[i].Kvs) > 0 {
			held[i] = allocKey(got[i].Kvs[0])
		}
	}
	owners, err := c.objects(ctx, held)
	if err != nil {
		return nil, err
	}
	var list []mending
	written := map[string]bool{}
	for i, t := range taken {
		if m, lacks := restoring(t, events[t.Owner], held[i], owners); lacks && !written[m.Path] {
			written[m.Path], list = true, append(list, m)
		}
	}
	return c.commitMendings(ctx, list)
}

// restoring is how to give a value back to an object, unless it has it, or an older object does.
func restoring(t store.Taken, e store.Event, held AllocKey, owners map[string]*mvccpb.KeyValue) (mending, bool) {
	own := store.Alloc{Owner: t.Owner.Short()}
	m := mending{
		Mended: Mended{Path: held.Path, Owner: own.Owner, Was: held.Owner}, op: putAlloc(held.Path, own),
		cmps: []clientv3.Cmp{
			clientv3.Compare(clientv3.ModRevision(held.Path), "=", int64(held.Modified)),
			clientv3.Compare(clientv3.ModRevision(t.Owner.String()), "=", int64(e.Modified)),
		},
	}
	if held.Alloc == own {
		return m, false
	}
	other, named := owners[held.Owner]
	if !named || held.Owner == own.Owner || held.Freed {
		return m, true
	}
	m.cmps = append(m.cmps, as(store.Prefix+held.Owner, other))
	rival, exists := objectIn(other)
	if !exists || !store.Takes(rival, held.Path) {
		return m, true
	}
	older := cmp.Or(cmp.Compare(rival.Created, e.Created), strings.Compare(rival.Key.String(), e.Key.String())) < 0
	return m, !older
}
