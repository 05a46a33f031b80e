package ovsdb

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// NameTables gives the bridge's OpenFlow tables these names, by table id, so that
// "ovs-ofctl --names" shows them. Tables that names lacks lose theirs.
func (d *DB) NameTables(ctx context.Context, bridge string, names map[int]string) error {
	_, err := d.change(ctx, func(t *tx) error { return t.planTables(bridge, names) })
	if err != nil {
		return fmt.Errorf("bridge %s: name tables: %w", bridge, err)
	}
	return nil
}

func (t *tx) planTables(bridge string, names map[int]string) error {
	b, err := t.bridge(bridge)
	if err != nil {
		return err
	}
	have, err := t.tableNames(b)
	if err != nil || maps.Equal(have, names) {
		return err
	}
	rows := map[int]string{}
	for _, id := range slices.Sorted(maps.Keys(names)) {
		name := names[id]
		row := &tableRow{UUID: fmt.Sprintf("table%d", id), Name: &name}
		rows[id] = row.UUID
		if err := t.create(row); err != nil {
			return err
		}
	}
	want := *b
	want.FlowTables = rows
	return t.add(t.Where(b).Update(&want, &want.FlowTables))
}

func (t *tx) tableNames(b *bridgeRow) (map[int]string, error) {
	have := map[int]string{}
	for id, uuid := range b.FlowTables {
		row := &tableRow{UUID: uuid}
		if err := t.refer(row); err != nil {
			return nil, err
		}
		if row.Name != nil {
			have[id] = *row.Name
		}
	}
	return have, nil
}
