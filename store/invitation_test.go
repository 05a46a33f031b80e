package store

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProposeInvitation(t *testing.T) {
	s := NewState()
	s.Apply(Batch{Revision: 3, Events: []Event{{Key: EnrolmentKey("h2"), Object: &Enrolment{}, Created: 3, Modified: 3}}})
	for name, tc := range map[string]struct {
		host string
		anew bool
		want error
	}{
		"a new host":                {"h1", false, nil},
		"no name":                   {"h1/alice", false, ErrInvalid},
		"one that is enrolled":      {"h2", false, ErrExists},
		"one that is enrolled anew": {"h2", true, nil},
	} {
		p, err := ProposeInvitation(s, "x", Invitation{Host: tc.host}, tc.anew)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (len(p.Writes) != 1 || p.Writes[0].Key != InvitationKey("x") || len(p.Presumes) != 1) {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestProposeEnrolment(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	s := NewState()
	s.Apply(Batch{Revision: 7, Events: []Event{{
		Key: InvitationKey("x"), Created: 6, Modified: 7,
		Object: &Invitation{Host: "h1", SecretHash: "ab", Expires: noon.Add(time.Hour), By: "alice"},
	}}})
	got, err := ProposeEnrolment(s, "x", "ab", Enrolment{Since: noon, NotBefore: noon})
	if err != nil {
		t.Fatal(err)
	}
	want := Proposal{
		Writes:   []Event{{Key: InvitationKey("x")}, {Key: EnrolmentKey("h1"), Object: &Enrolment{By: "alice", Since: noon, NotBefore: noon}}},
		Presumes: []Presumption{{Condition: Unchanged, Path: InvitationKey("x").String(), Revision: 7}},
	}
	if diff := cmp.Diff(want, got, comparers...); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, tc := range map[string]struct {
		id, hash string
		at       time.Time
	}{
		"another id":     {"y", "ab", noon},
		"another secret": {"x", "ac", noon},
		"part of it":     {"x", "a", noon},
		"none":           {"x", "", noon},
		"too late":       {"x", "ab", noon.Add(time.Hour)},
	} {
		if p, err := ProposeEnrolment(s, tc.id, tc.hash, Enrolment{Since: tc.at}); !errors.Is(err, ErrNotAllowed) || len(p.Writes) > 0 {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// A host that was enrolled and never registered can be deleted.
func TestDeleteOfWhoNeverRegistered(t *testing.T) {
	s := NewState()
	s.Apply(Batch{Revision: 3, Events: []Event{{Key: EnrolmentKey("h1"), Object: &Enrolment{}, Created: 3, Modified: 3}}})
	for _, ports := range []int64{0, 2} {
		p, err := ProposeDeleteHost(s, "h1", ports, time.Time{})
		if err != nil || len(p.Writes) != 1 || p.Writes[0] != (Event{Key: EnrolmentKey("h1")}) {
			t.Errorf("with %d ports left: %+v, %v", ports, p, err)
		}
	}
}
