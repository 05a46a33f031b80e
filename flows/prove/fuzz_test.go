package prove_test

import (
	"testing"

	"sluice/flows"
	"sluice/flows/prove"
	"sluice/store"

	of "sluice/datapath/openflow"
)

// Whatever a switch holds, the proof ends and does not panic; what it says of all flows at once it says when they
// come one by one.
func FuzzHost(f *testing.F) {
	s, switches := golden(f, "testdata/cluster.txt")
	all, _ := flows.Desired(s, switches[0])
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
		kept := prove.New(s, prove.Tables{Switch: switches[0], Flows: all})
		kept.Changed(nil, []of.Flow{flow})
		found := len(kept.Findings())
		if again := len(kept.Findings()); again != found {
			t.Fatalf("%d findings, then %d", found, again)
		}
	})
}

// Flows that no switch could hold are findings, and none panics.
func TestFlowsThatCannotBe(t *testing.T) {
	s, switches := golden(t, "testdata/cluster.txt")
	cookie := newCluster(t).cookie("port alice/default/a1")
	goes := []of.Action{of.GotoTable{Table: flows.TableRoute}}
	for name, f := range map[string]of.Flow{
		"unsorted match":    {Table: 30, Cookie: cookie, Match: of.Match{of.Is(of.FieldIPDst, 1), of.Is(of.FieldMetadata, 7<<32)}, Actions: goes},
		"a field twice":     {Table: 30, Cookie: cookie, Match: of.Match{of.Is(of.FieldMetadata, 7<<32), of.Is(of.FieldMetadata, 9<<32)}, Actions: goes},
		"a field of none":   {Table: 30, Cookie: cookie, Match: of.Match{of.Is(255, 1)}, Actions: goes},
		"an empty mask":     {Table: 30, Cookie: cookie, Match: of.Match{{Field: of.FieldMetadata}}, Actions: goes},
		"a mask too wide":   {Table: 30, Cookie: cookie, Match: of.Match{{Field: of.FieldReg1, Mask: of.Value{Lo: 1 << 40}}}, Actions: goes},
		"unknown fields":    {Table: 30, Cookie: cookie, Unknown: "x", Match: of.NewMatch(of.Is(of.FieldMetadata, 7<<32)), Actions: goes},
		"nil action":        {Table: 30, Cookie: cookie, Match: of.NewMatch(of.Is(of.FieldMetadata, 7<<32)), Actions: []of.Action{nil}},
		"load far out":      {Table: 80, Cookie: cookie, Match: of.NewMatch(of.Is(of.FieldMetadata, 7<<32)), Actions: []of.Action{of.Load{Target: of.Subfield{Field: flows.RegDestination, Offset: 65535, Bits: 65535}}, of.GotoTable{Table: flows.TableAccountOut}}},
		"wide register":     {Table: 80, Cookie: cookie, Match: of.NewMatch(of.Is(of.FieldMetadata, 7<<32)), Actions: []of.Action{of.Load{Target: of.Subfield{Field: of.FieldXReg1, Offset: 16, Bits: 40}, Value: 1}, of.GotoTable{Table: flows.TableAccountOut}}},
		"widest register":   {Table: 80, Cookie: cookie, Match: of.NewMatch(of.Is(of.FieldMetadata, 7<<32)), Actions: []of.Action{of.SetField{Field: of.FieldXXReg0}, of.GotoTable{Table: flows.TableAccountOut}}},
		"pop of nothing":    {Table: 80, Cookie: cookie, Match: of.NewMatch(of.Is(of.FieldMetadata, 7<<32)), Actions: []of.Action{of.Pop{Target: of.Subfield{Field: flows.RegDestination}}, of.GotoTable{Table: flows.TableAccountOut}}},
		"a cookie of ours":  {Table: 30, Cookie: 0, Actions: goes},
		"a tenant's, of 0":  {Table: 30, Cookie: 5 << 56, Match: of.NewMatch(of.Is(of.FieldMetadata, 7<<32)), Actions: goes},
		"base's, of 7":      {Table: 30, Cookie: 1<<56 | 7<<32, Actions: goes},
		"an unknown kind":   {Table: 30, Cookie: 99<<56 | 7<<32, Match: of.NewMatch(of.Is(of.FieldMetadata, 7<<32)), Actions: goes},
		"back to its table": {Table: 30, Cookie: cookie, Match: of.NewMatch(of.Is(of.FieldMetadata, 7<<32)), Actions: []of.Action{of.GotoTable{Table: 30}}},
		"out of drop":       {Table: flows.TableDrop, Cookie: cookie, Match: of.NewMatch(of.Is(of.FieldMetadata, 7<<32)), Actions: []of.Action{of.GotoTable{Table: flows.TableDrop}}},
		"no table":          {Table: 200, Cookie: cookie, Match: of.NewMatch(of.Is(of.FieldMetadata, 7<<32)), Actions: []of.Action{of.Output{Port: 1}}},
	} {
		if found := prove.Host(s, prove.Tables{Switch: switches[0], Flows: []of.Flow{f}}); len(found) == 0 {
			t.Errorf("%s: nothing is found of %v", name, f)
		}
	}
	if found := prove.Host(store.NewState(), prove.Tables{}); len(found) > 0 {
		t.Errorf("an empty switch in an empty cluster: %v", texts(found))
	}
}
