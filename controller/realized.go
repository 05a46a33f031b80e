package controller

import (
	"context"
	"errors"
	"maps"
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
	// reportRate and reportBurst allow ten reports in any second. An attach by itself makes two
	// or three, and must not wait between them.
	reportRate, reportBurst = 7, 3
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
	floor  *store.StatusController
	behind bool // some host is not at the state's revision, and may come to lag too long

	// order is held from a write of exceptions until it is noted in excepted: shared by
	// claims, each of which writes another host's.
	order sync.RWMutex

	mu       sync.Mutex
	excepted map[string]*store.StatusHost
}

func (r *report) poke() { r.wake.send() }

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
	limit := rate.NewLimiter(reportRate, reportBurst)
	for {
		poked := c.report.wake.wait()
		began := time.Now()
		wrote, err := c.writeReport(ctx)
		if err != nil && !errors.Is(err, etcd.ErrConflict) && ctx.Err() == nil {
			c.opts.Log.Warn("cannot report to etcd, trying again", "err", err)
		}
		if wrote || err != nil {
			if limit.Wait(ctx) != nil {
				return nil
			}
		} else {
			time.Sleep(roundRest * time.Since(began))
		}
		next := idleRound
		if err != nil || c.report.behind {
			next = patience
		}
		select {
		case <-poked:
		case <-time.After(next):
		case <-ctx.Done():
			return nil
		}
	}
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

// writeReport writes exceptions first, then the floor that would vouch for those hosts,
// then takes back exceptions that are over. It tells whether there was anything to write.
func (c *Controller) writeReport(ctx context.Context) (wrote bool, err error) {
	floor, excepted, held := c.standing()
	c.report.behind = floor.Floor < c.revision()
	c.observe(floor.Floor)
	written := c.report.written()
	var before, after []store.Event
	for _, host := range slices.Sorted(maps.Keys(excepted)) {
		if !reflect.DeepEqual(excepted[host], written[host]) {
			before = append(before, store.Event{Key: store.StatusHostKey(host), Object: excepted[host]})
		}
	}
	if !reflect.DeepEqual(floor, c.report.floor) {
		after = append(after, store.Event{Key: store.StatusControllerKey(c.opts.Name), Object: floor})
	}
	for host := range written {
		if _, mine := held[host]; excepted[host] == nil && (mine || c.gone(host)) {
			after = append(after, store.Event{Key: store.StatusHostKey(host)})
		}
	}
	for _, events := range [][]store.Event{before, after} {
		if err := c.putStatus(ctx, events, held); err != nil {
			return true, err
		}
	}
	return len(before)+len(after) > 0, nil
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

// standing is the floor and the exceptions of the hosts that this controller masters, and the
// mod revisions of its claims to them.
func (c *Controller) standing() (*store.StatusController, map[string]*store.StatusHost, map[string]store.Revision) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	now := c.state.Revision()
	floor := &store.StatusController{Floor: now}
	excepted, held := map[string]*store.StatusHost{}, map[string]store.Revision{}
	for name, h := range c.hosts {
		if !c.mastersLocked(name) {
			continue
		}
		held[name] = c.state.Master(name).Modified
		realized, exception := h.standing(now)
		if exception != nil {
			excepted[name] = exception
			continue
		}
		floor.Floor = min(floor.Floor, realized)
	}
	floor.Problems = c.problemsLocked()
	floor.Problems = floor.Problems[:min(len(floor.Problems), maxReported)]
	floor.Unknown = c.unknownLocked()
	return floor, excepted, held
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

func (h *host) unserves() bool {
	for _, t := range h.troubles {
		if len(t.unserved) > 0 {
			return true
		}
	}
	return false
}

// unserved are the host's own ports that are not programmed whole, each with the first
// reason why: whoever waits for one of them must not be told that it is realized.
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
