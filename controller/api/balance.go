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

func (s *server) showBalance(ctx context.Context, _ *struct{}) (*body[client.GatewayBalance], error) {
	o, err := s.Controller.Outlook(ctx, traffic.Question{Start: balance.Stop, Most: maxProposed})
	if err != nil {
		return nil, s.refuse(err)
	}
	var settings store.Balance
	s.Controller.View(func(state *store.State) { settings = state.Balance() })
	shown := client.GatewayBalance{
		Settings: client.BalanceSettings(settings), Measured: int(o.Measured / time.Second), Hosts: []client.GatewayHost{}, Moves: []client.GatewayStep{},
		Before: o.Before, After: o.After, Goal: o.Goal, TooLarge: o.TooLarge,
	}
	for _, h := range o.Hosts {
		shown.Hosts = append(shown.Hosts, client.GatewayHost(h))
	}
	for _, m := range o.Moves {
		shown.Moves = append(shown.Moves, client.GatewayStep{Tenant: m.Tenant, From: m.From, To: m.To, Load: m.Load})
	}
	return &body[client.GatewayBalance]{shown}, nil
}

func (s *server) setBalance(ctx context.Context, in *struct{ Body client.BalanceOrder }) (*body[client.BalanceSettings], error) {
	spec := store.BalanceSpec(in.Body)
	_, err := s.write(ctx, "balance", func(ctx context.Context) (store.Revision, error) {
		return s.Store.Decide(ctx, spec.Propose, spec.Needs()...)
	})
	if err != nil {
		return nil, err
	}
	var is client.BalanceSettings
	s.Controller.View(func(state *store.State) { is = client.BalanceSettings(state.Balance()) })
	return &body[client.BalanceSettings]{is}, nil
}
