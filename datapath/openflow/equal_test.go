package openflow_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/openflow"
)

// TestActionsThatDiffer compares actions that differ in one thing. Each equals itself, read a
// second time.
func TestActionsThatDiffer(t *testing.T) {
	for _, pair := range [][2]string{
		{"output:1", "output:2"},
		{"output:1", "output:1,output:1"},
		{"output:1,output:2", "output:2,output:1"},
		{"drop", "ct_clear"},
		{"clone(output:1)", "clone(output:2)"},
		{"clone(output:1)", "clone(output:1,output:1)"},
		{"clone()", "ct_clear"},
		{"clone(clone(output:1))", "clone(clone(output:2))"},
		{"write_actions(output:1)", "write_actions(output:2)"},
		{"write_actions()", "clear_actions"},
		{"write_actions(output:1)", "clone(output:1)"},
		{"ct(table=0)", "ct_clear"},
		{"ct()", "ct(commit)"},
		{"ct(commit)", "ct(commit,force)"},
		{"ct(zone=1)", "ct(zone=2)"},
		{"ct(zone=1)", "ct(zone=NXM_NX_REG0[0..15])"},
		{"ct(zone=NXM_NX_REG1[0..15])", "ct(zone=NXM_NX_REG0[0..15])"},
		{"ct(table=1)", "ct(table=2)"},
		{"ct(nat)", "ct()"},
		{"ct(commit,nat(src=1.2.3.4))", "ct(commit,nat(src=1.2.3.5))"},
		{"ct(commit,exec(load:0x1->NXM_NX_CT_MARK[]))", "ct(commit,exec(load:0x2->NXM_NX_CT_MARK[]))"},
		{"ct(commit,alg=ftp)", "ct(commit,alg=tftp)"},
	} {
		for i, text := range pair {
			a, again := mustParse(t, "actions="+text).Actions, mustParse(t, "actions="+text).Actions
			b := mustParse(t, "actions="+pair[1-i]).Actions
			if !openflow.EqualActions(a, again) {
				t.Errorf("%s does not equal itself", text)
			}
			if openflow.EqualActions(a, b) {
				t.Errorf("%s equals %s", text, pair[1-i])
			}
		}
	}
}

// TestActionsThatAreEqual compares values that differ and do the same.
func TestActionsThatAreEqual(t *testing.T) {
	reg := openflow.FieldReg0
	for name, pair := range map[string][2]openflow.Action{
		"a mask of all bits":   {openflow.SetField{Field: reg}, openflow.SetField{Field: reg, Mask: openflow.Ones(32)}},
		"all bits of a field":  {openflow.Pop{Target: openflow.Subfield{Field: reg}}, openflow.Pop{Target: openflow.Subfield{Field: reg, Bits: 32}}},
		"an empty list":        {openflow.Clone{}, openflow.Clone{Actions: []openflow.Action{}}},
		"two ways to say self": {openflow.Resubmit{Table: 1}, openflow.Resubmit{Table: 1, InPort: 0xfff8}},
	} {
		if !openflow.EqualActions([]openflow.Action{pair[0]}, []openflow.Action{pair[1]}) {
			t.Errorf("%s: not equal", name)
		}
	}
}

// TestMatchesThatDiffer compares matches that differ in one thing.
func TestMatchesThatDiffer(t *testing.T) {
	base := mustParse(t, "tcp,nw_src=10.0.0.0/24,actions=drop")
	for _, text := range []string{"udp,nw_src=10.0.0.0/24", "tcp,nw_src=10.0.1.0/24", "tcp,nw_src=10.0.0.0/25", "tcp", "tcp,nw_dst=10.0.0.0/24"} {
		other := mustParse(t, text+",actions=drop")
		if base.Match.Equal(other.Match) || string(base.AppendMatchKey(nil)) == string(other.AppendMatchKey(nil)) {
			t.Errorf("%s equals tcp,nw_src=10.0.0.0/24", text)
		}
	}
	for _, text := range []string{"table=1", "priority=1", "oxm=0x8000fe0100"} {
		f, g := mustParse(t, "actions=drop"), mustParse(t, text+",actions=drop")
		if string(f.AppendMatchKey(nil)) == string(g.AppendMatchKey(nil)) {
			t.Errorf("the key of %s is that of nothing", text)
		}
	}
	f, g := mustParse(t, "tcp,cookie=1,idle_timeout=1,actions=drop"), mustParse(t, "tcp,actions=output:1")
	if string(f.AppendMatchKey(nil)) != string(g.AppendMatchKey(nil)) {
		t.Error("cookie, time-outs or actions stand in the key")
	}
}

