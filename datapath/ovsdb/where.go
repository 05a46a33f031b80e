package ovsdb

import (
	"context"
	"fmt"
)

// Where finds the bridge that an interface is in, and what is asked of it there; empty: it is in none.
func (d *DB) Where(ctx context.Context, name string) (bridge string, i Interface, err error) {
	err = d.read(ctx, func(t *tx) error {
		bridge, i = "", Interface{}
		row := &interfaceRow{Name: name}
		found, err := t.get(row)
		if err != nil || !found {
			return err
		}
		i = row.asked()
		_, bridge, err = t.owner(row)
		return err
	})
	if err != nil {
		return "", Interface{}, fmt.Errorf("find interface %s: %w", name, err)
	}
	return bridge, i, nil
}
