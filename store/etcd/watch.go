package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// What Watch reads. alloc/ comes first of all kinds, so one watch passes it by; stamps/, status/ and
// usage/ lie in the middle of the range, and their events are dropped here, since two watches
// would not see one transaction at one time.
var (
	watched      = keyRange{store.Under(store.KindAlloc)[:len(store.Under(store.KindAlloc))-1] + "0", clientv3.GetPrefixRangeEnd(store.Prefix)}
	stampRange   = prefixRange(store.Under(store.KindStamp))
	witnessRange = prefixRange(store.Prefix + "witnesses/")
	statusRange  = prefixRange(store.Prefix + "status/")
	usageRange   = prefixRange(store.Under(store.KindUsage))
	listed       = []keyRange{
		{watched.from, stampRange.from}, {stampRange.to, statusRange.from}, {statusRange.to, usageRange.from}, {usageRange.to, watched.to},
	}
)

// stream is one run of Watch.
type stream struct {
	*Client
	handle  func(store.Batch) error
	mirror  mirror
	watched keyRange
	listed  []keyRange
	// passed reports whether a key that lies in the range is passed by.
	passed  func(path string) bool
	compare time.Duration
	audit   *snapshot // what a fresh list showed, until it is compared
	link    int64     // the connection that the watch began on, to a store that was believed
}

// errReconnected says that what a watch tells may come from another store.
var errReconnected = errors.New("the connection to etcd is new: looking which store it holds")

// errBack says that etcd is at an older revision than it was.
var errBack = errors.New("etcd went back in time: it was restored from a backup, or wiped")

// handlerError carries an error of the handler's through the stream's own.
type handlerError struct{ error }

// Watch lists, then watches everything but alloc/, status/ and usage/, and hands whole revisions
// to handle, in order: the first batch is the whole list, also when it is empty. After a
// compaction it lists again and yields the difference, deletions included. From time to
// time it compares what it yielded with a fresh list; events that the watch lost are
// logged and yielded then.
//
// Where the client judges its store (see Trust), nothing is yielded of another one.
//
// A value that cannot be read counts as absent: it is logged once, shown by Problems, and
// stops nothing else. Watch returns when ctx ends or handle returns an error; when etcd is
// away it tries again for ever.
func (c *Client) Watch(ctx context.Context, handle func(store.Batch) error) error {
	s := &stream{Client: c, handle: handle, mirror: newMirror(), watched: watched, listed: listed, passed: excluded, compare: c.compare}
	return s.run(ctx)
}

// compareSeldom is how often Follow compares: many follow one kind, and each comparison lists it.
const compareSeldom = time.Hour

// Follow does for the objects of one kind what Watch does for all. What several kinds say is not of one
// revision. It is for those who may not read all, or need not.
func (c *Client) Follow(ctx context.Context, kind store.Kind, handle func(store.Batch) error) error {
	under := prefixRange(store.Under(kind))
	all := func(string) bool { return false }
	s := &stream{Client: c, handle: handle, mirror: newMirror(), watched: under, listed: []keyRange{under}, passed: all, compare: compareSeldom}
	return s.run(ctx)
}

func (s *stream) run(ctx context.Context) error {
	pause := &backoff.ExponentialBackOff{InitialInterval: 50 * time.Millisecond, RandomizationFactor: 0.3, Multiplier: 2, MaxInterval: 5 * time.Second}
	pause.Reset()
	for {
		before := s.mirror.revision
		err := s.follow(ctx)
		var handler handlerError
		switch {
		case errors.As(err, &handler):
			return handler.error
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, rpctypes.ErrCompacted):
			s.log.Info("etcd compacted what this watch had not read yet: listing again", "rev", s.mirror.revision)
			s.mirror.stale = true
		case errors.Is(err, errReconnected):
			s.log.Info("watch of etcd begins again", "why", err)
		default:
			s.log.Warn("watch of etcd ended: trying again", "err", err)
		}
		if s.mirror.revision > before {
			pause.Reset()
		}
		sleep(ctx, pause.NextBackOff())
	}
}

