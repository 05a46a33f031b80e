package flows

import (
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

const kindPeering sliceKind = 7

func peeringSlice(tenant, peer uint32) Slice { return newSlice(kindPeering, tenant, peer) }

// peeringSection is one direction of a peering: how a tenant's frames enter the networks of the other one.
// The other direction is another slice, of the other tenant.
var peeringSection = section{
	kind: kindPeering, owner: "peering: the way from one tenant to another", object: "number of the other tenant",
	ofTenant: func(s *store.State, tenant string, number uint32, yield yieldSlice) {
		for _, name := range s.PeersOf(tenant) {
			peer := s.Tenant(name).Value.Number
			alone := number < beyondTenants && len(s.TenantClaimants(number)) == 0 && len(s.TenantClaimants(peer)) == 0
			yield(peeringSlice(number, peer), alone)
		}
	},
	compile: func(c *compiler, sl Slice) {
		if one, other := peeredBy(c.state, sl); one != nil && other != nil {
			c.peering(one, other)
		}
	},
	name: func(s *store.State, sl Slice) string {
		if one, other := peeredBy(s, sl); one != nil && other != nil {
			return "peering " + one.Key.Tenant + "/" + other.Key.Tenant
		}
		return ""
	},
	serves: func(s *store.State, _ string, sl Slice) []store.Key {
		one, other := peeredBy(s, sl)
		if one == nil || other == nil {
			return nil
		}
		return keyOf(s.Peering(one.Key.Tenant, other.Key.Tenant))
	},
	changed: peeringChanged,
}

// peeredBy are the two tenants of a slice; nil: nobody has the number.
func peeredBy(s *store.State, sl Slice) (one, other *store.Item[store.Tenant]) {
	return s.TenantByNumber(sl.Tenant()), s.TenantByNumber(sl.object())
}

// peeringChanged: whether two networks reach each other depends on all networks of both tenants, and on those
// that either reaches by another peering.
func peeringChanged(m marker, c store.Change) {
	switch c.Key.Kind {
	case store.KindPeering:
		if one, other := c.Key.Tenant, c.Key.Name; slices.Contains(m.state.PeersNear(one), other) {
			m.peerings(one)
			m.peerings(other)
		}
	case store.KindTenant:
		if !same(c, sameTenant) {
			m.peeringsAround(c.Key.Tenant)
		}
	case store.KindNetwork:
		if !same(c, sameSegment) || !same(c, sameSubnets) {
			m.peeringsAround(c.Key.Tenant)
		}
	}
}

// peeringsAround marks the peerings of a tenant and of those that it is peered with.
func (m marker) peeringsAround(tenant string) {
	m.peerings(tenant)
	for _, peer := range m.state.PeersNear(tenant) {
		m.peerings(peer)
	}
}

// peerings marks a tenant's peerings, in both directions.
func (m marker) peerings(tenant string) {
	for _, peer := range m.state.PeersNear(tenant) {
		m.peering(tenant, peer)
		m.peering(peer, tenant)
	}
}

func (m marker) peering(tenant, peer string) {
	for _, number := range m.numbers(tenant) {
		for _, other := range m.numbers(peer) {
			for _, host := range presentOn(m.state, tenant) {
				m.mark(host, peeringSlice(number, other))
			}
		}
	}
}

// peering emits the ways from the networks of a tenant that have a port here to those of another one. What
// keeps two networks apart is told.
func (c *compiler) peering(one, other *store.Item[store.Tenant]) {
	tenant, peer := one.Key.Tenant, other.Key.Tenant
	t, ok := c.tenantAt(tenant)
	u, peerOK := c.tenantAt(peer)
	obstacles, _, agreed := c.state.Obstacles(tenant, peer)
	if !ok || !peerOK || !t.present || !u.here() || !agreed {
		return
	}
	for _, o := range obstacles {
		c.problem(store.PeeringKey(tenant, peer), "networks %s and %s do not reach each other: %s", o.One, o.Other, o.Text)
	}
	for from := range c.state.NetworksOf(tenant) {
		n, ok := c.networkAt(from.Key.NetworkName())
		if !ok || !n.present {
			continue
		}
		for to := range c.state.NetworksOf(peer) {
			if m, ok := c.networkAt(to.Key.NetworkName()); ok && c.state.Crosses(from.Key.NetworkName(), to.Key.NetworkName()) {
				c.crossings(&n, &m)
			}
		}
	}
}

// crossings emits the ways from one network into another tenant's: from each subnet to each of the same family.
func (c *compiler) crossings(from, to *networkAt) {
	for i, own := range from.Value.Subnets {
		for j, others := range to.Value.Subnets {
			if own.Prefix.Addr().Is4() == others.Prefix.Addr().Is4() && c.stands(from.Item, i) && c.stands(to.Item, j) {
				c.crossing(from, to, own, others)
			}
		}
	}
}

// crossing lets what a container here sends to the router enter another tenant's network: it is that network's
// frame from here on. Its source must be of the subnet that answers come back to, also where the port may
// speak for others. The router of the other network answers here.
func (c *compiler) crossing(from, to *networkAt, own, others store.Subnet) {
	sent := []of.MatchField{from.match(), origin(originPort), ethDst(store.RouterMAC), ipSrc(own.Prefix)}
	c.flow(stepRoutePeering, with(sent, ipType(own.Gateway), ipDst(others.Prefix)), load(regScope, scopePeering),
		load(regFrom, uint64(from.tenant.number())), writeMetadata(to.metadata()), goTo(tableHop))
	router := with(sent, ipDst(single(others.Gateway)))
	if others.Gateway.Is4() {
		c.flow(stepRouteEcho, icmp(icmpEchoRequest, router...), goTo(tableAnswer))
	} else {
		c.flow(stepRouteEcho, icmp6(echo6Request, router...), goTo(tableAnswer))
	}
}
