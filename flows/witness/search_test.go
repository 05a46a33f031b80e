package witness

import (
	"slices"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/flows/prove"
)

// Each hostile flow of h1 is shown to do harm by frames, and by the sentence that says which.
func TestSearchFinds(t *testing.T) {
	for _, tt := range []struct{ about, flow, law string }{
		{"a port is another tenant's", "priority=200,in_port=1,actions=load:1->NXM_NX_REG0[],load:101->NXM_NX_REG1[],write_metadata:0x900000101,goto_table:10",
			"which is of another tenant"},
		{"the way to a MAC is another tenant's", "table=80,priority=200,metadata=0x700000100,dl_dst=02:00:00:00:00:12,actions=load:0xc9->NXM_NX_REG2[],goto_table:90",
			"A frame of port alice/n/a1 on host h1 reaches port bob/n/b1, which is of another tenant."},
		{"a copy for another port", "table=100,priority=200,reg2=0x65,actions=output:1,output:2", "which is of another tenant"},
		{"what a switch decides", "table=60,priority=200,actions=NORMAL", "reaches"},
		{"a network's key on another's frames", "table=110,priority=200,metadata=0x700000100,actions=set_field:0xffffff->tun_id,output:100",
			"under key 0xffffff, which is no network's of its tenant"},
		{"a network's tag on another's frames", "table=110,priority=200,metadata=0x700000100,actions=push_vlan:0x8100,set_field:4196->vlan_vid,set_field:0xffffff->tun_id,output:100",
			"which is of another tenant"},
		{"a tunnel to nobody", "table=80,priority=200,metadata=0x700000100,actions=set_field:172.30.0.77->tun_dst,goto_table:110",
			"A frame of port alice/n/a1 on host h1 leaves host h1 by a tunnel to 172.30.0.77"},
		{"a stranger's tunnel", "priority=95,in_port=100,actions=load:2->NXM_NX_REG0[],goto_table:5", "A frame of a stranger on the underlay of host h1 reaches"},
		{"another tenant's key", "table=5,priority=200,tun_id=0x100,actions=write_metadata:0x900000101,goto_table:40", "which is of another tenant"},
		{"any source", "table=10,priority=250,ip,reg1=0x65,actions=goto_table:30", "was not given to the port"},
		{"any MAC in ARP", "table=10,priority=250,arp,reg1=0x65,actions=goto_table:30", "was not given to the port"}, // who tells of the own address passes
		{"any MAC in ARP, which passes", "table=10,priority=250,arp,reg1=0x65,actions=goto_table:80", "was not given to the port"},
		{"any claim", "table=12,priority=200,icmp6,reg1=0x65,icmp_type=136,actions=goto_table:30", "though it says that"}, // its MAC, or an address
		{"a DHCP server", "table=10,priority=295,udp,reg1=0x65,nw_src=10.0.0.11,dl_src=02:00:00:00:00:11,tp_src=67,actions=goto_table:30", "no port serves DHCP"},
		{"an IPv6 router", "table=10,priority=295,icmp6,reg1=0x65,icmp_type=134,actions=goto_table:40", "no port is a router"},
		{"a tag", "table=10,priority=301,reg1=0x65,ip,dl_vlan=9,actions=goto_table:30", "tag"},
		{"the infrastructure", "table=54,priority=300,ip,metadata=0x700000000/0xffffffff00000000,actions=ct(commit,table=56,zone=14,nat(src=100.64.0.7),exec(set_field:0x3->ct_mark))",
			"reaches the kernel of host h1 for"},
		{"another transit address", "table=54,priority=101,ip,metadata=0x700000000/0xffffffff00000000,actions=ct(commit,table=56,zone=14,nat(src=100.64.0.9),exec(set_field:0x3->ct_mark))",
			"reaches the kernel of host h1 from 100.64.0.9, which is not its tenant's transit address"},
		{"untranslated", "table=40,priority=400,ip,metadata=0x700000000/0xffffffff00000000,dl_dst=02:00:5e:00:01:01,actions=load:0xffffffff->NXM_NX_REG2[],goto_table:90",
			"which is not its tenant's transit address"},
		{"the wrong gateway host", "table=40,priority=400,ip,metadata=0x900000000/0xffffffff00000000,dl_dst=02:00:5e:00:01:01,actions=load:0xffffffff->NXM_NX_REG2[],goto_table:90",
			"reaches the kernel of host h1, which is no gateway host of its tenant"},
		{"what nobody asked for", "table=52,priority=300,reg0=3,actions=goto_table:60", ""}, // to the transit address alone: no port has it
		{"the outside to a port", "priority=200,ip,in_port=200,nw_dst=10.0.0.11,actions=load:3->NXM_NX_REG0[],write_metadata:0x700000100,goto_table:60",
			"A frame of the outside, by gateway host h1, reaches port alice/n/a1, which asked for nothing."},
		{"answers to another tenant", "table=60,priority=200,ip,reg0=0,actions=drop", ""},
		{"an answer to another tenant", "table=52,priority=300,reg0=3,metadata=0x700000000/0xffffffff00000000,actions=load:0x900000000->OXM_OF_METADATA[],goto_table:60",
			"A frame of the outside, by gateway host h1, in answer to tenant alice, reaches port bob/n/b"},
		{"the bridge's own port", "table=80,priority=200,metadata=0x700000100,actions=LOCAL", "reaches the kernel of host h1 by the bridge's own port"},
		{"an address of another", "table=30,priority=300,arp,metadata=0x700000100,arp_tpa=10.0.0.12,arp_op=1,actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:02:00:00:00:00:11->eth_src,goto_table:44",
			"A frame of port alice/n/a1 on host h1 is answered that 10.0.0.12 has MAC 02:00:00:00:00:11, which is not so."},
		{"an answer of nobody's", "table=44,priority=300,arp,actions=set_field:2->arp_op,set_field:02:66:00:00:00:66->arp_sha,move:NXM_NX_REG1[]->NXM_NX_REG2[],load:0xffff->NXM_OF_IN_PORT[],goto_table:100",
			"has MAC 02:66:00:00:00:66, which is not so"},
		{"a neighbour of another", "table=30,priority=300,icmp6,metadata=0x700000100,icmp_type=135,icmp_code=0,nd_target=fd00::12,actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:02:00:5e:00:01:01->eth_src,move:NXM_NX_IPV6_SRC[]->NXM_NX_IPV6_DST[],set_field:fd00::12->ipv6_src,set_field:136->icmpv6_type,goto_table:44",
			"is answered that fd00::12 has MAC 02:00:5e:00:01:01, which is not so"},
		{"part of the infrastructure", "table=54,priority=300,ip,metadata=0x700000000/0xffffffff00000000,nw_dst=192.0.2.8/29,actions=ct(commit,table=56,zone=14,nat(src=100.64.0.7),exec(set_field:0x3->ct_mark))",
			"which is closed to tenants"},
		{"a source that the switch made", "table=80,priority=200,ip,metadata=0x700000100,dl_dst=02:00:00:00:00:12,actions=set_field:10.0.0.99->nw_src,set_field:172.30.0.2->tun_dst,goto_table:110",
			"from address 10.0.0.99, which is not the sender's"},
	} {
		t.Run(tt.about, func(t *testing.T) {
			s, tables := twoTenants()
			f, err := of.ParseFlow(tt.flow)
			if err != nil {
				t.Fatal(err)
			}
			tables[0].Flows = append(slices.Clone(tables[0].Flows), f)
			found := New(s, tables).Search(&prove.Finding{Host: "h1", Flow: f}, Budget{Tries: 400, Seed: 1})
			switch {
			case found == nil && tt.law != "":
				t.Error("nothing was found")
			case found != nil && (tt.law == "" || !strings.Contains(found.Law, tt.law)):
				t.Errorf("want %q, found:\n%s", tt.law, found)
			}
		})
	}
}

// The same tables, flow and seed find the same.
func TestSearchIsRepeatable(t *testing.T) {
	s, tables := twoTenants()
	f, err := of.ParseFlow("table=60,priority=200,actions=NORMAL")
	if err != nil {
		t.Fatal(err)
	}
	tables[0].Flows = append(tables[0].Flows, f)
	var first string
	for i := range 3 {
		found := New(s, tables).Search(&prove.Finding{Host: "h1", Flow: f}, Budget{Tries: 400, Seed: 7})
		if found == nil {
			t.Fatal("nothing was found")
		}
		if i == 0 {
			first = found.String()
		}
		if got := found.String(); got != first {
			t.Errorf("found\n%s\nand then\n%s", first, got)
		}
	}
}

// BenchmarkSearch is the search for what is not there, which takes all its tries: of 100.
func BenchmarkSearch(b *testing.B) {
	s, tables := twoTenants()
	c := New(s, tables)
	f := &prove.Finding{Host: "h1", Flow: tables[0].Flows[len(tables[0].Flows)/2]}
	for b.Loop() {
		if found := c.Search(f, Budget{Tries: 100, Seed: 1}); found != nil {
			b.Fatal(found)
		}
	}
}
