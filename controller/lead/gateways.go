package lead

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"sluice/store"
	"sluice/store/etcd"
)

const (
	// writeTime bounds the write of one gateway.
	writeTime = 5 * time.Second
	// soon is how often the leader looks at gateways that move, which are steps of some hundred milliseconds.
	soon = 100 * time.Millisecond
	// seldom is how often it looks at those that wait for connections to end, of which the hosts tell.
	seldom = 2 * time.Second
)

// moves are what the leader remembers of gateways that move.
type moves struct {
	looked time.Time            // when it looked last
	waited time.Time            // when it looked last at those that wait for connections to end
	away   map[string]time.Time // since when a host is away
	cut    map[string]time.Time // since when a host's way out is cut
	held   map[string]held      // since when all hosts of a tenant hold its gateway
}

// held is since when all hosts of a tenant hold its gateway as of a revision.
type held struct {
	modified store.Revision
	since    time.Time
}

// placeGateways writes the gateways that are missing, and those that are to move. A conflict means that somebody was
// faster: the next change shows what they wrote.
func (l *Leader) placeGateways(ctx context.Context) {
	p, looked := l.choose()
	if looked {
		l.Changed()
	}
	if p.central != "" && !l.setCentral(ctx, p.central) {
		l.doubt(p.placements) // a central tenant would be moved back
		return
	}
	for i, placement := range p.placements {
		if !l.put(ctx, placement) {
			l.doubt(p.placements[i:])
			return
		}
	}
}

// put writes a gateway where it is still what was looked at. False: try again.
func (l *Leader) put(ctx context.Context, p placement) bool {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	g := p.gateway.WithSlots(nil)
	at, err := l.Store.PutIf(ctx, store.GatewayKey(p.tenant), &g, p.modified, 0)
	switch {
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound):
		return true // somebody was faster, or the tenant is gone
	case err != nil:
		l.Log.Warn("cannot place a gateway, trying again", "tenant", p.tenant, "err", err)
		return false
	case g.Move != nil:
		l.slots.wrote(at)
		l.Log.Info("gateway is to move", "tenant", p.tenant, "host", g.Active, "to", g.Move.To, "why", g.Move.Why)
	default:
		l.slots.wrote(at)
		l.Log.Info("gateway placed", "tenant", p.tenant, "host", g.Active, "why", g.Why, "draining", g.Draining, "relay", g.Relay)
	}
	return true
}

// setCentral writes by which host central tenants leave. False: try again.
func (l *Leader) setCentral(ctx context.Context, host string) bool {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	var settings store.Settings
	var at store.Revision
	l.Picture.View(func(s *store.State) { settings, at = s.Settings() })
	settings.Central = host
	if _, err := l.Store.PutIf(ctx, store.SettingsKey(), &settings, at, 0); err != nil {
		l.Log.Warn("cannot say by which host central tenants leave, trying again", "host", host, "err", err)
		return false
	}
	l.Log.Info("central tenants leave by another host", "host", host)
	return true
}

// choose chooses for the tenants in doubt, and keeps the problems of those that cannot be served. It reports whether there
// was any in doubt.
func (l *Leader) choose() (p plan, looked bool) {
	l.Picture.View(func(s *store.State) {
		l.mu.Lock()
		defer l.mu.Unlock()
		d, all := l.inDoubt(s)
		if looked = all || len(d.tenants) > 0; !looked {
			return
		}
		p = place(s, d, now(), l.flaps.shunned(now()))
		l.slots.complete(s, d, &p)
		l.keep(d, p)
	})
	return p, looked
}

// inDoubt are the tenants to look at now. Where that is to be all of them, it says so, and these are the first. The caller has locked l.mu.
func (l *Leader) inDoubt(s *store.State) (d doubts, all bool) {
	d = l.doubts.take()
	all = d.all
	l.flaps.look(func(host string) bool { return s.WhyNoGateway(host) == nil })
	for _, host := range l.flaps.ended(now()) {
		d.noteHost(host)
	}
	l.ofHosts(s, &d, l.flaps.shunned(now()))
	l.shorten(&d)
	l.sweep(s, &d)
	for n := 0; len(l.later) > 0 && n <= store.MaxAtOnce; n++ { // as many as there may be room for
		d.note(l.later[0])
		l.later = l.later[1:]
	}
	return d, all
}

