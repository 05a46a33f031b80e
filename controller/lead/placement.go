package lead

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/store"
)

// placement is a gateway to write, for a tenant whose gateway is missing or impossible.
type placement struct {
	tenant   string
	gateway  store.Gateway
	modified store.Revision // of the gateway that it replaces; 0: none
	dead     string         // the host that it is taken over from; empty: none
}

// plan is what the leader writes of gateways at one time.
type plan struct {
	placements []placement
	problems   map[string]store.Problem // by tenant: no gateway host fits
	backupless map[string]store.Problem // by tenant: its gateway has no backup
	later      []string                 // tenants that are to move once others have
	slotless   []string                 // tenants for which a gateway host has no slot left
	waiting    []string                 // tenants that are to move to a host once that is ready
	central    string                   // the host of central tenants, where another is set; empty: it stays
}

// place chooses a gateway host for each tenant in doubt that needs one. A tenant whose
// gateway host exists and fits its policy keeps it: moving one is a decision, not a side
// effect. One whose host does not fit any more moves, a few at a time; one whose host is gone gets another at
// once. What it costs grows with the tenants in doubt and not with all. Nobody goes to a host that is shunned while there is
// another one, and nobody who names it before that ends.
func place(s *store.State, d doubts, now time.Time, shunned map[string]bool) plan {
	load := newLoads(s, shunned)
	p := plan{problems: map[string]store.Problem{}, backupless: map[string]store.Problem{}}
	for tenant := range d.of(s) {
		name := tenant.Key.Tenant
		current := s.Gateway(name)
		stands := current != nil && capable(s, current.Value.Active)
		if stands && (current.Value.Move != nil || fits(s, tenant, current.Value.Active)) {
			steps := load.backUp(current)
			if len(steps) == 0 {
				steps = turn(tenant, current)
			}
			p.placements = append(p.placements, steps...)
			if why := load.whyNoBackup(current.Value); why != "" {
				p.backupless[name] = store.ProblemOf(current.Key, "%s", why)
			}
			continue
		}
		if stands && !load.room(current.Value.Active) {
			p.later = append(p.later, name)
			continue
		}
		host, why, problem := load.choose(tenant)
		switch {
		case problem != "":
			p.problems[name] = store.ProblemOf(tenant.Key, "%s", problem)
		case !stands:
			p.placements = append(p.placements, placed(name, current, host, why, now))
		case s.FailOver() && !load.ready(host): // it went to its backup, and goes back once that host is ready
			p.waiting = append(p.waiting, name)
		case host != current.Value.Active && len(current.Value.Draining) < store.MaxDraining:
			p.placements = append(p.placements, load.moved(current, host, why, now))
		}
	}
	p.central = load.newCentral
	return p
}

// placed is the gateway of a tenant that has none, or whose host is gone. Through other hosts earlier connections go on.
func placed(tenant string, current *store.Item[store.Gateway], host, why string, now time.Time) placement {
	p := placement{tenant: tenant, gateway: store.Gateway{Active: host, Epoch: 1, Why: why, Since: now}}
	if current == nil {
		return p
	}
	before := current.Value
	p.gateway.Epoch, p.modified = before.Epoch+1, current.Modified
	p.gateway.Draining = slices.DeleteFunc(slices.Clone(before.Draining), func(h string) bool { return h == host })
	p.gateway.Standby = slices.DeleteFunc(slices.Clone(before.Standby), func(h string) bool { return h == host })
	p.gateway.Backup, p.gateway.Relay = before.Backup, before.Relay
	p.gateway.Leave(host)
	p.gateway.Ending = maps.Clone(before.Ending)
	delete(p.gateway.Ending, host)
	return p
}

// moved is the gateway with a move to another host.
func (l *loads) moved(current *store.Item[store.Gateway], host, why string, now time.Time) placement {
	gateway := *current.Value
	timeout := int(store.DefaultDrainTimeout / time.Second)
	if drain := l.s.Drain(gateway.Active); drain != nil {
		timeout, why = drain.Value.Timeout, gateway.Active+" is drained; "+why
	}
	gateway.Leave(host)
	gateway.Move = &store.Move{To: host, Since: now, Timeout: timeout, Why: why, Chosen: true}
	l.moving[gateway.Active]++
	return placement{tenant: current.Key.Tenant, gateway: gateway, modified: current.Modified}
}

// capable reports whether a host can be a gateway host at all.
func capable(s *store.State, host string) bool {
	h := s.Host(host)
	return h != nil && h.Value.Gateway
}

// fits reports whether a host may stay a tenant's gateway.
func fits(s *store.State, tenant *store.Item[store.Tenant], host string) bool {
	if !capable(s, host) || s.Drain(host) != nil {
		return false
	}
	switch policy := tenant.Value.Gateway; policy {
	case store.GatewayAuto, "":
		return true
	case store.GatewayCentral:
		return host == s.Central()
	default: // while the host that it names is drained it may be any other
		return policy == host || capable(s, policy) && s.Drain(policy) != nil
	}
}

// loads count tenants per gateway-capable host, with those that were chosen just now.
type loads struct {
	s          *store.State
	hosts      []*store.Item[store.Host] // all, sorted by name
	candidates []candidate               // those of them that are ready gateway hosts, or would be if they did not flap
	chosen     map[string]int
	backups    map[string]int // those that it was chosen for as a backup
	moving     map[string]int // how many gateways are on their way from a host
	newCentral string         // the host that central tenants share, where it was chosen just now
}