// TestOneValueForOneThing holds that what is spelled in two ways is one value, so that flows can
// be compared as values.
func TestOneValueForOneThing(t *testing.T) {
	for _, pair := range [][2]string{
		{"push:reg0[]", "push:reg0[0..31]"},
		{"push:vlan_vid[]", "push:vlan_vid[0..11]"},
		{"load:1->reg0[5]", "load:1->reg0[5..5]"},
		{"set_field:5->reg0", "set_field:5/0xffffffff->reg0"},
		{"resubmit(,5)", "resubmit(in_port,5)"},
		{"ct(commit,exec())", "ct(commit)"},
		{"drop", "drop,drop"},
	} {
		a, b := mustParse(t, "actions="+pair[0]), mustParse(t, "actions="+pair[1])
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%s and %s are two values:\n%s", pair[0], pair[1], diff)
		}
	}
}

// TestRefusedForms holds the bytes that stand for what cannot be sent: an action of the
// experimenter 0xffffffff, and a field 127 of the class 0x8000. No switch has either.
func TestRefusedForms(t *testing.T) {
	got := inWords(openflow.AppendActions(nil, []openflow.Action{nil}))
	if want := "0004001000000000 ffff0008ffffffff"; got != want {
		t.Errorf("no action goes out as %s, want %s", got, want)
	}
	f := openflow.Flow{Match: openflow.Match{openflow.Is(openflow.FieldIPTTL, 256)}}
	_, wire := f.AppendWire(nil)
	if want := "000100098000fe01 0000000000000000"; inWords(wire.Match) != want {
		t.Errorf("a value too wide goes out as %s, want %s", inWords(wire.Match), want)
	}
	f = openflow.Flow{Match: openflow.Match{{Field: openflow.FieldVLANVID, Value: openflow.U64(1), Mask: openflow.U64(0x2001)}}}
	_, wire = f.AppendWire(nil)
	if want := "000100098000fe01 0000000000000000"; inWords(wire.Match) != want {
		t.Errorf("a mask too wide goes out as %s, want %s", inWords(wire.Match), want)
	}
	f = openflow.Flow{Match: openflow.Match{{Field: openflow.FieldReg0}}}
	_, wire = f.AppendWire(nil)
	if want := "0001000400000000"; inWords(wire.Match) != want {
		t.Errorf("a field under no mask goes out as %s, want %s", inWords(wire.Match), want)
	}
}

