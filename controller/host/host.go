package host

import (
	"sync"
	"time"

	"sluice/controller/account"
	"sluice/controller/signal"
	"sluice/flows"
	"sluice/store"
)

// Host is one host of the cluster. It is safe for concurrent use.
type Host struct {
	Name       string
	Wake       signal.Flag      // set while there are marks for a session to take
	Mastership signal.Broadcast // who programs the host, or may, may have changed
	Ledger     *account.Ledger  // what its accounting flows counted

	mu        sync.Mutex
	marks     Marks
	underWay  Marks     // taken by the session, and neither confirmed nor put back; empty otherwise
	connected bool      // its switch has a session
	gone      time.Time // since when it has none, where it has none
	whole     bool      // the switch was programmed whole in this session
	realized  store.Revision
	missing   []Absence
	orphans   []store.Problem
	troubles  map[flows.Slice]Trouble
	tables    map[uint8]int  // flows that the switch holds, by table
	rounds    uint64         // of programming, so far
	proof     Proof          // over what the switch held; zero: there was none
	findings  store.Problems // the first that it found
	drift     Drift
	ports     map[string]uint32 // interface name -> OpenFlow port, as the switch last told; nil: it never did
	own       uint64            // generation of this controller's last claim, as etcd confirmed it; 0: none
	latest    uint64            // the highest generation that etcd showed
	lastKnown bool              // programmed by its last known state
	vouched   store.Revision    // what was realized before it was; nobody vouches for more
}

// New is a host that was just registered.
func New(name string) *Host {
	return &Host{
		Name: name, Wake: signal.NewFlag(), Ledger: account.NewLedger(),
		troubles: map[flows.Slice]Trouble{}, tables: map[uint8]int{}, gone: time.Now(),
	}
}

// Mark notes that a slice may be out of date as of a revision.
func (h *Host) Mark(slice flows.Slice, rev store.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.marks.add(slice, rev)
}

// MarkAll asks for a resync.
func (h *Host) MarkAll(rev store.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.marks.addAll(rev)
}

// WakeIfMarked wakes the session where there is one and it has something to do.
func (h *Host) WakeIfMarked() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.marks.Empty() && h.connected {
		h.Wake.Set()
	}
}

// Extent is how much is marked.
func (h *Host) Extent() Extent {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.marks.extent()
}

// Idle reports whether nothing is marked or under way.
func (h *Host) Idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.marks.Empty() && h.underWay.Empty()
}

// Take hands out the marks; Confirm or PutBack must follow.
func (h *Host) Take() Marks {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.underWay, h.marks = h.marks, Marks{}
	h.rounds++
	return h.underWay
}

// PutBack returns marks that could not be confirmed.
func (h *Host) PutBack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.underWay.Empty() {
		h.marks.join(h.underWay)
	}
	h.underWay = Marks{}
}

// Outcome is what a round of programming came to, on the slices that were marked.
type Outcome struct {
	Revision store.Revision // of the state that was compiled
	Slices   []flows.Slice  // nil: all of them
	Tables   map[uint8]int  // flows by table, where Slices is nil
	Troubles map[flows.Slice]Trouble
	Missing  []Absence
	Orphans  []store.Problem // of ports that belong to no slice
}

// Confirm notes that the switch holds what was taken, but for its troubles.
func (h *Host) Confirm(o Outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.setTroubles(o)
	from := h.underWay.from
	if !h.whole {
		from = o.Revision + 1 // this session's first look: what is missing is not new
	}
	h.whole = h.whole || h.underWay.All
	h.underWay = Marks{}
	h.realized = max(h.realized, o.Revision)
	h.missing, h.orphans = awaited(h.missing, o.Missing, from), o.Orphans
}

// Audited notes what an audit found of a switch that was compared whole.
func (h *Host) Audited(o Outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.setTroubles(o)
}

// setTroubles replaces the troubles of the outcome's slices.
func (h *Host) setTroubles(o Outcome) {
	if o.Slices == nil {
		h.troubles, h.tables = o.Troubles, o.Tables
		return
	}
	for _, slice := range o.Slices {
		if t, has := o.Troubles[slice]; has {
			h.troubles[slice] = t
		} else {
			delete(h.troubles, slice)
		}
	}
}

// Grow adds to the number of flows of a table that the switch holds.
func (h *Host) Grow(table uint8, by int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tables[table] += by
}

// Flows is how many flows the switch holds, as it confirmed them.
func (h *Host) Flows() (n int) {
	for _, count := range h.Tables() {
		n += count
	}
	return n
}

// Tables is how many flows the switch holds, by table.
func (h *Host) Tables() map[uint8]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	tables := make(map[uint8]int, len(h.tables))
	for table, n := range h.tables {
		tables[table] = n
	}
	return tables
}

// Connect notes that the host's switch has a session.
func (h *Host) Connect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.connected = true
}

// Gone is how long the host's switch has had no session with this controller; 0: it has one.
func (h *Host) Gone() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.connected {
		return 0
	}
	return time.Since(h.gone)
}

// Disconnect notes that it has none any more.
func (h *Host) Disconnect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.connected, h.whole, h.lastKnown, h.gone = false, false, false, time.Now()
	h.proof, h.findings = Proof{At: h.proof.At, Whole: h.proof.Whole}, nil
}
