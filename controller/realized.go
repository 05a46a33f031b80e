package controller

import (
	"context"
	"errors"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"

	"sluice/store"
	"sluice/store/etcd"
)

const (
	// patience is how long a host may lag before it becomes an exception, so that it no
	// longer holds the floor of the others.
	patience = 500 * time.Millisecond
	// reportRate and reportBurst allow ten writes in any second.
	reportRate, reportBurst = 7, 3
	// never is more writes than are ever allowed.
	never = reportBurst + 1
	// roundRest is how many times as long as a round took, one that found nothing to write, the
	// next one waits. Each looks at every host, and each host that moves asks for one.
	roundRest = 4
	// idleRound is when the next round comes where nobody asks for one.
	idleRound = 5 * time.Second
	// maxReported bounds the problems that a controller's status key carries.
	maxReported = 50
)

// report is what this controller last wrote to etcd of its hosts.
type report struct {
	wake broadcast
	// These are reportLoop's alone.
	limit *rate.Limiter
	floor *store.StatusController

	// order is held from a write of exceptions until it is noted in excepted: shared by
	// claims, each of which writes another host's.
	order sync.RWMutex

	mu       sync.Mutex
	excepted map[string]*store.StatusHost
	awaited  []store.Revision // that attaches wait for the floor in etcd to reach; oldest first
}

func (r *report) poke() { r.wake.send() }

// applied notes that the state has taken a batch. Whoever attaches a port waits for the
// revision that made it; nobody waits for any other.
func (r *report) applied(b store.Batch) {
	attached := func(e store.Event) bool { return e.Key.Kind == store.KindPort && e.Object != nil }
	if slices.ContainsFunc(b.Events, attached) {
		r.mu.Lock()
		r.awaited = append(r.awaited, b.Revision)
		r.mu.Unlock()
	}
	r.poke()
}

// vouched notes a floor in etcd: those that waited for it go on.
func (r *report) vouched(floor store.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, _ := slices.BinarySearch(r.awaited, floor+1)
	r.awaited = slices.Delete(r.awaited, 0, n)
}

// waiting are the first and the last revision that are waited for; 0 where none is.
func (r *report) waiting() (first, last store.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.awaited); n > 0 {
		return r.awaited[0], r.awaited[n-1]
	}
	return 0, 0
}

// wrote notes a host's exception in etcd; nil: it was taken back.
func (r *report) wrote(host string, status *store.StatusHost) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if status == nil {
		delete(r.excepted, host)
		return
	}
	r.excepted[host] = status
}

// written is what etcd holds of all hosts' exceptions.
func (r *report) written() map[string]*store.StatusHost {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.excepted)
}

// reportLoop keeps status/ in etcd true, at most ten writes a second and none when idle.
func (c *Controller) reportLoop(ctx context.Context) error {
	if err := c.loadExceptions(ctx); err != nil {
		return nil // only when ctx ended
	}
	c.report.limit = rate.NewLimiter(reportRate, reportBurst)
	for {
		poked := c.report.wake.wait()
		next, err := c.reportRound(ctx)
		if err != nil && !errors.Is(err, store.ErrConflict) && ctx.Err() == nil {
			c.opts.Log.Warn("cannot report to etcd, trying again", "err", err)
		}
		select {
		case <-poked:
		case <-time.After(next):
		case <-ctx.Done():
			return nil
		}
	}
}

// reportRound writes what there is to tell, unless that must wait. It returns when the next
// round comes where nobody asks for one.
func (c *Controller) reportRound(ctx context.Context) (next time.Duration, err error) {
	began := time.Now()
	d := c.draft()
	c.observe(d.floor.Floor)
	next = idleRound
	if d.behind {
		next = patience
	}
	if len(d.events) > 0 {
		pause := pauseUntil(c.report.limit, d.needs(c.report.floor), time.Now())
		if pause == 0 {
			if err := c.putStatus(ctx, d.events, d.held); err != nil {
				return patience, err
			}
			return next, nil
		}
		next = min(next, pause)
	}
	time.Sleep(roundRest * time.Since(began))
	return next, nil
}

