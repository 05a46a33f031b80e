package simulate

import of "sluice/datapath/openflow"

// read takes the bits of a subfield, right aligned.
func (p *Packet) read(s of.Subfield) of.Value {
	return shiftRight(p.Get(s.Field), int(s.Offset)).And(of.Ones(size(s)))
}

// write puts the low bits of v into a subfield, where the packet has that field.
func (p *Packet) write(s of.Subfield, v of.Value) {
	mask := shiftLeft(of.Ones(size(s)), int(s.Offset))
	p.writeMasked(s.Field, shiftLeft(v, int(s.Offset)), mask)
}

// writeMasked writes the bits under mask, where the packet has that field.
func (p *Packet) writeMasked(f of.Field, v, mask of.Value) {
	if !p.has(f) {
		return
	}
	kept := p.Get(f).And(mask.Xor(of.Ones(128)))
	v = v.And(mask).Xor(kept)
	if f == of.FieldInPort {
		v.Lo = uint64(wide(uint16(v.Lo)))
	}
	p.Set(f, v)
}

// wide is the 32-bit number of a port that OpenFlow 1.0 and NXM number with 16.
func wide(port uint16) uint32 {
	if port >= 0xff00 {
		return 0xffff0000 | uint32(port)
	}
	return uint32(port)
}

// size is how many bits a subfield has. Whole ports and VLAN ids are narrower in
// actions than in a match: NXM's 16 bits, and an id without the present bit.
func size(s of.Subfield) int {
	switch {
	case s.Bits != 0:
		return int(s.Bits)
	case s.Field == of.FieldInPort:
		return 16
	case s.Field == of.FieldVLANVID:
		return 12
	}
	return s.Field.Bits()
}

func shiftLeft(v of.Value, n int) of.Value {
	if n >= 64 {
		return of.Value{Hi: v.Lo << (n - 64)}
	}
	return of.Value{Hi: v.Hi<<n | v.Lo>>(64-n), Lo: v.Lo << n}
}

func shiftRight(v of.Value, n int) of.Value {
	if n >= 64 {
		return of.Value{Lo: v.Hi >> (n - 64)}
	}
	return of.Value{Hi: v.Hi >> n, Lo: v.Lo>>n | v.Hi<<(64-n)}
}
