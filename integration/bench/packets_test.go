package bench

import (
	"testing"
)

// checkPackets wants each figure of both sides, of the first tunnel, and what the datapaths made of the traffic.
func checkPackets(t *testing.T, results []Result) {
	checkLab(t, results)
	wantMeasured(t, results, "encap",
		"TCP throughput encap=vxlan samples=1",
		"64-byte frames, one flow of UDP encap=vxlan samples=1",
		"64-byte frames, 4096 flows of UDP encap=vxlan samples=1",
		"TCP connections through NAT encap=vxlan samples=1",
	)
	for _, r := range results {
		if r.Median <= 0 || r.Reference.Median <= 0 || len(r.Facts) != 6 {
			t.Errorf("%v: %+v", r.Params, r)
		}
		for _, f := range r.Facts {
			if f.Value < 1 {
				t.Errorf("%v: %s: %v", r.Params, f.Name, f.Value)
			}
		}
	}
}

// Flows that look at the same bits share a mask, whatever they want to find there; those of another port do not count with them.
func TestCountMasks(t *testing.T) {
	const dump = `flow-dump from the main thread:
ufid:1, skb_mark(0/0),recirc_id(0),in_port(a),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2/128.0.0.0,proto=1,tos=0/0x3,ttl=64/0,frag=no),icmp(type=8/0,code=0/0), packets:1, bytes:98, used:0.1s, dp:ovs, actions:b
ufid:2, skb_mark(0/0),recirc_id(0),in_port(a),eth(src=02:00:00:00:00:07,dst=02:00:00:00:00:03),eth_type(0x0800),ipv4(src=10.0.0.9,dst=10.0.0.3/128.0.0.0,proto=1,tos=0/0x3,ttl=63/0,frag=no),icmp(type=0/0,code=0/0), packets:1, bytes:98, used:0.1s, dp:ovs, actions:b
ufid:3, skb_mark(0/0),recirc_id(0),in_port(a),eth(src=02:00:00:00:00:07,dst=02:00:00:00:00:03),eth_type(0x0800),ipv4(src=10.0.0.9,dst=10.0.0.3/240.0.0.0,proto=1,tos=0/0x3,ttl=63/0,frag=no),icmp(type=0/0,code=0/0), packets:1, bytes:98, used:0.1s, dp:ovs, actions:b
ufid:4, recirc_id(0),in_port(b),eth(src=02:00:00:00:00:07/00:00:00:00:00:00),eth_type(0x86dd),ipv6(src=fe80::1/::,proto=58/0,frag=no), packets:0, bytes:0, used:never, dp:ovs, actions:drop
`
	if flows, masks := countMasks(dump); flows != 4 || masks != 2 {
		t.Errorf("%d flows, %d masks of one port, want 4 and 2", flows, masks)
	}
	if flows, masks := countMasks(""); flows != 0 || masks != 0 {
		t.Errorf("of nothing: %d flows, %d masks", flows, masks)
	}
}
