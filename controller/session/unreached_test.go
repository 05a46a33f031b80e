package session

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
	"sluice/store/etcd"
)

// A holder without a session says so in its claim; another controller that has one claims the
// host then, whoever the first choice is, and nobody else's claim is touched.
func TestUnreachedHostIsClaimed(t *testing.T) {
	b := newBench(t, true)
	ctx, key := t.Context(), store.MasterKey("h1")
	b.live("c2")
	b.register()
	held := func() (store.Master, store.Revision) {
		o, modified, err := b.store.Get(ctx, key)
		b.must(err)
		if o == nil {
			return store.Master{}, 0
		}
		return *o.(*store.Master), modified
	}
	put := func(m store.Master) {
		_, modified := held()
		rev, err := b.store.PutIf(ctx, key, &m, modified, b.lease.ID)
		b.must(err)
		b.shown(rev)
	}
	offered := func(what string, want bool) {
		t.Helper()
		before, _ := held()
		b.must(b.srv.offer(ctx))
		if now, _ := held(); now.Unreached != want || now.Controller != before.Controller || now.Generation != before.Generation {
			t.Errorf("%s: the claim is %+v, it was %+v", what, now, before)
		}
	}
	put(store.Master{Controller: "c2", Generation: 5})
	b.eventually("h1 has been without a session", func() bool { return b.srv.Fleet.Get("h1").Gone() >= reachTime })
	offered("another's host", false)
	put(store.Master{Controller: "c1", Generation: 6})
	lease := b.lease
	b.lease = nil
	offered("without a lease", false)
	b.lease = lease
	offered("its own", true)
	_, first := held()
	b.eventually("the picture shows it", func() bool { return b.srv.Picture.Revision() >= first })
	offered("again", true)
	if _, again := held(); again != first {
		t.Error("it was written twice")
	}

	b.bridge()
	b.roles("who comes back claims its own host", map[string]int{"master": 1})
	if now, _ := held(); now.Controller != "c1" || now.Generation <= 6 || now.Unreached {
		t.Errorf("the claim is %+v", now)
	}
	put(store.Master{Controller: "c2", Generation: 50})
	b.roles("it follows a live controller", map[string]int{"slave": 1})
	put(store.Master{Controller: "c2", Generation: 50, Unreached: true})
	b.roles("it takes the host of one that does not reach it", map[string]int{"master": 1})
	if now, _ := held(); now.Controller != "c1" || now.Generation <= 50 || now.Unreached {
		t.Errorf("the claim is %+v", now)
	}
}

// A claim that changed meanwhile is left alone, and stops no other host's; Keep goes on after etcd
// was away.
func TestOfferGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := offline(t).srv
		srv.Picture.Observe(srv.Fleet.Observe)
		batch := store.Batch{Revision: 1}
		for _, name := range []string{"h1", "h2", "h3"} {
			batch.Events = append(batch.Events, store.Event{Key: store.HostKey(name), Object: &store.Host{}, Created: 1, Modified: 1},
				store.Event{Key: store.MasterKey(name), Object: &store.Master{Controller: "c1"}, Created: 1, Modified: 1})
		}
		if err := srv.Picture.Apply(batch); err != nil {
			t.Fatal(err)
		}
		answers := &answering{}
		srv.Store, srv.Lease = answers, func() *etcd.Lease { return &etcd.Lease{} }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- srv.Keep(ctx) }()
		time.Sleep(reachTime + 2*reachTick)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("it ended with %v", err)
		}
		want := []string{"h1", "h1", "h2", "h3"} // etcd is away; then h1's claim has changed; and so again
		if got := answers.asked; len(got) < 4 || !slices.Equal(got[:4], want) {
			t.Errorf("claims were written of %v, want %v", got, want)
		}
	})
}

// answering is an etcd that is away at first; then the first claim has changed, the second host
// is gone, and the third is written.
type answering struct {
	Store
	asked []string
}

func (a *answering) PutIf(_ context.Context, key store.Key, o store.Object, _ store.Revision, _ clientv3.LeaseID) (store.Revision, error) {
	if m, ok := o.(*store.Master); ok && m.Unreached && m.Controller == "c1" {
		a.asked = append(a.asked, key.Host)
	}
	switch {
	case len(a.asked) == 1:
		return 0, store.ErrUnavailable
	case key.Host == "h1":
		return 0, store.ErrConflict
	case key.Host == "h2":
		return 0, store.ErrNotFound
	}
	return 2, nil
}

// A host is unreached after five seconds without a session.
func TestUnreached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := offline(t)
		srv := s.srv
		srv.Picture.Observe(srv.Fleet.Observe)
		put := func(rev store.Revision, key store.Key, o store.Object) {
			if err := srv.Picture.Apply(store.Batch{Revision: rev, Events: []store.Event{{Key: key, Object: o, Created: rev, Modified: rev}}}); err != nil {
				t.Fatal(err)
			}
		}
		put(1, store.HostKey("h1"), &store.Host{})
		put(2, store.MasterKey("h1"), &store.Master{Controller: "c1", Generation: 3})
		h := srv.Fleet.Get("h1")
		expect := func(what string, want int) {
			t.Helper()
			if got := srv.unreached(); len(got) != want {
				t.Errorf("%s: %d hosts are unreached, want %d", what, len(got), want)
			}
		}
		time.Sleep(reachTime - 1)
		expect("just before", 0)
		time.Sleep(time.Nanosecond)
		expect("after five seconds", 1)
		h.Connect()
		time.Sleep(reachTime)
		expect("while its switch is connected", 0)
		h.Disconnect()
		time.Sleep(reachTime - 1)
		expect("a moment after it went", 0)
		time.Sleep(time.Nanosecond)
		expect("long after", 1)
		put(3, store.MasterKey("h1"), &store.Master{Controller: "c1", Generation: 3, Unreached: true})
		expect("when it was said", 0)
		put(4, store.MasterKey("h1"), &store.Master{Controller: "c2", Generation: 4})
		expect("when it is another's", 0)
	})
}
