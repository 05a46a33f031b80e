package api

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/netip"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

// networkStore writes networks.
type networkStore interface {
	CreateNetwork(ctx context.Context, s store.NetworkSpec) (store.Revision, error)
	DeleteNetwork(ctx context.Context, n store.NetworkName, presumed ...store.Presumption) (store.Revision, error)
}

// networkPath is the network that a route names.
type networkPath struct {
	Tenant  string `path:"tenant" example:"alice"`
	Network string `path:"network" example:"default"`
}

func (s *server) networks(a huma.API) {
	const one = "/v1/networks/{tenant}/{network}"
	huma.Register(a, operation("list-networks", http.MethodGet, "/v1/networks", "networks", "List networks", access.Read), s.listNetworks)
	huma.Register(a, operation("create-network", http.MethodPost, "/v1/networks", "networks", "Create one more network of a tenant", access.Change), s.createNetwork)
	huma.Register(a, conditional(operation("show-network", http.MethodGet, one, "networks", "Show a network", access.Read)), s.showNetwork)
	huma.Register(a, conditional(operation("delete-network", http.MethodDelete, one, "networks", "Delete a network that has no ports", access.Change)), s.deleteNetwork)
}

type networkQuery struct {
	client.PageQuery
	Tenant string `query:"tenant" doc:"only this tenant's"`
}

func (s *server) listNetworks(ctx context.Context, in *networkQuery) (_ *page[client.Network], err error) {
	if in.Tenant, err = visibleTenant(ctx, in.Tenant); err != nil {
		return nil, err
	}
	if err := s.checkNames(in.Tenant, "", ""); err != nil {
		return nil, err
	}
	keys := func(state *store.State, after store.Key) iter.Seq[store.Key] {
		return networkKeys(state, in.Tenant, after)
	}
	return listing(s, store.KindNetwork, in.PageQuery, keys, func(state *store.State, key store.Key) (client.Network, bool) {
		n := state.Network(key.NetworkName())
		if n == nil {
			return client.Network{}, false
		}
		return networkOf(state, n), true
	})
}

// networkKeys walks the networks of a tenant, or of all where it is empty, by tenant and name.
func networkKeys(state *store.State, tenant string, after store.Key) iter.Seq[store.Key] {
	return func(yield func(store.Key) bool) {
		for n := range networksFrom(state, tenant, after.NetworkName()) {
			if n.Key.NetworkName() != after.NetworkName() && !yield(n.Key) {
				return
			}
		}
	}
}

// networksFrom walks networks by tenant and name, from the one named on.
func networksFrom(state *store.State, tenant string, from store.NetworkName) iter.Seq[*store.Item[store.Network]] {
	return func(yield func(*store.Item[store.Network]) bool) {
		names := []string{tenant}
		if tenant == "" {
			names = state.SortedTenantNames()
		}
		for _, name := range names {
			if name < from.Tenant {
				continue
			}
			for n := range state.NetworksOf(name) {
				if (name > from.Tenant || n.Key.Network >= from.Network) && !yield(n) {
					return
				}
			}
		}
	}
}

// checkNames refuses names of nothing, where a list is asked for by them: an empty list would look
// like an answer. An empty name asks for nothing.
func (s *server) checkNames(tenant, network, host string) (err error) {
	name := store.NetworkName{Tenant: tenant, Network: network}
	s.Controller.View(func(state *store.State) {
		switch {
		case tenant != "" && state.Tenant(tenant) == nil:
			err = absent("tenant", tenant, "tenant list")
		case tenant != "" && network != "" && state.Network(name) == nil:
			err = absent("network", name.String(), "network list")
		case host != "" && state.Host(host) == nil:
			err = absent("host", host, "host list")
		}
	})
	return err
}

func (s *server) showNetwork(ctx context.Context, in *networkPath) (*tagged[client.Network], error) {
	name := store.NetworkName{Tenant: in.Tenant, Network: in.Network}
	var shown *client.Network
	s.Controller.View(func(state *store.State) {
		if n := state.Network(name); n != nil {
			one := networkOf(state, n)
			one.Addresses = state.AddressUse(n)
			shown = &one
		}
	})
	if shown == nil {
		return nil, absent("network", name.String(), "network list")
	}
	return show(ctx, shown.Modified, *shown)
}

// networkOf is what the API shows of a network.
func networkOf(state *store.State, n *store.Item[store.Network]) client.Network {
	name := n.Key.NetworkName()
	return client.Network{
		Tenant: name.Tenant, Name: name.Network, Network: *n.Value, Created: n.Created, Modified: n.Modified,
		Hosts: append([]string{}, state.HostsOf(name)...), Ports: state.PortCount(name),
	}
}

func (s *server) createNetwork(ctx context.Context, in *struct{ Body client.NetworkSpec }) (*tagged[client.Network], error) {
	if _, err := visibleTenant(ctx, in.Body.Tenant); err != nil {
		return nil, err
	}
	spec, err := networkSpec(in.Body)
	if err != nil {
		return nil, malformed(fmt.Sprintf("network %s/%s: %v", in.Body.Tenant, in.Body.Name, err))
	}
	rev, err := s.write(ctx, "network "+spec.Tenant+"/"+spec.Name, func(ctx context.Context) (store.Revision, error) { return s.Store.CreateNetwork(ctx, spec) })
	if err != nil {
		return nil, err
	}
	shown, err := s.showNetwork(ctx, &networkPath{spec.Tenant, spec.Name})
	return shown, unseen(err, "network", spec.Tenant+"/"+spec.Name, rev)
}

// networkSpec reads the texts of a request.
func networkSpec(in client.NetworkSpec) (store.NetworkSpec, error) {
	subnets, err := prefixes(in.Subnets)
	if err != nil {
		return store.NetworkSpec{}, err
	}
	var gateways []netip.Addr
	for _, text := range in.Gateways {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return store.NetworkSpec{}, fmt.Errorf("gateway address %q: write it as 10.0.0.1", text)
		}
		gateways = append(gateways, a)
	}
	exclude, err := addressRanges(in.Exclude)
	if err != nil {
		return store.NetworkSpec{}, err
	}
	return store.NetworkSpec{
		Tenant: in.Tenant, Name: in.Name, Segmentation: store.Segmentation(in.Segmentation),
		Subnets: subnets, Gateways: gateways, MTU: in.MTU, Flood: store.FloodMode(in.Flood),
		Exclude: exclude,
	}, nil
}

// addressRanges reads ranges such as 10.0.0.1-10.0.0.20. In which subnets they are is the store's to check.
func addressRanges(texts []string) ([]store.AddressRange, error) {
	var list []store.AddressRange
	for _, text := range texts {
		r, err := store.ParseAddressRange(text)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

func (s *server) deleteNetwork(ctx context.Context, in *networkPath) (*body[client.Deleted], error) {
	name := store.NetworkName{Tenant: in.Tenant, Network: in.Network}
	return s.remove(ctx, "network "+name.String(), func(ctx context.Context) (store.Revision, error) {
		return s.Store.DeleteNetwork(ctx, name, match(ctx, store.NetworkKey(in.Tenant, in.Network))...)
	})
}
