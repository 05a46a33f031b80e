package session

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/controller/host"
	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/store"
)

// roles waits until the sessions have these roles.
func (b *bench) roles(what string, want map[string]int) {
	b.t.Helper()
	b.eventually(what, func() bool { return maps.Equal(b.srv.Roles(), want) })
}

// realized waits until h1 stands as realized at a revision.
func (b *bench) realized(rev store.Revision) {
	b.t.Helper()
	b.eventually("h1 is realized", func() bool {
		at, exception := b.srv.Fleet.Get("h1").Standing(b.srv.Picture.Revision())
		return exception == nil && at >= rev
	})
}

// A switch is unknown until its host registers, is programmed, may dial in again, and is let go
// with its host.
func TestServe(t *testing.T) {
	b := newBench(t, true, func(o *Options) { o.AuditInterval, o.CounterInterval = 20*time.Millisecond, 20*time.Millisecond })
	ctx := t.Context()
	b.bridge()
	b.eventually("the switch is unknown", func() bool { return slices.Equal(b.unknown(), []store.DatapathID{switchID}) })
	b.roles("an unknown switch has no session", map[string]int{})
	dialled := func() int {
		b.srv.mu.Lock()
		defer b.srv.mu.Unlock()
		return b.srv.unknown[switchID].sessions
	}
	b.ovs.VSCtl("set-controller", store.BridgeName, b.target, b.alias())
	b.eventually("it dialled in twice", func() bool { return dialled() == 2 })
	b.ovs.VSCtl("set-controller", store.BridgeName, b.target)
	b.eventually("one of the two left", func() bool { return dialled() == 1 })
	b.ovs.VSCtl("del-controller", store.BridgeName)
	b.eventually("an unknown switch that left is forgotten", func() bool { return len(b.unknown()) == 0 })
	b.ovs.VSCtl("set-controller", store.BridgeName, b.target)
	b.eventually("it dialled in again", func() bool { return len(b.unknown()) == 1 })

	if _, err := b.srv.Installed(ctx, "h1"); !errors.As(err, &host.ErrUnknown{}) {
		t.Errorf("flows of a host that is not registered: %v", err)
	}
	b.register()
	b.roles("the switch is mastered", map[string]int{"master": 1})
	if len(b.unknown()) > 0 {
		t.Errorf("unknown are %v", b.unknown())
	}
	b.alice()
	a1 := b.port("a1")
	b.eventually("the port's interface is known", func() bool { return b.knows(a1.Value.Interface) })
	b.realized(a1.Created)
	b.eventually("the switch is in sync", func() bool {
		installed, err := b.srv.Installed(ctx, "h1")
		b.must(err)
		return len(installed) == len(b.desired())
	})
	b.spoof(a1.Value.Interface)
	b.eventually("counters are read", func() bool { return b.spoofed() == 1 })
	right := len(b.desired())
	b.ovs.OFCtl("add-flow", store.BridgeName, "table=0,priority=7777,actions=NORMAL")
	b.eventually("drift is counted", func() bool { return count(t, b.srv.Metrics.Drift, "h1", "extra") == 1 })
	b.eventually("and mended", func() bool { return len(b.installedNow()) == right })

	first := b.srv.of(b.srv.Fleet.Get("h1"))
	b.ovs.VSCtl("del-controller", store.BridgeName)
	<-first.over
	b.roles("no session is left", map[string]int{})
	if _, err := b.srv.Installed(ctx, "h1"); !errors.As(err, &host.ErrNotConnected{}) {
		t.Errorf("flows of a switch that is not connected: %v", err)
	}
	if kept, at, err := b.srv.Dumps.Last("h1"); err != nil || len(kept) != right || at.IsZero() {
		t.Errorf("of the last reading %d flows are kept as of %v, not %d: %v", len(kept), at, right, err)
	}
	b.eventually("etcd is told", func() bool { return b.state() == store.HostDown })
	b.ovs.VSCtl("set-controller", store.BridgeName, b.target)
	b.roles("it dialled in again", map[string]int{"master": 1})
	b.realized(a1.Created)
	second := b.srv.of(b.srv.Fleet.Get("h1"))
	b.ovs.VSCtl("del-controller", store.BridgeName)
	<-second.over
	b.ovs.VSCtl("set-controller", store.BridgeName, b.target)
	b.roles("and again", map[string]int{"master": 1})
	third := b.srv.of(b.srv.Fleet.Get("h1"))

	if _, err := b.store.DeleteHost(ctx, "h1"); err != nil {
		t.Fatal(err)
	}
	<-third.over
	if err := third.sw.Err(); !errors.Is(err, errForgotten) {
		t.Errorf("the session of a host that was deleted ended with %v", err)
	}
	b.eventually("its switch is unknown when it dials in again", func() bool { return len(b.unknown()) == 1 })
}

