// Package traffic knows what each tenant sends and gets through its gateway host, on the average over minutes, and which
// gateways would move so that gateway hosts carry alike.
//
// In the loop it stands beside the programming: it reads the checkpoints that the masters of hosts write of their switches'
// counters, and asks package balance. The leader has gateways move by it, and the API shows it.
//
// It must never write anything, nor take a sum that went back for traffic that was taken back.
package traffic

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"sync"
	"time"

	"sluice/controller/cluster"
	"sluice/flows"
	"sluice/store"
	"sluice/store/etcd"
)

const (
	// Checkpoints are written every 10 s, so that who reads more often than leastInterval reads nothing new.
	leastInterval, mostInterval = 2 * time.Second, 15 * time.Second
	// readings is how often counters are read in the time of an average.
	readings = 8
	// readTime bounds one reading, where etcd is away.
	readTime = 5 * time.Second
)

// Store is what the meter needs of etcd.
type Store interface {
	Counters(ctx context.Context, after store.Revision) ([]store.Event, store.Revision, error)
	Reached(ctx context.Context) (map[string]etcd.Reach, error)
}

// Options are what a Meter stands on. All are required.
type Options struct {
	Picture *cluster.Picture
	Store   Store
	Log     *slog.Logger
}

// Meter averages what tenants send and get. It is safe for concurrent use.
type Meter struct {
	Options

	mu    sync.Mutex
	at    store.Revision // of what was read; 0: nothing was
	when  time.Time      // when
	began time.Time      // when it was first read
	hosts map[string]sums
	// bytes are those of tenants, by number, and span the seconds in which they came: both lose weight as they grow old,
	// so that one over the other is the average.
	bytes map[uint32]float64
	span  float64
}

// sums are the bytes of tenants on one host, by number, as its checkpoint last said, under the key that was created at a revision.
type sums struct {
	created store.Revision
	bytes   map[uint32]uint64
}

// New makes a meter that Keep has measure.
func New(o Options) *Meter {
	return &Meter{Options: o, hosts: map[string]sums{}, bytes: map[uint32]float64{}}
}

// Keep measures until ctx ends.
func (m *Meter) Keep(ctx context.Context) error {
	for {
		var window time.Duration
		m.Picture.View(func(s *store.State) { window = s.Balance().WindowTime() })
		if err := m.read(ctx, window); err != nil && ctx.Err() == nil {
			m.Log.Warn("cannot read what tenants send, trying again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(max(window/readings, leastInterval), mostInterval)):
		}
	}
}

// read takes what was counted since it last read.
func (m *Meter) read(ctx context.Context, window time.Duration) error {
	m.mu.Lock()
	at := m.at
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	events, now, err := m.Store.Counters(ctx, at)
	if err == nil && now < at { // another store, which counts anew
		m.forget()
		events, now, err = m.Store.Counters(ctx, 0)
	}
	if err != nil {
		return fmt.Errorf("read counters: %w", err)
	}
	m.take(events, now, window)
	return nil
}

func (m *Meter) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at, m.began, m.span = 0, time.Time{}, 0
	clear(m.hosts)
	clear(m.bytes)
}

// take adds what checkpoints tell of the time since the last ones. The first tell of no time.
func (m *Meter) take(events []store.Event, at store.Revision, window time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	first := m.at == 0
	if first {
		m.began = now
	} else {
		m.age(now.Sub(m.when), window)
	}
	for _, e := range events {
		if saved, ok := e.Object.(*store.StatusCounters); ok {
			m.add(e, egressOf(saved), first)
		}
	}
	m.at, m.when = at, now
}

// age has what was counted lose weight by the time that passed.
func (m *Meter) age(passed, window time.Duration) {
	keeps := math.Exp(-passed.Seconds() / window.Seconds())
	m.span = m.span*keeps + passed.Seconds()
	for tenant := range m.bytes {
		if m.bytes[tenant] *= keeps; m.bytes[tenant] < 1 {
			delete(m.bytes, tenant)
		}
	}
}

// add adds what a host counted since its last checkpoint. Sums of a host that is new, and those that are less than before,
// began at 0.
func (m *Meter) add(e store.Event, now map[uint32]uint64, first bool) {
	before := m.hosts[e.Key.Host]
	if before.created != e.Created {
		before = sums{}
	}
	for tenant, bytes := range now {
		was := before.bytes[tenant]
		if was > bytes {
			was = 0
		}
		if bytes > was && !first {
			m.bytes[tenant] += float64(bytes - was)
		}
	}
	m.hosts[e.Key.Host] = sums{e.Created, now}
}

// egressOf are the bytes that went and came through gateways, by tenant.
func egressOf(saved *store.StatusCounters) map[uint32]uint64 {
	bytes := map[uint32]uint64{}
	for _, c := range saved.Counters {
		if (c.Scope == flows.ScopeEgress || c.Scope == flows.ScopePublished) && c.Reason == "" && c.Tenant != 0 {
			bytes[c.Tenant] += c.Bytes + c.LastBytes
		}
	}
	return bytes
}

// averages are the bytes a second of each tenant that sent or got any, by number, and for how long that is measured.
func (m *Meter) averages() (list map[uint32]float64, measured time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at == 0 || m.span <= 0 {
		return map[uint32]float64{}, 0
	}
	list = maps.Clone(m.bytes)
	for tenant := range list {
		list[tenant] /= m.span
	}
	return list, m.when.Sub(m.began)
}
