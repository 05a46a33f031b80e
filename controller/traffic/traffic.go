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
	"slices"
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
	stays stays
}

// sums are the bytes of tenants on one host, by number, as its checkpoint last said, under the key that was created at a revision.
type sums struct {
	created store.Revision
	bytes   map[uint32]uint64
	through map[uint32]uint64 // what passed it as a gateway host
}

// New makes a meter that Keep has measure.
func New(o Options) *Meter {
	return &Meter{Options: o, hosts: map[string]sums{}, bytes: map[uint32]float64{}, stays: stays{}}
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
	clear(m.stays)
}

// take adds what checkpoints tell of the time since the last ones. The first tell of no time.
func (m *Meter) take(events []store.Event, at store.Revision, window time.Duration) {
	places := m.draining()
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	first := m.at == 0
	if first {
		m.began = now
	} else {
		m.age(now.Sub(m.when), window)
		m.stays.age(places, now.Sub(m.when), window)
	}
	for _, e := range events {
		if saved, ok := e.Object.(*store.StatusCounters); ok {
			m.add(e, saved, first)
		}
	}
	m.at, m.when = at, now
}

// age has what was counted lose weight by the time that passed.
func (m *Meter) age(passed, window time.Duration) {
	keeps := keepsOf(passed, window)
	m.span = m.span*keeps + passed.Seconds()
	for tenant := range m.bytes {
		if m.bytes[tenant] *= keeps; m.bytes[tenant] < 1 {
			delete(m.bytes, tenant)
		}
	}
}

// keepsOf is the part of its weight that something keeps over a time.
func keepsOf(passed, window time.Duration) float64 {
	return math.Exp(-passed.Seconds() / window.Seconds())
}

// add adds what a host counted since its last checkpoint. Sums of a host that is new, and those that are less than before,
// began at 0.
func (m *Meter) add(e store.Event, saved *store.StatusCounters, first bool) {
	before := m.hosts[e.Key.Host]
	if before.created != e.Created {
		before = sums{}
	}
	now := sums{e.Created, bytesOf(saved, flows.ScopeEgress, flows.ScopePublished), bytesOf(saved, flows.ScopeGateway)}
	m.hosts[e.Key.Host] = now
	if first {
		return
	}
	for tenant := range now.bytes {
		if more := since(before.bytes, now.bytes, tenant); more > 0 {
			m.bytes[tenant] += more
		}
	}
	for tenant := range now.through {
		m.stays.add(place{tenant, e.Key.Host}, since(before.through, now.through, tenant))
	}
}

// since is by how much a tenant's sum grew.
func since(before, now map[uint32]uint64, tenant uint32) float64 {
	was := before[tenant]
	if was > now[tenant] {
		was = 0
	}
	return float64(now[tenant] - was)
}

// bytesOf are the bytes of some scopes in both directions, by tenant.
func bytesOf(saved *store.StatusCounters, scopes ...string) map[uint32]uint64 {
	bytes := map[uint32]uint64{}
	for _, c := range saved.Counters {
		if slices.Contains(scopes, c.Scope) && c.Reason == "" && c.Tenant != 0 {
			bytes[c.Tenant] += c.Bytes + c.LastBytes
		}
	}
	return bytes
}

// measured is what a meter knows: bytes a second of each tenant that sent or got any, by number, and what of them still passes hosts of before.
type measured struct {
	loads map[uint32]float64
	stays map[place]float64
	time  time.Duration // for how long it is measured
}

// averages are what is measured up to now.
func (m *Meter) averages() measured {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at == 0 || m.span <= 0 {
		return measured{}
	}
	list := maps.Clone(m.bytes)
	for tenant := range list {
		list[tenant] /= m.span
	}
	return measured{list, m.stays.averages(), m.when.Sub(m.began)}
}
