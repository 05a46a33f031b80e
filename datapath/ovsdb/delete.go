package ovsdb

import (
	"context"
	"fmt"
)

// DeleteBridge removes a bridge with its ports. It is no error when there is no such bridge.
func (d *DB) DeleteBridge(ctx context.Context, name string) error {
	_, err := d.change(ctx, func(t *tx) error {
		row := &bridgeRow{Name: name}
		found, err := t.get(row)
		if err != nil || !found {
			return err
		}
		root, err := t.root()
		if err != nil {
			return err
		}
		return t.add(t.Where(root).Mutate(root, remove(&root.Bridges, []string{row.UUID})))
	})
	if err != nil {
		return fmt.Errorf("delete bridge %s: %w", name, err)
	}
	return nil
}
