package store

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stamp is the stamp with a number as the right store has it.
func stamp(number int64) Stamp { return Stamp{Number: number, Value: "of the right store"} }

// forked is the stamp with a number as a store has it that was restored and went on.
func forked(number int64) Stamp { return Stamp{Number: number, Value: "of another time"} }

func TestJudgeStores(t *testing.T) {
	remembered := Memory{Store: "s", Cluster: 7, Last: stamp(100), Lasting: stamp(64), Revision: 500, Witness: 490, WitnessAt: "x"}
	same := Sight{Store: "s", Cluster: 7, Revision: 500, Chain: Chain{stamp(100), stamp(64)}, Last: stamp(100), Lasting: stamp(64), Witness: 490}
	young := Memory{Store: "s", Cluster: 7, Revision: 500}
	const week, year = shortKept, longKept
	for _, c := range []struct {
		name   string
		memory Memory
		change func(*Sight)
		want   Verdict
		says   string
	}{
		{"nothing is remembered", Memory{}, func(*Sight) {}, Unknown, "no store is remembered"},
		{"nothing is remembered, nothing is there", Memory{}, func(s *Sight) { *s = Sight{} }, Unknown, ""},
		{"as it was", remembered, func(*Sight) {}, Right, ""},
		{"it went on", remembered, func(s *Sight) { s.Revision, s.Chain.Newest = 900, stamp(140) }, Right, ""},
		{"wiped: etcd's cluster id is the same", remembered, func(s *Sight) { *s = Sight{Cluster: 7, Revision: 1} }, Another, "empty or wiped"},
		{"wiped, and written to for long", remembered, func(s *Sight) { *s = Sight{Cluster: 7, Revision: 9000} }, Another, "store s is remembered"},
		{"as it was, and for newer programs", remembered, func(s *Sight) { s.Least = SchemaVersion + 1 }, Newer, "too old"},
		{"for this and newer programs", remembered, func(s *Sight) { s.Least = SchemaVersion }, Right, ""},
		{"nothing is remembered, and it is for newer programs", Memory{}, func(s *Sight) { s.Least = 99 }, Newer, "schema 99"},
		{"foreign and for newer programs", remembered, func(s *Sight) { s.Store, s.Least = "t", 99 }, Newer, "schema 99"},
		{"foreign", remembered, func(s *Sight) { s.Store = "t" }, Another, "holds store t, not s"},
		{"a copy in another cluster", remembered, func(s *Sight) { s.Cluster = 8 }, Another, "a copy of store s"},
		{"restored", remembered, func(s *Sight) { s.Revision, s.Chain.Newest, s.Last = 400, stamp(80), Stamp{} }, WentBack, "lacks stamp 100"},
		{"restored to the very stamp", remembered, func(s *Sight) { s.Revision = 450; s.Witness = 449 }, WentBack, "lacks what was written to it at revision 490"},
		{"restored so, and went on since", remembered, func(s *Sight) { s.Revision = 510; s.Witness = 449 }, WentBack, "at revision 490"},
		{"restored so, before the first witness", remembered, func(s *Sight) { s.Revision = 9000; s.Witness = 0 }, WentBack, "at revision 490"},
		{"the witness is younger than remembered", remembered, func(s *Sight) { s.Revision = 510; s.Witness = 505 }, Right, ""},
		{"restored to the very witness, less a write", remembered, func(s *Sight) { s.Revision = 499 }, WentBack, "at revision 499"},
		{"restored with --bump-revision", remembered, func(s *Sight) { s.Revision, s.Chain.Newest, s.Last = 9000, stamp(80), Stamp{} }, WentBack, "lacks stamp 100"},
		{"restored so, and went on since", remembered, func(s *Sight) { s.Revision, s.Chain.Newest, s.Last = 9000, forked(120), forked(100) }, WentBack, "stamp 100 of the chain of store s is not the one"},
		{"it had no stamp yet", young, func(*Sight) {}, Right, ""},
		{"it had no stamp yet, and was restored", young, func(s *Sight) { s.Revision = 499 }, WentBack, "revision 499"},
		{"away for nearly a week", remembered, func(s *Sight) { s.Chain.Newest = stamp(100 + week - 1) }, Right, ""},
		{"away for nearly a week, its stamp lost", remembered, func(s *Sight) { s.Chain.Newest, s.Last = stamp(100+week-1), Stamp{} }, WentBack, "lacks stamp 100"},
		{"away for a week: the lasting stamp stands", remembered, func(s *Sight) { s.Chain.Newest, s.Last = stamp(100+week), Stamp{} }, Right, ""},
		{"away for a week: it lost that", remembered, func(s *Sight) { s.Chain.Newest, s.Last, s.Lasting = stamp(100+week), Stamp{}, Stamp{} }, WentBack, "lacks stamp 64"},
		{"away for a week: that is another", remembered, func(s *Sight) { s.Chain.Newest, s.Last, s.Lasting = stamp(100+week), Stamp{}, forked(64) }, WentBack, "stamp 64"},
		{"away for a week, no lasting stamp was seen", Memory{Store: "s", Cluster: 7, Last: stamp(10), Revision: 500},
			func(s *Sight) { s.Chain.Newest, s.Last = stamp(10+week), Stamp{} }, Unproved, "the last was 10"},
		{"away for a year", remembered, func(s *Sight) { s.Chain.Newest, s.Last, s.Lasting = stamp(64+year), Stamp{}, Stamp{} }, Unproved, "keeps none any more"},
		{"the last one was a lasting one", Memory{Store: "s", Cluster: 7, Last: stamp(64), Lasting: stamp(64), Revision: 500},
			func(s *Sight) { s.Chain.Newest, s.Last = stamp(64+week), stamp(64) }, Right, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			sight := same
			c.change(&sight)
			got := c.memory.Judge(sight)
			if got.Verdict != c.want || !strings.Contains(got.Why, c.says) {
				t.Errorf("%q because %q; want %q because %q", got.Verdict, got.Why, c.want, c.says)
			}
			if held := c.want == Another || c.want == WentBack || c.want == Unproved || c.want == Newer; got.Held() != held {
				t.Errorf("held: %v", got.Held())
			}
			if (got.Why == "") != (c.want == Right) {
				t.Errorf("reason of %q: %q", got.Verdict, got.Why)
			}
		})
	}
}

