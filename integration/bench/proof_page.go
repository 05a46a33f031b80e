package bench

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Marks in docs/proof.md: what stands between them is written from kept results.
const proofBegin, proofEnd = "<!-- Generated from benchmarks/results.jsonl: go test ./integration/bench -run Docs -update -->\n", "<!-- End of what is generated -->\n"

// ProofPage is docs/proof.md with how long proofs take, as kept results say.
func ProofPage(page []byte, results []Result) ([]byte, error) {
	before, rest, begun := bytes.Cut(page, []byte(proofBegin))
	_, after, ended := bytes.Cut(rest, []byte(proofEnd))
	if !begun || !ended {
		return nil, errors.New("docs/proof.md: the marks of what is generated are not there")
	}
	var b bytes.Buffer
	b.Write(before)
	b.WriteString(proofBegin)
	fleet := slices.DeleteFunc(resultsOf("fleet", results), func(r Result) bool { return r.Params["what"] != verifyWhat })
	writeProofTimes(&b, resultsOf("verify", results), fleet)
	b.WriteString(proofEnd)
	b.Write(after)
	return b.Bytes(), nil
}

func writeProofTimes(b *bytes.Buffer, verify, fleet []Result) {
	fmt.Fprint(b, "\nOne host, on Open vSwitch:\n\n| flows | reading | proof | proof to reading |\n|---|---|---|---|\n")
	for _, r := range verify {
		if r.Params["what"] == nil {
			fmt.Fprintf(b, "| %s | %s | %s | %.2f |\n", quantity(r.Facts[0].Value, ""), quantity(1000*r.Reference.Median, "ms"), quantity(1000*r.Median, "ms"), r.Ratio)
		}
	}
	fmt.Fprint(b, "\n`sluice verify` as a whole, which a controller answers:\n\n| flows | `sluice verify` |\n|---|---|\n")
	for _, r := range verify {
		if r.Params["what"] == verifyWhat {
			fmt.Fprintf(b, "| %s | %s |\n", quantity(r.Facts[0].Value, ""), quantity(r.Median, "s"))
		}
	}
	for _, r := range verify {
		if r.Params["what"] == nil || r.Params["what"] == verifyWhat {
			continue
		}
		fmt.Fprintf(b, "\nBeside %v flows, to program a port took %s on average while what changes was proved, %s without a proof, and %s while all flows "+
			"were read and proved each half second.\n", number(r.Params["flows"]), quantity(r.Median, "ms"), quantity(r.Reference.Median, "ms"), quantity(r.Also[0].Reference.Median, "ms"))
	}
	fmt.Fprint(b, "\n`sluice verify` over many hosts, on simulated switches of one process beside the controller:\n\n| hosts | flows | `sluice verify` |\n|---|---|---|\n")
	for _, r := range fleet {
		fmt.Fprintf(b, "| %v | %s | %s |\n", number(r.Params["hosts"]), quantity(r.Facts[0].Value, ""), quantity(r.Median, "s"))
	}
	for _, where := range places(append(verify, fleet...)) {
		fmt.Fprintf(b, "\n%s\n", where)
	}
	fmt.Fprintln(b)
}
