package bench

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/golden"
)

var update = flag.Bool("update", false, "write docs/benchmarks.md anew from the results")

func TestQuantile(t *testing.T) {
	tests := []struct {
		samples []float64
		q, want float64
	}{
		{nil, 0.5, 0},
		{[]float64{7}, 0.5, 7},
		{[]float64{7}, 0.99, 7},
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{4, 1, 3, 2}, 0.5, 2.5},
		{[]float64{4, 1, 3, 2}, 0.99, 4},
		{counting(100), 0.99, 99},
		{counting(1000), 0.99, 990},
	}
	for _, tt := range tests {
		if got := quantile(tt.samples, tt.q); got != tt.want {
			t.Errorf("the %v-quantile of %d samples is %v, want %v", tt.q, len(tt.samples), got, tt.want)
		}
	}
}

func counting(n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = float64(i + 1)
	}
	return list
}

// The ratio is the median of the rounds' ratios: one slow round of both sides, or one freak
// round of one, moves it little. The ratio of the medians would be 10 here.
func TestRatioIsOfRounds(t *testing.T) {
	ours, theirs := []float64{10, 100, 1000}, []float64{10, 10, 1000}
	if got := medianRatio(ours, theirs); got != 1 {
		t.Errorf("ratio %v, want 1", got)
	}
}

func TestCompare(t *testing.T) {
	res := Compare("s", []float64{2, 4}, Other{"theirs", AtMost(1.2), []float64{1, 4}}, Other{"others", nil, []float64{4, 8}})
	if res.Ratio != 1.5 || res.Against != "theirs" || res.Median != 3 || res.Reference.Median != 2.5 {
		t.Errorf("%+v", res)
	}
	if len(res.Also) != 1 || res.Also[0].Ratio != 0.5 || res.Also[0].Against != "others" {
		t.Errorf("also %+v", res.Also)
	}
}

func TestBound(t *testing.T) {
	tests := []struct {
		bound *Bound
		text  string
		holds []float64
		not   []float64
	}{
		{nil, "", []float64{-1, 0, 1e9}, nil},
		{AtLeast(0.85), ">= 0.85", []float64{0.85, 2}, []float64{0.84}},
		{AtMost(1.2), "<= 1.2", []float64{0, 1.2}, []float64{1.21}},
		{Exactly(0), "= 0", []float64{0}, []float64{1, -1}},
	}
	for _, tt := range tests {
		if got := tt.bound.String(); got != tt.text {
			t.Errorf("bound reads %q, want %q", got, tt.text)
		}
		for _, v := range tt.holds {
			if !tt.bound.Holds(v) {
				t.Errorf("%v does not keep to %q", v, tt.text)
			}
		}
		for _, v := range tt.not {
			if tt.bound.Holds(v) {
				t.Errorf("%v keeps to %q", v, tt.text)
			}
		}
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 3: "3", 0.8512: "0.851", 12.345: "12.3", 123.4: "123", 119716.3: "119716"} {
		if got := figure(v); got != want {
			t.Errorf("%v reads %q, want %q", v, got, want)
		}
	}
}

// Each side runs once a round, and each is first as often as any other.
func TestSidesTakeTurns(t *testing.T) {
	var order strings.Builder
	side := func(name string, v float64) Side {
		return Side{name, func(context.Context) (float64, error) {
			order.WriteString(name)
			return v, nil
		}}
	}
	r := &Run{Options: Options{Rounds: 4}.withDefaults()}
	samples, err := r.TakeTurns(t.Context(), side("a", 1), side("b", 2))
	if err != nil {
		t.Fatal(err)
	}
	if got := order.String(); got != "abbaabba" {
		t.Errorf("order %s", got)
	}
	if diff := cmp.Diff([][]float64{{1, 1, 1, 1}, {2, 2, 2, 2}}, samples); diff != "" {
		t.Error(diff)
	}
}

func resultCase(name string, results ...Result) Case {
	return Case{Name: name, About: "for the test", Run: func(_ context.Context, r *Run) error {
		for _, res := range results {
			if err := r.Done(res); err != nil {
				return err
			}
		}
		return nil
	}}
}

// A bound that is missed is counted and put in words; a case that fails keeps no other from
// running.
func TestRunAll(t *testing.T) {
	broken := Case{Name: "broken", Run: func(context.Context, *Run) error { return errors.New("no switch") }}
	slow := resultCase("slow", Result{
		Ratio: 0.5, Against: "bytes", Bound: AtLeast(0.85),
		Also:  []Comparison{{Ratio: 3, Against: "a tool", Bound: AtMost(2)}},
		Facts: []Fact{{"mods", 4, "", Exactly(0)}, {"memory", 9, "B", nil}},
	})
	var got []Result
	o := Options{Report: func(r Result) error { got = append(got, r); return nil }}
	out, err := RunAll(t.Context(), []Case{broken, slow, resultCase("fast", Result{Ratio: 1, Bound: AtLeast(0.85)})}, o)
	if diff := cmp.Diff(Outcome{Missed: 1, Whole: []string{"slow", "fast"}}, out); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	if err == nil || err.Error() != "benchmark broken: no switch" {
		t.Error(err)
	}
	want := []string{"ratio to bytes: 0.5, bound >= 0.85", "ratio to a tool: 3, bound <= 2", "mods: 4, bound = 0"}
	if len(got) != 2 || got[1].Missed != nil {
		t.Fatalf("results %+v", got)
	}
	if diff := cmp.Diff(want, got[0].Missed); diff != "" {
		t.Error(diff)
	}
}

