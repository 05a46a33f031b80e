package controller

import (
	"slices"
	"sync"
	"time"

	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

const (
	// maxMarks is how many slices may wait on a host before they become one resync.
	maxMarks = 4096
	// manyMarks is how many take as much memory as a resync, and wait for their turn as one.
	manyMarks = 256
)

// marks are the slices of a host that may be out of date. all stands for every one.
type marks struct {
	all    bool
	slices map[flows.Slice]struct{}
	from   store.Revision // of the first mark: what came before it is not in doubt
	since  time.Time      // of the first mark
}

func (m *marks) empty() bool { return !m.all && len(m.slices) == 0 }

// note adds one more mark, made at rev.
func (m *marks) note(rev store.Revision) {
	if m.empty() {
		m.from, m.since = rev, time.Now()
	}
}

// join adds older marks.
func (m *marks) join(older marks) {
	if m.empty() {
		*m = older
		return
	}
	m.from, m.since = min(m.from, older.from), older.since
	if m.all = m.all || older.all; m.all {
		m.slices = nil
		return
	}
	for slice := range older.slices {
		m.slices[slice] = struct{}{}
	}
}

// host is what the controller keeps of one host, whether its switch is connected or not.
type host struct {
	name   string
	wake   chan struct{} // holds one token while there are marks
	claims broadcast     // who masters it, or may, may have changed
	counts *accounts

	mu       sync.Mutex
	marks    marks
	taken    marks          // being programmed; empty otherwise
	held     bool           // the switch was programmed whole in this session
	realized store.Revision // what the switch confirmed last
	session  *session       // nil: its switch is not connected
	missing  []absence
	troubles map[flows.Slice]trouble
	tables   map[uint8]int // flows by table
	drift    Drift         // since this controller started
}

func newHost(name string) *host {
	return &host{
		name:     name,
		wake:     make(chan struct{}, 1),
		counts:   newAccounts(),
		troubles: map[flows.Slice]trouble{},
		tables:   map[uint8]int{},
	}
}

// mark says that a slice may be out of date as of rev.
func (h *host) mark(slice flows.Slice, rev store.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.marks.note(rev)
	if h.marks.all {
		return
	}
	if h.marks.slices == nil {
		h.marks.slices = map[flows.Slice]struct{}{}
	}
	h.marks.slices[slice] = struct{}{}
	if len(h.marks.slices) > maxMarks {
		h.marks.all, h.marks.slices = true, nil
	}
}

// markAll asks for a resync.
func (h *host) markAll(rev store.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.marks.note(rev)
	h.marks.all, h.marks.slices = true, nil
}

func (h *host) wakeIfMarked() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.marks.empty() && h.session != nil {
		h.wakeUp()
	}
}

func (h *host) wakeUp() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// extent is how much of a host is marked.
type extent int

const (
	markedFew  extent = iota // or nothing
	markedMany               // so many slices that they wait for their turn
	markedAll                // every flow is read, and waits for its turn too
)

func (h *host) extent() extent {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.marks.all:
		return markedAll
	case len(h.marks.slices) > manyMarks:
		return markedMany
	}
	return markedFew
}

// take hands out the marks; confirmed or putBack must follow.
func (h *host) take() marks {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken, h.marks = h.marks, marks{}
	return h.taken
}

// absence is a port whose interface the switch lacks. That of a port that was just made is
// only late, as a rule: the floor waits below its revision for a moment, instead of an
// exception that is written and taken back within one attach.
type absence struct {
	key     store.Key
	created store.Revision
	since   time.Time // zero: it is no new port
}

func (a absence) late() bool { return time.Since(a.since) < patience }

// awaited carries on since when ports are missing. One that was not missing before is new if
// it was made no earlier than from.
func awaited(before, missing []absence, from store.Revision) []absence {
	for i, a := range missing {
		known := slices.IndexFunc(before, func(b absence) bool { return b.key == a.key && b.created == a.created })
		switch {
		case known >= 0:
			missing[i].since = before[known].since
		case a.created >= from:
			missing[i].since = time.Now()
		}
	}
	return missing
}

// confirmed notes that the switch holds everything that was taken, as of rev.
func (h *host) confirmed(rev store.Revision, missing []absence) {
	h.mu.Lock()
	defer h.mu.Unlock()
	from := h.taken.from
	if !h.held {
		from = rev + 1 // this session's first look: what is missing now is not new
	}
	h.held = h.held || h.taken.all
	h.taken = marks{}
	h.realized = max(h.realized, rev)
	h.missing = awaited(h.missing, missing, from)
}

// putBack returns marks that could not be confirmed.
func (h *host) putBack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.taken.empty() {
		h.marks.join(h.taken)
	}
	h.taken = marks{}
}

// at says up to which revision the switch is right, given that the state is at now, and
// since when it is not right up to now (zero: it is). Before the first resync of a session
// it is what was confirmed last.
func (h *host) at(now store.Revision) (store.Revision, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	pending := h.marks
	if !h.taken.empty() {
		pending = h.taken
	}
	switch {
	case !h.held:
		return h.realized, time.Time{}
	case pending.empty():
		return h.belowLate(now), time.Time{}
	default:
		return h.belowLate(max(h.realized, pending.from-1)), pending.since
	}
}

// belowLate is rev, or the revision before the first port that is late.
func (h *host) belowLate(rev store.Revision) store.Revision {
	for _, a := range h.missing {
		if a.late() {
			rev = min(rev, a.created-1)
		}
	}
	return rev
}

// setTrouble replaces the trouble of one slice.
func (h *host) setTrouble(slice flows.Slice, t trouble) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(t.problems) == 0 {
		delete(h.troubles, slice)
		return
	}
	h.troubles[slice] = t
}

// attach makes s the host's session, unless it has one, which is returned.
func (h *host) attach(s *session) (older *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.session == nil {
		h.session = s
		return nil
	}
	return h.session
}

func (h *host) detach() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.session, h.held = nil, false
}

// forget ends the session of a host that was deleted.
func (h *host) forget() {
	h.mu.Lock()
	s := h.session
	h.mu.Unlock()
	if s != nil {
		s.sw.Close(errForgotten)
	}
}

func (h *host) current() *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.session
}

// resetTroubles replaces all troubles and table counts, after a resync.
func (h *host) resetTroubles(troubles map[flows.Slice]trouble, tables map[uint8]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.troubles, h.tables = troubles, tables
}

// idle tells whether nothing is marked or under way.
func (h *host) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.marks.empty() && h.taken.empty()
}

// unexplained are the mods that an audit found necessary, without those that the switch
// refused before: these are a known trouble and not drift.
func (h *host) unexplained(mods flows.Mods) flows.Mods {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range kinds(&mods) {
		*k.flows = slices.DeleteFunc(slices.Clone(*k.flows), h.refused)
	}
	return mods
}

// refused tells whether the switch refused a flow mod when that was last tried.
func (h *host) refused(f openflow.Flow) bool {
	return slices.ContainsFunc(h.troubles[flows.Slice(f.Cookie)].refused, func(g openflow.Flow) bool { return f.Equal(&g) })
}

// drifted notes what an audit found.
func (h *host) drifted(mods flows.Mods) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drift.Missing += len(mods.Add)
	h.drift.Extra += len(mods.Delete)
	h.drift.Changed += len(mods.Modify) + len(mods.Replace)
	h.drift.Last = time.Now().UTC()
}
