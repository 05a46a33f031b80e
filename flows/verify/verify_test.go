package verify

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	of "sluice/datapath/openflow"
)

const dumped = `OFPST_FLOW reply (OF1.3) (xid=0x2):
 cookie=0x100000000000000, duration=3.206s, table=10, n_packets=12, n_bytes=7, idle_age=3, hard_age=65534, priority=50,icmp6,icmp_type=131 actions=load:0x6->NXM_NX_REG3[],goto_table:250
 cookie=0x5, duration=3.206s, table=11, n_packets=0, n_bytes=0, reset_counts priority=50,in_port=3 actions=drop
`

// What ovs-ofctl prints is read as the flows that it is of.
func TestParse(t *testing.T) {
	got, err := Parse("h1", dumped)
	if err != nil {
		t.Fatal(err)
	}
	var want []of.Flow
	for _, text := range []string{
		"cookie=0x100000000000000,table=10,priority=50,icmp6,icmp_type=131 actions=load:0x6->NXM_NX_REG3[],goto_table:250",
		"cookie=0x5,table=11,reset_counts,priority=50,in_port=3 actions=drop",
	} {
		f, err := of.ParseFlow(text)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, f)
	}
	if diff := cmp.Diff(map[string][]of.Flow{"h1": want}, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	list := []map[string]any{}
	for i, f := range want {
		list = append(list, map[string]any{"host": []string{"h1", "h2"}[i], "text": " " + f.String(), "packets": 3})
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = Parse("", "\n"+string(text)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]of.Flow{"h1": want[:1], "h2": want[1:]}, got); diff != "" {
		t.Errorf("of JSON: want -, got +:\n%s", diff)
	}
}

// A dump that may have lost a part, or of which a part is not known, is refused, and what is wrong is shown.
func TestParseRefuses(t *testing.T) {
	line := strings.Split(dumped, "\n")[1]
	for _, test := range []struct{ name, host, text, want string }{
		{"no host", "", dumped, "HOST=FILE"},
		{"nothing", "h1", "", "no flow"},
		{"a head alone", "h1", dumped[:strings.IndexByte(dumped, '\n')+1], "no flow"},
		{"cut within a number that is one still", "h1", strings.TrimSuffix(dumped[:strings.Index(dumped, "250")+2], "\n"), `goto_table:25"`},
		{"without its last newline", "h1", strings.TrimSuffix(dumped, "\n"), "ends within a line"},
		{"cut before the actions", "h1", "cookie=0x5, table=11, priority=50\n", "line 1"},
		{"an action that is not known", "h1", dumped + " table=3, priority=1 actions=fly:3\n", "line 4: flow \"table=3, priority=1 actions=fly:3\""},
		{"a field that is not known", "h1", " table=3, priority=1,colour=3 actions=drop\n", "colour"},
		{"names of ports", "h1", " table=3, priority=1,in_port=\"sl-a\" actions=drop\n", "--no-names"},
		{"no dump", "h1", "ovs-ofctl: br-int is not a bridge\n", "is no flow"},
		{"two dumps in one", "h1", dumped + dumped, "one table, priority and match"},
		{"JSON that is cut", "", `[{"host":"h1","text":"table=0 actions=drop"}`, "cut short"},
		{"JSON of nothing", "", `[]`, "no flow"},
		{"JSON without hosts", "", `[{"text":"table=0 actions=drop"}]`, "flow 1: "},
		{"JSON of a difference", "", `[{"host":"h1","text":"table=0 actions=drop","change":"add"}]`, "--installed"},
		{"JSON with what is not known", "", `[{"host":"h1","text":"table=0 actions=fly"}]`, "flow 1, of host h1: "},
		{"JSON twice", "", `[{"host":"h1","text":"table=0 actions=drop"},{"host":"h1","text":"table=0 actions=drop"}]`, "host h1: two flows"},
	} {
		got, err := Parse(test.host, test.text)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v; want an error that says %q", test.name, got, err, test.want)
		}
	}
	if _, err := Parse("h1", line+"\n"); err != nil {
		t.Errorf("flows without a head: %v", err)
	}
}

// However a dump is cut, it is refused, or is whole lines of the one that it was cut from.
func FuzzParse(f *testing.F) {
	f.Add("h1", dumped)
	f.Add("", `[{"host":"h1","text":"table=0 actions=drop"}]`)
	f.Fuzz(func(t *testing.T, host, text string) {
		got, err := Parse(host, text)
		if err != nil {
			return
		}
		for host, list := range got {
			if host == "" || len(list) == 0 {
				t.Errorf("%q holds %d flows of host %q", text, len(list), host)
			}
		}
	})
}
