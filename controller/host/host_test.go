package host

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/flows"
	"sluice/store"
)

// whole is a host whose switch is connected and was programmed whole at revision 5.
func whole(missing ...Absence) *Host {
	h := New("h1")
	h.Connect()
	h.MarkAll(5)
	h.Take()
	h.Confirm(Outcome{Revision: 5, Missing: missing, Troubles: map[flows.Slice]Trouble{}, Tables: map[uint8]int{}})
	return h
}

// confirm marks, takes and confirms one slice at a revision.
func (h *Host) confirm(rev store.Revision, missing ...Absence) {
	h.Mark(1, rev)
	h.Take()
	h.Confirm(Outcome{Revision: rev, Slices: []flows.Slice{1}, Missing: missing})
}

// A host vouches for what it was never asked to change, and for nothing that is marked.
func TestHostAt(t *testing.T) {
	h := New("h1")
	slice := func(sl flows.Slice, rev store.Revision) { h.Mark(sl, rev) }
	confirm := func(rev store.Revision) { h.Confirm(Outcome{Revision: rev, Slices: []flows.Slice{}}) }
	expect := func(step string, now, want store.Revision, lagging bool) {
		t.Helper()
		got, since := h.at(now)
		if got != want || !since.IsZero() != lagging {
			t.Errorf("%s: at(%d) = %d, lagging %v; want %d, %v", step, now, got, !since.IsZero(), want, lagging)
		}
	}
	expect("before the first resync", 10, 0, false)
	h.MarkAll(10)
	h.Take()
	expect("during the first resync", 10, 0, false)
	confirm(10)
	expect("after it", 10, 10, false)
	expect("untouched by later revisions", 15, 15, false)

	slice(1, 16)
	expect("marked", 20, 15, true)
	h.Take()
	slice(2, 18)
	expect("taken, and marked again", 20, 15, true)
	confirm(17)
	expect("first part confirmed", 20, 17, true)
	h.Take()
	h.PutBack()
	expect("could not be confirmed", 20, 17, true)
	h.Take()
	confirm(20)
	expect("all confirmed", 21, 21, false)
	h.Disconnect()
	expect("its session is over", 25, 20, false)
}

// What a session confirmed of slices alone does not make the switch whole.
func TestWholeAfterAResyncOnly(t *testing.T) {
	h := New("h1")
	h.Connect()
	h.confirm(5)
	if _, exception := h.Standing(5); exception == nil || exception.State != store.HostBehind {
		t.Errorf("a slice was confirmed: %+v", exception)
	}
	if rev, exception := whole().Standing(7); rev != 7 || exception != nil {
		t.Errorf("all was confirmed: at %d, %+v", rev, exception)
	}
}

// What is missing at a session's first look is not new, though it was made at that very revision.
func TestFirstLookWaitsForNobody(t *testing.T) {
	h := whole(Absence{Key: store.PortKey("h1", "alice", "default", "a1"), Created: 5})
	if at, exception := h.Standing(5); at != 5 || exception == nil || exception.State != store.HostMissing {
		t.Errorf("at %d, exception %+v; want 5, and a port missing", at, exception)
	}
}

// A new port whose interface is late holds the floor below its own revision; one that was
// there before, or is missing for longer, makes the host an exception at once.
func TestHostWithMissingPorts(t *testing.T) {
	h := whole(Absence{Key: store.PortKey("h1", "alice", "default", "old"), Created: 4})
	if at, exception := h.Standing(6); at != 6 || exception == nil || exception.State != store.HostMissing || len(exception.Missing) != 1 {
		t.Errorf("an old port is missing: at %d, exception %+v", at, exception)
	}
	h.confirm(7)
	if at, exception := h.Standing(8); at != 8 || exception != nil {
		t.Errorf("nothing is missing: at %d, exception %+v", at, exception)
	}
	late := Absence{Key: store.PortKey("h1", "alice", "default", "new"), Created: 9}
	h.confirm(9, late)
	h.confirm(10, late)
	if at, exception := h.Standing(12); at != 8 || exception != nil {
		t.Errorf("a new port is late: at %d, exception %+v; want 8 and none", at, exception)
	}
	h.missing[0].since = h.missing[0].since.Add(-2 * Patience)
	h.confirm(11, late)
	if at, exception := h.Standing(12); at != 12 || exception == nil || !slices.Equal(exception.Missing, []string{"ports/h1/alice/default/new"}) {
		t.Errorf("it is missing for long: at %d, exception %+v", at, exception)
	}
	again := Absence{Key: late.Key, Created: 13}
	h.confirm(13, again)
	if at, exception := h.Standing(14); at != 12 || exception != nil {
		t.Errorf("a port of the same name was made anew: at %d, exception %+v", at, exception)
	}
	if claim := h.Disclaim(); len(claim.Missing) != 1 || claim.State != store.HostBehind || claim.Realized != 13 {
		t.Errorf("a new claim tells %+v", claim)
	}
	if _, exception := h.Standing(14); exception == nil || exception.State != store.HostBehind {
		t.Errorf("a host that was claimed anew is vouched for: %+v", exception)
	}
}

