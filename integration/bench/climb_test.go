package bench

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each round climbs through all levels and back to the first, which is also the last.
func TestClimb(t *testing.T) {
	var order []string
	c := climb{
		levels: []int{0, 10, 50},
		reach: func(_ context.Context, from, to int) error {
			order = append(order, fmt.Sprintf("%d to %d", from, to))
			return nil
		},
		take: func(_ context.Context, level int) ([]float64, error) {
			order = append(order, fmt.Sprint("at ", level))
			return []float64{float64(level), float64(level)}, nil
		},
	}
	r := &Run{Options: Options{Rounds: 2}.withDefaults()}
	got, err := r.climb(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	round := []string{"at 0", "0 to 10", "at 10", "10 to 50", "at 50", "50 to 0"}
	if diff := cmp.Diff(append(append(round, round...), "at 0"), order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	for i, samples := range []int{6, 4, 4} {
		if res := got.compare(i, "none", nil); len(res.Samples) != samples || len(res.Reference.Samples) != 6 {
			t.Errorf("level %d has %d samples beside %d", i, len(res.Samples), len(res.Reference.Samples))
		}
	}
}

// A machine that gets slower and slower makes no level slow: the first is measured before and
// after it. What a level really costs shows, and the drift beside it.
func TestClimbOnADriftingMachine(t *testing.T) {
	const costs = 1.5 // of level 1
	now := 100.0
	c := climb{levels: []int{0, 1}, take: func(_ context.Context, level int) ([]float64, error) {
		now += 10
		if level == 1 {
			return []float64{costs * now}, nil
		}
		return []float64{now}, nil
	}}
	r := &Run{Options: Options{Rounds: 5}.withDefaults()}
	got, err := r.climb(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if res := got.compare(1, "none", AtMost(1.3)); math.Abs(res.Ratio-costs) > 1e-9 || res.Bound.Holds(res.Ratio) {
		t.Errorf("ratio %v, want %v", res.Ratio, costs)
	}
	drift := got.compare(0, "none", nil)
	if math.Abs(drift.Ratio-170.0/150) > 1e-9 || drift.Against != "none, a round earlier" {
		t.Errorf("ratio %v to %s, want %v", drift.Ratio, drift.Against, 170.0/150)
	}
}
