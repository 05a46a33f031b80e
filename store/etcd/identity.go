package etcd

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// sight is what etcd shows of its store, at one revision, beside what is remembered of it.
func (c *Client) sight(ctx context.Context, m store.Memory) (s store.Sight, err error) {
	witness := m.WitnessAt
	if witness == "" {
		witness = store.IdentityKey().String() // whatever its revision, it is not less than none
	}
	resp, err := c.txn(ctx, nil, []clientv3.Op{
		clientv3.OpGet(store.IdentityKey().String()), clientv3.OpGet(store.ChainKey().String()),
		clientv3.OpGet(store.StampKey(m.Last.Number).String()), clientv3.OpGet(store.StampKey(m.Lasting.Number).String()),
		countOp(store.Under(store.KindHost)), clientv3.OpGet(witness, clientv3.WithKeysOnly()), clientv3.OpGet(store.SchemaKey().String()),
	}, nil)
	if err != nil {
		return s, fmt.Errorf("look which store etcd holds: %w", err)
	}
	got := ranges(resp)
	identity, err1 := item[store.Identity](got[0])
	chain, err2 := item[store.Chain](got[1])
	last, err3 := item[store.Stamp](got[2])
	lasting, err4 := item[store.Stamp](got[3])
	schema, err5 := item[store.Schema](got[6])
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return s, fmt.Errorf("look which store etcd holds: %w", err)
	}
	s = store.Sight{
		Cluster: resp.Header.ClusterId, Revision: store.Revision(resp.Header.Revision), Chain: valueOf(chain),
		StampedAt: modified(chain), Last: valueOf(last), Lasting: valueOf(lasting), Store: valueOf(identity).ID, Hosts: got[4].Count,
		Least: valueOf(schema).Least, LeastAt: modified(schema),
	}
	for _, kv := range got[5].Kvs {
		s.Witness = store.Revision(kv.ModRevision)
	}
	return s, nil
}

// valueOf is an item's value; the zero value where there is none.
func valueOf[T any](i *store.Item[T]) (v T) {
	if i != nil {
		v = *i.Value
	}
	return v
}

// modified is an item's mod revision, 0 where there is none.
func modified[T any](i *store.Item[T]) store.Revision {
	if i == nil {
		return 0
	}
	return i.Modified
}

// proofOf are the conditions that hold in the store that was seen, and in no other, while it asks for
// no newer programs than it did.
func (c *Client) proofOf(ctx context.Context, s store.Sight) ([]guard, error) {
	proof := []guard{unchanged(store.SchemaKey().String(), s.LeastAt, errStale)}
	identity := store.IdentityKey().String()
	if s.Store == "" {
		return append(proof, absent(identity, func(*mvccpb.KeyValue) error { return errStale })), nil
	}
	paths := []string{identity}
	if s.Chain.Newest.Number > 0 {
		paths = append(paths, store.StampKey(s.Chain.Newest.Number).String())
	}
	var gets []clientv3.Op
	for _, path := range paths {
		gets = append(gets, clientv3.OpGet(path))
	}
	got, _, err := c.read(ctx, gets...)
	if err != nil {
		return nil, err
	}
	for i, path := range paths {
		if len(got[i].Kvs) == 0 {
			return nil, fmt.Errorf("%s was there a moment ago: %w", path, store.ErrConflict)
		}
		proof = append(proof, valueIs(path, string(got[i].Kvs[0].Value)))
	}
	return proof, nil
}

// valueIs holds while the key has that value.
func valueIs(path, value string) guard {
	return guard{
		cmp: clientv3.Compare(clientv3.Value(path), "=", value),
		get: clientv3.OpGet(path),
		explain: func(r *clientv3.GetResponse) error {
			if len(r.Kvs) == 1 && string(r.Kvs[0].Value) == value {
				return nil
			}
			return errStale
		},
	}
}

// putWitness writes a witness of what happened up to a revision, into the store that the proof is
// of. It fails with errStale in another one.
func (c *Client) putWitness(ctx context.Context, key store.Key, seen store.Revision, proof []guard) (store.Revision, error) {
	var o store.Object = &store.WitnessController{Witness: store.Witness{Seen: seen}}
	if key.Kind == store.KindWitnessHost {
		o = &store.WitnessHost{Witness: store.Witness{Seen: seen}}
	}
	op, err := putOp(key, o)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := c.tryTxn(ctx, proof, nil, []clientv3.Op{op}, nil)
	if err != nil {
		return 0, err
	}
	return store.Revision(resp.Header.Revision), nil
}

// found gives the store its identity, unless another controller was faster. One that no host serves yet
// is for programs of this schema from the start: there are no older ones.
func (c *Client) found(ctx context.Context, s store.Sight) error {
	identity, schema := store.IdentityKey(), store.SchemaKey()
	op, err := putOp(identity, &store.Identity{ID: rand.Text(), Since: time.Now().UTC()})
	ops, guards := []clientv3.Op{op}, []guard{unchanged(identity.String(), 0, store.ErrConflict)}
	if err == nil && s.Hosts == 0 && s.LeastAt == 0 {
		op, err = putOp(schema, &store.Schema{Least: store.SchemaVersion})
		ops, guards = append(ops, op), append(guards, unchanged(schema.String(), 0, store.ErrConflict))
		first, failed := c.firstSettings(ctx)
		ops, err = append(ops, first...), errors.Join(err, failed)
	}
	if err != nil {
		return fmt.Errorf("give the store its identity: %w", err)
	}
	if _, err := c.commitOps(ctx, ops, guards...); err != nil && !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("give the store its identity: %w", err)
	}
	return nil
}

// firstSettings writes how a store begins, unless it has tenants or settings: these keep what they have.
func (c *Client) firstSettings(ctx context.Context) ([]clientv3.Op, error) {
	path := store.SettingsKey().String()
	got, _, err := c.read(ctx, clientv3.OpGet(path, clientv3.WithCountOnly()), countOp(store.Under(store.KindTenant)))
	if err != nil || got[0].Count+got[1].Count > 0 {
		return nil, err
	}
	op, err := putOp(store.SettingsKey(), store.FirstSettings())
	return []clientv3.Op{op}, err
}

// ExtendChain adds a stamp to the store's chain, and prunes those that it keeps no more. Of two
// who do at once one fails with store.ErrConflict.
func (c *Client) ExtendChain(ctx context.Context) error {
	key := store.ChainKey()
	object, modified, err := c.Get(ctx, key)
	if err != nil {
		return err
	}
	var chain store.Chain
	if object != nil {
		chain = *object.(*store.Chain)
	}
	chain = chain.Next(rand.Text())
	head, err1 := putOp(key, &chain)
	stamp, err2 := putOp(store.StampKey(chain.Newest.Number), &chain.Newest)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	ops := []clientv3.Op{head, stamp}
	for _, old := range store.PrunedBy(chain.Newest.Number) {
		ops = append(ops, deleteOp(store.StampKey(old.Number)))
	}
	if _, err := c.commitOps(ctx, ops, unchanged(key.String(), modified, store.ErrConflict)); err != nil {
		return fmt.Errorf("extend the store's chain: %w", err)
	}
	return nil
}

// readMemory reads what is remembered of a store; the zero Memory where there is no file.
func readMemory(path string) (m store.Memory, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return m, fmt.Errorf("read which store was served, from %s: %w: mend or remove the file", path, err)
	}
	return m, nil
}

// writeMemory replaces the file as a whole: after a crash it is the old one or the new one.
func writeMemory(path string, m store.Memory) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err = f.Write(append(b, '\n')); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