// A host that lags becomes an exception when its patience is over, and at once when its switch goes.
func TestStandingOfAHostThatLags(t *testing.T) {
	h := whole()
	h.Mark(1, 6)
	if at, exception := h.Standing(6); at != 5 || exception != nil {
		t.Errorf("it was marked just now: at %d, %+v", at, exception)
	}
	h.marks.since = h.marks.since.Add(-2 * Patience)
	if at, exception := h.Standing(6); at != 5 || exception == nil || exception.State != store.HostBehind || exception.Realized != 5 {
		t.Errorf("it lags: at %d, %+v", at, exception)
	}
	h.Take()
	if _, exception := h.Standing(6); exception == nil {
		t.Error("what is under way does not lag")
	}
	h.Mark(1, 7)
	h.PutBack()
	if _, exception := h.Standing(7); exception == nil {
		t.Error("what was put back does not lag from its first mark on")
	}
	h.Disconnect()
	if at, exception := h.Standing(7); at != 5 || exception == nil || exception.State != store.HostDown {
		t.Errorf("its switch is gone: at %d, %+v", at, exception)
	}
}

// Half a second is what a host that lags, and a port that is late, are given.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lags, lacks := whole(), whole()
		lags.Mark(1, 6)
		lacks.confirm(6, Absence{Key: store.PortKey("h1", "alice", "default", "a1"), Created: 6})
		lacks.confirm(7, Absence{Key: store.PortKey("h1", "alice", "default", "a1"), Created: 6})
		exceptions := func() string {
			_, one := lags.Standing(7)
			_, two := lacks.Standing(7)
			return fmt.Sprint(one != nil, two != nil)
		}
		time.Sleep(500*time.Millisecond - 1)
		if got := exceptions(); got != "false false" {
			t.Errorf("just before, those that lag and lack are exceptions: %s", got)
		}
		time.Sleep(time.Nanosecond)
		if got := exceptions(); got != "false true" {
			t.Errorf("after half a second: %s", got)
		}
		time.Sleep(time.Nanosecond)
		if got := exceptions(); got != "true true" {
			t.Errorf("after more than that: %s", got)
		}
	})
}

func TestMarksPastTheBoundBecomeOneResync(t *testing.T) {
	h := New("h1")
	for n := range maxMarks {
		h.Mark(flows.Slice(n), 5)
	}
	if h.Extent() != Many {
		t.Errorf("%d marks are of extent %d", maxMarks, h.Extent())
	}
	h.Mark(flows.Slice(maxMarks), 6)
	if h.Extent() != All {
		t.Errorf("%d marks are of extent %d", maxMarks+1, h.Extent())
	}
	h.Mark(1, 7)
	if taken := h.Take(); !taken.All || taken.Slices != nil || taken.from != 5 {
		t.Errorf("%d marks became %d slices from revision %d", maxMarks+2, len(taken.Slices), taken.from)
	}
}

func TestExtent(t *testing.T) {
	h := New("h1")
	for n := range 256 {
		h.Mark(flows.Slice(n), 5)
	}
	if h.Extent() != Few {
		t.Errorf("256 marks are of extent %d", h.Extent())
	}
	h.Mark(256, 5)
	if h.Extent() != Many {
		t.Errorf("257 marks are of extent %d", h.Extent())
	}
}

func TestPutBackKeepsWhatWasMarkedMeanwhile(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after func(*Host)
		all           bool
		slices        int
	}{
		{"slices", func(h *Host) { h.Mark(1, 5) }, func(h *Host) { h.Mark(2, 6) }, false, 2},
		{"nothing meanwhile", func(h *Host) { h.Mark(1, 5) }, func(*Host) {}, false, 1},
		{"all, then a slice", func(h *Host) { h.MarkAll(5) }, func(h *Host) { h.Mark(2, 6) }, true, 0},
		{"a slice, then all", func(h *Host) { h.Mark(1, 5) }, func(h *Host) { h.MarkAll(6) }, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := New("h1")
			c.before(h)
			since := h.Take().since
			if h.Idle() {
				t.Error("what is under way counts as idle")
			}
			c.after(h)
			h.PutBack()
			taken := h.Take()
			if taken.All != c.all || len(taken.Slices) != c.slices || taken.from != 5 || !taken.since.Equal(since) {
				t.Errorf("got %+v, want all %v, %d slices, from revision 5 at %v", taken, c.all, c.slices, since)
			}
			h.Confirm(Outcome{Revision: 6, Slices: []flows.Slice{}})
			h.PutBack()
			if !h.Idle() {
				t.Error("what was confirmed came back")
			}
		})
	}
}

