package openflow_test

import (
	"strings"
	"testing"

	"sluice/datapath/openflow"
)

// TestBundleLoadRead reads the bytes of a bundle_load (nx_action_bundle in Open vSwitch's nicira-ext.h), and keeps those
// that it would not send so.
func TestBundleLoadRead(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{"0000 0000 0000 00000002 0002 000f 00010c04 00000000 0001 0002", "eth_src,0,active_backup,ofport,NXM_NX_REG6[0..15],members:1,2"},
		{"0001 0006 0007 00000002 0002 001f 00010c04 00000000 0001 fffe", "symmetric_l3,7,hrw,ofport,NXM_NX_REG6[],members:1,LOCAL"},
		{"0001 0000 0000 00000002 0001 040f 00010c04 00000000 0001 0000", "eth_src,0,hrw,ofport,NXM_NX_REG6[16..31],members:1"},
		{"0000 0000 0000 00000003 0002 000f 00010c04 00000000 0001 0002", ""}, // members of another type
		{"0000 0000 0000 00000002 0002 000f 00010c04 00000001 0001 0002", ""}, // bytes that must be zero
		{"0000 0000 0000 00000002 0005 000f 00010c04 00000000 0001 0002", ""}, // more members than there are
		{"0000 0000 0000 00000002 0001 000f 00010c04 00000000 0001 0002", ""}, // fewer
		{"0000 0000 0000 00000002 0002 000e 00010c04 00000000 0001 0002", ""}, // 15 bits
		{"0000 0000 0000 00000002 0002 044f 00010c04 00000000 0001 0002", ""}, // bits beyond the register
		{"0000 0000 0000 00000002 0002 0000 00000000 00000000 0001 0002", ""}, // no register: a bundle
		{"0002 0000 0000 00000002 0002 000f 00010c04 00000000 0001 0002", ""}, // by no algorithm that there is
		{"0000 0007 0000 00000002 0002 000f 00010c04 00000000 0001 0002", ""}, // of no fields that there are
	} {
		action := "ffff0028 00002320 000d" + c.body + "00000000"
		instructions := "00040030 00000000" + action
		want := "actions=bundle_load(" + c.want + ")"
		if c.want == "" {
			want = "actions=opaque(" + strings.ReplaceAll(action, " ", "") + ")"
			goesBack(t, instructions)
		}
		if got := decodeText(t, emptyMatch, instructions); got != want {
			t.Errorf("%s\nreads %s\nwant  %s", action, got, want)
		}
	}
	short := "00040020 00000000 ffff0018 00002320 000d0000 00000000 00000002 00000000"
	if got := decodeText(t, emptyMatch, short); !strings.HasPrefix(got, "actions=opaque(") {
		t.Errorf("one of 24 bytes reads %s", got)
	}
}

// TestBundleLoadRefused holds what cannot be sent: it becomes an action that every switch refuses.
func TestBundleLoadRefused(t *testing.T) {
	register := func(bits uint16) openflow.Subfield {
		return openflow.Subfield{Field: openflow.FieldReg6, Bits: bits}
	}
	for _, c := range []struct {
		action openflow.BundleLoad
		fits   bool
	}{
		{openflow.BundleLoad{Target: register(16)}, true},
		{openflow.BundleLoad{Target: register(15)}, false},
		{openflow.BundleLoad{Target: register(33)}, false},
		{openflow.BundleLoad{Target: register(16), Algorithm: openflow.HighestRandomWeight}, true},
		{openflow.BundleLoad{Target: register(16), Algorithm: 2}, false},
		{openflow.BundleLoad{Target: register(16), Fields: 6}, true},
		{openflow.BundleLoad{Target: register(16), Fields: 7}, false},
		{openflow.BundleLoad{Target: register(16), Members: make([]uint16, 2048)}, true},
		{openflow.BundleLoad{Target: register(16), Members: make([]uint16, 2049)}, false},
	} {
		got := inWords(openflow.AppendActions(nil, []openflow.Action{c.action}))
		if (got != "0004001000000000 ffff0008ffffffff") != c.fits {
			t.Errorf("%d members, algorithm %d, fields %d, %v goes out as %s; fits: want %t",
				len(c.action.Members), c.action.Algorithm, c.action.Fields, c.action.Target, got, c.fits)
		}
	}
	f := openflow.Flow{Actions: []openflow.Action{openflow.BundleLoad{Algorithm: 2, Fields: 7, Target: register(0)}}}
	if got, want := f.String(), "priority=0 actions=bundle_load(7,0,2,ofport,NXM_NX_REG6[],members:)"; got != want {
		t.Errorf("one that cannot be sent reads %s, want %s", got, want)
	}
}

// TestBundleLoadsThatDiffer compares some that differ in one thing.
func TestBundleLoadsThatDiffer(t *testing.T) {
	base := mustParse(t, "actions=bundle_load(eth_src,0,hrw,ofport,NXM_NX_REG6[0..15],members:1,2)")
	if !openflow.EqualActions(base.Actions, mustParse(t, base.String()).Actions) {
		t.Errorf("%s differs from itself", &base)
	}
	for _, arguments := range []string{
		"eth_src,0,active_backup,ofport,NXM_NX_REG6[0..15],members:1,2", "nw_src,0,hrw,ofport,NXM_NX_REG6[0..15],members:1,2",
		"eth_src,1,hrw,ofport,NXM_NX_REG6[0..15],members:1,2", "eth_src,0,hrw,ofport,NXM_NX_REG6[16..31],members:1,2",
		"eth_src,0,hrw,ofport,NXM_NX_REG6[0..15],members:2,1", "eth_src,0,hrw,ofport,NXM_NX_REG6[0..15],members:1",
	} {
		if other := mustParse(t, "actions=bundle_load("+arguments+")"); openflow.EqualActions(base.Actions, other.Actions) {
			t.Errorf("%s equals %s", &other, &base)
		}
	}
}
