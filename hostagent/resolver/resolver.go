package resolver

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// idleDesk is how long a desk stays open that no tenant of this host needs: a port may be on its way.
const idleDesk = time.Minute

// Resolver has a desk for each tenant of its host. Use New. It is safe for concurrent use.
type Resolver struct {
	names    *Names
	upstream *Upstream
	open     func(number uint32) (Sockets, error)
	log      *slog.Logger
	now      func() time.Time
	counts   counts

	mu      sync.Mutex
	desks   map[string]*desk  // by tenant
	refused map[uint32]uint64 // questions, by the tenant's number: of desks that are closed
}

// counts are what was asked since the start.
type counts struct{ questions, forwarded, cached, limited, failed atomic.Uint64 }

// Counts are what was asked since the start, by all tenants together.
type Counts struct {
	Desks                                         int
	Questions, Forwarded, Cached, Limited, Failed uint64
}

// New serves names. open opens the sockets to which the flows bring the questions of the tenant of a number.
func New(names *Names, upstream *Upstream, open func(number uint32) (Sockets, error), log *slog.Logger) *Resolver {
	return &Resolver{names: names, upstream: upstream, open: open, log: log, now: time.Now, desks: map[string]*desk{}, refused: map[uint32]uint64{}}
}

// Open opens the desk of a tenant, unless it is open.
func (r *Resolver) Open(tenant string, who Asker) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.openDesk(tenant, who)
}

func (r *Resolver) openDesk(tenant string, who Asker) error {
	if d := r.desks[tenant]; d != nil {
		if d.number == who.Number {
			d.allow(who.Limits)
			return nil
		}
		r.closeDesk(d)
	}
	s, err := r.open(who.Number)
	if err != nil {
		return fmt.Errorf("open the resolver's desk of tenant %s: %w", tenant, err)
	}
	r.desks[tenant] = r.newDesk(tenant, who, s)
	return nil
}

func (r *Resolver) closeDesk(d *desk) {
	r.refused[d.number] += d.takeRefused()
	d.close()
	delete(r.desks, d.tenant)
}

// Refused are the questions that tenants asked faster than they may, by their numbers, since it was called last.
func (r *Resolver) Refused() map[uint32]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.desks {
		r.refused[d.number] += d.takeRefused()
	}
	refused := r.refused
	r.refused = map[uint32]uint64{}
	maps.DeleteFunc(refused, func(_ uint32, n uint64) bool { return n == 0 })
	return refused
}

// Settle opens the desks of all tenants that are on this host, and closes those of others.
func (r *Resolver) Settle() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	here := r.names.Here()
	for tenant, d := range r.desks {
		if who, is := here[tenant]; !is && r.now().Sub(d.opened) > idleDesk || is && who.Number != d.number {
			r.closeDesk(d)
		}
	}
	var errs []error
	for tenant, who := range here {
		errs = append(errs, r.openDesk(tenant, who))
	}
	return errors.Join(errs...)
}

// Close closes all desks.
func (r *Resolver) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.desks {
		r.closeDesk(d)
	}
}

// Counts are what was asked since the start.
func (r *Resolver) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &r.counts
	return Counts{len(r.desks), c.questions.Load(), c.forwarded.Load(), c.cached.Load(), c.limited.Load(), c.failed.Load()}
}
