package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/controller/report"
	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
	"sluice/store/etcd"
)

// These tests need no switch.

func put(key store.Key, o store.Object) store.Event { return store.Event{Key: key, Object: o} }

// show applies a batch to the session's picture.
func show(t *testing.T, s *session, rev store.Revision, events ...store.Event) {
	t.Helper()
	for i := range events {
		events[i].Created, events[i].Modified = rev, rev
	}
	if err := s.srv.Picture.Apply(store.Batch{Revision: rev, Events: events}); err != nil {
		t.Fatal(err)
	}
}

// Of two live controllers one is the first choice; the other comes where the host is neglected.
func TestMayMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := offline(t)
		lease := &etcd.Lease{}
		s.srv.Lease = func() *etcd.Lease { return lease }
		first, second := rendezvous([]string{"c1", "c2"}, "h1"), "c2"
		if first == second {
			second = "c1"
		}
		claim := func(by string) store.Event { return put(store.MasterKey("h1"), &store.Master{Controller: by}) }
		live := func(name string) store.Event {
			return put(store.LiveControllerKey(name), &store.LiveController{Incarnation: name})
		}
		step := func(what, controller string, want bool) {
			t.Helper()
			s.srv.Controller = controller
			if got := s.mayMaster(); got != want {
				t.Errorf("%s: %s may be the master: %v", what, controller, got)
			}
		}
		show(t, s, 1, live(first), live(second))
		step("nobody has it", first, true)
		step("nobody has it", second, false)
		time.Sleep(5*time.Second - 1)
		step("nobody has had it for a moment", second, false)
		time.Sleep(time.Nanosecond)
		step("nobody has had it for long", second, true)
		show(t, s, 2, claim(first))
		step("the first choice has it", first, true)
		step("the first choice has it", second, false)
		if !s.orphaned.IsZero() {
			t.Error("a host that has a master is orphaned")
		}
		show(t, s, 3, claim(second))
		step("the second choice has it", first, false)
		step("the second choice has it", second, true)
		show(t, s, 4, claim("c9"))
		step("one has it that is not live", first, true)
		step("one has it that is not live", second, false)
		if s.orphaned.IsZero() {
			t.Error("a host without a live master is not orphaned")
		}
		show(t, s, 5, put(store.LiveControllerKey(first), nil))
		step("the first choice is gone", second, true)
		lease = nil
		step("without a lease", second, false)
	})
}

