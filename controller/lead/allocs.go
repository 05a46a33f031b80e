package lead

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"sluice/store"
	"sluice/store/etcd"
)

const (
	// auditInterval is how often the leader reads on in alloc/, and pagesAtOnce how many pages of
	// 2,000 keys then: a cluster of a hundred thousand ports is read through in ten minutes.
	auditInterval = 30 * time.Second
	pagesAtOnce   = 10
	// viewAtOnce is how many keys are looked at under the picture's lock at one time.
	viewAtOnce = 250
	// restoreTime bounds how long one round restores what objects lack; the next pass goes on.
	restoreTime = 10 * time.Second
	// maxStrays bounds those that are kept in mind; the next pass finds the others.
	maxStrays = 10_000
	// toldAtOnce is how many keys that were mended get a line in the log; the others are counted.
	toldAtOnce = 10
)

// audit is one pass over alloc/ and what it found. The zero audit has not begun.
type audit struct {
	began store.Revision // of the picture; 0: no pass is under way
	after string         // the path after which it goes on
	keys  int            // that it read
	right tally          // how many of an object's values are right
	found map[string]etcd.AllocKey
}

// tally counts by object. It knows one by a hash of its key, another one in each pass: a pass of many minutes would hold the names
// of all objects. Two objects of one hash may hide that one lacks something until the next pass.
type tally struct {
	seed   maphash.Seed
	counts map[uint64]uint16
}

func newTally() tally { return tally{maphash.MakeSeed(), map[uint64]uint16{}} }

func (t tally) add(owner store.Key) { t.counts[maphash.Comparable(t.seed, owner)]++ }

func (t tally) of(owner store.Key) int { return int(t.counts[maphash.Comparable(t.seed, owner)]) }

// allocs is what the leader knows of alloc/. It is Run's alone.
type allocs struct {
	audit  audit
	strays absences // by stray
}

// audit reads on in alloc/, if this controller leads, and etcd holds the store that it serves. At the
// end of a pass it restores what objects lack there, and frees what no object has and had for long
// enough.
func (l *Leader) audit(ctx context.Context) {
	if !l.Leads() {
		return
	}
	if _, right := l.Store.Trusted(); !right {
		l.allocs = allocs{}
		return
	}
	ctx, cancel := context.WithTimeout(ctx, auditInterval)
	defer cancel()
	if err := l.auditPages(ctx); err != nil && ctx.Err() == nil {
		l.Log.Warn("cannot audit what is taken, trying again", "err", err)
	}
}

func (l *Leader) auditPages(ctx context.Context) error {
	for range pagesAtOnce {
		if last, err := l.auditPage(ctx); err != nil || last {
			return err
		}
	}
	return nil
}

// auditPage reads one page, and ends the pass where it was the last.
func (l *Leader) auditPage(ctx context.Context) (last bool, err error) {
	a := &l.allocs.audit
	if a.began == 0 {
		*a = audit{began: l.Picture.Revision(), right: newTally(), found: map[string]etcd.AllocKey{}}
	}
	page, next, err := l.Store.Allocs(ctx, a.after)
	if err != nil {
		return false, err
	}
	for part := range slices.Chunk(page, viewAtOnce) {
		l.Picture.View(func(s *store.State) {
			for _, key := range part {
				a.judge(s, key)
			}
		})
	}
	a.after, a.keys = next, a.keys+len(page)
	if next != "" {
		return false, nil
	}
	pass := *a
	*a = audit{}
	if err := l.restore(ctx, pass); err != nil {
		return true, err
	}
	return true, l.freeStrays(ctx, pass)
}

func (a *audit) judge(s *store.State, key etcd.AllocKey) {
	verdict, owner := s.JudgeAlloc(key.Path, key.Alloc)
	switch {
	case verdict == store.AllocRight:
		a.right.add(owner)
	case verdict == store.AllocStray && len(a.found) < maxStrays:
		a.found[stray(key)] = key
	}
}

// stray names a key as it was read: one that was written since is another.
func stray(key etcd.AllocKey) string { return fmt.Sprintf("%s@%d", key.Path, key.Modified) }

// restore writes what objects lack: those that were there when the pass began, and did not change.
// It needs no wait: object and value are written in one transaction.
func (l *Leader) restore(ctx context.Context, pass audit) error {
	lacking := l.lacking(pass)
	if len(lacking) == 0 {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	restored, err := l.Store.RestoreTaken(bounded, lacking)
	l.mended("restored", restored)
	if bounded.Err() != nil && ctx.Err() == nil {
		return nil // the next pass goes on
	}
	return err
}

// lacking are the objects that lack some of their values after a pass.
func (l *Leader) lacking(pass audit) (list []store.Event) {
	var keys []store.Key
	l.Picture.View(func(s *store.State) { keys = s.Takers() })
	for part := range slices.Chunk(keys, viewAtOnce) {
		l.Picture.View(func(s *store.State) {
			for _, key := range part {
				if e, lacks := s.Lacks(key, pass.right.of(key), pass.began); lacks {
					list = append(list, e)
				}
			}
		})
	}
	return list
}

// freeStrays frees the strays of a pass that were strays for long enough.
func (l *Leader) freeStrays(ctx context.Context, pass audit) error {
	names := make([]string, 0, len(pass.found))
	for name := range pass.found {
		names = append(names, name)
	}
	l.allocs.strays.see(names)
	if tooMany(len(names), pass.keys) {
		l.tell(&l.strayProblems, store.Problems{tooManyStrays(pass)})
		return nil
	}
	l.tell(&l.strayProblems, nil)
	right, _ := l.Store.Trusted()
	var due []etcd.AllocKey
	for name, key := range pass.found {
		if !time.Now().Before(l.allocs.strays.due(name, right)) {
			due = append(due, key)
		}
	}
	freed, err := l.Store.FreeStrays(ctx, due)
	l.mended("freed", freed)
	return err
}

// tooManyStrays says why values stay taken that no object has.
func tooManyStrays(pass audit) store.Problem {
	return store.Problem{Object: string(store.KindAlloc), Text: fmt.Sprintf(
		"%d of %d values that are taken are of objects that are not there, and are kept since they are so many: "+
			"bring the objects back; if they are gone for good, `sluice tidy values` lists these values and frees them", len(pass.found), pass.keys)}
}

// mended counts and tells what was put right under alloc/. A freed number is a tombstone from now on.
func (l *Leader) mended(how string, list []etcd.Mended) {
	l.Mended.WithLabelValues(how).Add(float64(len(list)))
	for i, m := range list {
		if i == toldAtOnce {
			l.Log.Warn("more taken values were mended", "how", how, "count", len(list)-i)
			break
		}
		l.Log.Warn("a taken value was mended", "how", how, "value", strings.TrimPrefix(m.Path, store.Prefix), "owner", m.Owner, "was", m.Was)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range list {
		l.tombstones.add(m.Tombstones)
	}
}
