package hostagent

import (
	"context"
	"fmt"
)

// fitness keeps a host that lacks something from registering, and says what, a line each. One that
// lacked nothing is not looked at again before the agent's next start.
type fitness struct {
	preflight
	problems *problems
	passed   bool
}

func (f *fitness) is(ctx context.Context) ([]Finding, error) {
	if f.passed {
		return nil, nil
	}
	return look(ctx, f.checks()), nil
}

// should is how many things may lack.
func (f *fitness) should(context.Context) (int, error) { return 0, nil }

// makeSo tells the operator: to give a host what it lacks is not for the agent.
func (f *fitness) makeSo(_ context.Context, should int, is []Finding) error {
	lacking := 0
	for _, finding := range is {
		f.problems.report("preflight: "+finding.Name, finding.Err)
		if finding.Err != nil {
			lacking++
		}
	}
	if f.passed = lacking <= should; !f.passed {
		return fmt.Errorf("this host lacks %d of %d things that were looked at, and is not registered before it has them", lacking, len(is))
	}
	return nil
}
