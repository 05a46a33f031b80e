package manifest

import (
	"cmp"
	"fmt"
	"net/netip"

	"sluice/store"
)

// DeclaredPublication is what a tenant publishes of one port, which need not be there.
type DeclaredPublication struct {
	Network    string `json:"network,omitempty" doc:"none: default"`
	Port       string `json:"port" doc:"the name of a port of the tenant"`
	Protocol   string `json:"protocol,omitempty" doc:"tcp (the default) or udp"`
	Ports      string `json:"ports" doc:"of the container: one, or the first and the last of several" example:"80"`
	On         string `json:"on,omitempty" doc:"of the gateway host, as many; none: the same" example:"8080"`
	Address    string `json:"address,omitempty" doc:"a floating address, which goes along with the tenant's gateway; none: the gateway host's own" example:"203.0.113.50"`
	KeepSource bool   `json:"keepSource,omitempty" doc:"let the container see who comes"`
	// Route is how browsers reach it.
	Route DeclaredRoute `json:"route,omitzero" doc:"reach it by this at the entry of any host, and by no port of the gateway host"`
}

// DeclaredRoute is the address of the web by which a publication is reached.
type DeclaredRoute struct {
	Host   string `json:"host" doc:"a DNS name" example:"alice.example"`
	Path   string `json:"path,omitempty" doc:"none: all of the name" example:"/alice/"`
	Strip  bool   `json:"strip,omitempty" doc:"have the container see paths without it"`
	Shared bool   `json:"shared,omitempty" doc:"let other tenants have paths of the name, though browsers do not keep them apart"`
}

func (r DeclaredRoute) route() store.Route {
	if r == (DeclaredRoute{}) {
		return store.Route{}
	}
	route := store.NewRoute(r.Host, r.Path)
	route.Strip, route.Shared = r.Strip, r.Shared
	return route
}

func publicationPath(i, k int) string { return fmt.Sprintf("tenants[%d].publications[%d]", i, k) }

// spec reads the texts.
func (p *DeclaredPublication) spec(tenant, path string) (s store.PublicationSpec, err error) {
	s = store.PublicationSpec{Tenant: tenant, Network: cmp.Or(p.Network, store.DefaultNetwork), Port: p.Port, KeepSource: p.KeepSource, Route: p.Route.route(),
		Protocol: store.Protocol(cmp.Or(p.Protocol, string(store.ProtocolTCP))), Everybody: true, Early: true}
	if s.First, s.Count, err = store.ParsePortRange(p.Ports); err != nil {
		return s, wrong(path+".ports", err)
	}
	if p.Address != "" {
		if s.Address, err = netip.ParseAddr(p.Address); err != nil {
			return s, invalid(path+".address", "%q is no address such as 203.0.113.50", p.Address)
		}
	}
	on, count, err := store.ParsePortRange(cmp.Or(p.On, p.Ports))
	if err != nil {
		return s, wrong(path+".on", err)
	}
	if count != s.Count {
		return s, invalid(path+".on", "%s are %d ports, and %s are %d: give as many", p.On, count, p.Ports, s.Count)
	}
	if p.Route != (DeclaredRoute{}) && p.On != "" {
		return s, invalid(path+".on", "what has a route is on no port of the gateway host")
	}
	s.On = on
	if err := s.Validate(); err != nil {
		return s, wrong(path, err)
	}
	return s, nil
}

// publicationSteps are those of what a tenant publishes. What is there already cannot change: it is removed, and made anew.
func (t *DeclaredTenant) publicationSteps(s *store.State, i int) (steps []Step, err error) {
	for k := range t.Publications {
		path := publicationPath(i, k)
		spec, err := t.Publications[k].spec(t.Name, path)
		if err != nil {
			return nil, err
		}
		is := s.Publication(t.Name, spec.Name())
		switch {
		case is == nil:
			steps = append(steps, newPublication(s, spec, path))
		case !spec.Is(is.Value):
			return nil, invalid(path, "publication %s leads to %s, which cannot change while it exists: unpublish it, or declare what it is", spec, is.Value.LeadsTo(t.Name))
		}
	}
	return steps, nil
}

// newPublication is one more publication. Whether it may be made is decided when the steps before it are.
func newPublication(s *store.State, spec store.PublicationSpec, path string) Step {
	return Step{
		Key: spec.Key(), Path: path, Change: Create, Request: spec.Propose, Needs: spec.Needs(s),
		Differs: []Field{{Name: "leads to", After: spec.LeadsTo()}},
	}
}

// exportPublication declares a publication as it is.
func exportPublication(p *store.Publication) DeclaredPublication {
	out := DeclaredPublication{Port: p.Port, Ports: store.PortRange(p.First, p.Count), KeepSource: p.KeepSource}
	if p.Floats() {
		out.Address = p.Address.String()
	}
	if p.Network != store.DefaultNetwork {
		out.Network = p.Network
	}
	if p.Protocol != store.ProtocolTCP {
		out.Protocol = string(p.Protocol)
	}
	if p.Routed() {
		out.Route = DeclaredRoute{Host: p.Route.Host, Path: p.Route.Path, Strip: p.Route.Strip, Shared: p.Route.Shared}
		if p.Route.Path == "/" {
			out.Route.Path = ""
		}
	} else if p.On != p.First {
		out.On = store.PortRange(p.On, p.Count)
	}
	return out
}
