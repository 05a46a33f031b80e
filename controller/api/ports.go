package api

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

// portPath is the port that a route names: a port's name is unique in its network.
type portPath struct {
	Tenant  string `path:"tenant" example:"alice"`
	Network string `path:"network" example:"default"`
	Port    string `path:"port" example:"a1"`
}

func (s *server) ports(a huma.API) {
	huma.Register(a, operation("list-ports", http.MethodGet, "/v1/ports", "ports", "List ports", access.Read), s.listPorts)
	huma.Register(a, conditional(operation("move-port", http.MethodPost, "/v1/ports/{tenant}/{network}/{port}/move", "ports", "Take a port to another host, where its container is attached next", access.Rule)), s.movePort)
	huma.Register(a, conditional(operation("set-port-limits", http.MethodPut, "/v1/ports/{tenant}/{network}/{port}/limits", "ports", "Say which limits a port has of its own, in place of what its runtime asked", access.Rule)), s.setPortLimits)
	huma.Register(a, conditional(operation("show-port", http.MethodGet, "/v1/ports/{tenant}/{network}/{port}", "ports", "Show a port", access.Read)), s.showPort)
}

type portQuery struct {
	client.PageQuery
	Tenant  string `query:"tenant" doc:"only this tenant's"`
	Network string `query:"network" doc:"only networks of this name"`
	Host    string `query:"host" doc:"only on this host"`
}

func (s *server) listPorts(ctx context.Context, in *portQuery) (_ *page[client.Port], err error) {
	if in.Tenant, err = visibleTenant(ctx, in.Tenant); err != nil {
		return nil, err
	}
	if err := s.checkNames(in.Tenant, in.Network, in.Host); err != nil {
		return nil, err
	}
	return listing(s, store.KindPort, in.PageQuery, in.keys, func(state *store.State, key store.Key) (client.Port, bool) {
		p := state.Port(key)
		if p == nil {
			return client.Port{}, false
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

func portOf(p *store.Item[store.Port]) client.Port {
	return client.Port{
		Tenant: p.Key.Tenant, Network: p.Key.Network, Name: p.Key.Name, Host: p.Key.Host,
		Port: *p.Value, Created: p.Created, Modified: p.Modified,
	}
}

func (s *server) showPort(ctx context.Context, in *portPath) (*tagged[client.Port], error) {
	n := store.NetworkName{Tenant: in.Tenant, Network: in.Network}
	var found *client.Port
	s.Controller.View(func(state *store.State) {
		if p := portNamed(state, n, in.Port); p != nil {
			shown := portOf(p)
			found = &shown
		}
	})
	if found == nil {
		return nil, absent("port", n.String()+"/"+in.Port, "port list")
	}
	return show(ctx, found.Modified, *found)
}

func (s *server) movePort(ctx context.Context, in *struct {
	Tenant  string `path:"tenant" example:"alice"`
	Network string `path:"network" example:"default"`
	Port    string `path:"port" example:"a1"`
	Body    client.PortMove
}) (*tagged[client.Port], error) {
	if err := store.ValidateName(in.Body.Host); err != nil { // before it becomes a part of a key
		return nil, malformed(fmt.Sprintf("host %q: %v", in.Body.Host, err))
	}
	return s.changePort(ctx, &portPath{in.Tenant, in.Network, in.Port}, func(key store.Key) portChange {
		return portChange{store.PortMove{Key: key, Host: in.Body.Host}, "move", " to host " + in.Body.Host}
	})
}

func (s *server) setPortLimits(ctx context.Context, in *struct {
	Tenant  string `path:"tenant" example:"alice"`
	Network string `path:"network" example:"default"`
	Port    string `path:"port" example:"a1"`
	Body    store.PortLimitsSet
}) (*tagged[client.Port], error) {
	return s.changePort(ctx, &portPath{in.Tenant, in.Network, in.Port}, func(key store.Key) portChange {
		return portChange{store.PortLimitsSpec{Key: key, Set: in.Body}, "set the limits of", ""}
	})
}

// portChange is what a request changes of a port, with the words around the port's name that say so.
type portChange struct {
	spec interface {
		Needs() []string
		Propose(state *store.State) (store.Proposal, error)
	}
	before, after string
}

// changePort changes a port, wherever it is, and shows what came of it.
func (s *server) changePort(ctx context.Context, in *portPath, change func(key store.Key) portChange) (*tagged[client.Port], error) {
	shown, err := s.showPort(ctx, in)
	if err != nil {
		return nil, err
	}
	name := in.Tenant + "/" + in.Network + "/" + in.Port
	key := store.PortKey(shown.Body.Host, in.Tenant, in.Network, in.Port)
	c := change(key)
	rev, err := s.write(ctx, "port "+name, func(ctx context.Context) (store.Revision, error) {
		rev, err := s.Store.Decide(ctx, store.Presuming(c.spec.Propose, match(ctx, key)...), c.spec.Needs()...)
		if err != nil {
			return 0, fmt.Errorf("%s port %s%s: %w", c.before, name, c.after, err)
		}
		return rev, nil
	})
	if err != nil {
		return nil, err
	}
	shown, err = s.showPort(ctx, in)
	return shown, unseen(err, "port", name, rev)
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
