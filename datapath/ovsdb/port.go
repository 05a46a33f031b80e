package ovsdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ovn-kubernetes/libovsdb/client"
)

// Interface is what EnsurePort makes true: a port with this one interface of its name.
type Interface struct {
	Name        string
	Type        string            // empty: a network device of that name; internal, vxlan, geneve, gre, ...
	Options     map[string]string // exactly these
	ExternalIDs map[string]string // exactly these
	BFD         map[string]string // exactly these: how a tunnel probes whether its other end is alive (RFC 5880)
	MAC         string            // of an internal interface; empty: any
	MTU         int               // bytes, of an internal interface; 0: any
	OFPort      uint32            // OpenFlow port to ask for; 0: any
}

// Equal reports whether both ask for the same.
func (i Interface) Equal(other Interface) bool {
	return i.Name == other.Name && i.Type == other.Type && i.MAC == other.MAC && i.MTU == other.MTU &&
		i.OFPort == other.OFPort && maps.Equal(i.Options, other.Options) && maps.Equal(i.ExternalIDs, other.ExternalIDs) &&
		maps.Equal(i.BFD, other.BFD)
}

// InterfaceStatus is an interface as the switch reports it.
type InterfaceStatus struct {
	Name        string
	OFPort      int    // 0: none assigned yet; -1: refused, see Error
	Error       string // why the switch could not open it
	ExternalIDs map[string]string
}

// EnsurePort creates or corrects ports, all in one transaction, and returns when each has
// its OpenFlow port. The error names every interface that the switch could not open; the
// rows are left then, for the caller to delete.
func (d *DB) EnsurePort(ctx context.Context, bridge string, interfaces ...Interface) error {
	if len(interfaces) == 0 {
		return nil
	}
	_, err := d.change(ctx, func(t *tx) error { return t.planPorts(bridge, interfaces) })
	if err != nil {
		return fmt.Errorf("bridge %s: port %s: %w", bridge, sample(interfaces), err)
	}
	var all []string
	for _, i := range interfaces {
		all = append(all, i.Name)
	}
	return d.checkPorts(ctx, bridge, all)
}

// checkPorts names every interface that the switch could not open.
func (d *DB) checkPorts(ctx context.Context, bridge string, names []string) error {
	return d.await(ctx, func(c client.Client) (bool, error) {
		t := &tx{Client: c, ctx: ctx}
		var errs []error
		for _, name := range names {
			row := &interfaceRow{Name: name}
			found, err := t.get(row)
			errs = append(errs, portError(bridge, row, found, err))
		}
		return true, errors.Join(errs...)
	})
}

func portError(bridge string, row *interfaceRow, found bool, err error) error {
	switch status := row.status(); {
	case err != nil:
		return fmt.Errorf("bridge %s: port %s: %w", bridge, row.Name, err)
	case !found:
		return fmt.Errorf("bridge %s: port %s was deleted meanwhile", bridge, row.Name)
	case status.OFPort <= 0:
		why := cmp.Or(status.Error, "no OpenFlow port assigned")
		return fmt.Errorf("bridge %s: port %s: the switch cannot use the interface: %s", bridge, row.Name, why)
	}
	return nil
}

func (t *tx) planPorts(bridge string, interfaces []Interface) error {
	b, err := t.bridge(bridge)
	if err != nil {
		return err
	}
	var added []string
	for n, i := range interfaces {
		row := &interfaceRow{Name: i.Name}
		found, err := t.get(row)
		switch {
		case err != nil:
			return err
		case found:
			err = t.correctPort(bridge, row, i)
		default:
			uuid := fmt.Sprintf("port%d", n)
			added = append(added, uuid)
			err = t.createPort(uuid, i)
		}
		if err != nil {
			return err
		}
	}
	if added == nil {
		return nil
	}
	return t.add(t.Where(b).Mutate(b, insert(&b.Ports, added)))
}

func (t *tx) createPort(uuid string, i Interface) error {
	row := i.row()
	row.UUID = uuid + "_interface"
	port := &portRow{UUID: uuid, Name: i.Name, Interfaces: []string{row.UUID}}
	return t.create(row, port)
}

