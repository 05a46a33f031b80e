package lead

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"sluice/store"
)

// placement is a gateway to write, for a tenant whose gateway is missing or impossible.
type placement struct {
	tenant   string
	gateway  store.Gateway
	modified store.Revision // of the gateway that it replaces; 0: none
}

// doubts are the tenants that may lack a gateway, or have an impossible one. all stands for
// every tenant; it is so until somebody leads.
type doubts struct {
	all     bool
	tenants map[string]struct{}
}

func (d *doubts) note(tenant string) {
	if d.all {
		return
	}
	if d.tenants == nil {
		d.tenants = map[string]struct{}{}
	}
	d.tenants[tenant] = struct{}{}
}

func (d *doubts) noteAll() { *d = doubts{all: true} }

// change notes the tenants on whose gateway a change casts doubt, and reports whether there are any.
func (d *doubts) change(c store.Change) bool {
	switch c.Key.Kind {
	case store.KindHost, store.KindLiveHost:
		d.noteAll()
	case store.KindTenant, store.KindGateway:
		d.note(c.Key.Tenant)
	default:
		return false
	}
	return true
}

// take hands out the doubts.
func (d *doubts) take() doubts {
	taken := *d
	*d = doubts{}
	return taken
}

// of walks the tenants in doubt that exist, sorted by name.
func (d doubts) of(s *store.State) iter.Seq[*store.Item[store.Tenant]] {
	if d.all {
		return s.Tenants()
	}
	return func(yield func(*store.Item[store.Tenant]) bool) {
		for _, name := range slices.Sorted(maps.Keys(d.tenants)) {
			if tenant := s.Tenant(name); tenant != nil && !yield(tenant) {
				return
			}
		}
	}
}

// place chooses a gateway host for each tenant in doubt that needs one. A tenant whose
// gateway host exists and fits its policy keeps it: moving one is a decision, not a side
// effect. What it costs grows with the tenants in doubt and not with all.
func place(s *store.State, d doubts) ([]placement, map[string]store.Problem) {
	load := loads{s: s, chosen: map[string]int{}}
	var placements []placement
	problems := map[string]store.Problem{}
	for tenant := range d.of(s) {
		name := tenant.Key.Tenant
		current := s.Gateway(name)
		if current != nil && fits(s, tenant, current.Value.Active) {
			continue
		}
		host, why, problem := load.choose(tenant)
		if problem != "" {
			problems[name] = store.ProblemOf(tenant.Key, "%s", problem)
			continue
		}
		p := placement{tenant: name, gateway: store.Gateway{Active: host, Epoch: 1, Why: why}}
		if current != nil {
			p.gateway.Epoch, p.modified = current.Value.Epoch+1, current.Modified
		}
		placements = append(placements, p)
	}
	return placements, problems
}

// fits reports whether a host may stay a tenant's gateway.
func fits(s *store.State, tenant *store.Item[store.Tenant], host string) bool {
	h := s.Host(host)
	if h == nil || !h.Value.Gateway {
		return false
	}
	switch tenant.Value.Gateway {
	case store.GatewayAuto, store.GatewayCentral, "":
		return true
	}
	return tenant.Value.Gateway == host
}

// loads count tenants per gateway-capable host, with those that were chosen just now.
type loads struct {
	s       *store.State
	chosen  map[string]int
	central string // the host that central tenants share, once one was looked for
}

// centralHost is the host that central tenants share already, else the lightest.
func (l *loads) centralHost() string {
	if l.central != "" {
		return l.central
	}
	l.central = l.lightest()
	for t := range l.s.Tenants() {
		g := l.s.Gateway(t.Key.Tenant)
		if t.Value.Gateway == store.GatewayCentral && g != nil && fits(l.s, t, g.Value.Active) {
			l.central = g.Value.Active
		}
	}
	return l.central
}

// choose returns a host and why, or the problem in the tenant's words.
func (l *loads) choose(tenant *store.Item[store.Tenant]) (host, why, problem string) {
	switch policy := tenant.Value.Gateway; policy {
	case store.GatewayAuto, "":
		host, why = l.lightest(), "auto: the fewest tenants for its weight"
	case store.GatewayCentral:
		host, why = l.centralHost(), "central: the host that all central tenants share"
	default:
		if !fits(l.s, tenant, policy) {
			return "", "", noGateway(l.s.Host(policy), policy)
		}
		host, why = policy, "chosen by name"
	}
	if host == "" {
		return "", "", "no gateway host is registered: start an agent with --gateway"
	}
	l.chosen[host]++
	return host, why, ""
}

// noGateway says why a tenant has no way out by the host that it names.
func noGateway(host *store.Item[store.Host], name string) string {
	if host == nil {
		return fmt.Sprintf("gateway host %s is not registered: start its agent with --gateway, or choose another host", name)
	}
	return fmt.Sprintf("host %s is no gateway host: %s: or choose another", name, host.Value.WhyNoGateway())
}

// lightest is the live gateway host with the fewest tenants for its weight; the first by
// name among equals, and any that is registered if none is live.
func (l *loads) lightest() string {
	best, bestLoad, bestLive := "", 0.0, false
	for h := range l.s.Hosts() {
		if !h.Value.Gateway {
			continue
		}
		name := h.Key.Host
		load := float64(l.s.ActiveVia(name)+l.chosen[name]+1) / float64(max(h.Value.Weight, 1))
		live := l.s.LiveHost(name) != nil
		if best == "" || live && !bestLive || live == bestLive && load < bestLoad {
			best, bestLoad, bestLive = name, load, live
		}
	}
	return best
}
