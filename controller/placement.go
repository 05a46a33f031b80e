package controller

import (
	"fmt"

	"sluice/store"
)

// placement is a gateway to write, for a tenant whose gateway is missing or impossible.
type placement struct {
	tenant   string
	gateway  store.Gateway
	modified store.Revision // of the gateway that it replaces; 0: none
}

// place chooses a gateway host for each tenant that needs one. A tenant whose gateway host
// exists and fits its policy keeps it: moving one is a decision, not a side effect.
func place(s *store.State) ([]placement, []store.Problem) {
	load := newLoads(s)
	var placements []placement
	var problems []store.Problem
	for tenant := range s.Tenants() {
		name := tenant.Key.Tenant
		current := s.Gateway(name)
		if current != nil && fits(s, tenant, current.Value.Active) {
			continue
		}
		host, why, problem := load.choose(tenant)
		if problem != "" {
			problems = append(problems, store.Problem{Object: tenant.Key.Short(), Text: problem})
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

// fits tells whether a host may stay a tenant's gateway.
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

// loads count tenants per gateway-capable host.
type loads struct {
	s       *store.State
	hosts   []*store.Item[store.Host]
	tenants map[string]int
	central string // the host that central tenants share already
}

func newLoads(s *store.State) *loads {
	l := &loads{s: s, tenants: map[string]int{}}
	for h := range s.Hosts() {
		if h.Value.Gateway {
			l.hosts = append(l.hosts, h)
		}
	}
	for g := range s.Gateways() {
		l.tenants[g.Value.Active]++
		t := s.Tenant(g.Key.Tenant)
		if t != nil && t.Value.Gateway == store.GatewayCentral && fits(s, t, g.Value.Active) {
			l.central = g.Value.Active
		}
	}
	return l
}

// choose returns a host and why, or the problem in the tenant's words.
func (l *loads) choose(tenant *store.Item[store.Tenant]) (host, why, problem string) {
	switch policy := tenant.Value.Gateway; policy {
	case store.GatewayAuto, "":
		host, why = l.lightest(), "auto: the fewest tenants for its weight"
	case store.GatewayCentral:
		if l.central == "" {
			l.central = l.lightest()
		}
		host, why = l.central, "central: the host that all central tenants share"
	default:
		if !fits(l.s, tenant, policy) {
			return "", "", fmt.Sprintf("gateway host %s is not registered as one: start its agent with --gateway, or choose another host", policy)
		}
		host, why = policy, "chosen by name"
	}
	if host == "" {
		return "", "", "no gateway host is registered: start an agent with --gateway"
	}
	l.tenants[host]++
	return host, why, ""
}

// lightest is the live gateway host with the fewest tenants for its weight; the first by
// name among equals, and any that is registered if none is live.
func (l *loads) lightest() string {
	best, bestLoad, bestLive := "", 0.0, false
	for _, h := range l.hosts {
		name := h.Key.Host
		load := float64(l.tenants[name]+1) / float64(max(h.Value.Weight, 1))
		live := l.s.LiveHost(name) != nil
		if best == "" || live && !bestLive || live == bestLive && load < bestLoad {
			best, bestLoad, bestLive = name, load, live
		}
	}
	return best
}
