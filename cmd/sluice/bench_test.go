package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"sluice/integration/bench"
)

// fakeCases measure nothing: two results, of which the second misses its bound.
func fakeCases() []bench.Case {
	return []bench.Case{{Name: "fake", About: "nothing", Run: func(_ context.Context, r *bench.Run) error {
		for _, size := range []int{1, 2} {
			res := bench.Compare("s", []float64{float64(size)}, bench.Other{Name: "theirs", Bound: bench.AtMost(1), Samples: []float64{1}})
			res.Params = map[string]any{"size": size}
			r.Step("measured %d", size)
			if err := r.Done(res); err != nil {
				return err
			}
		}
		return nil
	}}}
}

// runBench runs fake cases as sluice bench runs its own.
func runBench(t *testing.T, args ...string) result {
	t.Helper()
	var o benchFlags
	var stdout, stderr bytes.Buffer
	cmd := &cobra.Command{Use: "bench", SilenceErrors: true, SilenceUsage: true}
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	cmd.SetArgs(args)
	out := outputFlag(cmd)
	o.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return o.run(cmd, fakeCases(), out) }
	status := execute(t.Context(), cmd)
	return result{stdout.String(), stderr.String(), status}
}

// A missed bound is exit status 1 and one line that says so; in a pipe no progress is shown.
func TestBenchTable(t *testing.T) {
	r := runBench(t)
	if r.status != statusFailed || r.err != "sluice: 1 result of 2 missed a bound\n" {
		t.Errorf("status %d, %q", r.status, r.err)
	}
	const want = `
CASE   WITH     OURS   AGAINST   THEIRS   RATIO   BOUND   VERDICT
fake   size=1   1 s    theirs    1 s      1.00    <= 1    holds
fake   size=2   2 s    theirs    1 s      2.00    <= 1    missed
`
	if r.out != want[1:] {
		t.Errorf("it shows\n%s", r.out)
	}
}

// Below full size nothing is judged, and no bound is shown.
func TestBenchTableBelowFullSize(t *testing.T) {
	r := runBench(t, "--scale", "0.5")
	if r.status != statusDone || r.err != "" {
		t.Errorf("status %d, %q", r.status, r.err)
	}
	const want = `
CASE   WITH     OURS   AGAINST   THEIRS   RATIO   BOUND   VERDICT
fake   size=1   1 s    theirs    1 s      1.00    -       -
fake   size=2   2 s    theirs    1 s      2.00    -       -
`
	if r.out != want[1:] {
		t.Errorf("it shows\n%s", r.out)
	}
}

// -o json is one object a line, with the names that scripts rely on.
func TestBenchJSON(t *testing.T) {
	r := runBench(t, "-o", "json", "--scale", "0.5")
	if r.status != statusDone || r.err != "" {
		t.Errorf("below full size nothing is judged: status %d, %q", r.status, r.err)
	}
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines:\n%s", len(lines), r.out)
	}
	for _, line := range lines {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"case", "params", "ratio", "against", "median", "p99", "unit", "samples"} {
			if _, there := object[name]; !there {
				t.Errorf("no %s in %s", name, line)
			}
		}
	}
}

// Of a case that ran at full size and to its end, no earlier result stays.
func TestBenchKeepsResults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.jsonl")
	const earlier = `{"case":"fake","params":{"size":3}}` + "\n" + `{"case":"other","params":{}}` + "\n"
	if err := os.WriteFile(file, []byte(earlier), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, run := range []struct {
		scale string
		kept  int
	}{{"0.5", 4}, {"1", 3}, {"1", 3}} {
		runBench(t, "--results", file, "--scale", run.scale)
		if kept, err := bench.Load(file); err != nil || len(kept) != run.kept {
			t.Errorf("%d results kept after a run at %s, want %d, %v", len(kept), run.scale, run.kept, err)
		}
	}
}

func TestBenchUsage(t *testing.T) {
	for _, args := range []string{"--rounds 0", "--scale 0", "--scale 2", "--tenants 0", "--tenants 5,1", "--tenants 1,251", "--log-level loud"} {
		if r := runBench(t, strings.Fields(args)...); r.status != statusUsage {
			t.Errorf("%s: status %d, %q", args, r.status, r.err)
		}
	}
	if r := sluice(t, "bench", "nothing"); r.status != statusUsage || !strings.Contains(r.err, `no benchmark "nothing": there are program, resync`) {
		t.Errorf("status %d, %q", r.status, r.err)
	}
}
