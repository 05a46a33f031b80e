package controller_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/controller"
	"sluice/store"
	"sluice/store/etcd"
	"sluice/store/etcd/etcdtest"
)

// judging starts a controller that judges its store, as sluice controller does.
func (b *bench) judging(name, socket string) *running {
	b.t.Helper()
	client := etcdtest.Connect(b.t, b.server)
	trust, err := client.Trust(etcd.TrustOptions{
		File: filepath.Join(b.t.TempDir(), "store.json"), Founds: true,
		Decide: func(_ context.Context, _ *etcd.Client, _ store.Sight, j store.Judgement) (bool, error) {
			return !j.Held(), nil
		},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return b.startWith(name, socket, func(o *controller.Options) { o.Store, o.Trust = client, trust })
}

// putSchema is what a controller of a newer version writes.
func (b *bench) putSchema(least int) {
	b.t.Helper()
	_, modified, err := b.store.Get(b.ctx, store.SchemaKey())
	if err == nil {
		_, err = b.store.PutIf(b.ctx, store.SchemaKey(), &store.Schema{Least: least}, modified, 0)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// liveControllers are those that etcd knows.
func (b *bench) liveControllers() (names string) {
	b.t.Helper()
	live, _, err := b.store.List(b.ctx, store.KindLiveController)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range live {
		names += e.Key.Name + " "
	}
	return names
}

// A controller that is older than the store asks for claims nothing, and leaves what it had claimed to
// those that are newer; no flow changes meanwhile. Once it may write it goes on by itself.
func TestOlderControllerStandsBack(t *testing.T) {
	b := newBench(t)
	older := b.judging("c1", "c1.sock")
	b.bridge(older.target)
	b.register()
	b.tenant("alice")
	b.realized(b.port("alice", "a1", "aaaaaaaaaaaa", true))
	b.inSync(older)
	before := b.dump()

	b.putSchema(store.SchemaVersion + 1)
	b.eventually("it holds, and says why", func() bool {
		s := older.Serving()
		return s.Held() && strings.Contains(s.Why, "too old") && b.liveControllers() == ""
	})
	if claim := b.claim(); claim != (store.Master{}) {
		t.Errorf("it kept its claim: %+v", claim)
	}
	late := b.judging("c3", "c3.sock")
	b.ovs.VSCtl("set-controller", store.BridgeName, older.target, late.target)
	b.eventually("one that starts holds too", func() bool { return late.Serving().Held() })
	if diff := cmp.Diff(before, b.dump()); diff != "" {
		t.Errorf("flows changed (-before +after):\n%s", diff)
	}

	newer := b.start("c2", "c2.sock") // it asks no store which versions may write
	b.ovs.VSCtl("set-controller", store.BridgeName, older.target, late.target, newer.target)
	b.realized(b.port("alice", "a2", "bbbbbbbbbbbb", true))
	b.inSync(newer)
	if claim := b.claim(); claim.Controller != "c2" || b.liveControllers() != "c2 " {
		t.Errorf("the claim is %+v, live are %s", claim, b.liveControllers())
	}

	b.putSchema(store.SchemaVersion)
	b.eventually("they go on", func() bool { return b.liveControllers() == "c1 c2 c3 " })
	if claim := b.claim(); claim.Controller != "c2" {
		t.Errorf("a holder lost its host: %+v", claim)
	}
	b.inSync(newer)
}