// keep remembers what became of the tenants that were in doubt. The caller has locked l.mu.
func (l *Leader) keep(d doubts, p plan) {
	looked := func(tenant string) bool { _, in := d.tenants[tenant]; return in }
	l.later = append(slices.DeleteFunc(l.later, looked), p.later...)
	for tenant := range d.tenants {
		delete(l.unplaced, tenant)
		delete(l.backupless, tenant)
		delete(l.slotless, tenant)
		delete(l.waiting, tenant)
	}
	for _, tenant := range p.slotless {
		l.slotless[tenant] = struct{}{}
	}
	for _, tenant := range p.waiting {
		l.waiting[tenant] = struct{}{}
	}
	maps.Copy(l.unplaced, p.problems)
	maps.Copy(l.backupless, p.backupless)
}

// now is the time as gateways tell it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// doubt keeps placements that were not written for the next try.
func (l *Leader) doubt(placements []placement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range placements {
		l.doubts.note(p.tenant)
	}
}

// bringOn brings the gateways on that move, or of which something waits to end. It says when to look again; nil: there
// are none.
func (l *Leader) bringOn(ctx context.Context) <-chan time.Time {
	var unsettled []string
	l.Picture.View(func(s *store.State) { unsettled = s.Unsettled() })
	if len(unsettled) == 0 {
		return nil
	}
	if rest := soon - time.Since(l.moves.looked); rest > 0 {
		return time.After(rest)
	}
	l.moves.looked = time.Now()
	reached, err := l.reached(ctx)
	if err != nil {
		l.Log.Warn("cannot bring gateways on that move, trying again", "err", err)
		return time.After(seldom)
	}
	steps, again := l.steps(unsettled, reached)
	for _, step := range steps {
		if !l.put(ctx, step) {
			return time.After(seldom)
		}
	}
	return time.After(again)
}

// reached reads how far hosts are.
func (l *Leader) reached(ctx context.Context) (map[string]etcd.Reach, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	return l.Store.Reached(ctx)
}

// steps are the gateways that follow some, and when to look again.
func (l *Leader) steps(tenants []string, reached map[string]etcd.Reach) (steps []placement, again time.Duration) {
	again = seldom
	all := time.Since(l.moves.waited) >= seldom/2
	if all {
		l.moves.waited = time.Now()
	}
	l.Picture.View(func(s *store.State) {
		look := &look{s: s, reached: reached, now: now()}
		look.dead = l.moves.dead(look)
		look.calm = l.moves.calm(look, tenants)
		for _, tenant := range tenants {
			g := s.Gateway(tenant)
			if g == nil || waits(g.Value) && !all {
				continue
			}
			if next := look.next(g); next != nil {
				steps = append(steps, placement{tenant: tenant, gateway: *next, modified: g.Modified})
			}
			if !waits(g.Value) {
				again = soon
			}
		}
	})
	return steps, again
}

// waits reports whether a gateway waits for nothing but connections that end. A host that is drained may have thousands of these.
func waits(g *store.Gateway) bool {
	return g.Move == nil && len(g.Standby) == 0 && g.Relay != store.RelayReady && quiet(g)
}

// quiet reports whether no host sends new connections to those that drain.
func quiet(g *store.Gateway) bool {
	for _, host := range g.Draining {
		if !g.Ending[host].Quiet {
			return false
		}
	}
	return true
}

// calm are the tenants of whose gateway all living hosts hold the flows for calmTime, by this leader's own clock.
func (m *moves) calm(l *look, tenants []string) map[string]bool {
	calm, now := map[string]bool{}, map[string]held{}
	for _, tenant := range tenants {
		g := l.s.Gateway(tenant)
		if g == nil || waits(g.Value) || !l.held(g) {
			continue
		}
		since := m.held[tenant]
		if since.modified != g.Modified {
			since = held{g.Modified, time.Now()}
		}
		now[tenant], calm[tenant] = since, time.Since(since.since) >= calmTime
	}
	m.held = now
	return calm
}

// dead are the hosts whose agent and switch are both away for deadTime, by this leader's own clock.
func (m *moves) dead(l *look) map[string]bool {
	dead, away := map[string]bool{}, map[string]time.Time{}
	for h := range l.s.Hosts() {
		host := h.Key.Host
		if l.s.LiveHost(host) != nil || !l.lost(host) {
			continue
		}
		since, known := m.away[host]
		if !known {
			since = time.Now()
		}
		away[host], dead[host] = since, time.Since(since) >= deadTime
	}
	m.away = away
	return dead
}
