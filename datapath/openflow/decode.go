package openflow

import "bytes"

// maxNesting is how deep actions may stand inside of each other; deeper ones stay opaque.
const maxNesting = 8

// decoder reads flows. Its scratch space serves one action after the other.
type decoder struct{ scratch []byte }

// decodeActions reads the actions that fill b and appends them to out. Bad framing is an
// error; an action that this package does not model, or whose bytes are not those that it
// would send for what it read, is kept as it is: nothing is lost, nothing made up. Only the
// max_len of an output goes, which says nothing for other ports than the controller.
func (d *decoder) decodeActions(out []Action, b []byte, depth int) ([]Action, error) {
	for len(b) > 0 {
		if len(b) < 8 {
			return nil, malformed("an action needs 8 bytes, %d are left", len(b))
		}
		kind, length := be.Uint16(b), int(be.Uint16(b[2:]))
		if length < 8 || length%8 != 0 || length > len(b) {
			return nil, malformed("action %d says %d bytes, %d are left", kind, length, len(b))
		}
		raw := b[:length]
		a := d.decodeAction(raw, depth)
		if a == nil || !d.sends(a, raw) {
			a = Opaque{string(raw)}
		}
		out = append(out, a)
		b = b[length:]
	}
	return out, nil
}

// sends reports whether the action goes out as the bytes that it was read from.
func (d *decoder) sends(a Action, raw []byte) bool {
	if _, ok := a.(Output); ok {
		return true
	}
	d.scratch = appendAction(d.scratch[:0], a)
	return bytes.Equal(d.scratch, raw)
}

// decodeAction reads one action, at least eight bytes and padded to eight. It may read what
// is not there as zero; whoever calls it compares what it would send with what came. Nil:
// not known.
func (d *decoder) decodeAction(b []byte, depth int) Action {
	switch be.Uint16(b) {
	case actionOutput:
		return decodeOutput(b)
	case actionPushVLAN:
		return PushVLAN{be.Uint16(b[4:])}
	case actionPopVLAN:
		return PopVLAN{}
	case actionGroup:
		return Group{be.Uint32(b[4:])}
	case actionDecTTL:
		return DecTTL{}
	case actionSetField:
		return decodeSetField(b[4:], false)
	case actionExperimenter:
		if len(b) >= 16 && be.Uint32(b[4:]) == niciraExperimenter {
			return d.decodeNicira(be.Uint16(b[8:]), b[10:], depth)
		}
	}
	return nil
}

func decodeOutput(b []byte) Action {
	if len(b) != 16 {
		return nil
	}
	port := be.Uint32(b[4:])
	if port == PortController {
		return Controller{MaxLength: be.Uint16(b[8:]), Reason: reasonAction}
	}
	return Output{port}
}

func decodeSetField(b []byte, masked bool) Action {
	e, err := nextOXM(b)
	if err != nil || e.masked != masked {
		return nil
	}
	f, id := e.field()
	if f == FieldInvalid {
		return nil
	}
	v, mask, err := e.value(f, id)
	if err != nil {
		return nil
	}
	if !masked {
		mask = Value{}
	}
	return SetField{Field: f, Value: v, Mask: mask}
}

// decodeNicira reads a Nicira action from its body on: at least six bytes.
func (d *decoder) decodeNicira(subtype uint16, b []byte, depth int) Action {
	switch subtype {
	case niciraSetField:
		return decodeSetField(b, true)
	case niciraNote:
		return Note{string(b)}
	case niciraResubmit:
		return decodeResubmit(be.Uint16(b), b[2])
	case niciraController:
		return Controller{MaxLength: be.Uint16(b), ID: be.Uint16(b[2:]), Reason: b[4]}
	case niciraConjunction:
		return Conjunction{ID: be.Uint32(b[2:]), Clause: b[0] + 1, Clauses: b[1]}
	case niciraCTClear:
		return CTClear{}
	case niciraClone:
		if inner, ok := d.decodeNested(b[6:], depth); ok {
			return Clone{inner}
		}
		return nil
	}
	if len(b) < 14 {
		return nil
	}
	return d.decodeSubfieldAction(subtype, b, depth)
}

