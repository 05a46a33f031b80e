package simulate

import of "sluice/datapath/openflow"

// read takes the bits of a subfield, right aligned.
func (p *Packet) read(s of.Subfield) of.Value {
	return p.Get(s.Field).Right(int(s.Offset)).And(of.Ones(s.Width()))
}

// write puts the low bits of v into a subfield, where the packet has that field.
func (p *Packet) write(s of.Subfield, v of.Value) {
	mask := of.Ones(s.Width()).Left(int(s.Offset))
	p.writeMasked(s.Field, v.Left(int(s.Offset)), mask)
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
