package integration

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/integration/lab"

	"github.com/google/go-cmp/cmp"
)

// What a plan says of each host's flows is what its real switch then holds more, fewer and otherwise.
func TestAPlanIsWhatTheSwitchesThenHold(t *testing.T) {
	st := needLab(t)
	a, b := pair(t, "planned")
	wantPing(t, a, ipOf(b))
	file := filepath.Join(t.TempDir(), "planned.yaml")
	for _, step := range [][2]string{
		{"limits and more networks", "{broadcasts: 2500}\n  networks:\n  - {name: default, subnets: [10.0.0.0/24]}\n  - {name: db, subnets: [10.0.7.0/24]}\n  - {name: vl, subnets: [10.0.8.0/24], segmentation: vlan}\n"},
		{"no flooding", "{broadcasts: 100}\n  networks:\n  - {name: default, subnets: [10.0.0.0/24], flood: \"off\"}\n"},
	} {
		name, manifest := step[0], step[1]
		text := "tenants:\n- name: planned\n  limits: " + manifest
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := answer[client.Plan](t, "plan", "-f", file)
		if len(p.Flows) == 0 {
			t.Errorf("%s: no flow changes: %+v", name, p.Steps)
		}
		before := hostFlows(t, st)
		sluice(t, "apply", "-f", file, "--digest", p.Digest)
		want := expected(before, p)
		eventually(t, "the switches hold what was planned: "+name, func() error {
			if diff := cmp.Diff(want, hostFlows(t, st)); diff != "" {
				return fmt.Errorf("they differ (-planned +held):\n%s", diff)
			}
			return nil
		})
		sluice(t, "diff", "-f", file)
	}
	wantPing(t, a, ipOf(b))
	sluice(t, "apply", "-f", file, "--prune", "networks/planned/db", "--prune", "networks/planned/vl")
}

// hostFlows are the flows of each host as text, sorted.
func hostFlows(t *testing.T, st lab.Status) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, h := range st.Hosts {
		all[h.Name] = slices.Sorted(maps.Keys(dump(t, h)))
	}
	return all
}

// expected is what hosts hold once a plan is applied.
func expected(before map[string][]string, p client.Plan) map[string][]string {
	held := map[string]map[string]bool{}
	for host, list := range before {
		held[host] = map[string]bool{}
		for _, text := range list {
			held[host][text] = true
		}
	}
	match := func(text string) string {
		before, _, _ := strings.Cut(text, "actions=")
		return before
	}
	for _, f := range p.Flows {
		text := dumpedAs(f)
		for other := range held[f.Host] {
			if match(other) == match(text) {
				delete(held[f.Host], other)
			}
		}
		if f.Change != "delete" {
			held[f.Host][text] = true
		}
	}
	after := map[string][]string{}
	for host, list := range held {
		after[host] = slices.Sorted(maps.Keys(list))
	}
	return after
}

// dumpedAs is a planned flow as dump reads it from ovs-ofctl, which writes each flow's table.
func dumpedAs(f client.Flow) string {
	cookie, rest, _ := strings.Cut(f.Text, ", ")
	if f.Table == 0 {
		rest = "table=0, " + rest
	}
	return cookie + ", " + rest
}
