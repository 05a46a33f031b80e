package hostagent

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

func sumsOf(t *tally) map[uint32]store.Used {
	sums := map[uint32]store.Used{}
	t.addTo(sums)
	return sums
}

// Sums begin where those of an agent ended whose state is gone, and never fall to what was told of them.
func TestTallyGoesOn(t *testing.T) {
	counts := newTally(t.TempDir())
	counts.listed(map[uint32]uint64{7: 5})
	told := store.Used{Connections: 9, KernelDrops: 8, PortsRefused: 1, NewPortsRefused: 2, QuestionsRefused: 3, Answers: store.Answers{4, 0, 5}}
	want := told
	want.Connections = 0
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"it goes on from more", func() { counts.atLeast(7, told) }},
		{"the same", func() { counts.atLeast(7, told) }},
		{"less", func() { counts.atLeast(7, store.Used{KernelDrops: 3, PortsRefused: 1}) }},
		{"and counts", func() {
			counts.listed(map[uint32]uint64{7: 6})
			counts.port(7)
			want.KernelDrops++
			want.PortsRefused++
		}},
	} {
		step.do()
		if diff := cmp.Diff(want, sumsOf(counts)[7]); diff != "" {
			t.Errorf("%s: -want +got\n%s", step.what, diff)
		}
	}
}

// What tables of nftables count goes into one sum, also where a table was replaced by somebody else
// and where the agent was another by then.
func TestTally(t *testing.T) {
	dir := t.TempDir()
	counts := newTally(dir)
	restart := func() {
		t.Helper()
		counts = newTally(dir)
		if err := counts.load(); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	restart() // there is no file yet
	if !counts.empty() {
		t.Errorf("it begins with %v", sumsOf(counts))
	}
	for _, step := range []struct {
		what string
		do   func()
		want uint64 // kernel's drops of tenant 7
	}{
		{"a first count", func() { counts.listed(map[uint32]uint64{7: 5}) }, 5},
		{"the same again", func() { counts.listed(map[uint32]uint64{7: 5}) }, 5},
		{"more", func() { counts.listed(map[uint32]uint64{7: 8}) }, 8},
		{"another table without the tenant", func() { counts.listed(nil) }, 8},
		{"in which it counts again", func() { counts.listed(map[uint32]uint64{7: 2}) }, 10},
		{"the agent writes the table anew", func() { must(counts.anew()) }, 10},
		{"a table that counts more than the one before", func() { counts.listed(map[uint32]uint64{7: 4}) }, 14},
		{"another agent", func() { must(counts.save()); restart() }, 14},
		{"it goes on", func() { counts.listed(map[uint32]uint64{7: 5}) }, 15},
		{"one that was not saved is not told either", restart, 14},
	} {
		step.do()
		if got := sumsOf(counts)[7].KernelDrops; got != step.want {
			t.Errorf("%s: %d, want %d", step.what, got, step.want)
		}
	}
	counts.port(7)
	counts.port(7)
	counts.newPort(7)
	counts.newPort(9)
	counts.questions(map[uint32]uint64{7: 4})
	counts.questions(map[uint32]uint64{7: 1})
	counts.answers(map[uint32]store.Answers{7: {1, 5}})
	counts.answers(map[uint32]store.Answers{7: {0, 1, 0, 0, 2}})
	must(counts.save())
	restart()
	want := map[uint32]store.Used{7: {KernelDrops: 14, PortsRefused: 2, NewPortsRefused: 1, QuestionsRefused: 5, Answers: store.Answers{1, 6, 0, 0, 2}}, 9: {NewPortsRefused: 1}}
	if diff := cmp.Diff(want, sumsOf(counts)); diff != "" || counts.empty() {
		t.Errorf("-want +got\n%s", diff)
	}
	counts.forget(map[uint32]bool{7: true})
	must(counts.save())
	restart()
	delete(want, 9)
	if diff := cmp.Diff(want, sumsOf(counts)); diff != "" {
		t.Errorf("a tenant that is gone is not forgotten: -want +got\n%s", diff)
	}
}

// Whatever becomes of tables and agents, no sum goes back, and none counts what was not dropped.
func TestTallyNeverGoesBack(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		counts, table, dropped, told := newTally(dir), uint64(0), uint64(0), uint64(0)
		for range 30 {
			switch random.IntN(4) {
			case 0:
				n := random.Uint64N(5)
				table, dropped = table+n, dropped+n
			case 1: // as the keeper of the table does
				counts.listed(map[uint32]uint64{1: table})
				table = 0
				if err := counts.anew(); err != nil {
					t.Fatal(err)
				}
			case 2: // a restart, after what was told
				counts = newTally(dir)
				if err := counts.load(); err != nil {
					t.Fatal(err)
				}
			}
			counts.listed(map[uint32]uint64{1: table})
			if err := counts.save(); err != nil {
				t.Fatal(err)
			}
			now := sumsOf(counts)[1].KernelDrops
			if now != dropped || now < told {
				t.Fatalf("seed %d: %d were dropped and %d told: the sum is %d", seed, dropped, told, now)
			}
			told = now
		}
	}
}

func TestTallyIsNotWrittenForNothing(t *testing.T) {
	counts := newTally(t.TempDir())
	written := func() bool {
		defer os.Remove(counts.file)
		if err := counts.save(); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(counts.file)
		return err == nil
	}
	for _, step := range []struct {
		what string
		do   func()
		want bool
	}{
		{"nothing", func() {}, false},
		{"nothing listed", func() { counts.listed(map[uint32]uint64{7: 0}) }, false},
		{"a refusal", func() { counts.port(7) }, true},
		{"no other", func() {}, false},
		{"a count", func() { counts.listed(map[uint32]uint64{7: 1}) }, true},
		{"the same", func() { counts.listed(map[uint32]uint64{7: 1}) }, false},
		{"nobody gone", func() { counts.forget(map[uint32]bool{7: true}) }, false},
		{"somebody gone", func() { counts.forget(nil) }, true},
	} {
		step.do()
		if got := written(); got != step.want {
			t.Errorf("%s: written %v, want %v", step.what, got, step.want)
		}
	}
}

func TestTallyOfABrokenFile(t *testing.T) {
	dir := t.TempDir()
	counts := newTally(dir)
	for _, text := range []string{"{", "null", "[]", ""} {
		if err := os.WriteFile(counts.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := counts.load(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		counts.port(1)
		if got := sumsOf(counts)[1].PortsRefused; got != 1 {
			t.Errorf("%q: counts on from %d", text, got-1)
		}
	}
	broken := newTally(filepath.Join(dir, "refused.json"))
	if err := broken.load(); err == nil || !strings.Contains(err.Error(), "recall what was refused to tenants") {
		t.Errorf("a file that cannot be read: %v", err)
	}
	broken.port(1)
	if err := broken.save(); err == nil || !strings.Contains(err.Error(), "remember what was refused to tenants") {
		t.Errorf("a file that cannot be written: %v", err)
	}
	if err := broken.save(); err == nil {
		t.Error("what was not written is not tried again")
	}
}
