package host

import (
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/controller/cluster"
	"sluice/controller/signal"
	"sluice/flows"
	"sluice/metrics"
	"sluice/store"
)

// Fleet is every registered host. It is safe for concurrent use.
type Fleet struct {
	controller string // whose fleet it is
	metrics    *metrics.Set
	changed    signal.Broadcast

	mu     sync.RWMutex
	hosts  map[string]*Host
	sorted []*Host // by name; replaced and never changed, since walks go on without the lock
}

// NewFleet is the fleet of the controller of that name.
func NewFleet(controller string, m *metrics.Set) *Fleet {
	return &Fleet{controller: controller, metrics: m, hosts: map[string]*Host{}}
}

// Observe takes hosts in and out, marks the slices that the changes touched, and wakes who waits
// for a host's mastership. It is an observer of the picture.
func (f *Fleet) Observe(u cluster.Update) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed, controllers := false, false
	for _, change := range u.Changes {
		switch change.Key.Kind {
		case store.KindHost:
			f.sync(change.Key.Host, u.State)
			changed = true
		case store.KindMaster:
			// What a change costs must not grow with the cluster: a claim wakes its host's session alone.
			if h := f.hosts[change.Key.Host]; h != nil {
				h.sawClaim(generation(u.State, h.Name))
				h.Mastership.Send()
			}
		case store.KindLiveController:
			controllers = true
		}
	}
	f.mark(u)
	if controllers {
		f.wakeMasterships()
	}
	if changed {
		f.changed.Send()
	}
}

// sync makes a host that is registered, and forgets one that is not.
func (f *Fleet) sync(name string, s *store.State) {
	h, registered := f.hosts[name], s.Host(name) != nil
	switch {
	case registered && h == nil:
		h = New(name)
		h.sawClaim(generation(s, name))
		f.hosts[name] = h
		f.sorted = slices.Insert(slices.Clone(f.sorted), f.place(name), h)
	case !registered && h != nil:
		delete(f.hosts, name)
		at := f.place(name)
		f.sorted = slices.Delete(slices.Clone(f.sorted), at, at+1)
		f.metrics.RemoveHost(name)
	}
}

// generation is that of the claim to a host; 0: there is none.
func generation(s *store.State, host string) uint64 {
	if m := s.Master(host); m != nil {
		return m.Value.Generation
	}
	return 0
}

// place is where a host of that name stands among the sorted ones, or would.
func (f *Fleet) place(name string) int {
	at, _ := slices.BinarySearchFunc(f.sorted, name, func(h *Host, name string) int { return strings.Compare(h.Name, name) })
	return at
}

// mark marks the slices that the changes touched and wakes their hosts.
func (f *Fleet) mark(u cluster.Update) {
	marked := map[*Host]struct{}{}
	mark := func(name string, slice flows.Slice) {
		if h := f.hosts[name]; h != nil {
			h.Mark(slice, u.From)
			marked[h] = struct{}{}
		}
	}
	flows.Affected(u.State, u.Changes, mark)
	for h := range marked {
		h.WakeIfMarked()
	}
}

// WakeMasterships makes every session look again whether it is to be its switch's master.
func (f *Fleet) WakeMasterships() {
	f.mu.RLock()
	defer f.mu.RUnlock()
	f.wakeMasterships()
}

func (f *Fleet) wakeMasterships() {
	for _, h := range f.hosts {
		h.Mastership.Send()
	}
}

// Changed is closed when a host comes, goes or changes after the call.
func (f *Fleet) Changed() <-chan struct{} { return f.changed.Wait() }

// Get is the registered host of that name, or nil.
func (f *Fleet) Get(name string) *Host {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.hosts[name]
}

// Has reports whether that very host is registered still.
func (f *Fleet) Has(h *Host) bool { return f.Get(h.Name) == h }

// All walks the hosts, sorted by name, as they are when the walk begins.
func (f *Fleet) All() iter.Seq[*Host] {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return slices.Values(f.sorted)
}

// Mastered walks the hosts that this controller programs, sorted by name.
func (f *Fleet) Mastered(s *store.State) iter.Seq[*Host] {
	return func(yield func(*Host) bool) {
		for h := range f.All() {
			if cluster.IsMaster(s, f.controller, h.Name) && !yield(h) {
				return
			}
		}
	}
}

// Problems are those of the hosts that no other controller programs.
func (f *Fleet) Problems(s *store.State) (list store.Problems) {
	for h := range f.All() {
		if !cluster.IsAnothers(s, f.controller, h.Name) {
			list = append(list, h.Problems()...)
		}
	}
	return list
}

// A host's own series begin when it is first mastered, and end with it.

// BeginSeries makes the host's series, at 0.
func (f *Fleet) BeginSeries(h *Host) {
	f.ifRegistered(h, func() { f.metrics.AddHost(h.Name) })
}

// Count adds to the host's series that has the further labels.
func (f *Fleet) Count(h *Host, series *prometheus.CounterVec, n int, labels ...string) {
	f.ifRegistered(h, func() {
		series.WithLabelValues(append([]string{h.Name}, labels...)...).Add(float64(n))
	})
}

// ifRegistered calls do unless the host was deleted: a session that is about to end must not
// begin series that nobody would end.
func (f *Fleet) ifRegistered(h *Host, do func()) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.hosts[h.Name] == h {
		do()
	}
}
