package api

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"sluice/controller/client"
	"sluice/store"
)

func (s *server) showFloating(ctx context.Context, _ *struct{}) (*tagged[client.Floating], error) {
	var is client.Floating
	s.Controller.View(func(state *store.State) { is = floatingOf(state) })
	return show(ctx, is.Modified, is)
}

// floatingOf is what the API shows of floating addresses.
func floatingOf(state *store.State) client.Floating {
	settings, modified := state.Settings()
	is := client.Floating{Ranges: []string{}, Modified: modified}
	for _, r := range settings.Floating {
		is.Ranges = append(is.Ranges, r.String())
	}
	has := map[netip.Addr]*store.Item[store.Publication]{}
	for p := range state.Publications() {
		if state.HasFloating(p) && (has[p.Value.Address] == nil || p.Older(has[p.Value.Address])) {
			has[p.Value.Address] = p
		}
	}
	for a, p := range has {
		host, _ := state.PublishedAt(p)
		is.Used = append(is.Used, client.FloatingAddress{Address: a, Tenant: p.Key.Tenant, Host: host})
	}
	slices.SortFunc(is.Used, func(a, b client.FloatingAddress) int { return a.Address.Compare(b.Address) })
	return is
}

func (s *server) setFloating(ctx context.Context, in *struct{ Body client.Floating }) (*tagged[client.Floating], error) {
	ranges, err := addressRanges(in.Body.Ranges)
	if err != nil {
		return nil, s.refuse(fmt.Errorf("floating addresses: %w: %w", store.ErrInvalid, err))
	}
	spec := store.FloatingSpec{Ranges: ranges}
	_, err = s.write(ctx, "floating addresses", func(ctx context.Context) (store.Revision, error) {
		return s.Store.Decide(ctx, store.Presuming(spec.Propose, match(ctx, store.SettingsKey())...), spec.Needs()...)
	})
	if err != nil {
		return nil, err
	}
	return s.showFloating(ctx, nil)
}