// decodeSubfieldAction reads the Nicira actions of 24 bytes and more.
func (d *decoder) decodeSubfieldAction(subtype uint16, b []byte, depth int) Action {
	switch subtype {
	case niciraLoad:
		return Load{Target: packedSubfield(be.Uint32(b[2:]), be.Uint16(b)), Value: be.Uint64(b[6:])}
	case niciraOutputField:
		return OutputField{packedSubfield(be.Uint32(b[2:]), be.Uint16(b))}
	case niciraMove:
		bits := be.Uint16(b)
		return Move{Source: subfield(be.Uint32(b[6:]), be.Uint16(b[2:]), bits),
			Target: subfield(be.Uint32(b[10:]), be.Uint16(b[4:]), bits)}
	case niciraPush:
		return Push{subfield(be.Uint32(b[2:]), be.Uint16(b), be.Uint16(b[6:]))}
	case niciraPop:
		return Pop{subfield(be.Uint32(b[2:]), be.Uint16(b), be.Uint16(b[6:]))}
	case niciraBundleLoad:
		return decodeBundleLoad(b)
	case niciraCT:
		return d.decodeCT(b, depth)
	}
	return nil
}

func decodeResubmit(port uint16, table uint8) Action {
	if port == uint16(PortInPort&0xffff) {
		port = 0
	}
	return Resubmit{InPort: port, Table: table}
}

// subfield reads a subfield; the whole field has zero Bits.
func subfield(header uint32, offset, bits uint16) Subfield {
	e := oxmEntry{class: uint16(header >> 16), number: uint8(header >> 9 & 0x7f)}
	f, id := e.field()
	if f == FieldInvalid || id.header() != header {
		return Subfield{}
	}
	if offset == 0 && bits == f.spec().width() {
		bits = 0
	}
	return Subfield{Field: f, Offset: offset, Bits: bits}
}

func packedSubfield(header uint32, packed uint16) Subfield {
	return subfield(header, packed>>6, packed&0x3f+1)
}

func (d *decoder) decodeNested(b []byte, depth int) ([]Action, bool) {
	if depth >= maxNesting || len(b) == 0 {
		return nil, len(b) == 0
	}
	inner, err := d.decodeActions(nil, b, depth+1)
	return inner, err == nil
}

func (d *decoder) decodeCT(b []byte, depth int) Action {
	flags := be.Uint16(b)
	a := CT{Commit: flags&ctCommit != 0, Force: flags&ctForce != 0, Table: b[8], ALG: be.Uint16(b[12:])}
	if source := be.Uint32(b[2:]); source != 0 {
		zone := packedSubfield(source, be.Uint16(b[6:]))
		a.ZoneField = &zone
	} else {
		a.Zone = be.Uint16(b[6:])
	}
	rest := b[14:]
	if n := natLength(rest); n != 0 {
		if a.NAT = decodeNAT(rest[:n]); a.NAT == nil {
			return nil
		}
		rest = rest[n:]
	}
	exec, ok := d.decodeNested(rest, depth)
	if !ok {
		return nil
	}
	a.Exec = exec
	return a
}

// natLength is the length of the nat action that b starts with; 0: it starts with none.
func natLength(b []byte) int {
	if len(b) < 16 || be.Uint16(b) != actionExperimenter || be.Uint32(b[4:]) != niciraExperimenter ||
		be.Uint16(b[8:]) != niciraNAT {
		return 0
	}
	if n := int(be.Uint16(b[2:])); n >= 16 && n <= len(b) {
		return n
	}
	return 0
}

func decodeNAT(b []byte) *NAT {
	flags, present := be.Uint16(b[12:]), be.Uint16(b[14:])
	n := &NAT{Source: flags&natSource != 0, Destination: flags&natDestination != 0,
		Persistent: flags&natPersistent != 0, Hash: flags&natHash != 0, Random: flags&natRandom != 0,
		V6: present&(rangeIPv6Min|rangeIPv6Max) != 0}
	b = b[16:]
	take := func(bit uint16, bytes int) (v Value) {
		if present&bit != 0 && len(b) >= bytes {
			v, b = getValue(b[:bytes]), b[bytes:]
		}
		return v
	}
	if n.V6 {
		n.MinAddress, n.MaxAddress = take(rangeIPv6Min, 16), take(rangeIPv6Max, 16)
	} else {
		n.MinAddress, n.MaxAddress = take(rangeIPv4Min, 4), take(rangeIPv4Max, 4)
	}
	n.MinPort = uint16(take(rangePortMin, 2).Lo)
	n.MaxPort = uint16(take(rangePortMax, 2).Lo)
	return n
}
