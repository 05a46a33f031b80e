package flows

import (
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// portAt is a port as one host sees it.
type portAt struct {
	*store.Item[store.Port]
	network   networkAt
	ofport    uint32       // here; 0: the port is elsewhere
	vtep      netip.Addr   // of the port's host, where that is another
	addresses []netip.Addr // its own, with the link-local one if it has any of IPv6
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
	c.slice = portSlice(p.network.tenant.number(), p.Value.Number)
	if p.ofport != 0 {
		c.attached(&p)
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
			c.flow(tableL3Resolve, 100, match(tenantMetadata(p.network.tenant.number()), ipType(a), ipDst(single(a))),
				load(of.FieldMetadata, p.network.metadata()), setMAC(of.FieldEthDst, p.Value.MAC), goTo(tableForward))
		}
	}
	way := load(regDestination, uint64(p.Value.Number))
	if p.ofport == 0 {
		way = tunnelTo(p.vtep)
	}
	c.flow(tableForward, 100, match(mine, ethDst(p.Value.MAC)), way, goTo(tableAccountOut))
}

// neighbour answers ARP for the port, and sends a neighbour solicitation to it alone. The
// port's own question, by which it looks for another that has its address, gets none.
func (c *compiler) neighbour(p *portAt, a netip.Addr) {
	asked, mine := single(a), p.network.match()
	if a.Is4() {
		c.flow(tableResolve, 200, arp(arpRequest, asked, mine), arpAnswer(p.Value.MAC)...)
	} else {
		c.flow(tableResolve, 200, icmp6(neighbourSolicitation, mine, target(asked)),
			setMAC(of.FieldEthDst, p.Value.MAC), goTo(tableForward))
	}
	if p.ofport == 0 {
		return
	}
	if a.Is4() {
		c.refuse(tableResolve, 210, arp(0, asked, source(p.Value.Number)), reasonUnanswered)
	} else {
		c.refuse(tableResolve, 210, icmp6(neighbourSolicitation, source(p.Value.Number), target(asked)), reasonUnanswered)
	}
}

// attached emits what a port has on its own host only.
func (c *compiler) attached(p *portAt) {
	number := p.Value.Number
	c.flow(tableClassify, 100, match(inPort(p.ofport)), load(regOrigin, originPort), load(regSource, uint64(number)),
		writeMetadata(p.network.metadata()), goTo(tableAdmit))
	c.security(p)
	c.flow(tableAccountIn, 200, match(source(number), destination(number))) // not back to where it came from
	c.flow(tableDeliver, 100, match(destination(number)), of.Output{Port: p.ofport})
}