// TestPartsTooWide holds which parts of fields can be loaded and sent to: 64 bits and no more.
func TestPartsTooWide(t *testing.T) {
	refused := "0004001000000000 ffff0008ffffffff"
	part := func(offset, bits uint16) openflow.Subfield {
		return openflow.Subfield{Field: openflow.FieldXXReg0, Offset: offset, Bits: bits}
	}
	for _, c := range []struct {
		action openflow.Action
		fits   bool
	}{
		{openflow.Load{Target: part(0, 64), Value: 1<<64 - 1}, true},
		{openflow.Load{Target: part(64, 64), Value: 1}, true},
		{openflow.Load{Target: part(65, 64), Value: 1}, false},
		{openflow.Load{Target: part(0, 65), Value: 1}, false},
		{openflow.Load{Target: part(0, 63), Value: 1 << 63}, false},
		{openflow.Load{Target: part(129, 0)}, false},
		{openflow.OutputField{Source: part(0, 64)}, true},
		{openflow.OutputField{Source: part(0, 65)}, false},
		{openflow.Push{Source: part(0, 65)}, true},
		{openflow.Push{Source: part(1, 128)}, false},
		{openflow.Push{Source: openflow.Subfield{Field: openflow.FieldActsetOutput}}, false},
		{openflow.Push{Source: openflow.Subfield{}}, false},
		{openflow.CT{ZoneField: &openflow.Subfield{Field: openflow.FieldReg0, Bits: 15}}, false},
		{openflow.CT{ZoneField: &openflow.Subfield{Field: openflow.FieldReg0, Bits: 16}}, true},
		{openflow.CT{ZoneField: &openflow.Subfield{Field: openflow.FieldReg0, Bits: 17}}, false},
	} {
		got := inWords(openflow.AppendActions(nil, []openflow.Action{c.action}))
		if (got != refused) != c.fits {
			t.Errorf("%+v goes out as %s; fits: want %t", c.action, got, c.fits)
		}
	}
}

// TestOutputToController holds that an output to the controller sends the whole frame, where
// nothing says how much of it, and the first bytes where a Controller says how many.
func TestOutputToController(t *testing.T) {
	for want, action := range map[string]openflow.Action{
		"0004001800000000 00000010fffffffd ffff000000000000": openflow.Output{Port: openflow.PortController},
		"0004001800000000 00000010fffffffd 0001000000000000": openflow.Controller{MaxLength: 1, Reason: 1},
		"0004001800000000 ffff001000002320 0014000000000100": openflow.Controller{MaxLength: 0, Reason: 1},
		"0004001800000000 ffff001000002320 0014ffff00010100": openflow.Controller{MaxLength: 0xffff, Reason: 1, ID: 1},
		"0004001800000000 0000001000000007 0000000000000000": openflow.Output{Port: 7},
	} {
		if got := inWords(openflow.AppendActions(nil, []openflow.Action{action})); got != want {
			t.Errorf("%+v goes out as %s, want %s", action, got, want)
		}
	}
}

// TestLongestFlow holds how many actions fit into a message, alone and in a bundle, and the mod
// that stands for one that does not fit.
func TestLongestFlow(t *testing.T) {
	flow := func(actions int) *openflow.Flow {
		return &openflow.Flow{Actions: slices.Repeat([]openflow.Action{openflow.Group{ID: 1}}, actions)}
	}
	const most = (65535 - 48 - 8 - 8) / 8 // header, match, instruction
	refused := "040e0040000000 07 0000000000000000 0000000000000000 0004000000000000 ffffffffffffffff ffffffff00000000 000100098000fe01 0000000000000000"
	for _, c := range []struct {
		actions int
		fits    bool
	}{{most, true}, {most + 1, false}} {
		b := openflow.AppendFlowMod(nil, 7, openflow.DeleteStrict, flow(c.actions))
		if fits := !bytes.Equal(b, unhex(t, refused)); fits != c.fits {
			t.Errorf("%d actions: fits %t, %d bytes", c.actions, fits, len(b))
		}
		actions := c.actions - 3 // the bundle's head is 24 bytes
		b = openflow.AppendBundleFlowMod(nil, 7, 1, openflow.BundleAtomic, &openflow.FlowMod{Command: openflow.DeleteStrict, Flow: *flow(actions)})
		if fits := !bytes.HasSuffix(b, unhex(t, refused)); fits != c.fits {
			t.Errorf("%d actions in a bundle: fits %t, %d bytes", actions, fits, len(b))
		}
		if h, err := openflow.ParseHeader(b); err != nil || int(h.Length) != len(b) {
			t.Errorf("%d actions in a bundle: header %+v of %d bytes, %v", actions, h, len(b), err)
		}
	}
}
