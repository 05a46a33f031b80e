package host

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// trouble is one that has this text, and leaves out the ports that need these keys.
func trouble(text string, unserved ...store.Key) Trouble {
	t := Trouble{Problems: []store.Problem{{Object: "tenant alice", Text: text}}}
	for _, key := range unserved {
		t.Unserved = append(t.Unserved, store.LeftOut(key, "%s", text))
	}
	return t
}

// leftOut is what an exception says of an object that ports need.
func leftOut(key store.Key, text string) store.Problem {
	return store.Problem{Object: key.Short(), Text: text, LeavesOut: store.LeavesOutPorts}
}

// Of the slices that were programmed the troubles are replaced, all others stay.
func TestTroublesFollowTheOutcome(t *testing.T) {
	h := whole()
	texts := func() (list []string) {
		for _, p := range h.Problems() {
			list = append(list, p.Text)
		}
		return list
	}
	expect := func(step string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, texts()); diff != "" {
			t.Errorf("%s: problems (-want +got):\n%s", step, diff)
		}
	}
	outcome := func(sl []flows.Slice, troubles map[flows.Slice]Trouble) Outcome {
		return Outcome{Revision: 6, Slices: sl, Troubles: troubles, Tables: map[uint8]int{1: 3}}
	}
	h.Confirm(outcome([]flows.Slice{1, 2}, map[flows.Slice]Trouble{1: trouble("one"), 2: trouble("two")}))
	expect("two slices", "one", "two")
	h.Confirm(outcome([]flows.Slice{2, 3}, map[flows.Slice]Trouble{3: trouble("three")}))
	expect("one is well, another is not", "one", "three")
	h.Grow(1, 4)
	h.Grow(2, 1)
	if h.Flows() != 5 {
		t.Errorf("it holds %d flows, want 5", h.Flows())
	}
	h.Audited(outcome(nil, map[flows.Slice]Trouble{7: trouble("seven")}))
	expect("all were compared", "seven")
	if got := h.Tables(); len(got) != 1 || got[1] != 3 {
		t.Errorf("flows by table are %v, want three in table 1", got)
	}
}

// What is not programmed whole makes its host an exception, and each object is told once.
func TestUnservedObjectsAreTold(t *testing.T) {
	h := whole()
	h.Audited(Outcome{Troubles: map[flows.Slice]Trouble{1: trouble("for people only")}})
	if _, exception := h.Standing(5); exception != nil {
		t.Errorf("a problem that keeps nothing from being programmed makes it an exception: %+v", exception)
	}
	bob, alice := store.TenantKey("bob"), store.TenantKey("alice")
	h.Audited(Outcome{Troubles: map[flows.Slice]Trouble{1: trouble("one", bob)}})
	if _, exception := h.Standing(5); exception == nil || exception.State != store.HostRefused {
		t.Errorf("one tenant is not programmed whole: %+v", exception)
	}
	h.Audited(Outcome{Troubles: map[flows.Slice]Trouble{2: trouble("second", bob, alice), 1: trouble("first", bob)}})
	_, exception := h.Standing(5)
	want := store.Problems{leftOut(alice, "second"), leftOut(bob, "first")}
	if exception == nil || exception.State != store.HostRefused || !slices.Equal(exception.Problems, want) {
		t.Errorf("the exception is %+v, want problems %v", exception, want)
	}
	gateway := store.Problem{Key: bob, Object: bob.Short(), Text: "no kernel", LeavesOut: store.LeavesOutGateway}
	h.Audited(Outcome{Troubles: map[flows.Slice]Trouble{1: {Unserved: []store.Problem{gateway}}, 2: trouble("second", bob)}})
	want = store.Problems{{Object: "tenants/bob", Text: "no kernel", LeavesOut: store.LeavesOutGateway}, leftOut(bob, "second")}
	if _, exception := h.Standing(5); exception == nil || !slices.Equal(exception.Problems, want) {
		t.Errorf("the exception is %+v, want who is left out by both, %v", exception, want)
	}
	h.Audited(Outcome{Troubles: map[flows.Slice]Trouble{2: {Refused: []openflow.Flow{{}}}}})
	if _, exception := h.Standing(5); exception == nil || exception.State != store.HostRefused {
		t.Errorf("a flow was refused: %+v", exception)
	}
}

