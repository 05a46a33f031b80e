package ovsdb

import (
	"context"
	"errors"
	"fmt"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// tx collects the operations of one transaction, planned from the rows as they are.
type tx struct {
	client.Client
	ctx context.Context
	ops []ovsdb.Operation
}

func (t *tx) add(ops []ovsdb.Operation, err error) error {
	t.ops = append(t.ops, ops...)
	return err
}

func (t *tx) create(rows ...model.Model) error {
	for _, row := range rows { // Create itself takes rows of one table only
		if err := t.add(t.Create(row)); err != nil {
			return err
		}
	}
	return nil
}

// get reads the row whose index (its UUID or name) is set, and reports whether there is one.
func (t *tx) get(row model.Model) (bool, error) {
	err := t.Get(t.ctx, row)
	if errors.Is(err, client.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (t *tx) root() (*rootRow, error) {
	var rows []rootRow
	if err := t.List(t.ctx, &rows); err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, fmt.Errorf("the database has %d Open_vSwitch rows, want 1: run ovs-vsctl init", len(rows))
	}
	return &rows[0], nil
}

// bridge reads a bridge that must be there.
func (t *tx) bridge(name string) (*bridgeRow, error) {
	b := &bridgeRow{Name: name}
	found, err := t.get(b)
	if err == nil && !found {
		err = fmt.Errorf("bridge %s does not exist", name)
	}
	return b, err
}

// change commits what plan asks for in one transaction, and waits until ovs-vswitchd has
// taken it over. Plan is called again when the connection broke or another writer was
// faster. It reports false when there was nothing to do.
func (d *DB) change(ctx context.Context, plan func(*tx) error) (changed bool, err error) {
	var want int
	attempt := func(c client.Client) (bool, error) {
		t := &tx{Client: c, ctx: ctx}
		if err := plan(t); err != nil || len(t.ops) == 0 {
			return true, err
		}
		n, err := t.commit()
		if retriable(err) {
			return false, nil
		}
		changed, want = err == nil, n
		return true, err
	}
	if err := d.await(ctx, attempt); err != nil || !changed {
		return false, err
	}
	return true, d.awaitConfig(ctx, want)
}

// errTorn says that rows were read in the middle of an update: one refers to another that is
// not there yet. The update's end wakes those who await it.
var errTorn = errors.New("rows do not fit together")

// retriable: the connection broke, so that nobody knows whether it was committed, or
// another writer made the same row first. Both are settled by planning from fresh rows.
func retriable(err error) bool {
	var taken *ovsdb.ConstraintViolation
	return errors.Is(err, client.ErrNotConnected) || errors.As(err, &taken) && taken.Operation() == nil
}

// refer reads a row that another row refers to.
func (t *tx) refer(row model.Model) error {
	found, err := t.get(row)
	if err == nil && !found {
		err = errTorn
	}
	return err
}

// commit counts next_cfg up in the same transaction, as ovs-vsctl does, and returns it.
func (t *tx) commit() (int, error) {
	root, err := t.root()
	if err != nil {
		return 0, err
	}
	at := t.Where(root)
	err = t.add(at.Mutate(root, model.Mutation{Field: &root.NextCfg, Mutator: ovsdb.MutateOperationAdd, Value: 1}))
	if err != nil {
		return 0, err
	}
	t.ops = append(t.ops, ovsdb.Operation{
		Op: ovsdb.OperationSelect, Table: "Open_vSwitch", Columns: []string{"next_cfg"},
		Where: []ovsdb.Condition{},
	})
	results, err := t.Transact(t.ctx, t.ops...)
	if err != nil {
		return 0, err
	}
	if failed, err := ovsdb.CheckOperationResults(results, t.ops); err != nil {
		if len(failed) > 0 {
			err = failed[0]
		}
		return 0, err
	}
	return nextConfig(results[len(t.ops)-1])
}

func nextConfig(r ovsdb.OperationResult) (int, error) {
	if len(r.Rows) == 1 {
		switch n := r.Rows[0]["next_cfg"].(type) {
		case float64:
			return int(n), nil
		case int:
			return n, nil
		}
	}
	return 0, fmt.Errorf("the database answered %v for next_cfg", r.Rows)
}

// awaitConfig waits until ovs-vswitchd has taken over configuration n.
func (d *DB) awaitConfig(ctx context.Context, n int) error {
	err := d.await(ctx, func(c client.Client) (bool, error) {
		root, err := (&tx{Client: c, ctx: ctx}).root()
		return err == nil && root.CurCfg >= n, err
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("ovs-vswitchd has not taken the change over: %w", err)
	}
	return err
}
