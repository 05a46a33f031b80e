package hostagent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"sluice/hostagent/api"
	"sluice/store"
)

// attachmentOf is a port as the API shows it.
func (a *Agent) attachmentOf(key store.Key, created store.Revision, p *store.Port, n *store.Network) api.Attachment {
	r := api.Attachment{
		Tenant: key.Tenant, Network: key.Network, Name: key.Name, Host: key.Host,
		MAC: p.MAC.String(), Interface: p.Interface, ContainerID: p.ContainerID, Runtime: p.Runtime,
		Labels: p.Labels, Publish: publishOf(p), Limits: limitsAsked(p), Revision: int64(created),
	}
	for _, prefix := range p.Addresses {
		r.Addresses = append(r.Addresses, prefix.String())
	}
	if n == nil {
		return r
	}
	r.MTU, r.DNS = a.underlay.networkMTU(n), a.resolving.dnsFor(key, p.Addresses)
	for _, g := range gatewaysFor(n, p.Addresses) {
		r.Gateways = append(r.Gateways, g.String())
	}
	return r
}

// limitsAsked are a port's own limits, as the API shows them; nil: it has none.
func limitsAsked(p *store.Port) *api.Limits {
	if p.Limits == (store.PortLimits{}) {
		return nil
	}
	limits := api.Limits(p.Limits)
	return &limits
}

// gatewaysFor are the routers of the subnets that contain the addresses, one a family.
func gatewaysFor(n *store.Network, addresses []netip.Prefix) []netip.Addr {
	var gateways []netip.Addr
	var have4, have6 bool
	for _, address := range addresses {
		for _, s := range n.Subnets {
			have := &have4
			if s.Gateway.Is6() {
				have = &have6
			}
			if s.Gateway.IsValid() && s.Prefix.Contains(address.Addr()) && !*have {
				gateways, *have = append(gateways, s.Gateway), true
			}
		}
	}
	return gateways
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
	links, err := portLinks()
	if err != nil {
		return nil, err
	}
	networks := make(networkCache)
	all := make([]api.Attachment, 0, len(ports))
	for _, e := range ports {
		p, n := e.Object.(*store.Port), networks.get(ctx, a.o.Store, e.Key.NetworkName())
		one := a.attachmentOf(e.Key, e.Created, p, n)
		one.Arrives = a.arrives(p, links)
		all = append(all, one)
	}
	return all, nil
}

// port reads one port of this host, and the revision that created it. It fails with
// store.ErrUnreadable where somebody else wrote it.
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
	if _, _, err := a.o.Store.Get(ctx, key); errors.Is(err, store.ErrUnreadable) { // the list leaves it out
		return key, nil, 0, fmt.Errorf("read port %s/%s: %w", key.NetworkName(), key.Name, err)
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
