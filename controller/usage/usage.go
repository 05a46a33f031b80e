// Package usage knows what tenants use of their limits: what the agents of hosts told etcd, and what
// the switches of hosts refused.
//
// In the loop it stands beside the programming: keys under usage/ are no part of the picture, and no
// watch tells of them, so that they cost the programming nothing. They are read when somebody asks,
// and by the leader for its metrics.
//
// It must never write anything, and never believe what a host tells for more than it is: a number to
// be shown.
package usage

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"sluice/controller/account"
	"sluice/controller/cluster"
	"sluice/store"
)

const (
	// interval is how often the leader reads what is used.
	interval = 15 * time.Second
	// fresh is how old what was read may be when somebody asks.
	fresh = time.Second
	// readTime bounds the reading, where etcd is away.
	readTime = 2 * time.Second
)

// Store is what the reader needs of etcd.
type Store interface {
	Get(ctx context.Context, key store.Key) (store.Object, store.Revision, error)
	Usages(ctx context.Context, after store.Revision) ([]store.Event, store.Revision, error)
}

// Options are what a Reader stands on. All are required.
type Options struct {
	Picture *cluster.Picture
	Store   Store
	Log     *slog.Logger
	// Mastered yields the ledgers of the hosts that this controller programs, by host.
	Mastered func() map[string]*account.Ledger
	// Leads reports whether this controller is the leader.
	Leads func() bool
}

// Reader reads what tenants use. It is safe for concurrent use.
type Reader struct {
	Options
	reading sync.Mutex // one reads at a time

	mu    sync.Mutex
	at    store.Revision // of what was read; 0: nothing was
	when  time.Time      // when
	hosts map[string]told
}

// told is what the agent of a host told, at a revision.
type told struct {
	at    store.Revision
	usage *store.Usage
}

// New makes a reader that Keep keeps up to date.
func New(o Options) *Reader { return &Reader{Options: o, hosts: map[string]told{}} }

// Keep reads, while this controller leads, what its metrics show, until ctx ends.
func (r *Reader) Keep(ctx context.Context) error {
	tick := time.Tick(interval)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
		}
		if !r.Leads() {
			continue
		}
		if err := r.read(ctx, interval/2); err != nil && ctx.Err() == nil {
			r.Log.Warn("cannot read what tenants use, trying again", "err", err)
		}
	}
}

// read reads what was told since it was last read, unless that is no older than age.
func (r *Reader) read(ctx context.Context, age time.Duration) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	at, when := r.last()
	if at > 0 && time.Since(when) < age {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	events, now, err := r.Store.Usages(ctx, at)
	if err == nil && now < at { // another store, which counts anew
		events, now, err = r.Store.Usages(ctx, 0)
	}
	if err != nil {
		return fmt.Errorf("read what tenants use: %w", err)
	}
	r.take(events, now)
	return nil
}

func (r *Reader) last() (store.Revision, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at, r.when
}

func (r *Reader) take(events []store.Event, at store.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at < r.at {
		clear(r.hosts)
	}
	r.at, r.when = at, time.Now()
	for _, e := range events {
		if usage, ok := e.Object.(*store.Usage); ok {
			r.hosts[e.Key.Host] = told{e.Modified, usage}
		}
	}
}

// ever is what any host told last, also one that is deleted.
func (r *Reader) ever() map[string]told {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.hosts)
}

// known is what was told by the hosts that are registered. What a host told before it was deleted
// and came back is nobody's.
func (r *Reader) known() map[string]*store.Usage {
	hosts := r.ever()
	known := make(map[string]*store.Usage, len(hosts))
	r.Picture.View(func(s *store.State) {
		for name, t := range hosts {
			if h := s.Host(name); h != nil && h.Created < t.at {
				known[name] = t.usage
			}
		}
	})
	return known
}

// Sums are what all tenants use on all hosts, by their numbers, as the leader last read it. On
// other controllers there are none, so that nothing is counted twice.
func (r *Reader) Sums() map[uint32]store.Used {
	sums := map[uint32]store.Used{}
	if !r.Leads() {
		return sums
	}
	for tenant, used := range r.used() {
		sum := sums[tenant]
		sum.Add(used)
		sums[tenant] = sum
	}
	return sums
}

// used yields what tenants use on each host, by their numbers. Of a host that is deleted, or registered anew and told
// nothing since, it is what must not go back. What was told of one that had a number before is of nobody.
func (r *Reader) used() iter.Seq2[uint32, store.Used] {
	return func(yield func(uint32, store.Used) bool) {
		hosts, known := r.ever(), r.known()
		created := r.created(hosts)
		for name, told := range hosts {
			for _, t := range told.usage.Tenants {
				began, exists := created[t.Tenant]
				if !exists || began > told.at {
					continue
				}
				if known[name] == nil {
					t.Used = t.Counted()
				}
				if !yield(t.Tenant, t.Used) {
					return
				}
			}
		}
	}
}

// created is when the tenants of which hosts told were, by number.
func (r *Reader) created(hosts map[string]told) map[uint32]store.Revision {
	created := map[uint32]store.Revision{}
	for _, told := range hosts {
		for _, t := range told.usage.Tenants {
			created[t.Tenant] = 0
		}
	}
	numbers := slices.Collect(maps.Keys(created))
	r.Picture.Each(len(numbers), func(s *store.State, i int) {
		if t := s.TenantByNumber(numbers[i]); t != nil {
			created[numbers[i]] = t.Created
		} else {
			delete(created, numbers[i])
		}
	})
	return created
}

// Refused are the attaches that one host refused by limits so far, of one tenant.
type Refused struct {
	Host            string
	Tenant          uint32 // number
	Ports, NewPorts uint64 // since there were as many ports as there may be; since they were made too fast
}

// Refused are the attaches that hosts refused, as the leader last read it; ok is false on other controllers, and before
// the first reading.
func (r *Reader) Refused() (list []Refused, ok bool) {
	if at, _ := r.last(); at == 0 || !r.Leads() {
		return nil, false
	}
	for host, usage := range r.known() {
		for _, t := range usage.Tenants {
			if t.PortsRefused+t.NewPortsRefused > 0 {
				list = append(list, Refused{host, t.Tenant, t.PortsRefused, t.NewPortsRefused})
			}
		}
	}
	return list, true
}

// Damped are the gateway hosts that came and went by the probes of other hosts, each with those that do not send there for a while, sorted. With an
// error it is what was known before. A host whose agent is away tells of a time that is over.
func (r *Reader) Damped(ctx context.Context) (map[string][]string, error) {
	err := r.read(ctx, fresh)
	damped := make(map[string][]string)
	known := r.known()
	r.Picture.View(func(s *store.State) {
		for host, usage := range known {
			if s.LiveHost(host) == nil {
				continue
			}
			for _, gateway := range usage.Damped {
				damped[gateway] = append(damped[gateway], host)
			}
		}
	})
	for _, by := range damped {
		slices.Sort(by)
	}
	return damped, err
}

// Visited is when something passed last by what tenants publish by routes, by the publication's key. With an error it is what was
// known before.
func (r *Reader) Visited(ctx context.Context) (map[store.Key]store.Visit, error) {
	err := r.read(ctx, fresh)
	visits := make(map[store.Key]store.Visit)
	for _, usage := range r.known() {
		for _, v := range usage.Visits {
			key := store.PublicationKey(v.Tenant, v.Publication)
			if is := visits[key]; v.Created > is.Created || v.Created == is.Created && v.Last.After(is.Last) {
				visits[key] = v
			}
		}
	}
	return visits, err
}
