package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/integration/lab"
)

// dashboard is what a test needs of one of Grafana's.
type dashboard struct {
	Title  string
	Panels []struct {
		Title   string
		Targets []struct{ Expr string }
	}
}

// Every panel of both dashboards shows something of a cluster in which something happens.
func dashboardsShow(t *testing.T, p *prometheus, tenant string) {
	boards, err := filepath.Glob(filepath.Join(shippedMonitoring, "grafana", "*.json"))
	if err != nil || len(boards) != 2 {
		t.Fatalf("dashboards: %v, %v", boards, err)
	}
	variables := strings.NewReplacer("$tenant", tenant, "$__rate_interval", "20s", "$__range", "1m")
	for _, path := range boards {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, panel := range d.Panels {
			if len(panel.Targets) == 0 {
				t.Errorf("%s, %s asks for nothing", d.Title, panel.Title)
			}
			for _, target := range panel.Targets {
				query := variables.Replace(target.Expr)
				p.shown(t, d.Title+", "+panel.Title, query)
			}
		}
	}
}

// shows says whether a query has numbers for an answer.
func (p *prometheus) shows(query string) error {
	answer, err := p.ask(query)
	if err == nil && len(answer) == 0 {
		err = fmt.Errorf("%s has no answer", query)
	}
	for series, v := range answer {
		if math.IsNaN(v) {
			err = fmt.Errorf("%s of %s is no number", query, series)
		}
	}
	return err
}

// shown waits until a query has an answer. Agents tell of a tenant's first connections within 75 s, which controllers read
// every 15 s.
func (p *prometheus) shown(t *testing.T, what, query string) {
	t.Helper()
	for range 120 {
		if p.shows(query) == nil {
			return
		}
		time.Sleep(time.Second)
	}
	t.Errorf("%s: %v", what, p.shows(query))
}

// firing reports whether an alert fires.
func (p *prometheus) firing(alert string) (bool, error) {
	answer, err := p.ask(`ALERTS{alertname="` + alert + `",alertstate="firing"}`)
	return len(answer) > 0, err
}

// commanded are the commands of a page.
var commanded = regexp.MustCompile("(?m)^(sluice usage|promtool) .*$")

// documented runs what docs/monitoring.md says.
func documented(t *testing.T, p *prometheus) {
	page, err := os.ReadFile("../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := commanded.FindAllString(string(page), -1)
	if len(lines) != 4 {
		t.Errorf("the page has the commands %q", lines)
	}
	for _, line := range lines {
		words := strings.Fields(strings.NewReplacer("http://127.0.0.1:9090", p.url, "--since 1h", "--since 5m").Replace(line))
		if words[0] == "sluice" {
			words[0] = program
		}
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Dir = filepath.Dir(p.config)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		if words[0] == program && !strings.Contains(string(out), "alice") {
			t.Errorf("%s does not tell of alice:\n%s", line, out)
		}
	}
}

// usageAgrees says that `sluice usage` tells what containers sent since Prometheus began.
func usageAgrees(t *testing.T, st lab.Status, p *prometheus, tenant string) {
	var counted struct {
		Traffic []struct {
			Tenant, Direction, Scope string
			Packets                  float64
		}
	}
	eventually(t, "usage is what metrics say", func() error {
		counted.Traffic = nil
		out := sluice(t, "usage", "--tenant", tenant, "--since", "5m", "--prometheus", p.url, "-o", "json")
		if err := json.Unmarshal([]byte(out), &counted); err != nil {
			return err
		}
		if len(counted.Traffic) == 0 {
			return errors.New("nothing was counted")
		}
		for _, c := range counted.Traffic {
			want := metric(t, st, "sluice_tenant_packets_total", `tenant="`+tenant+`"`, `direction="`+c.Direction+`"`, `scope="`+c.Scope+`"`)
			if c.Packets != want || c.Tenant != tenant {
				return fmt.Errorf("%+v: metrics say %v", c, want)
			}
		}
		return nil
	})
}

// A real Prometheus by the shipped configuration: the rules load, every panel shows something, alerts fire on their
// faults and resolve, and what the page says can be typed. What is shown and the alerts wait beside each other.
func TestMonitoring(t *testing.T) {
	st := needLab(t)
	p := startPrometheus(t, st)
	eventually(t, "Prometheus scrapes", func() error { return p.shows(`sluice_tenant_sums_read`) })
	tenant(t, "alice", "--gateway", "h1")
	a, b := container(t, "h1", "alice", "monitored-1"), container(t, "h2", "alice", "monitored-2")
	shown := make(chan struct{})
	t.Run("together", func(t *testing.T) {
		t.Run("shown", func(t *testing.T) {
			t.Parallel()
			defer close(shown)
			p.showsTraffic(t, st, a, b)
		})
		t.Run("alerts", func(t *testing.T) {
			t.Parallel()
			p.alerts(t, st, shown)
		})
	})
	scraped(t, st) // the next test needs a leader
	wantNoDiff(t)
}

// showsTraffic looks at all that tells of a tenant, one of whose containers also spoofs.
func (p *prometheus) showsTraffic(t *testing.T, st lab.Status, a, b lab.Container) {
	pings := []*steadyPings{steadyPing(t, a, ipOf(b)), steadyPing(t, b, lab.InternetAddress)}
	w := tap(t, a)
	for range 50 {
		w.send(t, ethernet(broadcast, hw("02:12:34:56:78:9a"), 0x0800, udp4(ipOf(a), ipOf(b), 1, 2, nil)))
	}
	dashboardsShow(t, p, "alice")
	for _, rule := range []string{"tenant_direction_scope:sluice_tenant_bytes:rate2m", "tenant_direction_scope:sluice_tenant_packets:rate2m", "tenant_reason:sluice_tenant_drops:rate2m"} {
		eventually(t, rule+" is recorded", func() error { return p.shows(rule + `{tenant="alice"}`) })
	}
	for _, ping := range pings {
		_ = ping.end() // faults around it may have taken some
	}
	usageAgrees(t, st, p, "alice")
	documented(t, p)
}
