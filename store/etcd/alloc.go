package etcd

import (
	"context"
	"encoding/json"
	"net/netip"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// Directories under alloc/: one key for each taken value.
const (
	allocTenantNumbers  = "tenant-numbers"  // {n}
	allocNetworkNumbers = "network-numbers" // {n}
	allocVLANs          = "vlans"           // {id}
	allocPortNumbers    = "port-numbers"    // {n}
	allocPorts          = "ports"           // {tenant}/{network}/{port}
	allocAddresses      = "addresses"       // {tenant}/{network}/{address}
	allocMACs           = "macs"            // {tenant}/{network}/{mac}
)

// probes is how many candidates are tried blindly before the taken ones are listed.
const probes = 4

// space is what an allocation may choose from. at returns "" for an offset that is not
// to be had, such as the router's address.
type space struct {
	count uint64
	at    func(offset uint64) string
}

// allocation takes one value under alloc/ for its owner. Candidates are probed from a
// hash of the seed, so that concurrent creators seldom meet; each probe is one attempt of
// the transaction that creates the owner.
type allocation struct {
	dir   string // under alloc/
	owner store.Key
	value string // the candidate

	space  space
	seed   string
	misses int
	// taken says that a value that the user asked for is another's (nil: choose on).
	taken func(owner string) error
	// exhausted says that none is left.
	exhausted func(inUse, freed int) error
}

// fixed takes exactly one value.
func fixed(dir string, owner store.Key, value string, taken func(owner string) error) *allocation {
	return &allocation{dir: dir, owner: owner, value: value, taken: taken}
}

// chosen takes any value of the space.
func chosen(dir string, owner store.Key, seed string, s space, exhausted func(inUse, freed int) error) *allocation {
	a := &allocation{dir: dir, owner: owner, space: s, seed: seed, exhausted: exhausted}
	a.probe()
	return a
}

func (a *allocation) key() string { return store.AllocKey(a.dir, a.value).String() }

func (a *allocation) put() clientv3.Op {
	value, _ := json.Marshal(store.Alloc{Owner: a.owner.Short()}) // two plain fields: cannot fail
	return clientv3.OpPut(a.key(), string(value))
}

// missed is called with the key that holds the candidate.
func (a *allocation) missed(kv *mvccpb.KeyValue) error {
	if a.taken == nil {
		return nil
	}
	var held store.Alloc
	if err := json.Unmarshal(kv.Value, &held); err != nil || held.Owner == "" {
		held.Owner = string(kv.Key)
	}
	return a.taken(held.Owner)
}

// next proposes another candidate.
func (a *allocation) next(ctx context.Context, c *Client) error {
	a.misses++
	if a.misses < probes {
		a.probe()
		return nil
	}
	taken, err := c.takenUnder(ctx, a.dir)
	if err != nil {
		return err
	}
	if a.choose(taken) {
		return nil
	}
	freed, err := c.countFreed(ctx, a.dir)
	if err != nil {
		return err
	}
	return a.exhausted(len(taken)-freed, freed)
}

// probe proposes the candidate of the current count of misses.
func (a *allocation) probe() {
	for n := 0; n < probes; n++ {
		if a.value = a.space.at(a.offset(a.misses + probes*n)); a.value != "" {
			return
		}
	}
	a.choose(nil)
}

func (a *allocation) offset(n int) uint64 {
	return xxhash.Sum64String(a.seed+"#"+strconv.Itoa(n)) % a.space.count
}

// choose proposes the first value that is not taken, walking from the hash so that those
// who choose at the same time rarely choose the same.
func (a *allocation) choose(taken map[string]bool) bool {
	start := a.offset(a.misses)
	for n := uint64(0); n < a.space.count; n++ {
		value := a.space.at((start + n) % a.space.count)
		if value != "" && !taken[value] {
			a.value = value
			return true
		}
	}
	return false
}

// takenUnder lists the values taken under a directory of alloc/, keys only.
func (c *Client) takenUnder(ctx context.Context, dir string) (map[string]bool, error) {
	prefix := under(store.KindAlloc, dir)
	taken := map[string]bool{}
	_, err := c.list(ctx, listing{ranges: []keyRange{prefixRange(prefix)}, keysOnly: true}, func(kv *mvccpb.KeyValue) error {
		taken[string(kv.Key[len(prefix):])] = true
		return nil
	})
	return taken, err
}

// countFreed counts the tombstones under a directory of alloc/.
func (c *Client) countFreed(ctx context.Context, dir string) (int, error) {
	freed := 0
	_, err := c.list(ctx, listing{ranges: []keyRange{prefixRange(under(store.KindAlloc, dir))}}, func(kv *mvccpb.KeyValue) error {
		if isTombstone(kv) {
			freed++
		}
		return nil
	})
	return freed, err
}

// number is the space of numbers from 1 to last.
func number(last uint32) space {
	return space{count: uint64(last), at: func(offset uint64) string { return strconv.FormatUint(offset+1, 10) }}
}

// addresses is the space of a subnet without its router.
func addresses(s store.Subnet) space {
	return space{count: store.UsableCount(s.Prefix), at: func(offset uint64) string {
		if a := store.UsableAt(s.Prefix, offset); a != s.Gateway {
			return a.String()
		}
		return ""
	}}
}

// macs is the space of locally administered unicast addresses that are not reserved.
func macs() space {
	return space{count: 1 << 46, at: func(offset uint64) string {
		// The two low bits of the first byte say "local" and "one station" (IEEE 802).
		m := store.MACFromUint64(offset>>40<<42 | 2<<40 | offset&(1<<40-1))
		if store.ValidateMAC(m) != nil {
			return ""
		}
		return m.String()
	}}
}

// numberOf reads back a number that an allocation proposes.
func (a *allocation) numberOf() uint32 {
	n, _ := strconv.ParseUint(a.value, 10, 32) // made by number
	return uint32(n)
}

// addressOf reads back an address that an allocation proposes.
func (a *allocation) addressOf() netip.Addr {
	addr, _ := netip.ParseAddr(a.value) // made by addresses, or checked
	return addr
}

// release frees a value that needs no tombstone.
func release(parts ...string) clientv3.Op { return deleteOp(store.AllocKey(parts...)) }

// deleteUnchanged deletes keys that are as they were read; others are left alone.
func (c *Client) deleteUnchanged(ctx context.Context, kvs []*mvccpb.KeyValue) error {
	for len(kvs) > 0 {
		n := min(len(kvs), maxOps)
		var nested []clientv3.Op
		for _, kv := range kvs[:n] {
			key := string(kv.Key)
			same := clientv3.Compare(clientv3.ModRevision(key), "=", kv.ModRevision)
			nested = append(nested, clientv3.OpTxn([]clientv3.Cmp{same}, []clientv3.Op{clientv3.OpDelete(key)}, nil))
		}
		if _, err := c.txn(ctx, nil, nested, nil); err != nil {
			return err
		}
		kvs = kvs[n:]
	}
	return nil
}
