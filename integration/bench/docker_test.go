package bench

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkAttachDocker wants one container and several at once, beside a bridge, and the CNI plugins.
func checkAttachDocker(t *testing.T, results []Result) {
	t.Helper()
	want := []string{"docker run, 1: Docker's bridge", "CNI ADD, 1: CNI's bridge plugin", "docker run, 3: Docker's bridge"}
	var got []string
	for _, r := range results {
		got = append(got, strings.Join([]string{r.Params["what"].(string), ", ", quantity(float64(r.Params["at once"].(int)), ""), ": ", r.Against}, ""))
		if r.Median <= 0 || r.Reference.Median <= 0 || len(r.Facts) == 0 {
			t.Errorf("%+v", r)
		}
		for _, f := range r.Facts {
			if !f.Bound.Holds(f.Value) {
				t.Errorf("%v: %+v", r.Params, f)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("measured (-want +got):\n%s", diff)
	}
}
