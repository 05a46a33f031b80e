package bench

import (
	"context"
	"fmt"
	"strings"
)

// Case is one thing that is measured.
type Case struct {
	Name  string
	About string // one line: what is compared with what
	Ratio string // sentences: how its ratios are made, for those who judge them
	// Run measures and reports through r. It returns an error when it could not measure: a
	// missed bound is no error, but a Result that does not hold.
	Run func(ctx context.Context, r *Run) error
}

// Cases are all that there is to run, in the order in which they run.
func Cases() []Case {
	return []Case{
		programCase(), resyncCase(), tenantCase(), attachCase(), fleetCase(), bandwidthCase(),
	}
}

// Choose picks cases by name; no name stands for all.
func Choose(all []Case, names []string) ([]Case, error) {
	if len(names) == 0 {
		return all, nil
	}
	var chosen []Case
	for _, name := range names {
		c, ok := find(all, name)
		if !ok {
			return nil, fmt.Errorf("no benchmark %q: there are %s", name, strings.Join(Names(all), ", "))
		}
		chosen = append(chosen, c)
	}
	return chosen, nil
}

func find(all []Case, name string) (Case, bool) {
	for _, c := range all {
		if c.Name == name {
			return c, true
		}
	}
	return Case{}, false
}

// Names are the cases' names.
func Names(all []Case) []string {
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.Name
	}
	return names
}
