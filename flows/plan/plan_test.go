package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/internal/worlds"
	"sluice/flows/plan"
	"sluice/store"

	"github.com/google/go-cmp/cmp"
)

// A plan of random changes says, of each host, exactly what turns the flows of the state before into those of
// the state after, as both are compiled whole.
func TestPlanIsTheDifference(t *testing.T) {
	moved := 0
	for seed := range uint64(30) {
		w := worlds.New(seed)
		random := rand.New(rand.NewPCG(seed, 7))
		p := plan.New(w.State.Facts())
		for range 1 + random.IntN(4) {
			p.Change(changes(random, p.State(), worlds.New(seed+1000).State))
		}
		for _, sw := range w.Switches() {
			got, _, err := p.Flows(sw)
			if err != nil {
				t.Fatal(err)
			}
			is, _ := flows.Desired(w.State, sw)
			will, _ := flows.Desired(p.State(), sw)
			want, err := flows.Compare(is, will)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(texts(want), texts(got)); diff != "" {
				t.Fatalf("seed %d, %s (-difference +plan):\n%s", seed, sw.Host, diff)
			}
			if moved += got.Len(); got.Len() > 0 && !slices.Contains(p.Hosts(), sw.Host) {
				t.Errorf("seed %d: %s changes and is not among %v", seed, sw.Host, p.Hosts())
			}
		}
	}
	if moved < 1000 {
		t.Errorf("only %d flows changed in all", moved)
	}
}

// changes are some objects of another state put, and some of this one deleted.
func changes(random *rand.Rand, s, other *store.State) (writes []store.Event) {
	puts, deletes := other.Facts().Events, s.Facts().Events
	for range 1 + random.IntN(3) {
		if e := puts[random.IntN(len(puts))]; random.IntN(3) > 0 && e.Key.Kind != store.KindHost {
			writes = append(writes, store.Event{Key: e.Key, Object: e.Object})
		} else if e := deletes[random.IntN(len(deletes))]; e.Key.Kind != store.KindHost {
			writes = append(writes, store.Event{Key: e.Key})
		}
	}
	slices.SortFunc(writes, func(a, b store.Event) int { return compare(a.Key, b.Key) })
	return slices.CompactFunc(writes, func(a, b store.Event) bool { return a.Key == b.Key })
}

func compare(a, b store.Key) int {
	switch {
	case a.String() < b.String():
		return -1
	case a.String() > b.String():
		return 1
	}
	return 0
}

func texts(m flows.Mods) (all []string) {
	for change, list := range map[string][]of.Flow{"add": m.Add, "replace": m.Replace, "modify": m.Modify, "delete": m.Delete} {
		for _, f := range list {
			all = append(all, change+" "+f.String())
		}
	}
	slices.Sort(all)
	return all
}

// What a plan changes is not there before it is written: the state that it began with stays.
func TestPlanChangesNothing(t *testing.T) {
	w := worlds.New(1)
	before := fmt.Sprint(w)
	p := plan.New(w.State.Facts())
	if len(p.Hosts()) != 0 {
		t.Errorf("without a change %v differ", p.Hosts())
	}
	for tenant := range w.State.Tenants() {
		created := tenant.Created
		changed := *tenant.Value
		changed.Limits.Ports = 3
		p.Change([]store.Event{{Key: tenant.Key, Object: &changed}})
		if got := p.State().Tenant(tenant.Key.Tenant); got.Created != created || got.Modified <= created || got.Value.Limits.Ports != 3 {
			t.Errorf("it is created at %d and modified at %d, before: created at %d", got.Created, got.Modified, created)
		}
		p.Change([]store.Event{{Key: tenant.Key}})
		if p.State().Tenant(tenant.Key.Tenant) != nil {
			t.Errorf("%s is still there", tenant.Key.Short())
		}
	}
	if after := fmt.Sprint(w); after != before {
		t.Errorf("the state is now\n%s", after)
	}
}
