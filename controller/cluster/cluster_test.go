package cluster

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"sluice/store"
)

func at(rev store.Revision, events ...store.Event) store.Batch {
	return store.Batch{Revision: rev, Events: events}
}

func apply(t *testing.T, p *Picture, batches ...store.Batch) {
	t.Helper()
	for _, b := range batches {
		if err := p.Apply(b); err != nil {
			t.Fatal(err)
		}
	}
}

// Floors of revisions that etcd has taken back would vouch for others of the same number.
func TestEtcdGoesBack(t *testing.T) {
	p := New()
	apply(t, p, at(10), at(10), at(12))
	if err := p.Apply(at(11)); err == nil || !strings.Contains(err.Error(), "from revision 12 to 11") {
		t.Errorf("got %v", err)
	}
	if p.Revision() != 12 {
		t.Errorf("a batch that was refused moved the picture to revision %d", p.Revision())
	}
}

func TestObserversSeeEachBatchInTheirOrder(t *testing.T) {
	var told []string
	var updates []Update
	p := New()
	p.Observe(
		func(u Update) { told, updates = append(told, "first"), append(updates, u) },
		func(Update) { told = append(told, "second") })
	tenant := store.Event{Key: store.TenantKey("alice"), Object: &store.Tenant{Number: 1}, Created: 4, Modified: 4}
	apply(t, p, at(4, tenant), at(9))
	if want := []string{"first", "second", "first", "second"}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	first, second := updates[0], updates[1]
	if len(first.Changes) != 1 || first.From != 1 || first.Batch.Revision != 4 || first.State.Tenant("alice") == nil {
		t.Errorf("the first update is %+v", first)
	}
	if len(second.Changes) != 0 || second.From != 5 {
		t.Errorf("the second update is %+v", second)
	}
}

func TestLoadedWithTheFirstBatch(t *testing.T) {
	p := New()
	select {
	case <-p.Loaded():
		t.Fatal("an empty picture is loaded")
	default:
	}
	apply(t, p, at(0), at(1)) // the list of an empty store
	<-p.Loaded()
}

// Those go on whose revision is reached, in whatever order they came; nobody else does.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New()
		apply(t, p, at(5))
		if err := p.Await(t.Context(), 5); err != nil {
			t.Errorf("a revision that is there: %v", err)
		}
		results := make(chan store.Revision, 4)
		for _, rev := range []store.Revision{9, 7, 8, 7} {
			go func() {
				if err := p.Await(t.Context(), rev); err != nil {
					t.Error(err)
				}
				results <- rev
			}()
			synctest.Wait()
		}
		for _, step := range []struct {
			revision store.Revision
			woken    []store.Revision
			left     int
		}{{6, nil, 4}, {8, []store.Revision{7, 7, 8}, 1}, {9, []store.Revision{9}, 0}} {
			apply(t, p, at(step.revision))
			synctest.Wait()
			var woken []store.Revision
			for len(results) > 0 {
				woken = append(woken, <-results)
			}
			slices.Sort(woken)
			if !slices.Equal(woken, step.woken) || len(p.waiters) != step.left {
				t.Errorf("at revision %d those went on who waited for %v, and %d wait; want %v and %d",
					step.revision, woken, len(p.waiters), step.woken, step.left)
			}
		}
	})
}

// Who gives up is told how far the watch is, and leaves the others waiting.
func TestAwaitGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New()
		apply(t, p, at(8))
		stays, gone := make(chan error, 1), make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { stays <- p.Await(t.Context(), 20) }()
		go func() { gone <- p.Await(ctx, 20) }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "at revision 8, not yet at 20") {
			t.Errorf("who gave up is told %v", err)
		}
		if len(p.waiters) != 1 {
			t.Errorf("%d wait, want the one who did not give up", len(p.waiters))
		}
		apply(t, p, at(20))
		if err := <-stays; err != nil {
			t.Errorf("who stayed is told %v", err)
		}
	})
}

func TestMasters(t *testing.T) {
	p := New()
	apply(t, p, at(3, store.Event{Key: store.MasterKey("h1"), Object: &store.Master{Controller: "c1"}, Created: 2, Modified: 3}))
	p.View(func(s *store.State) {
		if !IsMaster(s, "c1", "h1") || IsMaster(s, "c2", "h1") || IsMaster(s, "c1", "h2") {
			t.Error("IsMaster is wrong")
		}
		if IsAnothers(s, "c1", "h1") || !IsAnothers(s, "c2", "h1") || IsAnothers(s, "c1", "h2") {
			t.Error("IsAnothers is wrong")
		}
	})
}

// A walk over many objects lets a batch in that waits: it is applied before the walk has looked at
// more than one hold's worth of objects.
func TestAWalkHoldsUpNoBatch(t *testing.T) {
	p := New()
	apply(t, p, at(1))
	const all = 10 * perView
	applied := make(chan error, 1)
	var order, before []int
	p.Each(all, func(s *store.State, i int) {
		order = append(order, i)
		if i == 0 {
			go func() { applied <- p.Apply(at(2)) }()
			for p.mu.TryRLock() { // until the batch waits for the lock
				p.mu.RUnlock()
				runtime.Gosched()
			}
		}
		if s.Revision() == 1 {
			before = append(before, i)
		}
	})
	if err := <-applied; err != nil {
		t.Fatal(err)
	}
	if len(before) > perView {
		t.Errorf("the batch waited for %d objects, more than %d", len(before), perView)
	}
	if len(order) != all || !slices.IsSorted(order) || order[all-1] != all-1 {
		t.Errorf("the walk looked at %d objects, not at each of %d once", len(order), all)
	}
}
