package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sluice/controller/client"
	"sluice/store"
)

func (s *server) showCentral(ctx context.Context, _ *struct{}) (*tagged[client.CentralGateway], error) {
	var is client.CentralGateway
	s.Controller.View(func(state *store.State) {
		is.Central = state.Central()
		_, is.Modified = state.Settings()
	})
	return show(ctx, is.Modified, is)
}

func (s *server) setCentral(ctx context.Context, in *struct{ Body client.CentralGateway }) (*tagged[client.CentralGateway], error) {
	spec := store.CentralSpec{Host: in.Body.Central}
	if err := spec.Validate(); err != nil {
		return nil, s.refuse(err)
	}
	_, err := s.write(ctx, "host "+spec.Host, func(ctx context.Context) (store.Revision, error) {
		return s.Store.Decide(ctx, store.Presuming(spec.Propose, match(ctx, store.SettingsKey())...), spec.Needs()...)
	})
	if err != nil {
		return nil, err
	}
	return s.showCentral(ctx, nil)
}

// drainOf counts what a host has of gateways.
func drainOf(state *store.State, host string) client.HostDrain {
	d := client.HostDrain{Host: host}
	if drain := state.Drain(host); drain != nil {
		d.Drained, d.Drain, d.Modified = true, *drain.Value, drain.Modified
	}
	for _, tenant := range state.TenantsVia(host) {
		switch g := state.Gateway(tenant).Value; {
		case g.Active == host && g.Move != nil:
			d.Active, d.Moving = d.Active+1, d.Moving+1
		case g.Active == host:
			d.Active++
		case slices.Contains(g.Draining, host):
			d.Draining++
		}
	}
	return d
}

// drainPath is the host whose drain a route names.
type drainPath struct {
	Host string `path:"host" example:"h1"`
}

func (s *server) showDrain(ctx context.Context, in *drainPath) (*tagged[client.HostDrain], error) {
	var shown client.HostDrain
	there := false
	s.Controller.View(func(state *store.State) {
		shown, there = drainOf(state, in.Host), state.Host(in.Host) != nil
	})
	if !there {
		return nil, absent("host", in.Host, "host list")
	}
	if shown.Drained && shown.Active > shown.Moving {
		shown.Problem = s.stuck(in.Host)
	}
	return show(ctx, shown.Modified, shown)
}

// stuck is why a tenant of a host has no other to go to; empty: none is known.
func (s *server) stuck(host string) (why string) {
	problems := s.Controller.Problems()
	s.Controller.View(func(state *store.State) {
		for _, p := range problems {
			g := state.Gateway(p.Key.Tenant)
			if why == "" && p.Key.Kind == store.KindTenant && g != nil && g.Value.Active == host {
				why = fmt.Sprintf("tenant %s: %s", p.Key.Tenant, p.Text)
			}
		}
	})
	return why
}

func (s *server) drainHost(ctx context.Context, in *struct {
	Host string `path:"host" example:"h1"`
	Body client.DrainOrder
}) (*tagged[client.HostDrain], error) {
	spec := store.DrainSpec{Host: in.Host, AtOnce: in.Body.AtOnce, Timeout: seconds(in.Body.Timeout), Now: time.Now()}
	if err := spec.Validate(); err != nil {
		return nil, s.refuse(err)
	}
	rev, err := s.write(ctx, "host "+in.Host, func(ctx context.Context) (store.Revision, error) {
		rev, err := s.Store.Decide(ctx, store.Presuming(spec.Propose, match(ctx, store.DrainKey(in.Host))...), spec.Needs()...)
		if err != nil {
			return 0, fmt.Errorf("drain: %w", err)
		}
		return rev, nil
	})
	if err != nil {
		return nil, err
	}
	shown, err := s.showDrain(ctx, &drainPath{in.Host})
	return shown, unseen(err, "host", in.Host, rev)
}

func (s *server) undrainHost(ctx context.Context, in *drainPath) (*body[client.Deleted], error) {
	return s.remove(ctx, "host "+in.Host, func(ctx context.Context) (store.Revision, error) {
		request := func(state *store.State) (store.Proposal, error) { return store.ProposeUndrain(state, in.Host) }
		rev, err := s.Store.Decide(ctx, store.Presuming(request, match(ctx, store.DrainKey(in.Host))...), store.DrainKey(in.Host).String(), store.HostKey(in.Host).String())
		if err != nil {
			return 0, fmt.Errorf("undrain: %w", err)
		}
		return rev, nil
	})
}