// With other numbers of tenants than its own a case is not whole: its kept results stay beside.
func TestOtherTenantsAreNotTheWhole(t *testing.T) {
	o := Options{PaperTenants: []int{50, 100}, Report: func(Result) error { return nil }}
	out, err := RunAll(t.Context(), []Case{resultCase("paper", Result{Ratio: 1})}, o)
	if diff := cmp.Diff(Outcome{}, out); diff != "" || err != nil {
		t.Errorf("outcome (-want +got):\n%s%v", diff, err)
	}
}

// Bounds are of full sizes: below them nothing is judged, nothing shows a bound, and no case
// has run whole.
func TestScaledDown(t *testing.T) {
	c := resultCase("slow", Result{
		Ratio: 0.5, Against: "bytes", Bound: AtLeast(0.85),
		Also:  []Comparison{{Ratio: 3, Against: "a tool", Bound: AtMost(2)}},
		Facts: []Fact{{"mods", 4, "", Exactly(0)}},
	})
	var got []Result
	o := Options{Scale: 0.5, Report: func(r Result) error { got = append(got, r); return nil }}
	out, err := RunAll(t.Context(), []Case{c}, o)
	if err != nil || out.Missed != 0 || len(out.Whole) > 0 {
		t.Errorf("%+v, %v", out, err)
	}
	for _, row := range Rows(got) {
		if row.Bound != "" || row.Verdict() != "" {
			t.Errorf("it shows %+v", row)
		}
	}
	if b, err := json.Marshal(got); err != nil || strings.Contains(string(b), "bound") || strings.Contains(string(b), "missed") {
		t.Errorf("as JSON it is %s, %v", b, err)
	}
}

func TestChoose(t *testing.T) {
	all := []Case{resultCase("a"), resultCase("b")}
	if got, err := Choose(all, nil); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", Names(got), err)
	}
	if got, err := Choose(all, []string{"b"}); err != nil || len(got) != 1 || got[0].Name != "b" {
		t.Errorf("%v, %v", Names(got), err)
	}
	_, err := Choose(all, []string{"c"})
	if want := `no benchmark "c": there are a, b`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// Scripts rely on these names, and on their being there also when they are zero.
func TestJSON(t *testing.T) {
	res := Compare("s", []float64{1, 3}, Other{"theirs", AtMost(1.2), []float64{2, 3}})
	res.Case, res.Params = "resync", map[string]any{"flows": 100_000}
	b, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"case":"resync","params":{"flows":100000},"ratio":0.75,"against":"theirs","bound":{"most":1.2},` +
		`"median":2,"p99":3,"unit":"s","samples":[1,3],"reference":{"median":2.5,"p99":3,"unit":"s","samples":[2,3]}}`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Error(diff)
	}
	b, _ = json.Marshal(Result{})
	for _, name := range []string{"case", "params", "ratio", "against", "median", "p99", "unit", "samples"} {
		if !strings.Contains(string(b), `"`+name+`":`) {
			t.Errorf("an empty result has no %s: %s", name, b)
		}
	}
}

// A new result takes the place of the kept one with its case and parameters; a case that ran
// whole takes the place of all that it left earlier.
func TestKeep(t *testing.T) {
	result := func(name string, ports int, ratio float64) Result {
		return Result{Case: name, Params: map[string]any{"ports": ports}, Ratio: ratio}
	}
	tests := []struct {
		name  string
		whole []string
		want  []float64
	}{
		{"a failed halfway", []string{"b"}, []float64{3, 2, 5, 4}},
		{"a ran whole", []string{"a", "b"}, []float64{5, 3, 4}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "results.jsonl")
			earlier := []Result{result("a", 1_000_000, 1), result("a", 2, 2), result("c", 2, 5)}
			if err := Keep(file, earlier, []string{"a", "c"}); err != nil {
				t.Fatal(err)
			}
			if err := Keep(file, []Result{result("a", 1_000_000, 3), result("b", 2, 4)}, tt.whole); err != nil {
				t.Fatal(err)
			}
			kept, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			var ratios []float64
			for _, r := range kept {
				ratios = append(ratios, r.Ratio)
				if r.Machine == "" || r.Taken.IsZero() {
					t.Errorf("%s does not say when and where it was taken", r.Case)
				}
			}
			if diff := cmp.Diff(tt.want, ratios); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLoadNamesTheBadLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.jsonl")
	if err := os.WriteFile(file, []byte("{}\n{\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v does not name line 2", err)
	}
}

// TestDocs keeps docs/benchmarks.md, what stands in docs/proof.md of times and the tables of docs/compared.md, as they are generated from the kept results.
func TestDocs(t *testing.T) {
	results, err := Load("../../docs/benchmarks/results.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	goBenchmarks, err := os.ReadFile("../../docs/benchmarks/go.txt")
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "../../docs/benchmarks.md", Page(Cases(), results, goBenchmarks), *update)
	page, err := os.ReadFile("../../docs/proof.md")
	if err != nil {
		t.Fatal(err)
	}
	if page, err = ProofPage(page, results); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "../../docs/proof.md", page, *update)
	if page, err = os.ReadFile("../../docs/compared.md"); err != nil {
		t.Fatal(err)
	}
	if page, err = ComparedPage(page, results); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "../../docs/compared.md", page, *update)
}
