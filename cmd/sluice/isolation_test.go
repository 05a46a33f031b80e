package main

import (
	"testing"
	"time"

	"sluice/controller/client"
)

// How old a proof is is said of both: what holds now, and the last reading of all flows.
func TestAgeOfProofs(t *testing.T) {
	now := time.Date(2026, 11, 28, 22, 0, 0, 0, time.UTC)
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	for want, proof := range map[string]*client.Proof{
		"":                       nil,
		"5s ago":                 {At: before(5 * time.Second), Whole: before(5 * time.Second)},
		"5s ago, whole 1m5s ago": {At: before(5 * time.Second), Whole: before(65 * time.Second)},
		"0s ago":                 {At: before(-time.Minute), Whole: before(-time.Minute)},
	} {
		if got := asOf(proof, now); got != want {
			t.Errorf("as of %q, not %q", got, want)
		}
	}
	if got := asOf(&client.Proof{}, now); got != "" {
		t.Errorf("nothing was proved, and it is as of %q", got)
	}
	for want, h := range map[string]client.VerifiedHost{
		"Nothing was ever proved of it here":                   {},
		"The last proof of it here is of 2026-11-28 21:59:55Z": {Last: before(5 * time.Second), LastWhole: before(5 * time.Second)},
		"The last proof of it here is of 2026-11-28 21:59:55Z, and all its flows were last read at 2026-11-28 21:59:00Z": {Last: before(5 * time.Second), LastWhole: before(time.Minute)},
	} {
		if got := lastProof(&h); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