// draft is what a report would tell.
type draft struct {
	standing
	events  []store.Event // as they must be written: an exception before the floor that would vouch for its host
	news    bool          // an exception comes or goes
	changes bool          // an exception tells more than that its host moved with the floor
}

// needs is how many writes the limit must allow before this one, when written is the floor in
// etcd. Whoever waits should find one left: so a report that helps only some leaves the last
// to that which helps the rest, and one that nobody waits for goes out only while all are
// left, half a second later at most, and not where it says less than one that is to come.
func (d draft) needs(written *store.StatusController) int {
	helps := d.first != 0 && d.first <= d.floor.Floor
	switch {
	case d.news, written == nil, helps && d.last <= d.floor.Floor:
		return 1
	case d.changes, helps:
		return 2
	case d.first != 0: // within patience the floor gets there, or an exception does
		return never
	}
	return reportBurst
}

// pauseUntil is how long it takes until so many writes are allowed.
func pauseUntil(limit *rate.Limiter, needed int, now time.Time) time.Duration {
	if needed > reportBurst {
		return math.MaxInt64
	}
	lacking := float64(needed) - limit.TokensAt(now)
	if lacking <= 0 {
		return 0
	}
	return time.Duration(lacking/float64(limit.Limit())*float64(time.Second)) + time.Millisecond
}

// loadExceptions reads what an earlier life of any controller wrote, so that stale
// exceptions are removed. It waits for the first state: nothing is vouched for before.
func (c *Controller) loadExceptions(ctx context.Context) error {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	events, err := backoff.Retry(ctx, func() ([]store.Event, error) {
		events, _, err := c.opts.Store.List(ctx, store.KindStatusHost)
		return events, err
	}, backoff.WithMaxElapsedTime(0))
	if err != nil {
		return err
	}
	written := c.report.written()
	for _, e := range events {
		status, ok := e.Object.(*store.StatusHost)
		if ok && written[e.Key.Host] == nil {
			c.report.wrote(e.Key.Host, status)
		}
	}
	return nil
}

// draft compares how the hosts stand with what etcd holds of them.
func (c *Controller) draft() draft {
	d := draft{standing: c.standing()}
	written := c.report.written()
	for _, host := range slices.Sorted(maps.Keys(d.excepted)) {
		is, was := d.excepted[host], written[host]
		if reflect.DeepEqual(is, was) {
			continue
		}
		d.events = append(d.events, store.Event{Key: store.StatusHostKey(host), Object: is})
		d.news = d.news || was == nil
		d.changes = d.changes || was != nil && (is.Realized < d.floor.Floor || !reflect.DeepEqual(is, moved(was, is.Realized)))
	}
	if !reflect.DeepEqual(d.floor, c.report.floor) {
		d.events = append(d.events, store.Event{Key: store.StatusControllerKey(c.opts.Name), Object: d.floor})
	}
	for host := range written {
		if _, mine := d.held[host]; d.excepted[host] == nil && (mine || c.gone(host)) {
			d.events = append(d.events, store.Event{Key: store.StatusHostKey(host)})
			d.news = true
		}
	}
	return d
}

// moved is the same exception at another revision.
func moved(status *store.StatusHost, realized store.Revision) *store.StatusHost {
	other := *status
	other.Realized = realized
	return &other
}

// putStatus writes events in txns of a bounded size and remembers what was written. Of a host
// whose claim is another by now nothing is written.
func (c *Controller) putStatus(ctx context.Context, events []store.Event, held map[string]store.Revision) error {
	for part := range slices.Chunk(events, 60) {
		var claims []etcd.Held
		for _, e := range part {
			if at, mine := held[e.Key.Host]; mine {
				claims = append(claims, etcd.Held{Host: e.Key.Host, Claimed: at})
			}
		}
		if err := c.putPart(ctx, part, claims); err != nil {
			return err
		}
	}
	return nil
}

func (c *Controller) putPart(ctx context.Context, part []store.Event, claims []etcd.Held) error {
	if err := c.report.limit.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c.report.order.Lock()
	defer c.report.order.Unlock()
	if err := c.opts.Store.PutStatus(ctx, part, claims...); err != nil {
		return err
	}
	for _, e := range part {
		switch o := e.Object.(type) {
		case *store.StatusHost:
			c.report.wrote(e.Key.Host, o)
		case *store.StatusController:
			c.report.floor = o
			c.report.vouched(o.Floor)
		case nil:
			c.report.wrote(e.Key.Host, nil)
		}
	}
	return nil
}

