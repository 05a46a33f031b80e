package api

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/store"
)

// Publication lets the outside open connections to a container, by the address of its tenant's gateway host.
type Publication struct {
	Tenant     string         `json:"tenant"`
	Name       string         `json:"name" doc:"its protocol and its ports on the host, such as tcp-8080"`
	Network    string         `json:"network"`
	Port       string         `json:"port"`
	Protocol   store.Protocol `json:"protocol" enum:"tcp,udp"`
	Ports      string         `json:"ports" doc:"of the container: one, or the first and the last of several"`
	On         string         `json:"on,omitempty" doc:"of the gateway host, as many; none: it has a route"`
	KeepSource bool           `json:"keepSource" doc:"whether the container sees who comes, and not the gateway host"`
	ByPort     bool           `json:"byPort,omitempty" doc:"whether the port publishes this itself, as its runtime asked: it goes with the port"`
	Route      *Route         `json:"route,omitempty" doc:"by which it is reached at the entry of any host; none: by ports of the gateway host"`
	Host       string         `json:"host,omitempty" doc:"the gateway host now; after the gateway moved, another one"`
	Addresses  []netip.Addr   `json:"addresses" doc:"of that host: those by which its uplinks are reached let in"`
	Entries    []string       `json:"entries,omitempty" doc:"of a route: where hosts take requests, as ADDRESS:PORT; not in lists"`
	Last       *time.Time     `json:"last,omitempty" doc:"of a route: when something passed last, two minutes late at most; none: never"`
	Why        string         `json:"why,omitempty" doc:"why nothing is let in now"`
	Modified   store.Revision `json:"modified" doc:"at which it was written last"`
}

// Route is the address of the web by which a publication is reached.
type Route struct {
	Host   string `json:"host" example:"alice.example" doc:"a DNS name"`
	Path   string `json:"path,omitempty" example:"/alice/" doc:"none: all of the name"`
	Strip  bool   `json:"strip,omitempty" doc:"have the container see paths without it"`
	Shared bool   `json:"shared,omitempty" doc:"let other tenants have paths of the name, though browsers do not keep them apart"`
}

func routeOf(p *store.Publication) *Route {
	if !p.Routed() {
		return nil
	}
	return &Route{Host: p.Route.Host, Path: p.Route.Path, Strip: p.Route.Strip, Shared: p.Route.Shared}
}

// route reads what a client says.
func (r *Route) route() store.Route {
	if r == nil {
		return store.Route{}
	}
	route := store.NewRoute(r.Host, r.Path)
	route.Strip, route.Shared = r.Strip, r.Shared
	return route
}

// PublicationSpec is what a client says about a new publication.
type PublicationSpec struct {
	Tenant     string `json:"tenant" example:"alice"`
	Network    string `json:"network,omitempty" doc:"none: default"`
	Port       string `json:"port" example:"web" doc:"the name of a port of the tenant, which is there"`
	Protocol   string `json:"protocol" enum:"tcp,udp"`
	Ports      string `json:"ports" example:"80" doc:"of the container: one, or the first and the last of several"`
	On         string `json:"on,omitempty" example:"8080" doc:"of the gateway host, as many; none: the same"`
	KeepSource bool   `json:"keepSource,omitempty" doc:"let the container see who comes"`
	Route      *Route `json:"route,omitempty" doc:"reach it by this at the entry of any host, and by no port of the gateway host"`
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
	PageQuery
	Tenant string `query:"tenant" doc:"only this tenant's"`
}

func (s *server) listPublications(ctx context.Context, in *publicationQuery) (_ *page[Publication], err error) {
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
	return listing(s, store.KindPublication, in.PageQuery, keys, func(state *store.State, key store.Key) (Publication, bool) {
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

func (s *server) showPublication(ctx context.Context, in *publicationPath) (*tagged[Publication], error) {
	var shown Publication
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
func publicationOf(state *store.State, caller access.Caller, key store.Key, visits map[store.Key]store.Visit) (Publication, bool) {
	p := state.Publication(key.Tenant, key.Name)
	if p == nil {
		return Publication{}, false
	}
	host, hindered := state.PublishedAt(p)
	_, _, nowhere := state.PublishedPort(p)
	shown := Publication{
		Tenant: key.Tenant, Name: key.Name, Network: p.Value.Network, Port: p.Value.Port, Protocol: p.Value.Protocol,
		Ports: store.PortRange(p.Value.First, p.Value.Count), KeepSource: p.Value.KeepSource, ByPort: p.Value.From != store.Key{},
		Host: host, Addresses: []netip.Addr{}, Route: routeOf(p.Value), Why: cmp.Or(hindered.Words(caller.Sees), nowhere), Modified: p.Modified,
	}
	if shown.Route == nil {
		shown.On, shown.Addresses = store.PortRange(p.Value.On, p.Value.Count), reachedAt(state, host)
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

func (s *server) createPublication(ctx context.Context, in *struct{ Body PublicationSpec }) (*tagged[Publication], error) {
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
func publicationSpec(caller access.Caller, in PublicationSpec) (spec store.PublicationSpec, err error) {
	spec = store.PublicationSpec{Tenant: in.Tenant, Network: cmp.Or(in.Network, store.DefaultNetwork), Port: in.Port, Protocol: store.Protocol(in.Protocol),
		KeepSource: in.KeepSource, Route: in.Route.route(), By: caller.Name, Everybody: caller.Role != store.RoleTenant}
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

func (s *server) deletePublication(ctx context.Context, in *publicationPath) (*body[Deleted], error) {
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

// Publications lists what a tenant publishes, or what all do.
func (c *Client) Publications(ctx context.Context, tenant string) ([]Publication, error) {
	return getAll[Publication](ctx, c, "/v1/publications", query("tenant", tenant))
}

// Publication shows one publication.
func (c *Client) Publication(ctx context.Context, tenant, name string) (Publication, error) {
	return get[Publication](ctx, c, path("publications", tenant, name), nil)
}

// Publish publishes ports of a container.
func (c *Client) Publish(ctx context.Context, spec PublicationSpec) (Publication, error) {
	return do[Publication](ctx, c, http.MethodPost, "/v1/publications", spec)
}

// Unpublish ends a publication.
func (c *Client) Unpublish(ctx context.Context, tenant, name string) (Deleted, error) {
	return do[Deleted](ctx, c, http.MethodDelete, path("publications", tenant, name), nil)
}
