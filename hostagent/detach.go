package hostagent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"sluice/hostagent/api"
	"sluice/store"
)

// Detach removes a port: first from etcd, so that its flows go, then from the switch and
// the kernel. A port that does not exist is a problem with status 404.
func (a *Agent) Detach(ctx context.Context, r api.DetachRequest) error {
	key, p, _, err := a.port(ctx, r)
	if err != nil {
		return err
	}
	registration := a.registration.current()
	if registration == nil {
		return a.notReady()
	}
	defer a.journal.hold(p.UID)()
	name := key.NetworkName().String() + "/" + key.Name
	if _, err := a.o.Store.DeletePort(ctx, key, registration.Created); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("detach %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if err := a.ports.unplug(ctx, p.Interface); err != nil {
		a.mender.wake()
		return fmt.Errorf("detach %s: the port is gone, its interface will be removed later: %w", name, err)
	}
	a.log.Info("detached", "tenant", key.Tenant, "network", key.Network, "port", key.Name)
	return nil
}

// Get is one port of this host.
func (a *Agent) Get(ctx context.Context, r api.DetachRequest) (api.Attachment, error) {
	key, p, created, err := a.port(ctx, r)
	if err != nil {
		return api.Attachment{}, err
	}
	networks := make(networkCache)
	return a.attachmentOf(key, created, p, networks.get(ctx, a.o.Store, key.NetworkName())), nil
}

// List is every port of this host that the store knows.
func (a *Agent) List(ctx context.Context) ([]api.Attachment, error) {
	ports, _, err := a.o.Store.List(ctx, store.KindPort, a.o.Host)
	if err != nil {
		return nil, fmt.Errorf("list ports of host %s: %w", a.o.Host, err)
	}
	networks := make(networkCache)
	all := make([]api.Attachment, 0, len(ports))
	for _, e := range ports {
		n := networks.get(ctx, a.o.Store, e.Key.NetworkName())
		all = append(all, a.attachmentOf(e.Key, e.Created, e.Object.(*store.Port), n))
	}
	return all, nil
}

// port reads one port of this host, and the revision that created it.
func (a *Agent) port(ctx context.Context, r api.DetachRequest) (store.Key, *store.Port, store.Revision, error) {
	key := store.PortKey(a.o.Host, r.Tenant, cmp.Or(r.Network, api.DefaultNetwork), r.Name)
	ports, _, err := a.o.Store.List(ctx, store.KindPort, key.Host, key.Tenant, key.Network)
	if err != nil {
		return key, nil, 0, fmt.Errorf("read port %s/%s: %w", key.NetworkName(), key.Name, err)
	}
	for _, e := range ports {
		if e.Key == key {
			return key, e.Object.(*store.Port), e.Created, nil
		}
	}
	return key, nil, 0, api.NewProblem(http.StatusNotFound,
		"port %s/%s does not exist on host %s: see sluice port list", key.NetworkName(), key.Name, key.Host)
}

// networkCache reads each network once.
type networkCache map[store.NetworkName]*store.Network

// get is a network, or nil where it cannot be read: the port is shown without what depends on it.
func (c networkCache) get(ctx context.Context, s Store, name store.NetworkName) *store.Network {
	if n, ok := c[name]; ok {
		return n
	}
	o, _, err := s.Get(ctx, store.NetworkKey(name.Tenant, name.Network))
	n, ok := o.(*store.Network)
	if err != nil || !ok {
		n = nil
	}
	c[name] = n
	return n
}
