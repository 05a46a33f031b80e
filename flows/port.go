package flows

import (
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

const kindPort sliceKind = 5

func portSlice(tenant, port uint32) Slice { return newSlice(kindPort, tenant, port) }

// portSection is a port: its security and delivery on its own host, and on each host of its
// tenant the way to it.
var portSection = section{
	kind: kindPort, owner: "port", object: "port number",
	ofTenant: func(s *store.State, tenant string, number uint32, yield yieldSlice) {
		for n := range s.NetworksOf(tenant) {
			for p := range s.PortsOf(n.Key.NetworkName()) {
				yield(portSlice(number, p.Value.Number), len(s.PortClaimants(p.Value.Number)) == 0)
			}
		}
	},
	compile: func(c *compiler, sl Slice) {
		claimants(c, c.state.PortByNumber(sl.object()), c.state.PortClaimants(sl.object()), (*compiler).port)
	},
	name: func(s *store.State, sl Slice) string {
		if p := s.PortByNumber(sl.object()); p != nil {
			return "port " + p.Key.NetworkName().String() + "/" + p.Key.Name
		}
		return ""
	},
	serves: func(s *store.State, _ string, sl Slice) []store.Key {
		return keyOf(s.PortByNumber(sl.object()))
	},
	changed: portChanged,
	interfaceChanged: func(m marker, p *store.Item[store.Port]) {
		m.port(p.Key.Tenant, p.Value.Number, []string{p.Key.Host})
	},
}

// portChanged: every host of the tenant knows the way to the port, which leads to its host's
// VTEP. What addresses it may have its network says.
func portChanged(m marker, c store.Change) {
	switch c.Key.Kind {
	case store.KindNetwork:
		if !same(c, sameSegment) || !same(c, sameSubnets) {
			hosts := hostsOf(m.state, c.Key.Tenant)
			if len(hosts) == 0 {
				return
			}
			m.ports(c.Key.NetworkName(), hosts)
			m.overlapping(c, func(other *store.Item[store.Network]) { m.ports(other.Key.NetworkName(), hosts) })
		}
	case store.KindPort:
		if !same(c, samePort) {
			hosts := hostsOf(m.state, c.Key.Tenant)
			sides(c, func(p *store.Port) { m.port(c.Key.Tenant, p.Number, hosts) })
		}
	case store.KindHost:
		if !same(c, sameTunnel) {
			m.portsAt(c.Key.Host)
		}
	case store.KindTenant:
		if !same(c, samePortRates) && m.state.Awake(c.Key.Tenant) {
			m.portsOf(c.Key.Tenant)
		}
	}
}

func samePort(a, b *store.Port) bool {
	return a.Number == b.Number && a.MAC == b.MAC && a.Interface == b.Interface && a.OwnLimits() == b.OwnLimits() &&
		slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.AllowedPairs, b.AllowedPairs)
}

func (m marker) port(tenant string, port uint32, hosts []string) {
	for _, number := range m.numbers(tenant) {
		for _, host := range hosts {
			m.mark(host, portSlice(number, port))
		}
	}
}

// ports marks all ports of a network.
func (m marker) ports(name store.NetworkName, hosts []string) {
	for p := range m.state.PortsOf(name) {
		m.port(name.Tenant, p.Value.Number, hosts)
	}
}

// portsOf marks all ports of a tenant, each on its own host.
func (m marker) portsOf(tenant string) {
	for n := range m.state.NetworksOf(tenant) {
		for p := range m.state.PortsOf(n.Key.NetworkName()) {
			m.port(tenant, p.Value.Number, []string{p.Key.Host})
		}
	}
}

// portsAt marks all ports of a host.
func (m marker) portsAt(host string) {
	for _, n := range m.state.NetworksOn(host) {
		hosts := hostsOf(m.state, n.Tenant)
		for _, p := range m.state.PortsAt(host, n) {
			m.port(n.Tenant, p.Value.Number, hosts)
		}
	}
}

// portAt is a port as one host sees it.
type portAt struct {
	*store.Item[store.Port]
	network   networkAt
	ofport    uint32       // here; 0: the port is elsewhere
	vtep      netip.Addr   // of the port's host, where that is another
	addresses []netip.Addr // its own, with the link-local one if it has any of IPv6
}

// rates are what this host keeps the port to: nothing, where the port is elsewhere.
func (p *portAt) rates() (egress, ingress store.Rate) {
	if p.ofport == 0 || p.ofport >= meteredPorts {
		return egress, ingress
	}
	limits := p.network.tenant.Value.Limits
	return p.Value.Egress(limits), p.Value.Ingress(limits)
}

