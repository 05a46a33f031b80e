package openflow

// Types of actions (OpenFlow 1.3, A.2.5) and instructions (A.2.4).
const (
	actionOutput       = 0
	actionPushVLAN     = 17
	actionPopVLAN      = 18
	actionGroup        = 22
	actionDecTTL       = 24
	actionSetField     = 25
	actionExperimenter = 0xffff

	instructionGotoTable     = 1
	instructionWriteMetadata = 2
	instructionWriteActions  = 3
	instructionApplyActions  = 4
	instructionClearActions  = 5
	instructionMeter         = 6
)

// Nicira's actions: their experimenter id and subtypes.
const (
	niciraExperimenter = 0x00002320

	niciraMove        = 6
	niciraLoad        = 7
	niciraNote        = 8
	niciraBundleLoad  = 13
	niciraResubmit    = 14
	niciraOutputField = 15
	niciraController  = 20
	niciraPush        = 27
	niciraPop         = 28
	niciraSetField    = 33
	niciraConjunction = 34
	niciraCT          = 35
	niciraNAT         = 36
	niciraClone       = 42
	niciraCTClear     = 43
)

// reasonAction is why an output to the controller says that it sent the frame.
const reasonAction = 1

// appendHead appends the start of a standard action; its length is patched afterwards.
func appendHead(b []byte, kind uint16) []byte { return be.AppendUint32(b, uint32(kind)<<16) }

// appendNicira appends the ten bytes that start a Nicira action.
func appendNicira(b []byte, subtype uint16) []byte {
	b = appendHead(b, actionExperimenter)
	b = be.AppendUint32(b, niciraExperimenter)
	return be.AppendUint16(b, subtype)
}

// appendRefused appends an action of an experimenter that is nobody, so that the switch
// refuses the message: leaving the action out would do something else than was asked for.
func appendRefused(b []byte) []byte {
	return append(b, 0xff, 0xff, 0, 8, 0xff, 0xff, 0xff, 0xff)
}

// appendActionList appends actions as the wire has them inside of an instruction, a clone
// or a ct.
func appendActionList(b []byte, actions []Action) []byte {
	for _, a := range actions {
		b = appendAction(b, a)
	}
	return b
}

// appendAction appends one action. Every action ends padded to eight bytes, with its
// length in place; what cannot be sent becomes an action that every switch refuses.
func appendAction(b []byte, a Action) []byte {
	start := len(b)
	b, ok := appendActionBody(b, a)
	if !ok {
		return appendRefused(b[:start])
	}
	b = padTo8(b, start)
	patchLength(b, start, start+2)
	return b
}

func appendActionBody(b []byte, a Action) (_ []byte, ok bool) {
	switch a := a.(type) {
	case Output:
		return appendOutput(b, a.Port, 0), true
	case Controller:
		return appendController(b, a), true
	case PushVLAN:
		return be.AppendUint16(appendHead(b, actionPushVLAN), a.EtherType), true
	case PopVLAN:
		return zeroes(appendHead(b, actionPopVLAN), 4), true
	case Group:
		return be.AppendUint32(appendHead(b, actionGroup), a.ID), true
	case DecTTL:
		return zeroes(appendHead(b, actionDecTTL), 4), true
	case SetField:
		return appendSetField(b, &a)
	case Load:
		return appendLoad(b, a)
	case Move:
		return appendMove(b, a)
	case Push:
		return appendStack(b, niciraPush, a.Source)
	case Pop:
		return appendStack(b, niciraPop, a.Target)
	}
	return appendExtension(b, a)
}

func appendExtension(b []byte, a Action) (_ []byte, ok bool) {
	switch a := a.(type) {
	case OutputField:
		return appendOutputField(b, a.Source)
	case Resubmit:
		return appendResubmit(b, a), true
	case Clone:
		return appendActionList(zeroes(appendNicira(b, niciraClone), 6), a.Actions), true
	case CT:
		return appendCT(b, &a)
	case CTClear:
		return zeroes(appendNicira(b, niciraCTClear), 6), true
	case Note:
		return append(appendNicira(b, niciraNote), a.Data...), true
	case BundleLoad:
		return appendBundleLoad(b, &a)
	case Conjunction:
		b = append(appendNicira(b, niciraConjunction), a.Clause-1, a.Clauses)
		return be.AppendUint32(b, a.ID), a.Clause > 0
	case Opaque:
		return append(b, a.Bytes...), opaqueFramed(a.Bytes)
	}
	return b, false // an instruction, or nil, where an action must stand
}