// correctPort also touches a right row whose interface the switch could not open: that
// makes it try again, for instance since the device is there now.
func (t *tx) correctPort(bridge string, row *interfaceRow, i Interface) error {
	port, owner, err := t.owner(row)
	if err != nil {
		return err
	}
	if port != i.Name || owner != bridge {
		return fmt.Errorf("interface %s belongs to port %s of bridge %s", i.Name, port, owner)
	}
	if row.asked().Equal(i) && row.status().OFPort > 0 {
		return nil
	}
	want := i.row()
	return t.add(t.Where(row).Update(want, &want.Type, &want.Options, &want.ExternalIDs, &want.BFD,
		&want.MAC, &want.MTURequest, &want.OFPortRequest))
}

// owner names the port and the bridge that an interface belongs to.
func (t *tx) owner(i *interfaceRow) (port, bridge string, err error) {
	var ports []portRow
	has := func(p *portRow) bool { return slices.Contains(p.Interfaces, i.UUID) }
	if err := t.WhereCache(has).List(t.ctx, &ports); err != nil {
		return "", "", err
	}
	for _, p := range ports {
		var bridges []bridgeRow
		has := func(b *bridgeRow) bool { return slices.Contains(b.Ports, p.UUID) }
		if err := t.WhereCache(has).List(t.ctx, &bridges); err != nil {
			return "", "", err
		}
		for _, b := range bridges {
			return p.Name, b.Name, nil
		}
	}
	return "", "", errTorn // the database keeps no interface that nothing refers to
}

func (i Interface) row() *interfaceRow {
	row := &interfaceRow{Name: i.Name, Type: i.Type, Options: i.Options, ExternalIDs: i.ExternalIDs, BFD: i.BFD}
	if i.MAC != "" {
		row.MAC = &i.MAC
	}
	if i.MTU != 0 {
		row.MTURequest = &i.MTU
	}
	if i.OFPort != 0 {
		n := int(i.OFPort)
		row.OFPortRequest = &n
	}
	return row
}

// DeletePort removes a port and its interface from a bridge. It is no error when the bridge
// has no such port.
func (d *DB) DeletePort(ctx context.Context, bridge, name string) error {
	failed := d.edits.deleting(name)
	changed, err := d.change(ctx, func(t *tx) error {
		b, err := t.bridge(bridge)
		if err != nil {
			return err
		}
		port := &portRow{Name: name}
		found, err := t.get(port)
		if err != nil || !found || !slices.Contains(b.Ports, port.UUID) {
			return err
		}
		return t.add(t.Where(b).Mutate(b, remove(&b.Ports, []string{port.UUID})))
	})
	if !changed {
		failed()
	}
	if err != nil {
		return fmt.Errorf("bridge %s: delete port %s: %w", bridge, name, err)
	}
	return nil
}

// Ports lists a bridge's interfaces, the local one too, sorted by name.
func (d *DB) Ports(ctx context.Context, bridge string) ([]InterfaceStatus, error) {
	var list []InterfaceStatus
	err := d.await(ctx, func(c client.Client) (bool, error) {
		var err error
		list, err = (&tx{Client: c, ctx: ctx}).interfaces(bridge)
		return true, err
	})
	if err != nil {
		return nil, fmt.Errorf("ports of bridge %s: %w", bridge, err)
	}
	slices.SortFunc(list, func(a, b InterfaceStatus) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

func (t *tx) interfaces(bridge string) ([]InterfaceStatus, error) {
	b, err := t.bridge(bridge)
	if err != nil {
		return nil, err
	}
	var list []InterfaceStatus
	for _, uuid := range b.Ports {
		port := &portRow{UUID: uuid}
		if err := t.refer(port); err != nil {
			return nil, err
		}
		for _, uuid := range port.Interfaces {
			row := &interfaceRow{UUID: uuid}
			if err := t.refer(row); err != nil {
				return nil, err
			}
			list = append(list, row.status())
		}
	}
	return list, nil
}

func (r *interfaceRow) status() InterfaceStatus {
	s := InterfaceStatus{Name: r.Name, ExternalIDs: r.ExternalIDs}
	if r.OFPort != nil {
		s.OFPort = *r.OFPort
	}
	if r.Error != nil {
		s.Error = *r.Error
	}
	return s
}

func sample(interfaces []Interface) string {
	if len(interfaces) == 1 {
		return interfaces[0].Name
	}
	return fmt.Sprintf("%s and %d more", interfaces[0].Name, len(interfaces)-1)
}
