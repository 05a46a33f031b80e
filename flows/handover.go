package flows

import (
	"net/netip"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// handOver emits what keeps connections while a tenant's gateway moves. Its gateway
// hosts form a chain, the active one first: a packet whose connection a host does not
// know goes to the next, and one that the last does not know goes back to the active
// host, which commits it. A MAC of its own marks each of the two ways.
//
// TCP needs no way back: only a SYN opens a connection, and that stays at the active host.
func (c *compiler) handOver(t *tenantAt) {
	n := t.number()
	last := len(t.chain) - 1
	if t.at == 0 {
		c.accept(n, store.BounceMAC, t.chain[last], tableNATNew)
		c.flow(stepNATStateTCP, match(tenantMetadata(n), ctState(ctTracked|ctNew, ctInvalid),
			etherType(typeIPv4), ipProto(protoTCP), tcpSYN()), goTo(tableNATNew))
	} else {
		c.accept(n, store.HandOverMAC, t.chain[t.at-1], tableNAT)
	}
	if t.at < last {
		c.pass(n, store.HandOverMAC, t.chain[t.at+1], true)
		if t.at == 0 && t.present {
			c.passOwn(n, t.chain[1])
		}
		return
	}
	c.refuse(stepNATStateTCP, match(tenantMetadata(n), ctState(ctTracked|ctNew, 0),
		etherType(typeIPv4), ipProto(protoTCP)), reasonNoConnection)
	c.pass(n, store.BounceMAC, t.chain[0], false)
}

// accept takes the tenant's frames that another gateway host marked with a MAC, from any VTEP
// of that host: which one a frame leaves from depends on where it goes.
func (c *compiler) accept(tenant uint32, mark store.MAC, from string, next uint8) {
	h := c.state.Host(from)
	if h == nil {
		return
	}
	for vtep := range c.vteps(h) {
		c.flow(stepRouteTunnel, match(tenantMetadata(tenant), origin(originTunnel), ethDst(mark),
			tunnelFrom(vtep), etherType(typeIPv4)), goTo(next))
	}
}

// pass sends on what this host's conntrack does not know, with TCP's invalid packets too
// where the next host may know them.
func (c *compiler) pass(tenant uint32, mark store.MAC, to string, tcpToo bool) {
	vtep := c.vtep(to)
	if !vtep.IsValid() {
		return
	}
	mine, ipv4 := tenantMetadata(tenant), etherType(typeIPv4)
	if tcpToo {
		for _, unknown := range []uint64{ctNew, ctInvalid} {
			c.flow(stepNATStatePassTCP, match(mine, ctState(ctTracked|unknown, 0), ipv4, ipProto(protoTCP)),
				c.marked(mark, vtep)...)
		}
	}
	c.flow(stepNATStatePassNew, match(mine, ctState(ctTracked|ctNew, 0), ipv4), c.marked(mark, vtep)...)
}

// passOwn does the same for the containers of the active host, whose frames count as sent
// here: they come back, if they do, as frames from a tunnel.
func (c *compiler) passOwn(tenant uint32, to string) {
	vtep := c.vtep(to)
	if !vtep.IsValid() {
		return
	}
	mine, ipv4, own := tenantMetadata(tenant), etherType(typeIPv4), origin(originPort)
	counted := []of.Action{load(regScope, scopeEgress), load(of.FieldInPort, noPort),
		setMAC(of.FieldEthDst, store.HandOverMAC), tunnelTo(vtep), goTo(tableAccountOut)}
	for _, unknown := range []uint64{ctNew, ctInvalid} {
		c.flow(stepNATStateOwnTCP, match(mine, own, ctState(ctTracked|unknown, 0), ipv4, ipProto(protoTCP)), counted...)
	}
	c.flow(stepNATStateOwnNew, match(mine, own, ctState(ctTracked|ctNew, 0), ipv4), counted...)
}

// marked sends a frame on from one tunnel into another. It still carries this host's own VTEP
// as the destination that it came to: where that is of the other family, it is taken off, since
// a frame with two destinations goes nowhere.
func (c *compiler) marked(mark store.MAC, vtep netip.Addr) []of.Action {
	actions := []of.Action{load(regOrigin, originHandOver), load(of.FieldInPort, noPort), setMAC(of.FieldEthDst, mark)}
	if own := c.vtep(c.host); own.IsValid() && own.Is4() != vtep.Is4() {
		actions = append(actions, tunnelTo(noVTEP(own)))
	}
	return append(actions, tunnelTo(vtep), goTo(tableEncap))
}

// noVTEP is the unspecified address of an address's family.
func noVTEP(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// tcpSYN matches the first packet of a connection: SYN without ACK.
func tcpSYN() of.MatchField {
	const syn, ack = 0x02, 0x10
	return of.Masked(of.FieldTCPFlags, of.U64(syn), of.U64(syn|ack))
}
