package store

import (
	"errors"
	"strings"
	"testing"
)

func TestTitles(t *testing.T) {
	for want, key := range map[string]Key{
		"tenant alice": TenantKey("alice"), "network alice/db": NetworkKey("alice", "db"), "host h1": HostKey("h1"),
		"port alice/db/a1": PortKey("h1", "alice", "db", "a1"), "sticky name alice/db/a1": StickyKey("h1", "alice", "db", "a1"),
		"peering alice/bob": PeeringKey("alice", "bob"), "token ci": TokenKey("ci"),
	} {
		if got := key.Title(); got != want {
			t.Errorf("%v is %q, not %q", key, got, want)
		}
	}
}

func TestPresuming(t *testing.T) {
	first := Presumption{Condition: Absent, Path: "/a"}
	request := func(*State) (Proposal, error) { return Proposal{Presumes: []Presumption{first}}, nil }
	p, err := Presuming(request, AsOf(TenantKey("alice"), 7))(nil)
	if err != nil || len(p.Presumes) != 2 || p.Presumes[0].Path != "/a" {
		t.Fatalf("%+v, %v", p.Presumes, err)
	}
	more := p.Presumes[1]
	if more.Condition != Unchanged || more.Path != TenantKey("alice").String() || more.Revision != 7 || !errors.Is(more.Refusal, ErrChanged) ||
		!strings.Contains(more.Refusal.Error(), "tenant alice: changed since revision 7") {
		t.Errorf("presumed is %+v", more)
	}
	refused := errors.New("no")
	if _, err := Presuming(func(*State) (Proposal, error) { return Proposal{}, refused }, more)(nil); !errors.Is(err, refused) {
		t.Errorf("a refusal became %v", err)
	}
}

func TestObjectsOfAKind(t *testing.T) {
	s := NewState()
	s.Apply(Batch{Revision: 3, Events: []Event{
		{Key: TenantKey("alice"), Object: &Tenant{Number: 1}, Created: 2, Modified: 3}, {Key: HostKey("h1"), Object: &Host{}, Created: 3, Modified: 3},
	}})
	if list := s.Objects(KindTenant); len(list) != 1 || list[0].Key != TenantKey("alice") || list[0].Created != 2 || list[0].Modified != 3 {
		t.Errorf("tenants are %+v", list)
	}
	if list := s.Objects("nothing"); len(list) != 0 {
		t.Errorf("of no kind there are %+v", list)
	}
}
