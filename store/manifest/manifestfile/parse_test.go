package manifestfile_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"sluice/store"
	"sluice/store/manifest"
	"sluice/store/manifest/manifestfile"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	full, err := os.ReadFile("../testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, places, err := manifestfile.Parse("f.yaml", full)
	if err != nil {
		t.Fatal(err)
	}
	want := &manifest.Manifest{Tenants: []manifest.DeclaredTenant{{
		Name: "alice", Gateway: "h1", Hosts: []string{"h1", "h2"}, Limits: store.Limits{Ports: 10, Connections: 100}, TTL: "2h", Topology: "star",
		Labels: store.Labels{"team": "red", "1": "x"},
		Networks: []manifest.DeclaredNetwork{
			{Name: "default", Subnets: []string{"10.0.0.0/24", "fd00::/64"}, Gateways: []string{"10.0.0.9"}, Segmentation: "vlan", MTU: 1400, Flood: "off", Exclude: []string{"10.0.0.2-10.0.0.7"}},
			{Name: "db", Subnets: []string{"10.0.1.0/24"}},
		},
		Publications: []manifest.DeclaredPublication{{Port: "web", Ports: "80", On: "8080"}, {Network: "db", Port: "rtp", Protocol: "udp", Ports: "5000-5009", KeepSource: true}},
		Peerings:     []manifest.DeclaredPeering{{With: "bob", Networks: []string{"db"}}},
	}, {
		Name: "bob", Networks: []manifest.DeclaredNetwork{{Name: "default", Subnets: []string{"10.9.0.0/24"}}},
		Peerings: []manifest.DeclaredPeering{{With: "alice", PeerNetworks: []string{"db"}}},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("it reads (-want +got):\n%s", diff)
	}
	for path, want := range map[string]manifestfile.Place{
		"tenants[0].networks[0].subnets[1]": {14, 28}, "tenants[0].networks[1].name": {20, 12}, "tenants[0].publications[1].port": {23, 25}, "tenants[0].peerings[0].networks[0]": {25, 28}, "tenants[1]": {26, 3},
		"tenants[1].networks[1].name": {28, 3}, "": {2, 1},
	} {
		if at := places.Of(path); at != want {
			t.Errorf("%q stands at %v, want %v", path, at, want)
		}
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := manifestfile.Parse("f.json", text); err != nil || !cmp.Equal(got, want) {
		t.Errorf("as JSON it reads %v, %v", got, err)
	}
	for _, empty := range []string{"", "# nothing\n", "~"} {
		if m, _, err := manifestfile.Parse("f", []byte(empty)); err != nil || len(m.Tenants) != 0 {
			t.Errorf("%q reads %v, %v", empty, m, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"tenant: []": `f:1:1: a manifest has no field "tenant": did you mean tenants?`,
		"tenants:\n- name: a\n  publications: [{port: p, ports: \"80\", keepSource: 1}]": `f:3:53: tenants[0].publications[0].keepSource must be true or false, and "1" is neither`,
		"tenants:\n- name: a\n  gatway: h1":                                              `f:3:3: tenants[0] has no field "gatway": did you mean gateway?`,
		"tenants:\n- name: a\n  colour: red":                                             `f:3:3: tenants[0] has no field "colour": it may have name, gateway, hosts, limits, labels, topology, ttl, networks, peerings, publications`,
		"tenants:\n- name: a\n  name: b":                                                 "f:3:3: name stands here and in line 2: keep one of them",
		"tenants: alice":                                                                 "f:1:10: tenants must be a list: write each item behind a dash",
		"tenants: [alice]":                                                               "f:1:11: tenants[0] must be lines of NAME: VALUE",
		"tenants: [{name: [a]}]":                                                         "f:1:18: tenants[0].name must be one value",
		"tenants: [{name: yes}]":                                                         "",
		"tenants: [{name: 7}]":                                                           "f:1:18: tenants[0].name must be a word, and 7 is none: put it between quotes if you mean it",
		"tenants: [{name: }]":                                                            "f:1:18: tenants[0].name has no value: write one, or remove the line",
		"tenants: [{limits: {ports: many}}]":                                             `f:1:28: tenants[0].limits.ports must be a whole number, and "many" is none`,
		"tenants: [{limits: {egressKbps: -1}}]":                                          "f:1:33: tenants[0].limits.egressKbps must be a whole number that is not too great, and -1 is none",
		"tenants: [{labels: [a]}]":                                                       "f:1:20: tenants[0].labels must be lines of NAME: VALUE",
		"tenants: [{labels: {a: 1}}]":                                                    "f:1:24: tenants[0].labels.a must be a word, and 1 is none: put it between quotes if you mean it",
		"a: b: c":                                                                        "f:1:1: it is no YAML: mapping values are not allowed in this context",
		"tenants: []\n---\ntenants: []":                                                  "f:2:1: a second document begins here: write all in one",
		"[]":                                                                             "f:1:1: a manifest must be lines of NAME: VALUE",
	} {
		_, _, err := manifestfile.Parse("f", []byte(text))
		if got := fmt.Sprint(err); want != "" && got != want || want == "" && err != nil {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
}