func TestRemember(t *testing.T) {
	sight := Sight{Store: "s", Cluster: 7, Revision: 90, Chain: Chain{stamp(70), stamp(64)}, Last: stamp(60)}
	want := Memory{Store: "s", Cluster: 7, Revision: 90, Last: stamp(70), Lasting: stamp(64)}
	for _, c := range []struct {
		name      string
		got, want Memory
	}{
		{"the first time", Memory{}.After(sight), want},
		{"again", want.After(sight), want},
		{"with the witness", Memory{Store: "s", Cluster: 7, Witness: 5, WitnessAt: "x"}.After(sight),
			Memory{Store: "s", Cluster: 7, Revision: 90, Last: stamp(70), Lasting: stamp(64), Witness: 5, WitnessAt: "x"}},
		{"but not that of another one", Memory{Store: "t", Cluster: 7, Witness: 5, WitnessAt: "x"}.After(sight), want},
		{"never a lower revision of the same store", Memory{Store: "s", Cluster: 7, Revision: 95}.After(sight),
			Memory{Store: "s", Cluster: 7, Revision: 95, Last: stamp(70), Lasting: stamp(64)}},
		{"nothing of a store that has no id", want.After(Sight{Cluster: 7, Revision: 3}), Memory{}},
		{"another one anew", Memory{Store: "t", Cluster: 7, Revision: 999}.After(sight), want},
		{"adopted: also a lower revision", Adopt(sight), want},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
	if got := want.Judge(sightOf(want)); got.Verdict != Right {
		t.Errorf("what was just remembered is judged %+v", got)
	}
}

// sightOf is a look at the very store that is remembered.
func sightOf(m Memory) Sight {
	return Sight{Store: m.Store, Cluster: m.Cluster, Revision: m.Revision, Chain: Chain{m.Last, m.Lasting}, Last: m.Last, Lasting: m.Lasting}
}

// Adding stamps one by one keeps exactly those that Pruned does not name.
func TestChainIsPruned(t *testing.T) {
	const newest = longKept + 3*longStep
	kept, chain := map[int64]bool{}, Chain{}
	for n := int64(1); n <= newest; n++ {
		kept[n] = true
		chain = chain.Next("x")
		if want := (Chain{Stamp{n, "x"}, Stamp{n / longStep * longStep, "x"}}); chain != want && n >= longStep {
			t.Fatalf("chain %+v, want %+v", chain, want)
		}
		for _, s := range PrunedBy(n) {
			if !kept[s.Number] {
				t.Fatalf("stamp %d is pruned by %d, and was not there", s.Number, n)
			}
			delete(kept, s.Number)
		}
	}
	for n := int64(1); n <= newest; n++ {
		if s := (Stamp{Number: n}); kept[n] == s.Pruned(newest) {
			t.Fatalf("stamp %d is kept: %v, pruned: %v", n, kept[n], s.Pruned(newest))
		}
	}
	if n := len(kept); n > shortKept+longKept/longStep {
		t.Errorf("the chain keeps %d stamps", n)
	}
	if got := PrunedBy(shortKept); !slices.Equal(got, nil) {
		t.Errorf("a stamp 0 is pruned: %v", got)
	}
}
