package store

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLimits(t *testing.T) {
	type taken struct{ Connections, To, Broadcasts, NewPorts, Questions, Outside int }
	defaults := taken{16384, 4096, 500, 20, 1000, 200}
	for name, tt := range map[string]struct {
		limits  Limits
		want    taken
		refused string
	}{
		"none said":        {Limits{}, defaults, ""},
		"the least":        {Limits{Connections: 1, Broadcasts: 1, NewPorts: 1, Questions: 1}, taken{1, 1, 1, 1, 1, 1}, ""},
		"the most":         {Limits{Connections: 1e6, Broadcasts: 1e6, NewPorts: 1e6, Questions: 1e6}, taken{1e6, 25e4, 1e6, 1e6, 1e6, 2e5}, ""},
		"own ones":         {Limits{Ports: 3, Connections: 100, Broadcasts: 10, NewPorts: 2, Questions: 50}, taken{100, 25, 10, 2, 50, 10}, ""},
		"no ports":         {Limits{Ports: -1}, defaults, "invalid: a limit of -1 ports is negative"},
		"too few":          {Limits{Connections: -1}, defaults, "invalid: a limit of -1 connections: give 1 to 1000000, or 0 for the default"},
		"too many":         {Limits{Broadcasts: 1e6 + 1}, defaults, "invalid: a limit of 1000001 broadcasts a second: give 1 to 1000000, or 0 for the default"},
		"a rate":           {Limits{EgressKbps: 1e8, IngressKbps: 1e8, PortEgressKbps: 1e8, PortIngressKbps: 1e8}, defaults, ""},
		"egress":           {Limits{EgressKbps: 1e8 + 1}, defaults, "invalid: a limit of 100000001 kilobits a second of what its containers send out: give 1 to 100000000, or 0 for none"},
		"ingress":          {Limits{IngressKbps: 1e8 + 1}, defaults, "invalid: a limit of 100000001 kilobits a second of what comes back to them: give 1 to 100000000, or 0 for none"},
		"a port's egress":  {Limits{PortEgressKbps: 1e8 + 1}, defaults, "invalid: a limit of 100000001 kilobits a second of what each of its ports sends: give 1 to 100000000, or 0 for none"},
		"a port's ingress": {Limits{PortIngressKbps: 1e8 + 1}, defaults, "invalid: a limit of 100000001 kilobits a second of what each of its ports gets: give 1 to 100000000, or 0 for none"},
		"questions":        {Limits{Questions: -2}, defaults, "invalid: a limit of -2 questions for names a second: give 1 to 1000000, or 0 for the default"},
		"another's":        {Limits{NewPorts: -7}, defaults, "invalid: a limit of -7 new ports a second: give 1 to 1000000, or 0 for the default"},
	} {
		l := tt.limits
		if diff := cmp.Diff(tt.want, taken{l.MaxConnections(), l.MaxConnectionsTo(), l.MaxBroadcasts(), l.MaxNewPorts(), l.MaxQuestions(), l.MaxQuestionsOutside()}); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
		err := l.Validate()
		if tt.refused == "" && err != nil || tt.refused != "" && (!errors.Is(err, ErrInvalid) || err.Error() != tt.refused) {
			t.Errorf("%s: refused with %v, want %q", name, err, tt.refused)
		}
	}
}

func TestProposeLimits(t *testing.T) {
	s := NewState()
	s.Apply(Batch{Revision: 9, Events: []Event{{
		Key: TenantKey("alice"), Object: &Tenant{Number: 4, Gateway: "h1", Hosts: []string{"h1"}, Limits: Limits{Ports: 3}}, Created: 5, Modified: 8,
	}}})
	p, err := LimitsSpec{"alice", Limits{Connections: 7}}.Propose(s)
	if err != nil {
		t.Fatal(err)
	}
	want := Proposal{
		Writes:   []Event{{Key: TenantKey("alice"), Object: &Tenant{Number: 4, Gateway: "h1", Hosts: []string{"h1"}, Limits: Limits{Connections: 7}}}},
		Presumes: []Presumption{{Condition: Unchanged, Path: TenantKey("alice").String(), Revision: 8}},
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if had := s.Tenant("alice").Value.Limits; had != (Limits{Ports: 3}) {
		t.Errorf("the state itself was changed: %+v", had)
	}
	for want, spec := range map[error]LimitsSpec{
		ErrNotFound: {Tenant: "bob"}, ErrInvalid: {"alice", Limits{NewPorts: -1}},
	} {
		if _, err := spec.Propose(s); !errors.Is(err, want) {
			t.Errorf("%+v: %v, want %v", spec, err, want)
		}
	}
	if err := (LimitsSpec{Tenant: "Alice/"}).Validate(); !errors.Is(err, ErrInvalid) {
		t.Errorf("a name that is none: %v", err)
	}
}
