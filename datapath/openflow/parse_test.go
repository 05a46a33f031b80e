package openflow_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/openflow"
)

// TestParseFlowErrors lists what a user gets wrong, and that the answer names it.
func TestParseFlowErrors(t *testing.T) {
	for flow, want := range map[string]string{
		"priority=1,ip":                                   "no actions=",
		"actions=":                                        "write drop",
		"actions=drop,output:1":                           "drop stands beside other actions",
		"priority=65536,actions=drop":                     "priority: 65536 has more than 16 bits",
		"table=x,actions=drop":                            `table: "x" is no number`,
		"ipx,actions=drop":                                `word "ipx" is not known`,
		"eth_color=1,actions=drop":                        "field eth_color is not known",
		"tp_dst=80,actions=drop":                          "tp_dst needs a protocol that has it",
		"ipv6,nw_src=10.0.0.1,actions=drop":               "nw_src needs a protocol that has it",
		"nw_proto=6,actions=drop":                         "nw_proto needs ip or ipv6",
		"ip,arp,actions=drop":                             "eth_type stands twice with different values",
		"ip,nw_src=10.0.0.256,actions=drop":               `ip_src: "10.0.0.256" is no IPv4 address`,
		"ip,nw_src=10.0.0.0/33,actions=drop":              "ip_src: a prefix of 33 bits",
		"ipv6,ipv6_src=10.0.0.1,actions=drop":             `"10.0.0.1" is no IPv6 address`,
		"dl_src=02:00:00:00:00,actions=drop":              `eth_src: "02:00:00:00:00" is no Ethernet address`,
		"in_port=1/1,actions=drop":                        "in_port_oxm cannot be masked",
		"ct_state=+nwe,actions=drop":                      `ct_state: flag "nwe" is not known`,
		"dl_vlan=4096,actions=drop":                       "dl_vlan: 4096 has more than 12 bits",
		"ip,nw_tos=1,actions=drop":                        "no multiple of 4",
		"vlan_tci=1/0x2000,dl_vlan=1,actions=drop":        "vlan_tci stands beside another VLAN field",
		"actions=clone(output:1":                          "clone: a ( without its )",
		"actions=output:1)":                               "output: a ) without its (",
		"actions=outptu:1":                                "action outptu: this package does not model it",
		"actions=goto_table:256":                          "action goto_table: 256 has more than 8 bits",
		"actions=load:0x10000->NXM_NX_REG0[0..15]":        "has more than 16 bits",
		"actions=load:1->NXM_NX_REG99[]":                  "is no part of a field",
		"actions=load:1->NXM_NX_REG0[30..32]":             "NXM_NX_REG0 has bits 0..31",
		"actions=load:1->NXM_NX_XXREG0[]":                 "more bits than a load can write",
		"actions=move:NXM_NX_REG0[]->OXM_OF_METADATA[]":   "differ in width",
		"actions=set_field:5->reg99":                      "field reg99 is not known",
		"actions=set_field:5":                             "no -> in it",
		"actions=set_field:3/1->reg0":                     "bits outside of its mask",
		"actions=ct(force)":                               "force needs commit",
		"actions=ct(commit,nat(src=1.2.3.4,dst=1.2.3.5))": "more than one thing",
		"actions=ct(zone=NXM_NX_REG0[])":                  "has not 16 bits",
		"actions=conjunction(1,0/2)":                      "is not id,clause/clauses",
		"actions=" + strings.Repeat("clone(", 12) + "output:1" + strings.Repeat(")", 12): "deep in each other",
	} {
		_, err := openflow.ParseFlow(flow)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot error  %v\nwant       %s", flow, err, want)
		}
	}
}

