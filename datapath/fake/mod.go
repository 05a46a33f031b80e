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
	errBadMultipart = &openflow.Error{Type: openflow.ErrorBadRequest, Code: 2}
	errBadSubtype   = &openflow.Error{Type: openflow.ErrorBadRequest, Code: 4}
	errBadLength    = &openflow.Error{Type: openflow.ErrorBadRequest, Code: 6}
	errNotPermitted = &openflow.Error{Type: openflow.ErrorBadRequest, Code: 5}
	errBadGoto      = &openflow.Error{Type: openflow.ErrorInstruction, Code: 2}
	errBadTable     = &openflow.Error{Type: openflow.ErrorFlowMod, Code: 2}
	errOverlap      = &openflow.Error{Type: openflow.ErrorFlowMod, Code: 3}
)

// readMod reads a flow mod and refuses what can be refused without looking at the flows.
func readMod(message []byte) (openflow.FlowMod, *openflow.Error) {
	m, err := openflow.DecodeFlowMod(message)
	if err != nil {
		return m, errBadLength
	}
	if m.Command != openflow.Delete && m.Command != openflow.DeleteStrict {
		for _, a := range m.Flow.Actions {
			if to, ok := a.(openflow.GotoTable); ok && to.Table <= m.Flow.Table {
				return m, errBadGoto
			}
		}
	}
	return m, nil
}

// apply carries out a flow mod; the caller marks or reverts.
func (t *table) apply(m *openflow.FlowMod) *openflow.Error {
	switch m.Command {
	case openflow.Add:
		return t.add(&m.Flow)
	case openflow.Modify, openflow.Delete:
		q := query{table: m.Flow.Table, cookie: m.Flow.Cookie, mask: m.CookieMask, match: m.Flow.Match}
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

func (t *table) add(f *openflow.Flow) *openflow.Error {
	switch {
	case f.Table == openflow.TableAll:
		return errBadTable
	case f.Table >= tables:
		return errNotPermitted
	}
	key := t.keyOf(f)
	if _, known := t.entries[key]; !known && f.Flags&openflow.CheckOverlap != 0 && t.overlaps(f) {
		return errOverlap
	}
	t.set(key, t.entryOf(f))
	return nil
}

// change modifies or deletes one flow. A modify leaves cookie, flags and timeouts.
func (t *table) change(m *openflow.FlowMod, key matchKey) {
	f := t.flow(key)
	if m.Command == openflow.Modify || m.Command == openflow.ModifyStrict {
		e := t.entries[key]
		f.Actions = m.Flow.Actions
		e.actions = t.entryOf(&f).actions
		t.set(key, e)
		return
	}
	t.delete(key)
	if f.Flags&openflow.SendFlowRemoved != 0 {
		f.Actions, f.Flags = nil, 0
		t.removed = append(t.removed, openflow.FlowRemoved{
			Reason: openflow.RemovedDelete, FlowStats: openflow.FlowStats{Flow: f}})
	}
}
