package openflow

import (
	"bytes"
	"slices"
)

// Command is what a flow mod does (OpenFlow 1.3, A.3.4.1).
type Command uint8

// The commands of a flow mod. Modify and Delete reach every flow that the match covers,
// the strict ones exactly the flow of the same table, priority and match. Neither Modify
// adds a flow where none is.
const (
	Add Command = iota
	Modify
	ModifyStrict
	Delete
	DeleteStrict
)

// String is the command's name.
func (c Command) String() string {
	names := [...]string{"add", "modify", "modify_strict", "delete", "delete_strict"}
	if int(c) < len(names) {
		return names[c]
	}
	return "invalid"
}

// FlowMod is a flow mod as a switch reads it.
type FlowMod struct {
	Command    Command
	CookieMask uint64 // which bits of the flow's cookie restrict a Modify or Delete
	Flow       Flow
}

const (
	noBuffer      = 0xffffffff
	anyGroup      = 0xffffffff
	flowModLength = 48 // up to the match
)

// AppendFlowMod appends an OFPT_FLOW_MOD. It allocates nothing where b has the room.
//
// A flow that OpenFlow cannot carry (see AppendActions; also one of more than 64 KiB) goes
// out as a mod that every switch refuses with an error of this xid, and changes nothing.
func AppendFlowMod(b []byte, xid uint32, c Command, f *Flow) []byte {
	return AppendFlowModCookie(b, xid, c, f, 0)
}

// AppendFlowModCookie appends a flow mod that reaches only flows whose cookie equals the
// flow's in the bits of mask. All ones take Open vSwitch the least time. A mod that adds
// must have no mask.
func AppendFlowModCookie(b []byte, xid uint32, c Command, f *Flow, mask uint64) []byte {
	start := len(b)
	b = appendFlowModHead(b, xid, c, f, mask)
	b = AppendActions(appendMatch(b, f.Match, f.Unknown), f.Actions)
	if len(b)-start > maxMessage {
		return appendRefusedMod(b[:start], xid, c, f, mask)
	}
	return EndMessage(b, start)
}

// appendRefusedMod appends a flow mod that every switch refuses.
func appendRefusedMod(b []byte, xid uint32, c Command, f *Flow, mask uint64) []byte {
	start := len(b)
	b = appendFlowModHead(b, xid, c, f, mask)
	place := len(b)
	b = appendRefusedField(append(b, 0, 1, 0, 0))
	patchLength(b, place, place+2)
	return EndMessage(padTo8(b, place), start)
}

func appendFlowModHead(b []byte, xid uint32, c Command, f *Flow, mask uint64) []byte {
	b = appendMessage(b, TypeFlowMod, xid)
	b = be.AppendUint64(be.AppendUint64(b, f.Cookie), mask)
	b = append(b, f.Table, byte(c))
	b = be.AppendUint16(be.AppendUint16(b, f.IdleTimeout), f.HardTimeout)
	b = be.AppendUint32(be.AppendUint16(b, f.Priority), noBuffer)
	b = be.AppendUint32(be.AppendUint32(b, PortAny), anyGroup)
	return be.AppendUint32(b, uint32(f.Flags)<<16)
}

// DecodeFlowMod reads an OFPT_FLOW_MOD. It refuses what restricts a mod by output port or
// group and what takes a buffered packet: nothing here sends such.
func DecodeFlowMod(message []byte) (FlowMod, error) {
	w, err := DecodeWireFlowMod(message)
	if err != nil {
		return FlowMod{}, err
	}
	f, err := w.Flow.Decode()
	return FlowMod{Command: w.Command, CookieMask: w.CookieMask, Flow: f}, err
}

// WireFlowMod is a flow mod whose match and instructions are bytes.
type WireFlowMod struct {
	Command    Command
	CookieMask uint64
	Flow       WireFlow
}

