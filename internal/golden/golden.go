// Package golden holds files of the repository to what makes them: generated pages, and texts that show what a
// function answers. Only tests use it.
package golden

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Check fails a test whose file is not what is made now. update, the test's flag -update, writes it first.
func Check(t testing.TB, path string, made []byte, update bool) {
	t.Helper()
	if update {
		if err := os.WriteFile(path, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: `make docs` writes it, or go test on its package with -update", err)
	}
	if diff := cmp.Diff(string(kept), string(made)); diff != "" {
		t.Errorf("%s is not what is made now (-kept +made): `make docs` writes it anew, or go test on its package with -update:\n%s", path, diff)
	}
}
