package openflow

import "slices"

// appendHeader appends an OXM header (OpenFlow 1.3, A.2.3.2).
func (id oxmID) appendHeader(b []byte, masked bool) []byte {
	length, mask := id.bytes, byte(0)
	if masked {
		length, mask = 2*length, 1
	}
	if id.class == classExperimenter {
		length += 4
	}
	b = be.AppendUint16(b, id.class)
	b = append(b, id.number<<1|mask, length)
	if id.class == classExperimenter {
		b = be.AppendUint32(b, onfExperimenter)
	}
	return b
}

// header is the four-byte name of a field in Nicira's actions: of an unmasked value.
func (id oxmID) header() uint32 {
	return uint32(id.class)<<16 | uint32(id.number)<<9 | uint32(id.bytes)
}

// fits reports whether no bit stands outside of the field's width.
func (s *fieldSpec) fits(v Value) bool {
	w := Ones(int(s.bits))
	return v.And(w) == v
}

// whole reports whether a mask selects every bit of the field.
func (s *fieldSpec) whole(mask Value) bool {
	w := Ones(int(s.bits))
	return mask.And(w) == w
}

// appendRefusedField appends an OXM field that exists nowhere, so that a switch refuses the
// message: leaving the field out instead would match more than was asked for.
func appendRefusedField(b []byte) []byte { return append(b, 0x80, 0x00, 0x7f<<1, 1, 0) }

func appendMatchField(b []byte, f *MatchField) []byte {
	s := f.Field.spec()
	id := s.wide()
	switch {
	case f.Mask.IsZero():
		return b
	case id.bytes == 0 || !s.fits(f.Value):
		return appendRefusedField(b)
	case s.whole(f.Mask):
		return appendValue(id.appendHeader(b, false), f.Value, id.bytes)
	case !s.fits(f.Mask):
		return appendRefusedField(b)
	}
	b = appendValue(id.appendHeader(b, true), f.Value, id.bytes)
	return appendValue(b, f.Mask, id.bytes)
}

// appendMatch appends an ofp_match (OpenFlow 1.3, A.2.3.1) with its padding.
func appendMatch(b []byte, m Match, unknown string) []byte {
	start := len(b)
	b = append(b, 0, 1, 0, 0)
	var order [numFields]uint16
	for _, i := range wireOrder(order[:0], m) {
		b = appendMatchField(b, &m[i])
	}
	b = append(b, unknown...)
	patchLength(b, start, start+2)
	return padTo8(b, start)
}

// wireOrder appends the places of the match's fields in the order in which they are sent.
func wireOrder(order []uint16, m Match) []uint16 {
	for i := range m {
		rank := rankOf(m[i].Field)
		at := len(order)
		order = append(order, 0)
		for ; at > 0 && rankOf(m[order[at-1]].Field) > rank; at-- {
			order[at] = order[at-1]
		}
		order[at] = uint16(i)
	}
	return order
}

func rankOf(f Field) uint8 {
	if f >= numFields {
		return 0 // no field at all: it goes out as one that every switch refuses
	}
	return wireRank[f]
}

// wireRank is a field's place on the wire, as Open vSwitch sends it: a flow that comes back
// then mostly has the bytes that it was sent with. Fields that others need precede them
// (OpenFlow 1.3, A.2.3.6).
var wireRank = rankFields(
	[]Field{FieldInvalid, FieldDPHash, FieldRecircID, FieldConjID, FieldInPort, FieldActsetOutput},
	fieldsFrom(FieldEthSrc, FieldVLANPCP),
	[]Field{FieldMPLSTC, FieldMPLSBOS, FieldMPLSTTL, FieldMPLSLabel},
	fieldsFrom(FieldIPSrc, FieldIPv6Label),
	[]Field{FieldARPOp, FieldARPSPA, FieldARPTPA, FieldARPSHA, FieldARPTHA, FieldIPFrag, FieldIPDSCP, FieldIPECN, FieldIPTTL, FieldIPProto},
	fieldsFrom(FieldTCPSrc, FieldICMPv6Code),
	[]Field{FieldNDReserved, FieldNDTarget, FieldNDOptionsType, FieldNDSLL, FieldNDTLL},
	fieldsFrom(FieldTunID, FieldTunMetadata0),
	fieldsFrom(FieldReg0, FieldPktMark),
	fieldsFrom(FieldCTState, FieldCTLabel),
	fieldsFrom(FieldCTNwSrc, FieldCTIPv6Dst),
	[]Field{FieldCTNwProto, FieldCTTpSrc, FieldCTTpDst},
	[]Field{FieldMetadata},
)

func rankFields(runs ...[]Field) (rank [numFields]uint8) {
	for i, f := range slices.Concat(runs...) {
		rank[f] = uint8(i)
	}
	return rank
}

// fieldsFrom are the fields from one to another.
func fieldsFrom(first, last Field) []Field {
	var run []Field
	for f := first; f <= last; f++ {
		run = append(run, f)
	}
	return run
}

// oxmClasses are the classes that have fields here, in the order of a fieldIndex.
var oxmClasses = [...]uint16{classNXM0, classNXM1, classEricsson, classBasic, classRegisters, classExperimenter}

// fieldIndex finds a field by class and number.
type fieldIndex [len(oxmClasses)][128]Field

var fieldsByID = indexFields()

func indexFields() *fieldIndex {
	var x fieldIndex
	for f := range fieldSpecs {
		for _, id := range []oxmID{fieldSpecs[f].oxm, fieldSpecs[f].nxm} {
			if id.bytes != 0 {
				x[slices.Index(oxmClasses[:], id.class)][id.number] = Field(f)
			}
		}
	}
	return &x
}

