package bench

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
)

// comparedTable is one table of docs/compared.md: what kept results say of others.
type comparedTable struct {
	rival string
	cases []string
	rows  *regexp.Regexp // of what is compared, and beside what
}

var comparedTables = []comparedTable{
	{"NORMAL", []string{"tenant", "bandwidth", "packets", "paper-1", "paper-2", "paper-3", "paper-4", "paper-5"}, regexp.MustCompile(`NORMAL|the paper's|create a tenant`)},
	{"OVN", []string{"ovn"}, regexp.MustCompile(`OVN`)},
	{"Docker", []string{"attach-docker", "paper-1"}, regexp.MustCompile(`Docker's|CNI's`)},
}

// Marks in docs/compared.md: what stands between them is written from kept results.
func (t comparedTable) begin() string {
	return "<!-- " + t.rival + ", generated from benchmarks/results.jsonl: go test ./integration/bench -run Docs -update -->\n"
}

// ComparedPage is docs/compared.md with what kept results say.
func ComparedPage(page []byte, results []Result) ([]byte, error) {
	for _, t := range comparedTables {
		before, rest, begun := bytes.Cut(page, []byte(t.begin()))
		_, after, ended := bytes.Cut(rest, []byte(proofEnd))
		if !begun || !ended {
			return nil, fmt.Errorf("docs/compared.md: the marks of what is generated beside %s are not there", t.rival)
		}
		page = slices.Concat(before, []byte(t.begin()), t.write(results), []byte(proofEnd), after)
	}
	return page, nil
}

func (t comparedTable) write(results []Result) []byte {
	var b bytes.Buffer
	var used []Result
	fmt.Fprint(&b, "\n| taken by | what | beside | it | the other | ratio |\n|---|---|---|---|---|---|\n")
	for _, name := range t.cases {
		own := resultsOf(name, results)
		for _, row := range Rows(own) {
			if row.Ratio == "" || !t.rows.MatchString(row.Params+row.Against) {
				continue
			}
			fmt.Fprintf(&b, "| `sluice bench %s` | %s | %s | %s | %s | %s |\n", name, row.Params, row.Against, row.Ours, row.Theirs, row.Ratio)
		}
		used = append(used, own...)
	}
	for _, where := range places(used) {
		fmt.Fprintf(&b, "\n%s\n", where)
	}
	b.WriteString("\n")
	return b.Bytes()
}
