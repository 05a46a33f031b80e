package etcd

import (
	"context"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// pageSize is how many keys one request of a list reads.
const pageSize = 2000

// keyRange is [from, to).
type keyRange struct{ from, to string }

func (r keyRange) has(key string) bool { return key >= r.from && key < r.to }

func prefixRange(prefix string) keyRange {
	return keyRange{prefix, clientv3.GetPrefixRangeEnd(prefix)}
}

// listing says what to list: all keys under some paths, and ranges.
type listing struct {
	under      []string
	ranges     []keyRange
	keysOnly   bool
	revision   store.Revision // 0: now
	maxCreated store.Revision // 0: no bound
	since      store.Revision // only what was written after it
}

// list reads ranges page by page, all at one revision, which it returns.
func (c *Client) list(ctx context.Context, l listing, each func(*mvccpb.KeyValue) error) (store.Revision, error) {
	for _, path := range l.under {
		if err := store.CheckPath(path); err != nil {
			return 0, err
		}
		l.ranges = append(l.ranges[:len(l.ranges):len(l.ranges)], prefixRange(path))
	}
	for _, r := range l.ranges {
		for from := r.from; from != ""; {
			resp, at, err := c.page(ctx, l, keyRange{from, r.to})
			if err != nil {
				return 0, err
			}
			if l.revision == 0 {
				l.revision = at
			}
			for _, kv := range resp.Kvs {
				if err := each(kv); err != nil {
					return 0, err
				}
			}
			from = ""
			if resp.More && len(resp.Kvs) > 0 {
				from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
			}
		}
	}
	return l.revision, nil
}

// page is one request's part of a list, and the revision that etcd was at.
func (c *Client) page(ctx context.Context, l listing, r keyRange) (*clientv3.GetResponse, store.Revision, error) {
	options := []clientv3.OpOption{
		clientv3.WithRange(r.to), clientv3.WithLimit(pageSize), clientv3.WithRev(int64(l.revision)),
	}
	if l.keysOnly {
		options = append(options, clientv3.WithKeysOnly())
	}
	if l.maxCreated > 0 {
		options = append(options, clientv3.WithMaxCreateRev(int64(l.maxCreated)))
	}
	if l.since > 0 {
		options = append(options, clientv3.WithMinModRev(int64(l.since)+1))
	}
	got, at, err := c.readAsRead(ctx, clientv3.OpGet(r.from, options...))
	if err != nil {
		return nil, 0, err
	}
	return got[0], at, nil
}
