package trace

import (
	"fmt"
	"net/netip"
	"strings"

	of "sluice/datapath/openflow"
	"sluice/flows/simulate"
	"sluice/store"
)

// What the packets here carry (RFC 826; RFC 4861; RFC 792).
const (
	arpRequest             = 1
	arpReply               = 2
	neighbourSolicitation  = 135
	neighbourAdvertisement = 136
	icmpEcho               = 8
	icmpv6Echo             = 128
	echoID                 = 1

	typeARP  = of.EtherARP
	typeIPv6 = of.EtherIPv6
)

func (e *end) endpoint(port uint16) simulate.Endpoint {
	return simulate.Endpoint{MAC: e.mac, IP: e.ip, Port: port}
}

// neighbour asks who has an address, by ARP or neighbour discovery.
func neighbour(from simulate.Endpoint, asked netip.Addr) simulate.Packet {
	if asked.Is4() {
		return simulate.ARPRequest(from, asked)
	}
	return simulate.NeighbourSolicitation(from, asked)
}

// packet is the first packet of a connection from one end to the other, by the next hop's MAC.
// The ports that were asked for are From's and To's, whichever end opens.
func (t *Trace) packet(from, to *end, mac store.MAC) (p simulate.Packet) {
	src, dst := from.endpoint(t.SrcPort), to.endpoint(t.DstPort)
	if from != &t.from {
		src.Port, dst.Port = t.DstPort, t.SrcPort
	}
	dst.MAC = mac
	if !from.isPort() {
		dst.IP = t.transit
	}
	switch t.proto {
	case protoICMP, protoICMPv6:
		p = simulate.ICMPEcho(src, dst, echoID)
	case protoTCP:
		p = simulate.TCP(src, dst, simulate.TCPSyn)
	case protoUDP:
		p = simulate.UDP(src, dst)
	default:
		p = simulate.IP(src, dst, t.proto)
	}
	p.SetUint(of.FieldIPTTL, uint64(t.TTL))
	return p
}

// spoil makes of a first packet one that opens no connection.
func spoil(p simulate.Packet) simulate.Packet {
	if p.Uint(of.FieldIPProto) == protoTCP {
		p.SetUint(of.FieldTCPFlags, simulate.TCPSyn|simulate.TCPFin)
		return p
	}
	if p.Uint(of.FieldEthType) == typeIPv6 {
		p.SetUint(of.FieldICMPv6Type, icmpv6Echo+1)
	} else {
		p.SetUint(of.FieldICMPType, 0)
	}
	return p
}

// packetText is a packet in words.
func packetText(p *simulate.Packet) string {
	v6 := p.Uint(of.FieldEthType) == typeIPv6
	switch {
	case p.Uint(of.FieldEthType) == typeARP:
		return arpText(p)
	case v6 && p.Uint(of.FieldIPProto) == protoICMPv6 && p.Uint(of.FieldICMPv6Type) == neighbourSolicitation:
		return fmt.Sprintf("neighbour discovery: who has %s, asks %s", p.Get(of.FieldNDTarget).IP(true), p.Get(of.FieldIPv6Src).IP(true))
	case v6 && p.Uint(of.FieldIPProto) == protoICMPv6 && p.Uint(of.FieldICMPv6Type) == neighbourAdvertisement:
		return fmt.Sprintf("neighbour discovery: %s is at %s", p.Get(of.FieldNDTarget).IP(true), store.MACFromUint64(p.Uint(of.FieldNDTLL)))
	}
	src, dst := p.Get(of.FieldIPSrc).IP(false), p.Get(of.FieldIPDst).IP(false)
	if v6 {
		src, dst = p.Get(of.FieldIPv6Src).IP(true), p.Get(of.FieldIPv6Dst).IP(true)
	}
	ttl := fmt.Sprintf(", ttl %d", p.Uint(of.FieldIPTTL))
	switch proto := p.Uint(of.FieldIPProto); proto {
	case protoTCP:
		return "tcp " + between(src, dst, p.Uint(of.FieldTCPSrc), p.Uint(of.FieldTCPDst)) + " " + tcpFlags(p.Uint(of.FieldTCPFlags)) + ttl
	case protoUDP:
		return "udp " + between(src, dst, p.Uint(of.FieldUDPSrc), p.Uint(of.FieldUDPDst)) + ttl
	case protoICMP, protoICMPv6:
		return fmt.Sprintf("icmp %s %s to %s%s", icmpName(p, v6), src, dst, ttl)
	default:
		return fmt.Sprintf("protocol %d %s to %s%s", proto, src, dst, ttl)
	}
}

func between(src, dst netip.Addr, from, to uint64) string {
	return netip.AddrPortFrom(src, uint16(from)).String() + " to " + netip.AddrPortFrom(dst, uint16(to)).String()
}

func arpText(p *simulate.Packet) string {
	asker, target := p.Get(of.FieldARPSPA).IP(false), p.Get(of.FieldARPTPA).IP(false)
	if p.Uint(of.FieldARPOp) == arpRequest {
		return fmt.Sprintf("arp: who has %s, asks %s", target, asker)
	}
	return fmt.Sprintf("arp: %s is at %s", asker, store.MACFromUint64(p.Uint(of.FieldARPSHA)))
}

func tcpFlags(flags uint64) string {
	var names []string
	for _, f := range []struct {
		bit  uint64
		name string
	}{{simulate.TCPSyn, "syn"}, {simulate.TCPFin, "fin"}, {simulate.TCPRst, "rst"}, {simulate.TCPAck, "ack"}} {
		if flags&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, "+")
}

func icmpName(p *simulate.Packet, v6 bool) string {
	kind := p.Uint(of.FieldICMPType)
	if v6 {
		kind = p.Uint(of.FieldICMPv6Type)
	}
	switch {
	case p.Quoted != (simulate.Tuple{}):
		return "time exceeded"
	case !v6 && kind == icmpEcho || v6 && kind == icmpv6Echo:
		return "echo request"
	}
	return "echo reply"
}
