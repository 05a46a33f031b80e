package etcd

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// Claim makes claim the host's master, under the lease of its controller's live key, if the
// key's mod revision is still the given one; 0: if there is none. It fails with store.ErrConflict
// otherwise, and where the controller's name belongs to another incarnation by now; with
// store.ErrNotFound where the host is not registered. In the same transaction it writes how far the
// host is, so that no floor of the new master vouches for the host before it programmed it,
// and a claim that failed says nothing about the host.
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
	rev, err := c.commitOps(ctx, []clientv3.Op{claimOp, statusOp},
		present(store.HostKey(host)), underLease(store.LiveControllerKey(claim.Controller), lease), unchanged(key.String(), modified, store.ErrConflict))
	if err != nil {
		return 0, fmt.Errorf("claim host %s: %w", host, err)
	}
	return rev, nil
}

// underLease holds while the key is under the lease.
func underLease(key store.Key, lease clientv3.LeaseID) guard {
	return guard{
		cmp: clientv3.Compare(clientv3.LeaseValue(key.String()), "=", lease),
		get: clientv3.OpGet(key.String(), clientv3.WithKeysOnly()),
		explain: func(r *clientv3.GetResponse) error {
			if len(r.Kvs) == 1 && r.Kvs[0].Lease == int64(lease) {
				return nil
			}
			return fmt.Errorf("%s: %w", key.Short(), store.ErrConflict)
		},
	}
}
