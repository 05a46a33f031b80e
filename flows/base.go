package flows

import (
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

const kindBase sliceKind = 1

func baseSlice() Slice { return newSlice(kindBase, 0, 0) }

// baseSection is what every bridge holds.
var baseSection = section{
	kind: kindBase, owner: "base: what every bridge holds", object: "0",
	onHost:  func(_ *store.State, _ string, yield yieldSlice) { yield(baseSlice(), true) },
	compile: func(c *compiler, _ Slice) { c.base() },
	name:    func(*store.State, Slice) string { return "base" },
	serves:  func(_ *store.State, host string, _ Slice) []store.Key { return []store.Key{store.HostKey(host)} },
	changed: baseChanged,
}

// baseChanged: a host's infrastructure and its VTEPs are closed on its own bridge, which tells too
// what another host has of its.
func baseChanged(m marker, c store.Change) {
	if c.Key.Kind == store.KindHost && !(same(c, sameVTEPs) && same(c, sameDatapath) && same(c, sameInfrastructure)) {
		m.mark(c.Key.Host, baseSlice())
	}
}

func sameInfrastructure(a, b *store.Host) bool {
	return slices.Equal(a.Infrastructure, b.Infrastructure)
}

// base emits what every bridge holds, whoever's frames cross it.
func (c *compiler) base() {
	if own := c.state.Host(c.host); own != nil {
		c.problems = append(c.problems, c.state.ContestedHost(own)...)
	}
	c.baseEntry()
	c.baseAdmit()
	c.baseResolve()
	c.baseRoute()
	c.baseAnswer()
	c.baseHop()
	c.baseSteer()
	c.baseNATState()
	c.baseNATNew()
	c.baseExit()
	c.baseDrop()
}

// baseEntry: a port that nobody owns, a VTEP that no host has, the kernel's ARP.
func (c *compiler) baseEntry() {
	if c.tunnel != 0 {
		c.refuse(stepClassifyStray, match(inPort(c.tunnel)), reasonUnknownVTEP)
	}
	if c.gateway != 0 {
		c.flow(stepClassifyKnown, match(inPort(c.gateway), untagged(), etherType(typeARP)),
			load(regOrigin, originGateway), load(regSource, gatewayPort), goTo(tableResolve))
		c.refuse(stepClassifyStray, match(inPort(c.gateway)), reasonNoConnection)
	}
	if c.trunk != 0 {
		c.baseTrunk()
	}
	c.refuse(stepClassifyNone, nil, reasonUnknownPort)
	c.refuse(stepDecapNone, nil, reasonUnknownSegment)
}

// baseAdmit: what no container may send, whatever its port.
func (c *compiler) baseAdmit() {
	ipv6 := etherType(typeIPv6)
	tagged := of.Masked(of.FieldVLANVID, of.U64(vlanPresent), of.U64(vlanPresent))
	c.refuse(stepAdmitTagged, match(tagged), reasonForbidden)
	for _, m := range slices.Concat(serverMessages(), hidingFragments()) {
		c.refuse(stepAdmitServer, m, reasonForbidden)
	}
	// A kernel without an IPv6 address of ours still looks for routers and groups: that is no attack.
	for _, t := range []uint64{mldReport, mldDone, routerSolicitation, mld2Report} {
		c.refuse(stepAdmitSearch, match(ipv6, ipProto(protoICMPv6), icmp6Type(t)), reasonUnanswered)
	}
	c.refuse(stepAdmitSearch, icmp6(neighbourSolicitation, ipSrc(single(netip.IPv6Unspecified()))), reasonUnanswered)
	c.refuse(stepAdmitARP, match(etherType(typeARP)), reasonSpoofed) // apart, so that a dump shows which
	c.refuse(stepAdmitNone, nil, reasonSpoofed)
	for _, t := range []uint64{neighbourSolicitation, neighbourAdvert} {
		c.refuse(stepAdmitNDSpoofed, match(ipv6, ipProto(protoICMPv6), icmp6Type(t)), reasonSpoofed)
	}
	c.flow(stepAdmitNDRest, nil, goTo(tableResolve))
}

// serverMessages are what a DHCP server or an IPv6 router says. A client believes a DHCP message
// from whatever port it comes: only servers speak to a client's port.
func serverMessages() []of.Match {
	ipv4, ipv6 := etherType(typeIPv4), etherType(typeIPv6)
	return []of.Match{
		match(ipv4, ipProto(protoUDP), of.Is(of.FieldUDPSrc, portDHCPServer)),
		match(ipv4, ipProto(protoUDP), of.Is(of.FieldUDPDst, portDHCPClient)),
		match(ipv6, ipProto(protoUDP), of.Is(of.FieldUDPSrc, portDHCPv6Server)),
		match(ipv6, ipProto(protoUDP), of.Is(of.FieldUDPDst, portDHCPv6Client)),
		match(ipv6, ipProto(protoICMPv6), icmp6Type(routerAdvertisement)),
		match(ipv6, ipProto(protoICMPv6), icmp6Type(redirect)),
	}
}

// hidingFragments are fragments to where a server's message, or neighbour discovery (RFC
// 6980), would be believed: a switch sees no ports and no ICMP type in any fragment, the
// first included (OpenFlow 1.3, A.3.2). It sees that a first fragment is of ICMPv6, and nobody
// puts a packet together without its first: neighbour discovery is refused from and to any address.
// A fragment whose headers end too early shows neither that it is one nor its protocol (RFC 7112).
func hidingFragments() []of.Match {
	ipv4, ipv6 := etherType(typeIPv4), etherType(typeIPv6)
	fragment := of.Masked(of.FieldIPFrag, of.U64(fragmentAny), of.U64(fragmentAny))
	return []of.Match{
		match(ipv4, fragment, multicast()),
		match(ipv4, fragment, ipDst(netip.MustParsePrefix("224.0.0.0/3"))), // groups and broadcast
		match(ipv6, fragment, multicast()),
		match(ipv6, fragment, ipDst(netip.MustParsePrefix("ff00::/8"))),
		match(ipv6, fragment, ipDst(netip.MustParsePrefix("fe80::/10"))),
		match(ipv6, fragment, ipSrc(netip.MustParsePrefix("fe80::/10"))),
		match(ipv6, fragment, ipProto(protoICMPv6)),
		match(ipv6, ipProto(protoHidden)),
	}
}

// baseResolve: the kernel finds every transit address behind one MAC; what nobody
// answers for goes no further.
func (c *compiler) baseResolve() {
	c.flow(stepResolveTransit, arp(arpRequest, c.state.Transit().Prefix, origin(originGateway)), arpAnswer(store.RouterMAC)...)
	c.refuse(stepResolveNobody, match(etherType(typeARP)), reasonUnanswered)
	for _, t := range []uint64{mldQuery, mldReport, mldDone, routerSolicitation, neighbourSolicitation, mld2Report} {
		c.refuse(stepResolveNobody, match(etherType(typeIPv6), ipProto(protoICMPv6), icmp6Type(t)), reasonUnanswered)
	}
	c.flow(stepResolveRest, nil, goTo(tableRoute))
}

// arpAnswer makes table answer reply with a MAC.
func arpAnswer(mac store.MAC) []of.Action {
	return []of.Action{move(of.FieldEthSrc, of.FieldEthDst), setMAC(of.FieldEthSrc, mac), goTo(tableAnswer)}
}

// closedRanges are destinations that no tenant may route to, beside the transit range.
var closedRanges = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("240.0.0.0/4"),
}

