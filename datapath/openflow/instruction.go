package openflow

// instructionSet says which instructions a list of actions holds, by type. Type 4,
// apply-actions, stands for all that are no instruction themselves.
type instructionSet uint8

// instructionOrder is the order in which a switch executes instructions (OpenFlow 1.3, 5.9),
// and the one of a Flow's Actions.
var instructionOrder = [...]uint16{instructionMeter, instructionApplyActions, instructionClearActions,
	instructionWriteActions, instructionWriteMetadata, instructionGotoTable}

func instructionOf(a Action) uint16 {
	switch a.(type) {
	case Meter:
		return instructionMeter
	case ClearActions:
		return instructionClearActions
	case WriteActions:
		return instructionWriteActions
	case WriteMetadata:
		return instructionWriteMetadata
	case GotoTable:
		return instructionGotoTable
	}
	return instructionApplyActions
}

func instructionsOf(actions []Action) instructionSet {
	var set instructionSet
	for _, a := range actions {
		set |= 1 << instructionOf(a)
	}
	return set
}

// AppendActions appends the instructions that carry the actions, in their canonical order
// wherever they stand in the list. Two lists do the same where these bytes are equal.
//
// What OpenFlow cannot say (a subfield beyond its field, an instruction inside of a clone,
// nil) becomes an action that every switch refuses, never one that is left out.
func AppendActions(b []byte, actions []Action) []byte {
	set := instructionsOf(actions)
	for _, kind := range instructionOrder {
		if set&(1<<kind) == 0 {
			continue
		}
		if kind == instructionApplyActions {
			b = appendApply(b, actions)
			continue
		}
		for _, a := range actions {
			if instructionOf(a) == kind {
				b = appendInstruction(b, kind, a)
			}
		}
	}
	return b
}

func appendApply(b []byte, actions []Action) []byte {
	start := len(b)
	b = zeroes(appendHead(b, instructionApplyActions), 4)
	for _, a := range actions {
		if instructionOf(a) == instructionApplyActions {
			b = appendAction(b, a)
		}
	}
	patchLength(b, start, start+2)
	return b
}

func appendInstruction(b []byte, kind uint16, a Action) []byte {
	start := len(b)
	b = appendHead(b, kind)
	switch a := a.(type) {
	case GotoTable:
		b = append(b, a.Table, 0, 0, 0)
	case WriteMetadata:
		b = be.AppendUint64(be.AppendUint64(zeroes(b, 4), a.Value), a.Mask)
	case WriteActions:
		b = appendActionList(zeroes(b, 4), a.Actions)
	case ClearActions:
		b = zeroes(b, 4)
	case Meter:
		b = be.AppendUint32(b, a.ID)
	}
	patchLength(b, start, start+2)
	return b
}

// decodeInstructions reads the instructions that fill b, into the canonical order. It
// refuses an instruction that it does not know: nothing could be shown in its place.
func (d *decoder) decodeInstructions(b []byte) ([]Action, error) {
	var found [instructionMeter + 1][]byte
	for len(b) > 0 {
		if len(b) < 8 {
			return nil, malformed("an instruction needs 8 bytes, %d are left", len(b))
		}
		kind, length := be.Uint16(b), int(be.Uint16(b[2:]))
		if length < 8 || length%8 != 0 || length > len(b) {
			return nil, malformed("instruction %d says %d bytes, %d are left", kind, length, len(b))
		}
		if kind == 0 || int(kind) >= len(found) {
			return nil, malformed("instruction %d is not known", kind)
		}
		if found[kind] != nil {
			return nil, malformed("instruction %d stands twice", kind)
		}
		found[kind] = b[:length]
		b = b[length:]
	}
	return d.decodeInOrder(&found)
}

func (d *decoder) decodeInOrder(found *[instructionMeter + 1][]byte) ([]Action, error) {
	var out []Action
	if apply := found[instructionApplyActions]; apply != nil {
		n := 0
		for _, b := range found {
			if b != nil {
				n++
			}
		}
		out = make([]Action, 0, n+len(apply)/16)
	}
	for _, kind := range instructionOrder {
		if found[kind] == nil {
			continue
		}
		var err error
		if out, err = d.decodeInstruction(out, kind, found[kind]); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, nil // an apply-actions of nothing is a drop like any other
	}
	return out, nil
}

func (d *decoder) decodeInstruction(out []Action, kind uint16, b []byte) ([]Action, error) {
	if want := instructionSize(kind); want != 0 && want != len(b) {
		return nil, malformed("instruction %d has %d bytes, must have %d", kind, len(b), want)
	}
	switch kind {
	case instructionApplyActions:
		return d.decodeActions(out, b[8:], 0)
	case instructionGotoTable:
		return append(out, GotoTable{b[4]}), nil
	case instructionWriteMetadata:
		return append(out, WriteMetadata{be.Uint64(b[8:]), be.Uint64(b[16:])}), nil
	case instructionWriteActions:
		inner, err := d.decodeActions(nil, b[8:], 0)
		return append(out, WriteActions{inner}), err
	case instructionClearActions:
		return append(out, ClearActions{}), nil
	}
	return append(out, Meter{be.Uint32(b[4:])}), nil
}

// instructionSize is the one size that an instruction has; 0: any.
func instructionSize(kind uint16) int {
	switch kind {
	case instructionGotoTable, instructionMeter, instructionClearActions:
		return 8
	case instructionWriteMetadata:
		return 24
	}
	return 0
}
