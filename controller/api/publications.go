package api

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/netip"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

func routeOf(p *store.Publication) *client.Route {
	if !p.Routed() {
		return nil
	}
	return &client.Route{Host: p.Route.Host, Path: p.Route.Path, Strip: p.Route.Strip, Shared: p.Route.Shared}
}

// toRoute reads what a client says.
func toRoute(r *client.Route) store.Route {
	if r == nil {
		return store.Route{}
	}
	route := store.NewRoute(r.Host, r.Path)
	route.Strip, route.Shared = r.Strip, r.Shared
	return route
}

type publicationPath struct {
	Tenant string `path:"tenant" example:"alice"`
	Name   string `path:"publication" example:"tcp-8080"`
}

func (s *server) publications(a huma.API) {
	const tag, all, one = "publications", "/v1/publications", "/v1/publications/{tenant}/{publication}"
	huma.Register(a, operation("list-publications", http.MethodGet, all, tag, "List what tenants publish", access.Read), s.listPublications)
	huma.Register(a, operation("create-publication", http.MethodPost, all, tag, "Publish ports of a container on its tenant's gateway host", access.Change), s.createPublication)
	huma.Register(a, conditional(operation("show-publication", http.MethodGet, one, tag, "Show a publication", access.Read)), s.showPublication)
	huma.Register(a, conditional(operation("delete-publication", http.MethodDelete, one, tag, "End a publication, with the connections that it let in", access.Change)), s.deletePublication)
}

type publicationQuery struct {
	client.PageQuery
	Tenant string `query:"tenant" doc:"only this tenant's"`
}

func (s *server) listPublications(ctx context.Context, in *publicationQuery) (_ *page[client.Publication], err error) {
	if in.Tenant, err = visibleTenant(ctx, in.Tenant); err != nil {
		return nil, err
	}
	if err := s.checkNames(in.Tenant, "", ""); err != nil {
		return nil, err
	}
	keys := func(state *store.State, after store.Key) iter.Seq[store.Key] {
		return publicationKeys(state, in.Tenant, after)
	}
	caller, visits := access.From(ctx), s.Controller.Visited(ctx)
	return listing(s, store.KindPublication, in.PageQuery, keys, func(state *store.State, key store.Key) (client.Publication, bool) {
		return publicationOf(state, caller, key, visits)
	})
}

// publicationKeys walks the publications of a tenant, or of all where it is empty, by tenant and name.
func publicationKeys(state *store.State, tenant string, after store.Key) iter.Seq[store.Key] {
	list := state.Publications()
	if tenant != "" {
		list = state.PublicationsOf(tenant)
	}
	return func(yield func(store.Key) bool) {
		for p := range list {
			if p.Key.Short() > after.Short() && !yield(p.Key) {
				return
			}
		}
	}
}

func (s *server) showPublication(ctx context.Context, in *publicationPath) (*tagged[client.Publication], error) {
	var shown client.Publication
	there := false
	key, visits := store.PublicationKey(in.Tenant, in.Name), s.Controller.Visited(ctx)
	s.Controller.View(func(state *store.State) {
		if shown, there = publicationOf(state, access.From(ctx), key, visits); shown.Route != nil {
			shown.Entries = entriesOf(state)
		}
	})
	if !there {
		return nil, absent("publication", in.Tenant+"/"+in.Name, "publish list")
	}
	return show(ctx, shown.Modified, shown)
}

// publicationOf is what the API shows of a publication; false: there is none.
func publicationOf(state *store.State, caller access.Caller, key store.Key, visits map[store.Key]store.Visit) (client.Publication, bool) {
	p := state.Publication(key.Tenant, key.Name)
	if p == nil {
		return client.Publication{}, false
	}
	host, hindered := state.PublishedAt(p)
	_, _, nowhere := state.PublishedPort(p)
	shown := client.Publication{
		Tenant: key.Tenant, Name: key.Name, Network: p.Value.Network, Port: p.Value.Port, Protocol: p.Value.Protocol,
		Ports: store.PortRange(p.Value.First, p.Value.Count), KeepSource: p.Value.KeepSource, ByPort: p.Value.From != store.Key{},
		Host: host, Addresses: []netip.Addr{}, Route: routeOf(p.Value), Why: cmp.Or(hindered.Words(caller.Sees), nowhere), Modified: p.Modified,
	}
	if shown.Route == nil {
		shown.On, shown.Addresses = store.PortRange(p.Value.On, p.Value.Count), reachedAt(state, host)
	}
	if p.Value.Floats() {
		shown.Floating, shown.Addresses = p.Value.Address, []netip.Addr{p.Value.Address}
	}
	if v, visited := visits[key]; visited && v.Created == p.Created {
		shown.Last = &v.Last
	}
	return shown, true
}

