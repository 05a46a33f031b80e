package integration

import (
	"fmt"
	"maps"
	"testing"

	"golang.org/x/sync/errgroup"

	"sluice/integration/lab"
)

// Containers of all runtimes in one tenant reach each other, on whichever hosts they are, and none of another
// tenant's. What a runtime removes leaves nothing.
func TestRuntimes(t *testing.T) {
	st := needLab(t)
	tenant(t, "mixed", "--subnet", "10.96.0.0/24")
	tenant(t, "mixed-other", "--subnet", "10.96.0.0/24")
	had := portsEverywhere(t, st)
	var g errgroup.Group
	for i, runtime := range lab.Runtimes() {
		for j, tenant := range []string{"mixed", "mixed-other"} {
			name := tenant + "-" + runtime
			t.Cleanup(func() { command(t, "lab", "rm", name) })
			g.Go(func() error {
				_, err := lab.Run(t.Context(), lab.Request{
					Host: fmt.Sprintf("h%d", 1+(i+j)%3), Tenant: tenant, Name: name, Runtime: runtime, Address: fmt.Sprintf("10.96.0.%d", 10+20*j+i),
				})
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, from := range lab.Runtimes() {
		for _, to := range lab.Runtimes() {
			if from == to {
				continue
			}
			a, b, other := inspect(t, "mixed-"+from), inspect(t, "mixed-"+to), inspect(t, "mixed-other-"+to)
			g.Go(func() error {
				if _, stderr, status := command(t, "lab", "exec", a.Name, "--", "ping", "-c", "1", "-W", "2", ipOf(b).String()); status != 0 {
					return fmt.Errorf("%s does not reach %s: %s", a.Name, b.Name, stderr)
				}
				if _, _, status := command(t, "lab", "exec", a.Name, "--", "ping", "-c", "1", "-W", "1", ipOf(other).String()); status == 0 {
					return fmt.Errorf("%s reaches %s, which is another tenant's", a.Name, other.Name)
				}
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	for _, runtime := range lab.Runtimes() {
		sluice(t, "lab", "rm", "mixed-"+runtime)
		sluice(t, "lab", "rm", "mixed-other-"+runtime)
	}
	if left := portsEverywhere(t, st); !maps.Equal(left, had) {
		t.Errorf("interfaces %v are left, %v were there before", left, had)
	}
}