// DecodeWireFlowMod reads a flow mod as DecodeFlowMod does, but its match and instructions
// only as far as to tell them apart. What it returns refers to the message.
func DecodeWireFlowMod(message []byte) (WireFlowMod, error) {
	b, err := body(message, TypeFlowMod, flowModLength-headerLength)
	if err != nil {
		return WireFlowMod{}, err
	}
	m := WireFlowMod{Command: Command(b[17]), CookieMask: be.Uint64(b[8:]), Flow: WireFlow{
		Cookie: be.Uint64(b), Table: b[16],
		IdleTimeout: be.Uint16(b[18:]), HardTimeout: be.Uint16(b[20:]), Priority: be.Uint16(b[22:]),
		Flags: Flags(be.Uint16(b[36:]))}}
	removes := m.Command == Delete || m.Command == DeleteStrict
	switch {
	case m.Command > DeleteStrict:
		return WireFlowMod{}, malformed("flow mod with command %d", m.Command)
	case !removes && be.Uint32(b[24:]) != noBuffer:
		return WireFlowMod{}, malformed("flow mod that names a buffered packet")
	case removes && (be.Uint32(b[28:]) != PortAny || be.Uint32(b[32:]) != anyGroup):
		return WireFlowMod{}, malformed("flow mod restricted by output port or group")
	}
	rest := b[flowModLength-headerLength:]
	size, err := matchSize(rest)
	if err != nil {
		return WireFlowMod{}, err
	}
	m.Flow.Match, m.Flow.Instructions = rest[:size], rest[size:]
	return m, nil
}

// decodeRest reads the match and the instructions that fill b.
func (d *decoder) decodeRest(f *Flow, b []byte) error {
	match, unknown, n, err := decodeMatch(b)
	if err != nil {
		return err
	}
	f.Match, f.Unknown = match, unknown
	f.Actions, err = d.decodeInstructions(b[n:])
	return err
}

// AppendMatchKey appends what tells two flows of a switch apart, as bytes that are equal
// exactly where table, priority and match are.
func (f *Flow) AppendMatchKey(b []byte) []byte {
	b = be.AppendUint16(append(b, f.Table), f.Priority)
	return appendMatch(b, f.Match, f.Unknown)
}

// Equal reports whether two flows are the same in all that a switch holds: table, priority,
// match, cookie, actions, flags and timeouts.
func (f *Flow) Equal(g *Flow) bool {
	return f.Table == g.Table && f.Priority == g.Priority && f.Cookie == g.Cookie && f.Flags == g.Flags &&
		f.IdleTimeout == g.IdleTimeout && f.HardTimeout == g.HardTimeout && f.Unknown == g.Unknown &&
		f.Match.Equal(g.Match) && EqualActions(f.Actions, g.Actions)
}

// EqualActions reports whether two lists of actions do the same: their wire form is equal.
func EqualActions(a, b []Action) bool {
	return slices.EqualFunc(a, b, identical) || bytes.Equal(AppendActions(nil, a), AppendActions(nil, b))
}

// identical reports whether two actions are the same value. Others may still do the same, as
// a set_field of the whole field with and without a mask.
func identical(a, b Action) bool {
	switch a := a.(type) {
	case Clone:
		b, ok := b.(Clone)
		return ok && slices.EqualFunc(a.Actions, b.Actions, identical)
	case WriteActions:
		b, ok := b.(WriteActions)
		return ok && slices.EqualFunc(a.Actions, b.Actions, identical)
	case BundleLoad:
		b, ok := b.(BundleLoad)
		return ok && a.Algorithm == b.Algorithm && a.Fields == b.Fields && a.Basis == b.Basis && a.Target == b.Target &&
			slices.Equal(a.Members, b.Members)
	case CT:
		b, ok := b.(CT)
		return ok && a.identical(&b)
	}
	return a == b
}

func (a *CT) identical(b *CT) bool {
	return a.Commit == b.Commit && a.Force == b.Force && a.Table == b.Table && a.ALG == b.ALG &&
		a.Zone == b.Zone && same(a.ZoneField, b.ZoneField) && same(a.NAT, b.NAT) &&
		slices.EqualFunc(a.Exec, b.Exec, identical)
}

// same reports whether both point at equal values, or at none.
func same[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }
