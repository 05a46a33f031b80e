package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// checkChanges: every difference is among the changes, each key's changes link up, and
// presence changes are exactly the networks that came to or left a host.
func checkChanges(t *testing.T, before, after twin, changes []Change) {
	t.Helper()
	first, last, presence := map[Key]Object{}, map[Key]Object{}, map[Key]Change{}
	for _, c := range changes {
		if c.Key.Kind == KindPresence {
			presence[c.Key] = c
			continue
		}
		if len(presence) > 0 {
			t.Errorf("a change of %s comes after presence changes", c.Key)
		}
		if _, seen := first[c.Key]; !seen {
			first[c.Key] = c.Before
		}
		last[c.Key] = c.After
	}
	for key := range union(before, after) {
		if key.Kind == KindStatusHost || before[key].Object == after[key].Object {
			continue
		}
		if _, told := first[key]; !told {
			t.Errorf("no change tells of %s", key)
		} else if !sameObject(last[key], after[key].Object) {
			t.Errorf("the last change of %s leaves %v, it is %v", key, last[key], after[key].Object)
		}
	}
	lacked, lacks := before.losers(), after.losers()
	for key := range union(lacked, lacks) {
		if _, told := first[key]; !told && lacked[key] != lacks[key] {
			t.Errorf("no change tells that %s lacked %d values and lacks %d", key, lacked[key], lacks[key])
		}
	}
	had, has := before.presence(), after.presence()
	for key := range union(had, has) {
		change, told := presence[key]
		if told != ((had[key] == 0) != (has[key] == 0)) {
			t.Errorf("presence %s went from %d to %d, change: %v", key, had[key], has[key], told)
		}
		if told && (change.Before == nil) != (had[key] == 0) {
			t.Errorf("presence %s: change %+v", key, change)
		}
		delete(presence, key)
	}
	if len(presence) > 0 {
		t.Errorf("presence changes of nothing: %v", presence)
	}
}

// checkAnew: a change tells of each object that is another under the same key.
func checkAnew(t *testing.T, before, after twin, changes []Change) {
	t.Helper()
	anew := map[Key]bool{}
	for _, c := range changes {
		anew[c.Key] = anew[c.Key] || c.Anew || c.Before == nil
	}
	for key, e := range after {
		if old, there := before[key]; there && old.Created != e.Created && !anew[key] && key.Kind != KindStatusHost {
			t.Errorf("no change tells that %s was created anew", key)
		}
	}
}

// checkStirred says that a tenant stirred where it is awake now and was not before, or the other way round: it is while one
// of its networks has a port.
func checkStirred(t *testing.T, s *State, before, after twin) {
	t.Helper()
	for n := range 3 {
		tenant := fmt.Sprint("t", n)
		was, is := before.awake(tenant), after.awake(tenant)
		if s.Awake(tenant) != is || s.Stirred(tenant) != (was != is) {
			t.Errorf("%s is awake %t and stirred %t; it was awake %t, and is %t", tenant, s.Awake(tenant), s.Stirred(tenant), was, is)
		}
	}
}

func (w twin) awake(tenant string) bool {
	for key := range w.presence() {
		if _, there := w[NetworkKey(key.Tenant, key.Network)]; there && key.Tenant == tenant {
			return true
		}
	}
	return false
}

func union[V any](a, b map[Key]V) map[Key]V {
	out := maps.Clone(a)
	if out == nil {
		out = map[Key]V{}
	}
	maps.Copy(out, b)
	return out
}

// A state from which everything was deleted is as a new one: its indexes forget, too. It had
// objects of every kind that State keeps.
func TestDeletesLeaveNothing(t *testing.T) {
	g := &generator{Rand: rand.New(rand.NewPCG(1, 7)), world: twin{}}
	s := NewState()
	had := map[Kind]bool{}
	for range 600 {
		b := g.batch()
		s.Apply(b)
		for _, e := range b.Events {
			had[e.Key.Kind] = had[e.Key.Kind] || e.Object != nil
		}
	}
	for _, d := range kinds {
		if !had[d.kind()] && !slices.Contains(unkept, d.kind()) {
			t.Errorf("the random world never had one of %s", d.kind())
		}
	}
	deletes := Batch{Revision: s.Revision() + 1}
	for key := range g.world {
		deletes.Events = append(deletes.Events, Event{Key: key})
	}
	s.Apply(deletes)
	s.Apply(Batch{Revision: deletes.Revision + 1})
	empty := NewState()
	empty.revision = s.revision
	whole := gocmp.Exporter(func(reflect.Type) bool { return true })
	if diff := gocmp.Diff(empty, s, whole, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("left after the deletes (-new state, +left):\n%s", diff)
	}
}
