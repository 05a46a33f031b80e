package etcd

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// Foresee sets the values that a proposal's draws would have if it were written now, and writes nothing. drawn are
// values that others of a plan are to have, by their keys; those that are foreseen join them. What it finds may be taken by
// somebody else before it is written.
func (c *Client) Foresee(ctx context.Context, p store.Proposal, drawn map[string]bool) (values []string, err error) {
	for _, d := range p.Draws {
		a := c.newAllocation(d)
		if err := c.foresee(ctx, a, drawn); err != nil {
			return nil, fmt.Errorf("foresee a value of %s: %w", d.Owner.Short(), err)
		}
		a.Set(a.value)
		drawn[a.key()] = true
		values = append(values, a.value)
	}
	return values, nil
}

// foresee moves a draw on to a candidate that is to be had.
func (c *Client) foresee(ctx context.Context, a *allocation, drawn map[string]bool) error {
	for {
		got, _, err := c.read(ctx, clientv3.OpGet(a.key()))
		if err != nil {
			return err
		}
		kvs := got[0].Kvs
		if !drawn[a.key()] && (len(kvs) == 0 || a.ofOwner(kvs) != 0) {
			return nil
		}
		if len(kvs) > 0 {
			if err := a.missed(kvs[0]); err != nil {
				return err
			}
		} else if a.Value != "" {
			return a.Taken("another object of the same plan")
		}
		if err := a.next(ctx, c, drawn); err != nil {
			return err
		}
	}
}
