package api

import (
	"context"
	"iter"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

func (s *server) stickies(a huma.API) {
	const tag = "stickies"
	huma.Register(a, operation("list-stickies", http.MethodGet, "/v1/stickies", tag, "List what stays with the names of ports that are gone", access.Read), s.listStickies)
	huma.Register(a, conditional(operation("delete-sticky", http.MethodDelete, "/v1/stickies/{tenant}/{network}/{port}", tag, "Free what stays with a name", access.Change)), s.deleteSticky)
}

type stickyQuery struct {
	client.PageQuery
	Tenant string `query:"tenant" doc:"only this tenant's"`
}

func (s *server) listStickies(ctx context.Context, in *stickyQuery) (_ *page[client.Sticky], err error) {
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
	return listing(s, store.KindSticky, in.PageQuery, keys, func(state *store.State, key store.Key) (client.Sticky, bool) {
		i := state.Sticky(key)
		if i == nil {
			return client.Sticky{}, false
		}
		return client.Sticky{Tenant: key.Tenant, Network: key.Network, Name: key.Name, Host: key.Host,
			MAC: i.Value.MAC, Addresses: i.Value.Addresses, Since: i.Modified}, true
	})
}

func (s *server) deleteSticky(ctx context.Context, in *portPath) (*body[client.Deleted], error) {
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
