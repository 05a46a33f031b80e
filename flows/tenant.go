package flows

import (
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

const kindTenant sliceKind = 3

func tenantSlice(tenant uint32) Slice { return newSlice(kindTenant, tenant, 0) }

// tenantSection is a tenant's counters and its way out.
var tenantSection = section{
	kind: kindTenant, owner: "tenant", object: "0",
	ofTenant: func(s *store.State, _ string, number uint32, yield yieldSlice) {
		yield(tenantSlice(number), number < beyondTenants && len(s.TenantClaimants(number)) == 0)
	},
	compile: compileTenants,
	name: func(s *store.State, sl Slice) string {
		if t := s.TenantByNumber(sl.Tenant()); t != nil {
			return "tenant " + t.Key.Tenant
		}
		return ""
	},
	serves: func(s *store.State, _ string, sl Slice) []store.Key {
		return keyOf(s.TenantByNumber(sl.Tenant()))
	},
	changed: tenantChanged,
}

// compileTenants compiles the tenants that say the slice's number.
func compileTenants(c *compiler, sl Slice) {
	if sl.Tenant() < beyondTenants {
		claimants(c, c.state.TenantByNumber(sl.Tenant()), c.state.TenantClaimants(sl.Tenant()), (*compiler).tenant)
		return
	}
	for t := range c.state.Tenants() {
		if t.Value.Number >= beyondTenants {
			c.tenant(t)
		}
	}
}

// tenantChanged: the tenant speaks with a router's address of its networks, and sends its
// egress to the VTEPs of its gateway hosts.
func tenantChanged(m marker, c store.Change) {
	switch c.Key.Kind {
	case store.KindNetwork:
		if !same(c, sameSubnets) {
			m.tenant(c.Key.Tenant, hostsOf(m.state, c.Key.Tenant))
		}
	case store.KindGateway:
		if !same(c, sameGateway) {
			m.tenant(c.Key.Tenant, hostsOf(m.state, c.Key.Tenant))
		}
	case store.KindHost:
		if !same(c, sameTunnel) {
			for _, tenant := range m.state.TenantsVia(c.Key.Host) {
				m.tenant(tenant, hostsOf(m.state, tenant))
			}
		}
	}
}

func (m marker) tenant(name string, hosts []string) {
	for _, number := range m.numbers(name) {
		for _, host := range hosts {
			m.mark(host, tenantSlice(number))
		}
	}
}

func sameTenant(a, b *store.Tenant) bool {
	return a.Number == b.Number && slices.Equal(a.Hosts, b.Hosts) && sameBroadcasts(a.Limits, b.Limits)
}

func sameGateway(a, b *store.Gateway) bool { return slices.Equal(gatewayChain(a), gatewayChain(b)) }

// tenant emits a tenant's counters and its way out.
func (c *compiler) tenant(item *store.Item[store.Tenant]) {
	t, ok := c.tenantAt(item.Key.Tenant)
	if !t.here() {
		return
	}
	c.problems = append(c.problems, c.tenantProblems(item)...)
	if !ok {
		return
	}
	if t.present {
		c.accounts(t.number())
	}
	c.drops(&t)
	c.egress(&t)
}

// accounts emits the counting flows of the frames that the tenant's ports here send and
// get. They belong to the tenant, so that they outlive its ports.
func (c *compiler) accounts(tenant uint32) {
	mine := tenantMetadata(tenant)
	for _, scope := range []uint64{scopeInternal, scopeEgress} {
		c.flow(stepAccountOutTenant, match(mine, origin(originPort), of.Is(regScope, scope)), goTo(tableAccountIn))
	}
	c.flow(stepAccountInEgress, match(mine, ethSrc(store.KernelMAC)), goTo(tableDeliver))
	c.flow(stepAccountInInternal, match(mine), goTo(tableDeliver))
}

// drops counts the refusals that can befall the tenant on this host.
func (c *compiler) drops(t *tenantAt) {
	var reasons []reason
	if t.present {
		reasons = append(reasons, reasonSpoofed, reasonForbidden, reasonUnanswered)
	}
	reasons = append(reasons, reasonNoRoute, reasonTTL, reasonUnknownDestination)
	if t.gateway() {
		reasons = append(reasons, reasonInfrastructure, reasonNoConnection, reasonConnectionLimit)
	}
	for _, why := range reasons {
		c.flow(stepDropTenant, match(tenantMetadata(t.number()), of.Is(regReason, uint64(why))))
	}
}

// egress sends what is for no network of the tenant to its gateway host, or on such a
// host through NAT. Only the draining hosts take egress by tunnel that is for another.
func (c *compiler) egress(t *tenantAt) {
	if len(t.chain) == 0 {
		return
	}
	if t.at != 0 && t.present {
		c.steer(t)
	}
	if !t.gateway() {
		return
	}
	if c.gateway == 0 {
		c.problem(t.Key, "its gateway host %s has no interface %s in its bridge: start the agent there with --gateway, "+
			"or move the gateway", c.host, store.GatewayInterface)
		return
	}
	c.gatewayHost(t)
	if len(t.chain) > 1 {
		c.handOver(t)
	}
}

// toRouter matches the tenant's IPv4 frames to the router.
func toRouter(tenant uint32, more ...of.MatchField) of.Match {
	return match(append(more, tenantMetadata(tenant), ethDst(store.RouterMAC), etherType(typeIPv4))...)
}

// steer sends the egress of this host's containers to the active gateway host.
func (c *compiler) steer(t *tenantAt) {
	vtep := c.vtep(t.chain[0])
	if !vtep.IsValid() {
		c.unreachable(t)
		return
	}
	c.flow(stepRouteTunnel, toRouter(t.number(), origin(originPort)),
		load(regScope, scopeEgress), tunnelTo(vtep), goTo(tableAccountOut))
}

// unreachable tells a tenant that no tunnel leads to its gateway host.
func (c *compiler) unreachable(t *tenantAt) {
	host := t.chain[0]
	switch h := c.state.Host(host); {
	case h == nil:
		c.problem(t.Key, "its gateway host %s is not registered: start its agent, or move the gateway", host)
	case !c.sameEncap(h):
		c.problem(t.Key, "its gateway host %s has another encapsulation than host %s: see the hosts' problems, or move the gateway", host, c.host)
	default:
		c.problem(t.Key, "its gateway host %s has no VTEP of its own: see the host's problems, or move the gateway", host)
	}
}

// gatewayHost emits the tenant's own part of NAT: its transit address and its zone.
func (c *compiler) gatewayHost(t *tenantAt) {
	n := t.number()
	zone, transit := t.natZone(), c.state.Transit().Address(n)
	ipv4, mine := etherType(typeIPv4), tenantMetadata(n)

	c.flow(stepClassifyKnown, match(inPort(c.gateway), ipv4, ipDst(single(transit))),
		load(regOrigin, originGateway), writeMetadata(metadata(n, 0)), goTo(tableNAT))
	c.flow(stepRouteNAT, toRouter(n), goTo(tableNAT))
	c.flow(stepNATTenant, match(mine, ipv4), of.CT{Zone: zone, NAT: &of.NAT{}, Table: tableNATKnown})
	c.flow(stepNATKnownOwn, match(mine, ipv4, of.Is(of.FieldCTMark, t.mark())), goTo(tableNATState))
	c.flow(stepNATNewOpen, match(mine, ipv4), of.CT{Commit: true, Zone: zone, Table: tableNATOut,
		NAT: &of.NAT{Source: true, MinAddress: of.Address(transit)}, Exec: []of.Action{set(of.FieldCTMark, t.mark())}})
	if router := c.routerAddress(t.Key.Tenant); router.IsValid() {
		// The kernel's own errors, such as "time exceeded", come from the tenant's router: the transit range is
		// not theirs to see.
		c.flow(stepNATStateError, match(mine, origin(originGateway), ctState(ctTracked|ctRelated|ctReply, ctInvalid),
			ipv4, ipProto(protoICMP), ipSrc(single(c.state.Transit().Kernel()))),
			setAddress(of.FieldIPSrc, router), setMAC(of.FieldEthSrc, store.KernelMAC), goTo(tableL3Resolve))
	}
}

// routerAddress is the first IPv4 address of the router in a tenant's networks.
func (c *compiler) routerAddress(tenant string) netip.Addr {
	for n := range c.state.NetworksOf(tenant) {
		for i, subnet := range n.Value.Subnets {
			if subnet.Gateway.Is4() && c.stands(n, i) {
				return subnet.Gateway
			}
		}
	}
	return netip.Addr{}
}