// follow lists if it must, then watches until an error.
func (s *stream) follow(ctx context.Context) error {
	var err error
	if s.link, err = s.trust.settled(ctx); err != nil {
		return err
	}
	if s.mirror.stale {
		if err := s.relist(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	// Fragments stay off: then a response holds whole revisions (etcd's API guarantees).
	responses := s.etcd.Watch(ctx, s.watched.from, clientv3.WithRange(s.watched.to),
		clientv3.WithRev(int64(s.mirror.revision)+1), clientv3.WithProgressNotify())
	look := time.NewTimer(s.compare)
	defer look.Stop()
	s.audit = nil
	for {
		select {
		case r, open := <-responses:
			if err := s.response(ctx, r, open); err != nil {
				return err
			}
		case <-look.C:
			next, err := s.look(ctx)
			if err != nil {
				return err
			}
			look.Reset(next)
		}
	}
}

// response yields one response's revisions.
func (s *stream) response(ctx context.Context, r clientv3.WatchResponse, open bool) error {
	if !open {
		return errors.Join(ctx.Err(), errors.New("the watch was closed"))
	}
	if s.trust.changedSince(s.link) {
		return errReconnected
	}
	if err := r.Err(); err != nil {
		return rpctypes.Error(err)
	}
	for events := r.Events; len(events) > 0; {
		n := 1
		for n < len(events) && events[n].Kv.ModRevision == events[0].Kv.ModRevision {
			n++
		}
		if err := s.revision(ctx, events[:n]); err != nil {
			return err
		}
		events = events[n:]
	}
	if r.IsProgressNotify() {
		s.mirror.revision = max(s.mirror.revision, store.Revision(r.Header.Revision))
	}
	return nil
}

// revision yields the events of one revision.
func (s *stream) revision(ctx context.Context, events []*clientv3.Event) error {
	batch := store.Batch{Revision: store.Revision(events[0].Kv.ModRevision)}
	if err := s.checkSchema(ctx, events); err != nil {
		return err
	}
	for _, e := range events {
		if s.passed(string(e.Kv.Key)) {
			continue
		}
		if s.audit != nil {
			s.audit.touched[string(e.Kv.Key)] = true
		}
		if event, ok := s.take(e.Kv, e.Type == clientv3.EventTypeDelete); ok {
			batch.Events = append(batch.Events, event)
		}
	}
	s.mirror.revision = batch.Revision
	return s.yield(batch)
}

// checkSchema has the store judged anew where an event says who may write from now on, so that a
// program which is too old takes in nothing that newer ones wrote.
func (s *stream) checkSchema(ctx context.Context, events []*clientv3.Event) error {
	says := func(e *clientv3.Event) bool { return string(e.Kv.Key) == store.SchemaKey().String() }
	if s.trust == nil || !slices.ContainsFunc(events, says) {
		return nil
	}
	if err := s.trust.Judge(ctx); err != nil {
		return err
	}
	if s.trust.State().Held() {
		return s.trust.held()
	}
	return nil
}

// excluded reports whether Watch passes a key by.
func excluded(key string) bool {
	return statusRange.has(key) || usageRange.has(key) || stampRange.has(key) || witnessRange.has(key) || strings.HasPrefix(key, electionPrefix) ||
		key == store.ChainKey().String() || key == store.IdentityKey().String()
}

func (s *stream) yield(b store.Batch) error {
	if len(b.Events) == 0 {
		return nil
	}
	return s.tell(b)
}

func (s *stream) tell(b store.Batch) error {
	s.trust.saw(b.Revision)
	if err := s.handle(b); err != nil {
		return handlerError{err}
	}
	return nil
}

// take brings one key into the mirror and says what to yield for it, if anything.
func (s *stream) take(kv *mvccpb.KeyValue, deleted bool) (store.Event, bool) {
	path := string(kv.Key)
	if deleted {
		return s.drop(path, store.Revision(kv.ModRevision))
	}
	event, err := eventOf(kv)
	if err != nil {
		event, known := s.drop(path, store.Revision(kv.ModRevision))
		if errors.Is(err, store.ErrUnknownKind) {
			s.keep(path)
		} else {
			s.unreadable(path, kv.ModRevision, err)
		}
		s.mirror.seen.put(path, seen{modified: store.Revision(kv.ModRevision), unreadable: true})
		return event, known
	}
	s.recovered(path)
	s.mirror.seen.put(path, seen{modified: event.Modified})
	return event, true
}

// drop forgets a key; the deletion is worth telling if its object had been yielded.
func (s *stream) drop(path string, at store.Revision) (store.Event, bool) {
	old, known := s.mirror.seen.get(path)
	s.mirror.seen.delete(path)
	s.recovered(path)
	if !known || old.unreadable {
		return store.Event{}, false
	}
	key, err := store.ParseKey(path)
	return store.Event{Key: key, Modified: at}, err == nil
}

// unreadable notes and logs a value that cannot be read. A relist passes over what it has
// seen, so each revision is logged once.
func (s *stream) unreadable(path string, revision int64, err error) {
	s.log.Warn("etcd holds what cannot be read: it counts as absent", "key", path, "rev", revision, "err", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems[path] = store.Problem{
		Object: strings.TrimPrefix(path, store.Prefix),
		Text:   fmt.Sprintf("it cannot be read and counts as absent: %v: %s", err, remedy(path)),
	}
}

// remedy is what to do about a value that cannot be read.
func remedy(path string) string {
	key, err := store.ParseKey(path)
	if err != nil || key.Kind != store.KindPort {
		return "write it anew or delete it"
	}
	return fmt.Sprintf("write it anew, or remove it on host %s with `sluice port detach %s/%s`; if no agent runs there, `sluice tidy ports` removes it, and if the host is gone for good, `sluice host delete %s`",
		key.Host, key.NetworkName(), key.Name, key.Host)
}

// keep counts a key of a kind that this version does not know: a newer one wrote it, and has it
// again when it is back. Each kind is logged once.
func (s *stream) keep(path string) {
	kind := kindOf(path)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unknown[kind] == nil {
		s.unknown[kind] = map[string]bool{}
		s.log.Warn("etcd holds a kind of object that this version does not know: all of it is kept", "kind", kind, "first", path)
	}
	s.unknown[kind][path] = true
}

// kindOf is the first part of a path, which is a kind that this version does not know.
func kindOf(path string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(path, store.Prefix), "/")
	return kind
}

// UnknownKinds are how many keys Watch saw of each kind that this version does not know. Nothing
// here changes them.
func (c *Client) UnknownKinds() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := map[string]int{}
	for kind, paths := range c.unknown {
		counts[kind] = len(paths)
	}
	return counts
}

// recovered ends a key's problem.
func (c *Client) recovered(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.problems, path)
	if paths := c.unknown[kindOf(path)]; paths != nil {
		delete(paths, path)
		if len(paths) == 0 {
			delete(c.unknown, kindOf(path))
		}
	}
}
