package fake

import (
	"sluice/datapath/openflow"
)

// tables is how many tables there are for controllers; Open vSwitch keeps the next for itself.
const tables = 254

// What the switch answers with. Texts are the openflow package's.
var (
	errNotMaster    = &openflow.Error{Type: openflow.ErrorBadRequest, Code: openflow.ErrorBadRequestNotMaster}
	errStale        = &openflow.Error{Type: openflow.ErrorRole, Code: openflow.ErrorRoleStale}
	errBadRole      = &openflow.Error{Type: openflow.ErrorRole, Code: 2}
	errBadType      = &openflow.Error{Type: openflow.ErrorBadRequest, Code: 1}
	errMeterExists  = &openflow.Error{Type: openflow.ErrorMeterMod, Code: openflow.ErrorMeterExists}
	errUnknownMeter = &openflow.Error{Type: openflow.ErrorMeterMod, Code: 7}
	errBadMultipart = &openflow.Error{Type: openflow.ErrorBadRequest, Code: 2}
	errBadSubtype   = &openflow.Error{Type: openflow.ErrorBadRequest, Code: 4}
	errBadLength    = &openflow.Error{Type: openflow.ErrorBadRequest, Code: 6}
	errNotPermitted = &openflow.Error{Type: openflow.ErrorBadRequest, Code: 5}
	errBadGoto      = &openflow.Error{Type: openflow.ErrorInstruction, Code: 2}
	errBadTable     = &openflow.Error{Type: openflow.ErrorFlowMod, Code: 2}
	errOverlap      = &openflow.Error{Type: openflow.ErrorFlowMod, Code: 3}
)

// mod is a flow mod, and its match where others than one flow are meant.
type mod struct {
	openflow.WireFlowMod
	match openflow.Match
}

// instructionGoto is goto_table's type (OpenFlow 1.3, A.2.4).
const instructionGoto = 1

// readMod reads a flow mod and refuses what can be refused without looking at the flows. The
// mod refers to the message.
func readMod(message []byte) (mod, *openflow.Error) {
	w, err := openflow.DecodeWireFlowMod(message)
	if err != nil {
		return mod{}, errBadLength
	}
	m := mod{WireFlowMod: w}
	if w.Command == openflow.Delete || w.Command == openflow.Modify {
		f, err := w.Flow.Decode()
		if err != nil {
			return m, errBadLength
		}
		m.match = f.Match
	}
	if w.Command == openflow.Delete || w.Command == openflow.DeleteStrict {
		return m, nil
	}
	return m, checkInstructions(w.Flow.Table, w.Flow.Instructions)
}

// checkInstructions refuses a goto_table that does not lead forward.
func checkInstructions(table uint8, b []byte) *openflow.Error {
	for len(b) > 0 {
		if len(b) < 8 {
			return errBadLength
		}
		length := int(be.Uint16(b[2:]))
		switch {
		case length < 8 || length > len(b):
			return errBadLength
		case be.Uint16(b) == instructionGoto && b[4] <= table:
			return errBadGoto
		}
		b = b[length:]
	}
	return nil
}

// apply carries out a flow mod; the caller keeps or reverts.
func (t *table) apply(m *mod) *openflow.Error {
	switch m.Command {
	case openflow.Add:
		return t.add(&m.Flow)
	case openflow.Modify, openflow.Delete:
		q := query{table: m.Flow.Table, cookie: m.Flow.Cookie, mask: m.CookieMask, match: m.match}
		for _, key := range t.find(&q) {
			t.change(m, key)
		}
	case openflow.ModifyStrict, openflow.DeleteStrict:
		key := t.keyOf(&m.Flow)
		e, known := t.entries[key]
		if known && (e.cookie^m.Flow.Cookie)&m.CookieMask == 0 {
			t.change(m, key)
		}
	}
	return nil
}

func (t *table) add(w *openflow.WireFlow) *openflow.Error {
	switch {
	case w.Table == openflow.TableAll:
		return errBadTable
	case w.Table >= tables:
		return errNotPermitted
	}
	key := t.keyOf(w)
	if _, known := t.entries[key]; !known && w.Flags&openflow.CheckOverlap != 0 {
		f, err := w.Decode()
		switch {
		case err != nil:
			return errBadLength
		case t.overlaps(&f):
			return errOverlap
		}
	}
	t.set(key, t.entryOf(w))
	return nil
}

// change modifies or deletes one flow. A modify leaves cookie, flags and timeouts.
func (t *table) change(m *mod, key matchKey) {
	w := t.wire(key)
	if m.Command == openflow.Modify || m.Command == openflow.ModifyStrict {
		e := t.entries[key]
		w.Instructions = m.Flow.Instructions
		e.rest = t.entryOf(&w).rest
		t.set(key, e)
		return
	}
	t.delete(key)
	if w.Flags&openflow.SendFlowRemoved != 0 {
		f, _ := w.Decode()
		f.Actions, f.Flags = nil, 0
		t.removed = append(t.removed, openflow.FlowRemoved{
			Reason: openflow.RemovedDelete, FlowStats: openflow.FlowStats{Flow: f}})
	}
}
