package flows

import (
	"net/netip"

	of "sluice/datapath/openflow"
	"sluice/store"
)

const kindResolver sliceKind = 6

// resolverSlice is a host's way to its resolver, which all tenants share.
func resolverSlice() Slice { return newSlice(kindResolver, 0, 1) }

// resolverSection is the way between containers and the resolver of their host, where it has one. A
// question goes to the tenant's desk, an address that no network can have, so that the resolver knows who
// asks though tenants have the same addresses. Nothing but questions for names gets there.
var resolverSection = section{
	kind: kindResolver, owner: "resolver", object: "1",
	onHost: func(_ *store.State, _ string, yield yieldSlice) { yield(resolverSlice(), true) },
	compile: func(c *compiler, sl Slice) {
		if c.resolver != 0 && sl == resolverSlice() {
			c.toResolver()
		}
	},
	name: func(_ *store.State, sl Slice) string {
		if sl == resolverSlice() {
			return "resolver"
		}
		return ""
	},
	serves: func(_ *store.State, host string, sl Slice) []store.Key {
		if sl == resolverSlice() {
			return []store.Key{store.HostKey(host)}
		}
		return nil
	},
	changed: func(marker, store.Change) {},
}

// toResolver is the whole of it: questions, answers, the answer to ARP for the resolver, which stands behind the router, and the
// last steps to its port. Of what else comes from there nothing is let in.
func (c *compiler) toResolver() {
	c.refuse(stepClassifyStray, match(inPort(c.resolver)), reasonNoConnection)
	c.flow(stepResolveResolver, arp(arpRequest, single(store.Resolver4), origin(originPort)), arpAnswer(store.RouterMAC)...)
	c.asksAt(stepRouteResolver, store.Resolver4, store.Desks4, of.Masked(of.FieldMetadata, of.U64(0), of.U64(0xff<<(32+farBits))))
	c.asksAt(stepRouteResolverFar, store.Resolver4, store.FarDesks4)
	c.asksAt(stepRouteResolver, store.Resolver6, store.Desks6)
	c.flow(stepAccountInAway, match(destination(resolverPort)), goTo(tableDeliver))
	c.flow(stepDeliverPort, match(destination(resolverPort)), of.Output{Port: c.resolver})
}

// asksAt is one address of the resolver. The frame leaves its container with the resolver's address and gets to the
// tenant's desk; the answer comes from the desk, and gets the resolver's address again. A desk ends in its
// tenant's number, as metadata begins with it: a move makes one of the other, so that no tenant needs flows of its own.
func (c *compiler) asksAt(at step, resolver netip.Addr, desks netip.Prefix, who ...of.MatchField) {
	to, from := ipField(single(resolver), of.FieldIPDst, of.FieldIPv6Dst), ipField(single(resolver), of.FieldIPSrc, of.FieldIPv6Src)
	for _, question := range [][]of.MatchField{
		{ipProto(protoUDP), of.Is(of.FieldUDPDst, portDNS)},
		{ipProto(protoTCP), of.Is(of.FieldTCPDst, portDNS)},
	} {
		c.flow(at, match(append(append(question, who...), origin(originPort), ethDst(store.RouterMAC), ipType(resolver), ipDst(single(resolver)))...),
			setMAC(of.FieldEthSrc, store.RouterMAC), setMAC(of.FieldEthDst, store.ResolverMAC),
			setAddress(to, desks.Addr()), of.Move{Source: numberIn(of.FieldMetadata, desks), Target: numberIn(to, desks)},
			load(regDestination, resolverPort), goTo(tableAccountOut))
	}
	c.flow(stepClassifyKnown, match(inPort(c.resolver), untagged(), ipType(resolver), ipSrc(desks)),
		load(regOrigin, originResolver), load(of.FieldMetadata, 0), of.Move{Source: numberIn(from, desks), Target: numberIn(of.FieldMetadata, desks)},
		setMAC(of.FieldEthSrc, store.RouterMAC), setAddress(from, resolver), goTo(tableL3Resolve))
}

// farBits is how long a tenant's number may be whose IPv4 desk is among the near ones.
const farBits = 16

// numberIn is where a tenant's number is in metadata, or in an address of a desk.
func numberIn(f of.Field, desks netip.Prefix) of.Subfield {
	s := of.Subfield{Field: f, Bits: uint16(desks.Addr().BitLen() - desks.Bits())}
	if f == of.FieldMetadata {
		s.Offset = 32
	}
	return s
}
