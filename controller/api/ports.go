package api

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/store"
)

// Port is a container's attachment.
type Port struct {
	Tenant  string `json:"tenant"`
	Network string `json:"network"`
	Name    string `json:"name"`
	Host    string `json:"host"`
	store.Port
	Created store.Revision `json:"created"`
}

// portPath is the port that a route names: a port's name is unique in its network.
type portPath struct {
	Tenant  string `path:"tenant" example:"alice"`
	Network string `path:"network" example:"default"`
	Port    string `path:"port" example:"a1"`
}

func (s *server) ports(a huma.API) {
	huma.Register(a, operation("list-ports", http.MethodGet, "/v1/ports", "ports", "List ports", access.Read), s.listPorts)
	huma.Register(a, operation("show-port", http.MethodGet, "/v1/ports/{tenant}/{network}/{port}", "ports", "Show a port", access.Read), s.showPort)
}

type portQuery struct {
	PageQuery
	Tenant  string `query:"tenant" doc:"only this tenant's"`
	Network string `query:"network" doc:"only networks of this name"`
	Host    string `query:"host" doc:"only on this host"`
}

func (s *server) listPorts(ctx context.Context, in *portQuery) (_ *page[Port], err error) {
	if in.Tenant, err = visibleTenant(ctx, in.Tenant); err != nil {
		return nil, err
	}
	if err := s.checkNames(in.Tenant, in.Network, in.Host); err != nil {
		return nil, err
	}
	return listing(s, store.KindPort, in.PageQuery, in.keys, func(state *store.State, key store.Key) (Port, bool) {
		p := state.Port(key)
		if p == nil {
			return Port{}, false
		}
		return portOf(p), true
	})
}

// keys walks the ports that are asked for, by tenant, network, host and name.
func (in *portQuery) keys(state *store.State, after store.Key) iter.Seq[store.Key] {
	return func(yield func(store.Key) bool) {
		for n := range networksFrom(state, in.Tenant, after.NetworkName()) {
			name := n.Key.NetworkName()
			if in.Network != "" && in.Network != name.Network {
				continue
			}
			for p := range in.on(state, name) {
				if (name != after.NetworkName() || isLater(p.Key, after)) && !yield(p.Key) {
					return
				}
			}
		}
	}
}

// on walks a network's ports on the host that is asked for, or on all.
func (in *portQuery) on(state *store.State, n store.NetworkName) iter.Seq[*store.Item[store.Port]] {
	if in.Host == "" {
		return state.PortsOf(n)
	}
	return slices.Values(state.PortsAt(in.Host, n))
}

// isLater orders ports of one network by host and name.
func isLater(key, than store.Key) bool {
	return cmp.Or(strings.Compare(key.Host, than.Host), strings.Compare(key.Name, than.Name)) > 0
}

func portOf(p *store.Item[store.Port]) Port {
	return Port{
		Tenant: p.Key.Tenant, Network: p.Key.Network, Name: p.Key.Name, Host: p.Key.Host,
		Port: *p.Value, Created: p.Created,
	}
}

func (s *server) showPort(_ context.Context, in *portPath) (*body[Port], error) {
	n := store.NetworkName{Tenant: in.Tenant, Network: in.Network}
	var found *body[Port]
	s.Controller.View(func(state *store.State) {
		if p := portNamed(state, n, in.Port); p != nil {
			found = &body[Port]{portOf(p)}
		}
	})
	if found == nil {
		return nil, absent("port", n.String()+"/"+in.Port, "port list")
	}
	return found, nil
}

// portNamed is the port of that name in a network, wherever it is, or nil.
func portNamed(state *store.State, n store.NetworkName, name string) *store.Item[store.Port] {
	for p := range state.PortsOf(n) {
		if p.Key.Name == name {
			return p
		}
	}
	return nil
}

// PortFilter chooses ports; an empty field chooses all.
type PortFilter struct{ Tenant, Network, Host string }

// Ports lists ports, sorted by tenant, network, host and name.
func (c *Client) Ports(ctx context.Context, f PortFilter) ([]Port, error) {
	return getAll[Port](ctx, c, "/v1/ports", query("tenant", f.Tenant, "network", f.Network, "host", f.Host))
}

// Port shows one port.
func (c *Client) Port(ctx context.Context, tenant, network, name string) (Port, error) {
	return get[Port](ctx, c, path("ports", tenant, network, name), nil)
}
