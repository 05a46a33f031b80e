package flows

import (
	"net/netip"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file is the small language in which the slices are written: one function for each
// match or action that a network engineer would name.

// Ethernet types, IP protocols and ICMP types that the tables speak of.
const (
	typeIPv4 = of.EtherIPv4
	typeARP  = of.EtherARP
	typeIPv6 = of.EtherIPv6
	typeVLAN = of.EtherVLAN

	protoHidden = 0 // of IPv6: the headers end before any protocol (a real 0, hop-by-hop options, is skipped)
	protoICMP   = of.ProtoICMP
	protoTCP    = of.ProtoTCP
	protoUDP    = of.ProtoUDP
	protoICMPv6 = of.ProtoICMPv6

	icmpEchoReply   = 0
	icmpEchoRequest = 8

	mldQuery              = 130
	mldReport             = 131
	mldDone               = 132
	routerSolicitation    = 133
	routerAdvertisement   = 134
	neighbourSolicitation = 135
	neighbourAdvert       = 136
	redirect              = 137
	mld2Report            = 143
	echo6Request          = 128
	echo6Reply            = 129

	portDNS          = 53
	portDHCPServer   = 67
	portDHCPClient   = 68
	portDHCPv6Server = 547
	portDHCPv6Client = 546

	freshTTL  = 64  // of what the switch sends itself
	ownHopTTL = 255 // of neighbour discovery: no router forwarded it (RFC 4861, 3.1)

	targetLinkLayer = 2 // of.FieldNDOptionsType: the target's link-layer address (RFC 4861, 4.6.1)
	// Flags of an advertisement, in of.FieldNDReserved (RFC 4861, 4.4).
	advertRouter    = 1 << 31
	advertSolicited = 1 << 30
	advertOverride  = 1 << 29

	arpAny     = 0 // for arp: of any kind
	arpRequest = 1
	arpReply   = 2

	vlanPresent = 0x1000 // of.FieldVLANVID: the frame has a tag
	fragmentAny = 1      // of.FieldIPFrag: the packet is a fragment
	noPort      = 0xffff // in_port: none, so that a frame may leave where it came in
)

// Bits of ct_state (ovs-fields(7)).
const (
	ctNew     = 0x01
	ctEst     = 0x02
	ctRelated = 0x04
	ctReply   = 0x08
	ctInvalid = 0x10
	ctTracked = 0x20
)

// untagged matches frames without a VLAN tag.
func untagged() of.MatchField { return of.Masked(of.FieldVLANVID, of.U64(0), of.U64(vlanPresent)) }

func match(f ...of.MatchField) of.Match { return of.NewMatch(f...) }

func inPort(n uint32) of.MatchField      { return of.Is(of.FieldInPort, uint64(n)) }
func origin(o uint64) of.MatchField      { return of.Is(regOrigin, o) }
func source(port uint32) of.MatchField   { return of.Is(regSource, uint64(port)) }
func etherType(t uint64) of.MatchField   { return of.Is(of.FieldEthType, t) }
func ethSrc(m store.MAC) of.MatchField   { return of.Is(of.FieldEthSrc, m.Uint64()) }
func ethDst(m store.MAC) of.MatchField   { return of.Is(of.FieldEthDst, m.Uint64()) }
func ipProto(p uint64) of.MatchField     { return of.Is(of.FieldIPProto, p) }
func icmp6Type(t uint64) of.MatchField   { return of.Is(of.FieldICMPv6Type, t) }
func destination(p uint32) of.MatchField { return of.Is(regDestination, uint64(p)) }

// tenantMetadata and networkMetadata match what classify and decap wrote.
func tenantMetadata(tenant uint32) of.MatchField {
	return of.Masked(of.FieldMetadata, of.U64(uint64(tenant)<<32), of.U64(0xffffffff<<32))
}

func networkMetadata(tenant, network uint32) of.MatchField {
	return of.Is(of.FieldMetadata, metadata(tenant, network))
}

func metadata(tenant, network uint32) uint64 { return uint64(tenant)<<32 | uint64(network) }

// ctState matches flags that are set and flags that are not.
func ctState(set, unset uint64) of.MatchField {
	return of.Masked(of.FieldCTState, of.U64(set), of.U64(set|unset))
}

func multicast() of.MatchField {
	return of.Masked(of.FieldEthDst, of.U64(1<<40), of.U64(1<<40))
}

// ipDst, ipSrc match an address or prefix of either family; the caller matches its
// Ethernet type too.
func ipDst(p netip.Prefix) of.MatchField { return of.In(ipField(p, of.FieldIPDst, of.FieldIPv6Dst), p) }
func ipSrc(p netip.Prefix) of.MatchField { return of.In(ipField(p, of.FieldIPSrc, of.FieldIPv6Src), p) }

func ipField(p netip.Prefix, v4, v6 of.Field) of.Field {
	if p.Addr().Is4() {
		return v4
	}
	return v6
}

// ipType is the Ethernet type of an address's family.
func ipType(a netip.Addr) of.MatchField {
	if a.Is4() {
		return etherType(typeIPv4)
	}
	return etherType(typeIPv6)
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// family reports whether a list of prefixes has an address of a family.
func family(prefixes []netip.Prefix, is func(netip.Addr) bool) bool {
	for _, p := range prefixes {
		if is(p.Addr()) {
			return true
		}
	}
	return false
}

// tunnelFrom matches the VTEP that sent a frame.
func tunnelFrom(vtep netip.Addr) of.MatchField {
	return of.IsValue(ipField(single(vtep), of.FieldTunSrc, of.FieldTunIPv6Src), of.Address(vtep))
}

// arp matches an ARP message of one kind, or of any, about a target address.
func arp(op uint64, target netip.Prefix, more ...of.MatchField) of.Match {
	more = append(more, etherType(typeARP), of.In(of.FieldARPTPA, target))
	if op != arpAny {
		more = append(more, of.Is(of.FieldARPOp, op))
	}
	return match(more...)
}

// icmp matches an ICMP message of one type, code 0.
func icmp(icmpType uint64, more ...of.MatchField) of.Match {
	return match(append(more, etherType(typeIPv4), ipProto(protoICMP),
		of.Is(of.FieldICMPType, icmpType), of.Is(of.FieldICMPCode, 0))...)
}

// icmp6 matches an ICMPv6 message of one type, code 0.
func icmp6(icmpType uint64, more ...of.MatchField) of.Match {
	return match(append(more, etherType(typeIPv6), ipProto(protoICMPv6), icmp6Type(icmpType),
		of.Is(of.FieldICMPv6Code, 0))...)
}

func target(p netip.Prefix) of.MatchField { return of.In(of.FieldNDTarget, p) }

func goTo(table uint8) of.Action     { return of.GotoTable{Table: table} }
func resubmit(table uint8) of.Action { return of.Resubmit{Table: table} }

func load(f of.Field, v uint64) of.Action {
	return of.Load{Target: of.Subfield{Field: f}, Value: v}
}

func set(f of.Field, v uint64) of.Action { return of.SetField{Field: f, Value: of.U64(v)} }

func setMAC(f of.Field, m store.MAC) of.Action { return set(f, m.Uint64()) }

func setAddress(f of.Field, a netip.Addr) of.Action {
	return of.SetField{Field: f, Value: of.Address(a)}
}

func move(from, to of.Field) of.Action {
	return of.Move{Source: of.Subfield{Field: from}, Target: of.Subfield{Field: to}}
}

func push(f of.Field) of.Action { return of.Push{Source: of.Subfield{Field: f}} }
func pop(f of.Field) of.Action  { return of.Pop{Target: of.Subfield{Field: f}} }

func writeMetadata(v uint64) of.Action { return of.WriteMetadata{Value: v, Mask: ^uint64(0)} }

// tunnelTo names the VTEP that encap sends the frame to.
func tunnelTo(vtep netip.Addr) of.Action {
	return setAddress(ipField(single(vtep), of.FieldTunDst, of.FieldTunIPv6Dst), vtep)
}