func newLoads(s *store.State, shunned map[string]bool) *loads {
	l := &loads{s: s, hosts: slices.Collect(s.Hosts()), chosen: map[string]int{}, backups: map[string]int{}, moving: map[string]int{}}
	for _, h := range l.hosts {
		if s.WhyNoGateway(h.Key.Host) == nil {
			l.candidates = append(l.candidates, candidate{h, !shunned[h.Key.Host]})
		}
	}
	for _, tenant := range s.Unsettled() {
		if g := s.Gateway(tenant).Value; g.Move != nil {
			l.moving[g.Active]++
			l.chosen[g.Move.To]++
		}
	}
	return l
}

// candidate is a host that somebody may go to.
type candidate struct {
	*store.Item[store.Host]
	ready bool // now: it does not flap
}

// room reports whether one more gateway may move away from a host now.
func (l *loads) room(host string) bool {
	atOnce := store.DefaultAtOnce
	if drain := l.s.Drain(host); drain != nil && drain.Value.AtOnce > 0 {
		atOnce = drain.Value.AtOnce
	}
	return l.moving[host] < atOnce
}

// centralHost is the host that central tenants share, chosen anew where that is none or drained.
func (l *loads) centralHost() string {
	if l.newCentral != "" {
		return l.newCentral
	}
	if central := l.s.Central(); capable(l.s, central) && l.s.Drain(central) == nil {
		return central
	}
	l.newCentral = l.shared()
	if l.newCentral == "" {
		l.newCentral, _ = l.lightest()
	}
	return l.newCentral
}

// shared is the host by which most central tenants leave already, where none was ever said; empty: there is none.
func (l *loads) shared() (host string) {
	if l.s.Central() != "" {
		return ""
	}
	most := map[string]int{}
	for _, tenant := range l.s.TenantsNaming(store.GatewayCentral) {
		g := l.s.Gateway(tenant)
		if g == nil || !capable(l.s, g.Value.Active) || l.s.Drain(g.Value.Active) != nil {
			continue
		}
		if most[g.Value.Active]++; host == "" || most[g.Value.Active] > most[host] {
			host = g.Value.Active
		}
	}
	return host
}

// choose returns a host and why, or the problem in the tenant's words.
func (l *loads) choose(tenant *store.Item[store.Tenant]) (host, why, problem string) {
	switch policy := tenant.Value.Gateway; {
	case policy == store.GatewayAuto, policy == "":
		host, why = l.lightest()
	case policy == store.GatewayCentral:
		host, why = l.centralHost(), "central: the host that all central tenants share"
	case !capable(l.s, policy):
		return "", "", noGateway(l.s.Host(policy), policy)
	case l.s.Drain(policy) != nil:
		host, _ = l.lightest()
		why = fmt.Sprintf("%s, which it names, is drained", policy)
	default:
		host, why = policy, "chosen by name"
	}
	if host == "" {
		return "", "", l.none()
	}
	l.chosen[host]++
	return host, why, ""
}

// none says why there is no gateway host to choose.
func (l *loads) none() string {
	for d := range l.s.Drains() {
		if capable(l.s, d.Key.Host) {
			return fmt.Sprintf("every gateway host is drained, such as %s: `sluice gateway undrain %s`, or start an agent with --gateway elsewhere", d.Key.Host, d.Key.Host)
		}
	}
	return "no gateway host is registered: start an agent with --gateway"
}

// noGateway says why a tenant has no way out by the host that it names.
func noGateway(host *store.Item[store.Host], name string) string {
	if host == nil {
		return fmt.Sprintf("gateway host %s is not registered: start its agent with --gateway, or choose another host", name)
	}
	return fmt.Sprintf("host %s is no gateway host: %s: or choose another", name, host.Value.WhyNoGateway())
}

// lightest is the ready gateway host with the fewest tenants for its weight, and why; the first by
// name among equals. Where none is ready it is any that is registered and not drained.
func (l *loads) lightest() (best, why string) {
	bestLoad, bestReady, ready := 0.0, false, 0
	for _, h := range l.hosts {
		name := h.Key.Host
		if !h.Value.Gateway || l.s.Drain(name) != nil {
			continue
		}
		isReady := l.ready(name)
		if isReady {
			ready++
		}
		load := float64(l.tenants(name)+1) / float64(max(h.Value.Weight, 1))
		if best == "" || isReady && !bestReady || isReady == bestReady && load < bestLoad {
			best, bestLoad, bestReady = name, load, isReady
		}
	}
	if best == "" {
		return "", ""
	}
	why = fmt.Sprintf("auto: the fewest tenants for its weight, %d at weight %d", l.tenants(best), max(l.s.Host(best).Value.Weight, 1))
	if !bestReady {
		return best, why + "; no gateway host is ready"
	}
	return best, fmt.Sprintf("%s; ready gateway hosts: %d", why, ready)
}

// ready reports whether somebody may go to a host now.
func (l *loads) ready(host string) bool {
	at, found := slices.BinarySearchFunc(l.candidates, host, func(c candidate, host string) int { return strings.Compare(c.Key.Host, host) })
	return found && l.candidates[at].ready
}

// tenants counts those of a host, and those that come there.
func (l *loads) tenants(host string) int { return l.s.ActiveVia(host) + l.chosen[host] }
