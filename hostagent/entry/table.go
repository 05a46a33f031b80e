package entry

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/store"
)

// Table is the routes that stand now. Its methods may be called concurrently.
type Table struct {
	// Late is told that somebody waits for a route that leads nowhere yet; nil: nobody is told.
	Late func()
	mu   sync.Mutex // of those who set
	now  atomic.Pointer[index]
}

// NewTable has no routes.
func NewTable() *Table {
	t := &Table{}
	t.now.Store(&index{replaced: make(chan struct{})})
	return t
}

// index is the routes of one moment. It is never changed.
type index struct {
	byHost map[string][]*standing // the longest path first
	byKey  map[string]*standing
	byWay  map[string]*standing
	// replaced is closed once other routes stand.
	replaced chan struct{}
}

// standing is a route that stands.
type standing struct {
	Route
	visits *visits
}

// visits are what passes by one publication, over all moves of its gateway.
type visits struct {
	ctx  context.Context // ends with the publication
	end  context.CancelFunc
	last atomic.Int64 // when something passed, in nanoseconds since 1970; 0: never
}

func (v *visits) note() { v.last.Store(time.Now().UnixNano()) }

// Set makes other routes stand. What passes by one that stays goes on, and what passes by one that went ends.
func (t *Table) Set(routes []Route) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.now.Load()
	next := &index{byHost: make(map[string][]*standing), byKey: make(map[string]*standing), byWay: make(map[string]*standing), replaced: make(chan struct{})}
	for _, r := range routes {
		s := &standing{Route: r}
		if old := before.byKey[r.key()]; old != nil && old.Created == r.Created {
			s.visits = old.visits
		} else {
			s.visits = newVisits()
		}
		next.byHost[r.Host] = append(next.byHost[r.Host], s)
		next.byKey[r.key()], next.byWay[r.way()] = s, s
	}
	for _, list := range next.byHost {
		slices.SortFunc(list, func(a, b *standing) int { return len(b.Path) - len(a.Path) })
	}
	t.now.Store(next)
	close(before.replaced)
	for key, old := range before.byKey {
		if s := next.byKey[key]; s == nil || s.visits != old.visits {
			old.visits.end()
		}
	}
}

// lateTime bounds how long a request waits for a route that leads nowhere yet: its tenant has no gateway host, or no slot on that, for some
// milliseconds after its first container, and this host reads of it a moment later.
const lateTime = 2 * time.Second

// led is a route once it leads somewhere by a host, or as it is then; no host is its gateway host.
func (t *Table) led(ctx context.Context, s *standing, by string) *standing {
	ctx, end := context.WithTimeout(ctx, lateTime)
	defer end()
	for {
		now := t.now.Load()
		is := now.byKey[s.key()]
		if is == nil || is.visits != s.visits { // it went: who waits finds out
			return s
		}
		if s = is; s.by(by).Target.IsValid() {
			return s
		}
		if t.Late != nil {
			t.Late()
		}
		select {
		case <-now.replaced:
		case <-ctx.Done():
			return s
		}
	}
}

func newVisits() *visits {
	v := &visits{}
	v.ctx, v.end = context.WithCancel(context.Background())
	return v
}

// find is the route of a host name that a path is under; nil: there is none. A path is as the client wrote it.
func (i *index) find(host, path string) *standing {
	for _, s := range i.byHost[host] {
		if strings.HasPrefix(path, s.Path) {
			return s
		}
	}
	return nil
}

// Visits are when something passed last by each publication by which anything did, the latest first.
func (t *Table) Visits() (list []store.Visit) {
	for _, s := range t.now.Load().byKey {
		if at := s.visits.last.Load(); at != 0 {
			list = append(list, store.Visit{Tenant: s.Tenant, Publication: s.Name, Created: s.Created, Last: time.Unix(0, at).UTC().Truncate(time.Second)})
		}
	}
	slices.SortFunc(list, func(a, b store.Visit) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Publication, b.Publication))
	})
	return list[:min(len(list), store.MaxVisits)]
}
