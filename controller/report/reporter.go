// Package report tells etcd how far the hosts are that this controller programs: one floor for
// all that are well, and an exception for each that is not. Attaches wait for these two.
//
// In the loop it is the last room, "realized". Read reporter.go for the loop and what was
// written, draft.go for what there is to tell, and pace.go for how often it may be told.
//
// It must never vouch for a host whose switch did not confirm the revision: an exception is
// written before the floor that would vouch for its host, and each write is fenced by what it
// presumes: the host, its claim, and the controller's name, as the picture had them.
package report

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"sluice/controller/cluster"
	"sluice/controller/host"
	"sluice/controller/signal"
	"sluice/store"
)

// Store is what reports need of etcd.
type Store interface {
	List(ctx context.Context, kind store.Kind, prefix ...string) ([]store.Event, store.Revision, error)
	PutStatus(ctx context.Context, events []store.Event, presumed ...store.Presumption) error
}

// Options are what a Reporter stands on. All are required.
type Options struct {
	Controller string // its name
	Picture    *cluster.Picture
	Fleet      *host.Fleet
	Store      Store
	Realize    prometheus.Observer // seconds from reading a revision until all healthy hosts hold it
	Log        *slog.Logger

	Problems func(*store.State) store.Problems // of single objects, to be shown
	Unknown  func() store.UnknownSwitches      // switches that dialled in and belong to no host
}

// Reporter writes the reports of one controller.
type Reporter struct {
	Options
	wake signal.Broadcast

	// These are Keep's alone.
	limit *rate.Limiter
	floor *store.StatusController // as it is in etcd; nil: this controller has not written it

	// order is locked from a write of exceptions until it is noted in exceptions: shared by
	// claims, each of which writes another host's.
	order sync.RWMutex

	mu         sync.Mutex
	exceptions map[string]*store.StatusHost // as they are in etcd, by host
	awaited    []store.Revision             // that attaches wait for the floor in etcd to reach; oldest first
	read       []reading                    // revisions that not every healthy host holds; oldest first
}

// reading is when a revision was read.
type reading struct {
	revision store.Revision
	at       time.Time
}

// New makes a reporter that Keep runs.
func New(o Options) *Reporter {
	return &Reporter{Options: o, exceptions: map[string]*store.StatusHost{}}
}

// Poke says that there may be something to report.
func (r *Reporter) Poke() { r.wake.Send() }

// Observe notes that the picture has taken a batch. Whoever attaches a port waits for the
// revision that made it, and the leader for each step of a gateway that moves; nobody waits for any other. It is
// an observer of the picture.
func (r *Reporter) Observe(u cluster.Update) {
	attached := func(e store.Event) bool {
		g, gateway := e.Object.(*store.Gateway)
		return e.Key.Kind == store.KindPort && e.Object != nil || gateway && !g.Settled()
	}
	r.mu.Lock()
	r.read = append(r.read, reading{u.State.Revision(), time.Now()})
	if slices.ContainsFunc(u.Batch.Events, attached) {
		r.awaited = append(r.awaited, u.Batch.Revision)
	}
	r.mu.Unlock()
	r.Poke()
}

// Claim runs write, which claims a host in etcd and writes the exception that goes with it, and
// notes that exception.
func (r *Reporter) Claim(host string, status *store.StatusHost, write func() (store.Revision, error)) (store.Revision, error) {
	r.order.RLock()
	defer r.order.RUnlock()
	rev, err := write()
	if err == nil {
		r.wrote(host, status)
	}
	return rev, err
}

// wrote notes a host's exception in etcd; nil: it was taken back.
func (r *Reporter) wrote(host string, status *store.StatusHost) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if status == nil {
		delete(r.exceptions, host)
		return
	}
	r.exceptions[host] = status
}

// written is what etcd holds of all hosts' exceptions.
func (r *Reporter) written() map[string]*store.StatusHost {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.exceptions)
}

