package simulate

import (
	"net/netip"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// Endpoint is one end of a conversation.
type Endpoint struct {
	MAC  store.MAC
	IP   netip.Addr
	Port uint16 // of TCP or UDP
}

// Broadcast is the Ethernet address of everybody.
var Broadcast = store.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Ethernet types and IP protocols that the constructors write.
const (
	typeIPv4 = of.EtherIPv4
	typeARP  = of.EtherARP
	typeIPv6 = of.EtherIPv6

	protoICMP   = of.ProtoICMP
	protoTCP    = of.ProtoTCP
	protoUDP    = of.ProtoUDP
	protoICMPv6 = of.ProtoICMPv6

	icmpEchoReply    = 0
	icmpUnreachable  = 3
	icmpEcho         = 8
	icmpTimeExceeded = 11
	icmpv6TimeExceed = 3
	icmpv6Echo       = 128
	icmpv6EchoReply  = 129
	icmpv6Solicit    = 135
	icmpv6Advertise  = 136
)

// Flags of TCP (RFC 9293, 3.1).
const (
	TCPFin = 0x01
	TCPSyn = 0x02
	TCPRst = 0x04
	TCPAck = 0x10
)

// Fragments as the field ip_frag numbers them.
const (
	FragmentFirst = 1
	FragmentLater = 3
)

// Ethernet is a frame that carries nothing a switch reads.
func Ethernet(src, dst store.MAC, etherType uint16) Packet {
	var p Packet
	p.SetUint(of.FieldEthSrc, src.Uint64())
	p.SetUint(of.FieldEthDst, dst.Uint64())
	p.SetUint(of.FieldEthType, uint64(etherType))
	return p
}

// ARPRequest asks everybody for target's MAC (RFC 826).
func ARPRequest(from Endpoint, target netip.Addr) Packet {
	return arp(from, Endpoint{MAC: Broadcast, IP: target}, 1)
}

// ARPReply tells to that from.IP is at from.MAC.
func ARPReply(from, to Endpoint) Packet { return arp(from, to, 2) }

func arp(from, to Endpoint, op uint64) Packet {
	p := Ethernet(from.MAC, to.MAC, typeARP)
	p.SetUint(of.FieldARPOp, op)
	p.SetUint(of.FieldARPSHA, from.MAC.Uint64())
	p.Set(of.FieldARPSPA, of.Address(from.IP))
	p.Set(of.FieldARPTPA, of.Address(to.IP))
	if op != 1 {
		p.SetUint(of.FieldARPTHA, to.MAC.Uint64())
	}
	return p
}

// IP is a packet of some protocol, in the family of its addresses, with TTL 64.
func IP(from, to Endpoint, proto uint8) Packet {
	p := Ethernet(from.MAC, to.MAC, typeIPv4)
	src, dst := of.FieldIPSrc, of.FieldIPDst
	if from.IP.Is6() {
		p.SetUint(of.FieldEthType, typeIPv6)
		src, dst = of.FieldIPv6Src, of.FieldIPv6Dst
	}
	p.Set(src, of.Address(from.IP))
	p.Set(dst, of.Address(to.IP))
	p.SetUint(of.FieldIPProto, uint64(proto))
	p.SetUint(of.FieldIPTTL, 64)
	return p
}

// ICMPEcho is an echo request, of ICMP or ICMPv6, with an identifier.
func ICMPEcho(from, to Endpoint, id uint16) Packet {
	p := IP(from, to, protoICMP)
	if from.IP.Is6() {
		p = IP(from, to, protoICMPv6)
		p.SetUint(of.FieldICMPv6Type, icmpv6Echo)
	} else {
		p.SetUint(of.FieldICMPType, icmpEcho)
	}
	p.Echo = id
	return p
}

// TCP is a segment with those flags.
func TCP(from, to Endpoint, flags uint16) Packet {
	p := IP(from, to, protoTCP)
	p.SetUint(of.FieldTCPSrc, uint64(from.Port))
	p.SetUint(of.FieldTCPDst, uint64(to.Port))
	p.SetUint(of.FieldTCPFlags, uint64(flags))
	return p
}

// UDP is a datagram.
func UDP(from, to Endpoint) Packet {
	p := IP(from, to, protoUDP)
	p.SetUint(of.FieldUDPSrc, uint64(from.Port))
	p.SetUint(of.FieldUDPDst, uint64(to.Port))
	return p
}

// NeighbourSolicitation asks the target's group for its MAC (RFC 4861, 4.3), with the
// sender's own as an option.
func NeighbourSolicitation(from Endpoint, target netip.Addr) Packet {
	group := netip.MustParseAddr("ff02::1:ff00:0").As16()
	t := target.As16()
	copy(group[13:], t[13:])
	to := Endpoint{MAC: store.MAC{0x33, 0x33, 0xff, t[13], t[14], t[15]}, IP: netip.AddrFrom16(group)}
	p := neighbour(from, to, icmpv6Solicit, target)
	p.SetUint(of.FieldNDOptionsType, optionSource)
	p.SetUint(of.FieldNDSLL, from.MAC.Uint64())
	return p
}

// NeighbourAdvertisement answers a solicitation: from.IP is at from.MAC (RFC 4861, 4.4).
func NeighbourAdvertisement(from, to Endpoint) Packet {
	p := neighbour(from, to, icmpv6Advertise, from.IP)
	p.SetUint(of.FieldNDReserved, 0x60000000) // solicited, override
	p.SetUint(of.FieldNDOptionsType, optionTarget)
	p.SetUint(of.FieldNDTLL, from.MAC.Uint64())
	return p
}

func neighbour(from, to Endpoint, kind uint64, target netip.Addr) Packet {
	p := IP(from, to, protoICMPv6)
	p.SetUint(of.FieldIPTTL, 255)
	p.SetUint(of.FieldICMPv6Type, kind)
	p.Set(of.FieldNDTarget, of.Address(target))
	return p
}

// ICMPError is what a router at from sends about p: that its time to live was exceeded.
func ICMPError(from Endpoint, p *Packet) Packet {
	t := tupleOf(p)
	to := Endpoint{MAC: store.MACFromUint64(p.Uint(of.FieldEthSrc)), IP: t.addr(t.Src)}
	e := IP(from, to, protoICMP)
	if t.V6 {
		e = IP(from, to, protoICMPv6)
		e.SetUint(of.FieldICMPv6Type, icmpv6TimeExceed)
	} else {
		e.SetUint(of.FieldICMPType, icmpTimeExceeded)
	}
	e.Quoted = t
	return e
}

// Answer is what the receiver of p sends back: an echo reply, SYN+ACK for SYN and ACK for
// any other segment, a datagram or ARP reply the other way. The receiver's own MAC stands
// in for the one that an ARP request asks for.
func Answer(p Packet, mac store.MAC) Packet {
	a := p.Frame()
	a.Set(of.FieldEthDst, p.Get(of.FieldEthSrc))
	a.SetUint(of.FieldEthSrc, mac.Uint64())
	swap(&a, of.FieldIPSrc, of.FieldIPDst)
	swap(&a, of.FieldIPv6Src, of.FieldIPv6Dst)
	swap(&a, of.FieldTCPSrc, of.FieldTCPDst)
	swap(&a, of.FieldUDPSrc, of.FieldUDPDst)
	swap(&a, of.FieldARPSPA, of.FieldARPTPA)
	switch {
	case p.Uint(of.FieldEthType) == typeARP:
		a.SetUint(of.FieldARPOp, 2)
		a.Set(of.FieldARPTHA, p.Get(of.FieldARPSHA))
		a.SetUint(of.FieldARPSHA, mac.Uint64())
	case p.isTCP() && p.Uint(of.FieldTCPFlags) == TCPSyn:
		a.SetUint(of.FieldTCPFlags, TCPSyn|TCPAck)
	case p.isTCP():
		a.SetUint(of.FieldTCPFlags, TCPAck)
	case p.Uint(of.FieldICMPType) == icmpEcho:
		a.SetUint(of.FieldICMPType, icmpEchoReply)
	case p.Uint(of.FieldICMPv6Type) == icmpv6Echo:
		a.SetUint(of.FieldICMPv6Type, icmpv6EchoReply)
	}
	if a.isIP() {
		a.SetUint(of.FieldIPTTL, 64)
	}
	return a
}

func swap(p *Packet, f, g of.Field) {
	v := p.Get(f)
	p.Set(f, p.Get(g))
	p.Set(g, v)
}