// opaqueFramed reports whether bytes can stand in a list of actions without shifting what
// follows them.
func opaqueFramed(s string) bool {
	return len(s) >= 8 && len(s)%8 == 0 && len(s) == int(s[2])<<8|int(s[3])
}

// appendOutput appends an output; maxLength counts for the controller alone.
func appendOutput(b []byte, port uint32, maxLength uint16) []byte {
	if port == PortController && maxLength == 0 {
		maxLength = 0xffff
	}
	b = be.AppendUint32(appendHead(b, actionOutput), port)
	return zeroes(be.AppendUint16(b, maxLength), 6)
}

func appendController(b []byte, a Controller) []byte {
	if a.Reason == reasonAction && a.ID == 0 && a.MaxLength != 0 {
		return appendOutput(b, PortController, a.MaxLength)
	}
	b = be.AppendUint16(appendNicira(b, niciraController), a.MaxLength)
	return append(be.AppendUint16(b, a.ID), a.Reason, 0)
}

// appendSetField follows Open vSwitch: an OXM field for the whole, Nicira's load of the
// masked field otherwise.
func appendSetField(b []byte, a *SetField) (_ []byte, ok bool) {
	s := a.Field.spec()
	id := s.wide()
	if id.bytes == 0 || !s.fits(a.Value) {
		return b, false
	}
	if a.Mask.IsZero() || s.whole(a.Mask) {
		b = id.appendHeader(appendHead(b, actionSetField), false)
		return appendValue(b, a.Value, id.bytes), true
	}
	if id = s.short(); id.bytes != s.wide().bytes || !s.fits(a.Mask) || a.Value.And(a.Mask) != a.Value {
		return b, false
	}
	b = id.appendHeader(appendNicira(b, niciraSetField), true)
	return appendValue(appendValue(b, a.Value, id.bytes), a.Mask, id.bytes), true
}

// part is a subfield as the wire has it.
type part struct {
	header       uint32
	offset, bits uint16
}

// part resolves a subfield within its field.
func (s Subfield) part() (p part, ok bool) {
	spec := s.Field.spec()
	id, width := spec.short(), spec.width()
	p = part{header: id.header(), offset: s.Offset, bits: s.Bits}
	if s.Bits == 0 && s.Offset == 0 {
		p.bits = width
	}
	ok = id.bytes != 0 && id.class != classExperimenter && p.bits > 0 &&
		p.offset <= width && p.bits <= width-p.offset
	return p, ok
}

// word is a part of at most 64 bits.
func (s Subfield) word() (p part, ok bool) {
	p, ok = s.part()
	return p, ok && p.bits <= 64
}

// width is how many bits the whole field has as a Subfield.
func (s *fieldSpec) width() uint16 {
	if s.partBits != 0 {
		return uint16(s.partBits)
	}
	return uint16(s.bits)
}

func (p part) offsetAndBits() uint16 { return p.offset<<6 | (p.bits - 1) }

func appendLoad(b []byte, a Load) (_ []byte, ok bool) {
	p, ok := a.Target.word()
	if !ok || a.Value>>p.bits != 0 {
		return b, false
	}
	b = be.AppendUint16(appendNicira(b, niciraLoad), p.offsetAndBits())
	return be.AppendUint64(be.AppendUint32(b, p.header), a.Value), true
}

func appendMove(b []byte, a Move) (_ []byte, ok bool) {
	from, ok1 := a.Source.part()
	to, ok2 := a.Target.part()
	if !ok1 || !ok2 || from.bits != to.bits {
		return b, false
	}
	b = be.AppendUint16(appendNicira(b, niciraMove), from.bits)
	b = be.AppendUint16(be.AppendUint16(b, from.offset), to.offset)
	return be.AppendUint32(be.AppendUint32(b, from.header), to.header), true
}

func appendStack(b []byte, subtype uint16, s Subfield) (_ []byte, ok bool) {
	p, ok := s.part()
	b = be.AppendUint16(appendNicira(b, subtype), p.offset)
	b = be.AppendUint16(be.AppendUint32(b, p.header), p.bits)
	return zeroes(b, 6), ok
}

