package store

import (
	"slices"
	"testing"
)

func TestJudgeAlloc(t *testing.T) {
	s := cluster()
	alloc, a1 := Under(KindAlloc), PortKey("h1", "alice", "default", "a1").Short()
	for _, c := range []struct {
		name, path string
		a          Alloc
		want       AllocVerdict
	}{
		{"a port's address", "addresses/alice/default/10.0.0.5", Alloc{Owner: a1}, AllocRight},
		{"its number", "port-numbers/5", Alloc{Owner: a1}, AllocRight},
		{"its name", "ports/alice/default/a1", Alloc{Owner: a1}, AllocRight},
		{"a tenant's number", "tenant-numbers/1", Alloc{Owner: "tenants/alice"}, AllocRight},
		{"an address that it does not have", "addresses/alice/default/10.0.0.6", Alloc{Owner: a1}, AllocStray},
		{"its address in another network", "addresses/alice/web/10.0.0.5", Alloc{Owner: a1}, AllocStray},
		{"an address of a port that is not there", "addresses/alice/default/10.0.0.5", Alloc{Owner: "ports/h1/alice/default/gone"}, AllocStray},
		{"rubbish", "addresses/alice/default/10.0.0.5", Alloc{}, AllocStray},
		{"of no name", "addresses/alice/default/10.0.0.5", Alloc{Owner: "ports/h1/alice/default/A_B"}, AllocStray},
		{"a freed number", "port-numbers/9", Alloc{Owner: "ports/h1/alice/default/gone", Freed: true}, AllocTombstone},
		{"a freed address", "addresses/alice/default/10.0.0.9", Alloc{Owner: "ports/h1/alice/default/gone", Freed: true}, AllocStray},
		{"of a newer version's kind", "addresses/alice/default/10.0.0.9", Alloc{Owner: "balancers/alice/b1"}, AllocForeign},
		{"in a newer version's directory", "balancer-numbers/9", Alloc{}, AllocForeign},
		{"in no directory", "9", Alloc{}, AllocForeign},
	} {
		v, owner := s.JudgeAlloc(alloc+c.path, c.a)
		if v != c.want || v == AllocRight && owner.Short() != c.a.Owner {
			t.Errorf("%s: %s of %s, want %s", c.name, v, owner.Short(), c.want)
		}
	}
}

// An object lacks values where fewer were found right than it has; not one that was written since.
func TestLacking(t *testing.T) {
	s := cluster()
	right := map[Key]int{}
	for _, d := range kinds {
		for _, e := range d.all(s) {
			for _, taken := range TakenBy(e.Key, e.Object) {
				if v, owner := s.JudgeAlloc(taken.Key().String(), Alloc{Owner: e.Key.Short()}); v == AllocRight {
					right[owner]++
				}
			}
		}
	}
	lacking := func(until Revision) (keys []string) {
		for _, key := range s.Takers() {
			if e, lacks := s.Lacks(key, right[key], until); lacks {
				keys = append(keys, e.Key.Short())
			}
		}
		slices.Sort(keys)
		return keys
	}
	if list := lacking(s.Revision()); len(list) > 0 {
		t.Errorf("where all is right %v lack something", list)
	}
	port, tenant := PortKey("h1", "alice", "default", "a1"), TenantKey("alice")
	right[port]--
	delete(right, tenant)
	if _, lacks := s.Lacks(TenantKey("gone"), 0, s.Revision()); lacks {
		t.Error("what is gone lacks something")
	}
	if got, want := lacking(s.Revision()), []string{port.Short(), tenant.Short()}; !slices.Equal(got, want) {
		t.Errorf("%v lack something, want %v", got, want)
	}
	if got, want := lacking(s.Port(port).Modified-1), []string{tenant.Short()}; !slices.Equal(got, want) {
		t.Errorf("of those before the port %v lack something, want %v", got, want)
	}
}

// One value that a port lists twice is one key.
func TestLackingOfAValueListedTwice(t *testing.T) {
	s := NewState()
	key := PortKey("h1", "alice", "default", "a1")
	s.Apply(Batch{Revision: 1, Events: []Event{{Key: key, Object: &Port{Addresses: prefixes("10.0.0.5/24", "10.0.0.5/24")}, Created: 1, Modified: 1}}})
	if _, lacks := s.Lacks(key, 4, 1); lacks {
		t.Error("it lacks something")
	}
}

func TestStray(t *testing.T) {
	for path, want := range map[string]struct{ known, tombstone bool }{
		"port-numbers/5": {true, true}, "addresses/alice/default/10.0.0.5": {true, false}, "unknown/5": {false, false},
	} {
		freed, known := Stray(Under(KindAlloc)+path, Alloc{Owner: "x"})
		if known != want.known || (freed != nil) != want.tombstone || freed != nil && *freed != (Alloc{Owner: "x", Freed: true}) {
			t.Errorf("%s: %v, %v", path, freed, known)
		}
	}
}
