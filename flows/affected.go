package flows

import (
	"slices"

	"sluice/store"
)

// Affected marks each slice of each host whose flows may differ after a change. It is
// called after State.Apply, for each change of that batch, before the next Apply. A slice
// that holds nothing any more is marked too: it is to be deleted.
//
// This is the only place that knows which flows depend on which objects.
func Affected(s *store.State, c store.Change, mark func(host string, sl Slice)) {
	m := marker{s, mark}
	switch c.Key.Kind {
	case store.KindTenant:
		m.tenantChanged(c)
	case store.KindNetwork:
		m.networkChanged(c)
	case store.KindPort:
		m.portChanged(c)
	case store.KindPresence:
		m.presenceChanged(c)
	case store.KindGateway:
		m.gatewayChanged(c)
	case store.KindHost:
		m.hostChanged(c)
	}
}

// AffectedPort marks the slices of a host that depend on the OpenFlow port of one
// interface, learned or lost; all says that every slice of the host does.
func AffectedPort(s *store.State, host, iface string, mark func(sl Slice)) (all bool) {
	if iface == store.TunnelInterface || iface == store.GatewayInterface {
		return true
	}
	m := marker{s, func(_ string, sl Slice) { mark(sl) }}
	if p := s.PortByInterface(host, iface); p != nil {
		m.port(host, p.Key.Tenant, p.Value.Number)
		m.network(host, p.Key.NetworkName())
	}
	return false
}

