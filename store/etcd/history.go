package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// At reads what flows were compiled from as it was at a revision, from etcd's history. What cannot be read counts as
// absent, as for Watch. It fails with store.ErrNoHistory where etcd has compacted that revision away or has not
// reached it, and says from where on its history goes.
func (c *Client) At(ctx context.Context, rev store.Revision) (store.Batch, error) {
	if rev <= 0 {
		return store.Batch{}, fmt.Errorf("revision %d: %w: revisions begin at 1", rev, store.ErrInvalid)
	}
	batch := store.Batch{Revision: rev}
	l := listing{revision: rev}
	for _, kind := range store.Factual() {
		l.under = append(l.under, store.Under(kind))
	}
	_, err := c.list(ctx, l, func(kv *mvccpb.KeyValue) error {
		if e, err := eventOf(kv); err == nil {
			batch.Events = append(batch.Events, e)
		}
		return nil
	})
	if err != nil {
		return store.Batch{}, c.noHistory(ctx, rev, err)
	}
	return batch, nil
}

// noHistory says of a revision that cannot be read how far history goes.
func (c *Client) noHistory(ctx context.Context, rev store.Revision, err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrFutureRev):
		now := "an older one"
		if _, at, err := c.read(ctx, clientv3.OpGet(store.SchemaKey().String(), clientv3.WithKeysOnly())); err == nil {
			now = fmt.Sprint("revision ", at)
		}
		return fmt.Errorf("revision %d: %w: etcd is at %s", rev, store.ErrNoHistory, now)
	case errors.Is(err, rpctypes.ErrCompacted):
		from := "is not known"
		if oldest, err := c.oldest(ctx); err == nil {
			from = fmt.Sprint("goes back to revision ", oldest)
		}
		return fmt.Errorf("revision %d: %w: it was compacted away, and etcd's history %s: the embedded etcd keeps more with sluice controller --keep-history, another one with its --auto-compaction-retention", rev, store.ErrNoHistory, from)
	}
	return fmt.Errorf("read revision %d: %w", rev, err)
}

// oldest is the first revision that etcd still has. Only a watch from one that is gone is told.
func (c *Client) oldest(ctx context.Context) (store.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, open := <-c.etcd.Watch(ctx, store.SchemaKey().String(), clientv3.WithRev(1))
	switch {
	case r.CompactRevision > 0:
		return store.Revision(r.CompactRevision), nil
	case !open:
		return 0, c.failed(ctx.Err())
	case r.Err() != nil:
		return 0, c.failed(r.Err())
	}
	return 1, nil // it tells of revision 1: nothing was compacted
}
