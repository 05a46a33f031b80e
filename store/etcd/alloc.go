package etcd

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"

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
	crowds *crowds
	value  string // the candidate
	misses int
	// left is the mod revision of the candidate's key, where it names the owner that is about to be
	// made: an earlier one of the name left it. 0: there is none.
	left store.Revision
}

func (c *Client) newAllocation(d store.Draw) *allocation {
	a := &allocation{Draw: d, crowds: &c.crowds, value: d.Value}
	if a.Rather.Count > 0 && c.crowds.pass(d.Dir) {
		a.Rather = store.Space{}
	}
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
// made, and that is not there: whoever deleted an earlier one by hand left it, or it was reserved. Else 0.
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
	if a.Former != (store.Key{}) {
		reserved := putAlloc(a.key(), store.Alloc{Owner: a.Former.Short()})
		left = left || value == string(reserved.ValueBytes())
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

// next proposes another candidate, which is none of drawn once the taken ones are listed.
func (a *allocation) next(ctx context.Context, c *Client, drawn map[string]bool) error {
	if a.misses++; a.Rather.Count > 0 {
		a.crowds.note(a.Dir)
		a.Rather = store.Space{}
	}
	if a.misses < probes {
		a.probe()
		return nil
	}
	taken, err := c.takenUnder(ctx, a.Dir)
	if err != nil {
		return err
	}
	for key := range drawn {
		if value, under := strings.CutPrefix(key, allocUnder(a.Dir)); under {
			taken[value] = true
		}
	}
	if a.choose(taken) {
		return nil
	}
	use, err := c.countUse(ctx, a.Draw)
	if err != nil {
		return err
	}
	return a.Exhausted(use)
}

// probe proposes the candidate of the current count of misses.
func (a *allocation) probe() {
	for n := 0; n < probes; n++ {
		space := a.Space
		if a.Rather.Count > 0 {
			space = a.Rather
		}
		if a.value = space.At(a.offset(space, a.misses+probes*n)); a.value != "" {
			return
		}
	}
	a.choose(nil)
}

func (a *allocation) offset(s store.Space, n int) uint64 {
	return xxhash.Sum64String(a.Seed+"#"+strconv.Itoa(n)) % s.Count
}

// crowds remember in which directories a value that is better than others was taken already: for a while
// nobody looks for another such one, since each look that fails is a transaction.
type crowds struct {
	mu   sync.Mutex
	left map[string]int // draws until one looks again
}

// crowded is how many draws pass a crowd by before one looks again.
const crowded = 100

func (c *crowds) note(dir string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == nil {
		c.left = map[string]int{}
	}
	c.left[dir] = crowded
}

// pass reports whether a draw is to pass by what is better.
func (c *crowds) pass(dir string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left[dir] == 0 {
		return false
	}
	c.left[dir]--
	return true
}

// choose proposes the first value that is not taken, walking from the hash so that those
// who choose at the same time rarely choose the same.
func (a *allocation) choose(taken map[string]bool) bool {
	start := a.offset(a.Space, a.misses)
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

// countUse counts by what the values that a draw may choose from are taken.
func (c *Client) countUse(ctx context.Context, d store.Draw) (use store.Counted, err error) {
	prefix := allocUnder(d.Dir)
	_, err = c.list(ctx, listing{under: []string{prefix}}, func(kv *mvccpb.KeyValue) error {
		switch value := string(kv.Key[len(prefix):]); {
		case d.Counts != nil && !d.Counts(value):
		case isTombstone(kv):
			use.Freed++
		case store.IsSticky(allocKey(kv).Owner):
			use.Sticky++
		default:
			use.InUse++
		}
		return nil
	})
	return use, err
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
