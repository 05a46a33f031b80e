package explain_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/explain"
	"sluice/flows/internal/document"
	"sluice/flows/internal/hostile"
	"sluice/flows/internal/worlds"
	"sluice/store"

	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew from their inputs")

// Each document holds a small cluster, and what its flows are for.
func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			d, want, err := document.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			got := explained(d)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := gocmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("words differ from %s (-want +got; -update writes it anew):\n%s", path, diff)
			}
		})
	}
}

// explained is a document with the words of each host's flows below it.
func explained(d document.Document) string {
	var b bytes.Buffer
	b.WriteString(d.Input)
	for _, sw := range d.Switches {
		fmt.Fprintf(&b, "%s\n# %s", document.Below, sw.Host)
		all, _ := flows.Desired(d.State, flows.Switch(sw))
		slices.SortStableFunc(all, func(f, g of.Flow) int {
			return cmp.Or(cmp.Compare(f.Table, g.Table), cmp.Compare(g.Priority, f.Priority), cmp.Compare(f.Cookie, g.Cookie))
		})
		r, table := explain.On(flows.Switch(sw)), -1
		for _, f := range all {
			if int(f.Table) != table {
				table = int(f.Table)
				fmt.Fprintf(&b, "\n# %d %s\n", table, flows.TableName(f.Table))
			}
			fmt.Fprintf(&b, "%s\n", r.Flow(d.State, &f))
		}
	}
	return b.String()
}

// Two flows of one table that differ are never told alike: nothing is left out.
func TestNothingIsLeftOut(t *testing.T) {
	for seed := range uint64(20) {
		w := worlds.New(seed)
		for _, sw := range w.Switches() {
			r := explain.On(sw)
			all, _ := flows.Desired(w.State, sw)
			distinct(t, w.State, r, all, fmt.Sprintf("seed %d, %s", seed, sw.Host))
		}
	}
}

// distinct fails where two flows of one table have the same words.
func distinct(t *testing.T, s *store.State, r *explain.Switch, all []of.Flow, where string) {
	t.Helper()
	told := map[string]string{}
	for _, f := range all {
		words := fmt.Sprintf("%d %s", f.Table, r.Flow(s, &f))
		f.Cookie, f.Priority, f.Flags = 0, 0, 0
		if before, again := told[words]; again && before != f.String() {
			t.Errorf("%s: two flows are told alike:\n%s\n%s\n%s", where, words, before, f.String())
		}
		told[words] = f.String()
	}
}

// Nor is what a hand edit made of a flow told as the flow was before.
func TestAnEditIsTold(t *testing.T) {
	w := worlds.New(3)
	var cluster []hostile.Tables
	for _, sw := range w.Switches() {
		all, _ := flows.Desired(w.State, sw)
		cluster = append(cluster, hostile.Tables{Switch: sw, Flows: all})
	}
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 500 {
		c := hostile.Edit(random, cluster)
		sw, before := cluster[c.Host].Switch, cluster[c.Host].Flows
		distinct(t, w.State, explain.On(sw), append(slices.Clone(before), c.Added...), fmt.Sprintf("edit %d, of %s: %s", n, sw.Host, c))
	}
}

