package controller_test

import (
	"context"
	"testing"

	"sluice/store"
)

// Who waits for a deletion is told as well, though such reports may be put off.
func TestDeletionsAreReported(t *testing.T) {
	b, _, a1 := newProgrammed(t)
	realized := func(what string, rev store.Revision, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		defer cancel()
		if behind, err := b.store.WaitAll(ctx, []string{h1}, rev, store.Key{}); err != nil || len(behind) > 0 {
			t.Errorf("%s: behind: %v, %v", what, behind, err)
		}
	}
	rev, err := b.store.DeletePort(b.ctx, a1.Key, b.reg.Created)
	realized("delete the port", rev, err)
	rev, err = b.store.DeleteTenant(b.ctx, "alice")
	realized("delete the tenant", rev, err)
}
