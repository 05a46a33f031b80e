package flows_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/flows"
	"sluice/flows/internal/worlds"
)

// A port's number is in the registers of its own host alone, elsewhere in cookies, which hold the tenant too. So a
// number that is given out while the switch of another host holds flows of the old port leads no frame astray
// there: docs/design/019.
func TestPortNumberIsItsOwnHosts(t *testing.T) {
	here, elsewhere := 0, 0
	for seed := range uint64(3) {
		w := worlds.New(seed)
		for i, p := range slices.Clone(w.Ports) {
			before := anonymous(t, w)
			renumbered := *p.Value
			renumbered.Number = 1<<20 + uint32(i)
			w.Put(p.Key, &renumbered)
			for host, after := range anonymous(t, w) {
				diff := cmp.Diff(before[host], after)
				switch {
				case host != p.Host && diff != "":
					t.Fatalf("seed %d: %s is on %s, and its number is in flows of %s:\n%s", seed, p.Key, p.Host, host, diff)
				case host == p.Host && diff != "":
					here++
				case len(after) > 0:
					elsewhere++
				}
			}
		}
	}
	if here < 20 || elsewhere < 50 {
		t.Errorf("only %d ports had flows on their own host, and %d on others", here, elsewhere)
	}
}

// anonymous are the flows of each host without cookies, as text, sorted.
func anonymous(t *testing.T, w *worlds.World) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, sw := range w.Switches() {
		var list []string
		compiled, _ := flows.Desired(w.State, sw)
		for _, f := range compiled {
			f.Cookie = 0
			list = append(list, f.String())
		}
		slices.Sort(list)
		all[sw.Host] = list
	}
	return all
}