func (c *compiler) baseRoute() {
	for _, closed := range append([]netip.Prefix{c.state.Transit().Prefix}, closedRanges...) {
		c.refuse(stepRouteClosed, match(ethDst(store.RouterMAC), etherType(typeIPv4), ipDst(closed)), reasonNoRoute)
	}
	for _, mac := range []store.MAC{store.RouterMAC, store.HandOverMAC, store.BounceMAC} {
		c.refuse(stepRouteNowhere, match(ethDst(mac)), reasonNoRoute)
	}
	c.flow(stepRouteRest, nil, goTo(tableForward))
}

// baseAnswer turns each question round. Resolve has set the ARP answer's Ethernet
// addresses already and has made the solicitation an advertisement.
func (c *compiler) baseAnswer() {
	answer := func(m of.Match, actions ...of.Action) {
		c.flow(stepAnswerKnown, m, append(actions,
			load(of.FieldInPort, noPort), move(regSource, regDestination), goTo(tableDeliver))...)
	}
	answer(match(etherType(typeARP)),
		set(of.FieldARPOp, arpReply), move(of.FieldARPSHA, of.FieldARPTHA), move(of.FieldEthSrc, of.FieldARPSHA),
		push(of.FieldARPTPA), move(of.FieldARPSPA, of.FieldARPTPA), pop(of.FieldARPSPA))
	answer(match(etherType(typeIPv4), ipProto(protoICMP), of.Is(of.FieldICMPType, icmpEchoRequest)),
		move(of.FieldEthSrc, of.FieldEthDst), setMAC(of.FieldEthSrc, store.RouterMAC),
		push(of.FieldIPSrc), move(of.FieldIPDst, of.FieldIPSrc), pop(of.FieldIPDst),
		set(of.FieldICMPType, icmpEchoReply), set(of.FieldIPTTL, freshTTL))
	answer(match(etherType(typeIPv6), ipProto(protoICMPv6), icmp6Type(echo6Request)),
		move(of.FieldEthSrc, of.FieldEthDst), setMAC(of.FieldEthSrc, store.RouterMAC),
		push(of.FieldIPv6Src), move(of.FieldIPv6Dst, of.FieldIPv6Src), pop(of.FieldIPv6Dst),
		set(of.FieldICMPv6Type, echo6Reply), set(of.FieldIPTTL, freshTTL))
	answer(match(etherType(typeIPv6), ipProto(protoICMPv6), icmp6Type(neighbourAdvert)),
		set(of.FieldNDOptionsType, targetLinkLayer), setMAC(of.FieldNDTLL, store.RouterMAC),
		set(of.FieldNDReserved, advertRouter|advertSolicited|advertOverride), set(of.FieldIPTTL, ownHopTTL))
	c.refuse(stepAnswerNone, nil, reasonUnanswered)
}

