package witness

import (
	"net/netip"

	of "sluice/datapath/openflow"
	"sluice/flows/simulate"
	"sluice/store"
)

// exact is the value that a field must have, if any.
func (k known) exact(f of.Field) (uint64, bool) {
	b, ok := k[f]
	return b.value.Lo, ok && b.mask == of.Ones(f.Bits())
}

// frame draws a frame that is as needed; what is left open is what the cluster's frames speak of. me is who
// sends it; the zero Port: somebody outside of the cluster.
func (c *Cluster) frame(d dice, me *store.Port, need known) simulate.Packet {
	kind, ok := need.exact(of.FieldEthType)
	if !ok {
		kind = pick(d, []uint64{typeIPv4, typeIPv4, typeIPv4, typeIPv4, typeIPv4, typeARP, typeARP, typeIPv6, typeIPv6, 0x88b5})
	}
	v6 := kind == typeIPv6
	from, to := c.speaking(d, me, v6), simulate.Endpoint{MAC: c.words.mac(d), IP: c.words.address(d, v6), Port: 80}
	var p simulate.Packet
	switch kind {
	case typeARP:
		p = c.arp(d, from, to)
	case typeIPv4, typeIPv6:
		p = c.ip(d, from, to, need)
	default:
		p = simulate.Ethernet(from.MAC, to.MAC, uint16(kind))
	}
	if d.often(3) {
		p = p.Tag(pick(d, append([]uint16{0}, c.words.vlans...)))
	}
	return headless(need.impose(p))
}

// headless takes from an IP packet the headers that it does not have, since it is of another protocol than
// it was drawn for, or a later fragment.
func headless(p simulate.Packet) simulate.Packet {
	proto, v6 := p.Uint(of.FieldIPProto), p.Uint(of.FieldEthType) == typeIPv6
	for f := of.FieldTCPSrc; f <= of.FieldNDOptionsType; f++ {
		has := false
		switch {
		case p.Uint(of.FieldIPFrag) == simulate.FragmentLater:
		case f <= of.FieldTCPFlags:
			has = proto == protoTCP
		case f <= of.FieldUDPDst:
			has = proto == protoUDP
		case f == of.FieldICMPType || f == of.FieldICMPCode:
			has = proto == protoICMP && !v6
		case f == of.FieldICMPv6Type || f == of.FieldICMPv6Code:
			has = proto == protoICMPv6 && v6
		default:
			kind := p.Uint(of.FieldICMPv6Type)
			has = proto == protoICMPv6 && v6 && (kind == icmp6Solicit || kind == icmp6Advert) && p.Uint(of.FieldICMPv6Code) == 0
		}
		if !has {
			p.Set(f, of.Value{})
		}
	}
	return p
}

// speaking is a sender as it may speak, or now and then as it pretends to be.
func (c *Cluster) speaking(d dice, me *store.Port, v6 bool) simulate.Endpoint {
	e := simulate.Endpoint{MAC: c.words.mac(d), IP: c.words.address(d, v6), Port: pick(d, []uint16{4000, 4001, 67, 547})}
	if d.often(80) {
		e.Port = 4000
	}
	if me == nil {
		return e
	}
	all := speakers(me)
	as := pick(d, all)
	if d.often(80) {
		as = all[0]
	}
	var mine []netip.Addr
	for _, p := range as.prefixes {
		if p.Addr().Is6() == v6 {
			mine = append(mine, p.Addr())
		}
	}
	if !d.often(10) {
		e.MAC = as.mac
	}
	if len(mine) > 0 && !d.often(12) {
		e.IP = pick(d, mine)
	}
	return e
}

func (c *Cluster) arp(d dice, from, to simulate.Endpoint) simulate.Packet {
	if d.often(70) {
		return simulate.ARPRequest(from, to.IP)
	}
	return simulate.ARPReply(from, to)
}

// ip draws a packet of a protocol that is as needed.
func (c *Cluster) ip(d dice, from, to simulate.Endpoint, need known) simulate.Packet {
	v6 := from.IP.Is6()
	proto, ok := need.exact(of.FieldIPProto)
	if !ok {
		proto = pick(d, []uint64{protoUDP, protoUDP, protoTCP, protoTCP, protoICMP, 132})
		if v6 && proto == protoICMP {
			proto = protoICMPv6
		}
	}
	var p simulate.Packet
	switch {
	case proto == protoUDP:
		to.Port = pick(d, []uint16{80, 80, 80, 68, 546})
		p = simulate.UDP(from, to)
	case proto == protoTCP:
		p = simulate.TCP(from, to, pick(d, []uint16{simulate.TCPSyn, simulate.TCPSyn, simulate.TCPAck}))
	case proto == protoICMP && !v6:
		p = simulate.ICMPEcho(from, to, 7)
	case proto == protoICMPv6 && v6:
		p = c.icmp6(d, from, to, need)
	default:
		p = simulate.IP(from, to, uint8(proto))
	}
	if d.often(5) {
		p.SetUint(of.FieldIPFrag, pick(d, []uint64{simulate.FragmentFirst, simulate.FragmentLater}))
	}
	return p
}

func (c *Cluster) icmp6(d dice, from, to simulate.Endpoint, need known) simulate.Packet {
	kind, ok := need.exact(of.FieldICMPv6Type)
	if !ok {
		kind = pick(d, []uint64{icmp6Echo, icmp6Echo, icmp6Solicit, icmp6Advert, icmp6Router, icmp6Mend})
	}
	switch kind {
	case icmp6Solicit:
		p := simulate.NeighbourSolicitation(from, to.IP)
		if d.often(50) {
			p.SetUint(of.FieldEthDst, to.MAC.Uint64())
		}
		return p
	case icmp6Advert:
		return simulate.NeighbourAdvertisement(from, to)
	}
	p := simulate.ICMPEcho(from, to, 7)
	p.SetUint(of.FieldICMPv6Type, kind)
	if kind != icmp6Echo {
		p.SetUint(of.FieldIPTTL, 255)
	}
	return p
}

// impose makes a frame what it must be, in what a sender decides.
func (k known) impose(p simulate.Packet) simulate.Packet {
	if tag, ok := k[of.FieldVLANVID]; ok {
		p = imposeTag(p, tag)
	}
	for f := of.FieldEthSrc; f <= of.FieldNDOptionsType; f++ {
		if f == of.FieldEthType && !k.typed(&p) {
			continue // it has fields of its own type
		}
		if b, ok := k[f]; ok && f != of.FieldVLANVID {
			p.Set(f, b.value.And(b.mask).Or(p.Get(f).And(b.mask.Xor(of.Ones(128)))))
		}
	}
	return p
}

// typed reports whether a frame may get the type that is needed: a part of a type, as a mask leaves it, would make one that is no
// frame's with its headers.
func (k known) typed(p *simulate.Packet) bool {
	b, ok := k[of.FieldEthType]
	return !ok || b.mask == of.Ones(of.FieldEthType.Bits()) || p.Get(of.FieldEthType).Xor(b.value).And(b.mask).IsZero()
}

// imposeTag gives a frame the tag that it must have; what must have none has none already, but for chance.
func imposeTag(p simulate.Packet, tag bits) simulate.Packet {
	const present = 0x1000
	if tag.mask.Lo&present == 0 {
		return p
	}
	if len(p.Tags()) > 0 {
		p.Set(of.FieldVLANTCI, of.Value{})
	}
	if tag.value.Lo&present != 0 {
		p = p.Tag(uint16(tag.value.Lo) & 0xfff)
	}
	return p
}
