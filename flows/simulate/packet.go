package simulate

import (
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
)

// Packet is a frame together with what a switch knows of it: its port, tunnel, registers,
// metadata and connection state. It is a plain value: copies share nothing, and two packets
// are equal when == says so. The zero Packet is an untagged frame of Ethernet type 0.
type Packet struct {
	values [256]of.Value // by Field; the fields of 802.1Q and wide registers are derived
	// tags are the frame's 802.1Q tags, outermost first, as TCIs without the present bit.
	tags [maxTags]uint16
	// depth counts all tags, seen those that the switch parsed.
	depth, seen uint8
	// plain says that a neighbour discovery message came without a link-layer option:
	// writing one's fields does not add it.
	plain bool

	// Echo is the identifier of an ICMP or ICMPv6 echo, which no match field reads but
	// connection tracking does.
	Echo uint16
	// Quoted is the packet that an ICMP error reports about; the zero Tuple for others.
	Quoted Tuple

	track tracking
}

const (
	maxTags = 4
	// parsedTags is how many tags Open vSwitch reads (vlan-limit, by default 1): behind a
	// second one it sees nothing but its Ethernet type.
	parsedTags = 1
	tagPresent = 0x1000
	typeVLAN   = of.EtherVLAN
)

// Get reads a field; one that the packet lacks is zero.
func (p *Packet) Get(f of.Field) of.Value {
	switch {
	case f >= of.FieldXReg0 && f <= of.FieldXXReg3:
		return p.wideRegister(f)
	case f == of.FieldVLANTCI, f == of.FieldVLANVID, f == of.FieldVLANPCP:
		return of.U64(uint64(p.tagField(f)))
	case p.depth > p.seen && f > of.FieldEthDst:
		if f == of.FieldEthType {
			return of.U64(typeVLAN)
		}
		return of.Value{}
	}
	return p.values[f]
}

// Uint reads a field of up to 64 bits.
func (p *Packet) Uint(f of.Field) uint64 { return p.Get(f).Lo }

func (p *Packet) wideRegister(f of.Field) of.Value {
	if f <= of.FieldXReg7 {
		at := of.FieldReg0 + 2*(f-of.FieldXReg0)
		return of.U64(p.values[at].Lo<<32 | p.values[at+1].Lo)
	}
	at := of.FieldReg0 + 4*(f-of.FieldXXReg0)
	r := p.values[at : at+4]
	return of.Value{Hi: r[0].Lo<<32 | r[1].Lo, Lo: r[2].Lo<<32 | r[3].Lo}
}

func (p *Packet) tagField(f of.Field) uint16 {
	if p.seen == 0 {
		return 0
	}
	tci := p.tags[0]
	switch f {
	case of.FieldVLANVID:
		return tci&0xfff | tagPresent
	case of.FieldVLANPCP:
		return tci >> 13
	}
	return tci | tagPresent
}

// Set writes a whole field, whether or not the frame has the header for it.
func (p *Packet) Set(f of.Field, v of.Value) {
	switch {
	case f >= of.FieldXReg0 && f <= of.FieldXReg7:
		at := of.FieldReg0 + 2*(f-of.FieldXReg0)
		p.values[at], p.values[at+1] = of.U64(v.Lo>>32), of.U64(v.Lo&0xffffffff)
	case f >= of.FieldXXReg0 && f <= of.FieldXXReg3:
		at := of.FieldXReg0 + 2*(f-of.FieldXXReg0)
		p.Set(at, of.U64(v.Hi))
		p.Set(at+1, of.U64(v.Lo))
	case f == of.FieldVLANVID:
		p.tags[0] = p.tags[0]&0xe000 | uint16(v.Lo)&0xfff
	case f == of.FieldVLANPCP:
		p.tags[0] = p.tags[0]&0x1fff | uint16(v.Lo)<<13
	case f == of.FieldVLANTCI:
		p.setTCI(uint16(v.Lo))
	default:
		p.values[f] = v.And(of.Ones(f.Bits()))
	}
}

// setTCI adds, rewrites or removes the tag, as writing NXM_OF_VLAN_TCI does.
func (p *Packet) setTCI(tci uint16) {
	switch {
	case tci&tagPresent == 0:
		p.popTag()
		return
	case p.seen == 0:
		p.pushTag()
	}
	p.tags[0] = tci &^ tagPresent
}

// SetUint writes a field of up to 64 bits.
func (p *Packet) SetUint(f of.Field, v uint64) { p.Set(f, of.U64(v)) }

// Tag puts an 802.1Q tag in front of those that the frame has, as a sender would: the
// switch reads no further than the first.
func (p Packet) Tag(vlan uint16) Packet {
	copy(p.tags[1:], p.tags[:])
	p.tags[0] = vlan
	p.depth = min(p.depth+1, maxTags)
	p.seen = min(p.depth, parsedTags)
	return p
}

// Tunnelled is the frame as it comes out of a tunnel: with that key, between those addresses.
func (p Packet) Tunnelled(key uint64, src, dst netip.Addr) Packet {
	p.SetUint(of.FieldTunID, key)
	from, to := of.FieldTunSrc, of.FieldTunDst
	if src.Is6() {
		from, to = of.FieldTunIPv6Src, of.FieldTunIPv6Dst
	}
	p.Set(from, of.Address(src))
	p.Set(to, of.Address(dst))
	return p
}

// Tags are the frame's VLAN TCIs, outermost first, without the present bit.
func (p *Packet) Tags() []uint16 { return slices.Clone(p.tags[:p.depth]) }

func (p *Packet) pushTag() {
	copy(p.tags[1:], p.tags[:])
	p.tags[0] = 0
	p.depth, p.seen = min(p.depth+1, maxTags), min(p.seen+1, maxTags)
}

func (p *Packet) popTag() {
	if p.seen == 0 {
		return
	}
	copy(p.tags[:], p.tags[1:])
	p.tags[maxTags-1] = 0
	p.depth, p.seen = p.depth-1, p.seen-1
}

// arrived is the packet as a switch parses it on a port.
func (p Packet) arrived(port uint32) Packet {
	tunnel := p.tunnel()
	p = p.Frame()
	p.setTunnel(tunnel)
	p.SetUint(of.FieldInPort, uint64(port))
	p.plain = p.values[of.FieldNDOptionsType].IsZero()
	return p
}

// Frame is the packet as a wire carries it: without port, registers, metadata, tunnel and
// connection state, and parsed afresh.
func (p Packet) Frame() Packet {
	for f := of.FieldInPort; f < of.FieldEthSrc; f++ {
		p.values[f] = of.Value{}
	}
	p.seen = min(p.depth, parsedTags)
	p.track = tracking{}
	p.keepOneOption()
	return p
}

// keepOneOption drops what a neighbour discovery message cannot say: it has one link-layer
// option at most, a source's or a target's, as nd_options_type tells.
func (p *Packet) keepOneOption() {
	if p.plain {
		p.values[of.FieldNDOptionsType] = of.Value{}
		p.plain = false
	}
	option := p.values[of.FieldNDOptionsType].Lo
	if option != optionSource {
		p.values[of.FieldNDSLL] = of.Value{}
	}
	if option != optionTarget {
		p.values[of.FieldNDTLL] = of.Value{}
	}
}

// Options of neighbour discovery (RFC 4861, 4.6.1).
const (
	optionSource = 1
	optionTarget = 2
)
