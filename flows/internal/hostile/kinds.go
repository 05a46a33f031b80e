package hostile

import (
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

func (e *editor) dropTenant(f of.Flow) (of.Flow, bool) {
	at := slices.IndexFunc(f.Match, func(m of.MatchField) bool { return m.Field == of.FieldMetadata || m.Field == of.FieldReg1 })
	if at < 0 {
		return f, false
	}
	f.Match = slices.Delete(f.Match, at, at+1)
	return f, true
}

func (e *editor) dropField(f of.Flow) (of.Flow, bool) {
	if len(f.Match) == 0 {
		return f, false
	}
	at := e.IntN(len(f.Match))
	f.Match = slices.Delete(f.Match, at, at+1)
	return f, true
}

// maskable are the fields that a switch matches in part.
var maskable = []of.Field{of.FieldTunID, of.FieldTunSrc, of.FieldTunIPv6Src, of.FieldMetadata, of.FieldReg0, of.FieldReg1, of.FieldReg2,
	of.FieldReg3, of.FieldReg4, of.FieldReg5, of.FieldCTMark, of.FieldEthSrc, of.FieldEthDst, of.FieldIPSrc, of.FieldIPDst, of.FieldIPv6Src, of.FieldIPv6Dst,
	of.FieldARPSPA, of.FieldARPTPA, of.FieldARPSHA, of.FieldNDTarget, of.FieldNDSLL, of.FieldNDTLL, of.FieldUDPSrc, of.FieldUDPDst, of.FieldTCPDst}

// widen matches fewer bits: the low ones of a prefix, or one anywhere.
func (e *editor) widen(f of.Flow) (of.Flow, bool) {
	if len(f.Match) == 0 {
		return f, false
	}
	m := &f.Match[e.IntN(len(f.Match))]
	if !slices.Contains(maskable, m.Field) {
		return f, false
	}
	n := 1 + e.IntN(m.Field.Bits()-1)
	keep := of.Ones(m.Field.Bits()).Xor(of.Ones(n))
	if prefixes := []of.Field{of.FieldTunID, of.FieldMetadata}; slices.Contains(prefixes, m.Field) && e.IntN(2) == 0 {
		keep = of.Ones(m.Field.Bits()).Xor(of.U64(1 << e.IntN(m.Field.Bits())))
	}
	if m.Field == of.FieldMetadata && e.IntN(3) == 0 {
		keep = of.Ones(32)
	}
	m.Mask = m.Mask.And(keep)
	m.Value = m.Value.And(m.Mask)
	f.Match = of.NewMatch(f.Match...)
	return f, true
}

func (e *editor) otherMatch(f of.Flow) (of.Flow, bool) {
	if len(f.Match) == 0 {
		return f, false
	}
	m := &f.Match[e.IntN(len(f.Match))]
	if fixed(m.Field) {
		return f, false
	}
	m.Value = e.value(m.Field).And(m.Mask)
	return f, true
}

// fixed are fields on which others depend.
func fixed(f of.Field) bool {
	return f == of.FieldEthType || f == of.FieldIPProto || f == of.FieldVLANVID
}

// otherValue sets what another flow sets or matches.
func (e *editor) otherValue(f of.Flow) (of.Flow, bool) {
	if len(f.Actions) == 0 {
		return f, false
	}
	at := e.IntN(len(f.Actions))
	a, ok := e.changed(f.Actions[at])
	f.Actions[at] = a
	return f, ok
}

func (e *editor) changed(a of.Action) (of.Action, bool) {
	switch a := a.(type) {
	case of.SetField:
		a.Value = e.value(a.Field)
		return a, true
	case of.Load:
		a.Value = e.value(a.Target.Field).Lo
		return a, true
	case of.WriteMetadata:
		a.Value = e.value(of.FieldMetadata).Lo
		if e.IntN(6) == 0 {
			a.Mask = pick(e, uint64(0xffffffff), 0xffffffff00000000, 0)
			a.Value &= a.Mask
		}
		return a, true
	case of.Move:
		if a.Source.Bits > 0 { // of the network, or askew, it is another tenant's number
			before := a.Source.Offset
			a.Source.Offset = pick(e, uint16(0), 1, 16, 31)
			return a, a.Source.Offset != before && int(a.Source.Offset+a.Source.Bits) <= a.Source.Field.Bits()
		}
		a.Source.Field = pick(e, of.FieldReg0, of.FieldReg1, of.FieldReg2, of.FieldReg4, of.FieldReg5)
		return a, a.Target.Field >= of.FieldReg0 && a.Target.Field <= of.FieldReg15
	case of.Clone:
		a.Actions = slices.Clone(a.Actions)
		at := e.IntN(len(a.Actions))
		b, ok := e.changed(a.Actions[at])
		a.Actions[at] = b
		return a, ok
	case of.Resubmit:
		a.Table = e.anyTable(a.Table)
		return a, true
	}
	return a, false
}

// ports are those of a host's switch, and one that is nobody's.
func (e *editor) port() uint32 {
	numbers := []uint32{1, 2, 3, 4, 5, 6, 7, 8, 100, 200, 300, of.PortInPort}
	return numbers[e.IntN(len(numbers))]
}

func (e *editor) otherOutput(f of.Flow) (of.Flow, bool) {
	at := slices.IndexFunc(f.Actions, func(a of.Action) bool { _, ok := a.(of.Output); return ok })
	if at < 0 {
		return f, false
	}
	f.Actions[at] = of.Output{Port: e.port()}
	return f, true
}

var tableIDs = []uint8{5, 10, 12, 30, 40, 44, 46, 50, 51, 52, 54, 56, 60, 80, 90, 92, 100, 110, 250}

func (e *editor) anyTable(after uint8) uint8 {
	for {
		if t := tableIDs[e.IntN(len(tableIDs))]; t > after || after >= 250 {
			return t
		}
	}
}

func (e *editor) otherTable(f of.Flow) (of.Flow, bool) {
	for i, a := range f.Actions {
		switch a := a.(type) {
		case of.GotoTable:
			a.Table = e.anyTable(f.Table)
			f.Actions[i] = a
			return f, true
		case of.CT:
			a.Table = e.anyTable(f.Table)
			f.Actions[i] = a
			return f, true
		}
	}
	return f, false
}

func (e *editor) otherTracking(f of.Flow) (of.Flow, bool) {
	at := slices.IndexFunc(f.Actions, func(a of.Action) bool { _, ok := a.(of.CT); return ok })
	if at < 0 {
		return f, false
	}
	ct := f.Actions[at].(of.CT)
	switch nat := ct.NAT; {
	case nat != nil && nat.Source && e.IntN(2) == 0:
		other := *nat
		other.MinAddress = of.Address(pick(e, store.DefaultTransit.Address(1), store.DefaultTransit.Address(2), store.DefaultTransit.Address(3),
			store.DefaultTransit.Kernel()))
		ct.NAT = &other
	case len(ct.Exec) > 0 && e.IntN(2) == 0:
		ct.Exec = []of.Action{of.SetField{Field: of.FieldCTMark, Value: e.value(of.FieldCTMark)}}
	case e.IntN(4) == 0:
		ct.NAT = nil
	default:
		ct.Zone = store.NATZone(uint32(1 + e.IntN(4)))
	}
	f.Actions[at] = ct
	return f, true
}

func (e *editor) dropAction(f of.Flow) (of.Flow, bool) {
	if len(f.Actions) < 2 {
		return f, false
	}
	at := e.IntN(len(f.Actions))
	f.Actions = slices.Delete(f.Actions, at, at+1)
	return f, true
}

// moreActions sets a field before all else.
func (e *editor) moreActions(f of.Flow) (of.Flow, bool) {
	if len(f.Actions) == 0 {
		return f, false
	}
	load := func(field of.Field) of.Action {
		return of.Load{Target: of.Subfield{Field: field}, Value: e.value(field).Lo}
	}
	a := pick[of.Action](e, load(of.FieldMetadata), load(of.FieldReg0), load(of.FieldReg1), load(of.FieldReg2), load(of.FieldReg4), load(of.FieldReg5),
		load(of.FieldEthDst), load(of.FieldEthSrc), load(of.FieldIPDst), of.SetField{Field: of.FieldTunDst, Value: e.value(of.FieldTunDst)},
		of.PopVLAN{}, load(of.FieldInPort))
	at := e.IntN(len(f.Actions))
	if _, ok := f.Actions[0].(of.Meter); ok {
		at = max(at, 1)
	}
	if instruction(f.Actions[at]) {
		at = slices.IndexFunc(f.Actions, instruction)
		if _, ok := f.Actions[at].(of.Meter); ok {
			at++
		}
	}
	f.Actions = slices.Insert(f.Actions, at, a)
	return f, true
}

// instruction reports whether an action stands behind all that are applied.
func instruction(a of.Action) bool {
	switch a.(type) {
	case of.WriteMetadata, of.GotoTable, of.Meter:
		return true
	}
	return false
}

// alsoOutput sends a copy besides.
func (e *editor) alsoOutput(f of.Flow) (of.Flow, bool) {
	at := slices.IndexFunc(f.Actions, instruction)
	switch {
	case at < 0:
		at = len(f.Actions)
	case at == 0:
		if _, ok := f.Actions[0].(of.Meter); ok {
			at = 1
		}
	}
	for _, a := range f.Actions {
		if _, ok := a.(of.CT); ok {
			at = 0 // what stands behind a lookup is not simulated
		}
	}
	f.Actions = slices.Insert(f.Actions, at, pick[of.Action](e, of.Output{Port: e.port()}, of.Output{Port: e.port()},
		of.Clone{Actions: []of.Action{of.Load{Target: of.Subfield{Field: of.FieldReg2}, Value: e.value(of.FieldReg2).Lo}, of.Resubmit{Table: 100}}},
		of.Resubmit{Table: pick[uint8](e, 60, 80, 92, 100, 110)}))
	return f, true
}

func (e *editor) otherCookie(f of.Flow) (of.Flow, bool) {
	list := e.cluster[e.IntN(len(e.cluster))].Flows
	f.Cookie = list[e.IntN(len(list))].Cookie
	return f, true
}

func (e *editor) raise(f of.Flow) (of.Flow, bool) {
	f.Priority = pick[uint16](e, 1, 55, 105, 195, 215, 295, 305, 1000, 65535)
	return f, true
}

// flood lets a switch decide where frames go.
func (e *editor) flood(f of.Flow) (of.Flow, bool) {
	f.Actions = []of.Action{pick[of.Action](e, of.Output{Port: of.PortNormal}, of.Output{Port: of.PortFlood}, of.Output{Port: of.PortAll},
		of.Output{Port: of.PortLocal}, of.Controller{MaxLength: 128}, of.Group{ID: 1})}
	return f, true
}

// open lets all frames of a table pass, or a port's, wherever it likes.
func (e *editor) open(f of.Flow) (of.Flow, bool) {
	g := of.Flow{Table: f.Table, Priority: pick[uint16](e, 1, 205, 1000, 65535), Cookie: pick(e, f.Cookie, 0)}
	if e.IntN(2) == 0 {
		g.Match = of.NewMatch(of.Is(of.FieldInPort, uint64(e.port())))
	}
	if e.IntN(2) == 0 {
		g.Actions = append(g.Actions, of.Load{Target: of.Subfield{Field: of.FieldMetadata}, Value: e.value(of.FieldMetadata).Lo})
	}
	if e.IntN(3) == 0 {
		g.Actions = append(g.Actions, of.Output{Port: e.port()})
		return g, true
	}
	if g.Table >= 250 {
		return g, false
	}
	g.Actions = append(g.Actions, of.GotoTable{Table: e.anyTable(g.Table)})
	return g, true
}

// stranger takes frames by tunnel from anybody, or from one whom nobody knows.
func (e *editor) stranger(of.Flow) (of.Flow, bool) {
	m := []of.MatchField{of.Is(of.FieldInPort, 100)}
	if e.IntN(2) == 0 {
		m = append(m, of.Masked(of.FieldTunSrc, of.U64(0xcb007163), of.Ones(32).Xor(of.Ones(e.IntN(9)))))
	}
	return of.Flow{Priority: pick[uint16](e, 95, 100, 101), Cookie: e.value(of.FieldMetadata).Lo, Match: of.NewMatch(m...),
		Actions: []of.Action{of.Load{Target: of.Subfield{Field: of.FieldReg0}, Value: 2}, of.GotoTable{Table: 5}}}, true
}

// otherActions are those of a flow of the same table.
func (e *editor) otherActions(f of.Flow) (of.Flow, bool) {
	list := e.cluster[e.IntN(len(e.cluster))].Flows
	for range 30 {
		if g := list[e.IntN(len(list))]; g.Table == f.Table {
			f.Actions = g.Actions
			return f, true
		}
	}
	return f, false
}

// consistent leaves out the fields that a switch would not match without others.
func consistent(m of.Match) of.Match {
	exact := func(f of.Field) uint64 {
		if x, ok := m.Get(f); ok && x.Mask == of.Ones(f.Bits()) {
			return x.Value.Lo
		}
		return 0
	}
	eth, proto := exact(of.FieldEthType), exact(of.FieldIPProto)
	kind, hop := exact(of.FieldICMPv6Type), eth == 0x800 || eth == 0x86dd
	return slices.DeleteFunc(slices.Clone(m), func(x of.MatchField) bool {
		switch f := x.Field; {
		case f == of.FieldIPSrc || f == of.FieldIPDst:
			return eth != 0x800
		case f == of.FieldIPv6Src || f == of.FieldIPv6Dst || f == of.FieldIPv6Label:
			return eth != 0x86dd
		case f >= of.FieldIPProto && f <= of.FieldIPFrag:
			return !hop
		case f >= of.FieldARPOp && f <= of.FieldARPTHA:
			return eth != 0x806
		case f >= of.FieldTCPSrc && f <= of.FieldTCPFlags:
			return !hop || proto != 6
		case f == of.FieldUDPSrc || f == of.FieldUDPDst:
			return !hop || proto != 17
		case f == of.FieldICMPType || f == of.FieldICMPCode:
			return eth != 0x800 || proto != 1
		case f == of.FieldICMPv6Type || f == of.FieldICMPv6Code:
			return eth != 0x86dd || proto != 58
		case f >= of.FieldNDTarget && f <= of.FieldNDTLL:
			return eth != 0x86dd || proto != 58 || kind != 135 && kind != 136 || exact(of.FieldICMPv6Code) != 0 ||
				f == of.FieldNDSLL && kind != 135 || f == of.FieldNDTLL && kind != 136
		}
		return false
	})
}
