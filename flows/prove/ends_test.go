package prove_test

import (
	"testing"

	"sluice/flows"
	"sluice/flows/prove"
)

// Objects with the least and the greatest numbers are proved as all others are.
func TestNumbersAtTheirEnds(t *testing.T) {
	s, switches := golden(t, "testdata/ends.txt")
	for _, sw := range switches {
		all, problems := flows.Desired(s, sw)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		for _, f := range prove.Host(s, prove.Tables{Switch: sw, Flows: all}) {
			t.Errorf("false alarm: %s", &f)
		}
	}
}
