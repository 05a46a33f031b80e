package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSetSchema(t *testing.T) {
	const now = SchemaVersion
	live := func(schema int) []Event {
		return []Event{
			{Key: LiveControllerKey("c1"), Object: &LiveController{Program: Program{"v9", now}}},
			{Key: LiveControllerKey("c2"), Object: &LiveController{Program: Program{"", schema}}},
			{Key: LiveHostKey("h1"), Object: &LiveHost{Program: Program{"v1", schema}}},
			{Key: LiveHostKey("h2"), Object: &LiveHost{Program: Program{"v9", now}}},
		}
	}
	said := func(least int) []Event {
		return []Event{{Key: SchemaKey(), Object: &Schema{Least: least}, Created: 5, Modified: 6}}
	}
	for _, tc := range []struct {
		name   string
		there  []Event
		least  int
		writes int // 0: nothing
		err    error
		says   []string
	}{
		{"the end of an upgrade", live(now), now, now, nil, nil},
		{"older ones are live", live(now - 1), now, 0, ErrConflict, []string{"controllers/c2 (unknown version, schema 1)", "hosts/h1 (v1, schema 1)"}},
		{"such from before there were schemas", live(0), now, 0, ErrConflict, []string{"hosts/h1 (v1, schema 1)"}},
		{"it is so already", said(now), now, 0, nil, nil},
		{"it is so where nothing is said", live(0), 1, 0, nil, nil},
		{"the way back", append(said(now), live(now)...), wayBack, wayBack, nil, nil},
		{"the way back while gateways fail over", append(said(now), Event{Key: SettingsKey(), Object: FirstSettings()}), wayBack, 0, ErrConflict, []string{"sluice gateway fail-over off"}},
		{"the way back while addresses float", append(said(now), Event{Key: SettingsKey(), Object: &Settings{Floating: ranges("203.0.113.50")}}), wayBack, 0, ErrConflict, []string{"sluice gateway floating --none"}},
		{"too far back", said(now), wayBack - 1, 0, ErrInvalid, []string{"ends at schema 1"}},
		{"what this version does not write", nil, now + 1, 0, ErrInvalid, []string{"this controller writes schema 2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := NewState()
			s.Apply(Batch{Revision: 9, Events: tc.there})
			p, err := ProposeSchema(s, tc.least)
			if !errors.Is(err, tc.err) {
				t.Fatalf("%v, want %v", err, tc.err)
			}
			for _, says := range tc.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%q does not say %q", err, says)
				}
			}
			if strings.Contains(strings.Join(tc.says, ""), "h1") && strings.Contains(err.Error(), "h2") {
				t.Errorf("%q names one that may write", err)
			}
			if tc.writes == 0 {
				if len(p.Writes) > 0 {
					t.Errorf("it writes %+v", p.Writes)
				}
				return
			}
			modified := Revision(0)
			if s.schema.items["cluster"] != nil {
				modified = 6
			}
			want := Proposal{
				Writes: []Event{{Key: SchemaKey(), Object: &Schema{Least: tc.writes}}},
				Presumes: []Presumption{
					{Condition: Unchanged, Path: "/sluice/v1/schema/cluster", Revision: modified},
					{Condition: Unchanged, Path: "/sluice/v1/settings/cluster"},
					{Condition: NothingNewUnder, Path: "/sluice/v1/live/hosts/", Revision: 9},
					{Condition: NothingNewUnder, Path: "/sluice/v1/live/controllers/", Revision: 9},
				},
			}
			if diff := cmp.Diff(want, p); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTooOld(t *testing.T) {
	for _, tc := range []struct {
		program Program
		least   int
		says    string // empty: it may write
	}{
		{Program{}, 1, ""},
		{Program{"v1", 2}, 2, ""},
		{Program{"v1", 3}, 2, ""},
		{Program{}, 2, "of a version that it does not say, which writes schema 1"},
		{Program{"v1", 2}, 3, "it is v1, which writes schema 2, and the store asks for 3"},
	} {
		if got := tc.program.TooOld(tc.least); (got == "") != (tc.says == "") || !strings.Contains(got, tc.says) {
			t.Errorf("%+v where %d is asked for: %q", tc.program, tc.least, got)
		}
	}
}
