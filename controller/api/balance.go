package api

import (
	"context"
	"time"

	"sluice/controller/balance"
	"sluice/controller/client"
	"sluice/controller/traffic"
	"sluice/store"
)

// maxProposed bounds the moves of one answer.
const maxProposed = 1000

func (s *server) showBalance(ctx context.Context, _ *struct{}) (*tagged[client.GatewayBalance], error) {
	o, err := s.Controller.Outlook(ctx, traffic.Question{Start: balance.Stop, Most: maxProposed})
	if err != nil {
		return nil, s.refuse(err)
	}
	shown := client.GatewayBalance{
		Settings: s.balanceNow(), Measured: int(o.Measured / time.Second), Hosts: []client.GatewayHost{}, Moves: []client.GatewayStep{},
		Before: o.Before, After: o.After, Goal: o.Goal, TooLarge: o.TooLarge,
	}
	for _, h := range o.Hosts {
		shown.Hosts = append(shown.Hosts, client.GatewayHost(h))
	}
	for _, m := range o.Moves {
		shown.Moves = append(shown.Moves, client.GatewayStep{Tenant: m.Tenant, From: m.From, To: m.To, Load: m.Load})
	}
	return show(ctx, shown.Settings.Modified, shown)
}

func (s *server) balanceNow() (is client.BalanceSettings) {
	s.Controller.View(func(state *store.State) {
		b := state.Balance()
		is = client.BalanceSettings{Auto: b.Auto, Window: b.Window, CoolDown: b.CoolDown, PerHour: b.PerHour, AtOnce: b.AtOnce}
		_, is.Modified = state.Settings()
	})
	return is
}

func (s *server) setBalance(ctx context.Context, in *struct{ Body client.BalanceOrder }) (*tagged[client.BalanceSettings], error) {
	b := in.Body
	spec := store.BalanceSpec{Auto: b.Auto, Window: b.Window, CoolDown: b.CoolDown, PerHour: b.PerHour, AtOnce: b.AtOnce}
	_, err := s.write(ctx, "balance", func(ctx context.Context) (store.Revision, error) {
		return s.Store.Decide(ctx, store.Presuming(spec.Propose, match(ctx, store.SettingsKey())...), spec.Needs()...)
	})
	if err != nil {
		return nil, err
	}
	is := s.balanceNow()
	return show(ctx, is.Modified, is)
}
