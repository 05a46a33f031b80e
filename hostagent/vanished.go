package hostagent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/store"
)

// finishLeaving goes on with detaches that did not end: the agent was killed, or etcd did not take them.
// One that began after the look at who works is none of them.
func (p *ports) finishLeaving(ctx context.Context, should assigned, is inventory) error {
	var errs []error
	for _, e := range should.leaving {
		port := e.Object.(*store.Port)
		if is.held[port.UID] || !is.recorded[port.Interface].Leaving {
			continue
		}
		if err := p.remove(ctx, e, should.registration.Created); err != nil {
			errs = append(errs, err)
			continue
		}
		p.log.Info("finished a detach", "tenant", e.Key.Tenant, "network", e.Key.Network, "port", e.Key.Name)
	}
	return errors.Join(errs...)
}

// clearGone removes the ports whose interface has been gone, with its container's namespace, for the
// quarantine, all that time in a store known to be right. Who comes back earlier under its name replaces it.
func (p *ports) clearGone(ctx context.Context, gone []store.Event, should assigned) error {
	right, known := p.store.Trusted()
	if !known {
		right = time.Now()
	}
	names := make([]string, 0, len(gone))
	for _, e := range gone {
		names = append(names, e.Object.(*store.Port).Interface)
	}
	lasted := p.vanished.note(names, right, time.Now())
	p.tellGone(gone)
	var errs []error
	for _, e := range gone {
		if lasted[e.Object.(*store.Port).Interface] < p.quarantine {
			continue
		}
		if err := p.remove(ctx, e, should.registration.Created); err != nil {
			errs = append(errs, err)
			continue
		}
		p.log.Warn("removed a port whose container vanished", "after", p.quarantine,
			"tenant", e.Key.Tenant, "network", e.Key.Network, "port", e.Key.Name)
	}
	return errors.Join(errs...)
}

// remove deletes a port of this host from etcd, and what is left of it here.
func (p *ports) remove(ctx context.Context, e store.Event, created store.Revision) error {
	port := e.Object.(*store.Port)
	defer p.journal.hold(port.UID)()
	if err := p.records.leaving(port.Interface); err != nil {
		return err
	}
	_, err := p.store.DeletePortOf(ctx, e.Key, port.UID, created)
	if err == nil || errors.Is(err, store.ErrNotFound) {
		err = p.unplug(ctx, port.Interface)
	}
	if err != nil {
		return fmt.Errorf("remove port %s/%s: %w", e.Key.NetworkName(), e.Key.Name, err)
	}
	return nil
}

// removeDead removes the port of a key if nobody on this host can use it any more: its interface is gone, or
// somebody asked for it to go, and nothing works on it. It reports whether the name is free now.
func (p *ports) removeDead(ctx context.Context, key store.Key, created store.Revision) bool {
	o, _, err := p.store.Get(ctx, key)
	port, readable := o.(*store.Port)
	links, err2 := portLinks()
	if err != nil || err2 != nil || !readable || p.journal.held()[port.UID] {
		return false
	}
	if one := p.records.known()[port.Interface]; links[port.Interface] && !(one.Port.UID == port.UID && one.Leaving) {
		return false
	}
	if err := p.remove(ctx, store.Event{Key: key, Object: port}, created); err != nil {
		p.log.Warn("cannot remove the port of a container that vanished", "port", key.Name, "err", err)
		return false
	}
	p.log.Info("a container took the place of one that vanished", "tenant", key.Tenant, "network", key.Network, "port", key.Name)
	return true
}

// tellGone says once of each that its interface is gone.
func (p *ports) tellGone(gone []store.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	there := map[string]bool{}
	for _, e := range gone {
		iface := e.Object.(*store.Port).Interface
		if there[iface] = true; p.gone[iface] {
			continue
		}
		p.log.Warn("a port's interface is gone, with its container's namespace: the port is removed after a while",
			"after", p.quarantine, "interface", iface, "tenant", e.Key.Tenant, "network", e.Key.Network, "port", e.Key.Name)
	}
	p.gone = there
}