func (c *compiler) baseHop() {
	for _, t := range []uint64{typeIPv4, typeIPv6} {
		c.refuse(stepHopExpired, match(etherType(t), of.Is(of.FieldIPTTL, 0)), reasonTTL)
		c.refuse(stepHopExpired, match(etherType(t), of.Is(of.FieldIPTTL, 1)), reasonTTL)
		c.flow(stepHopPeering, match(etherType(t), of.Is(regScope, scopePeering)),
			of.DecTTL{}, setMAC(of.FieldEthSrc, store.PeerMAC), goTo(tableL3Resolve))
		c.flow(stepHopNext, match(etherType(t)),
			of.DecTTL{}, setMAC(of.FieldEthSrc, store.RouterMAC), goTo(tableL3Resolve))
	}
	c.refuse(stepHopNone, nil, reasonNoRoute)
	c.refuse(stepL3ResolveFull, match(etherType(typeIPv4), ipDst(c.state.Transit().Prefix)), reasonConnectionLimit)
	c.refuse(stepL3ResolveNone, nil, reasonUnknownDestination)
}

// baseNATState reads what the lookup in the tenant's zone found; the zone is all that
// differs between tenants, so the rules are everybody's. A new packet without SYN passes
// like any other: connections survive the crash of their gateway's conntrack.
func (c *compiler) baseNATState() {
	ipv4 := etherType(typeIPv4)
	kernel := origin(originGateway)
	c.flow(stepNATKnownNew, match(ctState(ctTracked, ctEst|ctRelated), ipv4), goTo(tableNATState))
	c.refuse(stepNATKnownAnothers, nil, reasonNoConnection)
	for _, known := range []uint64{ctEst, ctRelated} {
		state := ctState(ctTracked|known, ctInvalid)
		c.flow(stepNATStateReply, match(kernel, state, ipv4),
			setMAC(of.FieldEthSrc, store.KernelMAC), goTo(tableL3Resolve))
		c.flow(stepNATStateKnown, match(state, ipv4), goTo(tableNATOut))
	}
	c.refuse(stepNATStateOutside, match(kernel), reasonNoConnection)
	c.flow(stepNATStateNew, match(ctState(ctTracked|ctNew, ctInvalid), ipv4), goTo(tableNATNew))
	c.refuse(stepNATStateNone, nil, reasonNoConnection)
	c.refuse(stepNATNone, nil, reasonNoRoute)
}

