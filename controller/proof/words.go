package proof

import (
	"fmt"
	"slices"

	"sluice/flows"
	"sluice/flows/prove"
	"sluice/store"
)

// inWords are findings as problems of the flows' owners.
func inWords(s *store.State, list []prove.Finding) (problems store.Problems) {
	for i := range list {
		f := &list[i]
		text := fmt.Sprintf("isolation is not proved on host %s: %s (rule %s): %s", f.Host, f.Text, f.Rule, &f.Flow)
		if f.ShadowedBy != nil {
			text += fmt.Sprintf("; it never fires, since this comes before it: %s", f.ShadowedBy)
		}
		problems = append(problems, store.Problem{Object: flows.Owner(s, f.Flow.Cookie), Text: text})
	}
	return problems
}

// keep drops the findings that an earlier look did not have.
func (l *Look) keep(earlier *Look) {
	known := map[store.Problem]bool{}
	for _, p := range earlier.Problems {
		known[p] = true
	}
	var findings []prove.Finding
	for i, p := range l.Problems {
		if known[p] {
			findings = append(findings, l.Findings[i])
		}
	}
	l.Findings = findings
	l.Problems = slices.DeleteFunc(l.Problems, func(p store.Problem) bool { return !known[p] })
}
