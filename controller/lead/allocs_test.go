package lead

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"sluice/store"
	"sluice/store/etcd"
)

// Allocs and what mends them are noted apart from the other calls: they come each half minute.
func (r *recorder) Allocs(_ context.Context, after string) (page []etcd.AllocKey, next string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := 0
	if after != "" {
		at = 1 + slices.IndexFunc(r.allocs, func(a etcd.AllocKey) bool { return a.Path == after })
	}
	page = r.allocs[at:]
	if r.perPage > 0 && len(page) > r.perPage {
		page = page[:r.perPage]
		next = page[len(page)-1].Path
	}
	return page, next, r.errs["allocs"]
}

func (r *recorder) RestoreTaken(ctx context.Context, objects []store.Event) (restored []etcd.Mended, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, e := range objects {
		names = append(names, e.Key.Short())
		restored = append(restored, etcd.Mended{Path: "restored", Owner: e.Key.Short()})
	}
	slices.Sort(names)
	r.audited = append(r.audited, fmt.Sprintf("%v: restore %s", time.Since(r.Start), strings.Join(names, " ")))
	if err := r.errs["restore"]; err != nil {
		return nil, err
	}
	return restored, ctx.Err()
}

func (r *recorder) FreeStrays(_ context.Context, strays []etcd.AllocKey) (freed []etcd.Mended, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(strays) == 0 {
		return nil, nil
	}
	r.audited = append(r.audited, fmt.Sprintf("%v: free %d", time.Since(r.Start), len(strays)))
	for _, s := range strays {
		freed = append(freed, etcd.Mended{Path: s.Path, Was: s.Owner, Tombstones: etcd.TombstonesOf(store.TenantKey("x"), &store.Tenant{Number: 9}, 7)})
	}
	return freed, r.errs["free"]
}

// taken sets what is under alloc/ from now on.
func (r *recorder) taken(list ...etcd.AllocKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.allocs = list
}

// asks wants what was asked about alloc/, since this was last called, to be just that.
func (l *led) asks(what string, want ...string) {
	l.t.Helper()
	l.mu.Lock()
	got := l.audited
	l.audited = nil
	l.mu.Unlock()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		l.t.Errorf("%s, asked about alloc/ (-want +got):\n%s", what, diff)
	}
}

// all are the keys under alloc/ of objects.
func all(events ...store.Event) (list []etcd.AllocKey) {
	for _, e := range events {
		for _, taken := range store.TakenBy(e.Key, e.Object) {
			list = append(list, etcd.AllocKey{Path: taken.Key().String(), Alloc: store.Alloc{Owner: e.Key.Short()}, Modified: 1})
		}
	}
	return list
}

// gone are n keys of an object that is not there.
func gone(n int) (list []etcd.AllocKey) {
	for i := range n {
		list = append(list, etcd.AllocKey{Path: store.AllocKey("vlans", fmt.Sprint(i+100)).String(), Alloc: store.Alloc{Owner: "networks/alice/gone"}, Modified: 5})
	}
	return list
}

// Objects get back what they lack at the end of the pass that missed it, if they are as they were
// when it began; a pass goes over many rounds.
func TestObjectsGetBackWhatTheyLack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := leading(t)
		ports := portsOf("h1", 100)
		keys := all(append(hosts(), ports...)...)
		l.taken(keys...)
		l.Until(5 * time.Minute)
		l.asks("where nothing lacks")
		l.perPage = 20 // so that a pass takes two rounds
		l.taken(slices.DeleteFunc(keys, func(a etcd.AllocKey) bool { return a.Owner == ports[7].Key.Short() && strings.Contains(a.Path, "macs") })...)
		l.Until(5*time.Minute + 30*time.Second)
		l.asks("while the pass goes on")
		l.apply(put(store.PortKey("h1", "alice", "default", "new"), &store.Port{Number: 77}))
		l.Until(6 * time.Minute)
		l.asks("at its end", "6m0s: restore ports/h1/alice/default/ph17")
		l.Until(7 * time.Minute)
		l.asks("at the end of the next, with what was new then", "7m0s: restore ports/h1/alice/default/new ports/h1/alice/default/ph17")
		if got := testutil.ToFloat64(l.leader.Mended.WithLabelValues("restored")); got != 3 {
			t.Errorf("%v were counted", got)
		}
		if !strings.Contains(l.log.String(), `msg="a taken value was mended" how=restored value=restored owner=ports/h1/alice/default/ph17`) {
			t.Errorf("the log says %s", l.log)
		}
		l.stop()
	})
}

// What no object has is freed when it was so for ten minutes, whoever rewrites it meanwhile; what
// many lack takes more than a wait.
func TestStraysWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := leading(t)
		l.reached(1)
		keys := all(append(hosts(), portsOf("h1", 100)...)...)
		l.taken(append(gone(3), keys...)...)
		l.Until(5 * time.Minute)
		rewritten := append(gone(3), keys...)
		rewritten[0].Modified = 9
		l.taken(rewritten...)
		l.Until(10*time.Minute + 29*time.Second)
		l.asks("before")
		l.Until(10*time.Minute + 30*time.Second)
		l.asks("after ten minutes", "10m30s: free 2")
		l.taken(append(rewritten[:1:1], keys...)...)
		l.Until(15*time.Minute + 30*time.Second)
		l.asks("after ten minutes of the other", "15m30s: free 1")
		if got := testutil.ToFloat64(l.leader.Mended.WithLabelValues("freed")); got != 3 || len(l.leader.tombstones.known) != 1 {
			t.Errorf("%v were counted, and %d tombstones are known", got, len(l.leader.tombstones.known))
		}

		l.taken(append(gone(45), keys...)...)
		l.Until(time.Hour)
		l.asks("of many")
		l.says("of many", 1, "45 of 346 values that are taken are of objects that are not there")
		l.taken(append(gone(20), keys...)...)
		l.Until(time.Hour + 30*time.Second)
		l.asks("of fewer", "1h0m30s: free 20")
		l.says("of fewer", 0, "")
		if says := l.log.String(); strings.Count(says, "how=freed value=") != 13 || !strings.Contains(says, `msg="more taken values were mended" how=freed count=10`) {
			t.Errorf("the log says %s", says)
		}
		l.stop()
	})
}

// No pass is made by one that does not lead, nor while the store is in doubt; what fails is told, and
// tried again.
func TestAuditsOfTheLeaderAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := leading(t)
		keys := all(append(hosts(), portsOf("h1", 100)...)...)
		l.taken(append(gone(3), keys...)...)
		l.doubt(true)
		l.Until(20 * time.Minute)
		l.doubt(false)
		l.Until(30 * time.Minute)
		l.asks("ten minutes since a time in doubt")
		l.elect(false)
		l.Until(40 * time.Minute)
		l.elect(true)
		l.Until(50*time.Minute - 1)
		l.asks("ten minutes since another led")
		l.Until(50 * time.Minute)
		l.asks("then", "50m0s: free 3")
		for _, c := range []struct {
			what  string
			taken []etcd.AllocKey
		}{{"allocs", keys}, {"restore", nil}, {"free", append(gone(3), keys...)}} {
			l.taken(c.taken...)
			l.fails(c.what, fmt.Errorf("etcd is away"))
			l.log.Reset()
			l.Until(time.Since(l.Start) + 12*time.Minute)
			if !strings.Contains(l.log.String(), "cannot audit what is taken") {
				t.Errorf("when %s fails the log says %s", c.what, l.log)
			}
			l.fails(c.what, nil)
		}
		l.stop()
	})
}