func TestWordsOfAFlow(t *testing.T) {
	d, _, err := document.Read("testdata/two-tenants.golden")
	if err != nil {
		t.Fatal(err)
	}
	r := explain.On(flows.Switch(d.Switches[0]))
	for _, tt := range []struct{ flow, want string }{
		{"table=0,priority=0 actions=drop", "any frame -> end it"},
		{"table=0,in_port=1 actions=NORMAL", "from port alice/default/a1 -> NORMAL"},
		{"table=0,in_port=7 actions=output:9", "from OpenFlow port 7, which no interface has -> output:9"},
		{"table=0,in_port=LOCAL actions=output:1", "from OpenFlow port LOCAL, which no interface has -> send it out by port alice/default/a1"},
		{"table=0,in_port=3 actions=FLOOD", "from interface eth9, which is no port's -> FLOOD"},
		{"table=0,in_port=100,tun_src=192.0.2.9 actions=goto_table:7",
			"from the tunnel port, by tunnel from 192.0.2.9, which no host has -> go on to table 7"},
		{"table=0,in_port=100,tun_dst=172.30.0.1 actions=goto_table:5",
			"from the tunnel port, on its way by tunnel to h1 (172.30.0.1) -> go on to decap"},
		{"table=80,metadata=0x700123456,dl_dst=02:00:00:00:00:12 actions=set_field:172.30.0.2->tun_dst,goto_table:90",
			"network alice/default, to 02:00:00:00:00:12 of port a2 -> by tunnel to h2 (172.30.0.2); go on to account_out"},
		{"table=80,metadata=0x700123456/0xffffffff actions=drop", "metadata=0x123456/0xffffffff -> end it"},
		{"table=80,dl_dst=02:00:00:00:00:12 actions=drop", "dl_dst=02:00:00:00:00:12 -> end it"},
		{"table=80,reg3=0x63 actions=load:0x4->NXM_NX_REG3[],goto_table:60", "refused as reason 99, which is none of ours -> reason spoofed; go on to l3_resolve"},
		{"table=80,reg1=0x65 actions=load:0x4->NXM_NX_REG3[],goto_table:250", "source alice/default/a1 -> refuse it as spoofed"},
		{"table=80,reg1=0x65/0xff actions=load:0x4->NXM_NX_REG3[0..7],goto_table:250", "reg1=0x65/0xff -> load:0x4->NXM_NX_REG3[0..7]; go on to drop"},
		{"table=50,ip actions=ct(table=51,zone=14)", "ip -> ct(table=51,zone=14)"},
		{"table=50,ip actions=ct(table=51,zone=14,nat)", "ip -> look its connection up in zone 14 and translate it as recorded; go on to nat_known"},
		{"table=50,ip actions=ct(commit,force,table=51,zone=14,nat(src=1.2.3.4))", "ip -> ct(commit,force,table=51,zone=14,nat(src=1.2.3.4))"},
		{"table=50,ip actions=ct(commit,table=56,zone=14,nat(src=1.2.3.4),exec(set_field:0x9->ct_mark))",
			"ip -> open a connection in zone 14 with source 1.2.3.4, set_field:0x9->ct_mark; go on to nat_out"},
		{"table=50,ip actions=ct(commit,table=56,zone=14,nat(dst=1.2.3.4))", "ip -> ct(commit,table=56,zone=14,nat(dst=1.2.3.4))"},
		{"table=52,tcp actions=ct(commit,table=60,zone=14,nat(dst=10.0.0.11:80),exec(set_field:0x9->ct_mark))",
			"tcp -> open a connection in zone 14 to 10.0.0.11 port 80, set_field:0x9->ct_mark; go on to l3_resolve"},
		{"table=50,ip actions=resubmit(,90),resubmit(5,)", "ip -> pass through account_out and come back; resubmit:5"},
		{"table=50,ip actions=dec_ttl,pop_vlan,move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
			"ip -> take 1 off its TTL; take its 802.1Q tag off; copy eth_src to eth_dst"},
		{"table=50,ip actions=move:NXM_NX_REG1[]->NXM_NX_REG2[],move:NXM_NX_REG0[]->NXM_NX_REG3[],move:NXM_NX_REG4[]->NXM_NX_REG5[]",
			"ip -> copy source to destination; copy origin to reason; copy scope to reg5"},
		{"table=50,ip actions=move:NXM_OF_ETH_SRC[0..7]->NXM_OF_ETH_DST[8..15]", "ip -> copy bits 0 to 7 of eth_src to bits 8 to 15 of eth_dst"},
		{"table=50,ip actions=move:OXM_OF_METADATA[32..47]->NXM_OF_IP_DST[0..15],move:OXM_OF_METADATA[0..15]->NXM_OF_IP_DST[0..15]",
			"ip -> copy the tenant's number to bits 0 to 15 of ip_dst; copy bits 0 to 15 of metadata to bits 0 to 15 of ip_dst"},
		{"table=50,ip actions=load:0x700123456->OXM_OF_METADATA[],set_field:02:00:00:00:00:12->eth_dst",
			"ip -> network alice/default; address it to 02:00:00:00:00:12 of port a2"},
		{"table=50,ip actions=load:0xffff->NXM_OF_IN_PORT[],set_field:02:00:5e:00:01:01->eth_src", "ip -> let it go back where it came from; let it come from the router"},
		{"table=50,ip actions=set_field:0.0.0.0->tun_dst", "ip -> set_field:0.0.0.0->tun_dst"},
		{"table=50,ip actions=meter:29,clone(load:0x65->NXM_NX_REG2[],output:2)",
			"ip -> keep to the broadcasts of tenant alice (meter 29); with a copy: (destination alice/default/a1; send it out by port bob/default/b1)"},
		{"table=50,ip actions=meter:4003", "ip -> keep to the ingress of the tenant with slot 1000 (meter 4003)"},
		{"table=50,ip actions=meter:4001", "ip -> keep to the broadcasts of tenant number 1000 (meter 4001)"},
		{"table=50,ip actions=meter:4", "ip -> keep to the broadcasts of the network of port alice/default/a1 (meter 4)"},
		{"table=50,ip actions=meter:131075", "ip -> keep to the ingress of port alice/default/a1 (meter 131075)"},
		{"table=50,ip actions=meter:131250", "ip -> keep to the egress of OpenFlow port 89, which no interface has (meter 131250)"},
	} {
		f, err := of.ParseFlow(tt.flow)
		if err != nil {
			t.Fatalf("%s: %v", tt.flow, err)
		}
		if got := r.Flow(d.State, &f).String(); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.flow, got, tt.want)
		}
	}
}

// docs/reading-flows.md shows flows as they are: each of its indented lines stands in a document here.
func TestTheGuideShowsFlowsAsTheyAre(t *testing.T) {
	guide, err := os.ReadFile("../../docs/reading-flows.md")
	if err != nil {
		t.Fatal(err)
	}
	_, whole, err := document.Read("testdata/two-tenants.golden")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for line := range strings.Lines(string(guide)) {
		flow, indented := strings.CutPrefix(line, "    ")
		if !indented {
			continue
		}
		if shown++; !strings.Contains(whole, "\n"+flow) {
			t.Errorf("no host holds such a flow: %s", flow)
		}
	}
	if shown < 10 {
		t.Errorf("the guide shows %d flows only", shown)
	}
}
