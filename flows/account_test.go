package flows_test

import (
	"slices"
	"testing"

	"sluice/flows"
	"sluice/flows/internal/worlds"
)

// Whatever a flow counts of a tenant is among its classes: they are forgotten with it.
func TestClassesAreAllThatCounts(t *testing.T) {
	seen := map[flows.Class]bool{}
	for seed := range uint64(20) {
		w := worlds.New(seed)
		for _, sw := range w.Switches() {
			desired, _ := flows.Desired(w.State, sw)
			for i := range desired {
				class, counts := flows.Account(&desired[i])
				if counts && !slices.Contains(flows.Classes(class.Tenant), class) {
					t.Errorf("seed %d: %+v is none of the classes, of %s", seed, class, desired[i].String())
				}
				class.Tenant = 0
				seen[class] = counts
			}
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d classes are counted", len(seen))
	}
}
