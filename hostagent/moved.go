package hostagent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"

	"sluice/hostagent/api"
	"sluice/store"
)

// A port that moves has its key renamed from host to host, by the API. The host that it left knows by
// the owner of its number that it went, and lets go of its interface; the other one attaches its container to it.

// arrived takes a port for an attach that came to this host under its name and was never here.
func (a *Agent) arrived(ctx context.Context, at *attachment) error {
	o, _, err := a.o.Store.Get(ctx, at.key)
	if errors.Is(err, store.ErrUnreadable) {
		return nil // CreatePort says so
	}
	if err != nil {
		return fmt.Errorf("read port %s/%s: %w", at.key.NetworkName(), at.key.Name, err)
	}
	port, there := o.(*store.Port)
	if !there {
		return nil
	}
	links, err := portLinks()
	if err != nil {
		return err
	}
	if !a.arrives(port, links) {
		return nil
	}
	for _, asked := range at.spec.Addresses {
		if !slices.ContainsFunc(port.Addresses, func(has netip.Prefix) bool { return has.Addr() == asked }) {
			return api.NewProblem(http.StatusConflict, "address %s: port %s/%s moved here with %v: ask for none",
				asked, at.key.NetworkName(), at.key.Name, port.Addresses)
		}
	}
	if mac := at.spec.MAC; !mac.IsZero() && mac != port.MAC {
		return api.NewProblem(http.StatusConflict, "MAC %s: port %s/%s moved here with %s: ask for none", mac, at.key.NetworkName(), at.key.Name, port.MAC)
	}
	at.uid, at.spec.UID, at.moved = port.UID, port.UID, true
	return nil
}

// arrives reports whether a port of this host was never here, as one that another host had.
func (a *Agent) arrives(port *store.Port, links map[string]bool) bool {
	_, known := a.records.known()[port.Interface]
	return !known && !links[port.Interface] && !a.journal.held()[port.UID]
}

// moved are the interfaces, of those that belong to no port here, whose port is another host's by now.
func (p *ports) moved(ctx context.Context, strays []string) (list []string, err error) {
	known := p.records.known()
	for _, iface := range strays {
		one, recorded := known[iface]
		if !recorded {
			continue
		}
		o, _, err := p.store.Get(ctx, store.AllocKey("port-numbers", strconv.FormatUint(uint64(one.Port.Number), 10)))
		if err != nil {
			return nil, fmt.Errorf("read whose number %d is: %w", one.Port.Number, err)
		}
		owner, taken := o.(*store.Alloc)
		if !taken || owner.Freed {
			continue
		}
		key, err := store.ParseKey(store.Prefix + owner.Owner)
		if err == nil && key.Host != p.host && key == one.key(key.Host) {
			list = append(list, iface)
		}
	}
	return list, nil
}

// letGo removes the interfaces of ports that moved to another host, and returns the other strays.
func (p *ports) letGo(ctx context.Context, strays []string) ([]string, error) {
	moved, err := p.moved(ctx, strays)
	if err != nil {
		return nil, err
	}
	for _, iface := range moved {
		if err := p.unplug(ctx, iface); err != nil {
			return nil, fmt.Errorf("let go of %s, whose port moved: %w", iface, err)
		}
		p.log.Info("let go of an interface whose port moved to another host", "interface", iface)
	}
	return slices.DeleteFunc(strays, func(iface string) bool { return slices.Contains(moved, iface) }), nil
}
