package openflow_test

import (
	"bytes"
	"net"
	"testing"

	contiv "github.com/contiv/libOpenflow/openflow13"

	"sluice/datapath/openflow"
)

// TestYardstick compares our bytes with those of contiv/libOpenflow, where that library
// says the same as Open vSwitch (it sends eth_src and eth_dst, masked registers and most of
// ct in another form or wrongly, and fields in the order of the call).
func TestYardstick(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	slash24 := net.IP{255, 255, 255, 0}
	register := func(name string) *contiv.MatchField {
		f, err := contiv.FindFieldHeaderByName(name, false)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	output := func(port uint32) contiv.Action {
		a := contiv.NewActionOutput(port)
		a.MaxLen = 0 // it sends 256, which counts for the controller alone; ovs-ofctl sends 0
		return a
	}
	apply := func(actions ...contiv.Action) contiv.Instruction {
		i := contiv.NewInstrApplyActions()
		for _, a := range actions {
			if err := i.AddAction(a, false); err != nil {
				t.Fatal(err)
			}
		}
		return i
	}
	for flow, theirs := range map[string]struct {
		match        []*contiv.MatchField
		instructions []contiv.Instruction
	}{
		"in_port=7 actions=drop": {match: []*contiv.MatchField{contiv.NewInPortField(7)}},
		"tcp,tp_dst=80 actions=goto_table:5": {
			[]*contiv.MatchField{contiv.NewEthTypeField(0x800), contiv.NewIpProtoField(6), contiv.NewTcpDstField(80)},
			[]contiv.Instruction{contiv.NewInstrGotoTable(5)}},
		"udp,tp_src=67 actions=drop": {
			match: []*contiv.MatchField{contiv.NewEthTypeField(0x800), contiv.NewIpProtoField(17), contiv.NewUdpSrcField(67)}},
		"ip,nw_src=10.0.0.0/24,nw_dst=10.1.0.1 actions=drop": {
			match: []*contiv.MatchField{contiv.NewEthTypeField(0x800), contiv.NewIpv4SrcField(net.IP{10, 0, 0, 0}, &slash24),
				contiv.NewIpv4DstField(net.IP{10, 1, 0, 1}, nil)}},
		"tun_id=0x123456,in_port=100 actions=output:3": {
			[]*contiv.MatchField{contiv.NewInPortField(100), contiv.NewTunnelIdField(0x123456)},
			[]contiv.Instruction{apply(output(3))}},
		"metadata=0x700123456 actions=write_metadata:0x5/0xff": {
			[]*contiv.MatchField{contiv.NewMetadataField(0x700123456, nil)},
			[]contiv.Instruction{contiv.NewInstrWriteMetadata(5, 0xff)}},
		"conj_id=7 actions=group:3": {
			[]*contiv.MatchField{contiv.NewConjIDMatchField(7)}, []contiv.Instruction{apply(contiv.NewActionGroup(3))}},
		"dl_vlan=5 actions=pop_vlan,output:1": {
			[]*contiv.MatchField{contiv.NewVlanIdField(5, nil)},
			[]contiv.Instruction{apply(contiv.NewActionPopVlan(), output(1))}},
		"actions=push_vlan:0x8100,dec_ttl,set_field:10.0.0.1->ip_src,set_field:0x5->tun_id": {
			instructions: []contiv.Instruction{apply(contiv.NewActionPushVlan(0x8100), contiv.NewActionDecNwTtl(),
				contiv.NewActionSetField(*contiv.NewIpv4SrcField(net.IP{10, 0, 0, 1}, nil)),
				contiv.NewActionSetField(*contiv.NewTunnelIdField(5)))}},
		"actions=set_field:02:00:00:00:00:01->arp_sha,set_field:172.30.0.2->tun_dst": {
			instructions: []contiv.Instruction{apply(contiv.NewActionSetField(*contiv.NewArpShaField(mac)),
				contiv.NewActionSetField(*contiv.NewTunnelIpv4DstField(net.IP{172, 30, 0, 2}, nil)))}},
		"actions=load:0x5->NXM_NX_REG0[0..15],move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],resubmit(,20),conjunction(5,1/3)": {
			instructions: []contiv.Instruction{apply(contiv.NewNXActionRegLoad(15, register("NXM_NX_REG0"), 5),
				contiv.NewNXActionRegMove(48, 0, 0, register("NXM_OF_ETH_SRC"), register("NXM_OF_ETH_DST")),
				contiv.NewNXActionResubmitTableAction(0xfff8, 20), contiv.NewNXActionConjunction(0, 3, 5))}},
	} {
		m := contiv.NewFlowMod()
		m.Xid, m.Priority, m.TableId, m.Cookie = 7, 100, 3, 0x1234
		for _, f := range theirs.match {
			m.Match.AddField(*f)
		}
		for _, i := range theirs.instructions {
			m.AddInstruction(i)
		}
		want, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		f := mustParse(t, "cookie=0x1234, table=3, priority=100,"+flow)
		if got := openflow.AppendFlowMod(nil, 7, openflow.Add, &f); !bytes.Equal(got, want) {
			t.Errorf("%s:\nours   %x\ntheirs %x", flow, got, want)
		}
	}
}
