package lead

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/store"
	"sluice/store/etcd"
)

const (
	// prepareTime is how long the host that a gateway goes to may take to hold its flows. Then the gateway stays.
	prepareTime = 30 * time.Second
	// prepareOthers is how long its other gateway hosts may take. One that is down then is not waited for: what goes on
	// through it is lost anyway.
	prepareOthers = prepareTime / 3
	// deadTime is how long a host must have neither an agent nor a switch that a controller reaches, to drain no more.
	deadTime = 10 * time.Second
	// calmTime is how long a switch may still forward by what it cached of its flows of before: Open vSwitch confirms new
	// flows at once, and goes through its cache after that.
	calmTime = time.Second
)

// look is what the leader knows at one time of how far gateways and hosts are.
type look struct {
	s       *store.State
	reached map[string]etcd.Reach
	dead    map[string]bool // hosts that are gone for longer than deadTime
	cut     map[string]bool // hosts that have no way out for longer than that
	calm    map[string]bool // tenants of whose gateway all living hosts hold the flows for longer than calmTime
	now     time.Time
}

// next is the gateway that follows one, or nil while it stays as it is. Each value keeps the promise that flows of this
// one and of the next may stand side by side, host by host: whoever is sent to, or asked, in one of them
// is a member in both. So the order in which switches get them does not matter, and a leader
// that ends between two leaves one that the next leader goes on from.
func (l *look) next(g *store.Item[store.Gateway]) *store.Gateway {
	n := *g.Value
	n.Draining, n.Standby, n.Ending = slices.Clone(n.Draining), slices.Clone(n.Standby), maps.Clone(n.Ending)
	changed := l.forget(&n)
	if n.Move != nil {
		changed = l.move(g, &n) || changed
	} else {
		changed = l.drain(g, &n) || l.release(g, &n) || changed
	}
	changed = changed || l.relay(g, &n)
	if !changed {
		return nil
	}
	return &n
}

// forget takes the hosts out that are gone: nobody waits for what went on through them.
func (l *look) forget(n *store.Gateway) (changed bool) {
	gone := func(host string) bool {
		h := l.s.Host(host)
		return h == nil || !h.Value.Gateway || l.dead[host]
	}
	before := len(n.Draining) + len(n.Standby)
	n.Draining, n.Standby = slices.DeleteFunc(n.Draining, gone), slices.DeleteFunc(n.Standby, func(host string) bool {
		return host == n.Active || l.s.Host(host) == nil
	})
	l.endings(n)
	return len(n.Draining)+len(n.Standby) != before
}

// endings keeps only those of hosts that drain.
func (l *look) endings(n *store.Gateway) {
	maps.DeleteFunc(n.Ending, func(host string, _ store.Ending) bool { return !slices.Contains(n.Draining, host) })
}

// move switches to the host that the gateway goes to once that one is ready, with the others, or gives it up.
func (l *look) move(g *store.Item[store.Gateway], n *store.Gateway) (changed bool) {
	waited := l.now.Sub(n.Move.Since)
	switch problem := l.hinders(g, n.Move.To); {
	case l.unfit(g) != nil:
		l.stay(n, l.unfit(g))
	case problem == nil && l.othersReady(g, waited):
		l.switchOver(n)
	case waited >= prepareTime:
		l.stay(n, fmt.Errorf("%s was not ready within %s: %w", n.Move.To, prepareTime, cmp.Or(problem, errOthers)))
	default:
		return false
	}
	return true
}

// errOthers says that not the host that a gateway goes to is at fault.
var errOthers = fmt.Errorf("its gateway hosts do not confirm their flows: see sluice status")

// unfit says why a move makes no sense any more.
func (l *look) unfit(g *store.Item[store.Gateway]) error {
	tenant, to := l.s.Tenant(g.Key.Tenant), g.Value.Move.To
	h := l.s.Host(to)
	switch {
	case tenant == nil:
		return nil
	case h == nil || !h.Value.Gateway || l.s.Drain(to) != nil:
		return l.s.WhyNoGateway(to)
	case !fits(l.s, tenant, to):
		return fmt.Errorf("its policy is %s now", tenant.Value.Gateway)
	}
	return nil
}

// hinders says why a host cannot take a gateway's egress yet; nil: it can.
func (l *look) hinders(g *store.Item[store.Gateway], host string) error {
	if err := l.s.WhyNoGateway(host); err != nil {
		return err
	}
	at := l.reached[host]
	if at.Realized < g.Modified {
		return fmt.Errorf("its switch is at revision %d, not at %d", at.Realized, g.Modified)
	}
	for _, p := range at.Problems {
		networks := strings.TrimPrefix(store.Under(store.KindNetwork, g.Key.Tenant), store.Prefix)
		if p.Object == store.TenantKey(g.Key.Tenant).Short() || strings.HasPrefix(p.Object, networks) {
			return fmt.Errorf("%s: %s", p.Object, p.Text)
		}
	}
	return nil
}

