package store

import (
	"net/netip"
	"slices"
	"testing"
)

// Compiling asks of each port whether it is contested: the answer "no" must cost no memory.
func TestContestedIsCheap(t *testing.T) {
	s := NewState()
	key := PortKey("h1", "alice", "default", "a1")
	s.Apply(Batch{Revision: 1, Events: []Event{{Key: key, Created: 1, Object: &Port{
		Number: 1, MAC: MAC{2}, Interface: "sl-a", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.5/24"), netip.MustParsePrefix("fd00::5/64")},
	}}}})
	port := s.Port(key)
	if n := testing.AllocsPerRun(100, func() { s.ContestedPort(port) }); n > 0 {
		t.Errorf("ContestedPort allocates %v times", n)
	}
}

// Of two that claim a value the older has it; of two of one age the one with the smaller key.
func TestOlder(t *testing.T) {
	item := func(name string, created Revision) *Item[Tenant] {
		return &Item[Tenant]{Key: TenantKey(name), Created: created}
	}
	for _, tc := range []struct {
		i, j *Item[Tenant]
		want bool
	}{
		{item("b", 1), item("a", 2), true}, {item("a", 2), item("b", 1), false},
		{item("a", 1), item("b", 1), true}, {item("b", 1), item("a", 1), false}, {item("a", 1), item("a", 1), false},
	} {
		if got := tc.i.Older(tc.j); got != tc.want {
			t.Errorf("%s of %d before %s of %d: %v", tc.i.Key.Tenant, tc.i.Created, tc.j.Key.Tenant, tc.j.Created, got)
		}
	}
}

// Whoever claims a value is told when it passes from one to another: its problem names who holds it.
func TestAllClaimantsAreToldOfANewHolder(t *testing.T) {
	s := NewState()
	tenant := func(name string, created Revision) Event {
		return Event{Key: TenantKey(name), Object: &Tenant{Number: 7}, Created: created, Modified: 9}
	}
	told := func(e Event) (names []string) {
		for _, c := range s.Apply(Batch{Revision: s.Revision() + 1, Events: []Event{e}}) {
			names = append(names, c.Key.Tenant)
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	for _, step := range []struct {
		what  string
		event Event
		want  []string
	}{
		{"the second comes", tenant("b", 2), []string{"b"}},
		{"the third comes, and claims in vain", tenant("c", 3), []string{"c"}},
		{"the first comes, and the second loses the number", tenant("a", 1), []string{"a", "b", "c"}},
		{"the first goes", Event{Key: TenantKey("a")}, []string{"a", "b", "c"}},
		{"the third goes", Event{Key: TenantKey("c")}, []string{"c"}},
	} {
		if got := told(step.event); !slices.Equal(got, step.want) {
			t.Errorf("%s: %v are told, want %v", step.what, got, step.want)
		}
	}
}
