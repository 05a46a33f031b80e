package prove_test

import (
	"slices"
	"strings"
	"testing"

	"sluice/flows"
	"sluice/flows/prove"
	"sluice/store"

	of "sluice/datapath/openflow"
)

// cluster is testdata/cluster.txt with what its switches hold.
type cluster struct {
	*testing.T
	state  *store.State
	tables []prove.Tables
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{T: t}
	var switches []flows.Switch
	c.state, switches = golden(t, "testdata/cluster.txt")
	for _, sw := range switches {
		all, problems := flows.Desired(c.state, sw)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		c.tables = append(c.tables, prove.Tables{Switch: sw, Flows: all})
	}
	return c
}

func (c *cluster) at(host string) *prove.Tables {
	at := slices.IndexFunc(c.tables, func(t prove.Tables) bool { return t.Switch.Host == host })
	return &c.tables[at]
}

// cookie is that of an owner's flows.
func (c *cluster) cookie(owner string) uint64 {
	for _, t := range c.tables {
		for i := range t.Flows {
			if flows.Owner(c.state, t.Flows[i].Cookie) == owner {
				return t.Flows[i].Cookie
			}
		}
	}
	c.Fatalf("nobody owns flows as %q", owner)
	return 0
}

func (c *cluster) parse(owner, text string) of.Flow {
	f, err := of.ParseFlow(text)
	if err != nil {
		c.Fatal(err)
	}
	f.Cookie = c.cookie(owner)
	return f
}

// nothing, in the place of a text, takes it away.
const nothing = "-"

// edit changes the text of one flow of an owner's, which holds a text; with "" deletes it. Where find is
// empty it adds a flow.
func (c *cluster) edit(host, owner, find, with string) {
	t := c.at(host)
	if find == "" {
		f := c.parse(owner, with)
		same := func(g of.Flow) bool { return g.Table == f.Table && g.Priority == f.Priority && g.Match.Equal(f.Match) }
		t.Flows = append(slices.DeleteFunc(t.Flows, same), f) // as a switch does
		return
	}
	for i := range t.Flows {
		f := t.Flows[i]
		f.Cookie = 0
		text := f.String()
		if flows.Owner(c.state, t.Flows[i].Cookie) != owner || !strings.Contains(text, find) {
			continue
		}
		t.Flows = slices.Delete(t.Flows, i, i+1)
		if with != "" {
			c.edit(host, owner, "", strings.Replace(text, find, strings.TrimPrefix(with, nothing), 1))
		}
		return
	}
	c.Fatalf("%s has no flow on %s with %q", owner, host, find)
}

