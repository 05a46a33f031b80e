package openflow_test

import (
	"testing"

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
