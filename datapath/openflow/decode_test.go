package openflow_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"sluice/datapath/openflow"
)

const (
	emptyMatch = "00010004 00000000"
	apply1     = "00040018 00000000" // apply-actions with one action of 16 bytes
	output1    = "00000010 00000001 00000000 00000000"
)

// decodeText reads a match and instructions, and writes the flow's text or why it is refused.
func decodeText(t *testing.T, match, instructions string) string {
	t.Helper()
	w := openflow.WireFlow{Priority: 32768, Match: unhex(t, match), Instructions: unhex(t, instructions)}
	f, err := w.Decode()
	if err == nil {
		return f.String()
	}
	if !errors.Is(err, openflow.ErrMalformed) {
		t.Errorf("error %v is no ErrMalformed", err)
	}
	return strings.TrimPrefix(err.Error(), "malformed OpenFlow: ")
}

// TestDecodeMatch lists matches that other senders may choose, and how they read. Nothing is
// dropped: what is no field here comes out as its bytes.
func TestDecodeMatch(t *testing.T) {
	for _, c := range []struct{ bytes, want string }{
		{emptyMatch, "actions=drop"},
		{"0001000c 80000004 00000001 00000000", "in_port=1 actions=drop"},

		// The same field in Nicira's form.
		{"0001000e 00000606 020103040506 0000", "field eth_type has 6 bytes, must have 2"},
		{"0001000a 00000602 0800 000000000000", "ip actions=drop"},
		{"00010012 0000060208000000 0e040a000001 000000000000", "ip,nw_src=10.0.0.1 actions=drop"},
		{"0001000a 00014402 0012 000000000000", "tcp_flags=syn|ack actions=drop"},
		{"0001000a 00000002 0007 000000000000", "oxm=0x000000020007 actions=drop"}, // a port of 16 bits

		// Fields of the datapath, which Open vSwitch tells and does not take.
		{"0001000c 00014804 00000007 00000000", "recirc_id=7 actions=drop"},
		{"0001000c 00014604 00000077 00000000", "dp_hash=0x77 actions=drop"},

		// Masks: none, all, some, and such as say nothing.
		{"0001000e 80000706 020103040506 0000", "field eth_dst has 6 bytes, must have 12"},
		{"00010010 00010108 00000007 000000ff", "reg0=0x7/0xff actions=drop"},
		{"00010010 00010108 00000007 ffffffff", "reg0=0x7 actions=drop"},
		{"00010010 00010108 00000000 00000000", "actions=drop"},
		{"00010010 00010108 00000107 000000ff", "field reg0 has value bits outside of its mask"},
		{"0001000c 80000b04 0800ffff 00000000", "ip actions=drop"},

		// Bits that the field has not.
		{"00010009 80001001 40 00000000000000", "field ip_dscp has only 6 bits"},
		{"00010009 80001001 3f 00000000000000", "ip_dscp=63 actions=drop"},
		{"0001000c 80000d04 10051fff 00000000", "dl_vlan=5 actions=drop"},
		{"0001000c 80000d04 10052fff 00000000", "field vlan_vid has only 13 bits"},
		{"00010010 80000108 00000001 ffffffff", "in_port=1 actions=drop"},
		{"00010010 80000108 00000001 0000ffff", "field in_port_oxm cannot be masked"},

		// Fields of other experimenters and classes, and lengths that are none.
		{"00010010 ffff5508 4f4e4600 0012 0012", "tcp_flags=+syn+ack actions=drop"},
		{"00010010 ffff5508 00002320 0012 0012", "oxm=0xffff55080000232000120012 actions=drop"},
		{"0001000b ffff5403 4f4e46 0000000000", "experimenter OXM field 42 without experimenter"},
		{"0001000c 8002 00 04 00000001 00000000", "oxm=0x8002000400000001 actions=drop"},
		{"0001000c 8000fe04 00000001 00000000", "oxm=0x8000fe0400000001 actions=drop"},
		{"00010010 8000fe00 8000fe00 8000fe00", "oxm=0x8000fe008000fe008000fe00 actions=drop"},
		{"0001000b 80000003 000001 0000000000", "field in_port_oxm has 3 bytes, must have 4"},
		{"0001000d 80000005 0000000001 000000", "field in_port_oxm has 5 bytes, must have 4"},
		{"0001000c 80000008 00000001 00000000", "OXM field 0x8000/0 says 8 bytes, 4 are left"},
		{"00010007 800000 00", "an OXM header needs 4 bytes, 3 are left"},

		// A field twice, by one name or two.
		{"00010014 8000000400000001 8000000400000001 00000000", "field in_port_oxm stands twice in the match"},
		{"00010018 8001000800000005 00000007 0001000400000005", "field reg0 stands twice in the match"},
		{"00010010 00000802 1005 80000c02 1005", "field vlan_vid stands twice in the match"},
		{"00010012 00000904 2000 2000 80000c02 1005 000000000000", "field vlan_tci stands beside vlan_vid or vlan_pcp"},
		{"00010011 00000904 2000 2000 80000e01 05 00000000000000", "field vlan_tci stands beside vlan_vid or vlan_pcp"},

		// Wide registers and the whole tag control information are several fields.
		{"00010010 80010008 0000000500000007", "reg0=0x5,reg1=0x7 actions=drop"},
		{"00010018 80010110 0000000500000007 000000ff00000000", "field xreg0 has value bits outside of its mask"},
		{"00010018 80010110 0000000500000000 000000ff00000000", "reg0=0x5/0xff actions=drop"},
		{"0001000a 00000802 3005 000000000000", "dl_vlan=5,dl_vlan_pcp=1 actions=drop"},
		{"0001000c 00000904 00001000 00000000", "vlan_tci=0x0000/0x1000 actions=drop"},
		{"0001000a 00000802 0000 000000000000", "vlan_tci=0x0000/0x1fff actions=drop"},
		{"0001000a 00000802 2000 000000000000", "vlan_tci=0x2000 actions=drop"},
		{"0001000c 00000904 2000e000 00000000", "vlan_tci=0x2000/0xe000 actions=drop"},
		{"0001000c 00000904 20006000 00000000", "vlan_tci=0x2000/0x6000 actions=drop"},
		{"0001000c 00000904 0005 0fff 00000000", "vlan_tci=0x0005/0x0fff actions=drop"},

		// The match's own frame.
		{"00010004", "match of type 1 and 4 bytes, 4 are left"},
		{"000100", "a match needs 4 bytes, 3 are left"},
		{"00010003 00000000", "match of type 1 and 3 bytes, 8 are left"},
		{"00000004 00000000", "match of type 0 and 4 bytes, 8 are left"},
		{"00010004 00000000 0000000000000000", "8 bytes after a match"},
	} {
		if got := decodeText(t, c.bytes, ""); got != c.want {
			t.Errorf("%s\nreads %s\nwant  %s", c.bytes, got, c.want)
		}
	}
}

