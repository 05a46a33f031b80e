package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sluice/metrics/overtime"
)

var usageEnd = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// someUsage is of a Prometheus that began late and was away for a while.
func someUsage() overtime.Usage {
	ago := func(minutes int) time.Time { return usageEnd.Add(-time.Duration(minutes) * time.Minute) }
	return overtime.Usage{
		Asked: ago(8), From: ago(5), To: usageEnd, Step: time.Minute, Gaps: []overtime.Gap{{From: ago(4), To: ago(1)}},
		Traffic: []overtime.Traffic{
			{Tenant: "alice", Direction: "in", Scope: "internal", Packets: 199, Bytes: 19_502},
			{Tenant: "alice", Direction: "out", Scope: "internal", Packets: 200, Bytes: 19_600},
		},
		Gateways: []overtime.Through{{Tenant: "alice", Host: "h1", Direction: "out", Packets: 7, Bytes: 686}, {Tenant: "alice", Host: "h2", Direction: "out", Packets: 50, Bytes: 4_900}},
		Drops:    []overtime.Drops{{Reason: "unknown-port", Packets: 3}, {Tenant: "alice", Reason: "spoofed", Packets: 1}},
	}
}

// A Prometheus that is away, that is none, or that knows nothing of Sluice: a sentence each.
func TestUsageWithoutAnswer(t *testing.T) {
	answers := func(status int, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	empty := answers(200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
	for _, test := range []struct {
		args   string
		status int
		says   string
	}{
		{"", 2, "--prometheus is missing"},
		{"--prometheus nowhere", 2, "write it as http://HOST:PORT"},
		{"--prometheus " + nobody + " --since 1s", 2, "it is 1m at least"},
		{"--prometheus " + nobody + " --tenant A", 2, `name "A"`},
		{"--prometheus " + nobody, 1, "prometheus at " + nobody + " does not answer"},
		{"--prometheus " + answers(404, "no such page"), 1, "does not answer"},
		{"--prometheus " + empty, 1, "knows nothing of Sluice since"},
	} {
		got := sluice(t, append([]string{"usage"}, strings.Fields(test.args)...)...)
		if got.status != test.status || !strings.Contains(got.err, test.says) || strings.Count(got.err, "\n") != 1 {
			t.Errorf("sluice usage %s: status %d, %q; want %d and %q", test.args, got.status, got.err, test.status, test.says)
		}
	}
}

// Only the queried tenant's series are asked for, and what Prometheus answers is what is shown.
func TestUsageAsks(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.FormValue("query")
		asked = append(asked, query)
		labels := `"tenant":"alice","direction":"out","scope":"egress"`
		if strings.Contains(query, "drops") {
			labels = `"tenant":"alice","reason":"ttl"`
		}
		if strings.Contains(query, "gateway") {
			labels = `"tenant":"alice","host":"h2","direction":"in"`
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{%s},"values":[[%s,"1"],[%s,"42"]]}]}}`,
			labels, r.FormValue("start"), r.FormValue("end"))
	}))
	defer server.Close()
	got := sluice(t, "usage", "--tenant", "alice", "--prometheus", server.URL)
	if got.status != 0 || !strings.Contains(got.out, "alice    egress   out         41        41") || !strings.Contains(got.out, "alice    h2             in          41        41") || !strings.Contains(got.out, "alice    ttl       41") {
		t.Errorf("status %d:\n%s%s", got.status, got.out, got.err)
	}
	for i, query := range asked {
		if i > 0 && !strings.Contains(query, `{tenant="alice"}`) {
			t.Errorf("asked for %s", query)
		}
	}
	if len(asked) != 6 {
		t.Errorf("asked %q", asked)
	}
}
