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
	{"h1", "base", "arp,in_port=200", "in_port=200", prove.RuleEntry, "that are not the kernel's ARP"},
	{"h1", "tenant alice", "nw_dst=100.64.0.7 ", "nw_dst=100.64.0.9 ", prove.RuleEntry, "it gives tenant alice frames that the kernel sends to another address"},
	{"h1", "tenant alice", "nw_dst=100.64.0.7 ", "nw_dst=100.64.0.0/24 ", prove.RuleEntry, "to another address than its transit address"},
	{"h1", "tenant alice", "in_port=200,nw_dst", "in_port=1,nw_dst", prove.RuleEntry, "from a port that is not the gateway's"},
	{"h1", "tenant alice", "load:0x3->NXM_NX_REG0[],write", "load:0x1->NXM_NX_REG0[],write", prove.RuleEntry, "does not say of frames from the kernel that they came from there"},
	{"h1", "tenant alice", "write_metadata:0x700000000", "write_metadata:0x800000000", prove.RuleEntry, "metadata that is of no tenant of the store"},
	{"h1", "tenant bob", "", "priority=101,ip,in_port=200,nw_dst=100.64.0.7 actions=load:0x3->NXM_NX_REG0[],write_metadata:0x700000000,goto_table:50", prove.RuleOwner, "it takes frames from the kernel for tenant alice"},
	{"h1", "network alice/default", "tun_id=0x70,", "tun_id=0xa0,", prove.RuleEntry, "it gives network alice/default frames under another tunnel key or tag"},
	{"h1", "network alice/default", "tun_id=0x70,vlan_tci=0x0000/0x1000", "tun_id=0x70", prove.RuleEntry, "under another tunnel key or tag"},
	{"h1", "network alice/back", "dl_vlan=13", "dl_vlan=14", prove.RuleEntry, "it gives network alice/back frames under another tunnel key or tag"},
	{"h1", "network alice/back", "pop_vlan,", nothing, prove.RuleEntry, "it does not take off the tag of network alice/back"},
	{"h1", "network alice/default", "write_metadata:0x700000070", "write_metadata:0x700000090", prove.RuleEntry, "metadata that is of no network"},
	{"h1", "network bob/default", "", "table=5,priority=101,tun_id=0x70,vlan_tci=0x0000/0x1000 actions=write_metadata:0x700000070,goto_table:40", prove.RuleOwner, "its cookie is that of tenant bob, and it takes frames for tenant alice"},

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
	{"h1", "base", "move:NXM_NX_REG1[]->NXM_NX_REG2[]", "load:0x65->NXM_NX_REG2[]", prove.RuleWrites, "it sends frames of no tenant to port alice/default/a1"},
	{"h1", "base", ",load:0xffff->NXM_OF_IN_PORT[],move:NXM_NX_REG1[]->NXM_NX_REG2[]", ",load:0x4->NXM_OF_IN_PORT[],move:NXM_NX_REG1[]->NXM_NX_REG2[]", prove.RuleWrites, "came in by another port"},
	{"h1", "tenant alice", "ct(table=51,zone=14,nat)", "ct(table=51,zone=18,nat)", prove.RuleWrites, "a conntrack zone that is not tenant alice's"},
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
	{"h1", "tenant alice", "tun_src=172.30.0.2,metadata", "tun_src=172.30.0.3,metadata", prove.RuleGateway, "the last of tenant alice's gateway hosts did not send back"},
	{"h1", "tenant alice", "set_field:02:00:5e:00:01:02->eth_dst,set_field:172.30.0.2->tun_dst,goto_table:110", "set_field:02:00:5e:00:01:02->eth_dst,set_field:172.30.0.3->tun_dst,goto_table:110", prove.RuleGateway, "not to host h2, which is next in the chain"},
	{"h1", "tenant alice", "set_field:02:00:5e:00:01:02->eth_dst,set_field:172.30.0.2->tun_dst,goto_table:110", "set_field:02:00:5e:00:01:03->eth_dst,set_field:172.30.0.2->tun_dst,goto_table:110", prove.RuleGateway, "not to host h2, which is next in the chain"},
	{"h2", "tenant alice", "set_field:172.30.0.1->tun_dst,goto_table:110", "set_field:172.30.0.3->tun_dst,goto_table:110", prove.RuleGateway, "not to host h1, which is next in the chain"},
	{"h2", "tenant alice", "tun_src=172.30.0.1,metadata", "tun_src=172.30.0.3,metadata", prove.RuleRefused, "which no tenant may leave to"},
	{"h1", "tenant alice", "load:0x4->NXM_NX_REG0[]", "load:0x1->NXM_NX_REG0[]", prove.RuleGateway, "does not say so, so that they could circle"},
	{"h1", "tenant bob", "", "table=52,priority=130,ct_state=+new+trk,ip,metadata=0x900000000/0xffffffff00000000 actions=load:0x4->NXM_NX_REG0[],load:0xffff->NXM_OF_IN_PORT[],set_field:02:00:5e:00:01:02->eth_dst,set_field:172.30.0.2->tun_dst,goto_table:110", prove.RuleGateway, "its gateway does not move"},
	{"h1", "tenant alice", "priority=131,ct_state=+new+trk,ip,reg0=0x1,", "priority=131,ct_state=+new+trk,ip,", prove.RuleGateway, "counts frames as sent by a container here that came from elsewhere"},
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
	{"h1", "base", "table=40, priority=0 actions=goto_table:80", "table=40, priority=0 actions=goto_table:90", prove.RuleAction, "from table route to table account_out, where no flow of everybody's goes"},
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