// state is what etcd holds of h1; empty: no exception.
func (b *bench) state() store.HostState {
	b.t.Helper()
	o, _, err := b.store.Get(b.t.Context(), store.StatusHostKey("h1"))
	b.must(err)
	if status, ok := o.(*store.StatusHost); ok {
		return status.State
	}
	return ""
}

// A switch that dials in twice ends its first session; a session of a host that was deleted does
// not begin.
func TestAdmit(t *testing.T) {
	b := newBench(t, false)
	b.register()
	b.bridge()
	older := b.session()
	b.must(b.srv.admit(t.Context(), older))
	b.ovs.VSCtl("del-controller", store.BridgeName)
	b.ovs.VSCtl("set-controller", store.BridgeName, b.target)
	newer := b.session()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.srv.admit(ended, newer); !errors.Is(err, context.Canceled) || b.srv.of(older.host) != older {
		t.Errorf("while the older one is not over: %v", err)
	}
	if older.sw.Err() == nil {
		t.Error("the older session was not ended")
	}
	done := make(chan error)
	go func() { done <- b.srv.admit(t.Context(), newer) }()
	b.srv.end(older)
	close(older.over)
	b.must(<-done)
	if b.srv.of(newer.host) != newer {
		t.Error("the newer session is not its host's")
	}
	stranger := newSession(b.srv, host.New("h1"), newer.sw, b.srv.Log)
	if err := b.srv.admit(t.Context(), stranger); !errors.Is(err, errForgotten) {
		t.Errorf("of a host that was registered anew: %v", err)
	}
	rev, err := b.store.DeleteHost(t.Context(), "h1")
	b.must(err)
	b.shown(rev)
	if !errors.Is(newer.sw.Err(), errForgotten) {
		t.Errorf("when its host went it ended with %v", newer.sw.Err())
	}
}

// While another controller programs a host this one follows; it takes over when that one is gone,
// and gives way where another has the claim.
func TestFollow(t *testing.T) {
	b := newBench(t, true)
	ctx := t.Context()
	other := b.live("c2")
	b.register()
	key := store.MasterKey("h1")
	rev, err := b.store.PutIf(ctx, key, &store.Master{Controller: "c2", Generation: 5}, 0, 0)
	b.must(err)
	b.shown(rev)
	b.alice()
	b.bridge()
	b.roles("it follows", map[string]int{"slave": 1})
	if n := len(b.installedNow()); n > 0 {
		t.Errorf("a slave programmed %d flows", n)
	}
	a1 := b.port("a1")
	b.eventually("a slave learns of ports", func() bool { return b.knows(a1.Value.Interface) })
	b.must(other.Close())
	b.roles("it takes over", map[string]int{"master": 1})
	b.realized(a1.Created)
	a2 := b.port("a2")
	b.eventually("a master learns of ports", func() bool { return b.knows(a2.Value.Interface) })
	b.realized(a2.Created)
	for _, how := range []string{auditCounted, auditQuick, auditDiffers, auditWhole} {
		if n := count(t, b.srv.Metrics.Audits, how); n > 0 {
			t.Errorf("%d audits went %s within an hour", n, how)
		}
	}
	b.spoof(a1.Value.Interface)
	o, modified, err := b.store.Get(ctx, key)
	b.must(err)
	if m := o.(*store.Master); m.Controller != "c1" || m.Generation <= 5 {
		t.Errorf("the claim is %+v", m)
	}
	other = b.live("c2")
	_, err = b.store.PutIf(ctx, key, &store.Master{Controller: "c2", Generation: 50}, modified, 0)
	b.must(err)
	b.roles("it gives way", map[string]int{"slave": 1})
	b.must(other.Close())
	b.roles("and takes over again", map[string]int{"master": 1})

	if b.log.says(`master" dpid=` + switchID.String() + " host=h1 err=<nil>") {
		t.Error("giving way is told as a failure")
	}
	if b.spoofed() != 0 {
		t.Error("counters are read though they are never to be")
	}

	// Another connection makes itself master on the switch, with a later generation.
	b.ovs.VSCtl("set-controller", store.BridgeName, b.target, b.second())
	b.eventually("this one is demoted, looks again, and claims anew", func() bool {
		o, _, err := b.store.Get(ctx, key)
		b.must(err)
		return o.(*store.Master).Generation > 1000
	})
	b.roles("and is the master", map[string]int{"master": 1})
	if !b.log.says("demoted") {
		t.Error("nobody said why")
	}
}

