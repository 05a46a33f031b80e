package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

var usageEnd = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// minutes are values that a series had each minute, the last one at usageEnd; -1: none.
func minutes(values ...float64) (list []model.SamplePair) {
	for i, v := range values {
		if v >= 0 {
			at := usageEnd.Add(-time.Duration(len(values)-1-i) * time.Minute)
			list = append(list, model.SamplePair{Timestamp: model.TimeFromUnixNano(at.UnixNano()), Value: model.SampleValue(v)})
		}
	}
	return list
}

// What grew counts, a fall is a new beginning, and what began while Prometheus looked on began at 0.
func TestIncrease(t *testing.T) {
	over := promv1.Range{Start: usageEnd.Add(-5 * time.Minute), End: usageEnd, Step: time.Minute}
	for _, test := range []struct {
		what   string
		known  []model.SamplePair
		values []model.SamplePair
		want   uint64
		gaps   int
	}{
		{"it grew", minutes(1, 1, 1, 1, 1, 1), minutes(10, 10, 20, 30, 30, 35), 25, 0},
		{"it began with one burst", minutes(1, 1, 1, 1, 1, 1), minutes(10, 10, 10), 10, 0},
		{"it stood still all the time", minutes(1, 1, 1, 1, 1, 1), minutes(10, 10, 10, 10, 10, 10), 0, 0},
		{"it began while Prometheus looked on", minutes(1, 1, 1, 1, 1, 1), minutes(-1, -1, 7, 7, 8, 9), 9, 0},
		{"Prometheus began later", minutes(-1, -1, 1, 1, 1, 1), minutes(-1, -1, 7, 7, 8, 9), 2, 0},
		{"another tenant of the name", minutes(1, 1, 1, 1, 1, 1), minutes(10, 20, 5, 6, 6, 6), 16, 0},
		{"a gap", minutes(1, 1, -1, -1, 1, 1), minutes(10, 20, -1, -1, 100, 110), 100, 1},
		{"it ended", minutes(1, 1, 1, 1, 1, 1), minutes(10, 20, -1, -1, -1, -1), 10, 0},
		{"nothing is known of the end", minutes(1, 1, 1, -1, -1, -1), minutes(10, 20, 30, -1, -1, -1), 20, 1},
	} {
		u := newUsage(over, test.known)
		if got := u.increase(test.values); got != test.want || len(u.Gaps) != test.gaps {
			t.Errorf("%s: by %d, and not by %d; gaps %v", test.what, got, test.want, u.Gaps)
		}
	}
}

// someUsage is of a Prometheus that began late and was away for a while.
func someUsage() usage {
	over := promv1.Range{Start: usageEnd.Add(-8 * time.Minute), End: usageEnd, Step: time.Minute}
	u := newUsage(over, minutes(1, 1, -1, -1, 1, 1))
	metric := func(labels ...string) model.Metric {
		m := model.Metric{}
		for i := 0; i < len(labels); i += 2 {
			m[model.LabelName(labels[i])] = model.LabelValue(labels[i+1])
		}
		return m
	}
	u.packets(metric("tenant", "alice", "direction", "out", "scope", "internal"), 200)
	u.packets(metric("tenant", "alice", "direction", "in", "scope", "internal"), 199)
	u.packets(metric("tenant", "alice", "direction", "in", "scope", "egress"), 0)
	u.bytes(metric("tenant", "alice", "direction", "in", "scope", "internal"), 19_502)
	u.bytes(metric("tenant", "alice", "direction", "out", "scope", "internal"), 19_600)
	u.throughPackets(metric("tenant", "alice", "host", "h2", "direction", "out"), 50)
	u.throughBytes(metric("tenant", "alice", "host", "h2", "direction", "out"), 4_900)
	u.throughPackets(metric("tenant", "alice", "host", "h1", "direction", "out"), 7)
	u.throughBytes(metric("tenant", "alice", "host", "h1", "direction", "out"), 686)
	u.throughBytes(metric("tenant", "alice", "host", "h1", "direction", "in"), 0)
	u.drops(metric("tenant", "", "reason", "unknown-port"), 3)
	u.drops(metric("tenant", "alice", "reason", "spoofed"), 1)
	u.drops(metric("tenant", "alice", "reason", "rate"), 0)
	u.sort()
	return u
}

func TestUsageLeavesOutWhatDidNotGrow(t *testing.T) {
	u := someUsage()
	want := []usedTraffic{{"alice", "in", "internal", 199, 19_502}, {"alice", "out", "internal", 200, 19_600}}
	if diff := cmp.Diff(want, u.Traffic); diff != "" {
		t.Errorf("-want +got\n%s", diff)
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