func appendOutputField(b []byte, s Subfield) (_ []byte, ok bool) {
	p, ok := s.word()
	b = be.AppendUint16(appendNicira(b, niciraOutputField), p.offsetAndBits())
	b = be.AppendUint16(be.AppendUint32(b, p.header), 0xffff)
	return zeroes(b, 6), ok
}

func appendResubmit(b []byte, a Resubmit) []byte {
	port := a.InPort
	if port == 0 {
		port = uint16(PortInPort & 0xffff)
	}
	b = be.AppendUint16(appendNicira(b, niciraResubmit), port)
	return append(b, a.Table, 0, 0, 0)
}

// Flags of ct and nat.
const (
	ctCommit = 1
	ctForce  = 2

	natSource      = 1
	natDestination = 2
	natPersistent  = 4
	natHash        = 8
	natRandom      = 16
)

func appendCT(b []byte, a *CT) (_ []byte, ok bool) {
	var flags uint16
	if a.Commit {
		flags |= ctCommit
	}
	if a.Force {
		flags |= ctForce
	}
	source, zone := uint32(0), a.Zone
	if a.ZoneField != nil {
		p, ok := a.ZoneField.part()
		if !ok || p.bits != 16 {
			return b, false
		}
		source, zone = p.header, p.offsetAndBits()
	}
	b = be.AppendUint16(appendNicira(b, niciraCT), flags)
	b = be.AppendUint16(be.AppendUint32(b, source), zone)
	b = be.AppendUint16(append(b, a.Table, 0, 0, 0), a.ALG)
	if a.NAT != nil {
		b, ok = appendNAT(b, a.NAT)
		if !ok {
			return b, false
		}
	}
	return appendActionList(b, a.Exec), true
}

// Which parts of a range follow the nat action.
const (
	rangeIPv4Min = 1 << iota
	rangeIPv4Max
	rangeIPv6Min
	rangeIPv6Max
	rangePortMin
	rangePortMax
)

func (n *NAT) flags() uint16 {
	var flags uint16
	for bit, on := range [...]bool{n.Source, n.Destination, n.Persistent, n.Hash, n.Random} {
		if on {
			flags |= 1 << bit
		}
	}
	return flags
}

// parts says which parts of the range are given, and whether the range can be sent.
func (n *NAT) parts() (present uint16, ok bool) {
	low, high, width := uint16(rangeIPv4Min), uint16(rangeIPv4Max), Ones(32)
	if n.V6 {
		low, high, width = rangeIPv6Min, rangeIPv6Max, Ones(128)
	}
	if !n.MinAddress.IsZero() {
		present |= low
	}
	if !n.MaxAddress.IsZero() {
		present |= high
	}
	if n.MinPort != 0 {
		present |= rangePortMin
	}
	if n.MaxPort != 0 {
		present |= rangePortMax
	}
	fits := n.MinAddress.And(width) == n.MinAddress && n.MaxAddress.And(width) == n.MaxAddress
	return present, fits && n.sensible(present, low)
}

// sensible reports whether the record says one thing: one direction before all else, then an
// address, and of each range the lower end.
func (n *NAT) sensible(present, low uint16) bool {
	switch {
	case n.Source && n.Destination:
		return false
	case !n.Source && !n.Destination:
		return *n == NAT{}
	case present == 0:
		return !n.V6
	}
	return present&low != 0 && (n.MaxPort == 0 || n.MinPort != 0)
}

func appendNAT(b []byte, n *NAT) (_ []byte, ok bool) {
	start := len(b)
	present, ok := n.parts()
	b = zeroes(appendNicira(b, niciraNAT), 2)
	b = be.AppendUint16(be.AppendUint16(b, n.flags()), present)
	bytes := uint8(4)
	if n.V6 {
		bytes = 16
	}
	for _, v := range [...]Value{n.MinAddress, n.MaxAddress} {
		if !v.IsZero() {
			b = appendValue(b, v, bytes)
		}
	}
	for _, port := range [...]uint16{n.MinPort, n.MaxPort} {
		if port != 0 {
			b = be.AppendUint16(b, port)
		}
	}
	b = padTo8(b, start)
	patchLength(b, start, start+2)
	return b, ok
}
