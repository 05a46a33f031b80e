package openflow_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/openflow"
)

func TestTextReadsBack(t *testing.T) {
	for _, want := range modelled(t) {
		got, err := openflow.ParseFlow(want.String())
		if err != nil {
			t.Errorf("%s", err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s reads back differently (-want +got):\n%s", want.String(), diff)
		}
	}
}

func TestFlowModReadsBack(t *testing.T) {
	for i, f := range modelled(t) {
		want := openflow.FlowMod{Command: openflow.Command(i % 5), CookieMask: uint64(i), Flow: f}
		b := openflow.AppendFlowModCookie([]byte("before"), 7, want.Command, &f, want.CookieMask)
		got, err := openflow.DecodeFlowMod(b[len("before"):])
		if err != nil {
			t.Errorf("%s: %v", f.String(), err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s reads back differently (-want +got):\n%s", f.String(), diff)
		}
	}
}

func TestFlowStatsReadBack(t *testing.T) {
	var want, got []openflow.FlowStats
	b := openflow.AppendFlowStatsReply(nil, 7, true)
	for i, f := range modelled(t) {
		s := openflow.FlowStats{Flow: f, Packets: uint64(i), Bytes: uint64(100 * i), Seconds: 3}
		want = append(want, s)
		b = openflow.AppendFlowStats(b, &s)
	}
	more, err := openflow.DecodeFlowStats(openflow.EndMessage(b, 0), func(f *openflow.FlowStats) bool {
		got = append(got, *f)
		return true
	})
	if err != nil || !more {
		t.Fatalf("more %v, error %v; want more to follow", more, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flows read back differently (-want +got):\n%s", diff)
	}
}

// TestEncodingMakesNoGarbage keeps the hot path of a resync free of allocations.
func TestEncodingMakesNoGarbage(t *testing.T) {
	flows := modelled(t)
	b := make([]byte, 0, 1<<16)
	n := testing.AllocsPerRun(10, func() {
		for i := range flows {
			b = openflow.AppendFlowMod(b[:0], 1, openflow.Add, &flows[i])
			m := openflow.FlowMod{Flow: flows[i]}
			b = openflow.AppendBundleFlowMod(b[:0], 1, 2, openflow.BundleAtomic, &m)
			b = flows[i].AppendMatchKey(b[:0])
		}
	})
	if n != 0 {
		t.Errorf("encoding %d flows allocates %v times, want 0", len(flows), n)
	}
	n = testing.AllocsPerRun(10, func() {
		for i := range flows {
			if !flows[i].Equal(&flows[i]) {
				t.Error("a flow does not equal itself")
			}
		}
	})
	if n != 0 {
		t.Errorf("comparing %d flows allocates %v times, want 0", len(flows), n)
	}
}

// TestEqualSeesEveryDifference changes one thing of a flow at a time.
func TestEqualSeesEveryDifference(t *testing.T) {
	base := "cookie=0x1, table=3, priority=7,tcp,nw_src=10.0.0.0/24,tp_dst=80 actions=load:0x1->NXM_NX_REG0[],goto_table:4"
	f := mustParse(t, base)
	for _, other := range []string{
		"cookie=0x2, table=3, priority=7,tcp,nw_src=10.0.0.0/24,tp_dst=80 actions=load:0x1->NXM_NX_REG0[],goto_table:4",
		"cookie=0x1, table=2, priority=7,tcp,nw_src=10.0.0.0/24,tp_dst=80 actions=load:0x1->NXM_NX_REG0[],goto_table:4",
		"cookie=0x1, table=3, priority=8,tcp,nw_src=10.0.0.0/24,tp_dst=80 actions=load:0x1->NXM_NX_REG0[],goto_table:4",
		"cookie=0x1, table=3, priority=7,udp,nw_src=10.0.0.0/24,tp_dst=80 actions=load:0x1->NXM_NX_REG0[],goto_table:4",
		"cookie=0x1, table=3, priority=7,tcp,nw_src=10.0.0.0/25,tp_dst=80 actions=load:0x1->NXM_NX_REG0[],goto_table:4",
		"cookie=0x1, table=3, priority=7,tcp,nw_src=10.0.0.0/24 actions=load:0x1->NXM_NX_REG0[],goto_table:4",
		"cookie=0x1, table=3, priority=7,tcp,nw_src=10.0.0.0/24,tp_dst=80 actions=load:0x2->NXM_NX_REG0[],goto_table:4",
		"cookie=0x1, table=3, priority=7,tcp,nw_src=10.0.0.0/24,tp_dst=80 actions=load:0x1->NXM_NX_REG0[],goto_table:5",
		"cookie=0x1, table=3, priority=7,tcp,nw_src=10.0.0.0/24,tp_dst=80 actions=goto_table:4",
		"cookie=0x1, table=3, idle_timeout=1, priority=7,tcp,nw_src=10.0.0.0/24,tp_dst=80 actions=load:0x1->NXM_NX_REG0[],goto_table:4",
		"cookie=0x1, table=3, hard_timeout=1, priority=7,tcp,nw_src=10.0.0.0/24,tp_dst=80 actions=load:0x1->NXM_NX_REG0[],goto_table:4",
		"cookie=0x1, table=3, send_flow_rem priority=7,tcp,nw_src=10.0.0.0/24,tp_dst=80 actions=load:0x1->NXM_NX_REG0[],goto_table:4",
		"cookie=0x1, table=3, priority=7,tcp,nw_src=10.0.0.0/24,tp_dst=80,oxm=0x8000fe0100 actions=load:0x1->NXM_NX_REG0[],goto_table:4",
	} {
		g := mustParse(t, other)
		if f.Equal(&g) {
			t.Errorf("%s\nequals\n%s", base, other)
		}
	}
	same := mustParse(t, "priority=7,table=3,cookie=1,tp_dst=80,nw_src=10.0.0.9/24,tcp,actions=goto_table:4,load:1->reg0[0..31]")
	if !f.Equal(&same) {
		t.Errorf("%s does not equal %s", base, same.String())
	}
}

// TestWhatCannotBeSentIsRefusedNotWidened holds the rule that nothing is left out silently:
// what the switch gets in its place does not decode to the flow without it.
func TestWhatCannotBeSentIsRefusedNotWidened(t *testing.T) {
	big := make([]openflow.Action, 5000)
	for i := range big {
		big[i] = openflow.Output{Port: 1}
	}
	out := openflow.Output{Port: 1}
	reg := openflow.Subfield{Field: openflow.FieldReg0}
	for name, f := range map[string]openflow.Flow{
		"a field that is none":           {Match: openflow.Match{{Mask: openflow.U64(1)}}},
		"a field beyond all":             {Match: openflow.Match{{Field: 250, Mask: openflow.U64(1)}}},
		"a field without wire form":      {Match: openflow.Match{openflow.Is(openflow.FieldTunMetadata0, 1)}},
		"a value too wide":               {Match: openflow.Match{openflow.Is(openflow.FieldIPTTL, 256)}},
		"no action at all":               {Actions: []openflow.Action{nil}},
		"an instruction inside a clone":  {Actions: []openflow.Action{openflow.Clone{Actions: []openflow.Action{openflow.GotoTable{Table: 1}}}}},
		"a subfield beyond its field":    {Actions: []openflow.Action{openflow.Push{Source: openflow.Subfield{Field: openflow.FieldReg0, Offset: 30, Bits: 3}}}},
		"a load too wide":                {Actions: []openflow.Action{openflow.Load{Target: reg, Value: 1 << 32}}},
		"a move of different widths":     {Actions: []openflow.Action{openflow.Move{Source: reg, Target: openflow.Subfield{Field: openflow.FieldXReg0}}}},
		"a set_field beyond its mask":    {Actions: []openflow.Action{openflow.SetField{Field: openflow.FieldReg0, Value: openflow.U64(3), Mask: openflow.U64(1)}}},
		"nat both ways":                  {Actions: []openflow.Action{openflow.CT{NAT: &openflow.NAT{Source: true, Destination: true}}}},
		"opaque bytes of a wrong length": {Actions: []openflow.Action{openflow.Opaque{Bytes: "\x00\x00\x00\x10\x00\x00\x00\x00"}}},
		"a clause zero":                  {Actions: []openflow.Action{openflow.Conjunction{ID: 1, Clauses: 2}}},
		"more than a message holds":      {Actions: big},
	} {
		t.Run(name, func(t *testing.T) {
			f.Actions = append(f.Actions, out)
			b := openflow.AppendFlowMod(nil, 7, openflow.Add, &f)
			if h, err := openflow.ParseHeader(b); err != nil || int(h.Length) != len(b) || h.XID != 7 {
				t.Fatalf("message is not framed: %v, %d bytes, error %v", h, len(b), err)
			}
			m, err := openflow.DecodeFlowMod(b)
			if err != nil {
				return
			}
			if text := m.Flow.String(); !strings.Contains(text, "oxm=") && !strings.Contains(text, "opaque(") {
				t.Errorf("goes out as %s", text)
			}
		})
	}
}
