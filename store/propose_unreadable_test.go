package store

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestProposeRemoveUnreadable(t *testing.T) {
	key := PortKey("h1", "alice", "default", "a1")
	want := Proposal{
		Writes: []Event{{Key: key}},
		Presumes: []Presumption{
			{Condition: Unchanged, Path: "/sluice/v1/ports/h1/alice/default/a1", Revision: 7, Refusal: ErrConflict},
			{Condition: Absent, Path: "/sluice/v1/live/hosts/h1", Refusal: ErrInUse},
		},
	}
	same := cmp.Comparer(errors.Is)
	if diff := cmp.Diff(want, ProposeRemoveUnreadable(key, 7), same, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
