package store

import (
	"slices"
	"testing"
)

// withoutFlows are the kinds that State keeps and that no flow depends on.
var withoutFlows = []Kind{KindSchema, KindLiveHost, KindToken, KindEnrolment, KindInvitation, KindRequest, KindEmptied, KindDrain, KindIdle, KindSticky}

// Each kind that State keeps is among the facts, or is said to be of no matter to flows: what flows are
// proved by must not lack one.
func TestFactsAreAllThatFlowsDependOn(t *testing.T) {
	for _, d := range kinds {
		s := NewState()
		e := examples[slices.IndexFunc(examples, func(e example) bool { return e.key.Kind == d.kind() })]
		key, object := e.key, e.object
		s.Apply(Batch{Revision: 3, Events: []Event{{Key: key, Object: object, Created: 2, Modified: 3}}})
		kept := slices.ContainsFunc(d.all(s), func(e Event) bool { return e.Key == key })
		facts := s.Facts()
		fact := slices.ContainsFunc(facts.Events, func(e Event) bool { return e.Key == key })
		if fact != slices.Contains(factual, d.kind()) {
			t.Errorf("%s: among the facts: %v, is a fact: %v", d.kind(), fact, slices.Contains(factual, d.kind()))
		}
		if kept && fact == slices.Contains(withoutFlows, d.kind()) {
			t.Errorf("%s is kept: put it into factual, or among those that no flow depends on", d.kind())
		}
		if !fact {
			continue
		}
		if got := facts.Events[0]; len(facts.Events) != 1 || facts.Revision != 3 || !sameObject(got.Object, object) || got.Created != 2 || got.Modified != 3 {
			t.Errorf("%s: its fact is %+v", d.kind(), facts)
		}
	}
}