// edits are hostile, or mistakes: each breaks a rule, and what is found says so.
var edits = []struct {
	host, owner, find, with string
	rule                    prove.Rule
	says                    string
}{
	// Whose a frame is that comes in.
	{"h1", "port alice/default/a1", "write_metadata:0x700000070", "write_metadata:0x900000090", prove.RuleEntry, "it gives frames of port"},
	{"h1", "port alice/default/a1", "write_metadata:0x700000070", "write_metadata:0x700000071", prove.RuleEntry, "metadata of tenant alice, network 113"},
	{"h1", "port alice/default/a1", "load:0x65->NXM_NX_REG1[]", "load:0x68->NXM_NX_REG1[]", prove.RuleEntry, "frames for port bob/default/b1 that come in by another OpenFlow port"},
	{"h1", "port alice/default/a1", "load:0x65->NXM_NX_REG1[]", "load:0x67->NXM_NX_REG1[]", prove.RuleEntry, "a port that is none of this host's"},
	{"h1", "port alice/default/a1", "load:0x1->NXM_NX_REG0[]", "load:0x2->NXM_NX_REG0[]", prove.RuleEntry, "does not say of frames of port alice/default/a1 that a container sent them"},
	{"h1", "port alice/default/a1", "priority=100,in_port=1 ", "priority=101 ", prove.RuleEntry, "that come in by another OpenFlow port than its own"},
	{"h1", "port alice/default/a1", "in_port=1 ", "in_port=4 ", prove.RuleEntry, "that come in by another OpenFlow port than its own"},
	{"h1", "port alice/default/a1", "load:0x1->NXM_NX_REG0[]", "load:0x1->NXM_NX_REG0[],load:0x66->NXM_NX_REG2[]", prove.RuleWrites, "it changes reg2 on the way from table classify to table admit"},
	{"h1", "port bob/default/b1", "", "priority=101,in_port=1 actions=load:0x1->NXM_NX_REG0[],load:0x65->NXM_NX_REG1[],write_metadata:0x700000070,goto_table:10", prove.RuleOwner, "its cookie is that of tenant bob, and it takes frames of port alice/default/a1"},
	{"h1", "peer h2", "tun_src=172.30.0.2", "tun_src=172.30.0.99", prove.RuleEntry, "from an address that is no other host's"},
	{"h1", "peer h2", "tun_src=172.30.0.2", "tun_src=172.30.0.1", prove.RuleEntry, "from an address that is no other host's"},
	{"h1", "peer h2", "tun_src=172.30.0.2", "tun_src=172.30.0.0/24", prove.RuleEntry, "from an address that is no other host's"},
	{"h1", "peer h2", "in_port=100", "in_port=1", prove.RuleEntry, "from a port that is not the tunnel's"},
	{"h1", "peer h2", "load:0x2->NXM_NX_REG0[]", "load:0x1->NXM_NX_REG0[]", prove.RuleEntry, "does not say of frames from a tunnel that they came by one"},
	{"h1", "base", "load:0xffffffff->NXM_NX_REG1[]", "load:0x65->NXM_NX_REG1[]", prove.RuleEntry, "that are not the kernel's ARP"},
	{"h1", "base", "arp,in_port=200,", "in_port=200,", prove.RuleEntry, "that are not the kernel's ARP"},
	{"h1", "base", "arp,in_port=200,vlan_tci=0x0000/0x1000", "arp,in_port=200", prove.RuleEntry, "it takes frames with a VLAN tag from the kernel"},
	{"h1", "tenant alice", "in_port=200,vlan_tci=0x0000/0x1000,nw_dst", "in_port=200,nw_dst", prove.RuleEntry, "it takes frames with a VLAN tag from the kernel"},
	{"h1", "tenant alice", "in_port=200,vlan_tci=0x0000/0x1000,nw_dst", "in_port=200,vlan_tci=0x1000/0x1000,nw_dst", prove.RuleEntry, "it takes frames with a VLAN tag from the kernel"},
	{"h1", "tenant alice", "nw_dst=100.64.0.7 ", "nw_dst=100.64.0.9 ", prove.RuleEntry, "it gives tenant alice frames that the kernel sends to another address"},
	{"h1", "tenant alice", "nw_dst=100.64.0.7 ", "nw_dst=100.64.0.0/24 ", prove.RuleEntry, "to another address than its transit address"},
	{"h1", "tenant alice", "in_port=200,vlan_tci=0x0000/0x1000,nw_dst", "in_port=1,vlan_tci=0x0000/0x1000,nw_dst", prove.RuleEntry, "from a port that is not the gateway's"},
	{"h1", "tenant alice", "load:0x3->NXM_NX_REG0[],write", "load:0x1->NXM_NX_REG0[],write", prove.RuleEntry, "does not say of frames from the kernel that they came from there"},
	{"h1", "tenant alice", "write_metadata:0x700000000", "write_metadata:0x800000000", prove.RuleEntry, "metadata that is of no tenant of the store"},
	{"h1", "tenant bob", "", "priority=101,ip,in_port=200,nw_dst=100.64.0.7 actions=load:0x3->NXM_NX_REG0[],write_metadata:0x700000000,goto_table:50", prove.RuleOwner, "it takes frames from the kernel for tenant alice"},
	{"h1", "network alice/default", "tun_id=0x70,", "tun_id=0xa0,", prove.RuleEntry, "it gives network alice/default frames under another tunnel key or tag"},
	{"h1", "network alice/default", "tun_id=0x70,vlan_tci=0x0000/0x1000", "tun_id=0x70", prove.RuleEntry, "under another tunnel key or tag"},
	{"h1", "network alice/back", "dl_vlan=13", "dl_vlan=14", prove.RuleEntry, "it gives network alice/back frames under another tunnel key or tag"},
	{"h1", "network alice/back", "pop_vlan,", nothing, prove.RuleEntry, "it does not take off the tag of network alice/back"},
	{"h1", "network alice/default", "write_metadata:0x700000070", "write_metadata:0x700000090", prove.RuleEntry, "metadata that is of no network"},
	{"h1", "network bob/default", "", "table=5,priority=101,tun_id=0x70,vlan_tci=0x0000/0x1000 actions=write_metadata:0x700000070,goto_table:40", prove.RuleOwner, "its cookie is that of tenant bob, and it takes frames for tenant alice"},

	// What comes by the trunk.
	{"h1", "base", "in_port=350", "in_port=1", prove.RuleEntry, "from a port that is not the trunk"},
	{"h1", "base", "load:0x7->NXM_NX_REG0[]", "load:0x1->NXM_NX_REG0[]", prove.RuleEntry, "does not say of frames from the trunk that they came by it"},
	{"h1", "port bob/default/b3", "dl_vlan=14,", "dl_vlan=13,", prove.RuleEntry, "it gives network bob/default frames under another tag than its own"},
	{"h1", "port bob/default/b3", "dl_vlan=14,", nothing, prove.RuleEntry, "it gives network bob/default frames under another tag than its own"},
	{"h1", "port bob/default/b3", "pop_vlan,", nothing, prove.RuleEntry, "it does not take off the tag of network bob/default"},
	{"h1", "port bob/default/b3", "dl_vlan=14,dl_src=02:00:00:00:00:13", "dl_vlan=14", prove.RuleSpoof, "whose source MAC is of no port of it on another host"},
	{"h1", "port bob/default/b3", "dl_vlan=14,dl_src=02:00:00:00:00:13", "dl_vlan=14,dl_src=02:00:00:00:00:11", prove.RuleSpoof, "whose source MAC is of no port of it on another host"},
	{"h1", "port bob/default/b3", "dl_vlan=14,dl_src=02:00:00:00:00:13", "dl_vlan=14,dl_src=00:00:00:00:00:00", prove.RuleSpoof, "whose source MAC is of no port of it on another host"},
	{"h1", "port bob/default/b3", "write_metadata:0x900000090", "write_metadata:0x700000071", prove.RuleOwner, "it takes frames for tenant alice"},
	{"h1", "port bob/default/b3", "write_metadata:0x900000090", "write_metadata:0x900000099", prove.RuleEntry, "metadata that is of no network"},
	{"h1", "port bob/default/b3", "write_metadata:0x900000090,goto_table:80", "write_metadata:0x900000090,goto_table:40", prove.RuleAction, "from table trunk to table route"},
	{"h1", "network alice/default", "", "table=6,priority=101,dl_vlan=12,dl_src=02:00:00:00:00:13 actions=pop_vlan,write_metadata:0x700000070,goto_table:80", prove.RuleEntry, "it gives network alice/default frames under another tag"},
	{"h1", "base", "table=110, priority=200,reg0=0x7", "", prove.RuleRefused, "it passes what came by the trunk, which would circle between hosts"},

	// What leaves by it.
	{"h1", "network bob/default", "set_field:4110->vlan_vid,output:350", "set_field:4109->vlan_vid,output:350", prove.RuleOutput, "out of the trunk under another tag than its own"},
	{"h1", "network bob/default", "push_vlan:0x8100,set_field:4110->vlan_vid,output:350", "output:350", prove.RuleOutput, "out of the trunk under another tag than its own"},
	{"h1", "network bob/default", "reg0=0x1,reg4=0,metadata=0x900000090", "reg4=0,metadata=0x900000090", prove.RuleOutput, "that are not from a port here to others of it"},
	{"h1", "network bob/default", "reg0=0x1,reg4=0,metadata=0x900000090", "reg0=0x1,metadata=0x900000090", prove.RuleOutput, "that are not from a port here to others of it"},
	{"h1", "network bob/default", "reg0=0x1,reg4=0,metadata=0x900000090", "reg0=0x1,reg4=0", prove.RuleOutput, "that it does not know the network of"},
	{"h1", "network alice/default", "", "table=110,priority=150,reg0=0x1,reg4=0,metadata=0x700000070 actions=output:350", prove.RuleOutput, "out of the trunk under another tag than its own"},

	// What a container says.
	{"h1", "port alice/default/a1", "nw_src=10.0.0.11 ", "nw_src=10.0.0.12 ", prove.RuleSpoof, "it lets port alice/default/a1 speak with a MAC or an address that is not its own"},
	{"h1", "port alice/default/a1", "nw_src=10.0.0.128/25", "nw_src=10.0.0.0/24", prove.RuleSpoof, "speak with a MAC or an address"},
	{"h1", "port alice/default/a1", "ip,reg1=0x65,dl_src=02:00:00:00:00:11,nw_src=10.0.0.11", "ip,reg1=0x65,nw_src=10.0.0.11", prove.RuleSpoof, "speak with a MAC or an address"},
	{"h1", "port alice/default/a1", ",dl_src=02:00:00:00:00:99,nw_src=10.0.0.99", ",dl_src=02:00:00:00:00:99,nw_src=10.0.0.11", prove.RuleSpoof, "speak with a MAC or an address"},
	{"h1", "port alice/default/a1", "arp_spa=10.0.0.11,arp_sha=02:00:00:00:00:11", "arp_spa=10.0.0.11", prove.RuleSpoof, "speak with a MAC or an address"},
	{"h1", "port alice/default/a1", "arp_spa=0.0.0.0,arp_op=1", "arp_spa=0.0.0.0,arp_op=2", prove.RuleSpoof, "speak with a MAC or an address"},
	{"h1", "port alice/default/a1", "ipv6_src=fd00::11 actions=goto_table:12", "ipv6_src=fd00::11 actions=goto_table:30", prove.RuleSpoof, "speak with a MAC or an address"},
	{"h1", "port alice/default/a1", "", "table=10,priority=200,reg1=0x65 actions=goto_table:30", prove.RuleSpoof, "speak with a MAC or an address"},
	{"h1", "port alice/default/a1", "", "table=10,priority=200,metadata=0x700000070 actions=goto_table:30", prove.RuleSpoof, "without a look at whose they are"},
	{"h1", "port alice/default/a1", "", "table=10,priority=200,reg1=0x67,dl_src=02:00:00:00:00:13,ip,nw_src=10.0.0.13 actions=goto_table:30", prove.RuleSpoof, "without a look at whose they are"},
	{"h1", "port alice/default/a1", "priority=100,icmp6,reg1=0x65,dl_src=02:00:00:00:00:11,nw_ttl=255,icmp_type=136,icmp_code=0,nd_target=fd00::11", "priority=100,icmp6,reg1=0x65,dl_src=02:00:00:00:00:11,nw_ttl=255,icmp_type=136,icmp_code=0,nd_target=fd00::13", prove.RuleRefused, "neighbour discovery that claims what is not the sender's"},
	{"h1", "base", "table=12, priority=90,icmp6,icmp_type=136", "", prove.RuleRefused, "no flow refuses them"},
	{"h1", "base", "table=12, priority=90,icmp6,icmp_type=135", "table=12, priority=0,icmp6,icmp_type=135", prove.RuleRefused, "would refuse them, and does not come before it"},
	{"h1", "base", "table=10, priority=290,udp,tp_src=67", "table=10, priority=190,udp,tp_src=67", prove.RuleRefused, "it passes what only a DHCP server says"},
	{"h1", "base", "table=10, priority=290,udp,tp_dst=68", "", prove.RuleRefused, "it passes what only a DHCP server says"},
	{"h1", "base", "table=10, priority=290,icmp6,icmp_type=134", "", prove.RuleRefused, "it passes what only a router says"},
	{"h1", "base", "table=10, priority=300,vlan_tci=0x1000/0x1000", "", prove.RuleRefused, "it passes frames with a VLAN tag"},
	{"h1", "base", "ipv6,ipv6_src=fe80::/10,nw_frag=yes", "", prove.RuleRefused, "it passes fragments that could hide"},
	{"h1", "base", "ipv6,nw_proto=0", "", prove.RuleRefused, "headers end too early"},
	{"h1", "port alice/default/a1", "table=10, priority=200,ip,reg1=0x65,dl_src=02:00:00:00:00:11,nw_src=10.0.0.11", "table=10, priority=290,ip,reg1=0x65,dl_src=02:00:00:00:00:11,nw_src=10.0.0.11", prove.RuleRefused, "it passes what only a DHCP server says"},

	// Whose frames a flow matches.
	{"h1", "port alice/default/a1", "table=80, priority=100,metadata=0x700000070", "table=80, priority=100,metadata=0x900000090", prove.RuleOwner, "its cookie is that of tenant alice, and it passes frames of tenant bob"},
	{"h1", "port alice/default/a1", "table=80, priority=100,metadata=0x700000070,", "table=80, priority=100,", prove.RuleOwner, "it passes frames of any tenant"},
	{"h1", "port alice/default/a1", "table=80, priority=100,metadata=0x700000070,", "table=80, priority=100,metadata=0x700000000/0x7fffffff00000000,", prove.RuleOwner, "it passes frames of any tenant"},
	{"h1", "network alice/default", "table=30, priority=200,arp,metadata=0x700000070,", "table=30, priority=200,arp,metadata=0x70/0xffffffff,", prove.RuleOwner, "it passes frames of any tenant"},
	{"h1", "network alice/default", "", "table=30, priority=200,arp,reg1=77,metadata=0x700000070 actions=goto_table:40", prove.RuleOwner, "port number 77, which no port here has"},
	{"h1", "network alice/default", "", "table=30, priority=200,arp,reg1=104,metadata=0x700000070 actions=goto_table:40", prove.RuleOwner, "it passes frames of port bob/default/b1"},
	{"h1", "base", "", "table=30, priority=200,arp actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],goto_table:44", prove.RuleOwner, "it answers for any tenant"},
	{"h1", "base", "table=92, priority=300,reg2=0 ", "table=92, priority=300 ", prove.RuleOutput, "it sends frames into tunnels that are for a port here"},

	// What a flow writes.
	{"h1", "port alice/default/a1", "load:0x700000070->OXM_OF_METADATA[]", "load:0x900000090->OXM_OF_METADATA[]", prove.RuleWrites, "it writes metadata of tenant bob into frames of tenant alice"},
	{"h1", "port alice/default/a1", "load:0x700000070->OXM_OF_METADATA[]", "load:0x700000090->OXM_OF_METADATA[]", prove.RuleWrites, "which is no network of tenant alice"},
	{"h1", "port alice/default/a1", "load:0x700000070->OXM_OF_METADATA[]", "move:NXM_NX_REG1[]->OXM_OF_METADATA[32..63]", prove.RuleWrites, "metadata of which a part is unknown"},
	{"h1", "port alice/default/a1", "load:0x65->NXM_NX_REG2[],goto", "load:0x68->NXM_NX_REG2[],goto", prove.RuleWrites, "it sends frames of tenant alice to port bob/default/b1 of tenant bob"},
	{"h1", "port alice/default/a1", "load:0x65->NXM_NX_REG2[],goto", "load:0x67->NXM_NX_REG2[],goto", prove.RuleWrites, "port number 103, which no port here has"},
	{"h1", "port alice/default/a1", "load:0x65->NXM_NX_REG2[],goto", "load:0xffffffff->NXM_NX_REG2[],goto", prove.RuleWrites, "to the gateway past the tenant's translation"},
	{"h1", "port alice/default/a1", "load:0x65->NXM_NX_REG2[],goto", "load:0x5->NXM_NX_REG2[0..7],goto", prove.RuleWrites, "it chooses a port that is not known"},
	{"h1", "port alice/default/a1", "load:0x65->NXM_NX_REG2[],goto", "load:0x65->NXM_NX_REG2[],load:0x68->NXM_NX_REG1[],goto", prove.RuleWrites, "it changes reg1"},
	{"h1", "port alice/default/a1", "load:0x65->NXM_NX_REG2[],goto", "load:0x65->NXM_NX_REG2[],load:0x1->NXM_NX_REG0[],goto", prove.RuleWrites, "it changes reg0"},
	{"h1", "port alice/default/a1", "load:0x65->NXM_NX_REG2[],goto", "load:0x65->NXM_NX_REG2[],load:0x1->NXM_NX_PKT_MARK[],goto", prove.RuleWrites, "it changes pkt_mark"},
	{"h1", "network alice/default", "load:0x65->NXM_NX_REG2[],resubmit(,92)", "load:0x68->NXM_NX_REG2[],resubmit(,92)", prove.RuleWrites, "to port bob/default/b1"},
	{"h1", "network alice/default", "meter:29", "meter:37", prove.RuleWrites, "meter 37, which is not of tenant alice"},
	{"h1", "port carol/default/c1", "meter:131082", "meter:131074", prove.RuleWrites, "meter 131074, which is not of tenant carol"},
	{"h1", "port carol/default/c1", "meter:131083", "meter:131080", prove.RuleWrites, "meter 131080, which is not of tenant carol"},
	{"h1", "port carol/default/c1", "meter:131082", "meter:30", prove.RuleWrites, "meter 30, which is not of tenant carol"},
	{"h3", "tenant carol", "meter:50", "meter:131078", prove.RuleWrites, "meter 131078, which is not of tenant carol"},
	{"h3", "tenant carol", "meter:51", "meter:31", prove.RuleWrites, "meter 31, which is not of tenant carol"},
	{"h3", "tenant carol", "meter:51", "meter:43", prove.RuleWrites, "meter 43, which is not of tenant carol"},
	{"h1", "network alice/default", "meter:29", "meter:16", prove.RuleWrites, "meter 16, which is not of tenant alice"},
	{"h1", "network alice/default", "meter:29", "meter:8", prove.RuleWrites, "meter 8, which is not of tenant alice"},
	{"h1", "base", "priority=0 actions=", "priority=0 actions=meter:41,", prove.RuleWrites, "meter 41, which is not of no tenant"},
	{"h1", "base", "move:NXM_NX_REG1[]->NXM_NX_REG2[]", "load:0x65->NXM_NX_REG2[]", prove.RuleWrites, "it sends frames of no tenant to port alice/default/a1"},
	{"h1", "base", ",load:0xffff->NXM_OF_IN_PORT[],move:NXM_NX_REG1[]->NXM_NX_REG2[]", ",load:0x4->NXM_OF_IN_PORT[],move:NXM_NX_REG1[]->NXM_NX_REG2[]", prove.RuleWrites, "came in by another port"},
	{"h1", "tenant alice", "ct(table=51,zone=14,nat)", "ct(table=51,zone=18,nat)", prove.RuleWrites, "a conntrack zone that is not tenant alice's"},
	{"h3", "tenant carol", "ct(table=51,zone=24,nat)", "ct(table=51,zone=20,nat)", prove.RuleWrites, "a conntrack zone that is not tenant carol's"},
	{"h3", "tenant carol", "ct(table=51,zone=24,nat)", "ct(table=51,zone=0,nat)", prove.RuleWrites, "a conntrack zone that is not tenant carol's"},
	{"h3", "tenant carol", "nat(src=100.64.0.12)", "nat(src=100.64.0.10)", prove.RuleWrites, "under another source than its transit address 100.64.0.12"},
	{"h3", "tenant carol", "nw_dst=100.64.0.12", "nw_dst=100.64.0.10", prove.RuleEntry, "another address than its transit address"},
	{"h1", "resolver", "metadata=0/0xff000000000000,", "-", prove.RuleWrites, "to another desk than that of the tenant that asks"},
	{"h1", "tenant alice", "ct(table=51,zone=14,nat)", "ct(table=51,zone=NXM_NX_REG1[0..15],nat)", prove.RuleWrites, "a conntrack zone that is not tenant alice's"},
	{"h1", "tenant alice", "ct(table=51,zone=14,nat)", "ct(table=51,zone=14,nat(dst=10.0.0.1))", prove.RuleWrites, "translates frames that it does not commit"},
	{"h1", "tenant alice", "nat(src=100.64.0.7)", "nat(src=100.64.0.9)", prove.RuleWrites, "under another source than its transit address 100.64.0.7"},
	{"h1", "tenant alice", "nat(src=100.64.0.7)", "nat(src=100.64.0.7-100.64.0.9)", prove.RuleWrites, "under another source than its transit address"},
	{"h1", "tenant alice", "set_field:0x6->ct_mark", "set_field:0x9->ct_mark", prove.RuleWrites, "without the mark of tenant alice"},
	{"h1", "tenant alice", ",exec(set_field:0x6->ct_mark)", nothing, prove.RuleWrites, "without the mark of tenant alice"},
	{"h1", "tenant alice", "ct_mark=0x6,", "ct_mark=0x9,", prove.RuleWrites, "connections without the mark of tenant alice"},
	{"h1", "tenant alice", "ct_mark=0x6,", nothing, prove.RuleWrites, "connections without the mark of tenant alice"},
	{"h1", "base", "ct_state=-est-rel+trk,ip", "ct_state=-rel+trk,ip", prove.RuleWrites, "connections without the mark"},

	// Where a frame leaves.
	{"h1", "port alice/default/a1", "output:1", "output:4", prove.RuleOutput, "to OpenFlow port 4, which is that of port bob/default/b1"},
	{"h1", "port alice/default/a1", "output:1", "output:100", prove.RuleOutput, "that of interface sluice-tun"},
	{"h1", "port alice/default/a1", "output:1", "output:77", prove.RuleOutput, "no port of this bridge"},
	{"h1", "port alice/default/a1", "output:1", "output:1,output:4", prove.RuleOutput, "OpenFlow port 4"},
	{"h1", "port alice/default/a1", "output:1", "IN_PORT", prove.RuleAction, "a port that the switch chooses"},
	{"h1", "port alice/default/a1", "table=100, priority=100,reg2=0x65", "table=100, priority=100,metadata=0x700000070", prove.RuleOutput, "whatever port they are for"},
	{"h1", "base", "output:200", "output:100", prove.RuleOutput, "which is not the gateway port"},
	{"h1", "base", "", "table=100,priority=100,reg2=0x65 actions=output:1", prove.RuleOwner, "it delivers frames of any tenant"},
	{"h1", "port alice/default/a1", "", "table=80,priority=200,metadata=0x700000070,dl_dst=02:00:00:00:00:11 actions=output:1", prove.RuleOutput, "from table forward, past what the tables before it ask"},
	{"h1", "network alice/default", "set_field:0x70->tun_id", "set_field:0xa0->tun_id", prove.RuleOutput, "it sends frames of network alice/default under another tunnel key"},
	{"h1", "network alice/default", "set_field:0x70->tun_id,", nothing, prove.RuleOutput, "under another tunnel key than its own"},
	{"h1", "network alice/back", "set_field:4109->vlan_vid", "set_field:4110->vlan_vid", prove.RuleOutput, "under another tag than its own"},
	{"h1", "network alice/back", "push_vlan:0x8100,set_field:4109->vlan_vid,", nothing, prove.RuleOutput, "under another tag than its own"},
	{"h1", "network alice/default", "table=110, priority=100,metadata=0x700000070", "table=110, priority=100,metadata=0x700000000/0xffffffff00000000", prove.RuleOutput, "it does not know the network of"},
	{"h1", "port alice/default/a3", "set_field:172.30.0.2->tun_dst", "set_field:172.30.0.9->tun_dst", prove.RuleOutput, "a tunnel address that is no other host's"},
	{"h1", "port alice/default/a3", "set_field:172.30.0.2->tun_dst", "set_field:172.30.0.1->tun_dst", prove.RuleOutput, "a tunnel address that is no other host's"},
	{"h1", "network alice/default", "clone(set_field:172.30.0.2->tun_dst", "clone(set_field:203.0.113.1->tun_dst", prove.RuleOutput, "a tunnel address that is no other host's"},
	{"h1", "base", "ip,nw_src=100.64.0.0/10", "ip", prove.RuleOutput, "whose source is no transit address"},
	{"h1", "base", "table=110, priority=200,reg0=0x2", "", prove.RuleRefused, "what came by tunnel, which would circle"},
	{"h1", "base", "table=110, priority=200,reg0=0x2", "table=110, priority=100,reg0=0x2", prove.RuleRefused, "what came by tunnel, which would circle"},

	// What nobody may leave to.
	{"h1", "base", "table=54, priority=200,ip,nw_dst=192.0.2.0/24", "", prove.RuleRefused, "it passes connections to 192.0.2.0/24, which is of the infrastructure"},
	{"h1", "base", "table=54, priority=200,ip,nw_dst=192.0.2.0/24", "table=54, priority=200,ip,nw_dst=192.0.2.0/25", prove.RuleRefused, "it passes connections to 192.0.2.0/24"},
	{"h1", "peer h3", "table=54, priority=190,ip,nw_dst=172.30.0.3", "table=54, priority=90,ip,nw_dst=172.30.0.3", prove.RuleRefused, "it passes connections to 172.30.0.3/32"},
	{"h1", "tenant alice", "table=54, priority=100", "table=54, priority=195", prove.RuleRefused, "it passes connections to 172.30.0"},
	{"h1", "base", "nw_dst=169.254.0.0/16", "", prove.RuleRefused, "frames to 169.254.0.0/16"},
	{"h1", "base", "table=40, priority=250,ip,dl_dst=02:00:5e:00:01:01,nw_dst=100.64.0.0/10", "", prove.RuleRefused, "frames to the transit range 100.64.0.0/10"},
	{"h1", "tenant alice", "table=40, priority=100,ip,metadata=0x700000000/0xffffffff00000000,dl_dst=02:00:5e:00:01:01", "table=40, priority=100,ip,metadata=0x700000000/0xffffffff00000000", prove.RuleRefused, "no flow refuses them"},
	{"h1", "base", "table=52, priority=200,reg0=0x3", "", prove.RuleRefused, "what comes from outside without a connection"},
	{"h1", "base", "table=52, priority=200,reg0=0x3", "table=52, priority=100,reg0=0x3", prove.RuleRefused, "what comes from outside without a connection"},

	// The hosts of a gateway.
	{"h1", "tenant carol", "", "table=40,priority=100,ip,metadata=0xa00000000/0xffffffff00000000,dl_dst=02:00:5e:00:01:01 actions=goto_table:50", prove.RuleGateway, "egress of tenant carol through this host, which is no gateway host of it"},
	{"h1", "tenant carol", "", "table=50,priority=100,ip,metadata=0xa00000000/0xffffffff00000000 actions=ct(table=51,zone=20,nat)", prove.RuleGateway, "no gateway host"},
	{"h1", "tenant carol", "", "priority=100,ip,in_port=200,nw_dst=100.64.0.10 actions=load:0x3->NXM_NX_REG0[],write_metadata:0xa00000000,goto_table:50", prove.RuleGateway, "no gateway host"},
	{"h1", "tenant alice", "tun_src=172.30.0.2,metadata=0x700000000/0xffffffff00000000,dl_dst=02:00:5e:00:01:02", "tun_src=172.30.0.3,metadata=0x700000000/0xffffffff00000000,dl_dst=02:00:5e:00:01:02", prove.RuleGateway, "says of frames that another gateway host of tenant alice asks for them"},
	{"h1", "tenant alice", "dl_dst=02:00:5e:00:01:02 actions=load:0x4->NXM_NX_REG0[],goto_table:50", "dl_dst=02:00:5e:00:01:03 actions=load:0x4->NXM_NX_REG0[],goto_table:50", prove.RuleGateway, "says of frames that another gateway host of tenant alice asks for them"},
	{"h1", "tenant alice", "tun_src=172.30.0.2,metadata=0x700000000/0xffffffff00000000,dl_dst=02:00:5e:00:01:03 actions=goto_table:54", "tun_src=172.30.0.3,metadata=0x700000000/0xffffffff00000000,dl_dst=02:00:5e:00:01:03 actions=goto_table:54", prove.RuleGateway, "no other of tenant alice's gateway hosts sent back"},
	{"h1", "tenant alice", "tun_src=172.30.0.2,metadata=0x700000000/0xffffffff00000000,dl_dst=02:00:5e:00:01:03 actions=goto_table:54", "tun_src=172.30.0.2,metadata=0x700000000/0xffffffff00000000,dl_dst=02:00:5e:00:01:31 actions=goto_table:54", prove.RuleGateway, "no other of tenant alice's gateway hosts sent back"},
	{"h1", "tenant alice", "set_field:02:00:5e:00:01:02->eth_dst,set_field:172.30.0.2->tun_dst,goto_table:110", "set_field:02:00:5e:00:01:02->eth_dst,set_field:172.30.0.3->tun_dst,goto_table:110", prove.RuleGateway, "not to one of its gateway hosts"},
	{"h1", "tenant alice", "set_field:02:00:5e:00:01:02->eth_dst,set_field:172.30.0.2->tun_dst,goto_table:110", "set_field:02:00:5e:00:01:31->eth_dst,set_field:172.30.0.2->tun_dst,goto_table:110", prove.RuleGateway, "not to one of its gateway hosts"},
	{"h1", "tenant alice", "", "table=40,priority=110,ip,reg0=0x2,tun_src=172.30.0.3,metadata=0x700000000/0xffffffff00000000,dl_dst=02:00:5e:00:01:03 actions=load:0x4->NXM_NX_REG0[],load:0xffff->NXM_OF_IN_PORT[],set_field:02:00:5e:00:01:02->eth_dst,set_field:172.30.0.2->tun_dst,goto_table:110", prove.RuleGateway, "that none of its other gateway hosts sent back"},
	{"h2", "tenant alice", "set_field:172.30.0.1->tun_dst,goto_table:110", "set_field:172.30.0.3->tun_dst,goto_table:110", prove.RuleGateway, "not to one of its gateway hosts"},
	{"h2", "tenant alice", "tun_src=172.30.0.1,metadata", "tun_src=172.30.0.3,metadata", prove.RuleRefused, "which no tenant may leave to"},
	{"h1", "tenant alice", "load:0x4->NXM_NX_REG0[]", "load:0x1->NXM_NX_REG0[]", prove.RuleGateway, "does not say so, so that they could circle"},
	{"h1", "tenant bob", "", "table=52,priority=130,ct_state=+new+trk,ip,metadata=0x900000000/0xffffffff00000000 actions=load:0x4->NXM_NX_REG0[],load:0xffff->NXM_OF_IN_PORT[],set_field:02:00:5e:00:01:02->eth_dst,set_field:172.30.0.2->tun_dst,goto_table:110", prove.RuleGateway, "its gateway does not move"},
	{"h1", "tenant alice", "priority=130,ct_state=+new+trk,ip,reg0=0x1,", "priority=130,ct_state=+new+trk,ip,", prove.RuleGateway, "counts frames as sent by a container here that came from elsewhere"},
	{"h1", "base", "table=52, priority=210,ct_state=+est-inv+trk,ip,reg0=0x3", "table=52, priority=210,ct_state=+trk,ip,reg0=0x3", prove.RuleGateway, "connections that conntrack does not know"},
	{"h1", "base", "table=52, priority=210,ct_state=+est-inv+trk,ip,reg0=0x3", "table=52, priority=210,ct_state=+est-inv+trk,ip", prove.RuleGateway, "answers from outside that did not come from the kernel"},
	{"h1", "base", "table=52, priority=150,ct_state=+est-inv+trk", "table=52, priority=150,ct_state=+est+trk", prove.RuleGateway, "connections that conntrack does not know"},
	{"h1", "base", "table=52, priority=120,ct_state=+new-inv+trk", "table=52, priority=120,ct_state=-inv+trk", prove.RuleGateway, "not known to be new"},

	// What nobody changes on the way.
	{"h1", "tenant alice", "set_field:10.1.0.1->ip_src", "set_field:10.9.0.1->ip_src", prove.RuleSpoof, "a source that is no router of tenant alice"},
	{"h1", "base", "set_field:02:00:5e:00:01:01->eth_src,goto_table:60", "set_field:02:00:00:00:00:13->eth_src,goto_table:60", prove.RuleSpoof, "a source MAC that is not 02:00:5e:00:01:01"},
	{"h1", "port alice/default/a1", "load:0x65->NXM_NX_REG2[],goto", "load:0x65->NXM_NX_REG2[],set_field:10.0.0.13->ip_src,goto", prove.RuleSpoof, "it changes ip_src"},
	{"h1", "base", "set_field:02:00:5e:00:01:04->eth_dst,load", "set_field:172.30.0.2->ip_dst,set_field:02:00:5e:00:01:04->eth_dst,load", prove.RuleSpoof, "it changes ip_dst"},

	{"h1", "base", "set_field:02:00:5e:00:01:01->eth_src,goto_table:60", "set_field:02:00:5e:00:01:04->eth_src,goto_table:60", prove.RuleSpoof, "a source MAC that is not 02:00:5e:00:01:01"},
	{"h1", "base", "set_field:02:00:5e:00:01:04->eth_src,goto_table:60", "set_field:02:00:5e:00:01:01->eth_src,goto_table:60", prove.RuleSpoof, "a source MAC that is not 02:00:5e:00:01:04"},

	// What is published.
	{"h1", "publication bob/tcp-8080-8081", "nat(dst=10.0.0.13:80)", "nat(dst=10.0.0.11:80)", prove.RuleWrites, "to another container or port than publication bob/tcp-8080-8081 leads to"},
	{"h1", "publication bob/tcp-8080-8081", "nat(dst=10.0.0.13:80)", "nat(dst=10.0.0.13:22)", prove.RuleWrites, "to another container or port than publication bob/tcp-8080-8081 leads to"},
	{"h1", "publication bob/tcp-8080-8081", "nat(dst=10.0.0.13:80)", "nat(src=100.64.0.9)", prove.RuleWrites, "to another container or port than publication bob/tcp-8080-8081 leads to"},
	{"h1", "publication bob/tcp-8080-8081", "tp_dst=8080 ", "tp_dst=8082 ", prove.RuleGateway, "what publication bob/tcp-8080-8081 does not publish"},
	{"h1", "publication bob/tcp-8080-8081", ",tp_dst=8080 ", " ", prove.RuleGateway, "what publication bob/tcp-8080-8081 does not publish"},
	{"h1", "publication bob/tcp-8080-8081", "ct_state=+new-inv+trk,tcp,reg0=0x3,", "ct_state=+new-inv+trk,tcp,", prove.RuleGateway, "what publication bob/tcp-8080-8081 does not publish"},
	{"h1", "publication bob/tcp-8080-8081", "nw_dst=100.64.0.9,tp_dst=8080", "nw_dst=100.64.0.7,tp_dst=8080", prove.RuleGateway, "what publication bob/tcp-8080-8081 does not publish"},
	{"h1", "publication bob/tcp-8080-8081", "exec(set_field:0x1e->ct_mark)", "exec(set_field:0x9->ct_mark)", prove.RuleWrites, "without the mark of publication bob/tcp-8080-8081"},
	{"h1", "publication bob/tcp-8080-8081", "zone=18", "zone=14", prove.RuleWrites, "a conntrack zone that is not tenant bob's"},
	{"h1", "publication bob/tcp-8080-8081", "table=51, priority=100,ct_mark=0x1e,", "table=51, priority=100,ct_mark=0x1f,", prove.RuleWrites, "without the mark of the publication"},
	{"h1", "publication bob/tcp-8080-8081", "ct_state=-inv+trk,ct_mark=0x1e,ip,reg0=0x3,", "ct_state=-inv+trk,ct_mark=0x1e,ip,", prove.RuleGateway, "did not come from the kernel"},
	{"h1", "publication bob/tcp-8080-8081", "set_field:02:00:5e:00:01:07->eth_src,goto_table:60", "set_field:02:00:5e:00:01:04->eth_src,goto_table:60", prove.RuleSpoof, "a source MAC that is not 02:00:5e:00:01:07"},
	{"h1", "publication bob/tcp-8080-8081", "eth_src,goto_table:60", "eth_src,goto_table:54", prove.RuleAction, "where no flow of a publication's goes"},
	// What a port publishes itself leads to that port, under a mark of its own.
	{"h1", "publication bob/tcp-8443-of-b4", "nat(dst=10.2.0.14:443)", "nat(dst=10.2.0.16:443)", prove.RuleWrites, "to another container or port than publication bob/tcp-8443-of-b4 leads to"},
	{"h1", "publication bob/tcp-8443-of-b4", "exec(set_field:0x892c2003->ct_mark)", "exec(set_field:0x1e->ct_mark)", prove.RuleWrites, "without the mark of publication bob/tcp-8443-of-b4"},
	{"h1", "publication bob/tcp-8443-of-b4", "tp_dst=8443 ", "tp_dst=8444 ", prove.RuleGateway, "what publication bob/tcp-8443-of-b4 does not publish"},
	{"h1", "tenant bob", "", "table=52,priority=205,ct_state=+new-inv+trk,tcp,reg0=0x3,metadata=0x900000000/0xffffffff00000000,nw_dst=100.64.0.9,tp_dst=22 actions=set_field:02:00:5e:00:01:04->eth_src,ct(commit,table=60,zone=18,nat(dst=10.0.0.13:22),exec(set_field:0x9->ct_mark))", prove.RuleWrites, "under another source than its transit address"},

	// What crosses between peered tenants.
	{"h1", "peering alice/bob", "write_metadata:0x900000091", "write_metadata:0x900000090", prove.RuleWrites, "it makes frames of network alice/back those of network bob/default, and no peering lets these reach each other"},
	{"h1", "peering alice/bob", "write_metadata:0x900000091", "write_metadata:0xa000000a0", prove.RuleOwner, "its cookie is of a peering with tenant bob, and it makes frames tenant carol's"},
	{"h1", "peering alice/bob", "write_metadata:0x900000091", "write_metadata:0x900000071", prove.RuleWrites, "a network that is not there"},
	{"h1", "peering alice/bob", "write_metadata:0x900000091", "write_metadata:0x900000000/0xffffffff00000000", prove.RuleWrites, "a network that is not there"},
	{"h1", "peering alice/bob", "metadata=0x700000071", "metadata=0x700000070", prove.RuleWrites, "frames of network alice/default those of network bob/wide, and no peering"},
	{"h1", "peering alice/bob", "metadata=0x700000071", "metadata=0x700000000/0xffffffff00000000", prove.RuleWrites, "does not name the two networks"},
	{"h1", "peering alice/bob", "metadata=0x700000071", "metadata=0xa000000a0", prove.RuleOwner, "its cookie is that of tenant alice, and it passes frames of tenant carol"},
	{"h1", "peering alice/bob", "nw_src=10.1.0.0/24", "nw_src=10.0.0.0/15", prove.RuleSpoof, "from or to an address that is not of these two"},
	{"h1", "peering alice/bob", "nw_src=10.1.0.0/24,", nothing, prove.RuleSpoof, "from or to an address that is not of these two"},
	{"h1", "peering alice/bob", "nw_dst=10.2.0.0/24", "nw_dst=10.2.0.0/23", prove.RuleSpoof, "from or to an address that is not of these two"},
	{"h1", "peering alice/bob", "reg0=0x1,", nothing, prove.RuleWrites, "that no container here sent"},
	{"h1", "peering alice/bob", "load:0x7->NXM_NX_REG5[]", "load:0x9->NXM_NX_REG5[]", prove.RuleWrites, "so that another would be charged"},
	{"h1", "peering alice/bob", "goto_table:46", "goto_table:60", prove.RuleAction, "from table route to table l3_resolve, where no flow of a peering's goes"},
	{"h1", "peering alice/bob", "", "table=80,priority=100,metadata=0x700000071,dl_dst=02:00:00:00:02:16 actions=load:0x6a->NXM_NX_REG2[],goto_table:90", prove.RuleAction, "where no flow of a peering's goes"},
	{"h1", "port alice/back/a2", "", "table=40,priority=175,ip,reg0=0x1,metadata=0x700000071,nw_src=10.1.0.0/24,nw_dst=10.2.0.0/24 actions=write_metadata:0x900000091,goto_table:46", prove.RuleWrites, "it changes metadata on the way from table route to table hop"},
	{"h1", "tenant alice", "", "table=40,priority=175,ip,metadata=0x700000071 actions=load:0x9->NXM_NX_REG5[],goto_table:46", prove.RuleWrites, "it changes reg5 on the way from table route to table hop"},
	{"h1", "port bob/wide/b6", "load:0x6a->NXM_NX_REG2[],goto", "load:0x68->NXM_NX_REG2[],goto", prove.RuleWrites, "to port bob/default/b1 that may be of another network than its own"},
	{"h1", "port bob/wide/b6", "table=80, priority=100,metadata=0x900000091", "table=80, priority=100,metadata=0x900000000/0xffffffff00000000", prove.RuleWrites, "to port bob/wide/b6 that may be of another network than its own"},
	{"h1", "port bob/wide/b6", "load:0x900000091->OXM_OF_METADATA[]", "load:0x900000090->OXM_OF_METADATA[]", prove.RuleWrites, "it lets packets to an address that is none of network bob/default's enter it"},
	{"h1", "port bob/wide/b6", "nw_dst=10.2.0.16 actions", "nw_dst=10.2.0.0/15 actions", prove.RuleWrites, "an address that is none of network bob/wide's"},
	{"h1", "port bob/wide/b6", "set_field:02:00:00:00:02:16->eth_dst", "set_field:02:00:5e:00:01:01->eth_dst", prove.RuleWrites, "a destination MAC that no container can have"},
	{"h1", "port bob/wide/b6", "set_field:02:00:00:00:02:16->eth_dst,", nothing, prove.RuleWrites, "a destination MAC that no container can have"},
	{"h1", "tenant bob", "", "table=40,priority=100,ip,metadata=0x900000000/0xffffffff00000000,dl_dst=02:00:00:00:02:16,nw_dst=10.2.0.16 actions=goto_table:50", prove.RuleGateway, "that are not for its router"},
	{"h1", "tenant alice", "reg5=0x7", "reg5=0x9", prove.RuleOwner, "its cookie is that of tenant alice, and it passes frames of tenant bob"},
	{"h1", "tenant alice", "table=90, send_flow_rem priority=100,reg0=0x1,reg4=0x2,reg5=0x7", "table=92, priority=100,reg0=0x1,reg4=0x2,reg5=0x7", prove.RuleOwner, "it passes frames of any tenant"},
	{"h1", "base", "set_field:02:00:5e:00:01:06->eth_src,goto_table:60", "set_field:02:00:5e:00:01:04->eth_src,goto_table:60", prove.RuleSpoof, "a source MAC that is not 02:00:5e:00:01:06"},
	{"h1", "base", "table=46, priority=95,ip,reg4=0x2", "table=46, priority=95,ip", prove.RuleSpoof, "a source MAC that is not 02:00:5e:00:01:01"},

	// How the resolver is asked, and answers.
	{"h1", "resolver", "in_port=300,vlan_tci=0x0000/0x1000,nw_src", "in_port=4,vlan_tci=0x0000/0x1000,nw_src", prove.RuleEntry, "from a port that is not the resolver's"},
	{"h1", "resolver", "in_port=300,vlan_tci=0x0000/0x1000,nw_src", "in_port=300,nw_src", prove.RuleEntry, "that the resolver does not send from a desk"},
	{"h1", "resolver", "nw_src=240.53.0.0/16 ", "nw_src=240.52.0.0/14 ", prove.RuleEntry, "that the resolver does not send from a desk"},
	{"h1", "resolver", "ip,in_port=300,vlan_tci=0x0000/0x1000,nw_src=240.53.0.0/16 ", "ip,in_port=300,vlan_tci=0x0000/0x1000 ", prove.RuleEntry, "that the resolver does not send from a desk"},
	{"h1", "resolver", "ipv6_src=fd73:6c75:6963:65:1::/96 ", "ipv6_src=fd73:6c75:6963:65::/80 ", prove.RuleEntry, "that the resolver does not send from a desk"},
	{"h1", "resolver", "set_field:169.254.53.53->ip_src", "set_field:10.0.0.13->ip_src", prove.RuleEntry, "another address than the resolver's"},
	{"h1", "resolver", ",set_field:169.254.53.53->ip_src", nothing, prove.RuleEntry, "another address than the resolver's"},
	{"h1", "resolver", "load:0x5->NXM_NX_REG0[]", "load:0x1->NXM_NX_REG0[]", prove.RuleEntry, "does not say of the resolver's answers that they came from there"},
	{"h1", "resolver", "load:0->OXM_OF_METADATA[]", "load:0x70->OXM_OF_METADATA[]", prove.RuleEntry, "metadata that is not of the tenant from whose desk they come"},
	{"h1", "resolver", "load:0->OXM_OF_METADATA[],", nothing, prove.RuleEntry, "metadata that is not of the tenant from whose desk they come"},
	{"h1", "resolver", "load:0->OXM_OF_METADATA[],move:NXM_OF_IP_SRC[0..15]->OXM_OF_METADATA[32..47]", "move:NXM_OF_IP_SRC[0..15]->OXM_OF_METADATA[32..47],load:0->OXM_OF_METADATA[]", prove.RuleEntry, "metadata that is not of the tenant from whose desk they come"},
	{"h1", "resolver", "move:NXM_OF_IP_SRC[0..15]->OXM_OF_METADATA[32..47],", nothing, prove.RuleEntry, "metadata that is not of the tenant from whose desk they come"},
	{"h1", "resolver", "load:0->OXM_OF_METADATA[],move:NXM_OF_IP_SRC[0..15]->OXM_OF_METADATA[32..47]", "load:0x700000000->OXM_OF_METADATA[]", prove.RuleEntry, "metadata that is not of the tenant from whose desk they come"},
	{"h1", "resolver", "move:NXM_OF_IP_SRC[0..15]->OXM_OF_METADATA[32..47]", "move:NXM_OF_IP_SRC[0..14]->OXM_OF_METADATA[32..46]", prove.RuleEntry, "metadata that is not of the tenant from whose desk they come"},
	{"h1", "resolver", "move:NXM_OF_IP_SRC[0..15]->OXM_OF_METADATA[32..47]", "move:NXM_OF_IP_SRC[0..15]->OXM_OF_METADATA[33..48]", prove.RuleEntry, "metadata that is not of the tenant from whose desk they come"},
	{"h1", "resolver", "move:NXM_OF_IP_SRC[0..15]->OXM_OF_METADATA[32..47]", "move:NXM_OF_IP_SRC[1..16]->OXM_OF_METADATA[32..47]", prove.RuleEntry, "metadata that is not of the tenant from whose desk they come"},
	{"h1", "resolver", "move:NXM_OF_IP_SRC[0..15]->OXM_OF_METADATA[32..47]", "move:NXM_OF_IP_DST[0..15]->OXM_OF_METADATA[32..47]", prove.RuleEntry, "metadata that is not of the tenant from whose desk they come"},
	{"h1", "resolver", "move:NXM_OF_IP_SRC[0..15]->OXM_OF_METADATA[32..47]", "set_field:240.53.0.9->ip_src,move:NXM_OF_IP_SRC[0..15]->OXM_OF_METADATA[32..47]", prove.RuleEntry, "metadata that is not of the tenant from whose desk they come"},
	{"h1", "tenant bob", "", "priority=101,ip,in_port=300,vlan_tci=0x0000/0x1000,nw_src=240.53.0.7 actions=load:0x5->NXM_NX_REG0[],set_field:02:00:5e:00:01:01->eth_src,set_field:169.254.53.53->ip_src,write_metadata:0x700000000,goto_table:60", prove.RuleAction, "from table classify to table l3_resolve, where no flow of a tenant's goes"},
	{"h1", "resolver", "set_field:02:00:5e:00:01:01->eth_src,set_field:169", "set_field:02:00:00:00:00:13->eth_src,set_field:169", prove.RuleSpoof, "a source MAC that is not 02:00:5e:00:01:01"},
	{"h1", "resolver", "set_field:240.53.0.0->ip_dst", "set_field:240.54.0.0->ip_dst", prove.RuleWrites, "to another desk than that of the tenant"},
	{"h1", "resolver", "set_field:240.53.0.0->ip_dst,", nothing, prove.RuleWrites, "to another desk than that of the tenant"},
	{"h1", "resolver", "set_field:240.53.0.0->ip_dst,move:OXM_OF_METADATA[32..47]->NXM_OF_IP_DST[0..15]", "set_field:240.53.0.9->ip_dst", prove.RuleWrites, "to another desk than that of the tenant"},
	{"h1", "resolver", "set_field:240.53.0.0->ip_dst,move:OXM_OF_METADATA[32..47]->NXM_OF_IP_DST[0..15]", "move:OXM_OF_METADATA[32..47]->NXM_OF_IP_DST[0..15],set_field:240.53.0.9->ip_dst", prove.RuleWrites, "to another desk than that of the tenant"},
	{"h1", "resolver", "move:OXM_OF_METADATA[32..47]->NXM_OF_IP_DST[0..15]", "move:OXM_OF_METADATA[32..47]->NXM_OF_IP_DST[0..15],load:0x9->NXM_OF_IP_DST[0..3]", prove.RuleWrites, "to another desk than that of the tenant"},
	{"h1", "resolver", "move:OXM_OF_METADATA[32..47]->NXM_OF_IP_DST[0..15]", "move:OXM_OF_METADATA[0..15]->NXM_OF_IP_DST[0..15]", prove.RuleWrites, "to another desk than that of the tenant"},
	{"h1", "resolver", "move:OXM_OF_METADATA[32..47]->NXM_OF_IP_DST[0..15]", "move:OXM_OF_METADATA[32..47]->NXM_OF_IP_DST[1..16]", prove.RuleWrites, "to another desk than that of the tenant"},
	{"h1", "resolver", "move:OXM_OF_METADATA[32..47]->NXM_OF_IP_DST[0..15]", "move:OXM_OF_METADATA[32..39]->NXM_OF_IP_DST[0..7]", prove.RuleWrites, "to another desk than that of the tenant"},
	{"h1", "resolver", "move:OXM_OF_METADATA[32..47]->NXM_OF_IP_DST[0..15]", "move:NXM_OF_IP_SRC[0..15]->NXM_OF_IP_DST[0..15]", prove.RuleWrites, "to another desk than that of the tenant"},
	{"h1", "resolver", "move:OXM_OF_METADATA[32..63]->NXM_NX_IPV6_DST[0..31]", "move:OXM_OF_METADATA[0..31]->NXM_NX_IPV6_DST[0..31]", prove.RuleWrites, "to another desk than that of the tenant"},
	{"h1", "resolver", "set_field:02:00:5e:00:01:05->eth_dst", "set_field:02:00:5e:00:01:04->eth_dst", prove.RuleSpoof, "a MAC that is not the resolver's"},
	{"h1", "resolver", "nw_dst=169.254.53.53,tp_dst=53 ", "nw_dst=169.254.53.53 ", prove.RuleOutput, "no questions for names"},
	{"h1", "resolver", "nw_dst=169.254.53.53,tp_dst=53 ", "nw_dst=169.254.53.53,tp_dst=80 ", prove.RuleOutput, "no questions for names"},
	{"h1", "resolver", "nw_dst=169.254.53.53,tp_dst=53 ", "nw_dst=169.254.53.0/24,tp_dst=53 ", prove.RuleOutput, "no questions for names"},
	{"h1", "resolver", "udp,reg0=0x1,dl_dst", "udp,dl_dst", prove.RuleOutput, "that no container here sent"},
	{"h1", "resolver", "udp,reg0=0x1,dl_dst", "udp,reg0=0x2,dl_dst", prove.RuleOutput, "that no container here sent"},
	{"h1", "resolver", "NXM_OF_IP_DST[0..15],load:0xfffffffe", "NXM_OF_IP_DST[0..15],load:0x65", prove.RuleOwner, "it sends frames of any tenant on from here, and not to the resolver"},
	{"h1", "resolver", "NXM_OF_IP_DST[0..15],load:0xfffffffe->NXM_NX_REG2[]", "NXM_OF_IP_DST[0..15]", prove.RuleOwner, "it sends frames of any tenant on from here, and not to the resolver"},
	{"h1", "tenant alice", "", "table=40,priority=281,udp,reg0=0x1,metadata=0x700000000/0xffffffff00000000,dl_dst=02:00:5e:00:01:01,nw_dst=169.254.53.53,tp_dst=53 actions=set_field:02:00:5e:00:01:01->eth_src,set_field:02:00:5e:00:01:05->eth_dst,set_field:240.53.0.9->ip_dst,load:0xfffffffe->NXM_NX_REG2[],goto_table:90", prove.RuleSpoof, "it changes eth_src on the way from table route to table account_out"},
	{"h1", "tenant alice", "", "table=40,priority=281,ip,reg0=0x1,metadata=0x700000000/0xffffffff00000000,nw_dst=10.1.0.0/24 actions=load:0x68->NXM_NX_REG2[],goto_table:90", prove.RuleWrites, "it changes reg2 on the way from table route to table account_out"},
	{"h1", "tenant alice", "", "table=40,priority=281,ip,reg0=0x1,metadata=0x700000000/0xffffffff00000000,nw_dst=10.1.0.0/24 actions=set_field:172.30.0.2->tun_dst,set_field:10.9.0.1->ip_dst,goto_table:90", prove.RuleSpoof, "it changes ip_dst on the way from table route to table account_out"},
	{"h1", "port alice/default/a1", "load:0x65->NXM_NX_REG2[],goto", "load:0xfffffffe->NXM_NX_REG2[],goto", prove.RuleWrites, "to the resolver that nobody knows to be questions"},
	{"h1", "resolver", "output:300", "output:4", prove.RuleOutput, "questions for the resolver to OpenFlow port 4, which is that of port bob/default/b1"},
	{"h1", "resolver", "arp_tpa=169.254.53.53", "arp_tpa=169.254.0.0/16", prove.RuleOwner, "nor one for the resolver"},
	{"h1", "resolver", "arp,reg0=0x1,", "arp,", prove.RuleOwner, "nor one for the resolver"},
	{"h1", "resolver", "set_field:02:00:5e:00:01:01->eth_src,goto_table:44", "set_field:02:00:00:00:00:13->eth_src,goto_table:44", prove.RuleOwner, "nor one for the resolver"},
	{"h1", "resolver", "", "table=40,priority=281,udp,reg0=0x1,dl_dst=02:00:5e:00:01:01,nw_dst=169.254.53.53,tp_dst=53 actions=clone(goto_table:46),set_field:02:00:5e:00:01:01->eth_src,set_field:02:00:5e:00:01:05->eth_dst,set_field:240.53.0.0->ip_dst,move:OXM_OF_METADATA[32..47]->NXM_OF_IP_DST[0..15],load:0xfffffffe->NXM_NX_REG2[],goto_table:90", prove.RuleRefused, "frames to 169.254.0.0/16"},
	{"h1", "tenant alice", "", "table=40,priority=281,udp,reg0=0x1,metadata=0x700000000/0xffffffff00000000,dl_dst=02:00:5e:00:01:01,nw_dst=169.254.53.53,tp_dst=53 actions=set_field:172.30.0.2->tun_dst,goto_table:90", prove.RuleRefused, "frames to 169.254.0.0/16"},

	// What the switch answers.
	{"h1", "port alice/default/a1", "arp_tpa=10.0.0.11,arp_op=1", "arp_tpa=10.0.0.13,arp_op=1", prove.RuleSpoof, "it answers in network alice/default with MAC 02:00:00:00:00:11 for an address of another"},
	{"h1", "port alice/default/a1", "arp_tpa=10.0.0.11,arp_op=1", "arp_op=1", prove.RuleSpoof, "it answers in network alice/default with MAC 02:00:00:00:00:11 for an address of another"},
	{"h1", "port alice/default/a1", "arp_tpa=10.0.0.11,arp_op=1", "arp_tpa=10.0.0.11", prove.RuleSpoof, "for an address of another"},
	{"h1", "port alice/default/a3", "set_field:02:00:00:00:00:13->eth_src", "set_field:02:00:00:00:00:11->eth_src", prove.RuleSpoof, "with MAC 02:00:00:00:00:11 for an address of another"},
	{"h1", "port alice/default/a3", "set_field:02:00:00:00:00:13->eth_src", "set_field:02:66:00:00:00:66->eth_src", prove.RuleSpoof, "with MAC 02:66:00:00:00:66 for an address of another"},
	{"h1", "port alice/default/a3", "set_field:02:00:00:00:00:13->eth_src,", nothing, prove.RuleSpoof, "with a MAC that is not known"},
	{"h1", "port alice/default/a3", "set_field:02:00:00:00:00:13->eth_src", "set_field:10.0.0.11->arp_tpa,set_field:02:00:00:00:00:13->eth_src", prove.RuleSpoof, "another question than the one that was asked"},
	{"h1", "port alice/default/a3", "arp,metadata=0x700000070,arp_tpa", "arp,metadata=0x700000000/0xffffffff00000000,arp_tpa", prove.RuleSpoof, "questions of a network that it does not know"},
	{"h1", "network alice/default", "arp_tpa=10.0.0.1,arp_op=1", "arp_tpa=10.0.0.0/24,arp_op=1", prove.RuleSpoof, "with MAC 02:00:5e:00:01:01 for an address of another"},
	{"h1", "network alice/default", "nd_target=fd00::1 ", "nd_target=fd00::13 ", prove.RuleSpoof, "another question than the one that was asked"},
	{"h1", "network alice/default", "set_field:fd00::1->ipv6_src", "set_field:fd00::13->ipv6_src", prove.RuleSpoof, "another question than the one that was asked"},
	{"h1", "port alice/default/a1", "", "table=30,priority=300,icmp6,metadata=0x700000070,icmp_type=135,icmp_code=0,nd_target=fd00::13 actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:02:00:00:00:00:11->eth_src,move:NXM_NX_IPV6_SRC[]->NXM_NX_IPV6_DST[],set_field:fd00::13->ipv6_src,set_field:136->icmpv6_type,goto_table:44", prove.RuleSpoof, "for an address of another"},
	{"h1", "port alice/default/a1", "", "table=30,priority=300,arp,metadata=0x700000070,arp_tpa=10.0.0.1,arp_op=1 actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:02:00:5e:00:01:01->eth_src,goto_table:44", prove.RuleSpoof, "for an address of another"},
	{"h1", "base", "move:NXM_OF_ETH_SRC[]->NXM_NX_ARP_SHA[]", "set_field:02:00:00:00:00:11->arp_sha", prove.RuleSpoof, "a MAC or an address that is not of whom was asked for"},
	{"h1", "base", "push:NXM_OF_ARP_TPA[],move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],pop:NXM_OF_ARP_SPA[]", "set_field:10.0.0.13->arp_spa", prove.RuleSpoof, "a MAC or an address that is not of whom was asked for"},
	{"h1", "base", "table=44, priority=100,arp actions=", "table=44, priority=100,arp actions=set_field:02:00:00:00:00:11->eth_src,", prove.RuleSpoof, "a MAC or an address that is not of whom was asked for"},
	{"h1", "base", "table=44, priority=100,arp ", "table=44, priority=100 ", prove.RuleSpoof, "a MAC or an address that is not of whom was asked for"},
	{"h1", "base", "set_field:02:00:5e:00:01:01->nd_tll", "set_field:02:00:00:00:00:11->nd_tll", prove.RuleSpoof, "a MAC or an address that is not of whom was asked for"},
	{"h1", "base", "set_field:02:00:5e:00:01:01->eth_src,push:NXM_OF_IP_SRC[]", "set_field:02:00:00:00:00:13->eth_src,push:NXM_OF_IP_SRC[]", prove.RuleSpoof, "a MAC or an address that is not of whom was asked for"},
	{"h1", "base", "move:NXM_OF_IP_DST[]->NXM_OF_IP_SRC[]", "set_field:10.0.0.13->ip_src", prove.RuleSpoof, "a MAC or an address that is not of whom was asked for"},
	{"h1", "base", "move:NXM_NX_IPV6_DST[]->NXM_NX_IPV6_SRC[]", "set_field:fd00::13->ipv6_src", prove.RuleSpoof, "a MAC or an address that is not of whom was asked for"},
	{"h1", "network alice/default", "nw_dst=10.0.0.1,icmp_type=8,icmp_code=0", "nw_dst=10.0.0.1", prove.RuleSpoof, "no echo requests"},
	{"h1", "network alice/default", "icmp_type=128,icmp_code=0", "icmp_type=136,icmp_code=0", prove.RuleSpoof, "no echo requests"},
	{"h1", "peering alice/bob", "icmp_type=8,icmp_code=0", "icmp_type=0,icmp_code=0", prove.RuleSpoof, "no echo requests"},

	// Past what a table refuses: by a connection that is opened on the side, by the marks of gateway hosts, as an answer.
	{"h1", "tenant alice", "", "table=54,priority=300,ip,metadata=0x700000000/0xffffffff00000000,nw_dst=192.0.2.0/24 actions=ct(commit,zone=14,nat(src=100.64.0.7),exec(set_field:0x6->ct_mark))", prove.RuleAction, "goes nowhere with it"},
	{"h1", "tenant alice", "", "table=30,priority=300,ip,metadata=0x700000000/0xffffffff00000000,nw_dst=192.0.2.0/24 actions=ct(commit,zone=14,nat(src=100.64.0.7),exec(set_field:0x6->ct_mark)),goto_table:40", prove.RuleAction, "goes nowhere with it"},
	{"h1", "network alice/default", "", "table=80,priority=300,metadata=0x700000070,dl_dst=02:00:5e:00:01:02 actions=set_field:172.30.0.2->tun_dst,goto_table:90", prove.RuleGateway, "that gateway hosts ask each other for"},
	{"h1", "network alice/default", "", "table=80,priority=300,metadata=0x700000070,dl_dst=02:00:5e:00:01:03 actions=set_field:172.30.0.2->tun_dst,resubmit(,92)", prove.RuleGateway, "that gateway hosts ask each other for"},
	{"h1", "network alice/default", "", "table=80,priority=300,reg0=0x1,metadata=0x700000070 actions=set_field:fd30::2->tun_ipv6_dst,goto_table:110", prove.RuleGateway, "that gateway hosts ask each other for"},
	{"h1", "tenant alice", "", "table=40,priority=300,ip,reg0=0x1,metadata=0x700000000/0xffffffff00000000,dl_dst=02:00:5e:00:01:01,nw_dst=10.0.0.0/24 actions=load:0x3->NXM_NX_REG0[],goto_table:50", prove.RuleGateway, "that they came from elsewhere"},
	{"h1", "tenant bob", "", "table=60,priority=300,ip,metadata=0x900000000/0xffffffff00000000,nw_dst=10.2.0.16 actions=goto_table:80", prove.RuleWrites, "in a network that it does not know"},
	{"h1", "tenant bob", "", "table=60,priority=300,ip,metadata=0x900000091,nw_dst=10.2.0.16 actions=goto_table:80", prove.RuleWrites, "a destination MAC that no container can have"},
	{"h1", "network alice/default", "", "table=80,priority=300,metadata=0x700000070,dl_dst=02:00:00:00:00:11 actions=load:0x65->NXM_NX_REG2[],push:NXM_NX_REG2[],resubmit(,92),pop:NXM_NX_REG2[],resubmit(,92)", prove.RuleWrites, "it chooses a port that is not known"},

	// What a gateway host relays in a star.
	{"h1", "port dave/default/d2", "load:0x6->NXM_NX_REG0[],", nothing, prove.RuleWrites, "leave where they came in that are not relayed"},
	{"h1", "port dave/default/d2", "load:0x6->NXM_NX_REG0[],", "load:0x1->NXM_NX_REG0[],", prove.RuleGateway, "that they came from elsewhere, so that they could circle"},
	{"h1", "port dave/default/d2", "load:0x6->NXM_NX_REG0[],", "load:0x4->NXM_NX_REG0[],", prove.RuleGateway, "that they came from elsewhere, so that they could circle"},
	{"h1", "port dave/default/d2", "priority=120,reg0=0x2,", "priority=120,", prove.RuleGateway, "it relays frames that did not come by tunnel"},
	{"h1", "port dave/default/d2", "priority=120,reg0=0x2,", "priority=120,reg0=0x1,", prove.RuleGateway, "it relays frames that did not come by tunnel"},
	{"h1", "port dave/default/d2", "load:0xffff->NXM_OF_IN_PORT[]", "load:0x7->NXM_OF_IN_PORT[]", prove.RuleWrites, "that they came in by another port"},
	{"h1", "port dave/default/d2", "set_field:172.30.0.2->tun_dst,goto_table:110", "set_field:172.30.0.99->tun_dst,goto_table:110", prove.RuleOutput, "a tunnel address that is no other host's"},
	{"h1", "port dave/default/d2", "set_field:172.30.0.2->tun_dst,goto_table:110", "load:0x900000090->OXM_OF_METADATA[],set_field:172.30.0.2->tun_dst,goto_table:110", prove.RuleWrites, "it changes metadata on the way from table forward to table encap"},
	{"h1", "port dave/default/d2", "priority=120,reg0=0x2,metadata=0xb000000b0,dl_dst=02:00:00:00:03:12", "priority=120,reg0=0x2,metadata=0xb000000b0,dl_dst=02:00:5e:00:01:02", prove.RuleGateway, "that gateway hosts ask each other for"},
	{"h2", "port dave/default/d3", "", "table=80,priority=120,reg0=0x2,metadata=0xb000000b0,dl_dst=02:00:00:00:03:13 actions=load:0x6->NXM_NX_REG0[],load:0xffff->NXM_OF_IN_PORT[],set_field:172.30.0.3->tun_dst,goto_table:110", prove.RuleGateway, "this is no gateway host of a star of it"},
	{"h1", "port bob/default/b3", "", "table=80,priority=120,reg0=0x2,metadata=0x900000090,dl_dst=02:00:00:00:00:13 actions=load:0x6->NXM_NX_REG0[],load:0xffff->NXM_OF_IN_PORT[],set_field:172.30.0.3->tun_dst,goto_table:110", prove.RuleGateway, "this is no gateway host of a star of it"},
	{"h1", "peer h2", "reg0=0x6,tun_src=172.30.0.2,tun_dst=172.30.0.2", "reg0=0x6,tun_src=172.30.0.2,tun_dst=172.30.0.3", prove.RuleRefused, "back to the host that it came from"},
	{"h1", "peer h2", "reg0=0x6,tun_dst=172.30.0.2,tun_ipv6_src=fd30::2", "", prove.RuleRefused, "back to the host that it came from"},
	{"h1", "peer h2", "table=110, priority=200,reg0=0x6,tun_src=172.30.0.2", "table=110, priority=99,reg0=0x6,tun_src=172.30.0.2", prove.RuleRefused, "does not come before it"},

	// What comes back from a table to who sent it there.
	{"h1", "network alice/back", "meter:29,load:0x66->NXM_NX_REG2[],resubmit(,90)", "meter:29,resubmit(,90),load:0x66->NXM_NX_REG2[],resubmit(,92)", prove.RuleAction, "may still have its tag"},
	{"h1", "network alice/default", "clone(set_field:172.30.0.2->tun_dst,resubmit(,110))", "set_field:172.30.0.2->tun_dst,resubmit(,110),resubmit(,110)", prove.RuleAction, "may still have its tag"},
	{"h1", "port alice/default/a1", "", "table=92, priority=200,reg1=0x65,reg2=0x65,arp actions=push_vlan:0x8100", prove.RuleWrites, "it changes vlan_vid in table account_in"},
	{"h1", "port alice/default/a1", "", "table=92, priority=200,reg1=0x65,reg2=0x65,arp actions=load:0x900000090->OXM_OF_METADATA[]", prove.RuleWrites, "it changes metadata in table account_in"},
	{"h1", "tenant bob", "", "table=250, priority=200,metadata=0x700000000/0xffffffff00000000 actions=load:0x68->NXM_NX_REG2[]", prove.RuleWrites, "it changes reg2 in table drop"},
	{"h1", "port alice/default/a1", "", "table=100, priority=200,reg2=0x65,ip actions=set_field:10.0.0.13->ip_src,output:1", prove.RuleSpoof, "it changes ip_src of frames that leave the switch"},
	{"h1", "port alice/default/a1", "", "table=100, priority=200,reg2=0x65,ip actions=clone(set_field:10.0.0.13->ip_src,output:1)", prove.RuleSpoof, "it changes ip_src of frames that leave the switch"},
	{"h1", "tenant alice", "table=92, send_flow_rem priority=100,metadata=0x700000000/0xffffffff00000000 actions=goto_table:100", "table=92, send_flow_rem priority=100,metadata=0x700000000/0xffffffff00000000 actions=goto_table:110", prove.RuleOutput, "it sends frames into tunnels that are for a port here"},

	// What no flow does.
	{"h1", "port alice/default/a1", "output:1", "NORMAL", prove.RuleAction, "a port that the switch chooses"},
	{"h1", "base", "", "table=80,priority=1 actions=FLOOD", prove.RuleAction, "a port that the switch chooses"},
	{"h1", "base", "", "table=80,priority=1 actions=CONTROLLER:65535", prove.RuleAction, "it does what no flow of Sluice does"},
	{"h1", "base", "", "table=80,priority=1 actions=group:1", prove.RuleAction, "it does what no flow of Sluice does"},
	{"h1", "port alice/default/a1", "output:1", "output:NXM_NX_REG1[]", prove.RuleAction, "it does what no flow of Sluice does"},
	{"h1", "port alice/default/a1", "load:0x65->NXM_NX_REG2[],goto_table:90", "load:0x65->NXM_NX_REG2[],goto_table:100", prove.RuleAction, "from table forward to table deliver, where no flow of a tenant's goes"},
	{"h1", "network alice/default", "load:0x65->NXM_NX_REG2[],resubmit(,92)", "load:0x65->NXM_NX_REG2[],resubmit(,10)", prove.RuleAction, "it comes back from table admit"},
	{"h1", "base", "table=40, priority=0 actions=goto_table:80", "table=40, priority=0 actions=goto_table:90", prove.RuleOwner, "it sends frames of any tenant on from here, and not to the resolver"},
	{"h1", "tenant alice", "goto_table:52", "goto_table:54", prove.RuleAction, "from table nat_known to table nat_new"},
	{"h1", "tenant alice", "ct(table=51,zone=14,nat)", "goto_table:51", prove.RuleAction, "from table nat to table nat_known"},
	{"h1", "tenant alice", "ct(commit,table=56,zone=14,nat(src=100.64.0.7),exec(set_field:0x6->ct_mark))", "ct(table=56,zone=14,nat)", prove.RuleAction, "not committed"},
	{"h1", "tenant alice", "ct(table=51,zone=14,nat)", "ct(commit,table=51,zone=14,nat(src=100.64.0.7),exec(set_field:0x6->ct_mark))", prove.RuleAction, "before anybody looked"},
}

// Each edit is found: by its rule, and with a sentence that says what the flow does.
func TestEditsAreFound(t *testing.T) {
	seen := map[prove.Rule]int{}
	for _, e := range edits {
		c := newCluster(t)
		c.edit(e.host, e.owner, e.find, e.with)
		found := prove.Host(c.state, *c.at(e.host))
		if !slices.ContainsFunc(found, func(f prove.Finding) bool { return f.Rule == e.rule && strings.Contains(f.Text, e.says) }) {
			t.Errorf("%s: %q -> %q: found %v, not rule %s: %s", e.owner, e.find, e.with, texts(found), e.rule, e.says)
		}
		seen[e.rule]++
	}
	for rule := range prove.Rules() {
		if seen[rule] == 0 && rule != prove.RuleComplex {
			t.Errorf("no edit breaks rule %s", rule)
		}
	}
}

func texts(found []prove.Finding) (list []string) {
	for i := range found {
		list = append(list, found[i].String())
	}
	return list
}
