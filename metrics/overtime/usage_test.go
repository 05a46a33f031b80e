package overtime

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

var testEnd = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// minutes are values that a series had each minute, the last one at testEnd; -1: none.
func minutes(values ...float64) (list []model.SamplePair) {
	for i, v := range values {
		if v >= 0 {
			at := testEnd.Add(-time.Duration(len(values)-1-i) * time.Minute)
			list = append(list, model.SamplePair{Timestamp: model.TimeFromUnixNano(at.UnixNano()), Value: model.SampleValue(v)})
		}
	}
	return list
}

// What grew counts, a fall is a new beginning, and what began while Prometheus looked on began at 0.
func TestIncrease(t *testing.T) {
	over := promv1.Range{Start: testEnd.Add(-5 * time.Minute), End: testEnd, Step: time.Minute}
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

func TestUsageLeavesOutWhatDidNotGrow(t *testing.T) {
	over := promv1.Range{Start: testEnd.Add(-8 * time.Minute), End: testEnd, Step: time.Minute}
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
	want := []Traffic{{"alice", "in", "internal", 199, 19_502}, {"alice", "out", "internal", 200, 19_600}}
	if diff := cmp.Diff(want, u.Traffic); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff([]Through{{"alice", "h1", "out", 7, 686}, {"alice", "h2", "out", 50, 4_900}}, u.Gateways); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff([]Drops{{"", "unknown-port", 3}, {"alice", "spoofed", 1}}, u.Drops); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
