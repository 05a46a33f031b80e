package host

import (
	"time"

	"sluice/flows"
	"sluice/store"
)

const (
	// maxMarks is how many slices may wait on a host before they become one resync.
	maxMarks = 4096
	// manyMarks is how many take as much memory as a resync, and wait for their turn as one.
	manyMarks = 256
)

// Marks are the slices of a host that may be out of date.
type Marks struct {
	All    bool                     // every slice: the switch is to be compared whole, a resync
	Slices map[flows.Slice]struct{} // nil where All
	from   store.Revision           // of the first mark: what came before it is not in doubt
	since  time.Time                // of the first mark
}

// Empty reports whether nothing is marked.
func (m *Marks) Empty() bool { return !m.All && len(m.Slices) == 0 }

// begin notes the revision and time of the first mark.
func (m *Marks) begin(rev store.Revision) {
	if m.Empty() {
		m.from, m.since = rev, time.Now()
	}
}

func (m *Marks) add(slice flows.Slice, rev store.Revision) {
	m.begin(rev)
	if m.All {
		return
	}
	if m.Slices == nil {
		m.Slices = map[flows.Slice]struct{}{}
	}
	m.Slices[slice] = struct{}{}
	if len(m.Slices) > maxMarks {
		m.All, m.Slices = true, nil
	}
}

func (m *Marks) addAll(rev store.Revision) {
	m.begin(rev)
	m.All, m.Slices = true, nil
}

// join adds older marks.
func (m *Marks) join(older Marks) {
	if m.Empty() {
		*m = older
		return
	}
	m.from, m.since = min(m.from, older.from), older.since
	if m.All = m.All || older.All; m.All {
		m.Slices = nil
		return
	}
	for slice := range older.Slices {
		m.Slices[slice] = struct{}{}
	}
}

// Extent is how much of a host is marked.
type Extent int

// The extents, the larger ones last.
const (
	Few  Extent = iota // or nothing
	Many               // so many slices that they wait for their turn
	All                // every flow is read, and waits for its turn too
)

func (m *Marks) extent() Extent {
	switch {
	case m.All:
		return All
	case len(m.Slices) > manyMarks:
		return Many
	}
	return Few
}