func (b *bench) installedNow() []openflow.FlowStats {
	b.t.Helper()
	list, err := b.srv.Installed(b.t.Context(), "h1")
	b.must(err)
	return list
}

// second is where somebody listens who becomes the master of whatever dials in, once.
func (b *bench) second() (target string) {
	l, target := b.ovs.Listen("c9.sock")
	b.background(func(ctx context.Context) {
		_ = datapath.Serve(ctx, l, datapath.Options{Log: b.srv.Log}, func(ctx context.Context, sw *datapath.Switch) {
			if err := sw.Become(ctx, datapath.RoleMaster, 1000); err != nil && !errors.Is(err, datapath.ErrStale) {
				b.t.Errorf("the second master: %v", err)
			}
			<-ctx.Done()
		})
	})
	return target
}

// A switch whose claim fails stays as it is, and is tried again.
func TestClaimIsTriedAgain(t *testing.T) {
	failing := &failingStore{}
	failing.left.Store(2)
	b := newBench(t, true, func(o *Options) { failing.Store, o.Store = o.Store, failing })
	b.register()
	b.bridge()
	b.roles("it is mastered in the end", map[string]int{"master": 1})
	if failing.left.Load() >= 0 || !b.log.says("not the switch's master") || !b.log.says("etcd is away") {
		t.Error("nobody said why it took so long")
	}
}

// failingStore is an etcd whose first reads fail.
type failingStore struct {
	Store
	left atomic.Int32 // negative: a read succeeded
}

func (f *failingStore) Get(ctx context.Context, key store.Key) (store.Object, store.Revision, error) {
	if strings.Contains(key.Short(), "masters/") && f.left.Add(-1) >= 0 {
		return nil, 0, errors.New("etcd is away")
	}
	return f.Store.Get(ctx, key)
}

// What somebody edits by hand is mended soon after, long before the next audit is due.
func TestEditIsMendedSoon(t *testing.T) {
	const interval = 2 * time.Minute
	if spread("h1", interval) < patience {
		t.Fatal("the first audit may come before the edit brings it forward")
	}
	b := newBench(t, true, func(o *Options) { o.AuditInterval = interval })
	b.register()
	b.alice()
	b.bridge()
	a1 := b.port("a1")
	b.realized(a1.Created)
	right := len(b.desired())
	b.eventually("the switch is in sync", func() bool { return len(b.installedNow()) == right })
	audits := func() (n int) {
		for _, how := range []string{auditCounted, auditQuick, auditDiffers, auditWhole} {
			n += count(t, b.srv.Metrics.Audits, how)
		}
		return n
	}
	if n := audits(); n > 0 {
		t.Errorf("%d audits came by themselves", n)
	}
	b.ovs.OFCtl("add-flow", store.BridgeName, "table=0,priority=7777,actions=NORMAL")
	b.eventually("the edit is mended", func() bool {
		return count(t, b.srv.Metrics.Drift, "h1", "extra") == 1 && len(b.installedNow()) == right
	})
	if n := audits(); n != 1 {
		t.Errorf("it took %d audits", n)
	}
}