// othersReady reports whether the other gateway hosts know of the one that is coming.
func (l *look) othersReady(g *store.Item[store.Gateway], waited time.Duration) bool {
	return !slices.ContainsFunc(g.Value.Members(), func(host string) bool {
		lost := l.dead[host] || waited >= prepareOthers && l.lost(host)
		return host != g.Value.Move.To && !lost && !l.confirmed(host, g.Modified)
	})
}

// lost reports whether no controller reaches a host's switch.
func (l *look) lost(host string) bool {
	at, mastered := l.reached[host]
	return l.s.Host(host) == nil || !mastered || at.Down
}

// confirmed reports whether a host's switch holds a revision.
func (l *look) confirmed(host string, rev store.Revision) bool {
	return l.reached[host].Realized >= rev
}

// stay gives the move up. Nothing was sent to the host yet: it is a standby until all know that.
func (l *look) stay(n *store.Gateway, why error) {
	n.Why = fmt.Sprintf("stays at %s: %v", n.Active, why)
	if to := n.Move.To; !slices.Contains(n.Draining, to) && l.s.Host(to) != nil {
		n.Standby = append(n.Standby, to)
	}
	n.Move = nil
}

// switchOver makes the host active that the gateway goes to, and has the one before drain.
func (l *look) switchOver(n *store.Gateway) {
	before, m := n.Active, n.Move
	isTo := func(host string) bool { return host == m.To }
	n.Active, n.Move, n.Why, n.Since, n.Epoch, n.Balanced = m.To, nil, m.Why, l.now, n.Epoch+1, m.Balanced
	n.Draining, n.Standby = slices.DeleteFunc(n.Draining, isTo), slices.DeleteFunc(n.Standby, isTo)
	if h := l.s.Host(before); h != nil && h.Value.Gateway && !l.dead[before] {
		n.Draining = append([]string{before}, n.Draining...)
		if n.Ending == nil {
			n.Ending = map[string]store.Ending{}
		}
		n.Ending[before] = store.Ending{Since: l.now, Until: l.now.Add(time.Duration(m.Timeout) * time.Second)}
	}
	l.endings(n)
}

// drain notes that all hosts send to the active one by now, and lets hosts go that have no connection left, or whose time is up.
func (l *look) drain(g *store.Item[store.Gateway], n *store.Gateway) (changed bool) {
	quiet := l.calm[g.Key.Tenant]
	for _, host := range slices.Clone(n.Draining) {
		ending := n.Ending[host]
		switch {
		case !l.now.Before(ending.Until), ending.Quiet && l.s.Emptied(host, g.Key.Tenant, g.Value.Epoch):
			n.Draining = slices.DeleteFunc(n.Draining, func(h string) bool { return h == host })
			n.Standby = append(n.Standby, host)
		case quiet && !ending.Quiet:
			ending.Quiet = true
			n.Ending[host] = ending
		default:
			continue
		}
		changed = true
	}
	l.endings(n)
	return changed
}

// release lets the standbys go once nobody asks them or sends there. A host that nobody reaches is waited for: its
// switch may be up, and go on by its flows.
func (l *look) release(g *store.Item[store.Gateway], n *store.Gateway) (changed bool) {
	if len(n.Standby) == 0 || !l.calm[g.Key.Tenant] || len(l.unconfirmed(g)) > 0 {
		return false
	}
	n.Standby = nil
	return true
}

// held reports whether the switches of all living hosts of a tenant hold its gateway as it is now.
func (l *look) held(g *store.Item[store.Gateway]) bool {
	return !slices.ContainsFunc(l.unconfirmed(g), func(host string) bool { return !l.dead[host] })
}

// unconfirmed are the hosts of a tenant whose switches do not hold its gateway as it is now, sorted. What a standby
// holds says nothing of who sends there.
func (l *look) unconfirmed(g *store.Item[store.Gateway]) (hosts []string) {
	hosts = g.Value.Asked()
	for network := range l.s.NetworksOf(g.Key.Tenant) {
		hosts = append(hosts, l.s.HostsOf(network.Key.NetworkName())...)
	}
	slices.Sort(hosts)
	return slices.DeleteFunc(slices.Compact(hosts), func(host string) bool {
		return l.s.Host(host) == nil || slices.Contains(g.Value.Standby, host) || l.confirmed(host, g.Modified)
	})
}
