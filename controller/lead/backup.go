package lead

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/store"
)

// This file keeps a backup for each gateway, and makes the backup of a host that is dead the active one. Hosts send there
// by their own probes long before: what the leader writes says that it stays so when the dead host returns.

// backUp is the gateway with the backup that it should have, if it has another one. The one before stands by until nobody
// sends there.
func (l *loads) backUp(current *store.Item[store.Gateway]) []placement {
	g := *current.Value
	backup := l.backupFor(&g)
	if backup == g.Backup {
		return nil
	}
	if g.Backup != "" && l.s.Host(g.Backup) != nil {
		g.Standby = append(slices.Clone(g.Standby), g.Backup)
	}
	g.Backup = backup
	l.backups[backup]++
	return []placement{{tenant: current.Key.Tenant, gateway: g, modified: current.Modified}}
}

// backupFor is the backup that a gateway should have: the one that it has while that is ready, or no other is.
func (l *loads) backupFor(g *store.Gateway) (best string) {
	if !l.s.FailOver() {
		return ""
	}
	movers := g.Movers()
	if mayBackUp(l.s, movers, g.Backup) && (l.ready(g.Backup) || !l.anyReady(movers)) {
		return g.Backup
	}
	if best = l.lightestBackup(movers, true); best != "" {
		return best
	}
	return l.lightestBackup(movers, false) // one that flaps is better than none
}

// lightestBackup is the candidate that may be a backup of a gateway with these movers, is ready or flaps, and backs up least for its weight;
// empty: there is none.
func (l *loads) lightestBackup(movers []string, ready bool) (best string) {
	bestLoad := 0.0
	for _, h := range l.candidates {
		name := h.Key.Host
		if h.ready != ready || slices.Contains(movers, name) {
			continue
		}
		load := float64(l.s.ActiveVia(name)+l.s.BackupVia(name)+l.backups[name]+1) / float64(max(h.Value.Weight, 1))
		if best == "" || load < bestLoad {
			best, bestLoad = name, load
		}
	}
	return best
}

// whyNoBackup says why a gateway that is to have a backup gets none, and what to do; empty: it has or gets one. One that moves
// gets it afterwards.
func (l *loads) whyNoBackup(g *store.Gateway) string {
	if !l.s.FailOver() || g.Move != nil || l.backupFor(g) != "" || !l.s.MindsBackups() {
		return ""
	}
	if len(g.Draining)+len(g.Standby) > 0 && l.anyReady([]string{g.Active}) {
		return fmt.Sprintf("fail-over is on, and its gateway has no backup: connections still go on through %s, and no further gateway host is ready: "+
			"wait for them (sluice gateway list says until when), or start an agent with --gateway on another host", strings.Join(g.Movers()[1:], ", "))
	}
	return fmt.Sprintf("fail-over is on, and its gateway has no backup: no gateway host but %s is ready: start an agent with --gateway on another host", g.Active)
}

// anyReady reports whether a host could become the backup of a gateway with these movers.
func (l *loads) anyReady(movers []string) bool {
	for _, h := range l.candidates {
		if h.ready && !slices.Contains(movers, h.Key.Host) {
			return true
		}
	}
	return false
}

// mayBackUp reports whether a host may be a gateway's backup, ready or not.
func mayBackUp(s *store.State, movers []string, host string) bool {
	return capable(s, host) && s.Drain(host) == nil && !slices.Contains(movers, host)
}

// takeOver makes the backups of dead gateway hosts active. It says when to look again; nil: all gateway hosts are alive.
func (l *Leader) takeOver(ctx context.Context) <-chan time.Time {
	var away bool
	l.Picture.View(func(s *store.State) { away = s.FailOver() && gatewayAway(s) })
	if !away {
		return nil
	}
	reached, err := l.reached(ctx)
	if err != nil {
		l.Log.Warn("cannot look which gateway hosts are dead, trying again", "err", err)
		return time.After(seldom)
	}
	var all []placement
	l.Picture.View(func(s *store.State) {
		look := &look{s: s, reached: reached, now: now()}
		look.dead, look.cut = l.moves.dead(look), l.moves.cutOff(s)
		all = look.takeOvers()
	})
	for _, p := range all {
		if !l.put(ctx, p) {
			break
		}
	}
	l.noteFalls(all)
	return time.After(seldom)
}

// noteFalls notes the hosts that were taken over from, each once.
func (l *Leader) noteFalls(all []placement) {
	fell := map[string]bool{}
	for _, p := range all {
		if p.dead != "" && !fell[p.dead] {
			fell[p.dead] = true
			l.flaps.fell(p.dead, now())
		}
	}
}

// gatewayAway reports whether the agent of a host is away by which tenants leave, or finds no way out.
func gatewayAway(s *store.State) bool {
	for h := range s.Hosts() {
		if (s.LiveHost(h.Key.Host) == nil || h.Value.Cut) && s.ActiveVia(h.Key.Host) > 0 {
			return true
		}
	}
	return false
}

// takeOvers are the gateways of all hosts that are dead or cut off, by their backups.
func (l *look) takeOvers() (all []placement) {
	for h := range l.s.Hosts() {
		host := h.Key.Host
		if !l.dead[host] && !l.cut[host] {
			continue
		}
		for _, tenant := range l.s.TenantsVia(host) {
			if g := l.s.Gateway(tenant); g.Value.Active == host && l.s.WhyNoGateway(g.Value.Backup) == nil {
				all = append(all, placement{tenant: tenant, gateway: *l.takenOver(g.Value), modified: g.Modified, dead: host})
			}
		}
	}
	return all
}

// cutOff are the hosts whose way out is cut for deadTime, by this leader's own clock.
func (m *moves) cutOff(s *store.State) map[string]bool {
	off, since := map[string]bool{}, map[string]time.Time{}
	for h := range s.Hosts() {
		if !h.Value.Cut {
			continue
		}
		at, known := m.cut[h.Key.Host]
		if !known {
			at = time.Now()
		}
		since[h.Key.Host], off[h.Key.Host] = at, time.Since(at) >= deadTime
	}
	m.cut = since
	return off
}

// takenOver is the gateway with its backup as the active host. A move is given up: nobody sent to its host yet.
func (l *look) takenOver(g *store.Gateway) *store.Gateway {
	n := *g
	dead := g.Active
	is := func(host string) bool { return host == dead || host == g.Backup }
	n.Active, n.Backup, n.Since, n.Epoch, n.Balanced = g.Backup, "", l.now, g.Epoch+1, false
	n.Why = fmt.Sprintf("%s is dead: its backup took over", dead)
	if l.cut[dead] {
		n.Why = fmt.Sprintf("%s lost its way out: its backup took over", dead)
	}
	n.Draining, n.Standby = slices.DeleteFunc(slices.Clone(g.Draining), is), slices.DeleteFunc(slices.Clone(g.Standby), is)
	n.Ending = maps.Clone(g.Ending)
	if n.Move != nil && !is(n.Move.To) {
		n.Standby = append(n.Standby, n.Move.To)
	}
	n.Move = nil
	l.endings(&n)
	return &n
}
