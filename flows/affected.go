package flows

import (
	"slices"

	"sluice/store"
)

// Affected marks each slice of each host whose flows or problems may differ after changes.
// It is called after State.Apply, with the changes of that batch, before the next Apply. A
// slice that holds nothing any more is marked too: it is to be deleted.
//
// What comes to a host or leaves it is marked whole here, whatever the kinds of its slices;
// which other slices depend on which objects each section says for itself.
func Affected(s *store.State, changes []store.Change, mark func(host string, sl Slice)) {
	m := marker{state: s, mark: mark, marked: map[[2]string]struct{}{}}
	for _, c := range changes {
		m.comings(c)
		for i := range sections {
			sections[i].changed(m, c)
		}
	}
}

// AffectedPort marks the slices of a host that depend on the OpenFlow port of one
// interface, learned or lost; all says that every slice of the host does.
func AffectedPort(s *store.State, host, iface string, mark func(sl Slice)) (all bool) {
	if iface == store.TunnelInterface || iface == store.GatewayInterface || iface == store.ResolverInterface || isTrunk(s, host, iface) {
		return true
	}
	m := marker{state: s, mark: func(_ string, sl Slice) { mark(sl) }, marked: map[[2]string]struct{}{}}
	if hash, ok := store.ProbedHash(iface); ok {
		m.probe(host, hash)
	}
	if p := s.PortByInterface(host, iface); p != nil {
		for i := range sections {
			if changed := sections[i].interfaceChanged; changed != nil {
				changed(m, p)
			}
		}
	}
	return false
}

// comings marks whole what comes to hosts, leaves them, or changes in all that it has.
func (m marker) comings(c store.Change) {
	tenant := c.Key.Tenant
	switch c.Key.Kind {
	case store.KindHost:
		if !same(c, sameEncap) || !same(c, sameTrunkInterface) { // which decides what it reaches at all
			Slices(m.state, c.Key.Host, func(sl Slice) { m.mark(c.Key.Host, sl) })
		}
		if !same(c, sameTunnel) || !same(c, sameCapable) {
			for _, star := range m.stars(c.Key.Host) {
				m.whole(star, hostsOf(m.state, star)...)
			}
		}
	case store.KindSettings:
		if transitOf(c.Before) == transitOf(c.After) { // only edits by hand change it while there are tenants
			return
		}
		for h := range m.state.Hosts() {
			Slices(m.state, h.Key.Host, func(sl Slice) { m.mark(h.Key.Host, sl) })
		}
	case store.KindTenant:
		if !same(c, sameTenant) {
			m.whole(tenant, hostsOf(m.state, tenant)...)
			m.peersOf(tenant, presentOn(m.state, tenant)...)
		}
	case store.KindNetwork: // whether it is there decides where the tenant is present
		if !same(c, sameSegment) {
			m.whole(tenant, hostsOf(m.state, tenant)...)
			m.peersOf(tenant, presentOn(m.state, tenant)...)
		}
	case store.KindPresence:
		m.whole(tenant, c.Key.Host)
		m.peersOf(tenant, c.Key.Host)
		if m.state.Stirred(tenant) {
			m.whole(tenant, m.gatewayHosts(tenant)...)
		}
	case store.KindPeering:
		if slices.Contains(m.state.PeersNear(tenant), c.Key.Name) {
			m.whole(tenant, hostsOf(m.state, tenant)...)
			m.whole(c.Key.Name, hostsOf(m.state, c.Key.Name)...)
		}
	case store.KindGateway:
		if !m.slept(tenant) {
			m.whole(tenant, membersThatDiffer(c)...)
			if relayChanged(c) {
				m.whole(tenant, hostsOf(m.state, tenant)...)
			}
		}
	}
}

// transitOf is the transit range of a cluster with some settings, or none.
func transitOf(o store.Object) store.Transit {
	if settings, ok := o.(*store.Settings); ok {
		return settings.TransitOr(store.DefaultTransit)
	}
	return store.DefaultTransit
}

// membersThatDiffer are the hosts that became gateway hosts of a tenant, or are none any more.
func membersThatDiffer(c store.Change) []string {
	var hosts []string
	sides(c, func(g *store.Gateway) {
		for _, host := range g.Members() {
			if at := slices.Index(hosts, host); at >= 0 {
				hosts = slices.Delete(hosts, at, at+1)
			} else {
				hosts = append(hosts, host)
			}
		}
	})
	return hosts
}

// whole marks a tenant with all its networks and ports, on hosts: once for all changes of a batch, of which each may ask for it.
func (m marker) whole(tenant string, hosts ...string) {
	hosts = slices.DeleteFunc(slices.Clone(hosts), func(host string) bool {
		_, done := m.marked[[2]string{tenant, host}]
		m.marked[[2]string{tenant, host}] = struct{}{}
		return done
	})
	if len(hosts) == 0 {
		return
	}
	for _, number := range m.numbers(tenant) {
		slicesOfTenant(m.state, tenant, number, func(sl Slice, _ bool) {
			for _, host := range hosts {
				m.mark(host, sl)
			}
		})
	}
}

// slept reports whether a tenant had no port before the last batch and has none after: its gateway holds nothing.
func (m marker) slept(tenant string) bool { return !m.state.Awake(tenant) && !m.state.Stirred(tenant) }

// peersOf marks whole, on hosts of a tenant, those that it is peered with.
func (m marker) peersOf(tenant string, hosts ...string) {
	for _, peer := range m.state.PeersNear(tenant) {
		m.whole(peer, hosts...)
	}
}

// marker marks slices after the changes of one batch.
type marker struct {
	state  *store.State
	mark   func(host string, sl Slice)
	marked map[[2]string]struct{} // what is marked whole, by tenant and host
}

// numbers are those under which the tenant's slices may be installed.
func (m marker) numbers(tenant string) []uint32 {
	numbers := slices.Clone(m.state.FormerNumbers(tenant))
	if t := m.state.Tenant(tenant); t != nil {
		numbers = append(numbers, t.Value.Number)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// same reports whether an object was changed in nothing that equal compares. One whose claims
// changed, or that was created anew, counts as different.
func same[T store.Object](c store.Change, equal func(before, after T) bool) bool {
	if c.Before == nil || c.After == nil || c.Before == c.After || c.Anew {
		return false
	}
	return equal(c.Before.(T), c.After.(T))
}

// sides calls f for what an object was and for what it is.
func sides[T store.Object](c store.Change, f func(T)) {
	for _, o := range []store.Object{c.Before, c.After} {
		if v, ok := o.(T); ok {
			f(v)
		}
	}
}