// TestDecodeInstructions lists instructions and actions that other senders may choose. An
// action whose meaning would not be kept stays opaque.
func TestDecodeInstructions(t *testing.T) {
	for _, c := range []struct{ bytes, want string }{
		{"", "actions=drop"},
		{"00040008 00000000", "actions=drop"},
		{apply1 + output1, "actions=output:1"},
		{apply1 + "00000010 00000001 00640000 00000000", "actions=output:1"}, // max_len counts for the controller alone
		{apply1 + "00000010 fffffffd 00640000 00000000", "actions=CONTROLLER:100"},
		{apply1 + "00000010 fffffffd 00000000 00000000", "actions=opaque(00000010fffffffd0000000000000000)"},
		{"00010008 22000000" + apply1 + output1, "actions=output:1,goto_table:34"},
		{"00050008 00000000 00060008 00000007", "actions=meter:7,clear_actions"},
		{"00020018 00000000 0000000000000005 00000000000000ff", "actions=write_metadata:0x5/0xff"},
		{"00020018 00000000 0000000000000005 ffffffffffffffff", "actions=write_metadata:0x5"},
		{"00030018 00000000" + output1, "actions=write_actions(output:1)"},
		{"00030008 00000000", "actions=write_actions()"},

		{"00010008 220000", "an instruction needs 8 bytes, 7 are left"},
		{"00010004 22000000", "instruction 1 says 4 bytes, 8 are left"},
		{"0001000c 22000000 00000000", "instruction 1 says 12 bytes, 12 are left"},
		{"00010010 22000000", "instruction 1 says 16 bytes, 8 are left"},
		{"00010010 22000000 0000000000000000", "instruction 1 has 16 bytes, must have 8"},
		{"00020010 00000000 0000000000000005", "instruction 2 has 16 bytes, must have 24"},
		{"00050010 00000000 0000000000000000", "instruction 5 has 16 bytes, must have 8"},
		{"00060010 00000007 0000000000000000", "instruction 6 has 16 bytes, must have 8"},
		{"00000008 00000000", "instruction 0 is not known"},
		{"00070008 00000000", "instruction 7 is not known"},
		{"00010008 22000000 00010008 22000000", "instruction 1 stands twice"},
		{"00030010 00000000 00000010 00000000", "action 0 says 16 bytes, 8 are left"},
		{"00040010 00000000 00000004 00000000", "action 0 says 4 bytes, 8 are left"},
		{"00040018 00000000 0000000c 00000000 0000000000000000", "action 0 says 12 bytes, 16 are left"},

		// Actions of no known length, kind or padding.
		{"00040010 00000000 00000008 00000001", "actions=opaque(0000000800000001)"},
		{"00040010 00000000 00120008 00000001", "actions=opaque(0012000800000001)"},
		{"00040010 00000000 00110008 81000001", "actions=opaque(0011000881000001)"},
		{"00040010 00000000 00180008 00000001", "actions=opaque(0018000800000001)"},
		{"00040010 00000000 00170008 00000005", "actions=opaque(0017000800000005)"},
		{"00040010 00000000 ffff0008 00002320", "actions=opaque(ffff000800002320)"},
		{apply1 + "ffff0010 00002321 00080102 03040506", "actions=opaque(ffff0010000023210008010203040506)"},
		{apply1 + "ffff0010 00002320 00080102 03040506", "actions=note:01.02.03.04.05.06"},
		{apply1 + "ffff0010 00002320 00ff0102 03040506", "actions=opaque(ffff00100000232000ff010203040506)"},
		{apply1 + "ffff0010 00002320 00070102 03040506", "actions=opaque(ffff0010000023200007010203040506)"}, // a load too short
		{apply1 + "ffff0010 00002320 000efff8 14000000", "actions=resubmit(,20)"},
		{apply1 + "ffff0010 00002320 000efff8 14000001", "actions=opaque(ffff001000002320000efff814000001)"},
		{apply1 + "ffff0010 00002320 00140064 00000100", "actions=opaque(ffff0010000023200014006400000100)"}, // said shorter by an output
		{apply1 + "ffff0010 00002320 00140000 00000100", "actions=CONTROLLER:0"},
		{apply1 + "ffff0010 00002320 0014ffff 00050000", "actions=controller(reason=no_match,id=5)"},
		{apply1 + "ffff0010 00002320 002200030000 0005", "actions=conjunction(5,1/3)"},
		{apply1 + "ffff0010 00002320 002b0000 00000000", "actions=ct_clear"},
		{apply1 + "ffff0010 00002320 002a0000 00000000", "actions=clone()"},
		{"00040020 00000000 ffff0018 00002320 002a0000 00000000 00000010 00000001", "actions=opaque(ffff001800002320002a0000000000000000001000000001)"},

		// Set_field of a field unknown, masked, too wide, by Nicira's name.
		{apply1 + "00190010 80000004 00000001 00000000", "actions=set_field:1->in_port_oxm"},
		{apply1 + "00190010 8000fe04 00000001 00000000", "actions=opaque(001900108000fe040000000100000000)"},
		{apply1 + "00190010 00010108 00000001 000000ff", "actions=opaque(001900100001010800000001000000ff)"},
		{apply1 + "00190010 80001001 40000000 00000000", "actions=opaque(00190010800010014000000000000000)"},
		{apply1 + "00190010 80000006 00000001 00000000", "actions=opaque(00190010800000060000000100000000)"},
		{apply1 + "00190010 00000e04 0a000001 00000000", "actions=opaque(0019001000000e040a00000100000000)"},
		{"00040020 00000000 ffff0018 00002320 00210001 01080000 0005 000000ff 0000", "actions=set_field:0x5/0xff->reg0"},
		{"00040020 00000000 ffff0018 00002320 00210001 00040000 0005 00000000 0000", "actions=opaque(ffff00180000232000210001000400000005000000000000)"},
		{"00040020 00000000 ffff0018 00002320 00210001 01080000 0005 ffffffff 0000", "actions=opaque(ffff00180000232000210001010800000005ffffffff0000)"},

		// Subfields by offset and width, of a field unknown, and beyond their field.
		{"00040020 00000000 ffff0018 00002320 0007001f 00010004 0000000000000005", "actions=load:0x5->NXM_NX_REG0[]"},
		{"00040020 00000000 ffff0018 00002320 0007005f 00010004 0000000000000005", "actions=opaque(ffff0018000023200007005f000100040000000000000005)"},
		{"00040020 00000000 ffff0018 00002320 0007005e 00010004 0000000000000005", "actions=load:0x5->NXM_NX_REG0[1..31]"},
		{"00040020 00000000 ffff0018 00002320 0007001f 0001fe04 0000000000000005", "actions=opaque(ffff0018000023200007001f0001fe040000000000000005)"},
		{"00040020 00000000 ffff0018 00002320 0007001f 00010005 0000000000000005", "actions=opaque(ffff0018000023200007001f000100050000000000000005)"},
		{"00040020 00000000 ffff0018 00002320 0007000f 00010004 0000000000010000", "actions=opaque(ffff0018000023200007000f000100040000000000010000)"},
		{"00040020 00000000 ffff0018 00002320 0006 0010 0000 0010 00010004 00010204", "actions=move:NXM_NX_REG0[0..15]->NXM_NX_REG1[16..31]"},
		{"00040020 00000000 ffff0018 00002320 0006 0010 0000 0011 00010004 00010204", "actions=opaque(ffff00180000232000060010000000110001000400010204)"},
	} {
		got := decodeText(t, emptyMatch, c.bytes)
		if got != c.want {
			t.Errorf("%s\nreads %s\nwant  %s", c.bytes, got, c.want)
		}
		if strings.Contains(got, "opaque(") {
			goesBack(t, c.bytes)
		}
	}
}

// goesBack holds that instructions with opaque actions go out in the bytes that came.
func goesBack(t *testing.T, instructions string) {
	t.Helper()
	w := openflow.WireFlow{Match: unhex(t, emptyMatch), Instructions: unhex(t, instructions)}
	f, err := w.Decode()
	if _, again := f.AppendWire(nil); err != nil || !bytes.Equal(again.Instructions, w.Instructions) {
		t.Errorf("%s\ngoes back as %x, error %v", instructions, again.Instructions, err)
	}
}
