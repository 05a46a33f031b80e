package simulate

import (
	"encoding/binary"

	of "sluice/datapath/openflow"
)

// sequence is what the bytes of a TCP segment hold and a Packet does not.
type sequence struct{ number, acknowledged uint32 }

// bytes is the packet as a wire carries it, checksums included.
func (s sequence) bytes(p *Packet) []byte {
	b := appendField(nil, p, of.FieldEthDst, 6)
	b = appendField(b, p, of.FieldEthSrc, 6)
	for _, tci := range p.Tags() {
		b = binary.BigEndian.AppendUint16(b, typeVLAN)
		b = binary.BigEndian.AppendUint16(b, tci)
	}
	bare := *p
	bare.depth, bare.seen = 0, 0
	b = appendField(b, &bare, of.FieldEthType, 2)
	switch {
	case bare.isARP():
		return appendARP(b, &bare)
	case bare.isIPv4():
		return appendIPv4(b, &bare, s.transport(&bare))
	case bare.isIPv6():
		return appendIPv6(b, &bare, s.transport(&bare))
	}
	return append(b, "sluice"...)
}

// appendField writes the low n bytes of a field, most significant first.
func appendField(b []byte, p *Packet, f of.Field, n int) []byte {
	v := p.Get(f)
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(v.Right(8*i).Lo))
	}
	return b
}

func appendARP(b []byte, p *Packet) []byte {
	b = append(b, 0, 1, 8, 0, 6, 4)
	b = appendField(b, p, of.FieldARPOp, 2)
	b = appendField(b, p, of.FieldARPSHA, 6)
	b = appendField(b, p, of.FieldARPSPA, 4)
	b = appendField(b, p, of.FieldARPTHA, 6)
	return appendField(b, p, of.FieldARPTPA, 4)
}

func appendIPv4(b []byte, p *Packet, payload []byte) []byte {
	h := []byte{0x45, byte(p.Uint(of.FieldIPDSCP)<<2 | p.Uint(of.FieldIPECN))}
	h = binary.BigEndian.AppendUint16(h, uint16(20+len(payload)))
	h = append(h, 0, 0)
	h = append(h, map[uint64][]byte{0: {0, 0}, FragmentFirst: {0x20, 0}, FragmentLater: {0, 185}}[p.Uint(of.FieldIPFrag)]...)
	h = append(h, byte(p.Uint(of.FieldIPTTL)), byte(p.Uint(of.FieldIPProto)), 0, 0)
	h = appendField(h, p, of.FieldIPSrc, 4)
	h = appendField(h, p, of.FieldIPDst, 4)
	binary.BigEndian.PutUint16(h[10:], ^sum(h))
	return append(append(b, h...), payload...)
}

func appendIPv6(b []byte, p *Packet, payload []byte) []byte {
	class := p.Uint(of.FieldIPDSCP)<<2 | p.Uint(of.FieldIPECN)
	b = binary.BigEndian.AppendUint32(b, 6<<28|uint32(class)<<20|uint32(p.Uint(of.FieldIPv6Label)))
	next, fragment := byte(p.Uint(of.FieldIPProto)), []byte(nil)
	if kind := p.Uint(of.FieldIPFrag); kind != 0 {
		fragment = append([]byte{next, 0}, map[uint64][]byte{FragmentFirst: {0, 1}, FragmentLater: {5, 0xc8}}[kind]...)
		fragment = append(fragment, 0, 0, 0, 1)
		next = 44
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(fragment)+len(payload)))
	b = append(b, next, byte(p.Uint(of.FieldIPTTL)))
	b = appendField(b, p, of.FieldIPv6Src, 16)
	b = appendField(b, p, of.FieldIPv6Dst, 16)
	return append(append(b, fragment...), payload...)
}

