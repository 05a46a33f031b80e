package witness

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/prove"
	"sluice/store"
)

// onTrunk is twoTenants with a trunk on each host, by which frames of bob's network go.
func onTrunk() (*store.State, []Tables) {
	s, tables := twoTenants()
	var switches []flows.Switch
	for _, x := range tables {
		h := *s.Host(x.Switch.Host).Value
		h.Trunk, h.TrunkReady = "eth1", true
		r := s.Revision() + 1
		s.Apply(store.Batch{Revision: r, Events: []store.Event{{Key: store.HostKey(x.Switch.Host), Object: &h, Created: s.Host(x.Switch.Host).Created, Modified: r}}})
		x.Switch.OFPort["eth1"] = 300
		switches = append(switches, x.Switch)
	}
	return s, compiled(s, switches...)
}

// Each hostile flow of h1 that lets more pass by the trunk is shown to do harm.
func TestSearchFindsStrangersOnTheTrunk(t *testing.T) {
	const in = "in_port=300,"
	for _, tt := range []struct{ about, flow, law string }{
		{"any MAC", "table=6,priority=200,dl_vlan=100,actions=pop_vlan,write_metadata:0x900000101,goto_table:80",
			"A frame of a stranger on the trunk of host h1 reaches port bob/n/b1 from MAC "},
		{"another network", "table=6,priority=200,dl_vlan=100,actions=pop_vlan,write_metadata:0x700000100,goto_table:80",
			"A frame of a stranger on the trunk of host h1 reaches port alice/n/a1, whose network has another tag."},
		{"the tag stays", "table=6,priority=200,dl_vlan=100,dl_src=02:00:00:00:00:12,actions=write_metadata:0x900000101,goto_table:80",
			"A frame of a stranger on the trunk of host h1 reaches port bob/n/b1 with a tag."},
		{"as from a port here", "table=6,priority=200,dl_vlan=100,actions=pop_vlan,load:1->NXM_NX_REG0[],write_metadata:0x900000101,goto_table:80",
			"A frame of a stranger on the trunk of host h1 "},
		{"untagged", "priority=400," + in + "actions=load:7->NXM_NX_REG0[],write_metadata:0x900000101,goto_table:80",
			"A frame of a stranger on the trunk of host h1 reaches port bob/n/b1"},
		{"the kernel", "priority=400," + in + "actions=output:200", "A frame of a stranger on the trunk of host h1 reaches the kernel of host h1."},
		{"back to the trunk", "priority=400," + in + "actions=load:0xffff->NXM_OF_IN_PORT[],output:300",
			"A frame of a stranger on the trunk of host h1 "},
		{"another tenant's frames under the tag", "table=110,priority=400,metadata=0x700000100,reg0=1,actions=push_vlan:0x8100,set_field:4196->vlan_vid,output:300",
			"A frame of port alice/n/a1 on host h1 "},
	} {
		t.Run(tt.about, func(t *testing.T) {
			s, tables := onTrunk()
			f, err := of.ParseFlow(tt.flow)
			if err != nil {
				t.Fatal(err)
			}
			tables[0].Flows = append(slices.Clone(tables[0].Flows), f)
			found := New(s, tables).Search(&prove.Finding{Host: "h1", Flow: f}, Budget{Tries: 400, Seed: 1})
			if found == nil || !strings.Contains(found.Law, tt.law) {
				t.Errorf("want %q, found:\n%s", tt.law, found)
			}
		})
	}
}

// What a stranger may do is what a port of that network on another host may: tables that were compiled break no law.
func TestNothingIsFoundOnATrunk(t *testing.T) {
	s, tables := onTrunk()
	c := New(s, tables)
	for _, x := range tables {
		for i := range x.Flows {
			if found := c.Search(&prove.Finding{Host: x.Switch.Host, Flow: x.Flows[i]}, Budget{Tries: 40, Seed: uint64(i)}); found != nil {
				t.Fatalf("host %s, flow %s:\n%s", x.Switch.Host, &x.Flows[i], found)
			}
		}
	}
	met := false
	d := target{host: c.hosts[0], table: 6}
	for seed := range uint64(200) {
		e, ok := c.towards(dice{rand.New(rand.NewPCG(seed, 9))}, d)
		met = met || ok && e.from.Trunk
	}
	if !met {
		t.Error("no stranger on the trunk is drawn")
	}
}
