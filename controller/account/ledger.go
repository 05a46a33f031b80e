// Package account keeps what tenants' traffic and refusals came to: sums that never go back,
// whatever becomes of the flows that count them and of the controllers that read them.
//
// In the loop it stands beside the programming: a session hands it the counters of its switch's
// accounting flows, and the last word of each that is removed; it writes checkpoints to etcd,
// from which the host's next master goes on, and which the leader adds up for its metrics.
//
// It must never read a switch itself, nor count a flow that package flows does not name as an
// accounting one.
package account

import (
	"cmp"
	"crypto/rand"
	"slices"
	"sync"
	"time"

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
	age        time.Duration // of the flow, as read with last
	fell       bool          // a read found another flow than last: it was replaced, or will be told to be gone
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
	name   string                // a random one, by which it knows its own checkpoints
	saved  *store.StatusCounters // the checkpoint as it was last written or read; nil: not read yet
	dirty  bool                  // the sums differ from it
	urgent bool                  // and by what no switch can tell again
}

// NewLedger is one without sums. Nothing is saved of it before Load.
func NewLedger() *Ledger { return &Ledger{sums: map[flows.Class]*account{}, name: rand.Text()} }

// Counts reports whether a flow is an accounting one.
func Counts(f openflow.Flow) bool {
	_, ok := flows.Account(&f)
	return ok
}

// Read takes an installed flow's counters; those of other than accounting flows are passed over.
func (l *Ledger) Read(f *openflow.FlowStats) {
	if class, ok := flows.Account(&f.Flow); ok {
		l.count(class, Sum{f.Packets, f.Bytes}, time.Duration(f.Seconds)*time.Second+time.Duration(f.Nanoseconds))
	}
}

// Count takes what counts of one class say together, such as those of a tenant's meters.
func (l *Ledger) Count(class flows.Class, now Sum) { l.count(class, now, 0) }

// count tells a flow that was replaced by its age too: one that carries much has counted more than
// the former at its first reading.
func (l *Ledger) count(class flows.Class, now Sum, age time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.at(class)
	fell := now.Packets < at.last.Packets || now.Bytes < at.last.Bytes || age < at.age
	if fell && !at.fell {
		at.fell = true // the word that the former flow is gone may be on its way: wait for it
		return
	}
	if at.fell { // no word came
		at.base.Add(at.last)
		at.fell = false
	}
	l.dirty = l.dirty || at.last != now
	at.last, at.age = now, age
}

// Retire keeps what one of the counts of a class said that begins at 0 again.
func (l *Ledger) Retire(class flows.Class, said Sum) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.at(class)
	said = Sum{min(said.Packets, at.last.Packets), min(said.Bytes, at.last.Bytes)}
	at.base.Add(said)
	at.last = Sum{at.last.Packets - said.Packets, at.last.Bytes - said.Bytes}
	l.dirty = true
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
	at.last, at.age, at.fell = Sum{}, 0, false
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

// Load starts from a checkpoint, unless these sums went on from it; nil: there is none. They went on
// from all that this ledger wrote, also where nobody told it that the writing succeeded.
func (l *Ledger) Load(saved *store.StatusCounters) {
	l.loadOf(saved, func(uint32) bool { return true })
}

// loadOf is Load of the sums of some tenants: those of others are forgotten.
func (l *Ledger) loadOf(saved *store.StatusCounters, counts func(tenant uint32) bool) {
	if saved == nil {
		saved = &store.StatusCounters{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.saved != nil && (saved.Ledger == l.name || slices.Equal(l.saved.Counters, saved.Counters)) {
		return
	}
	l.sums, l.saved, l.dirty, l.urgent = map[flows.Class]*account{}, saved, false, false
	for _, c := range saved.Counters {
		if !counts(c.Tenant) {
			l.dirty = true
			continue
		}
		at := l.at(classOf(c))
		at.base, at.last = Sum{c.Packets, c.Bytes}, Sum{c.LastPackets, c.LastBytes}
	}
}

// Forget forgets the sums of a tenant that is gone: its number goes to others.
func (l *Ledger) Forget(tenant uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, class := range flows.Classes(tenant) {
		if l.sums[class] != nil {
			delete(l.sums, class)
			l.dirty = true
		}
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
		addTo(totals, class, sum)
	}
}

// addTo adds a sum to what is shown of its class: a port's meter drops what its tenant sends.
func addTo(totals map[flows.Class]Sum, class flows.Class, sum Sum) {
	if class.Reason != "" {
		class.Scope = ""
	}
	t := totals[class]
	t.Add(sum)
	totals[class] = t
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
	saved := &store.StatusCounters{Ledger: l.name}
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
