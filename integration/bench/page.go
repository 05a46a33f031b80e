package bench

import (
	"bytes"
	"fmt"
	"strings"
)

// Page writes for people what is kept: the results, in the order of the cases, and a comparison
// of the Go benchmarks as scripts/benchstat prints it.
func Page(cases []Case, results []Result, goBenchmarks []byte) []byte {
	var b bytes.Buffer
	fmt.Fprint(&b, `# Benchmarks

<!-- Generated from benchmarks/results.jsonl and benchmarks/go.txt: go test ./integration/bench -run Docs -update -->

What counts is a ratio: both sides of a comparison are measured in one run, in rounds, and the
median of the rounds' ratios is held against its bound, as each case says. Ours and theirs are
medians of all samples; what one is to the other need not be the ratio. Figures in other units
than the ratio's are of the machine named below each table, and no promise for another. Take
them yourself:

`+"```sh\nsluice bench program resync --results results.jsonl\n```\n")
	for _, c := range cases {
		own := resultsOf(c.Name, results)
		fmt.Fprintf(&b, "\n## %s\n\n%s. %s\n", c.Name, upperFirst(c.About), c.Ratio)
		if len(own) == 0 {
			fmt.Fprint(&b, "\nNo results are kept.\n")
			continue
		}
		writeTable(&b, own)
		for _, where := range places(own) {
			fmt.Fprintf(&b, "\n%s\n", where)
		}
	}
	writeGoBenchmarks(&b, goBenchmarks)
	return b.Bytes()
}

func writeGoBenchmarks(b *bytes.Buffer, comparison []byte) {
	fmt.Fprintf(b, `
## Go benchmarks

Compiling flows, finding differences, resync without a switch, and OpenFlow's encoder and decoder
have Go benchmarks: in [flows](../flows/bench_test.go), a resync in
[the test of comparisons](../flows/comparison_test.go), and in
[datapath/openflow](../datapath/openflow/bench_test.go). Run them beside those of an earlier
revision, eight times each or as often as COUNT says:

`+"```sh\nmake benchstat BASE=HEAD~20\nmake benchstat BASE=HEAD~20 COUNT=20 > docs/benchmarks/go.txt\n```"+`

Runs of the two take turns, and only their ratio counts: absolute times are of one machine and of
what else it did then. ± is the 95 %% confidence interval of a median, wide where the machine was
busy; ~ marks a difference that may be noise, and the geomean line has no such test. Kept is:

`+"```text\n%s\n```\n", bytes.TrimSpace(comparison))
}

func resultsOf(name string, results []Result) (own []Result) {
	for _, r := range results {
		if r.Case == name {
			own = append(own, r)
		}
	}
	return own
}

func writeTable(b *bytes.Buffer, results []Result) {
	fmt.Fprint(b, "\n| with | what | ours | theirs | ratio | bound | holds |\n|---|---|---|---|---|---|---|\n")
	for _, row := range Rows(results) {
		what := row.Against
		if row.Ratio != "" {
			what = "beside " + what
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s |\n", row.Params, what, row.Ours, row.Theirs, row.Ratio, row.Bound, row.Verdict())
	}
}

// places are where and when results were taken, each once.
func places(results []Result) (list []string) {
	seen := map[string]bool{}
	for _, r := range results {
		text := fmt.Sprintf("Taken %s on %s.", r.Taken.Format("2006-01-02"), r.Machine)
		if r.Machine != "" && !seen[text] {
			seen[text] = true
			list = append(list, text)
		}
	}
	return list
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
