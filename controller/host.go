package controller

import (
	"sync"
	"time"

	"sluice/flows"
	"sluice/store"
)

// maxMarks is how many slices may wait on a host before they become one resync.
const maxMarks = 4096

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
	counts *accounts

	mu       sync.Mutex
	marks    marks
	taken    marks          // being programmed; empty otherwise
	held     bool           // the switch was programmed whole in this session
	realized store.Revision // what the switch confirmed last
	session  *session       // nil: its switch is not connected
	missing  []store.Key
	problems map[flows.Slice][]store.Problem
	tables   map[uint8]int // flows by table
}

func newHost(name string) *host {
	return &host{
		name:     name,
		wake:     make(chan struct{}, 1),
		counts:   newAccounts(),
		problems: map[flows.Slice][]store.Problem{},
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

// take hands out the marks; confirmed or putBack must follow.
func (h *host) take() marks {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken, h.marks = h.marks, marks{}
	return h.taken
}

// confirmed notes that the switch holds everything that was taken, as of rev.
func (h *host) confirmed(rev store.Revision, missing []store.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = h.held || h.taken.all
	h.taken = marks{}
	h.realized = max(h.realized, rev)
	h.missing = missing
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
		return now, time.Time{}
	default:
		return max(h.realized, pending.from-1), pending.since
	}
}

// setProblems replaces the problems of one slice.
func (h *host) setProblems(slice flows.Slice, problems []store.Problem) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(problems) == 0 {
		delete(h.problems, slice)
		return
	}
	h.problems[slice] = problems
}

// attach makes s the host's session and ends an older one: a switch that dials in twice
// has lost the first connection without our noticing.
func (h *host) attach(s *session) {
	h.mu.Lock()
	old := h.session
	h.session = s
	h.mu.Unlock()
	if old != nil {
		old.sw.Close(errReplaced)
	}
}

func (h *host) detach(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.session == s {
		h.session, h.held = nil, false
	}
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

// resetProblems replaces all problems and table counts, after a resync.
func (h *host) resetProblems(problems map[flows.Slice][]store.Problem, tables map[uint8]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.problems, h.tables = problems, tables
}

// idle tells whether nothing is marked or under way.
func (h *host) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.marks.empty() && h.taken.empty()
}
