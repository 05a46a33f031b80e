package simulate

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/store"
)

var (
	alice = Endpoint{MAC: store.MAC{2, 0, 0, 0, 0, 1}, IP: netip.MustParseAddr("10.0.0.1"), Port: 1000}
	bob   = Endpoint{MAC: store.MAC{2, 0, 0, 0, 0, 2}, IP: netip.MustParseAddr("10.0.0.2"), Port: 80}
)

func parse(t *testing.T, lines ...string) []of.Flow {
	t.Helper()
	var all []of.Flow
	for _, l := range lines {
		f, err := of.ParseFlow(l)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

func bridge(t *testing.T, lines ...string) *Bridge {
	t.Helper()
	b, err := NewBridge(parse(t, lines...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What the simulator cannot run as a switch would, it does not load.
func TestRefusedFlows(t *testing.T) {
	for _, c := range []struct {
		flows []string
		why   string
	}{
		{[]string{"actions=NORMAL"}, ""},
		{[]string{"actions=TABLE"}, "reserved port"},
		{[]string{"actions=CONTROLLER:128"}, "not simulated"},
		{[]string{"actions=group:1"}, "not simulated"},
		{[]string{"actions=clone(meter:1)"}, ""},
		{[]string{"actions=write_actions(output:1)"}, "not simulated"},
		{[]string{"mpls,mpls_label=5,actions=drop"}, "field mpls_label is not simulated"},
		{[]string{"sctp,sctp_dst=9,actions=drop"}, "field sctp_dst is not simulated"},
		{[]string{"ip,actions=ct(table=1),output:1"}, "actions after ct"},
		{[]string{"ip,actions=ct(commit,nat(src=1.2.3.4))"}, ""},
		{[]string{"ip,actions=ct(commit,table=1,nat(src=1.2.3.4-1.2.3.9))"}, "range of addresses"},
		{[]string{"tcp,actions=ct(commit,table=1,nat(src=1.2.3.4:100-200))"}, "range of ports"},
		{[]string{"tcp,actions=ct(commit,alg=ftp)"}, "helper"},
		{[]string{"actions=bundle_load(eth_src,0,active_backup,ofport,NXM_NX_REG6[0..15],members:1)"}, ""},
		{[]string{"actions=bundle_load(eth_src,0,hrw,ofport,NXM_NX_REG6[0..15],members:1)"}, "by a hash"},
		{[]string{"actions=bundle_load(eth_src,0,active_backup,ofport,NXM_NX_TUN_GBP_ID[],members:1)"}, "not simulated"},
		{[]string{"priority=5,ip,actions=drop", "priority=5,ip,actions=output:1"}, "has the match and priority of flow"},
	} {
		_, err := NewBridge(parse(t, c.flows...))
		if (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%v: %v, want %q", c.flows, err, c.why)
		}
	}
	back := []of.Flow{{Table: 5, Actions: []of.Action{of.GotoTable{Table: 5}}}}
	if _, err := NewBridge(back); err == nil || !strings.Contains(err.Error(), "forward") {
		t.Errorf("goto_table to its own table: %v", err)
	}
}

// What a switch may decide either way, or never ends, is an error with the walk so far.
func TestErrorsOnTheWay(t *testing.T) {
	for _, c := range []struct {
		flows []string
		why   string
	}{
		{[]string{"priority=5,ip,actions=output:1", "priority=5,dl_src=02:00:00:00:00:01,actions=output:2"}, "ambiguous"},
		{[]string{"actions=resubmit(,0)"}, "too often"},
		{[]string{"actions=pop:NXM_NX_REG0[]"}, "empty stack"},
	} {
		r, err := bridge(t, c.flows...).Run(UDP(alice, bob), 9)
		if err == nil || !strings.Contains(err.Error(), c.why) || !strings.Contains(err.Error(), "from port 9") {
			t.Errorf("%v: %v, want %q and the walk", c.flows, err, c.why)
		}
		if r == nil {
			t.Errorf("%v: no result beside the error", c.flows)
		}
	}
	same := bridge(t, "priority=5,ip,actions=output:1", "priority=5,udp,actions=output:1")
	if _, err := same.Run(UDP(alice, bob), 9); err != nil {
		t.Errorf("two flows that do the same: %v", err)
	}
}

func TestTraceReadsWell(t *testing.T) {
	b := bridge(t, "cookie=0x1,ip,actions=resubmit(,1),goto_table:2", "cookie=0x2,table=1,udp,actions=output:1", "table=2,arp,actions=drop")
	r, err := b.Run(UDP(alice, bob), 1)
	if err != nil {
		t.Fatal(err)
	}
	want := `from port 1: in_port_oxm=1,eth_src=02:00:00:00:00:01,eth_dst=02:00:00:00:00:02,eth_type=0x800,ip_src=10.0.0.1,ip_dst=10.0.0.2,nw_proto=17,nw_ttl=64,udp_src=1000,udp_dst=80
  cookie=0x1, ip actions=resubmit(,1),goto_table:2
    cookie=0x2, table=1, udp actions=output:1
      -> port 1 is the in_port: not sent
  table=2: no match, dropped
  dropped
`
	if got := r.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Wide registers and the parts of a VLAN tag are views of one thing.
func TestOverlappingFields(t *testing.T) {
	var p Packet
	p.Set(of.FieldXXReg1, of.Value{Hi: 0x0000000400000005, Lo: 0x0000000600000007})
	for f, want := range map[of.Field]uint64{
		of.FieldReg4: 4, of.FieldReg5: 5, of.FieldReg6: 6, of.FieldReg7: 7, of.FieldXReg2: 4<<32 | 5, of.FieldXReg3: 6<<32 | 7,
	} {
		if got := p.Uint(f); got != want {
			t.Errorf("%s is %#x, want %#x", f, got, want)
		}
	}
	tagged := UDP(alice, bob).Tag(0x6005)
	if vid, pcp := tagged.Uint(of.FieldVLANVID), tagged.Uint(of.FieldVLANPCP); vid != 0x1005 || pcp != 3 {
		t.Errorf("vlan_vid %#x, vlan_pcp %d", vid, pcp)
	}
	twice := tagged.Tag(7)
	if kind := twice.Uint(of.FieldEthType); kind != typeVLAN || !twice.Get(of.FieldIPSrc).IsZero() {
		t.Errorf("behind a second tag a switch sees type %#x", kind)
	}
}

// A bundle_load writes the first member that is live, and 0xffff where none is.
func TestFirstLiveMember(t *testing.T) {
	b := bridge(t, "in_port=9,actions=load:0xfffff->NXM_NX_REG6[],bundle_load(eth_src,0,active_backup,ofport,NXM_NX_REG6[0..15],members:1,LOCAL),goto_table:1",
		"table=1,reg6=0xf0001,actions=output:11", "table=1,reg6=0xffffe,actions=output:12", "table=1,reg6=0xfffff,actions=output:13")
	for _, c := range []struct {
		dead []uint32
		want uint32
	}{{nil, 11}, {[]uint32{1}, 12}, {[]uint32{of.PortLocal}, 11}, {[]uint32{1, of.PortLocal}, 13}} {
		for _, port := range []uint32{1, of.PortLocal} {
			b.SetLive(port, !slices.Contains(c.dead, port))
		}
		r, err := b.Run(UDP(alice, bob), 9)
		if err != nil || len(r.Outputs) != 1 || r.Outputs[0].Port != c.want {
			t.Errorf("dead: %v: it leaves by %v, want %d, error %v", c.dead, r.Outputs, c.want, err)
		}
	}
}