// vouched notes a floor in etcd: those that waited for it go on.
func (r *Reporter) vouched(floor store.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, _ := slices.BinarySearch(r.awaited, floor+1)
	r.awaited = slices.Delete(r.awaited, 0, n)
}

// waiting are the first and the last revision that are waited for; 0 where none is.
func (r *Reporter) waiting() (first, last store.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.awaited); n > 0 {
		return r.awaited[0], r.awaited[n-1]
	}
	return 0, 0
}

// Keep keeps status/ in etcd true, at most ten writes a second and none when idle, until ctx ends.
func (r *Reporter) Keep(ctx context.Context) error {
	if err := r.loadExceptions(ctx); err != nil {
		return nil // only when ctx ended
	}
	r.limit = rate.NewLimiter(writeRate, writeBurst)
	for {
		poked := r.wake.Wait()
		next, err := r.round(ctx)
		if err != nil && !errors.Is(err, store.ErrConflict) && ctx.Err() == nil {
			r.Log.Warn("cannot report to etcd, trying again", "err", err)
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
func (r *Reporter) loadExceptions(ctx context.Context) error {
	select {
	case <-r.Picture.Loaded():
	case <-ctx.Done():
		return ctx.Err()
	}
	events, err := backoff.Retry(ctx, func() ([]store.Event, error) {
		events, _, err := r.Store.List(ctx, store.KindStatusHost)
		return events, err
	}, backoff.WithMaxElapsedTime(0))
	if err != nil {
		return err
	}
	written := r.written()
	for _, e := range events {
		status, ok := e.Object.(*store.StatusHost)
		if ok && written[e.Key.Host] == nil {
			r.wrote(e.Key.Host, status)
		}
	}
	return nil
}

// round writes what there is to tell, unless that must wait. It returns when the next round
// comes where nobody asks for one.
func (r *Reporter) round(ctx context.Context) (next time.Duration, err error) {
	began := time.Now()
	d := r.draft()
	r.observe(d.floor.Floor)
	next = idleRound
	if d.behind {
		next = host.Patience
	}
	if len(d.events) > 0 {
		pause := pauseUntil(r.limit, d.needs(r.floor), time.Now())
		if pause == 0 {
			if err := r.put(ctx, d); err != nil {
				return host.Patience, err
			}
			return next, nil
		}
		next = min(next, pause)
	}
	time.Sleep(roundRest * time.Since(began))
	return next, nil
}

// observe measures revisions that all healthy hosts hold at a floor.
func (r *Reporter) observe(floor store.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.read) > 0 && r.read[0].revision <= floor {
		r.Realize.Observe(time.Since(r.read[0].at).Seconds())
		r.read = r.read[1:]
	}
}

const (
	// partSize is how many status keys one transaction writes. Each presumes two things of its
	// host at most, and etcd takes 128 conditions.
	partSize = 60
	// writeTime bounds one transaction.
	writeTime = 5 * time.Second
)

// put writes the draft in txns of a bounded size and remembers what was written. A part that
// presumes what does not hold by then, such as the claim to a host, is not written, nor is what
// follows it: the next draft decides anew.
func (r *Reporter) put(ctx context.Context, d draft) error {
	for part := range slices.Chunk(d.events, partSize) {
		var fence []store.Presumption
		for _, e := range part {
			fence = append(fence, d.fences[e.Key]...)
		}
		if err := r.putPart(ctx, part, fence); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reporter) putPart(ctx context.Context, part []store.Event, fence []store.Presumption) error {
	if err := r.limit.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	r.order.Lock()
	defer r.order.Unlock()
	if err := r.Store.PutStatus(ctx, part, fence...); err != nil {
		return err
	}
	for _, e := range part {
		r.note(e)
	}
	return nil
}

// note remembers what a written event made of etcd.
func (r *Reporter) note(e store.Event) {
	switch o := e.Object.(type) {
	case *store.StatusHost:
		r.wrote(e.Key.Host, o)
	case *store.StatusController:
		r.floor = o
		r.vouched(o.Floor)
	case nil:
		r.wrote(e.Key.Host, nil)
	}
}
