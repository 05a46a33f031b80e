package etcd

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// seen is what a stream last took in of a key.
type seen struct {
	modified   store.Revision
	unreadable bool // so its object was not yielded, or its deletion was
}

// mirror is what a stream took in: enough to find the difference to any list.
type mirror struct {
	revision store.Revision
	stale    bool // a list must come before the next watch
	seen     map[string]seen
}

func newMirror() mirror { return mirror{stale: true, seen: map[string]seen{}} }

// relist reads everything and yields how it differs from the mirror.
func (s *stream) relist(ctx context.Context) error {
	present := make(map[string]bool, len(s.mirror.seen))
	var batch store.Batch
	at, err := s.list(ctx, listing{ranges: s.listed}, func(kv *mvccpb.KeyValue) error {
		path := string(kv.Key)
		if s.passed(path) {
			return nil
		}
		present[path] = true
		if s.mirror.seen[path].modified == store.Revision(kv.ModRevision) {
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
			s.mirror.seen[e.Key.String()] = seen{}
		}
		return err
	}
	if at < s.mirror.revision {
		s.mirror.distrust(at)
		return errBack
	}
	for _, path := range slices.Sorted(maps.Keys(s.mirror.seen)) {
		if present[path] {
			continue
		}
		if event, ok := s.drop(path, at); ok {
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
	for path := range m.seen {
		m.seen[path] = seen{}
	}
	m.revision, m.stale = at, true
}

// snapshot is what a fresh list showed: the mirror must agree once the events up to its
// revision have arrived.
type snapshot struct {
	revision store.Revision
	modified map[string]store.Revision
	touched  map[string]bool // keys with events since the list
}

// look is called when it is time to compare: first it lists, then, after a while in which
// events on their way arrive, it compares. It returns when to call it again.
func (s *stream) look(ctx context.Context) (time.Duration, error) {
	if s.audit != nil {
		audit := s.audit
		s.audit = nil
		return s.compare, s.mend(ctx, audit)
	}
	audit := &snapshot{modified: make(map[string]store.Revision, len(s.mirror.seen)), touched: map[string]bool{}}
	at, err := s.list(ctx, listing{ranges: s.listed, keysOnly: true}, func(kv *mvccpb.KeyValue) error {
		if !s.passed(string(kv.Key)) {
			audit.modified[string(kv.Key)] = store.Revision(kv.ModRevision)
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
	s.audit = audit
	return s.settle, nil
}

// lost are the keys on which the mirror disagrees with a snapshot though no event came.
func (m mirror) lost(a *snapshot) []string {
	var lost []string
	for path, modified := range a.modified {
		if !a.touched[path] && m.seen[path].modified < modified {
			lost = append(lost, path)
		}
	}
	for path, s := range m.seen {
		if _, present := a.modified[path]; !present && !a.touched[path] && s.modified <= a.revision {
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
