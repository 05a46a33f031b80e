package api

import (
	"context"
	"iter"
	"net/http"
	"net/netip"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/store"
)

// Sticky is what stays with the name of a port that is gone.
type Sticky struct {
	Tenant    string         `json:"tenant"`
	Network   string         `json:"network"`
	Name      string         `json:"name"`
	Host      string         `json:"host" doc:"where the next port of the name gets it"`
	MAC       store.MAC      `json:"mac"`
	Addresses []netip.Prefix `json:"addresses"`
	Since     store.Revision `json:"since" doc:"the revision at which the port went"`
}

func (s *server) stickies(a huma.API) {
	const tag = "stickies"
	huma.Register(a, operation("list-stickies", http.MethodGet, "/v1/stickies", tag, "List what stays with the names of ports that are gone", access.Read), s.listStickies)
	huma.Register(a, conditional(operation("delete-sticky", http.MethodDelete, "/v1/stickies/{tenant}/{network}/{port}", tag, "Free what stays with a name", access.Change)), s.deleteSticky)
}

type stickyQuery struct {
	PageQuery
	Tenant string `query:"tenant" doc:"only this tenant's"`
}

func (s *server) listStickies(ctx context.Context, in *stickyQuery) (_ *page[Sticky], err error) {
	if in.Tenant, err = visibleTenant(ctx, in.Tenant); err != nil {
		return nil, err
	}
	if err := s.checkNames(in.Tenant, "", ""); err != nil {
		return nil, err
	}
	keys := func(state *store.State, after store.Key) iter.Seq[store.Key] {
		return func(yield func(store.Key) bool) {
			for i := range state.Stickies() {
				if (in.Tenant == "" || in.Tenant == i.Key.Tenant) && i.Key.Short() > after.Short() && !yield(i.Key) {
					return
				}
			}
		}
	}
	return listing(s, store.KindSticky, in.PageQuery, keys, func(state *store.State, key store.Key) (Sticky, bool) {
		i := state.Sticky(key)
		if i == nil {
			return Sticky{}, false
		}
		return Sticky{Tenant: key.Tenant, Network: key.Network, Name: key.Name, Host: key.Host,
			MAC: i.Value.MAC, Addresses: i.Value.Addresses, Since: i.Modified}, true
	})
}

func (s *server) deleteSticky(ctx context.Context, in *portPath) (*body[Deleted], error) {
	var key store.Key
	s.Controller.View(func(state *store.State) {
		for i := range state.Stickies() {
			if i.Key.Tenant == in.Tenant && i.Key.Network == in.Network && i.Key.Name == in.Port {
				key = i.Key
				return
			}
		}
	})
	name := in.Tenant + "/" + in.Network + "/" + in.Port
	if key == (store.Key{}) {
		return nil, absent("sticky name", name, "sticky list")
	}
	return s.remove(ctx, "sticky name "+name, func(ctx context.Context) (store.Revision, error) {
		return s.Store.Remove(ctx, key, name, match(ctx, key)...)
	})
}

// Stickies lists what stays with the names of a tenant's ports that are gone, or of all tenants'.
func (c *Client) Stickies(ctx context.Context, tenant string) ([]Sticky, error) {
	return getAll[Sticky](ctx, c, "/v1/stickies", query("tenant", tenant))
}

// DeleteSticky frees what stays with a name.
func (c *Client) DeleteSticky(ctx context.Context, tenant, network, name string) (Deleted, error) {
	return do[Deleted](ctx, c, http.MethodDelete, path("stickies", tenant, network, name), nil)
}
