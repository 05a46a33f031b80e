package etcd

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// probes is how many candidates are tried blindly before the taken ones are listed.
const probes = 4

// allocation takes the value of one draw under alloc/. Candidates are probed from a hash of
// the draw's seed; each probe is one attempt of the transaction that creates the owner.
type allocation struct {
	store.Draw
	value  string // the candidate
	misses int
	// left is the mod revision of the candidate's key, where it names the owner that is about to be
	// made: an earlier one of the name left it. 0: there is none.
	left store.Revision
}

func newAllocation(d store.Draw) *allocation {
	a := &allocation{Draw: d, value: d.Value}
	if a.value == "" {
		a.probe()
	}
	return a
}

func (a *allocation) key() string { return store.AllocKey(a.Dir, a.value).String() }

func (a *allocation) put() clientv3.Op { return putAlloc(a.key(), store.Alloc{Owner: a.Owner.Short()}) }

func putAlloc(path string, a store.Alloc) clientv3.Op {
	value, _ := json.Marshal(a) // two plain fields: cannot fail
	return clientv3.OpPut(path, string(value))
}

// guard holds while the candidate is to be had.
func (a *allocation) guard() guard {
	if a.left != 0 {
		return unchanged(a.key(), a.left, errStale)
	}
	return absent(a.key(), a.missed)
}

// ofOwner is the mod revision of the candidate's key where it names the owner that is about to be
// made, and that is not there: whoever deleted an earlier one by hand left it. Else 0.
func (a *allocation) ofOwner(kvs []*mvccpb.KeyValue) store.Revision {
	if len(kvs) == 0 {
		return 0
	}
	value := string(kvs[0].Value)
	left := value == string(a.put().ValueBytes())
	if a.Retake {
		freed := putAlloc(a.key(), store.Alloc{Owner: a.Owner.Short(), Freed: true})
		left = left || value == string(freed.ValueBytes())
	}
	if !left {
		return 0
	}
	return store.Revision(kvs[0].ModRevision)
}

// missed is called with the key of the candidate, which another object took.
func (a *allocation) missed(kv *mvccpb.KeyValue) error {
	if a.Value == "" {
		return nil
	}
	var other store.Alloc
	if err := json.Unmarshal(kv.Value, &other); err != nil || other.Owner == "" {
		other.Owner = string(kv.Key)
	}
	return a.Taken(other.Owner)
}

// next proposes another candidate.
func (a *allocation) next(ctx context.Context, c *Client) error {
	a.misses++
	if a.misses < probes {
		a.probe()
		return nil
	}
	taken, err := c.takenUnder(ctx, a.Dir)
	if err != nil {
		return err
	}
	if a.choose(taken) {
		return nil
	}
	freed, err := c.countFreed(ctx, a.Dir)
	if err != nil {
		return err
	}
	return a.Exhausted(len(taken)-freed, freed)
}

// probe proposes the candidate of the current count of misses.
func (a *allocation) probe() {
	for n := 0; n < probes; n++ {
		if a.value = a.Space.At(a.offset(a.misses + probes*n)); a.value != "" {
			return
		}
	}
	a.choose(nil)
}

func (a *allocation) offset(n int) uint64 {
	return xxhash.Sum64String(a.Seed+"#"+strconv.Itoa(n)) % a.Space.Count
}

// choose proposes the first value that is not taken, walking from the hash so that those
// who choose at the same time rarely choose the same.
func (a *allocation) choose(taken map[string]bool) bool {
	start := a.offset(a.misses)
	for n := uint64(0); n < a.Space.Count; n++ {
		value := a.Space.At((start + n) % a.Space.Count)
		if value != "" && !taken[value] {
			a.value = value
			return true
		}
	}
	return false
}

// allocUnder is where the keys of a directory of alloc/ begin.
func allocUnder(dir string) string {
	return store.Under(store.KindAlloc, strings.Split(dir, "/")...)
}

// takenUnder lists the values taken under a directory of alloc/, keys only.
func (c *Client) takenUnder(ctx context.Context, dir string) (map[string]bool, error) {
	prefix := allocUnder(dir)
	taken := map[string]bool{}
	_, err := c.list(ctx, listing{under: []string{prefix}, keysOnly: true}, func(kv *mvccpb.KeyValue) error {
		taken[string(kv.Key[len(prefix):])] = true
		return nil
	})
	return taken, err
}

// countFreed counts the tombstones under a directory of alloc/.
func (c *Client) countFreed(ctx context.Context, dir string) (int, error) {
	freed := 0
	_, err := c.list(ctx, listing{under: []string{allocUnder(dir)}}, func(kv *mvccpb.KeyValue) error {
		if isTombstone(kv) {
			freed++
		}
		return nil
	})
	return freed, err
}

// deleteUnchanged deletes keys that are as they were read, under more conditions; others are left
// alone.
func (c *Client) deleteUnchanged(ctx context.Context, kvs []*mvccpb.KeyValue, presumed ...clientv3.Cmp) error {
	for len(kvs) > 0 {
		n := min(len(kvs), maxOps)
		var nested []clientv3.Op
		for _, kv := range kvs[:n] {
			key := string(kv.Key)
			same := clientv3.Compare(clientv3.ModRevision(key), "=", kv.ModRevision)
			nested = append(nested, clientv3.OpTxn(append([]clientv3.Cmp{same}, presumed...), []clientv3.Op{clientv3.OpDelete(key)}, nil))
		}
		if _, err := c.txnAsRead(ctx, nil, nested, nil); err != nil {
			return err
		}
		kvs = kvs[n:]
	}
	return nil
}
