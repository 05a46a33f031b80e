package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

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
	huma.Register(a, operation("list-ports", http.MethodGet, "/v1/ports", "ports", "List ports"), s.listPorts)
	huma.Register(a, operation("show-port", http.MethodGet, "/v1/ports/{tenant}/{network}/{port}", "ports", "Show a port"), s.showPort)
}

type portQuery struct {
	Tenant  string `query:"tenant" doc:"only this tenant's"`
	Network string `query:"network" doc:"only networks of this name"`
	Host    string `query:"host" doc:"only on this host"`
}

func (s *server) listPorts(_ context.Context, in *portQuery) (*body[[]Port], error) {
	list, err := []Port{}, error(nil)
	s.Controller.View(func(state *store.State) {
		if err = in.check(state); err == nil {
			list = in.choose(state)
		}
	})
	if err != nil {
		return nil, err
	}
	return &body[[]Port]{list}, nil
}

// check refuses names of nothing: an empty list would look like an answer.
func (in *portQuery) check(state *store.State) error {
	network := store.NetworkName{Tenant: in.Tenant, Network: in.Network}
	switch {
	case in.Tenant != "" && state.Tenant(in.Tenant) == nil:
		return absent("tenant", in.Tenant, "tenant list")
	case in.Tenant != "" && in.Network != "" && state.Network(network) == nil:
		return absent("network", network.String(), "network list")
	case in.Host != "" && state.Host(in.Host) == nil:
		return absent("host", in.Host, "host list")
	}
	return nil
}

func (in *portQuery) choose(state *store.State) []Port {
	list := []Port{}
	for t := range state.Tenants() {
		if in.Tenant != "" && t.Key.Tenant != in.Tenant {
			continue
		}
		for n := range state.NetworksOf(t.Key.Tenant) {
			if in.Network == "" || n.Key.Network == in.Network {
				list = append(list, portsIn(state, n.Key.NetworkName(), in.Host)...)
			}
		}
	}
	return list
}

// portsIn are a network's ports on one host, or on all where host is empty.
func portsIn(state *store.State, n store.NetworkName, host string) (list []Port) {
	for p := range state.PortsOf(n) {
		if host == "" || p.Key.Host == host {
			list = append(list, portOf(p))
		}
	}
	return list
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

// Ports lists ports, sorted by tenant, network and name.
func (c *Client) Ports(ctx context.Context, f PortFilter) ([]Port, error) {
	return get[[]Port](ctx, c, "/v1/ports", query("tenant", f.Tenant, "network", f.Network, "host", f.Host))
}

// Port shows one port.
func (c *Client) Port(ctx context.Context, tenant, network, name string) (Port, error) {
	return get[Port](ctx, c, path("ports", tenant, network, name), nil)
}
