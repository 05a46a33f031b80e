package flows

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
)

// A switch that applies the mods holds what is desired, and has kept the counters of every
// flow that it could. The switch is a map by text, as naive as can be.
func TestDiffMendsAnySwitch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for range 2000 {
		installed, desired := randomFlows(r), randomFlows(r)
		m := Diff(installed, desired)
		held, counters := map[string]of.Flow{}, map[string]bool{}
		for _, f := range installed {
			held[naiveKey(&f)], counters[naiveKey(&f)] = f, true
		}
		for _, f := range m.Delete {
			if _, there := held[naiveKey(&f)]; !there {
				t.Fatalf("it deletes %s, which is not there", &f)
			}
			delete(held, naiveKey(&f))
		}
		for _, f := range m.Modify {
			old, there := held[naiveKey(&f)]
			if !there || old.Cookie != f.Cookie {
				t.Fatalf("it modifies %s, where %s stands", &f, &old)
			}
			held[naiveKey(&f)] = f
		}
		for _, f := range m.Add {
			if old, there := held[naiveKey(&f)]; there {
				t.Fatalf("it adds %s, where %s stands", &f, &old)
			}
			held[naiveKey(&f)], counters[naiveKey(&f)] = f, false
		}
		for _, f := range m.Replace {
			if old, there := held[naiveKey(&f)]; !there || old.Cookie == f.Cookie {
				t.Fatalf("it replaces %s by %s", &old, &f)
			}
			held[naiveKey(&f)], counters[naiveKey(&f)] = f, false
		}
		if got, want := texts(slices.Collect(maps.Values(held))), texts(desired); got != want {
			t.Fatalf("it leaves\n%s\nwant\n%s", got, want)
		}
		for _, f := range desired {
			kept := slices.ContainsFunc(installed, func(g of.Flow) bool {
				return naiveKey(&f) == naiveKey(&g) && f.Cookie == g.Cookie
			})
			if counters[naiveKey(&f)] != kept {
				t.Fatalf("counters of %s kept: %t, want %t", &f, !kept, kept)
			}
		}
	}
}

func naiveKey(f *of.Flow) string {
	return (&of.Flow{Table: f.Table, Priority: f.Priority, Match: f.Match}).String()
}

func texts(flows []of.Flow) string {
	var lines []string
	for _, f := range flows {
		lines = append(lines, f.String())
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// randomFlows is a set of few possible flows, each match once.
func randomFlows(r *rand.Rand) []of.Flow {
	set := map[string]of.Flow{}
	for range r.IntN(12) {
		f := of.Flow{Table: uint8(r.IntN(2)), Priority: uint16(r.IntN(2)), Cookie: r.Uint64N(2),
			Match:   of.NewMatch(of.Is(of.FieldReg0, r.Uint64N(3))),
			Actions: []of.Action{of.GotoTable{Table: uint8(10 + r.IntN(2))}}}
		set[naiveKey(&f)] = f
	}
	return slices.Collect(maps.Values(set))
}