// entriesOf are where hosts take requests for routes.
func entriesOf(state *store.State) (list []string) {
	for h := range state.Hosts() {
		at, err := netip.ParseAddrPort(h.Value.Entry)
		switch {
		case err != nil: // it has none
		case !at.Addr().IsUnspecified():
			list = append(list, at.String())
		default:
			for _, a := range reachedAt(state, h.Key.Host) {
				list = append(list, netip.AddrPortFrom(a, at.Port()).String())
			}
		}
	}
	return list
}

// reachedAt are the addresses of a host by which it may be reached from outside: tunnels' are, where it has no others.
func reachedAt(state *store.State, host string) []netip.Addr {
	h := state.Host(host)
	if h == nil {
		return []netip.Addr{}
	}
	outside := slices.DeleteFunc(slices.Clone(h.Value.Addresses), func(a netip.Addr) bool { return !a.Is4() || slices.Contains(h.Value.VTEPs, a) })
	if len(outside) == 0 {
		outside = slices.DeleteFunc(slices.Clone(h.Value.Addresses), func(a netip.Addr) bool { return !a.Is4() })
	}
	return append([]netip.Addr{}, outside...)
}

func (s *server) createPublication(ctx context.Context, in *struct{ Body client.PublicationSpec }) (*tagged[client.Publication], error) {
	if _, err := visibleTenant(ctx, in.Body.Tenant); err != nil {
		return nil, err
	}
	spec, err := publicationSpec(access.From(ctx), in.Body)
	if err == nil {
		err = spec.Validate() // before its names become keys
	}
	if err != nil {
		return nil, s.refuse(err)
	}
	var needs []string
	s.Controller.View(func(state *store.State) { needs = spec.Needs(state) })
	rev, err := s.write(ctx, "publication "+spec.String(), func(ctx context.Context) (store.Revision, error) {
		return s.Store.Decide(ctx, spec.Propose, needs...)
	})
	if err != nil {
		return nil, err
	}
	shown, err := s.showPublication(ctx, &publicationPath{spec.Tenant, spec.Name()})
	return shown, unseen(err, "publication", spec.String(), rev)
}

// publicationSpec reads the texts of a request.
func publicationSpec(caller access.Caller, in client.PublicationSpec) (spec store.PublicationSpec, err error) {
	spec = store.PublicationSpec{Tenant: in.Tenant, Network: cmp.Or(in.Network, store.DefaultNetwork), Port: in.Port, Protocol: store.Protocol(in.Protocol),
		KeepSource: in.KeepSource, Address: in.Floating, Route: toRoute(in.Route), By: caller.Name, Everybody: caller.Role != store.RoleTenant}
	on := uint16(0)
	if spec.First, spec.Count, err = store.ParsePortRange(in.Ports); err != nil {
		return spec, err
	}
	if in.Route != nil {
		if in.On != "" {
			err = fmt.Errorf("publication: %w: on %s: what has a route is on no port of the gateway host", store.ErrInvalid, in.On)
		}
		return spec, err
	}
	if spec.On, on, err = store.ParsePortRange(cmp.Or(in.On, in.Ports)); err != nil {
		return spec, err
	}
	if on != spec.Count {
		return spec, fmt.Errorf("publication: %w: ports %s of the container are %d, and %s of the host are %d: give as many", store.ErrInvalid, in.Ports, spec.Count, in.On, on)
	}
	return spec, nil
}

func (s *server) deletePublication(ctx context.Context, in *publicationPath) (*body[client.Deleted], error) {
	name := in.Tenant + "/" + in.Name
	needs := []string{store.PublicationKey(in.Tenant, in.Name).String()}
	s.Controller.View(func(state *store.State) {
		if p := state.Publication(in.Tenant, in.Name); p != nil && p.Value.From != (store.Key{}) {
			needs = append(needs, p.Value.From.String())
		}
	})
	return s.remove(ctx, "publication "+name, func(ctx context.Context) (store.Revision, error) {
		request := func(state *store.State) (store.Proposal, error) {
			return store.ProposeUnpublish(state, in.Tenant, in.Name)
		}
		return s.Store.Decide(ctx, store.Presuming(request, match(ctx, store.PublicationKey(in.Tenant, in.Name))...), needs...)
	})
}
