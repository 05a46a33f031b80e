package ovsdb

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/ovn-kubernetes/libovsdb/client"
)

// Port is a port as the database holds it.
type Port struct {
	Interface
	Open bool // the switch uses it: it has an OpenFlow port
	Dead bool // its BFD does not find the other end alive
}

// Is reports whether EnsurePort has nothing to do to make this port what want asks for. A nil
// port is none.
func (p *Port) Is(want Interface) bool { return p != nil && p.Open && p.Equal(want) }

// Port reads a port of a bridge. It is nil where the bridge has none of that name, or there is
// no such bridge.
func (d *DB) Port(ctx context.Context, bridge, name string) (*Port, error) {
	var p *Port
	err := d.read(ctx, func(t *tx) (err error) {
		p, err = t.port(bridge, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bridge %s: read port %s: %w", bridge, name, err)
	}
	return p, nil
}

// BridgeState is a bridge as the database holds it.
type BridgeState struct {
	Bridge
	open      bool     // the switch has its local port
	untuned   bool     // a controller is connected in another way than EnsureBridge says
	connected []string // the controllers' targets that answer
}

// Is reports whether EnsureBridge has nothing to do to make this bridge what want asks for. A
// nil bridge is none.
func (b *BridgeState) Is(want Bridge) bool {
	if b == nil || !b.open {
		return false
	}
	want = want.withDefaults()
	for k, v := range want.OtherConfig {
		if have, ok := b.OtherConfig[k]; !ok || have != v {
			return false
		}
	}
	return b.controlledBy(want.Controllers) && b.DatapathType == want.DatapathType && b.FailMode == want.FailMode &&
		sameSet(b.Protocols, want.Protocols)
}

// IsOf reports whether the bridge was made with an OpenFlow id of 16 hexadecimal digits.
func (b *BridgeState) IsOf(datapathID string) bool { return b.OtherConfig[datapathIDKey] == datapathID }

// controlledBy reports whether the switch dials these targets, and no others but those that wait
// to be dropped.
func (b *BridgeState) controlledBy(targets []string) bool {
	among := func(list []string) func(string) bool {
		return func(target string) bool { return slices.Contains(list, target) }
	}
	switch {
	case len(targets) == 0:
		return true
	case b.untuned:
		return false
	case slices.ContainsFunc(targets, among(b.connected)):
		return sameSet(b.Controllers, targets)
	}
	return !slices.ContainsFunc(targets, func(target string) bool { return !among(b.Controllers)(target) })
}

// Bridge reads a bridge; nil where there is none of that name.
func (d *DB) Bridge(ctx context.Context, name string) (*BridgeState, error) {
	var b *BridgeState
	err := d.read(ctx, func(t *tx) (err error) {
		b, err = t.bridgeState(name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bridge %s: read: %w", name, err)
	}
	return b, nil
}

// TableNames reads the names of a bridge's OpenFlow tables, by table id.
func (d *DB) TableNames(ctx context.Context, bridge string) (map[int]string, error) {
	var names map[int]string
	err := d.read(ctx, func(t *tx) error {
		b, err := t.bridge(bridge)
		if err != nil {
			return err
		}
		names, err = t.tableNames(b)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bridge %s: read names of tables: %w", bridge, err)
	}
	return names, nil
}

// read calls look with the rows as they are; again where an update tore them.
func (d *DB) read(ctx context.Context, look func(*tx) error) error {
	return d.await(ctx, func(c client.Client) (bool, error) { return true, look(&tx{Client: c, ctx: ctx}) })
}

func (t *tx) port(bridge, name string) (*Port, error) {
	b, port, row := &bridgeRow{Name: bridge}, &portRow{Name: name}, &interfaceRow{Name: name}
	if found, err := t.get(b); err != nil || !found {
		return nil, err
	}
	if found, err := t.get(port); err != nil || !found || !slices.Contains(b.Ports, port.UUID) {
		return nil, err
	}
	if found, err := t.get(row); err != nil || !found || !slices.Contains(port.Interfaces, row.UUID) {
		return nil, err
	}
	return &Port{Interface: row.asked(), Open: row.status().OFPort > 0, Dead: row.BFDStatus["forwarding"] == "false"}, nil
}

func (t *tx) bridgeState(name string) (*BridgeState, error) {
	row := &bridgeRow{Name: name}
	if found, err := t.get(row); err != nil || !found {
		return nil, err
	}
	local, err := t.port(name, name)
	if err != nil {
		return nil, err
	}
	b := &BridgeState{open: local != nil && local.Open}
	b.Bridge = Bridge{
		Name: name, DatapathType: row.DatapathType, DatapathID: row.OtherConfig[datapathIDKey],
		FailMode: deref(row.FailMode), Protocols: row.Protocols, OtherConfig: maps.Clone(row.OtherConfig),
	}
	for _, uuid := range row.Controllers {
		c := &controllerRow{UUID: uuid}
		if err := t.refer(c); err != nil {
			return nil, err
		}
		b.Controllers = append(b.Controllers, c.Target)
		b.untuned = b.untuned || !c.tuned()
		if c.IsConnected {
			b.connected = append(b.connected, c.Target)
		}
	}
	return b, nil
}

// asked is what a row asks the switch for.
func (r *interfaceRow) asked() Interface {
	return Interface{
		Name: r.Name, Type: r.Type, Options: r.Options, ExternalIDs: r.ExternalIDs, BFD: r.BFD,
		MAC: deref(r.MAC), MTU: deref(r.MTURequest), OFPort: uint32(deref(r.OFPortRequest)),
	}
}

// deref is what p points to, or the zero value.
func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
