package web

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/metrics/overtime"
)

// A line ends where something is not known, and what was counted then makes no peak.
func TestDraws(t *testing.T) {
	start := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	c := overtime.Course{Asked: start, From: at(2), To: at(60), Step: time.Minute, Points: []overtime.Point{
		{At: at(2)}, {At: at(3), Out: 6000, In: 60}, {At: at(4), Out: 3000}, {At: at(58), Out: 600_000}, {At: at(59)}, {At: at(60), Out: 3000},
	}}
	got := draws(c, []overtime.Gap{{From: at(0), To: at(2)}, {From: at(4), To: at(58)}})
	want := curve{Width: 1200, Height: 200, Top: 100,
		Out:  []string{"40,2 60,2 60,100 80,100", "1160,198 1180,198 1180,100 1200,100"},
		In:   []string{"40,197 60,197 60,198 80,198", "1160,198 1180,198 1180,198 1200,198"},
		Gaps: []strip{{0, 40}, {80, 1080}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
