package bench

import (
	"testing"
)

func TestReceived(t *testing.T) {
	got, err := received([]byte(`{"end": {"sum_sent": {"bytes": 5000, "seconds": 2}, "sum_received": {"bytes": 2500, "seconds": 2.5}}}`))
	if err != nil || got != 8000 {
		t.Errorf("%v bits a second: %v", got, err)
	}
	for _, report := range []string{`{`, `{}`, `{"end": {"sum_received": {"bytes": 0, "seconds": 60}}}`, `{"end": {"sum_received": {"bytes": 60, "seconds": 0}}}`} {
		if got, err := received([]byte(report)); err == nil {
			t.Errorf("%s is read as %v", report, got)
		}
	}
}

// checkRates needs both directions of both protocols, each bounded on both sides.
func checkRates(t *testing.T, results []Result) {
	checkLab(t, results)
	wantMeasured(t, results, "protocol",
		"limited egress protocol=TCP samples=1", "limited ingress protocol=TCP samples=1",
		"limited egress protocol=UDP samples=1", "limited ingress protocol=UDP samples=1",
	)
	for _, r := range results {
		if r.Median <= 0 || r.Median > 2*limitedKbps || r.Bound == nil || r.Bound.Least == nil || r.Bound.Most == nil {
			t.Errorf("%v: %+v", r.Params, r)
		}
	}
}