// TestSpellings lists other ways to say a thing, and the one that we say it in.
func TestSpellings(t *testing.T) {
	for _, c := range []struct{ given, canonical string }{
		{"actions=drop", "actions=drop"},
		{" cookie=0x7, table=3, priority=9,ip actions=drop", "cookie=0x7, table=3, priority=9,ip actions=drop"},
		{"action=output:LOCAL,in_port", "actions=LOCAL,IN_PORT"},
		{"dl_type=0x800,nw_proto=6,tcp_dst=80,actions=1", "tcp,tp_dst=80 actions=output:1"},
		{"eth_type=0x0800,ip_src=10.0.0.7/24,actions=drop", "ip,nw_src=10.0.0.0/24 actions=drop"},
		{"xreg1=0x500000007,actions=drop", "reg2=0x5,reg3=0x7 actions=drop"},
		{"vlan_tci=0x1005/0x1fff,actions=drop", "dl_vlan=5 actions=drop"},
		{"vlan_tci=0,actions=drop", "vlan_tci=0x0000/0x1fff actions=drop"},
		{"dl_vlan_pcp=3,actions=drop", "dl_vlan_pcp=3 actions=drop"},
		{"ip,nw_frag=no,actions=drop", "ip,nw_frag=no actions=drop"},
		{"tcp,tcp_flags=syn|ack,actions=drop", "tcp,tcp_flags=syn|ack actions=drop"},
		{"ct_state=trk|est,actions=drop", "ct_state=est|trk actions=drop"},
		{"actions=goto_table:4,output:1,meter:2", "actions=meter:2,output:1,goto_table:4"},
		{"actions=strip_vlan,load:1->reg0[5]", "actions=pop_vlan,load:0x1->NXM_NX_REG0[5]"},
		{"actions=set_field:0x5/0xffffffff->reg0", "actions=set_field:0x5->reg0"},
		{"actions=note:01", "actions=note:01.00.00.00.00.00"},
		{"actions=resubmit:7,resubmit(LOCAL,3)", "actions=resubmit:7,resubmit(LOCAL,3)"},
	} {
		f := mustParse(t, c.given)
		if got := f.String(); got != c.canonical {
			t.Errorf("%s\nis written as %s\nwant          %s", c.given, got, c.canonical)
		}
	}
}

func TestNewMatchSaysWhatTheSwitchReadsBack(t *testing.T) {
	got := openflow.NewMatch(
		openflow.Masked(openflow.FieldVLANTCI, openflow.U64(0x7005), openflow.U64(0xffff)),
		openflow.Is(openflow.FieldXReg0, 5<<32|7),
		openflow.Masked(openflow.FieldReg5, openflow.U64(1), openflow.Value{}),
		openflow.Is(openflow.FieldReg4, 1),
		openflow.Is(openflow.FieldReg4, 2),
	)
	want := openflow.Match{
		openflow.Is(openflow.FieldReg0, 5),
		openflow.Is(openflow.FieldReg1, 7),
		openflow.Is(openflow.FieldReg4, 2),
		openflow.Is(openflow.FieldVLANVID, 0x1005),
		openflow.Is(openflow.FieldVLANPCP, 3),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestErrorsAreNamed(t *testing.T) {
	request := openflow.AppendBarrierRequest(nil, 42)
	for want, e := range map[string]*openflow.Error{
		"switch refused message of type 20: bad match, bad prerequisite":           {Type: 4, Code: 9},
		"switch refused message of type 20: bad match, code 99":                    {Type: 4, Code: 99},
		"switch refused message of type 20: bad request, not the master":           {Type: 1, Code: 10},
		"switch refused message of type 20: role request failed, stale generation": {Type: 11},
		"switch refused message of type 20: error 77, code 1":                      {Type: 77, Code: 1},
		"switch refused message of type 20: bundle failed, a message failed":       {Type: 0xffff, Code: 2313, Experimenter: 0x4f4e4600},
		"switch refused message of type 20: experimenter 0x2320, error 7":          {Type: 0xffff, Code: 7, Experimenter: 0x2320},
	} {
		got, err := openflow.DecodeError(openflow.AppendError(nil, e, request))
		if err != nil || got.Error() != want || got.Request.XID != 42 {
			t.Errorf("got %v of xid %d, error %v; want %s of 42", got, got.Request.XID, err, want)
		}
	}
}
