package etcd

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// Held is a host and the mod revision of its claim, as its master knows it.
type Held struct {
	Host    string
	Claimed store.Revision
}

// Claim makes claim the host's master, under a lease, if the key's mod revision is still the
// given one; 0: if there is none. It fails with ErrConflict otherwise, and with ErrNotFound
// where the host is not registered. In the same transaction it writes how far the host is, so that no floor of the new master vouches for
// the host before it programmed it, and a claim that failed says nothing about the host.
func (c *Client) Claim(ctx context.Context, host string, claim *store.Master, modified store.Revision, lease clientv3.LeaseID, status *store.StatusHost) (store.Revision, error) {
	key := store.MasterKey(host)
	claimOp, err := putOp(key, claim, clientv3.WithLease(lease))
	if err != nil {
		return 0, err
	}
	statusOp, err := putOp(store.StatusHostKey(host), status)
	if err != nil {
		return 0, err
	}
	rev, err := c.commitOps(ctx, []clientv3.Op{claimOp, statusOp}, present(store.HostKey(host)), asRead(key, modified))
	if err != nil {
		return 0, fmt.Errorf("claim host %s: %w", host, err)
	}
	return rev, nil
}

// asRead is unchanged for callers that decide themselves what to do: it fails with ErrConflict.
func asRead(key store.Key, modified store.Revision) guard {
	g := unchanged(key.String(), modified)
	stale := g.explain
	g.explain = func(r *clientv3.GetResponse) error {
		if stale(r) != nil {
			return ErrConflict
		}
		return nil
	}
	return g
}
