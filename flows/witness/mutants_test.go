package witness

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"sluice/flows/internal/hostile"
	"sluice/flows/internal/worlds"
	"sluice/flows/prove"
	"sluice/store"
)

// A soak makes more of each.
var (
	mutantWorlds  = flag.Int("mutants.worlds", 10, "random clusters that are edited")
	mutantEdits   = flag.Int("mutants.edits", 8, "hostile edits of each, and half as many harmless rewrites")
	mutantPublish = flag.Bool("mutants.publish", false, "write the score to docs/proof-score.json: anew from seed 0 on, else added to that of the clusters before")
	mutantSeed    = flag.Uint64("mutants.seed", 0, "of the first cluster")
)

// score is what came of many edits.
type score struct {
	Clusters        int `json:"clusters"`        // random ones that were edited
	Edits           int `json:"edits"`           // hostile ones
	Harmful         int `json:"harmful"`         // of these, by the judge
	Refused         int `json:"refused"`         // by the proof
	Missed          int `json:"missed"`          // harmful, and not refused
	Unproved        int `json:"unproved"`        // refused, though the judge saw no frame that does harm
	Counterexamples int `json:"counterexamples"` // found from a finding
	Rewrites        int `json:"rewrites"`        // harmless ones
	FalseAlarms     int `json:"falseAlarms"`     // of these refused
}

// mutant is a cluster with tables that were edited on one host.
type mutant struct {
	*hostile.Change
	seed     uint64
	state    *store.State
	host     string
	tables   []Tables
	findings []prove.Finding
}

func (m *mutant) String() string {
	s := fmt.Sprintf("-mutants.seed=%d, %s: %s", m.seed, m.host, m.Change)
	for _, f := range m.findings {
		s += "\nfound: " + f.String()
	}
	return s
}

// mutate proves the edited host; all others are as they were, and proved.
func mutate(w *worlds.World, tables []Tables, c *hostile.Change) *mutant {
	m := &mutant{Change: c, seed: w.Seed, state: w.State, host: tables[c.Host].Switch.Host, tables: slices.Clone(tables)}
	m.tables[c.Host].Flows = c.Flows
	m.findings = prove.Host(w.State, m.tables[c.Host])
	return m
}

// counterexample is what the findings lead to.
func (m *mutant) counterexample(c *Cluster, tries int) *Counterexample {
	for i := range m.findings[:min(len(m.findings), 4)] {
		if e := c.Search(&m.findings[i], Budget{Tries: tries, Seed: uint64(i)}); e != nil {
			return e
		}
	}
	return nil
}

// harm is what the edit itself leads to, whatever is found of it.
func (m *mutant) harm(c *Cluster, tries int) *Counterexample {
	for i, f := range slices.Concat(m.Added, m.Removed) {
		if e := c.Search(&prove.Finding{Host: m.host, Flow: f}, Budget{Tries: tries, Seed: uint64(i)}); e != nil || i > 4 {
			return e
		}
	}
	return nil
}

func hostileTables(tables []Tables) []hostile.Tables {
	all := make([]hostile.Tables, len(tables))
	for i, t := range tables {
		all[i] = hostile.Tables(t)
	}
	return all
}

// eachWorld calls f for the worlds of the flags, with their tables.
func eachWorld(f func(w *worlds.World, r *rand.Rand, tables []Tables)) {
	for seed := *mutantSeed; seed < *mutantSeed+uint64(*mutantWorlds); seed++ {
		w := worlds.New(seed)
		f(w, rand.New(rand.NewPCG(seed, 5)), compiled(w.State, w.Switches()...))
	}
}

// Every edit that lets a frame do harm is refused by the proof, as the simulator judges, and no rewrite is.
func TestMutants(t *testing.T) {
	var s score
	eachWorld(func(w *worlds.World, r *rand.Rand, tables []Tables) {
		s.Clusters++
		for i := range *mutantEdits {
			s.edit(t, mutate(w, tables, hostile.Edit(r, hostileTables(tables))), i == 0 && w.Seed%3 == 0)
		}
		for range *mutantEdits / 2 {
			s.rewrite(t, mutate(w, tables, hostile.Rewrite(r, hostileTables(tables))))
		}
	})
	t.Logf("%+v", s)
	publish(t, "simulator", s)
}

// publish writes what a judge's edits came to, beside those of others. A long run is made in parts: each goes on with the cluster
// behind the last one of the part before.
func publish(t *testing.T, judge string, s any) {
	t.Helper()
	if !*mutantPublish || t.Failed() {
		return
	}
	all := published(t)
	sum := counts(t, s)
	if *mutantSeed > 0 {
		before := counts(t, all[judge])
		if before["clusters"] != int(*mutantSeed) {
			t.Fatalf("the score is of %d clusters: the next seed is that, not %d", before["clusters"], *mutantSeed)
		}
		for what, n := range before {
			sum[what] += n
		}
	}
	all[judge], _ = json.Marshal(sum)
	b, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = os.WriteFile(scoreFile, append(b, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// counts are the numbers of a score, by their names.
func counts(t *testing.T, s any) map[string]int {
	t.Helper()
	n := map[string]int{}
	b, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(b, &n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const scoreFile = "../../docs/proof-score.json"

func published(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	all := map[string]json.RawMessage{}
	b, err := os.ReadFile(scoreFile)
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}

// The score that is published is of enough edits, and nothing was missed.
func TestPublishedScore(t *testing.T) {
	for judge, least := range map[string]int{"simulator": 6000, "ofprotoTrace": 1000} {
		var s struct {
			score
			traces
		}
		if err := json.Unmarshal(published(t)[judge], &s); err != nil {
			t.Fatalf("%s: %v", judge, err)
		}
		if s.Edits < least || s.Missed > 0 || s.FalseAlarms > 0 || s.Disagreements > 0 || s.Harmful == 0 {
			t.Errorf("by the %s: %+v", judge, s)
		}
	}
}

// edit judges one hostile edit; naive: also by frames of all sorts.
func (s *score) edit(t *testing.T, m *mutant, naive bool) {
	t.Helper()
	c := New(m.state, m.tables)
	s.Edits++
	shown := m.counterexample(c, 300)
	harm := shown
	if harm == nil {
		harm = m.harm(c, 500)
	}
	if harm == nil && len(m.findings) == 0 && naive {
		harm = oracle{c}.violation()
	}
	s.count(t, m, shown, harm != nil, harm)
}

// count notes what came of an edit.
func (s *score) count(t *testing.T, m *mutant, shown *Counterexample, harmful bool, why fmt.Stringer) {
	t.Helper()
	refused := len(m.findings) > 0
	if refused {
		s.Refused++
	}
	if shown != nil {
		s.Counterexamples++
	}
	switch {
	case harmful && !refused:
		s.Harmful++
		s.Missed++
		t.Errorf("the proof lets this pass:\n%s\n%s", m, why)
	case harmful:
		s.Harmful++
	case refused:
		s.Unproved++
	}
}

// rewrite asks that the proof passes a harmless rewrite.
func (s *score) rewrite(t *testing.T, m *mutant) {
	t.Helper()
	if s.Rewrites++; len(m.findings) > 0 {
		s.FalseAlarms++
		t.Errorf("a false alarm:\n%s", m)
	}
}
