package metrics

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"sluice/internal/golden"
)

var update = flag.Bool("update", false, "rewrite docs/metrics.md")

func sample() Snapshot {
	return Snapshot{
		Traffic: []Traffic{{Tenant: "alice", Direction: "out", Scope: "internal", Packets: 3, Bytes: 294}},
		Through: []Through{{Tenant: "alice", Host: "h2", Direction: "out", Packets: 2, Bytes: 196}},
		Drops:   []Drops{{Tenant: "bob", Reason: "spoofed", Packets: 1}},
		Usage: []Usage{
			{Tenant: "alice", Connections: 5, KernelConnections: 6, KernelDrops: 7, PortsRefused: 8, NewPortsRefused: 9, QuestionsRefused: 10, Answers: [5]uint64{1, 2, 3, 4, 5}},
			{Tenant: "bob", KernelConnections: 1},
		},
		Flows:    []Flows{{Host: "h1", Table: "classify", Count: 7}},
		Gateways: []GatewayLoad{{Host: "h1", Bytes: 5}}, Proofs: []Proof{{Host: "h1", Proved: true, At: time.Unix(1_700_000_000, 0)}, {Host: "h2"}},
		Hosts:    map[string]int{"realized": 3},
		Sessions: map[string]int{"master": 3},
		Leads:    true, Summed: true,
		Seen: 12, Realized: 11, Certificate: time.Unix(1_800_000_000, 0),
	}
}

func registry(t *testing.T) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	set, err := New(reg, sample)
	if err != nil {
		t.Fatal(err)
	}
	set.Realize.Observe(0.01)
	set.FlowMods.WithLabelValues("add").Inc()
	set.Refused.WithLabelValues("h1").Inc()
	set.Drift.WithLabelValues("h1", "missing").Inc()
	set.Impostors.WithLabelValues("h1").Inc()
	set.Audits.WithLabelValues("quick").Inc()
	set.Noted.WithLabelValues("gateway-moved").Inc()
	return reg
}

// Every name and help text passes the linter that Prometheus itself recommends.
func TestNamesLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(registry(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// What is documented is what is exported, and the other way round.
func TestDescriptionsAreComplete(t *testing.T) {
	families, err := registry(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	exported := map[string]string{}
	for _, f := range families {
		exported[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	described := map[string]string{}
	for _, d := range Descriptions() {
		described[d.Name] = d.Type
	}
	if diff := cmp.Diff(described, exported); diff != "" {
		t.Errorf("described (-), exported (+):\n%s", diff)
	}
}

// How many series there may be is stated for every metric, and a label that is new says so too.
func TestSeriesAreStated(t *testing.T) {
	for _, d := range Descriptions() {
		if series := d.Series(); strings.Contains(series, "?") {
			t.Errorf("%s has %q series: say in extents how many values its labels have", d.Name, series)
		}
	}
	for _, test := range []struct {
		labels []string
		want   string
	}{
		{nil, "1"}, {[]string{"what"}, "2"}, {[]string{"host"}, "hosts"}, {[]string{"tenant", "direction", "scope"}, "tenants x 8"},
		{[]string{"colour"}, "?"},
	} {
		if got := (Description{Labels: test.labels}).Series(); got != test.want {
			t.Errorf("%q: %q series, not %q", test.labels, got, test.want)
		}
	}
}

func TestDocsAreFresh(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Metrics\n\nThe controller serves these at `/metrics`. Generated from package metrics: `make docs`.\n\n")
	b.WriteString("How many series there are at most, for each controller, stands under *series*: *hosts* are those that it programs. Those of a\n" +
		"tenant or a table are left out while they are 0, so that a new one begins with its first packet. What only\n" +
		"the leader has is there once in a cluster: Prometheus is to scrape all controllers, [so](monitoring.md).\n\n" +
		"`sluice_tenant_bytes_total`, `sluice_tenant_packets_total`, the same of gateway hosts, and `sluice_tenant_drops_total` never go back while their tenant is there, whatever becomes of\n" +
		"ports, flows, gateways, hosts and controllers. They are what etcd holds of all hosts: 4 s late at most where a controller programs up to 20 hosts,\n" +
		"12 s where it has 100 or more. A switch that crashes loses what it counted since it was last read, 2 s at most;\n" +
		"[what else can be lost](design/051-one-series-a-tenant.md). While no flow changes that the traffic uses, what containers send is exactly what is counted out,\n" +
		"refused, or answered by a switch; [the bounds](design/066-nothing-is-lost.md).\n\n")
	b.WriteString("| name | type | labels | series | meaning |\n|---|---|---|---|---|\n")
	for _, d := range Descriptions() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", d.Name, d.Type, strings.Join(d.Labels, ", "), d.Series(), d.Help)
	}
	golden.Check(t, "../docs/metrics.md", []byte(b.String()), *update)
}
