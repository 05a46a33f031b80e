package web

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMeter(t *testing.T) {
	var m meter[string]
	start := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	reads := 0
	at := func(after time.Duration, counts map[string]uint64) measured[string] {
		return m.take(start.Add(after), func() map[string]uint64 { reads++; return counts })
	}
	for _, step := range []struct {
		after  time.Duration
		counts map[string]uint64
		rates  map[string]float64
		reads  int
		why    string
	}{
		{0, map[string]uint64{"a": 100, "b": 100, "c": 5}, map[string]float64{}, 1, "nothing was read before"},
		{readingTime - 1, nil, map[string]float64{}, 1, "the last reading is fresh"},
		{10 * time.Second, map[string]uint64{"a": 600, "b": 40, "c": 5, "d": 9}, map[string]float64{"a": 50, "c": 0}, 2, "b fell, and d is new"},
		{12 * time.Second, nil, map[string]float64{"a": 50, "c": 0}, 2, "the last reading is fresh"},
		{10*time.Second + rateTime, map[string]uint64{"a": 6600}, map[string]float64{"a": 100}, 3, "as far apart as a rate is told of"},
		{11*time.Second + 2*rateTime, map[string]uint64{"a": 9999}, map[string]float64{}, 4, "nobody looked for too long"},
	} {
		got := at(step.after, step.counts)
		if diff := cmp.Diff(step.rates, got.Rates); diff != "" || reads != step.reads {
			t.Errorf("after %v, %s: %d readings, rates (-want +got):\n%s", step.after, step.why, reads, diff)
		}
		if step.counts != nil && !cmp.Equal(got.Counts, step.counts) {
			t.Errorf("after %v the counts are %v", step.after, got.Counts)
		}
	}
}
