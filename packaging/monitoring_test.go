package packaging

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// fault is what metrics show while something is wrong: series by name, with their values every 30 s, as promtool writes
// them. All is well for 10 minutes, wrong for 20, and well again.
type fault struct {
	series string
	values string
}

// within is a gauge that is well, wrong and well again.
func within(series string, well, wrong float64) fault {
	return fault{series, fmt.Sprintf("%vx20 %vx40 %vx400", well, wrong, well)}
}

// events is a counter that counts while something is wrong.
func events(series string) fault { return fault{series, "0x20 1+1x40 41x400"} }

// faults has one of each alert.
func faults() map[string]fault {
	return map[string]fault{
		"SluiceControllerDown":     within(`up{job="sluice",instance="c1"}`, 1, 0),
		"SluiceNoLeader":           within(`sluice_leader{instance="c1"}`, 1, 0),
		"SluiceTenantSumsMissing":  within(`sluice_tenant_sums_read`, 1, 0),
		"SluiceStoreHeld":          within(`sluice_store_held{instance="c1"}`, 0, 1),
		"SluiceHostDown":           within(`sluice_hosts{state="down"}`, 0, 1),
		"SluiceHostBehind":         within(`sluice_hosts{state="refused"}`, 0, 1),
		"SluiceIsolationNotProved": within(`sluice_isolation_proved{host="h1"}`, 1, 0),
		"SluiceHostAsks":           within(`sluice_host_requests`, 0, 1),
		"SluiceProblems":           within(`sluice_problems{instance="c1"}`, 0, 3),
		"SluiceUnknownSwitch":      within(`sluice_unknown_switches{instance="c1"}`, 0, 1),
		"SluiceDrift":              events(`sluice_audit_drift_total{host="h1",kind="missing"}`),
		"SluiceFlowModsRefused":    events(`sluice_flow_mods_refused_total{host="h1"}`),
		"SluiceTakenValuesMended":  events(`sluice_taken_values_mended_total{mended="freed"}`),
		"SluiceImpostor":           events(`sluice_impostors_total{host="h1"}`),
		"SluiceStrangersDropped":   events(`sluice_strangers_dropped_total{instance="c1"}`),
		"SluiceTenantSpoofs":       {`sluice_tenant_drops_total{tenant="alice",reason="spoofed"}`, "0x20 0+3000x40 120000x400"},
		"SluiceProofOld":           {`sluice_isolation_proof_timestamp_seconds{host="h1"}`, "0+30x20 600x60 2430+30x400"},
		// Time begins at 0: 20 minutes before the end of the fault there are less than 7 days left, after it a year.
		"SluiceCertificateEnds": {`sluice_certificate_expires_timestamp_seconds{instance="c1"}`, "31536000x20 100000x160 31536000x400"},
	}
}

// times are when an alert is looked at, in minutes: it is wrong, it is well again.
func (f fault) times(alert string) (wrong, again int) {
	if alert == "SluiceCertificateEnds" {
		return 85, 150
	}
	if alert == "SluiceProofOld" {
		return 39, 120
	}
	return 29, 120
}

var alertName = regexp.MustCompile(`(?m)^ *- alert: (\w+)$`)

// Each alert fires on its fault and resolves, and no other does meanwhile.
func TestAlertsFireAndResolve(t *testing.T) {
	rules, err := filepath.Abs("monitoring/sluice.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range alertName.FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	known := faults()
	if len(names) != len(known) {
		t.Errorf("%d alerts, and faults of %d", len(names), len(known))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "rule_files: [%s]\nevaluation_interval: 30s\ntests:\n", rules)
	for _, name := range names {
		f, ok := known[name]
		if !ok {
			t.Errorf("nothing makes %s fire here", name)
			continue
		}
		b.WriteString(f.test(name))
	}
	path := filepath.Join(t.TempDir(), "test.yml")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "promtool", "check", "rules", rules)
	run(t, "promtool", "test", "rules", path)
}

// test is one of promtool's.
func (f fault) test(alert string) string {
	var b strings.Builder
	series := []fault{f}
	if alert != "SluiceNoLeader" { // which is there else
		series = append(series, fault{"sluice_leader", "1x600"})
	}
	fmt.Fprintf(&b, "  - interval: 30s\n    name: %s\n    input_series:\n", alert)
	for _, s := range series {
		fmt.Fprintf(&b, "      - {series: '%s', values: '%s'}\n", s.series, s.values)
	}
	b.WriteString("    promql_expr_test:\n")
	wrong, again := f.times(alert)
	for _, at := range []int{9, wrong, again} {
		fmt.Fprintf(&b, "      - expr: count by (alertname) (ALERTS{alertstate=\"firing\"})\n        eval_time: %dm\n", at)
		if at == wrong {
			fmt.Fprintf(&b, "        exp_samples: [{labels: '{alertname=\"%s\"}', value: 1}]\n", alert)
		}
	}
	return b.String()
}

// What the shipped configuration says is right, and names the rules beside it.
func TestPrometheusConfiguration(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"prometheus.yml", "sluice.rules.yml"} {
		text, err := os.ReadFile(filepath.Join("monitoring", name))
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.ReplaceAll(string(text), "/etc/prometheus/sluice.token", filepath.Join(dir, "token")))
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	said := run(t, "promtool", "check", "config", filepath.Join(dir, "prometheus.yml"))
	if !strings.Contains(said, "1 rule files found") || slices.Contains(strings.Fields(said), "FAILED") {
		t.Errorf("promtool says %s", said)
	}
}

// Grafana's own description of a dashboard, its panels and its questions knows each field of ours, and misses none.
func TestDashboardsAreGrafanas(t *testing.T) {
	plugins.RegisterDefaultPlugins() // the kinds of panels
	files, err := filepath.Glob("monitoring/grafana/*.json")
	if err != nil || len(files) != 2 {
		t.Fatalf("dashboards: %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard.Dashboard //nolint:staticcheck // the form that every Grafana since 11 imports
		strictly(t, file, &d, text)
		if err := d.Validate(); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		var panels struct {
			Panels []struct{ Targets []json.RawMessage }
		}
		if err := json.Unmarshal(text, &panels); err != nil {
			t.Fatal(err)
		}
		for n, panel := range panels.Panels {
			for _, target := range panel.Targets {
				strictly(t, fmt.Sprintf("%s, panel %d", file, n), &prometheus.Dataquery{}, target)
			}
		}
	}
}

// strictly reads a text that has just what a type has.
func strictly(t *testing.T, what string, v interface{ UnmarshalJSONStrict([]byte) error }, text []byte) {
	t.Helper()
	if err := v.UnmarshalJSONStrict(text); err != nil && err.Error() != "" { // where a question has no mistake, the library returns an empty list of mistakes
		t.Errorf("%s: %v", what, err)
	}
}
