package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// UnreadablePort is a port's key whose value nobody can read.
type UnreadablePort struct {
	Key      store.Key
	Modified store.Revision
	Value    []byte // as somebody wrote it: it is all that is left of the port
	Why      string // it cannot be read
}

// UnreadablePorts are those that Watch came by, as etcd holds them now, sorted; of hosts whose agent does
// not run: where it does, a detach removes the port with its interface. At most limit are read, and more
// reports whether there are others.
func (c *Client) UnreadablePorts(ctx context.Context, limit int) (list []UnreadablePort, more bool, err error) {
	for _, key := range c.unreadableKeys() {
		if len(list) == limit {
			return list, true, nil
		}
		got, _, err := c.read(ctx, clientv3.OpGet(key.String()), clientv3.OpGet(store.LiveHostKey(key.Host).String(), clientv3.WithKeysOnly()))
		if err != nil {
			return nil, false, err
		}
		if len(got[0].Kvs) == 0 || len(got[1].Kvs) > 0 {
			continue
		}
		if kv := got[0].Kvs[0]; isUnreadable(kv) != nil {
			list = append(list, UnreadablePort{key, store.Revision(kv.ModRevision), kv.Value, isUnreadable(kv).Error()})
		}
	}
	return list, false, nil
}

// isUnreadable is why a value cannot be read; nil: it can.
func isUnreadable(kv *mvccpb.KeyValue) error {
	_, err := eventOf(kv)
	return err
}

// unreadableKeys are the keys of ports that Watch could not read.
func (c *Client) unreadableKeys() (keys []store.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, path := range slices.Sorted(maps.Keys(c.problems)) {
		if key, err := store.ParseKey(path); err == nil && key.Kind == store.KindPort {
			keys = append(keys, key)
		}
	}
	return keys
}

// RemoveUnreadable removes such ports, each as it was read and while its host's agent does not run. It
// returns those that it removed, with the revision of each removal.
func (c *Client) RemoveUnreadable(ctx context.Context, ports []UnreadablePort) (removed []UnreadablePort, err error) {
	for _, one := range ports {
		resp, err := c.write(ctx, store.ProposeRemoveUnreadable(one.Key, one.Modified))
		switch {
		case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrInUse):
			continue // it was put right, or its agent is back
		case err != nil:
			return removed, fmt.Errorf("remove %s: %w", one.Key.Short(), err)
		}
		one.Modified = store.Revision(resp.Header.Revision)
		removed = append(removed, one)
	}
	return removed, nil
}