// port emits one port: its security and delivery where it is attached here, and on each
// host of its tenant the way to it.
func (c *compiler) port(item *store.Item[store.Port]) {
	n, ok := c.networkAt(item.Key.NetworkName())
	if n.Item == nil || !n.tenant.here() {
		return
	}
	if problems := c.portProblems(item); len(problems) > 0 {
		c.problems = append(c.problems, problems...)
		return
	}
	p := portAt{Item: item, network: n}
	if !ok || !c.locate(&p) {
		return
	}
	if p.ofport != 0 {
		c.attached(&p)
	}
	if p.ofport >= meteredPorts && !samePortRates(n.tenant.Value, &store.Tenant{}) {
		c.problem(item.Key, "what it sends and gets is not limited: its interface %s has the OpenFlow port number %d on host %s, and meters end at %d; "+
			"detach the port and attach it again", item.Value.Interface, p.ofport, c.host, meteredPorts-1)
	}
	c.reachable(&p)
}

// locate finds the way to a port; it reports false where there is none, as when its interface
// is missing here or its host has no VTEP.
func (c *compiler) locate(p *portAt) bool {
	if p.Key.Host == c.host {
		p.ofport = c.ofport[p.Value.Interface]
	} else {
		p.vtep = c.vtep(p.Key.Host)
	}
	p.addresses = spoken(p.Value)
	return p.ofport != 0 || p.vtep.IsValid()
}

// spoken are the addresses that a port answers for.
func spoken(p *store.Port) []netip.Addr {
	addresses := make([]netip.Addr, 0, len(p.Addresses)+1)
	for _, a := range p.Addresses {
		addresses = append(addresses, a.Addr())
	}
	if family(p.Addresses, netip.Addr.Is6) {
		if local := p.MAC.LinkLocal(); !slices.Contains(addresses, local) {
			addresses = append(addresses, local)
		}
	}
	return addresses
}

// reachable emits how others find the port: its answer to ARP, its place behind the
// router, and the way to its MAC.
func (c *compiler) reachable(p *portAt) {
	mine := p.network.match()
	for _, a := range p.addresses {
		if p.network.present {
			c.neighbour(p, a)
		}
		if !a.IsLinkLocalUnicast() {
			c.flow(stepL3ResolvePort, match(tenantMetadata(p.network.tenant.number()), ipType(a), ipDst(single(a))),
				load(of.FieldMetadata, p.network.metadata()), setMAC(of.FieldEthDst, p.Value.MAC), goTo(tableForward))
		}
	}
	if p.ofport == 0 {
		c.away(p)
		c.byTrunk(p)
		return
	}
	_, rate := p.rates()
	c.flow(stepForwardPort, match(mine, ethDst(p.Value.MAC)), metered(rate, p.meter(meterPortIngress),
		load(regDestination, uint64(p.Value.Number)), goTo(tableAccountOut))...)
}

// neighbour answers ARP for the port, and sends a neighbour solicitation to it alone. The
// port's own question, by which it looks for another that has its address, gets none. By ARP it tells its
// neighbours that the address is its, whoever had it before (RFC 5227, 3), so that goes on to them.
func (c *compiler) neighbour(p *portAt, a netip.Addr) {
	asked, mine := single(a), p.network.match()
	if a.Is4() {
		c.flow(stepResolveKnown, arp(arpRequest, asked, mine), arpAnswer(p.Value.MAC)...)
	} else {
		c.flow(stepResolveKnown, icmp6(neighbourSolicitation, mine, target(asked)),
			setMAC(of.FieldEthDst, p.Value.MAC), goTo(tableForward))
	}
	if p.ofport == 0 {
		return
	}
	if a.Is4() {
		c.flow(stepResolveSelf, arp(arpAny, asked, source(p.Value.Number)), goTo(tableForward))
	} else {
		c.refuse(stepResolveSelf, icmp6(neighbourSolicitation, source(p.Value.Number), target(asked)), reasonUnanswered)
	}
}

// attached emits what a port has on its own host only.
func (c *compiler) attached(p *portAt) {
	number := p.Value.Number
	rate, _ := p.rates()
	c.flow(stepClassifyKnown, match(inPort(p.ofport)), metered(rate, p.meter(meterPortEgress),
		load(regOrigin, originPort), load(regSource, uint64(number)), writeMetadata(p.network.metadata()), goTo(tableAdmit))...)
	c.security(p)
	c.flow(stepAccountInBack, match(source(number), destination(number))) // not back to where it came from
	c.flow(stepDeliverPort, match(destination(number)), of.Output{Port: p.ofport})
}
