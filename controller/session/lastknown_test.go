package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/datapath"
	"sluice/store"
)

// awayStore is an etcd that may be away.
type awayStore struct {
	Store
	away  atomic.Bool
	why   error
	asked atomic.Int32
}

func (a *awayStore) Get(ctx context.Context, key store.Key) (store.Object, store.Revision, error) {
	a.asked.Add(1)
	if a.away.Load() {
		return nil, 0, fmt.Errorf("%s: %w", key.Short(), a.why)
	}
	return a.Store.Get(ctx, key)
}

// Without etcd a claim goes on only by one that etcd confirmed to this controller, that nobody has
// followed since, and that the switch takes.
func TestGoOn(t *testing.T) {
	away := &awayStore{why: store.ErrUnavailable}
	b := newBench(t, false, func(o *Options) { away.Store, o.Store = o.Store, away })
	b.register()
	b.bridge()
	s, ctx := b.session(), t.Context()
	expect := func(what string, role datapath.Role, says string) {
		t.Helper()
		err := s.claim(ctx)
		if says == "" && err != nil || says != "" && (!errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: the claim says %v", what, err)
		}
		got, _, err := s.sw.Role(ctx)
		b.must(err)
		if got != role || s.host.GoesOn() != (says == "") {
			t.Errorf("%s: it is %v, and goes on %v; want %v", what, got, s.host.GoesOn(), role)
		}
	}
	away.away.Store(true)
	expect("it never had a claim", datapath.RoleEqual, "masters/h1")
	away.away.Store(false)
	b.must(s.claim(ctx))
	own, _ := s.host.Generations()
	away.away.Store(true)
	expect("it has one", datapath.RoleMaster, "")
	if !s.mayProgram() {
		t.Error("it may not program")
	}
	if _, generation, err := s.sw.Role(ctx); err != nil || generation != own {
		t.Errorf("the generation went from %d to %d, %v", own, generation, err)
	}
	if s.host.Extent() != 0 {
		t.Error("something is marked by a claim")
	}
	b.must(s.settle(ctx))
	if s.host.Idle() || !s.host.GoesOn() {
		t.Error("what was claimed is not compared anew, or not by the last known state")
	}

	answers := s.etcdAnswers(ctx)
	asked := away.asked.Load()
	b.eventually("etcd is asked again and again", func() bool { return away.asked.Load() >= asked+2 })
	select {
	case <-answers:
		t.Error("it answered though it is away")
	default:
	}
	away.away.Store(false)
	select {
	case <-answers:
	case <-time.After(patience):
		t.Fatal("nobody tells that etcd answers")
	}

	lease := b.lease // another has come in its place, and is not announced yet
	spare, err := b.store.GrantLease(ctx, 60)
	b.must(err)
	t.Cleanup(func() { spare.Close() })
	b.lease = spare
	if err := s.settle(ctx); err != nil || !s.host.GoesOn() || !s.mayProgram() {
		t.Errorf("before its lease is announced: %v, it goes on %v", err, s.host.GoesOn())
	}
	b.lease = lease
	b.must(s.settle(ctx))
	if now, _ := s.host.Generations(); now <= own || s.host.GoesOn() || s.etcdAnswers(ctx) != nil {
		t.Errorf("it settled with generation %d, and goes on %v", now, s.host.GoesOn())
	}

	away.away.Store(true)
	away.why = store.ErrHeld
	expect("etcd holds another store", datapath.RoleMaster, "")
	away.why = store.ErrUnavailable
	own, _ = s.host.Generations()
	b.must(s.sw.Become(ctx, datapath.RoleMaster, own+1)) // as another controller does
	expect("somebody took the switch over", datapath.RoleSlave, fmt.Sprint("took its switch over with generation ", own+1))
	o, modified, err := b.store.Get(ctx, store.MasterKey("h1"))
	b.must(err)
	_, err = b.store.PutIf(ctx, store.MasterKey("h1"), &store.Master{Controller: "c2", Generation: own + 1}, modified, 0)
	b.must(err)
	b.eventually("the picture shows another's claim", func() bool { return !s.stands() })
	if s.mayProgram() {
		t.Errorf("it may program another's host; the claim was %+v", o)
	}
	expect("another claimed it", datapath.RoleSlave, "masters/h1")
	b.live("c2")
	b.eventually("the picture shows that c2 lives", func() (lives bool) {
		b.srv.Picture.View(func(s *store.State) { lives = s.LiveController("c2") != nil })
		return lives
	})
	away.away.Store(false)
	s.host.GoOn()
	if err := s.settle(ctx); !errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), "c2") {
		t.Errorf("another's host settles with %v", err)
	}
}

// A follower tells a switch that has forgotten them the highest generation that it knows.
func TestFollowerRemindsTheSwitch(t *testing.T) {
	b := newBench(t, false)
	b.register()
	rev, err := b.store.PutIf(t.Context(), store.MasterKey("h1"), &store.Master{Controller: "c2", Generation: 50}, 0, 0)
	b.must(err)
	b.shown(rev)
	b.bridge()
	s, ctx := b.session(), t.Context()
	s.host.GoOn()
	b.must(s.becomeSlave(ctx))
	if s.host.GoesOn() {
		t.Error("a follower programs by the last known state")
	}
	if err := s.sw.Become(ctx, datapath.RoleMaster, 49); !errors.Is(err, datapath.ErrStale) {
		t.Errorf("a master that was replaced before the last: %v", err)
	}
	b.must(s.sw.Become(ctx, datapath.RoleMaster, 50))
}
