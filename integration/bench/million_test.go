package bench

import "testing"

// A small part of a million tenants goes through everything that all of them do.
func checkMillion(t *testing.T, got []Result) {
	if len(got) != 2 {
		t.Fatalf("%d results", len(got))
	}
	if one := got[0]; one.Ratio <= 0 || one.Bound == nil {
		t.Errorf("one more tenant: %+v", one)
	}
	for _, name := range []string{"cold start", "peak of resident memory", "tenants created a second beside none", "tenants created a second beside all"} {
		if f := fact(t, got[1], name); f.Value <= 0 {
			t.Errorf("%s is %v", name, f.Value)
		}
	}
	if f := fact(t, got[1], "resident memory of a tenant that sleeps"); f.Bound == nil {
		t.Errorf("nothing bounds %s", f.Name)
	}
}