type marker struct {
	state *store.State
	mark  func(host string, sl Slice)
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

// hosts are those that hold, or held before this batch, flows of the tenant.
func (m marker) hosts(tenant string, more ...string) []string {
	hosts := append(m.state.FormerHosts(tenant), more...)
	if g := m.state.Gateway(tenant); g != nil {
		hosts = append(hosts, gatewayChain(g.Value)...)
	}
	for n := range m.state.NetworksOf(tenant) {
		hosts = append(hosts, m.state.HostsOf(n.Key.NetworkName())...)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func (m marker) tenant(host, tenant string) {
	for _, number := range m.numbers(tenant) {
		m.mark(host, tenantSlice(number))
	}
}

func (m marker) port(host, tenant string, port uint32) {
	for _, number := range m.numbers(tenant) {
		m.mark(host, portSlice(number, port))
	}
}

// network marks a network without its ports.
func (m marker) network(host string, name store.NetworkName) {
	if n := m.state.Network(name); n != nil {
		m.networkNumber(host, name.Tenant, n.Value.Number)
	}
}

func (m marker) networkNumber(host, tenant string, network uint32) {
	for _, number := range m.numbers(tenant) {
		m.mark(host, networkSlice(number, network))
	}
}

// ports marks all ports of a network.
func (m marker) ports(host string, name store.NetworkName) {
	for p := range m.state.PortsOf(name) {
		m.port(host, name.Tenant, p.Value.Number)
	}
}

// whole marks a tenant with all its networks and ports.
func (m marker) whole(host, tenant string) {
	for _, number := range m.numbers(tenant) {
		tenantSlices(m.state, tenant, number, func(sl Slice, _ bool) { m.mark(host, sl) })
	}
}

// same tells whether an object was changed in nothing that equal compares. One whose claims
// changed, or that was created anew, counts as different.
func same[T store.Object](c store.Change, equal func(before, after T) bool) bool {
	if c.Before == nil || c.After == nil || c.Before == c.After || c.Anew {
		return false
	}
	return equal(c.Before.(T), c.After.(T))
}

func (m marker) tenantChanged(c store.Change) {
	if same(c, func(a, b *store.Tenant) bool { return a.Number == b.Number && slices.Equal(a.Hosts, b.Hosts) }) {
		return
	}
	for _, host := range m.hosts(c.Key.Tenant) {
		m.whole(host, c.Key.Tenant)
	}
}

// networkChanged: a network's subnets are its own, its ports' and its tenant's affair; its
// number and segment may be contested, which concerns its ports, and its very existence decides where
// the tenant is present.
func (m marker) networkChanged(c store.Change) {
	name := c.Key.NetworkName()
	segment := same(c, func(a, b *store.Network) bool {
		return a.Number == b.Number && a.Segmentation == b.Segmentation && a.Segment == b.Segment
	})
	subnets := same(c, func(a, b *store.Network) bool { return slices.Equal(a.Subnets, b.Subnets) })
	for _, host := range m.hosts(name.Tenant, m.state.HostsOf(name)...) {
		if segment {
			m.tenant(host, name.Tenant)
			m.network(host, name)
			if !subnets {
				m.ports(host, name)
				m.overlapping(host, c)
			}
			continue
		}
		m.whole(host, name.Tenant)
		for _, o := range []store.Object{c.Before, c.After} {
			if n, ok := o.(*store.Network); ok {
				m.networkNumber(host, name.Tenant, n.Number)
			}
		}
		m.ports(host, name)
	}
}

// overlapping marks the tenant's other networks whose subnets overlap what the network had or
// has: only one of two such stands.
func (m marker) overlapping(host string, c store.Change) {
	for other := range m.state.NetworksOf(c.Key.Tenant) {
		name := other.Key.NetworkName()
		if name != c.Key.NetworkName() && (overlap(other.Value, c.Before) || overlap(other.Value, c.After)) {
			m.network(host, name)
			m.ports(host, name)
		}
	}
}

// overlap reports whether a network has a subnet that overlaps one of another.
func overlap(n *store.Network, o store.Object) bool {
	other, ok := o.(*store.Network)
	return ok && slices.ContainsFunc(n.Subnets, func(s store.Subnet) bool {
		return slices.ContainsFunc(other.Subnets, func(t store.Subnet) bool { return s.Prefix.Overlaps(t.Prefix) })
	})
}

// portChanged: every host of the tenant knows the way to the port; its own host besides
// copies broadcasts to it.
func (m marker) portChanged(c store.Change) {
	if same(c, samePort) {
		return
	}
	name := c.Key.NetworkName()
	for _, host := range m.hosts(name.Tenant, c.Key.Host) {
		for _, o := range []store.Object{c.Before, c.After} {
			if p, ok := o.(*store.Port); ok && (o == c.After || c.After == nil || p.Number != c.After.(*store.Port).Number) {
				m.port(host, name.Tenant, p.Number)
			}
		}
	}
	m.network(c.Key.Host, name)
}

func samePort(a, b *store.Port) bool {
	return a.Number == b.Number && a.MAC == b.MAC && a.Interface == b.Interface &&
		slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.AllowedPairs, b.AllowedPairs)
}

// presenceChanged: the host gains or loses all that it holds of the tenant, and the
// network's other hosts copy broadcasts to it or cease to.
func (m marker) presenceChanged(c store.Change) {
	m.whole(c.Key.Host, c.Key.Tenant)
	name := c.Key.NetworkName()
	for _, host := range m.state.HostsOf(name) {
		if host != c.Key.Host {
			m.network(host, name)
		}
	}
}

// gatewayChanged: the old and the new gateway hosts gain or lose the whole tenant, its
// other hosts only steer elsewhere.
func (m marker) gatewayChanged(c store.Change) {
	if same(c, func(a, b *store.Gateway) bool { return slices.Equal(gatewayChain(a), gatewayChain(b)) }) {
		return
	}
	var chain []string
	for _, o := range []store.Object{c.Before, c.After} {
		if g, ok := o.(*store.Gateway); ok {
			chain = append(chain, gatewayChain(g)...)
		}
	}
	for _, host := range m.hosts(c.Key.Tenant, chain...) {
		if slices.Contains(chain, host) {
			m.whole(host, c.Key.Tenant)
		} else {
			m.tenant(host, c.Key.Tenant)
		}
	}
}

// hostChanged: its infrastructure is its own affair; its VTEPs are everybody's who sends
// there: every host as a peer, and the hosts of each tenant that has ports or a gateway on it.
// Which VTEPs it holds may change without the host itself, by what another claims. Its
// datapath id, if another has it, is a problem that its peers tell.
func (m marker) hostChanged(c store.Change) {
	host := c.Key.Host
	vteps := same(c, func(a, b *store.Host) bool { return slices.Equal(a.VTEPs, b.VTEPs) })
	if !vteps || !same(c, func(a, b *store.Host) bool { return slices.Equal(a.Infrastructure, b.Infrastructure) }) {
		m.mark(host, baseSlice())
	}
	if c.Before == nil {
		Slices(m.state, host, func(sl Slice) { m.mark(host, sl) })
	}
	if !vteps || !same(c, func(a, b *store.Host) bool { return a.DatapathID == b.DatapathID }) {
		m.peer(host)
	}
	if !vteps {
		m.behind(host)
	}
}

// peer marks what every other host knows of a host.
func (m marker) peer(host string) {
	for other := range m.state.Hosts() {
		if other.Key.Host != host {
			m.mark(other.Key.Host, peerSlice(host))
		}
	}
}

// behind marks what leads to a host's VTEP.
func (m marker) behind(host string) {
	for _, n := range m.state.NetworksOn(host) {
		for _, other := range m.hosts(n.Tenant) {
			m.network(other, n)
			for _, p := range m.state.PortsAt(host, n) {
				m.port(other, n.Tenant, p.Value.Number)
			}
		}
	}
	for _, tenant := range m.state.TenantsVia(host) {
		for _, other := range m.hosts(tenant) {
			m.tenant(other, tenant)
		}
	}
}