// A host that reaches no other says so before it speaks of single ports, but not before it is
// whole; a port without a network is told whatever is wrong with slices.
func TestUnreachableHost(t *testing.T) {
	h := whole()
	apart := trouble("no tunnel", store.HostKey("h1"))
	apart.Unreachable = true
	lost := store.PortKey("h1", "alice", "default", "lost")
	orphan := store.LeftOut(lost, "no network")
	confirm := func(o Outcome) store.HostState {
		h.MarkAll(5)
		h.Take()
		h.Confirm(o)
		if _, exception := h.Standing(5); exception != nil {
			return exception.State
		}
		return store.HostRealized
	}
	for _, step := range []struct {
		what string
		o    Outcome
		want store.HostState
	}{
		{"nothing", Outcome{Revision: 5}, store.HostRealized},
		{"a port without a network", Outcome{Revision: 5, Orphans: []store.Problem{orphan}}, store.HostRefused},
		{"no tunnel", Outcome{Revision: 5, Troubles: map[flows.Slice]Trouble{1: apart}}, store.HostUnreachable},
		{"no tunnel, and a missing port", Outcome{Revision: 5, Troubles: map[flows.Slice]Trouble{1: apart}, Missing: []Absence{{Key: lost}}}, store.HostUnreachable},
		{"all of it", Outcome{Revision: 5, Troubles: map[flows.Slice]Trouble{1: apart}, Orphans: []store.Problem{orphan}}, store.HostUnreachable},
	} {
		if got := confirm(step.o); got != step.want {
			t.Errorf("%s: it is %s, want %s", step.what, got, step.want)
		}
	}
	want := store.Problems{leftOut(store.HostKey("h1"), "no tunnel"), leftOut(lost, "no network")}
	if _, exception := h.Standing(5); !slices.Equal(exception.Problems, want) {
		t.Errorf("the exception tells %v, want %v", exception.Problems, want)
	}
	if got := h.Problems(); len(got) != 2 {
		t.Errorf("people are told %v", got)
	}
	h.Disconnect()
	if _, exception := h.Standing(5); exception.State != store.HostDown {
		t.Errorf("without its switch it is %s", exception.State)
	}
}

// What the switch refused explains that it lacks just that, whatever was to be done with it.
func TestRefusedIsNoDrift(t *testing.T) {
	flow := func(slice, register uint64) openflow.Flow {
		return openflow.Flow{Cookie: slice, Match: openflow.NewMatch(openflow.Is(openflow.FieldReg0, register))}
	}
	h := New("h1")
	first := trouble("refused")
	first.Refused = []openflow.Flow{flow(1, 1), flow(1, 2)}
	h.Audited(Outcome{Troubles: map[flows.Slice]Trouble{1: first, 2: trouble("unserved", store.HostKey("h1"))}})
	list := []openflow.Flow{flow(1, 1), flow(1, 3), flow(2, 1)}
	mods := h.Unexplained(flows.Mods{Add: list, Replace: list, Modify: list, Delete: list})
	for what, got := range map[string][]openflow.Flow{"add": mods.Add, "replace": mods.Replace, "modify": mods.Modify, "delete": mods.Delete} {
		if !slices.EqualFunc(got, list[1:], func(f, g openflow.Flow) bool { return f.Equal(&g) }) {
			t.Errorf("to %s would be drift: %v", what, got)
		}
	}
	if first := flow(1, 1); !list[0].Equal(&first) {
		t.Error("the caller's list was changed")
	}
}

func TestDriftAddsUp(t *testing.T) {
	h := New("h1")
	one := []openflow.Flow{{}}
	before := time.Now().Add(-time.Second)
	h.Drifted(flows.Mods{Add: one, Replace: one, Modify: one, Delete: one})
	h.Drifted(flows.Mods{Delete: one})
	got := h.drift
	if got.Last.Before(before) {
		t.Errorf("the last drift was at %v", got.Last)
	}
	if got.Last = (time.Time{}); got != (Drift{Missing: 1, Extra: 2, Changed: 2}) {
		t.Errorf("drift is %+v", got)
	}
}
