package ovsdb

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// Bridge is what EnsureBridge makes true.
type Bridge struct {
	Name         string
	DatapathType string // "netdev" for the userspace datapath; empty: the kernel's
	DatapathID   string // 16 hexadecimal digits
	FailMode     string // empty: "secure"
	// Controllers are targets such as tcp:192.0.2.1:6653. None leaves those that the bridge
	// has: to delete the last one flushes all flows. Others than these are dropped once one
	// of these is connected, so that a switch is never left without its controller.
	Controllers []string
	Protocols   []string          // empty: OpenFlow13 alone
	OtherConfig map[string]string // these keys are set; others are left
}

// EnsureBridge creates or corrects a bridge, with its local port, and returns when
// ovs-vswitchd has it. Controllers that are right are not touched; all of them are out of
// band, since in-band control adds hidden flows. changed reports whether anything was written.
func (d *DB) EnsureBridge(ctx context.Context, b Bridge) (changed bool, err error) {
	changed, err = d.change(ctx, func(t *tx) error { return t.planBridge(b.withDefaults()) })
	if err != nil {
		return changed, fmt.Errorf("bridge %s: %w", b.Name, err)
	}
	return changed, d.checkPorts(ctx, b.Name, []string{b.Name})
}

// datapathIDKey is the key of other_config that sets a bridge's OpenFlow id.
const datapathIDKey = "datapath-id"

func (b Bridge) withDefaults() Bridge {
	if b.FailMode == "" {
		b.FailMode = "secure"
	}
	if len(b.Protocols) == 0 {
		b.Protocols = []string{"OpenFlow13"}
	}
	other := map[string]string{"disable-in-band": "true"}
	if b.DatapathID != "" {
		other[datapathIDKey] = b.DatapathID
	}
	maps.Copy(other, b.OtherConfig)
	b.OtherConfig = other
	return b
}

func (t *tx) planBridge(b Bridge) error {
	row := &bridgeRow{Name: b.Name}
	found, err := t.get(row)
	switch {
	case err != nil:
		return err
	case found:
		return t.correctBridge(row, b)
	default:
		return t.createBridge(b)
	}
}

func (t *tx) createBridge(b Bridge) error {
	root, err := t.root()
	if err != nil {
		return err
	}
	row := &bridgeRow{
		UUID: "bridge", Name: b.Name, DatapathType: b.DatapathType, FailMode: &b.FailMode,
		Protocols: b.Protocols, OtherConfig: b.OtherConfig, Ports: []string{"local_port"},
	}
	for n, target := range b.Controllers {
		c := newController(fmt.Sprintf("controller%d", n), target)
		row.Controllers = append(row.Controllers, c.UUID)
		if err := t.create(c); err != nil {
			return err
		}
	}
	local := &interfaceRow{UUID: "local_interface", Name: b.Name, Type: "internal"}
	port := &portRow{UUID: "local_port", Name: b.Name, Interfaces: []string{local.UUID}}
	if err := t.create(local, port, row); err != nil {
		return err
	}
	return t.add(t.Where(root).Mutate(root, insert(&root.Bridges, []string{row.UUID})))
}

func (t *tx) correctBridge(row *bridgeRow, b Bridge) error {
	if err := t.correctController(row, b.Controllers); err != nil {
		return err
	}
	if err := t.correctOtherConfig(row, b.OtherConfig); err != nil {
		return err
	}
	want := *row
	var fields []any
	if b.DatapathType != row.DatapathType {
		want.DatapathType = b.DatapathType
		fields = append(fields, &want.DatapathType)
	}
	if row.FailMode == nil || *row.FailMode != b.FailMode {
		want.FailMode = &b.FailMode
		fields = append(fields, &want.FailMode)
	}
	if !sameSet(row.Protocols, b.Protocols) {
		want.Protocols = b.Protocols
		fields = append(fields, &want.Protocols)
	}
	if fields == nil {
		return nil
	}
	return t.add(t.Where(row).Update(&want, fields...))
}

// correctOtherConfig mutates single keys: other programs keep theirs in the same column.
func (t *tx) correctOtherConfig(row *bridgeRow, want map[string]string) error {
	wrong := map[string]string{}
	var keys []string
	for k, v := range want {
		if have, ok := row.OtherConfig[k]; !ok || have != v {
			wrong[k] = v
			keys = append(keys, k)
		}
	}
	if keys == nil {
		return nil
	}
	return t.add(t.Where(row).Mutate(row, remove(&row.OtherConfig, keys), insert(&row.OtherConfig, wrong)))
}

func insert(field, value any) model.Mutation {
	return model.Mutation{Field: field, Mutator: ovsdb.MutateOperationInsert, Value: value}
}

func remove(field, value any) model.Mutation {
	return model.Mutation{Field: field, Mutator: ovsdb.MutateOperationDelete, Value: value}
}

func equal[T comparable](a, b *T) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