// gone tells whether a host is not registered any more.
func (c *Controller) gone(host string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.state.Host(host) == nil
}

// standing is how far the hosts are that this controller masters.
type standing struct {
	floor       *store.StatusController
	excepted    map[string]*store.StatusHost
	held        map[string]store.Revision // mod revisions of the claims to all those hosts
	behind      bool                      // some host is not at the state's revision, and may come to lag too long
	first, last store.Revision            // that are waited for; 0: none
}

func (c *Controller) standing() standing {
	c.mu.RLock()
	defer c.mu.RUnlock()
	now := c.state.Revision()
	s := standing{
		floor:    &store.StatusController{Floor: now},
		excepted: map[string]*store.StatusHost{}, held: map[string]store.Revision{},
	}
	for name, h := range c.hosts {
		if !c.mastersLocked(name) {
			continue
		}
		s.held[name] = c.state.Master(name).Modified
		realized, exception := h.standing(now)
		if exception != nil {
			s.excepted[name] = exception
			continue
		}
		s.floor.Floor = min(s.floor.Floor, realized)
	}
	s.behind = s.floor.Floor < now
	s.first, s.last = c.report.waiting()
	s.floor.Problems = c.problemsLocked()
	s.floor.Problems = s.floor.Problems[:min(len(s.floor.Problems), maxReported)]
	s.floor.Unknown = c.unknownLocked()
	return s
}

// standing is how far the host is, and its exception if the floor may not vouch for it.
func (h *host) standing(now store.Revision) (store.Revision, *store.StatusHost) {
	realized, lagging := h.at(now)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.session == nil:
		return realized, h.exception(store.HostDown, realized)
	case !h.held, !lagging.IsZero() && time.Since(lagging) > patience:
		return realized, h.exception(store.HostBehind, realized)
	case h.lacks():
		return realized, h.exception(store.HostMissing, realized)
	case h.unserves():
		return realized, h.exception(store.HostRefused, realized)
	}
	return realized, nil
}

// exception is the host's, with the ports that it cannot vouch for at realized.
func (h *host) exception(state store.HostState, realized store.Revision) *store.StatusHost {
	status := &store.StatusHost{State: state, Realized: realized, Problems: h.unserved()}
	for _, a := range h.missing {
		status.Missing = append(status.Missing, a.key.Short())
	}
	return status
}

// lacks tells whether the interface of a port is missing for longer than a moment.
func (h *host) lacks() bool {
	return slices.ContainsFunc(h.missing, func(a absence) bool { return !a.late() })
}

// unserves tells whether something is not programmed whole, be it for another host's port.
func (h *host) unserves() bool {
	for _, t := range h.troubles {
		if len(t.refused) > 0 || len(t.unserved) > 0 {
			return true
		}
	}
	return false
}

// unserved is what is not programmed whole, each object with the first reason why: whoever
// waits for a port that needs one of them must not be told that it is realized.
func (h *host) unserved() store.Problems {
	reasons := map[store.Key]string{}
	for _, slice := range slices.Sorted(maps.Keys(h.troubles)) {
		t := h.troubles[slice]
		for _, key := range t.unserved {
			if reasons[key] == "" {
				reasons[key] = t.problems[0].Text
			}
		}
	}
	var list store.Problems
	for key, text := range reasons {
		list = append(list, store.Problem{Object: key.Short(), Text: text})
	}
	slices.SortFunc(list, func(a, b store.Problem) int { return strings.Compare(a.Object, b.Object) })
	return list
}

// disclaim is the exception that goes with a claim: no floor may vouch for a host until it
// was programmed whole.
func (h *host) disclaim() *store.StatusHost {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = false
	return h.exception(store.HostBehind, h.realized)
}

// observe measures revisions that all healthy hosts hold now.
func (c *Controller) observe(floor store.Revision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.seen) > 0 && c.seen[0].revision <= floor {
		c.metrics.Realize.Observe(time.Since(c.seen[0].at).Seconds())
		c.seen = c.seen[1:]
	}
}
