package store

import (
	"testing"
	"time"
)

func TestEnrolmentBelieves(t *testing.T) {
	joined := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tc := range map[string]struct {
		enrolment *Enrolment
		validFrom time.Time
		want      bool
	}{
		"not enrolled":                      {nil, joined, false},
		"whatever its age":                  {&Enrolment{}, joined, true},
		"the certificate that the host got": {&Enrolment{NotBefore: joined}, joined, true},
		"a renewed one":                     {&Enrolment{NotBefore: joined}, joined.Add(time.Hour), true},
		"one from before it joined anew":    {&Enrolment{NotBefore: joined}, joined.Add(-time.Second), false},
	} {
		if got := tc.enrolment.Believes(tc.validFrom); got != tc.want {
			t.Errorf("%s: believed: %v", name, got)
		}
	}
}
