package prove_test

import (
	"slices"
	"testing"

	"sluice/flows"
	"sluice/flows/prove"
	"sluice/store"

	of "sluice/datapath/openflow"
)

// Whatever a switch holds, the proof ends and does not panic, and a part is never kinder than the whole.
func FuzzHost(f *testing.F) {
	s, switches := golden(f, "testdata/cluster.txt")
	all, _ := flows.Desired(s, switches[0])
	_, ground := prove.Whole(s, prove.Tables{Switch: switches[0], Flows: all})
	for i := range all {
		if i%7 == 0 {
			_, w := all[i].AppendWire(nil)
			f.Add(all[i].Table, all[i].Priority, all[i].Cookie, w.Match, w.Instructions)
		}
	}
	f.Fuzz(func(t *testing.T, table uint8, priority uint16, cookie uint64, match, instructions []byte) {
		w := of.WireFlow{Table: table, Priority: priority, Cookie: cookie, Match: match, Instructions: instructions}
		flow, err := w.Decode()
		if err != nil {
			return
		}
		found := prove.Host(s, prove.Tables{Switch: switches[0], Flows: append(slices.Clone(all), flow)})
		slice := slices.DeleteFunc(slices.Clone(all), func(f of.Flow) bool { return f.Cookie != cookie })
		if ground.Part(s, prove.Tables{Switch: switches[0], Flows: append(slice, flow)}) && len(found) > 0 {
			t.Fatalf("a part is proved, and the whole finds %s", &found[0])
		}
	})
}

// Flows that no switch could hold are findings, and none panics.
func TestFlowsThatCannotBe(t *testing.T) {
	s, switches := golden(t, "testdata/cluster.txt")
	alice := of.Masked(of.FieldMetadata, of.U64(7<<32), of.U64(0xffffffff<<32))
	cookie := newCluster(t).cookie("port alice/default/a1")
	goes := []of.Action{of.GotoTable{Table: flows.TableRoute}}
	resolves := func(cookie uint64, m ...of.MatchField) of.Flow {
		return of.Flow{Table: flows.TableResolve, Cookie: cookie, Match: m, Actions: goes}
	}
	forwards := func(a of.Action) of.Flow {
		return of.Flow{Table: flows.TableForward, Cookie: cookie, Match: of.Match{of.Is(of.FieldMetadata, 7<<32|112)}, Actions: []of.Action{a, of.GotoTable{Table: flows.TableAccountOut}}}
	}
	to := func(f of.Field, offset, bits uint16) of.Subfield {
		return of.Subfield{Field: f, Offset: offset, Bits: bits}
	}
	unknown := resolves(cookie, alice)
	unknown.Unknown = "x"
	for name, c := range map[string]struct {
		flow of.Flow
		rule prove.Rule
	}{
		"as it should be":    {resolves(cookie, alice), ""},
		"for no port":        {resolves(cookie, of.NewMatch(alice, of.Is(flows.RegDestination, 0))...), ""},
		"for the gateway":    {resolves(cookie, of.NewMatch(alice, of.Is(flows.RegDestination, flows.GatewayPort))...), ""},
		"unsorted match":     {resolves(cookie, of.Is(of.FieldIPDst, 1), alice), prove.RuleAction},
		"a field twice":      {resolves(cookie, alice, alice), prove.RuleAction},
		"a field of none":    {resolves(cookie, alice, of.MatchField{Field: 255, Value: of.U64(1), Mask: of.U64(1)}), prove.RuleAction},
		"a field of no bits": {resolves(cookie, of.MatchField{Field: of.FieldInvalid}, alice), prove.RuleAction},
		"an empty mask":      {resolves(cookie, alice, of.MatchField{Field: of.FieldIPDst}), prove.RuleAction},
		"a mask too wide":    {resolves(cookie, alice, of.MatchField{Field: of.FieldIPDst, Mask: of.U64(1 << 40)}), prove.RuleAction},
		"unknown fields":     {unknown, prove.RuleAction},
		"nil action":         {of.Flow{Table: flows.TableResolve, Cookie: cookie, Match: of.Match{alice}, Actions: []of.Action{nil}}, prove.RuleAction},
		"load far out":       {forwards(of.Load{Target: to(flows.RegDestination, 65535, 65535)}), prove.RuleWrites},
		"a wide register":    {forwards(of.Load{Target: to(of.FieldXReg1, 16, 40), Value: 1}), prove.RuleWrites},
		"a whole wide one":   {forwards(of.Load{Target: to(of.FieldXReg1, 0, 64), Value: 101 << 32}), ""},
		"its half":           {forwards(of.Load{Target: to(of.FieldXReg1, 32, 32), Value: 101}), ""},
		"its other half":     {forwards(of.Load{Target: to(of.FieldXReg1, 0, 32), Value: 101}), ""}, // the reason alone
		"another port in it": {forwards(of.Load{Target: to(of.FieldXReg1, 0, 64), Value: 104 << 32}), prove.RuleWrites},
		"the widest":         {forwards(of.SetField{Field: of.FieldXXReg0}), prove.RuleWrites},
		"pop of nothing":     {forwards(of.Pop{Target: to(flows.RegDestination, 0, 0)}), prove.RuleWrites},
		"a narrow move":      {forwards(of.Move{Source: to(flows.RegSource, 0, 16), Target: to(flows.RegDestination, 0, 16)}), prove.RuleWrites},
		"a move to itself":   {forwards(of.Move{Source: to(flows.RegSource, 0, 0), Target: to(flows.RegSource, 0, 0)}), ""},
		"no cookie of ours":  {resolves(0), prove.RuleOwner},
		"a tenant's, of 0":   {resolves(5<<56, alice), prove.RuleOwner},
		"base's, of 7":       {resolves(1<<56 | 7<<32), prove.RuleOwner},
		"an unknown kind":    {resolves(99<<56|7<<32, alice), prove.RuleOwner},
		"back to its table":  {of.Flow{Table: flows.TableRoute, Cookie: cookie, Match: of.Match{alice}, Actions: goes}, prove.RuleAction},
		"out of drop":        {of.Flow{Table: flows.TableDrop, Cookie: cookie, Match: of.Match{alice}, Actions: []of.Action{of.GotoTable{Table: flows.TableDrop}}}, prove.RuleAction},
		"no table":           {of.Flow{Table: 200, Cookie: cookie, Match: of.Match{alice}, Actions: []of.Action{of.Output{Port: 1}}}, prove.RuleOutput},
	} {
		found := prove.Host(s, prove.Tables{Switch: switches[0], Flows: []of.Flow{c.flow}})
		if len(found) == 0 != (c.rule == "") || c.rule != "" && !slices.ContainsFunc(found, func(f prove.Finding) bool { return f.Rule == c.rule }) {
			t.Errorf("%s: found %v of %v, not rule %q", name, texts(found), c.flow, c.rule)
		}
	}
	if found := prove.Host(store.NewState(), prove.Tables{}); len(found) > 0 {
		t.Errorf("an empty switch in an empty cluster: %v", texts(found))
	}
}
