package openflow

// Bits of 802.1Q's tag control information. OpenFlow's vlan_vid has the presence bit where
// the tag has CFI.
const (
	vlanPresent = 0x1000
	vlanVIDMask = 0x1fff // with the presence bit
	vlanPCPMask = 0xe000
	vlanPCPLow  = 13
)

// split replaces the i-th field by those that Open vSwitch would read back for it, where
// they differ: the wide registers are 32-bit registers, and vlan_tci is a VLAN id and a
// priority. New fields may be appended at the end.
func split(m Match, i int) Match {
	f := m[i].Field
	switch {
	case f >= FieldXReg0 && f <= FieldXReg7:
		return splitRegister(m, i, FieldReg0+2*(f-FieldXReg0), 2)
	case f >= FieldXXReg0 && f <= FieldXXReg3:
		return splitRegister(m, i, FieldReg0+4*(f-FieldXXReg0), 4)
	case f == FieldVLANTCI:
		return splitTCI(m, i)
	}
	return m
}

// splitRegister writes a wide register as n registers, the most significant first.
func splitRegister(m Match, i int, first Field, n int) Match {
	wide := m[i]
	m = append(m[:i:i], m[i+1:]...)
	for k := range n {
		f := MatchField{Field: first + Field(n-1-k), Value: wide.Value.part(32 * k), Mask: wide.Mask.part(32 * k)}
		if !f.Mask.IsZero() {
			m = append(m, f)
		}
	}
	return m
}

// part is the 32 bits from offset, a multiple of 32.
func (v Value) part(offset int) Value {
	if offset >= 64 {
		return U64(v.Hi >> (offset - 64) & 0xffffffff)
	}
	return U64(v.Lo >> offset & 0xffffffff)
}

// splitTCI leaves a match of single priority bits alone: OpenFlow has no other name for it.
// That there is no tag says the priority too.
func splitTCI(m Match, i int) Match {
	v, mask := m[i].Value.Lo, m[i].Mask.Lo
	pcp := mask & vlanPCPMask
	if pcp != 0 && pcp != vlanPCPMask {
		return m
	}
	m = append(m[:i:i], m[i+1:]...)
	if mask&vlanVIDMask != 0 {
		m = append(m, MatchField{Field: FieldVLANVID, Value: U64(v & vlanVIDMask), Mask: U64(mask & vlanVIDMask)})
	}
	if untagged := v&vlanPresent == 0 && mask&vlanPresent != 0; pcp != 0 && (!untagged || v&vlanPCPMask != 0) {
		m = append(m, Is(FieldVLANPCP, v>>vlanPCPLow))
	}
	return m
}
