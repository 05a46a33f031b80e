package openflow_test

import (
	"fmt"
	"net/netip"

	"sluice/datapath/openflow"
)

// A flow is a value. Its text is that of ovs-ofctl.
func ExampleFlow() {
	flow := openflow.Flow{
		Table:    10,
		Priority: 100,
		Cookie:   0x7,
		Match: openflow.NewMatch(
			openflow.Is(openflow.FieldInPort, 1),
			openflow.Is(openflow.FieldEthType, 0x0800),
			openflow.In(openflow.FieldIPSrc, netip.MustParsePrefix("10.0.0.0/24")),
		),
		Actions: []openflow.Action{
			openflow.Load{Target: openflow.Subfield{Field: openflow.FieldReg0}, Value: 1},
			openflow.GotoTable{Table: 20},
		},
	}
	fmt.Println(&flow)
	// Output: cookie=0x7, table=10, priority=100,ip,in_port=1,nw_src=10.0.0.0/24 actions=load:0x1->NXM_NX_REG0[],goto_table:20
}

// ParseFlow reads what ovs-ofctl takes and prints, and says what it cannot represent.
func ExampleParseFlow() {
	flow, err := openflow.ParseFlow("priority=9,tcp,tp_dst=80,actions=output:LOCAL")
	fmt.Println(&flow, err)
	_, err = openflow.ParseFlow("tp_dst=80,actions=drop")
	fmt.Println(err)
	// Output:
	// priority=9,tcp,tp_dst=80 actions=LOCAL <nil>
	// flow "tp_dst=80,actions=drop": tp_dst needs a protocol that has it
}

// AppendFlowMod writes the message that adds a flow; a switch reads it back as DecodeFlowMod
// does.
func ExampleAppendFlowMod() {
	flow, _ := openflow.ParseFlow("table=3,arp,actions=drop")
	message := openflow.AppendFlowMod(nil, 1, openflow.Add, &flow)
	mod, err := openflow.DecodeFlowMod(message)
	fmt.Println(len(message), "bytes:", mod.Command, &mod.Flow, err)
	// Output: 64 bytes: add table=3, arp actions=drop <nil>
}

// DecodeFlowStats yields the flows of a switch's answer one by one.
func ExampleDecodeFlowStats() {
	flow, _ := openflow.ParseFlow("table=3,arp,actions=drop")
	reply := openflow.AppendFlowStatsReply(nil, 1, false)
	reply = openflow.AppendFlowStats(reply, &openflow.FlowStats{Flow: flow, Packets: 2, Bytes: 84})
	reply = openflow.EndMessage(reply, 0)

	more, err := openflow.DecodeFlowStats(reply, func(f *openflow.FlowStats) bool {
		fmt.Println(f.Packets, "packets by", f)
		return true
	})
	fmt.Println(more, err)
	// Output:
	// 2 packets by table=3, arp actions=drop
	// false <nil>
}