// A session is woken where it has something to do, and not where there is none.
func TestWakeIfMarked(t *testing.T) {
	woken := func(h *Host) bool {
		h.WakeIfMarked()
		select {
		case <-h.Wake:
			return true
		default:
			return false
		}
	}
	h := New("h1")
	h.Mark(1, 5)
	if woken(h) {
		t.Error("woken without a session")
	}
	h.Connect()
	if !woken(h) {
		t.Error("not woken though a slice is marked")
	}
	h.Take()
	if woken(h) {
		t.Error("woken though nothing is marked")
	}
}

func TestPortsAsToldByTheSwitch(t *testing.T) {
	h := New("h1")
	if h.PortsKnown() {
		t.Error("the ports of a switch that told none are known")
	}
	changed := func(ports map[string]uint32) []string {
		list := h.SetPorts(ports)
		slices.Sort(list)
		return list
	}
	if got := changed(map[string]uint32{"a": 1, "b": 2, "c": 3}); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("at first %v changed", got)
	}
	if got := changed(map[string]uint32{"a": 1, "b": 7, "d": 4}); !slices.Equal(got, []string{"b", "c", "d"}) {
		t.Errorf("then %v changed", got)
	}
	for _, step := range []struct {
		what string
		got  bool
		want bool
	}{
		{"a has the number that it had", h.PortIs("a", 1), false},
		{"a has another", h.PortIs("a", 8), true},
		{"e is new", h.PortIs("e", 5), true},
		{"a lost a number that it has no more", h.PortGone("a", 1), false},
		{"a is gone", h.PortGone("a", 8), true},
		{"a is gone again", h.PortGone("a", 8), false},
	} {
		if step.got != step.want {
			t.Errorf("%s: news %v", step.what, step.got)
		}
	}
	if !h.PortsKnown() {
		t.Error("the ports that a switch told are not known")
	}
	sw := h.Switch(store.NewState())
	if diff := cmp.Diff(map[string]uint32{"b": 7, "d": 4, "e": 5}, sw.OFPort); diff != "" || sw.Host != "h1" {
		t.Errorf("host %s, ports (-want +got):\n%s", sw.Host, diff)
	}
	sw.OFPort["b"] = 99
	if h.Switch(store.NewState()).OFPort["b"] != 7 {
		t.Error("who asked changed the host's own ports")
	}
	if fresh := New("h2"); !fresh.PortIs("x", 1) {
		t.Error("the first port of all is no news")
	}
}

// A host that is programmed by its last known state is an exception until a claim is confirmed,
// its controller gives it up, or its switch goes.
func TestLastKnownState(t *testing.T) {
	state := func(h *Host) store.HostState {
		if _, exception := h.Standing(5); exception != nil {
			return exception.State
		}
		return store.HostRealized
	}
	for _, c := range []struct {
		what string
		do   func(*Host)
		want store.HostState
	}{
		{"nothing", func(*Host) {}, store.HostLastKnown},
		{"it is compared whole", func(h *Host) { h.MarkAll(5); h.Take(); h.Confirm(Outcome{Revision: 5}) }, store.HostLastKnown},
		{"a claim is confirmed", func(h *Host) { h.Claimed(8) }, store.HostRealized},
		{"it is given up", func(h *Host) { h.GiveUp() }, store.HostRealized},
		{"its switch goes", func(h *Host) { h.Disconnect() }, store.HostDown},
	} {
		h := whole()
		h.GoOn()
		c.do(h)
		if got := state(h); got != c.want || h.GoesOn() != (c.want == store.HostLastKnown) {
			t.Errorf("%s: the host is %s, and goes on %v; want %s", c.what, got, h.GoesOn(), c.want)
		}
	}
	h := whole()
	h.GoOn()
	h.confirm(7)
	h.GoOn()
	if rev, exception := h.Standing(7); rev != 7 || exception.Realized != 5 {
		t.Errorf("it is realized at %d, and vouched for %+v; want 7 and 5", rev, exception)
	}
	h.Disconnect()
	h.Connect()
	if h.GoesOn() {
		t.Error("a new session begins with what an earlier one knew")
	}
}

// The latest generation is the highest that etcd showed or confirmed.
func TestGenerations(t *testing.T) {
	h := New("h1")
	for _, step := range []struct {
		do          func()
		own, latest uint64
	}{
		{func() {}, 0, 0},
		{func() { h.sawClaim(7) }, 0, 7},
		{func() { h.sawClaim(5) }, 0, 7},
		{func() { h.sawClaim(0) }, 0, 7},
		{func() { h.Claimed(8) }, 8, 8},
		{func() { h.sawClaim(7) }, 8, 8},
		{func() { h.sawClaim(9) }, 8, 9},
	} {
		step.do()
		if own, latest := h.Generations(); own != step.own || latest != step.latest {
			t.Errorf("own %d, latest %d; want %d, %d", own, latest, step.own, step.latest)
		}
	}
}
