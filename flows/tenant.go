package flows

import (
	"maps"
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
// egress to the VTEPs of its gateway hosts. What passes between it and others counts while it is peered with any.
func tenantChanged(m marker, c store.Change) {
	switch c.Key.Kind {
	case store.KindTenant:
		if !same(c, sameRates) {
			m.tenant(c.Key.Tenant, m.gatewayHosts(c.Key.Tenant))
		}
		if !same(c, sameTenant) {
			for _, peer := range m.state.PeersNear(c.Key.Tenant) {
				m.tenant(peer, hostsOf(m.state, peer))
			}
		}
	case store.KindNetwork:
		if !same(c, sameSubnets) {
			m.tenant(c.Key.Tenant, hostsOf(m.state, c.Key.Tenant))
		}
	case store.KindGateway:
		m.lentSlots(c)
		switch {
		case same(c, sameGateway), m.slept(c.Key.Tenant):
		case same(c, sameWay): // who sends goes on as before
			sides(c, func(g *store.Gateway) { m.tenant(c.Key.Tenant, g.Members()) })
		default:
			m.tenant(c.Key.Tenant, hostsOf(m.state, c.Key.Tenant))
		}
	case store.KindHost:
		if !same(c, sameTunnel) || !same(c, sameCapable) {
			m.via(c.Key.Host)
			for _, other := range m.state.HostsByHash(store.HostHash(c.Key.Host)) { // two that share a hash are not probed
				m.via(other.Key.Host)
			}
		}
	}
}

// via marks the tenants that have a host among their gateway hosts.
func (m marker) via(host string) {
	for _, tenant := range m.state.TenantsVia(host) {
		if !m.slept(tenant) {
			m.tenant(tenant, hostsOf(m.state, tenant))
		}
	}
}

// lentSlots marks the tenants whose number is a slot that another one's gateway was given, or gave back.
func (m marker) lentSlots(c store.Change) {
	sides(c, func(g *store.Gateway) {
		for host, slot := range g.Slots {
			if tenant := m.state.TenantName(slot); tenant != "" && tenant != c.Key.Tenant && !m.slept(tenant) {
				m.tenant(tenant, []string{host})
			}
		}
	})
}

// tenant marks a tenant's counters and its way out, which the answers of its published ports go too.
func (m marker) tenant(name string, hosts []string) {
	if len(hosts) == 0 {
		return
	}
	for p := range m.state.PublicationsOf(name) {
		m.published(name, p.Value, hosts)
	}
	for _, number := range m.numbers(name) {
		for _, host := range hosts {
			m.mark(host, tenantSlice(number))
		}
	}
}

func sameTenant(a, b *store.Tenant) bool {
	return a.Number == b.Number && slices.Equal(a.Hosts, b.Hosts)
}

// gatewayHosts are the hosts that hold flows of a tenant's gateway.
func (m marker) gatewayHosts(tenant string) []string {
	if m.slept(tenant) {
		return nil
	}
	if g := m.state.Gateway(tenant); g != nil {
		return g.Value.Members()
	}
	return nil
}

// sameGateway compares what gateway hosts hold, and what senders do.
func sameGateway(a, b *store.Gateway) bool {
	return sameWay(a, b) && maps.Equal(a.Slots, b.Slots) && slices.Equal(a.Members(), b.Members()) && slices.Equal(a.Movers(), b.Movers()) && slices.Equal(a.Asked(), b.Asked())
}

// sameWay compares where egress is sent.
func sameWay(a, b *store.Gateway) bool { return a.Active == b.Active && a.Backup == b.Backup }

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
		if len(c.state.PeersOf(t.Key.Tenant)) > 0 {
			c.peeringAccounts(t.number())
		}
		if c.state.Publishes(t.Key.Tenant) {
			c.publishedAccounts(t.number())
		}
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

// peeringAccounts does the same of what passes between the tenant and those that it is peered with. A frame that
// leaves is the other tenant's by then: a register says whose it was.
func (c *compiler) peeringAccounts(tenant uint32) {
	c.flow(stepAccountOutTenant, match(origin(originPort), of.Is(regScope, scopePeering), of.Is(regFrom, uint64(tenant))), goTo(tableAccountIn))
	c.flow(stepAccountInPeering, match(tenantMetadata(tenant), ethSrc(store.PeerMAC)), goTo(tableDeliver))
}

// publishedAccounts does the same of what passes between published ports and the outside.
func (c *compiler) publishedAccounts(tenant uint32) {
	mine := tenantMetadata(tenant)
	c.flow(stepAccountOutTenant, match(mine, origin(originPort), of.Is(regScope, scopePublished)), goTo(tableAccountIn))
	c.flow(stepAccountInPublished, match(mine, ethSrc(store.PublishedMAC)), goTo(tableDeliver))
}

// drops counts the refusals that can befall the tenant on this host.
func (c *compiler) drops(t *tenantAt) {
	var reasons []reason
	if t.present {
		reasons = append(reasons, reasonSpoofed, reasonForbidden, reasonUnanswered)
	}
	reasons = append(reasons, reasonNoRoute, reasonTTL, reasonUnknownDestination)
	if t.gateway {
		reasons = append(reasons, reasonInfrastructure, reasonNoConnection, reasonConnectionLimit)
	}
	for _, why := range reasons {
		c.flow(stepDropTenant, match(tenantMetadata(t.number()), of.Is(regReason, uint64(why))))
	}
}

// egress sends what is for no network of the tenant to its gateway host, or on such a
// host through NAT. Other hosts that hold its gateway's flows send what their own containers have there too.
func (c *compiler) egress(t *tenantAt) {
	if t.active == "" {
		return
	}
	if t.active != c.host && t.present {
		c.steer(t)
	}
	if !t.gateway {
		return
	}
	if c.gateway == 0 {
		c.noKernel(t)
		return
	}
	if t.slot == 0 {
		c.noSlot(t)
		return
	}
	c.gatewayHost(t)
	if t.moves {
		c.handOver(t)
	}
}

// noKernel tells that the way to this host's kernel is not there. A host to which the gateway is to move is not ready then.
func (c *compiler) noKernel(t *tenantAt) {
	p := store.ProblemOf(t.Key, "its gateway host %s has no interface %s in its bridge: start the agent there with --gateway, "+
		"or move the gateway", c.host, store.GatewayInterface)
	c.gatewayProblem(t, p)
}

// noSlot tells that this host does not know the tenant's connections from others' yet.
func (c *compiler) noSlot(t *tenantAt) {
	c.gatewayProblem(t, store.ProblemOf(t.Key, "its gateway host %s has no conntrack zone for it: the leader of the controllers gives it one, "+
		"while there is one that no other tenant has", c.host))
}

func (c *compiler) gatewayProblem(t *tenantAt, p store.Problem) {
	if t.active != c.host {
		p.LeavesOut = store.LeavesOutGateway
	}
	c.problems = append(c.problems, p)
}

// toRouter matches the tenant's IPv4 frames to the router.
func toRouter(tenant uint32, more ...of.MatchField) of.Match {
	return match(append(more, tenantMetadata(tenant), ethDst(store.RouterMAC), etherType(typeIPv4))...)
}

// unreachable tells a tenant that no tunnel leads to its gateway host.
func (c *compiler) unreachable(t *tenantAt) {
	host := t.active
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
	zone, transit := t.natZone(), c.state.Transit().Address(t.slot)
	ipv4, mine := etherType(typeIPv4), tenantMetadata(n)

	c.flow(stepClassifyKnown, match(inPort(c.gateway), untagged(), ipv4, ipDst(single(transit))),
		load(regOrigin, originGateway), writeMetadata(metadata(n, 0)), goTo(tableNAT))
	c.flow(stepRouteNAT, toRouter(n), load(regScope, scopeEgress), goTo(tableNAT))
	limits, lookUp := t.Value.Limits, of.CT{Zone: zone, NAT: &of.NAT{}, Table: tableNATKnown}
	if !sameRates(t.Value, &store.Tenant{}) {
		c.flow(stepNATLimited, match(mine, ipv4, origin(originGateway)), metered(store.RateOf(limits.IngressKbps, 0), t.rateMeter(meterIngress), lookUp)...)
	}
	c.flow(stepNATTenant, match(mine, ipv4), metered(store.RateOf(limits.EgressKbps, 0), t.rateMeter(meterEgress), lookUp)...)
	c.flow(stepNATKnownOwn, match(mine, ipv4, of.Is(of.FieldCTMark, t.mark())), goTo(tableNATState))
	c.flow(stepNATNewOpen, match(mine, ipv4), of.CT{Commit: true, Zone: zone, Table: tableNATOut,
		NAT: &of.NAT{Source: true, MinAddress: of.Address(transit)}, Exec: []of.Action{set(of.FieldCTMark, t.mark())}})
	c.flow(stepAccountOutTenant, match(mine, origin(originGateway)), goTo(tableAccountIn))
	c.flow(stepAccountInKernel, match(mine, destination(gatewayPort)), goTo(tableDeliver))
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
