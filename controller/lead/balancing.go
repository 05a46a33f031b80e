package lead

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/controller/balance"
	"sluice/controller/traffic"
	"sluice/store"
)

// This file moves gateways by themselves so that their hosts carry alike, where the cluster's settings ask for it.

const (
	// balanceInterval is how often the leader looks whether gateway hosts carry alike.
	balanceInterval = 10 * time.Second
	// balanceFloor is what the hottest host must carry, in bytes a second, before anything moves or is a problem: with
	// less, no gateway host of today has much to do.
	balanceFloor = 10e6 / 8
)

// balancing is what the leader remembers of it.
type balancing struct {
	goesOn bool                 // it moved some, and has not reached the goal
	tried  map[string]time.Time // by tenant: when a move was asked for, whatever became of it
}

// balance moves the gateways that are due, where hosts do not carry alike.
func (l *Leader) balance(ctx context.Context) {
	var settings store.Balance
	l.Picture.View(func(s *store.State) { settings = s.Balance() })
	if !settings.Auto {
		l.mu.Lock()
		l.balancing = balancing{}
		l.mu.Unlock()
		l.tell(&l.balanceProblems, nil)
		return
	}
	b := &balancer{Leader: l, Balance: settings, now: now()}
	o, err := l.Outlook(ctx, b.question())
	if err != nil {
		l.Log.Warn("cannot look whether gateway hosts carry alike, trying again", "err", err)
		return
	}
	if o.Measured < settings.WindowTime() { // a mean of too short a time: of another leader's time nothing is known
		return
	}
	l.tell(&l.balanceProblems, tooLarge(&o))
	if o.Hottest() < balanceFloor {
		o.Moves = nil
	}
	l.balancing.goesOn = len(o.Moves) > 0
	b.carryOut(ctx, &o)
}

// balancer is one look.
type balancer struct {
	*Leader
	store.Balance
	now time.Time
}

// question asks for the moves that the hosts lack; once some were made, for those that lead to the goal.
func (b *balancer) question() traffic.Question {
	q := traffic.Question{Start: balance.Start, Most: b.PerHour, Rests: b.rests}
	if b.balancing.goesOn {
		q.Start = balance.Stop
	}
	return q
}

// rests reports whether a tenant moved, or was to move, a moment ago.
func (b *balancer) rests(tenant string, g *store.Gateway) bool {
	moved := g.Epoch > 1 && b.now.Sub(g.Since) < b.CoolDownTime()
	tried, has := b.balancing.tried[tenant]
	return moved || has && b.now.Sub(tried) < b.CoolDownTime()
}

// carryOut asks for as many of the moves as may be made now.
func (b *balancer) carryOut(ctx context.Context, o *traffic.Outlook) {
	if len(o.Moves) == 0 {
		return
	}
	room := b.room()
	for _, m := range o.Moves[:min(room, len(o.Moves))] {
		why := fmt.Sprintf("%s carries %.2f times its share of traffic", m.From, o.Before)
		err := b.ask(ctx, store.MoveSpec{Tenant: m.Tenant, Host: m.To, Timeout: int(store.BalanceDrainTimeout / time.Second), Balance: why, Now: b.now})
		switch {
		case errors.Is(err, context.Canceled):
			return
		case err != nil:
			b.Log.Warn("cannot move a gateway so that hosts carry alike", "tenant", m.Tenant, "host", m.From, "to", m.To, "err", err)
		default:
			b.Balanced.Inc()
			b.Log.Info("gateway is to move so that hosts carry alike", "tenant", m.Tenant, "host", m.From, "to", m.To, "bytes", int(m.Load), "why", why)
		}
		b.note(m.Tenant)
	}
}

// ask writes that a gateway is to move, by the same rules as for one that people move.
func (b *balancer) ask(ctx context.Context, spec store.MoveSpec) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	_, err := b.Store.Decide(ctx, spec.Propose, spec.Needs()...)
	return err
}

// note keeps in mind that a move was asked for, and forgets those that count for nothing any more.
func (b *balancer) note(tenant string) {
	if b.balancing.tried == nil {
		b.balancing.tried = map[string]time.Time{}
	}
	b.balancing.tried[tenant] = b.now
	for tenant, at := range b.balancing.tried {
		if b.now.Sub(at) >= max(time.Hour, b.CoolDownTime()) {
			delete(b.balancing.tried, tenant)
		}
	}
}

// room is how many moves may begin now: by those that are under way, and by those of the last hour.
func (b *balancer) room() int {
	moving, made := 0, map[string]bool{}
	b.Picture.View(func(s *store.State) {
		for g := range s.BalancedGateways() {
			switch v := g.Value; {
			case v.Move != nil && v.Move.Balanced:
				moving++
				made[g.Key.Tenant] = true
			case v.Balanced && b.now.Sub(v.Since) < time.Hour:
				made[g.Key.Tenant] = true
			}
		}
	})
	for tenant, at := range b.balancing.tried {
		if b.now.Sub(at) < time.Hour {
			made[tenant] = true
		}
	}
	return max(0, min(b.AtOnce-moving, b.PerHour-len(made)))
}

// tooLarge are the tenants that alone are more than a gateway host's share, where that is what keeps hosts from carrying alike.
func tooLarge(o *traffic.Outlook) (problems store.Problems) {
	if o.After <= balance.Stop || o.Hottest() < balanceFloor || len(o.Loads) < 2 {
		return nil
	}
	for _, tenant := range slices.Sorted(slices.Values(o.TooLarge)) {
		problems = append(problems, store.ProblemOf(store.GatewayKey(tenant),
			"its traffic alone is more than a gateway host's share (%.0f Mbit/s for a weight of 1), so that no move makes gateway hosts carry alike: "+
				"limit its rate (`sluice tenant set %s --limit-egress-kbps`), spread its work over several tenants, or give one gateway host more weight",
			o.Mean()*8/1e6, tenant))
	}
	return problems
}
