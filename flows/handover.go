package flows

import (
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// handOver emits what keeps connections while a tenant's gateway moves. Any of its gateway hosts takes the
// tenant's egress: what it does not know it asks the others for, one after the other. Who knows it lets it out, and
// who does not sends it back to the host that asked, which asks the next, or opens the connection when nobody knew it.
// A SYN opens a connection wherever it comes: it is asked for nowhere.
//
// A MAC of its own marks questions, and another one what comes back. The tunnel address that a frame comes back from
// tells who was asked: so no host depends on what another one takes for the order.
func (c *compiler) handOver(t *tenantAt) {
	c.flow(stepNATStateTCP, match(tenantMetadata(t.number()), ctState(ctTracked|ctNew, ctInvalid),
		etherType(typeIPv4), ipProto(protoTCP), tcpSYN()), goTo(tableNATNew))
	asked := slices.DeleteFunc(slices.Clone(t.asks), func(host string) bool { return !c.vtep(host).IsValid() })
	if len(asked) > 0 {
		c.ask(t, c.vtep(asked[0]))
	}
	for _, host := range t.members {
		h := c.state.Host(host)
		if h == nil || host == c.host {
			continue
		}
		// One that is not asked any more was asked by flows of before: the others are asked from the first on.
		next := asked[slices.Index(asked, host)+1:]
		for from := range c.vteps(h) {
			c.answer(t, from, c.vtep(host))
			c.goOn(t, from, next)
		}
	}
}

// unknown are the packets whose connection this host does not know, but for a SYN. An error of ICMP about a
// connection that it does not know is invalid, as is a late packet of TCP.
func unknown(more ...of.MatchField) []of.Match {
	of4 := func(f ...of.MatchField) of.Match { return match(append(append(f, more...), etherType(typeIPv4))...) }
	return []of.Match{
		of4(ctState(ctTracked|ctNew, 0)),
		of4(ctState(ctTracked|ctInvalid, 0), ipProto(protoTCP)),
		of4(ctState(ctTracked|ctInvalid, 0), ipProto(protoICMP)),
	}
}

// ask sends what came here first, and is not known, to the first of the others. What containers here send counts as
// sent then: it comes back, if it does, as a frame from a tunnel.
func (c *compiler) ask(t *tenantAt, first netip.Addr) {
	mine, question := tenantMetadata(t.number()), store.HandOverMAC
	for _, m := range unknown(mine, origin(originTunnel)) {
		c.flow(stepNATStateAsk, m, c.marked(question, first)...)
	}
	if !t.present {
		return
	}
	for _, m := range unknown(mine, origin(originPort)) {
		c.flow(stepNATStateAsk, m, load(of.FieldInPort, noPort),
			setMAC(of.FieldEthDst, question), tunnelTo(first), goTo(tableAccountOut))
	}
}

// answer takes the questions of another gateway host, from any tunnel address of it: which one a frame
// leaves from depends on where it goes. What is not known here either goes back to it.
func (c *compiler) answer(t *tenantAt, from, back netip.Addr) {
	mine := tenantMetadata(t.number())
	c.flow(stepRouteTunnel, match(mine, origin(originTunnel), ethDst(store.HandOverMAC), tunnelFrom(from), etherType(typeIPv4)),
		load(regOrigin, originHandOver), goTo(tableNAT))
	if !back.IsValid() {
		return
	}
	for _, m := range unknown(mine, origin(originHandOver), tunnelFrom(from)) {
		c.flow(stepNATStateBack, m, c.marked(store.BounceMAC, back)...)
	}
}

// goOn takes a question back that another gateway host could not answer: it goes to the next or, where there is none,
// opens the connection. One of TCP is opened by a SYN alone.
func (c *compiler) goOn(t *tenantAt, from netip.Addr, next []string) {
	back := []of.MatchField{tenantMetadata(t.number()), origin(originTunnel), ethDst(store.BounceMAC), tunnelFrom(from), etherType(typeIPv4)}
	if len(next) > 0 {
		c.flow(stepRouteTunnel, match(back...), c.marked(store.HandOverMAC, c.vtep(next[0]))...)
		return
	}
	c.flow(stepRouteTunnel, match(back...), goTo(tableNATNew))
	c.refuse(stepRouteNobody, match(append(back, ipProto(protoTCP))...), reasonNoConnection)
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
