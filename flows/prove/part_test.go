package prove_test

import (
	"testing"

	"sluice/flows"
	"sluice/flows/prove"

	of "sluice/datapath/openflow"
)

// part is what a host holds of an owner's slice.
func (c *cluster) part(host, owner string) prove.Tables {
	t := prove.Tables{Switch: c.at(host).Switch}
	for _, f := range c.at(host).Flows {
		if flows.Owner(c.state, f.Cookie) == owner {
			t.Flows = append(t.Flows, f)
		}
	}
	return t
}

// Of a host on which a flow names a port that its slice is not of there are no parts: what is proved of the slice would
// hang on another port's object. Nor is anything a part that has such a flow, or one that is everybody's.
func TestPartsNameTheirOwnPortsAlone(t *testing.T) {
	for _, e := range []struct {
		owner, flow string
		parts       bool
	}{
		{"port alice/default/a1", "table=80,priority=200,ip,metadata=0x700000070 actions=load:0x65->NXM_NX_REG2[],goto_table:90", true},
		{"port alice/default/a1", "table=80,priority=200,ip,metadata=0x700000071 actions=load:0x66->NXM_NX_REG2[],goto_table:90", false},
		{"network alice/default", "table=80,priority=200,ip,metadata=0x700000070 actions=load:0x65->NXM_NX_REG2[],goto_table:90", true},
		{"network alice/default", "table=80,priority=200,ip,metadata=0x700000071 actions=load:0x66->NXM_NX_REG2[],goto_table:90", false},
		{"tenant alice", "table=80,priority=200,ip,metadata=0x700000070 actions=load:0x65->NXM_NX_REG2[],goto_table:90", false},
		{"port alice/default/a1", "table=30,priority=300,arp,metadata=0x700000070,arp_tpa=10.0.0.11,arp_op=1 actions=set_field:02:00:00:00:00:11->eth_src,goto_table:44", true},
		{"tenant alice", "table=30,priority=300,arp,metadata=0x700000070,arp_tpa=10.0.0.11,arp_op=1 actions=set_field:02:00:00:00:00:11->eth_src,goto_table:44", false},
	} {
		c := newCluster(t)
		_, before := prove.Whole(c.state, *c.at("h1"))
		if before == nil || !before.Part(c.state, c.part("h1", e.owner)) {
			t.Fatalf("%s: what is compiled is no part that is proved", e.owner)
		}
		c.edit("h1", e.owner, "", e.flow)
		found, ground := prove.Whole(c.state, *c.at("h1"))
		if len(found) > 0 || (ground != nil) != e.parts || before.Part(c.state, c.part("h1", e.owner)) != e.parts {
			t.Errorf("%s: %s: found %v, there are parts: %v, not %v", e.owner, e.flow, texts(found), ground != nil, e.parts)
		}
	}
	c := newCluster(t)
	_, ground := prove.Whole(c.state, *c.at("h1"))
	if ground.Part(c.state, c.part("h1", "base")) {
		t.Error("what is everybody's is proved as a part")
	}
	other := newCluster(t)
	if ground.Part(other.state, prove.Tables{Switch: c.at("h1").Switch, Flows: []of.Flow{c.parse("tenant alice", "table=52,priority=60000,reg0=3 actions=goto_table:54")}}) {
		t.Error("what comes from outside is let in, and the part is proved")
	}
	commits := "ip,metadata=0x700000000/0xffffffff00000000 actions=ct(commit,table=56,zone=14,nat(src=100.64.0.7),exec(set_field:0x6->ct_mark))"
	for priority, proved := range map[string]bool{"150": true, "300": false} {
		part := prove.Tables{Switch: c.at("h1").Switch, Flows: []of.Flow{c.parse("tenant alice", "table=54,priority="+priority+","+commits)}}
		if ground.Part(c.state, part) != proved {
			t.Errorf("connections opened at priority %s, where the infrastructure is refused at 200: proved %v", priority, !proved)
		}
	}
}