// What the switch is expected to hold after a round is known only where it was before, or where
// every flow was compared.
func TestExpects(t *testing.T) {
	flow := func(n int) openflow.Flow {
		f, err := openflow.ParseFlow(fmt.Sprintf("table=0,priority=%d,cookie=0x1,actions=drop", n))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	printOf := func(numbers ...int) *flows.Fingerprint {
		var p flows.Fingerprint
		for _, n := range numbers {
			f := flow(n)
			_, wire := f.AppendWire(nil)
			p.Add(&wire)
		}
		return &p
	}
	for _, c := range []struct {
		name            string
		whole           bool
		before          *flows.Fingerprint
		installed, want []int // of the slice
		after           *flows.Fingerprint
	}{
		{"whole, right", true, nil, []int{1, 2}, []int{1, 2}, printOf(1, 2)},
		{"whole, wrong", true, printOf(7), []int{1, 3}, []int{1, 2}, printOf(1, 2)},
		{"a slice, right", false, printOf(1, 7), []int{1}, []int{1}, printOf(1, 7)},
		{"a slice, wrong", false, printOf(1, 7), []int{1}, []int{2, 3}, printOf(2, 3, 7)},
		{"a slice gone", false, printOf(1, 7), []int{1}, nil, printOf(7)},
		{"a slice of a switch that is not known", false, nil, []int{1}, []int{2}, nil},
	} {
		p := &plan{flows: flows.NewComparison(0)}
		if !c.whole {
			p.Slices = []flows.Slice{1}
		}
		for _, n := range c.want {
			p.flows.Want(flow(n))
		}
		for _, n := range c.installed {
			f := flow(n)
			_, wire := f.AppendWire(nil)
			if err := p.flows.Have(&wire); err != nil {
				t.Fatal(err)
			}
		}
		mods, err := p.flows.Mods()
		if err != nil {
			t.Fatal(err)
		}
		after := p.expects(c.before, mods)
		if (after == nil) != (c.after == nil) || after != nil && *after != *c.after {
			t.Errorf("%s: expects %+v, want %+v", c.name, after, c.after)
		}
	}
	whole, theirs := &plan{flows: flows.NewComparison(0)}, flows.Fingerprint{}
	f, err := openflow.ParseFlow("table=0,priority=1,in_port=3,metadata=0x5,actions=drop")
	if err != nil {
		t.Fatal(err)
	}
	whole.flows.Want(f)
	_, wire := f.AppendWire(nil)
	const head, inPort = 4, 4 + 8 // bytes: metadata before the port
	wire.Match = slices.Concat(wire.Match[:head], wire.Match[inPort:], wire.Match[head:inPort])
	theirs.Add(&wire)
	if err := whole.flows.Have(&wire); err != nil {
		t.Fatal(err)
	}
	mods, err := whole.flows.Mods()
	after := whole.expects(nil, mods)
	if _, ours := whole.flows.Fingerprints(); ours == theirs {
		t.Fatal("the other bytes are the same")
	}
	if err != nil || mods.Len() > 0 || *after != theirs {
		t.Errorf("of a flow in other bytes: %v, %d mods, expects %+v, want %+v", err, mods.Len(), after, theirs)
	}
	if got := (&plan{}).cookies(); len(got) != 0 {
		t.Errorf("a plan of no slices has cookies %v", got)
	}
	p := &plan{}
	p.Slices = []flows.Slice{3, 5}
	if diff := cmp.Diff([]uint64{3, 5}, p.cookies()); diff != "" {
		t.Errorf("cookies (-want +got):\n%s", diff)
	}
}

// What goes makes room for what comes, and a bundle keeps that order.
func TestBundleOrder(t *testing.T) {
	one := func(priority uint16) []openflow.Flow { return []openflow.Flow{{Priority: priority}} }
	mods := flows.Mods{Add: one(1), Replace: one(2), Modify: one(3), Delete: one(4)}
	var got []string
	for _, m := range bundleOf(mods).Mods {
		got = append(got, fmt.Sprint(m.Command, " ", m.Flow.Priority))
	}
	want := []string{
		fmt.Sprint(openflow.DeleteStrict, " 4"), fmt.Sprint(openflow.ModifyStrict, " 3"),
		fmt.Sprint(openflow.Add, " 2"), fmt.Sprint(openflow.Add, " 1"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the bundle (-want +got):\n%s", diff)
	}
	growth := map[string]int{}
	for _, step := range steps(&mods) {
		growth[step.label] += step.growth
	}
	if want := map[string]int{"delete": -1, "modify": 0, "add": 1}; !cmp.Equal(want, growth) {
		t.Errorf("a table grows by %v, want %v", growth, want)
	}
}

// Ports that come, go and are renumbered are news once.
func TestLearn(t *testing.T) {
	s := offline(t)
	event := func(reason openflow.PortReason, name string, number uint32) datapath.PortEvent {
		return datapath.PortEvent{Reason: reason, Port: openflow.Port{Name: name, Number: number}}
	}
	for _, step := range []struct {
		event datapath.PortEvent
		news  bool
	}{
		{event(datapath.PortAdded, "a", 1), true},
		{event(datapath.PortModified, "a", 1), false},
		{event(datapath.PortModified, "a", 2), true},
		{event(datapath.PortDeleted, "a", 1), false},
		{event(datapath.PortDeleted, "a", 2), true},
		{event(datapath.PortDeleted, "a", 2), false},
	} {
		if got := s.learn(step.event); got != step.news {
			t.Errorf("%+v is news: %v", step.event, got)
		}
	}
	show(t, s, 3)
	s.host.Connect()
	if err := s.handle(t.Context(), event(datapath.PortAdded, store.TunnelInterface, 9)); err != nil || len(s.host.Wake) != 1 {
		t.Errorf("the tunnel's port wakes nobody: %v", err)
	}
}

// Where a switch stands in an interval follows from its name alone.
func TestSpreadIsWithinTheInterval(t *testing.T) {
	var least, most time.Duration = time.Hour, 0
	for n := range 5000 {
		at := spread(fmt.Sprint("h", n), 1000*time.Second)
		if at%time.Second != 0 {
			t.Fatalf("h%d stands at %v", n, at)
		}
		least, most = min(least, at), max(most, at)
	}
	if least != 0 || most != 999*time.Second {
		t.Errorf("hosts stand from %v to %v of 1000 s", least, most)
	}
}

// The picture lags behind etcd by ten seconds at most.
func TestAwaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := offline(t)
		began := time.Now()
		err := s.await(t.Context(), 9)
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != 10*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// A turn ends after five seconds, whatever becomes of who has it.
func TestTurnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := New(Options{Resyncs: 2})
		one, two := srv.turns.try(), srv.turns.try()
		if one == nil || two == nil || srv.turns.try() != nil {
			t.Fatal("not just two have their turn at one time")
		}
		time.Sleep(5*time.Second - 1)
		synctest.Wait()
		if srv.turns.try() != nil {
			t.Error("a turn ended early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		ended := 0
		for srv.turns.try() != nil {
			ended++
		}
		if ended != 2 {
			t.Errorf("%d turns ended, want the two that were not given back", ended)
		}
		time.Sleep(5 * time.Second)
	})
}

// A switch is unknown as often as it dialled in.
func TestCountUnknown(t *testing.T) {
	s := offline(t)
	s.srv.Reports = report.New(report.Options{})
	for _, step := range []struct {
		id    store.DatapathID
		by    int
		shows string
		want  []store.DatapathID
		told  map[store.DatapathID]string
	}{
		{7, 1, "h1's", []store.DatapathID{7}, map[store.DatapathID]string{7: "h1's"}},
		{5, 1, "", []store.DatapathID{5, 7}, map[store.DatapathID]string{7: "h1's"}},
		{7, 1, "h2's", []store.DatapathID{5, 7}, map[store.DatapathID]string{7: "h2's"}},
		{7, -1, "", []store.DatapathID{5, 7}, map[store.DatapathID]string{7: "h2's"}},
		{7, -1, "", []store.DatapathID{5}, nil}, {5, -1, "", nil, nil},
	} {
		s.srv.countUnknown(step.id, step.by, step.shows)
		u := s.srv.Unknown()
		list, more := u.Unknown, u.UnknownMore
		if diff := cmp.Diff(step.told, u.UnknownShows); diff != "" {
			t.Errorf("after %d of %d they show (-want +got):\n%s", step.by, step.id, diff)
		}
		if diff := cmp.Diff(step.want, list); diff != "" || more != 0 {
			t.Errorf("after %d of %d, and %d more (-want +got):\n%s", step.by, step.id, more, diff)
		}
	}
}

// Of many the first twenty are listed, and when one of these leaves, the next.
func TestUnknownIsBounded(t *testing.T) {
	s := offline(t)
	s.srv.Reports = report.New(report.Options{})
	const many = 1000
	told := 0
	for n := range store.DatapathID(many) {
		if s.srv.countUnknown(many-n, 1, "the certificate of host:h2") { // the last come first in the order of ids
			told++
		}
	}
	expect := func(first, last store.DatapathID, wantMore int) {
		t.Helper()
		u := s.srv.Unknown()
		list, more := u.Unknown, u.UnknownMore
		if len(list) != 20 || list[0] != first || list[19] != last || more != wantMore {
			t.Errorf("listed are %v and %d more; want 20 from %d to %d, and %d more", list, more, first, last, wantMore)
		}
	}
	expect(981, 1000, 980)
	if told != 20 {
		t.Errorf("%d were told to be listed", told)
	}
	s.srv.countUnknown(990, 1, "")
	s.srv.countUnknown(990, -1, "")
	expect(981, 1000, 980)
	s.srv.countUnknown(990, -1, "")
	s.srv.countUnknown(990, 1, "") // it comes last now
	expect(980, 1000, 980)
	value, err := store.Encode(&store.StatusController{UnknownSwitches: s.srv.Unknown()})
	if err != nil || len(value) > 2000 {
		t.Errorf("a thousand unknown switches make a status key of %d bytes, %v", len(value), err)
	}
}
