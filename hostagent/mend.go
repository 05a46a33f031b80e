package hostagent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// stepTimeout bounds one step of mending, so that a hung switch blocks no other step for good.
const stepTimeout = 30 * time.Second

// mend makes the host what it should be, at start, when woken, and every mendInterval.
// Failed steps come again sooner.
func (a *Agent) mend(ctx context.Context) error {
	pauses := newPauses()
	for {
		wait := mendInterval
		if a.mendOnce(ctx) {
			pauses.Reset()
		} else {
			wait = pauses.NextBackOff()
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-a.nudge:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// mendOnce runs each step whatever the others did, and tells whether all succeeded.
func (a *Agent) mendOnce(ctx context.Context) bool {
	bridge := a.step(ctx, "bridge", a.ensureBridge)
	kernel := a.step(ctx, "kernel", a.ensureKernel)
	if bridge && kernel {
		a.markUp()
	}
	return a.step(ctx, "ports", a.mendPorts) && bridge && kernel
}

func (a *Agent) step(ctx context.Context, what string, do func(context.Context) error) bool {
	bounded, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	err := do(bounded)
	if ctx.Err() != nil {
		return false
	}
	a.report(what, err)
	return err == nil
}

// markUp lets the host register, from the first success on.
func (a *Agent) markUp() {
	select {
	case <-a.up:
	default:
		close(a.up)
	}
}

// inventory is what a host has of its ports, in all three places.
type inventory struct {
	links map[string]bool // interfaces of the kernel, by name
	rows  map[string]ovsdb.InterfaceStatus
	held  map[string]bool // uids that an attach or detach works on
	ports map[string]store.Event
}

// mendPorts removes what no port of this host accounts for, undoes attaches that did not
// finish, and gives the switch back the interfaces that it lost. While the host is not
// registered nobody knows which ports it should have: nothing is touched then.
func (a *Agent) mendPorts(ctx context.Context) error {
	r := a.registered()
	if r == nil {
		return nil
	}
	if err := a.undoAbandoned(ctx, r.Created); err != nil {
		return err
	}
	inv, err := a.takeInventory(ctx, r.Created)
	if err != nil {
		return err
	}
	if err := errors.Join(a.removeLeftovers(ctx, inv), a.replug(ctx, inv)); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ports = len(inv.ports)
	a.clean = a.registration == r
	return nil
}

// isClean tells whether leftovers were removed since the host registered.
func (a *Agent) isClean() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.clean
}

func (a *Agent) undoAbandoned(ctx context.Context, created store.Revision) error {
	intents, err := a.journal.abandoned()
	if err != nil {
		return err
	}
	for _, i := range intents {
		if err := a.undo(ctx, i, created); err != nil {
			return fmt.Errorf("undo the attach of %s/%s/%s: %w", i.Tenant, i.Network, i.Name, err)
		}
		a.log.Info("undid an unfinished attach", "tenant", i.Tenant, "network", i.Network, "port", i.Name)
		if err := a.journal.done(i.UID); err != nil {
			return err
		}
	}
	return nil
}

// takeInventory looks at the kernel and the switch first, then at who works, then at etcd:
// an attach that began before the look and is not under way any more has its port in etcd,
// unless it failed. Ports older than our registration belong to a host that was deleted.
func (a *Agent) takeInventory(ctx context.Context, created store.Revision) (inventory, error) {
	inv := inventory{rows: make(map[string]ovsdb.InterfaceStatus), ports: make(map[string]store.Event)}
	var err error
	if inv.links, err = portLinks(); err != nil {
		return inv, err
	}
	rows, err := a.db.Ports(ctx, store.BridgeName)
	if err != nil {
		return inv, fmt.Errorf("list ports of %s: %w", store.BridgeName, err)
	}
	for _, row := range rows {
		if row.ExternalIDs[idUID] != "" {
			inv.rows[row.Name] = row
		}
	}
	inv.held = a.journal.held()
	ports, _, err := a.o.Store.List(ctx, store.KindPort, a.o.Host)
	if err != nil {
		return inv, fmt.Errorf("list ports of host %s: %w", a.o.Host, err)
	}
	for _, e := range ports {
		if e.Created >= created {
			inv.ports[e.Object.(*store.Port).Interface] = e
		}
	}
	return inv, nil
}

// removeLeftovers removes interfaces that belong to no port.
func (a *Agent) removeLeftovers(ctx context.Context, inv inventory) error {
	var errs []error
	for name := range inv.links {
		if inv.stray(name) {
			errs = append(errs, a.removeStray(ctx, name))
		}
	}
	for name := range inv.rows {
		if !inv.links[name] && inv.stray(name) {
			errs = append(errs, a.removeStray(ctx, name))
		}
	}
	return errors.Join(errs...)
}

func (inv inventory) stray(iface string) bool {
	_, wanted := inv.ports[iface]
	return !wanted && !inv.held[strings.TrimPrefix(iface, interfacePrefix)]
}

func (a *Agent) removeStray(ctx context.Context, iface string) error {
	if err := a.unplug(ctx, iface); err != nil {
		return fmt.Errorf("remove %s, which belongs to no port: %w", iface, err)
	}
	a.log.Warn("removed an interface that belonged to no port", "interface", iface)
	return nil
}

// replug gives the switch the interfaces that it should have and lacks. A port whose
// interface vanished with its namespace stays a port: only its runtime knows better.
func (a *Agent) replug(ctx context.Context, inv inventory) error {
	var errs []error
	for name, e := range inv.ports {
		p := e.Object.(*store.Port)
		row, plugged := inv.rows[name]
		switch {
		case inv.held[p.UID]:
		case !inv.links[name]:
			a.reportLost(name, e.Key)
		case !plugged || row.OFPort <= 0:
			if err := a.plugIn(ctx, e.Key, p); err != nil {
				errs = append(errs, err)
				continue
			}
			a.log.Warn("gave an interface back to the switch", "interface", name, "port", e.Key.Name)
		}
	}
	return errors.Join(errs...)
}

// reportLost tells once that a port's interface is gone.
func (a *Agent) reportLost(iface string, key store.Key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lost[iface] {
		return
	}
	a.lost[iface] = true
	a.log.Warn("a port's interface is gone, with its container's namespace: detach the port",
		"interface", iface, "tenant", key.Tenant, "network", key.Network, "port", key.Name)
}
