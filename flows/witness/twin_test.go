package witness

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	of "sluice/datapath/openflow"
	"sluice/flows/internal/hostile"
	"sluice/flows/internal/worlds"
)

var worldsOf = flag.Int("worlds", 6, "worlds")

var edits = flag.Int("edits", 6, "hostile edits of each world")

func hostileTables(tables []Tables) []hostile.Tables {
	all := make([]hostile.Tables, len(tables))
	for i, t := range tables {
		all[i] = hostile.Tables(t)
	}
	return all
}

func TestTwin(t *testing.T) {
	var both, only, naive, none int
	var ts, to time.Duration
	for seed := range uint64(*worldsOf) {
		w := worlds.New(seed)
		tables := compiled(w.State, w.Switches()...)
		r := rand.New(rand.NewPCG(seed, 5))
		for i := range *edits {
			change := hostile.Edit(r, hostileTables(tables))
			edited := slices.Clone(tables)
			edited[change.Host].Flows = change.Flows
			c := New(w.State, edited)
			var f *of.Flow
			if len(change.Added) > 0 {
				f = &change.Added[0]
			}
			at := time.Now()
			e := c.Search(edited[change.Host].Switch.Host, f, Budget{Tries: 400, Seed: uint64(i)})
			ts += time.Since(at)
			at = time.Now()
			v := oracle{c}.violation()
			to += time.Since(at)
			switch {
			case e != nil && v != nil:
				both++
			case e != nil:
				only++
				t.Logf("seed %d: only the search: %s\n%s", seed, change, e)
			case v != nil:
				naive++
				t.Logf("seed %d: only the oracle: %s\n%s", seed, change, v)
			default:
				none++
			}
		}
	}
	t.Log("both", both, "search alone", only, "oracle alone", naive, "none", none, ts, to)
}
