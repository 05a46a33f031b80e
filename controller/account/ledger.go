// Package account keeps what tenants' traffic and refusals came to: sums that never go back,
// whatever becomes of the flows that count them and of the controllers that read them.
//
// In the loop it stands beside the programming: a session hands it the counters of its switch's
// accounting flows, and the last word of each that is removed; it writes checkpoints to etcd,
// from which the host's next master goes on.
//
// It must never read a switch itself, nor count a flow that package flows does not name as an
// accounting one.
package account

import (
	"cmp"
	"slices"
	"sync"

	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// Sum is packets and bytes.
type Sum struct{ Packets, Bytes uint64 }

// Add adds another sum.
func (s *Sum) Add(t Sum) { s.Packets += t.Packets; s.Bytes += t.Bytes }

// account is what one accounting flow counted: base before the flow that is installed
// now, last as read from that flow.
type account struct {
	base, last Sum
	fell       bool // a read found less than last: the flow was replaced, or will be told to be gone
}

func (a *account) total() Sum {
	t := a.base
	t.Add(a.last)
	return t
}

// Ledger holds the sums of one host's switch. They never go back: a flow that was removed or
// replaced leaves what it had counted in base. It is safe for concurrent use.
type Ledger struct {
	mu     sync.Mutex
	sums   map[flows.Class]*account
	saved  *store.StatusCounters // the checkpoint as it was last written or read; nil: not read yet
	dirty  bool                  // the sums differ from it
	urgent bool                  // and by what no switch can tell again
}

// NewLedger is one without sums. Nothing is saved of it before Load.
func NewLedger() *Ledger { return &Ledger{sums: map[flows.Class]*account{}} }

// Counts reports whether a flow is an accounting one.
func Counts(f openflow.Flow) bool {
	_, ok := flows.Account(&f)
	return ok
}

// Read takes an installed flow's counters; those of other than accounting flows are passed over.
func (l *Ledger) Read(f *openflow.FlowStats) {
	class, ok := flows.Account(&f.Flow)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.at(class)
	now := Sum{f.Packets, f.Bytes}
	fell := now.Packets < at.last.Packets || now.Bytes < at.last.Bytes
	if fell && !at.fell {
		at.fell = true // the word that the former flow is gone may be on its way: wait for it
		return
	}
	if at.fell { // no word came
		at.base.Add(at.last)
		at.fell = false
	}
	l.dirty = l.dirty || at.last != now
	at.last = now
}

// Removed takes the last counters of a flow that is gone, and reports whether they matter.
func (l *Ledger) Removed(f *openflow.FlowStats) bool {
	class, ok := flows.Account(&f.Flow)
	if !ok {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.at(class)
	at.base.Add(Sum{f.Packets, f.Bytes})
	at.last, at.fell = Sum{}, false
	l.dirty, l.urgent = true, true
	return true
}

func (l *Ledger) at(class flows.Class) *account {
	at := l.sums[class]
	if at == nil {
		at = &account{}
		l.sums[class] = at
	}
	return at
}

// Load starts from a checkpoint, unless it is the one from which these sums went on; nil: there
// is none.
func (l *Ledger) Load(saved *store.StatusCounters) {
	if saved == nil {
		saved = &store.StatusCounters{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.saved != nil && slices.Equal(l.saved.Counters, saved.Counters) {
		return
	}
	l.sums, l.saved, l.dirty, l.urgent = map[flows.Class]*account{}, saved, false, false
	for _, c := range saved.Counters {
		at := l.at(classOf(c))
		at.base, at.last = Sum{c.Packets, c.Bytes}, Sum{c.LastPackets, c.LastBytes}
	}
}

// AddTo adds the sums to totals. What counted nothing is left out: most reasons of most tenants.
func (l *Ledger) AddTo(totals map[flows.Class]Sum) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for class, at := range l.sums {
		sum := at.total()
		if sum == (Sum{}) {
			continue
		}
		t := totals[class]
		t.Add(sum)
		totals[class] = t
	}
}

// Total is the sum of one class.
func (l *Ledger) Total(class flows.Class) Sum {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := l.sums[class]; at != nil {
		return at.total()
	}
	return Sum{}
}

// SavedTotal is the sum of one class in a checkpoint.
func SavedTotal(saved *store.StatusCounters, class flows.Class) (total Sum) {
	for _, c := range saved.Counters {
		if classOf(c) == class {
			total.Add(Sum{c.Packets + c.LastPackets, c.Bytes + c.LastBytes})
		}
	}
	return total
}

func classOf(c store.Counter) flows.Class {
	return flows.Class{Tenant: c.Tenant, Direction: c.Direction, Scope: c.Scope, Reason: c.Reason}
}

// save is the checkpoint to write, or nil if nothing moved. Sums of tenants that are gone
// are forgotten: their numbers will be given to others.
func (l *Ledger) save(exists func(tenant uint32) bool) *store.StatusCounters {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.dirty || l.saved == nil {
		return nil
	}
	saved := &store.StatusCounters{}
	for class, at := range l.sums {
		if !exists(class.Tenant) {
			delete(l.sums, class)
			continue
		}
		if at.total() == (Sum{}) {
			continue // most reasons of most tenants: not worth a key's bytes
		}
		saved.Counters = append(saved.Counters, store.Counter{
			Tenant: class.Tenant, Direction: class.Direction, Scope: class.Scope, Reason: class.Reason,
			Packets: at.base.Packets, Bytes: at.base.Bytes,
			LastPackets: at.last.Packets, LastBytes: at.last.Bytes,
		})
	}
	slices.SortFunc(saved.Counters, compareCounters)
	l.saved, l.dirty, l.urgent = saved, false, false
	return saved
}

func compareCounters(a, b store.Counter) int {
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Direction, b.Direction),
		cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Reason, b.Reason))
}

// unsaved notes that a checkpoint could not be written.
func (l *Ledger) unsaved() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dirty, l.urgent = true, true
}

func (l *Ledger) isDirty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dirty
}

func (l *Ledger) isUrgent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.urgent
}
