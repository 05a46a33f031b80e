package hostagent

import (
	"context"
	"errors"
	"strings"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// Keys of the external ids that name a port's interface in OVSDB.
const (
	idIface = "iface-id"     // HOST/TENANT/NETWORK/PORT
	idMAC   = "attached-mac" // as other cloud networks on Open vSwitch write it
	idUID   = "sluice-uid"
)

// plugIn gives a port's interface to the switch.
func (p *ports) plugIn(ctx context.Context, key store.Key, port *store.Port) error {
	return p.db.EnsurePort(ctx, store.BridgeName, portRow(key, port))
}

func portRow(key store.Key, p *store.Port) ovsdb.Interface {
	return ovsdb.Interface{
		Name: p.Interface,
		ExternalIDs: map[string]string{
			idIface: strings.Join([]string{key.Host, key.Tenant, key.Network, key.Name}, "/"),
			idMAC:   p.MAC.String(),
			idUID:   p.UID,
		},
	}
}

// unplug takes an interface from the switch and from the kernel, and its record; no error if it
// is in none of these, or has no name. The record goes last: as long as something is left it says what.
func (p *ports) unplug(ctx context.Context, iface string) error {
	if iface == "" {
		return nil
	}
	fromSwitch := p.db.DeletePort(ctx, store.BridgeName, iface)
	p.reached(stepRowGone)
	fromKernel := deleteLink(iface)
	p.reached(stepLinkGone)
	if err := errors.Join(fromSwitch, fromKernel); err != nil {
		return err
	}
	err := p.records.forget(iface)
	p.reached(stepRecordGone)
	return err
}

// undo removes all that an intent may have made. The port is ours only if it has our uid:
// a port of that name may be somebody else's.
func (p *ports) undo(ctx context.Context, i intent, created store.Revision) error {
	var inStore error
	if !i.Moved {
		inStore = p.deleteOwn(ctx, i, created)
	}
	p.reached(stepUndoKey)
	err := errors.Join(inStore, p.unplug(ctx, i.iface()))
	p.reached(stepUndone)
	return err
}

func (p *ports) deleteOwn(ctx context.Context, i intent, created store.Revision) error {
	_, err := p.store.UndoPort(ctx, i.key(p.host), i.UID, created)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrHostGone) {
		return nil // gone, or another's, or the leader's to clear since the host was deleted
	}
	return err
}
