package store

import (
	"testing"
	"time"
)

func TestTrustBelieves(t *testing.T) {
	joined := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tc := range map[string]struct {
		trust     *Trust
		validFrom time.Time
		want      bool
	}{
		"no trust":                          {nil, joined, false},
		"whatever its age":                  {&Trust{}, joined, true},
		"the certificate that the host got": {&Trust{NotBefore: joined}, joined, true},
		"a renewed one":                     {&Trust{NotBefore: joined}, joined.Add(time.Hour), true},
		"one from before it joined anew":    {&Trust{NotBefore: joined}, joined.Add(-time.Second), false},
	} {
		if got := tc.trust.Believes(tc.validFrom); got != tc.want {
			t.Errorf("%s: believed: %v", name, got)
		}
	}
}
