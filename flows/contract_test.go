package flows

import (
	"strings"
	"testing"

	of "sluice/datapath/openflow"
)

// A flow is refused for whatever its table's contract does not say.
func TestCheck(t *testing.T) {
	for text, want := range map[string]string{
		"table=100,priority=100,reg2=0x1,actions=output:1":                                 "",
		"table=99,priority=0,actions=drop":                                                 "there is no table 99",
		"table=100,priority=99,reg2=0x1,actions=output:1":                                  "table deliver has no step of priority 99",
		"table=100,priority=100,reg1=0x1,actions=output:1":                                 "table deliver does not match reg1",
		"table=80,priority=100,actions=output:1":                                           "table forward: it sends no frame out",
		"table=80,priority=0,actions=goto_table:100":                                       "table forward: it does not lead to deliver",
		"table=80,priority=0,actions=goto_table:30":                                        "table forward: it does not lead to resolve",
		"table=80,priority=0,actions=resubmit(,100)":                                       "table forward: it does not lead to deliver",
		"table=80,priority=0,actions=clone(resubmit(,100))":                                "table forward: it does not lead to deliver",
		"table=80,priority=0,actions=clone(resubmit(,92))":                                 "",
		"table=50,priority=0,actions=ct(table=60)":                                         "table nat: it does not lead to l3_resolve",
		"table=50,priority=0,actions=ct(table=51)":                                         "",
		"table=50,priority=0,actions=ct(commit,table=51,exec(load:0x1->NXM_NX_CT_MARK[]))": "table nat: it does not set ct_mark",
		"table=80,priority=0,actions=load:0x1->NXM_NX_REG1[]":                              "table forward: it does not set reg1",
		"table=80,priority=0,actions=set_field:2->vlan_vid":                                "table forward: it does not set vlan_vid",
		"table=80,priority=0,actions=move:NXM_NX_REG2[]->NXM_NX_REG1[]":                    "table forward: it does not set reg1",
		"table=44,priority=0,actions=push:NXM_NX_REG9[]":                                   "",
		"table=80,priority=0,actions=pop:NXM_NX_REG1[]":                                    "table forward: it does not set reg1",
		"table=80,priority=0,actions=write_metadata:0x1":                                   "table forward: it does not set metadata",
		"table=80,priority=0,actions=push_vlan:0x8100":                                     "table forward: it does not set vlan_vid",
		"table=80,priority=0,actions=pop_vlan":                                             "table forward: it does not set vlan_vid",
		"table=80,priority=0,actions=dec_ttl":                                              "table forward: it does not set nw_ttl",
	} {
		f, err := of.ParseFlow(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		err = Check(&f)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// Tables lead forward, even where a contract says otherwise.
func TestCheckForward(t *testing.T) {
	table := Table{ID: 10, Name: "ten", Next: []uint8{5, 10, 11}}
	for next, want := range map[uint8]bool{5: false, 10: false, 11: true, 12: false} {
		if err := table.checkNext(next); (err == nil) != want {
			t.Errorf("from table 10 to %d: %v", next, err)
		}
	}
	if err := table.checkAction(of.WriteActions{}); err == nil {
		t.Error("an action of no table is no error")
	}
}
