package etcd

import (
	"context"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// mirror is what a stream took in: enough to find the difference to any list.
type mirror struct {
	revision store.Revision
	stale    bool // a list must come before the next watch
	seen     sightings
}

func newMirror() mirror { return mirror{stale: true, seen: newSightings()} }

// relist reads everything and yields how it differs from the mirror.
func (s *stream) relist(ctx context.Context) error {
	var batch store.Batch
	absent := s.mirror.absent()
	at, err := s.list(ctx, listing{ranges: s.listed}, func(kv *mvccpb.KeyValue) error {
		path := string(kv.Key)
		if s.passed(path) {
			return nil
		}
		absent.listed(path)
		if saw, _ := s.mirror.seen.get(path); saw.modified == store.Revision(kv.ModRevision) {
			return nil
		}
		if event, ok := s.take(kv, false); ok {
			batch.Events = append(batch.Events, event)
		}
		return nil
	})
	if err != nil {
		// The mirror took some keys in whose events were not yielded: forget those, so
		// that the next list yields them.
		for _, e := range batch.Events {
			s.mirror.seen.put(e.Key.String(), seen{})
		}
		return err
	}
	if at < s.mirror.revision {
		s.mirror.distrust(at)
		return errBack
	}
	for _, gone := range absent.all() {
		if event, ok := s.drop(gone.path, at); ok {
			batch.Events = append(batch.Events, event)
		}
	}
	first := s.mirror.revision == 0
	batch.Revision, s.mirror.revision, s.mirror.stale = at, at, false
	if first && len(batch.Events) == 0 {
		return s.tell(batch)
	}
	return s.yield(batch)
}

// distrust makes the next list yield everything, and start from a revision.
func (m *mirror) distrust(at store.Revision) {
	m.seen.distrust()
	m.revision, m.stale = at, true
}

// absentees are what a list lacks of what was seen before. The list tells its paths in their order.
type absentees struct {
	mirror *mirror
	last   string // path that the list told
	gone   []sighting
}

func (m *mirror) absent() *absentees { return &absentees{mirror: m} }

// listed notes what was seen between the last path of the list and its next one.
func (a *absentees) listed(path string) {
	for s := range a.mirror.seen.after(a.last) {
		if s.path >= path {
			break
		}
		a.gone = append(a.gone, s)
	}
	a.last = path
}

// all are those that the list lacks, once it is over.
func (a *absentees) all() []sighting {
	return slices.AppendSeq(a.gone, a.mirror.seen.after(a.last))
}

// snapshot is where a fresh list differs from the mirror: they must agree once the events up to its
// revision have arrived.
type snapshot struct {
	revision store.Revision
	newer    map[string]store.Revision // keys of which the list shows a later revision
	gone     []string                  // keys that the list lacks
	touched  map[string]bool           // keys with events since the list
}

// look is called when it is time to compare: first it lists, then, after a while in which
// events on their way arrive, it compares. It returns when to call it again.
func (s *stream) look(ctx context.Context) (time.Duration, error) {
	if s.audit != nil {
		audit := s.audit
		s.audit = nil
		return s.compare, s.mend(ctx, audit)
	}
	audit := &snapshot{newer: map[string]store.Revision{}, touched: map[string]bool{}}
	absent := s.mirror.absent()
	at, err := s.list(ctx, listing{ranges: s.listed, keysOnly: true}, func(kv *mvccpb.KeyValue) error {
		path, modified := string(kv.Key), store.Revision(kv.ModRevision)
		if s.passed(path) {
			return nil
		}
		absent.listed(path)
		if saw, _ := s.mirror.seen.get(path); saw.modified < modified {
			audit.newer[path] = modified
		}
		return nil
	})
	if err != nil {
		s.log.Warn("list to compare with the watch failed", "err", err)
		return s.compare, nil
	}
	if at < s.mirror.revision {
		s.mirror.distrust(at)
		return 0, errBack
	}
	audit.revision = at
	for _, gone := range absent.all() {
		audit.gone = append(audit.gone, gone.path)
	}
	s.audit = audit
	return s.settle, nil
}

// lost are the keys on which the mirror disagrees with a snapshot though no event came, sorted.
func (m *mirror) lost(a *snapshot) []string {
	var lost []string
	for path, modified := range a.newer {
		if saw, _ := m.seen.get(path); !a.touched[path] && saw.modified < modified {
			lost = append(lost, path)
		}
	}
	for _, path := range a.gone {
		if saw, known := m.seen.get(path); known && !a.touched[path] && saw.modified <= a.revision {
			lost = append(lost, path)
		}
	}
	slices.Sort(lost)
	return lost
}

// mend yields what the watch lost, as it was at the snapshot's revision.
func (s *stream) mend(ctx context.Context, a *snapshot) error {
	lost := s.mirror.lost(a)
	if len(lost) == 0 {
		return nil
	}
	s.log.Error("the watch lost events: yielding them now", "count", len(lost), "first", lost[0], "rev", a.revision)
	batch := store.Batch{Revision: max(a.revision, s.mirror.revision)}
	for _, path := range lost {
		got, _, err := s.readAsRead(ctx, clientv3.OpGet(path, clientv3.WithRev(int64(a.revision))))
		if err != nil {
			s.mirror.stale = true // a full list finds the same
			return err
		}
		kv, deleted := &mvccpb.KeyValue{Key: []byte(path), ModRevision: int64(a.revision)}, true
		if len(got[0].Kvs) > 0 {
			kv, deleted = got[0].Kvs[0], false
		}
		if event, ok := s.take(kv, deleted); ok {
			batch.Events = append(batch.Events, event)
		}
	}
	return s.yield(batch)
}