// transport is the packet's payload of IP, with its checksum.
func (s sequence) transport(p *Packet) []byte {
	var b []byte
	at := -1 // of the checksum
	switch {
	case p.isTCP():
		b, at = s.tcp(p), 16
	case p.isUDP():
		b, at = udp(p), 6
	case p.isICMP():
		b, at = icmp(p, of.FieldICMPType, of.FieldICMPCode), 2
		binary.BigEndian.PutUint16(b[at:], ^sum(b))
		return b
	case p.isICMPv6():
		b, at = icmp(p, of.FieldICMPv6Type, of.FieldICMPv6Code), 2
	}
	if at < 0 {
		return []byte("sluice..")
	}
	binary.BigEndian.PutUint16(b[at:], ^sum(append(pseudoHeader(p, len(b)), b...)))
	return b
}

func pseudoHeader(p *Packet, length int) []byte {
	var b []byte
	if p.isIPv6() {
		b = appendField(b, p, of.FieldIPv6Src, 16)
		b = appendField(b, p, of.FieldIPv6Dst, 16)
	} else {
		b = appendField(b, p, of.FieldIPSrc, 4)
		b = appendField(b, p, of.FieldIPDst, 4)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	return append(b, 0, 0, 0, byte(p.Uint(of.FieldIPProto)))
}

func (s sequence) tcp(p *Packet) []byte {
	b := appendField(nil, p, of.FieldTCPSrc, 2)
	b = appendField(b, p, of.FieldTCPDst, 2)
	b = binary.BigEndian.AppendUint32(b, s.number)
	b = binary.BigEndian.AppendUint32(b, s.acknowledged)
	b = binary.BigEndian.AppendUint16(b, 5<<12|uint16(p.Uint(of.FieldTCPFlags)))
	return append(b, 0x20, 0, 0, 0, 0, 0)
}

func udp(p *Packet) []byte {
	b := appendField(nil, p, of.FieldUDPSrc, 2)
	b = appendField(b, p, of.FieldUDPDst, 2)
	return append(b, 0, 14, 0, 0, 's', 'l', 'u', 'i', 'c', 'e')
}

func icmp(p *Packet, kind, code of.Field) []byte {
	b := appendField(nil, p, kind, 1)
	b = appendField(b, p, code, 1)
	b = append(b, 0, 0)
	switch {
	case p.isND():
		b = appendField(b, p, of.FieldNDReserved, 4)
		b = appendField(b, p, of.FieldNDTarget, 16)
		return appendOption(b, p)
	case p.Quoted != (Tuple{}):
		return append(append(b, 0, 0, 0, 0), quoted(p.Quoted)...)
	}
	b = binary.BigEndian.AppendUint16(b, p.Echo)
	return append(b, 0, 1, 's', 'l', 'u', 'i', 'c', 'e')
}

func appendOption(b []byte, p *Packet) []byte {
	switch option := p.Uint(of.FieldNDOptionsType); option {
	case optionSource:
		return appendField(append(b, byte(option), 1), p, of.FieldNDSLL, 6)
	case optionTarget:
		return appendField(append(b, byte(option), 1), p, of.FieldNDTLL, 6)
	}
	return b
}

// quoted is the packet that an ICMP error reports about. It is whole: with the 8 bytes of
// RFC 792, Open vSwitch 3.1 writes past the end of the frame when it translates a quoted
// TCP header, and may abort.
func quoted(t Tuple) []byte {
	var p Packet
	p.SetUint(of.FieldEthType, typeIPv4)
	if t.V6 {
		p.SetUint(of.FieldEthType, typeIPv6)
	}
	p.SetUint(of.FieldIPProto, uint64(t.Proto))
	p.SetUint(of.FieldIPTTL, 1)
	p.setTuple(t)
	p.Echo = t.SrcPort
	p.SetUint(of.FieldICMPType, uint64(t.Type))
	p.SetUint(of.FieldICMPv6Type, uint64(t.Type))
	if t.V6 {
		return appendIPv6(nil, &p, sequence{}.transport(&p))
	}
	return appendIPv4(nil, &p, sequence{}.transport(&p))
}

// sum is the ones' complement sum of RFC 1071.
func sum(b []byte) uint16 {
	var total uint32
	for i := range b {
		total += uint32(b[i]) << (8 * ((i + 1) % 2))
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}