// oxmEntry is one OXM field as it stands on the wire.
type oxmEntry struct {
	class   uint16
	number  uint8
	masked  bool
	vendor  uint32 // of an experimenter's
	payload []byte // value and mask
	size    int    // with the header
}

// nextOXM reads one OXM field. It checks the framing alone.
func nextOXM(b []byte) (oxmEntry, error) {
	if len(b) < 4 {
		return oxmEntry{}, malformed("an OXM header needs 4 bytes, %d are left", len(b))
	}
	e := oxmEntry{class: be.Uint16(b), number: b[2] >> 1, masked: b[2]&1 != 0, size: 4 + int(b[3])}
	if e.size > len(b) {
		return oxmEntry{}, malformed("OXM field %#04x/%d says %d bytes, %d are left", e.class, e.number, b[3], len(b)-4)
	}
	e.payload = b[4:e.size]
	if e.class == classExperimenter {
		if len(e.payload) < 4 {
			return oxmEntry{}, malformed("experimenter OXM field %d without experimenter", e.number)
		}
		e.vendor, e.payload = be.Uint32(e.payload), e.payload[4:]
	}
	return e, nil
}

// field is the entry's field and how long its value is, and FieldInvalid where this package
// does not know it.
func (e *oxmEntry) field() (Field, oxmID) {
	slot := slices.Index(oxmClasses[:], e.class)
	if slot < 0 || e.class == classExperimenter && e.vendor != onfExperimenter {
		return FieldInvalid, oxmID{}
	}
	f := fieldsByID[slot][e.number]
	s := f.spec()
	if s.oxm.class == e.class && s.oxm.number == e.number {
		return f, s.oxm
	}
	return f, s.nxm
}

// value reads the entry's value and mask. The mask is all ones where the entry has none.
func (e *oxmEntry) value(f Field, id oxmID) (v, mask Value, err error) {
	n := int(id.bytes)
	s := f.spec()
	want := n
	if e.masked {
		want = 2 * n
	}
	if len(e.payload) != want {
		return v, mask, malformed("field %s has %d bytes, must have %d", f, len(e.payload), want)
	}
	v, mask = getValue(e.payload[:n]), Ones(int(s.bits))
	if e.masked {
		mask = getValue(e.payload[n:])
		if s.whole(mask) {
			mask = Ones(int(s.bits))
		}
	}
	if !s.fits(v) || !s.fits(mask) {
		return v, mask, malformed("field %s has only %d bits", f, s.bits)
	}
	return v, mask, nil
}

func (e *oxmEntry) matchField() (MatchField, error) {
	f, id := e.field()
	if f == FieldInvalid || id.bytes != f.spec().wide().bytes {
		return MatchField{}, nil
	}
	v, mask, err := e.value(f, id)
	if err != nil {
		return MatchField{}, err
	}
	if f.spec().exact && !f.spec().whole(mask) {
		return MatchField{}, malformed("field %s cannot be masked", f)
	}
	if v.And(mask) != v {
		return MatchField{}, malformed("field %s has value bits outside of its mask", f)
	}
	return MatchField{Field: f, Value: v, Mask: mask}, nil
}

// decodeMatch reads an ofp_match and says how many bytes it and its padding take. Fields
// that this package does not know come back as their bytes.
func decodeMatch(b []byte) (m Match, unknown string, size int, err error) {
	if size, err = matchSize(b); err != nil {
		return nil, "", 0, err
	}
	m, unknown, err = decodeFields(b[4:be.Uint16(b[2:])])
	return m, unknown, size, err
}

// matchSize is the size, padding included, of the match that b starts with.
func matchSize(b []byte) (int, error) {
	if len(b) < 4 {
		return 0, malformed("a match needs 4 bytes, %d are left", len(b))
	}
	kind, length := be.Uint16(b), int(be.Uint16(b[2:]))
	size := roundUp8(length)
	if kind != 1 || length < 4 || size > len(b) {
		return 0, malformed("match of type %d and %d bytes, %d are left", kind, length, len(b))
	}
	return size, nil
}

func decodeFields(b []byte) (Match, string, error) {
	var unknown []byte
	m := make(Match, 0, countFields(b))
	for len(b) > 0 {
		e, err := nextOXM(b)
		if err != nil {
			return nil, "", err
		}
		f, err := e.matchField()
		switch {
		case err != nil:
			return nil, "", err
		case f.Field == FieldInvalid:
			unknown = append(unknown, b[:e.size]...)
		case !f.Mask.IsZero():
			m = append(m, f)
		}
		b = b[e.size:]
	}
	m, err := canonical(m)
	return m, string(unknown), err
}

// countFields is how many fields b holds if its framing is right.
func countFields(b []byte) int {
	n := 0
	for len(b) >= 4 {
		b = b[min(4+int(b[3]), len(b)):]
		n++
	}
	return n
}

// canonical sorts a match whose fields are its own, and writes each thing that has several
// names under the one that Open vSwitch reads back.
func canonical(m Match) (Match, error) {
	for i := 0; i < len(m); i++ {
		m = split(m, i)
	}
	if !slices.IsSortedFunc(m, byField) {
		slices.SortFunc(m, byField)
	}
	for i := 1; i < len(m); i++ {
		if m[i].Field == m[i-1].Field {
			return nil, malformed("field %s stands twice in the match", m[i].Field)
		}
	}
	_, tci := m.Get(FieldVLANTCI)
	_, vid := m.Get(FieldVLANVID)
	_, pcp := m.Get(FieldVLANPCP)
	if tci && (vid || pcp) {
		return nil, malformed("field vlan_tci stands beside vlan_vid or vlan_pcp")
	}
	if len(m) == 0 {
		return nil, nil
	}
	return slices.Clip(m), nil
}

func byField(a, b MatchField) int { return int(a.Field) - int(b.Field) }
