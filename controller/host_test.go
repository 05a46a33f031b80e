package controller

import (
	"slices"
	"testing"

	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// A host vouches for what it was never asked to change, and for nothing that is marked.
func TestHostAt(t *testing.T) {
	h := newHost("h1")
	expect := func(step string, now, want store.Revision, lagging bool) {
		t.Helper()
		got, since := h.at(now)
		if got != want || !since.IsZero() != lagging {
			t.Errorf("%s: at(%d) = %d, lagging %v; want %d, %v", step, now, got, !since.IsZero(), want, lagging)
		}
	}
	expect("before the first resync", 10, 0, false)
	h.markAll(10)
	h.take()
	expect("during the first resync", 10, 0, false)
	h.confirmed(10, nil)
	expect("after it", 10, 10, false)
	expect("untouched by later revisions", 15, 15, false)

	h.mark(flows.Slice(1), 16)
	expect("marked", 20, 15, true)
	h.take()
	h.mark(flows.Slice(2), 18)
	expect("taken, and marked again", 20, 15, true)
	h.confirmed(17, nil)
	expect("first part confirmed", 20, 17, true)
	h.take()
	h.putBack()
	expect("could not be confirmed", 20, 17, true)
	h.take()
	h.confirmed(20, nil)
	expect("all confirmed", 21, 21, false)
}

// A new port whose interface is late holds the floor below its own revision; one that was
// there before, or is missing for longer, makes the host an exception at once.
func TestHostWithMissingPorts(t *testing.T) {
	h := newHost("h1")
	h.session = &session{}
	h.markAll(5)
	h.take()
	old := absence{key: store.PortKey("h1", "alice", "default", "old"), created: 4}
	h.confirmed(5, []absence{old})
	if at, exception := h.standing(6); at != 6 || exception == nil || len(exception.Missing) != 1 {
		t.Errorf("an old port is missing: at %d, exception %+v", at, exception)
	}
	confirm := func(rev store.Revision, missing ...absence) {
		h.mark(flows.Slice(1), rev)
		h.take()
		h.confirmed(rev, missing)
	}
	confirm(7)
	if at, exception := h.standing(8); at != 8 || exception != nil {
		t.Errorf("nothing is missing: at %d, exception %+v", at, exception)
	}
	late := absence{key: store.PortKey("h1", "alice", "default", "new"), created: 9}
	confirm(9, late)
	confirm(10, late)
	if at, exception := h.standing(12); at != 8 || exception != nil {
		t.Errorf("a new port is late: at %d, exception %+v; want 8 and none", at, exception)
	}
	if claim := h.disclaim(); len(claim.Missing) != 1 {
		t.Errorf("a new claim forgets the missing port: %+v", claim)
	}
	h.held = true
	h.missing[0].since = h.missing[0].since.Add(-2 * patience)
	if at, exception := h.standing(12); at != 12 || exception == nil || len(exception.Missing) != 1 {
		t.Errorf("it is missing for long: at %d, exception %+v", at, exception)
	}
}

func TestMarksPastTheBoundBecomeOneResync(t *testing.T) {
	h := newHost("h1")
	for n := range maxMarks + 1 {
		h.mark(flows.Slice(n), 5)
	}
	taken := h.take()
	if !taken.all || taken.slices != nil {
		t.Errorf("%d marks are still %d slices", maxMarks+1, len(taken.slices))
	}
}

func TestPutBackKeepsWhatWasMarkedMeanwhile(t *testing.T) {
	h := newHost("h1")
	h.mark(flows.Slice(1), 5)
	h.take()
	h.mark(flows.Slice(2), 6)
	h.putBack()
	taken := h.take()
	if len(taken.slices) != 2 || taken.from != 5 {
		t.Errorf("got %d slices from revision %d, want 2 from 5", len(taken.slices), taken.from)
	}
}

// What the switch refused explains that it lacks just that, whatever was to be done with it.
func TestRefusedIsNoDrift(t *testing.T) {
	flow := func(slice, register uint64) openflow.Flow {
		return openflow.Flow{Cookie: slice, Match: openflow.NewMatch(openflow.Is(openflow.FieldReg0, register))}
	}
	h := newHost("h1")
	problem := []store.Problem{{Object: "port alice/default/a1"}}
	h.setTrouble(1, trouble{problems: problem, refused: []openflow.Flow{flow(1, 1), flow(1, 2)}})
	h.setTrouble(2, trouble{problems: problem, unserved: []store.Key{store.HostKey("h1")}})
	list := []openflow.Flow{flow(1, 1), flow(1, 3), flow(2, 1)}
	mods := h.unexplained(flows.Mods{Add: list, Replace: list, Modify: list, Delete: list})
	for _, k := range kinds(&mods) {
		if !slices.EqualFunc(*k.flows, list[1:], func(f, g openflow.Flow) bool { return f.Equal(&g) }) {
			t.Errorf("to %s would be drift: %v", k.label, *k.flows)
		}
	}
}