// baseNATNew closes this host's infrastructure, and its own tunnel addresses.
func (c *compiler) baseNATNew() {
	if own := c.state.Host(c.host); own != nil {
		var closed []netip.Prefix
		for _, prefix := range own.Value.Infrastructure {
			if prefix = prefix.Masked(); prefix.Addr().Is4() && !slices.Contains(closed, prefix) {
				closed = append(closed, prefix)
				c.closed(stepNATNewClosed, prefix)
			}
		}
		c.closedVTEPs(own)
	}
	c.refuse(stepNATNewNone, nil, reasonNoRoute)
	// Where the tenant's zone is full, or conntrack finds no free tuple (two echoes with one identifier to one host),
	// Open vSwitch passes the packet on, new and untranslated.
	c.flow(stepNATOutTranslated, match(etherType(typeIPv4), ipSrc(c.state.Transit().Prefix)),
		setMAC(of.FieldEthSrc, store.RouterMAC), setMAC(of.FieldEthDst, store.KernelMAC),
		load(regDestination, gatewayPort), goTo(tableAccountOut))
	c.refuse(stepNATOutNone, nil, reasonConnectionLimit)
}

// closed refuses new connections to a prefix of the infrastructure.
func (c *compiler) closed(at step, prefix netip.Prefix) {
	c.refuse(at, match(etherType(typeIPv4), ipDst(prefix)), reasonInfrastructure)
}

func (c *compiler) closedVTEPs(h *store.Item[store.Host]) {
	for vtep := range c.vteps(h) {
		if vtep.Is4() {
			c.closed(stepNATNewVTEP, single(vtep))
		}
	}
}

// baseExit: from the destination's choice to the frame's leaving.
func (c *compiler) baseExit() {
	c.refuse(stepForwardNone, nil, reasonUnknownDestination)
	c.flow(stepAccountOutRest, nil, goTo(tableAccountIn))
	c.flow(stepAccountInAway, match(destination(0)), goTo(tableEncap))
	c.flow(stepAccountInAway, match(destination(gatewayPort)), goTo(tableDeliver))
	c.flow(stepAccountInRest, nil, goTo(tableDeliver))
	if c.gateway != 0 {
		c.flow(stepDeliverPort, match(destination(gatewayPort)), of.Output{Port: c.gateway})
	}
	c.refuse(stepDeliverNone, nil, reasonUnknownDestination)
	c.refuse(stepEncapBack, match(origin(originTunnel)), reasonUnknownDestination)
	c.refuse(stepEncapNone, nil, reasonUnknownDestination)
}

// baseDrop counts by reason what has no tenant here.
func (c *compiler) baseDrop() {
	for why := reason(1); why < numReasons; why++ {
		if ofTrunk := why == reasonUnknownSource || why == reasonElsewhere; ofTrunk && c.trunk == 0 {
			continue
		}
		c.flow(stepDropReason, match(of.Is(regReason, uint64(why))))
	}
	c.flow(stepDropRest, nil)
}
