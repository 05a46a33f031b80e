package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"sluice/store"
)

// CentralGateway is what a client says of the tenants whose policy is central.
type CentralGateway struct {
	Central string `json:"central" doc:"the host by which they leave" example:"h1"`
}

func (s *server) setCentral(ctx context.Context, in *struct{ Body CentralGateway }) (*body[CentralGateway], error) {
	spec := store.CentralSpec{Host: in.Body.Central}
	if err := spec.Validate(); err != nil {
		return nil, s.refuse(err)
	}
	_, err := s.write(ctx, "host "+spec.Host, func(ctx context.Context) (store.Revision, error) {
		return s.Store.Decide(ctx, spec.Propose, spec.Needs()...)
	})
	if err != nil {
		return nil, err
	}
	return &body[CentralGateway]{in.Body}, nil
}

// HostDrain is how far a gateway host is drained.
type HostDrain struct {
	Host    string `json:"host"`
	Drained bool   `json:"drained"` // it is to have no tenants
	store.Drain
	Active   int    `json:"active" doc:"tenants that leave by it, those that are on their way included"`
	Moving   int    `json:"moving" doc:"those of them that are on their way to another host"`
	Draining int    `json:"draining" doc:"tenants that leave by another host, and whose earlier connections go on through it"`
	Problem  string `json:"problem,omitempty" doc:"why one of its tenants does not move"`
}

// drainOf counts what a host has of gateways.
func drainOf(state *store.State, host string) HostDrain {
	d := HostDrain{Host: host}
	if drain := state.Drain(host); drain != nil {
		d.Drained, d.Drain = true, *drain.Value
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

func (s *server) showDrain(_ context.Context, in *drainPath) (*body[HostDrain], error) {
	var shown HostDrain
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
	return &body[HostDrain]{shown}, nil
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

// DrainOrder is what a client says to drain a host.
type DrainOrder struct {
	AtOnce  int  `json:"atOnce,omitempty" minimum:"0" maximum:"100" doc:"how many gateways move at one time; none: 8" example:"8"`
	Timeout *int `json:"timeout,omitempty" minimum:"0" maximum:"604800" doc:"seconds that connections may go on through the host; none: 3600" example:"3600"`
}

func (s *server) drainHost(ctx context.Context, in *struct {
	Host string `path:"host" example:"h1"`
	Body DrainOrder
}) (*body[HostDrain], error) {
	spec := store.DrainSpec{Host: in.Host, AtOnce: in.Body.AtOnce, Timeout: seconds(in.Body.Timeout), Now: time.Now()}
	if err := spec.Validate(); err != nil {
		return nil, s.refuse(err)
	}
	rev, err := s.write(ctx, "host "+in.Host, func(ctx context.Context) (store.Revision, error) {
		rev, err := s.Store.Decide(ctx, spec.Propose, spec.Needs()...)
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

func (s *server) undrainHost(ctx context.Context, in *drainPath) (*body[Deleted], error) {
	return s.remove(ctx, "host "+in.Host, func(ctx context.Context) (store.Revision, error) {
		request := func(state *store.State) (store.Proposal, error) { return store.ProposeUndrain(state, in.Host) }
		rev, err := s.Store.Decide(ctx, request, store.DrainKey(in.Host).String(), store.HostKey(in.Host).String())
		if err != nil {
			return 0, fmt.Errorf("undrain: %w", err)
		}
		return rev, nil
	})
}

// SetCentralGateway has all tenants whose policy is central leave by a host.
func (c *Client) SetCentralGateway(ctx context.Context, host string) error {
	_, err := do[CentralGateway](ctx, c, http.MethodPut, "/v1/gateways", CentralGateway{host})
	return err
}

// Drain shows how far a host is drained.
func (c *Client) Drain(ctx context.Context, host string) (HostDrain, error) {
	return get[HostDrain](ctx, c, path("hosts", host, "drain"), nil)
}

// DrainHost moves all gateways away from a host, and sends it no others. It returns once that is asked for.
func (c *Client) DrainHost(ctx context.Context, host string, order DrainOrder) (HostDrain, error) {
	return do[HostDrain](ctx, c, http.MethodPut, path("hosts", host, "drain"), order)
}

// UndrainHost lets a host take tenants again.
func (c *Client) UndrainHost(ctx context.Context, host string) error {
	_, err := do[Deleted](ctx, c, http.MethodDelete, path("hosts", host, "drain"), nil)
	return err
}
