package etcd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
	"sluice/store/etcd/backuptest"
	"sluice/store/etcd/freeport"
)

// place is an address at which first one etcd serves and then another.
type place struct {
	t            *testing.T
	client, peer string
	server       *Embedded
}

func newPlace(t *testing.T) *place {
	t.Helper()
	return &place{t: t, client: freeport.URL(t), peer: freeport.URL(t)}
}

// serve has the etcd of a directory serve, instead of the one before.
func (p *place) serve(dir string) {
	p.t.Helper()
	p.away()
	var err error
	p.server, err = StartEmbedded(testContext(p.t), EmbedOptions{Dir: dir, ClientURL: p.client, PeerURL: p.peer, Log: testLog(p.t)})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.server.Close)
}

func (p *place) away() {
	if p.server != nil {
		p.server.Close()
	}
}

// restored is a directory with what a backup held.
func (p *place) restored(file string, bump uint64) string {
	p.t.Helper()
	dir := filepath.Join(p.t.TempDir(), "etcd")
	backuptest.Restore(p.t, file, dir, "sluice", p.peer, bump)
	return dir
}

// controllerTrust is that of a controller, without an operator who adopts.
func controllerTrust(file string) TrustOptions {
	return TrustOptions{File: file, Founds: true, Help: "start it with --adopt",
		Decide: func(_ context.Context, _ *Client, _ store.Sight, j store.Judgement) (bool, error) {
			return !j.Held(), nil
		}}
}

// trusting is a client that judges, as long as the test runs.
func trusting(t *testing.T, endpoint string, o TrustOptions) (*Client, *Trust) {
	t.Helper()
	c := connect(t, endpoint)
	trust, err := c.Trust(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); trust.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return c, trust
}

func (p *place) until(t *Trust, what string, holds func(TrustState) bool) {
	p.t.Helper()
	for {
		changed := t.Changed()
		if holds(t.State()) {
			return
		}
		select {
		case <-changed:
		case <-time.After(deadline):
			p.t.Fatalf("never: %s: %+v", what, t.State())
		}
	}
}

func believed(s TrustState) bool { return s.Believed && s.Verdict == store.Right }

func holding(v store.Verdict) func(TrustState) bool {
	return func(s TrustState) bool { return !s.Believed && s.Verdict == v }
}

// TestAnotherStoreIsNotBelieved swaps the etcd under a client that runs: nothing of the other
// store is yielded, read or written to, and with the right one back all goes on by itself.
func TestAnotherStoreIsNotBelieved(t *testing.T) {
	right := t.TempDir()
	p := newPlace(t)
	p.serve(right)
	file := filepath.Join(t.TempDir(), "memory.json")
	c, trust := trusting(t, p.client, controllerTrust(file))
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	register(t, c, "h1")
	if err := c.ExtendChain(testContext(t)); err != nil {
		t.Fatal(err)
	}
	backup := backuptest.Save(t, p.client)
	f := follow(t, c.Watch)
	f.next()
	if err := c.ExtendChain(testContext(t)); err != nil {
		t.Fatal(err)
	}
	f.until(createTenant(t, c, store.TenantSpec{Name: "bob"}))
	if err := trust.Judge(testContext(t)); err != nil { // else the second stamp is seen a minute later
		t.Fatal(err)
	}

	for _, other := range []struct {
		name    string
		dir     string
		verdict store.Verdict
	}{
		{"empty", t.TempDir(), store.Another},
		{"restored", p.restored(backup, 0), store.WentBack},
		{"restored with --bump-revision", p.restored(backup, 1_000_000), store.WentBack},
		{"foreign", foreign(t, p), store.Another},
	} {
		t.Run(other.name, func(t *testing.T) {
			p.serve(other.dir)
			p.until(trust, "it holds", holding(other.verdict))
			before := everything(t, p.client)
			ctx, cancel := shortContext(t)
			defer cancel()
			for what, err := range map[string]error{
				"a write":        second(c.CreateTenant(ctx, store.TenantSpec{Name: "carol"})),
				"a read":         second2(c.Get(ctx, store.TenantKey("alice"))),
				"a list":         second2(c.List(ctx, store.KindTenant)),
				"a registration": second(c.RegisterHost(ctx, "h9", hostObject("h9"))),
				"a stamp":        c.ExtendChain(ctx),
			} {
				if !errors.Is(err, store.ErrHeld) || !strings.Contains(err.Error(), "start it with --adopt") {
					t.Errorf("%s: %v; want a refusal that says what to do", what, err)
				}
			}
			if since, right := c.Trusted(); right || !since.IsZero() {
				t.Errorf("trusted since %v: %v", since, right)
			}
			if diff := cmp.Diff(before, everything(t, p.client)); diff != "" {
				t.Errorf("the other store was written to: -before +after\n%s", diff)
			}
			select {
			case b := <-f.batches:
				t.Errorf("the watch yielded %+v", b)
			default:
			}

			p.serve(right)
			p.until(trust, "it goes on", believed)
			f.until(createTenant(t, c, store.TenantSpec{Name: "after-" + strings.ReplaceAll(strings.ReplaceAll(other.name, " ", "-"), "--", "")}))
			f.agrees(c)
		})
	}
}

// foreign is the directory of another cluster's store, with an identity and hosts of its own.
func foreign(t *testing.T, p *place) string {
	t.Helper()
	dir := t.TempDir()
	p.serve(dir)
	other := connect(t, p.client)
	if err := other.found(testContext(t), store.Sight{}); err != nil {
		t.Fatal(err)
	}
	for n := range 40 {
		createTenant(t, other, store.TenantSpec{Name: numbered(n)})
	}
	register(t, other, "h1")
	for range 3 {
		if err := other.ExtendChain(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// everything is what etcd holds, but what lives under leases.
func everything(t *testing.T, endpoint string) map[string]string {
	t.Helper()
	got, err := connect(t, endpoint).etcd.Get(testContext(t), "", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, kv := range got.Kvs {
		if kv.Lease == 0 {
			all[string(kv.Key)] = string(kv.Value)
		}
	}
	return all
}

// A controller that starts anew knows its store again, and holds before anything else.
func TestMemoryOutlivesItsController(t *testing.T) {
	p := newPlace(t)
	p.serve(t.TempDir())
	file := filepath.Join(t.TempDir(), "memory.json")
	first := connect(t, p.client)
	trust, err := first.Trust(controllerTrust(file))
	if err != nil {
		t.Fatal(err)
	}
	createTenant(t, first, store.TenantSpec{Name: "alice"}) // judges by itself
	if _, err := os.Stat(file); err == nil {
		t.Error("a store that has neither a host nor a stamp is remembered for good")
	}
	register(t, first, "h1")
	if err := trust.Judge(testContext(t)); err != nil {
		t.Fatal(err)
	}
	served := trust.State().Memory
	p.serve(t.TempDir())

	again := connect(t, p.client)
	o := controllerTrust(file)
	adopt := false
	o.Decide = func(_ context.Context, _ *Client, _ store.Sight, _ store.Judgement) (bool, error) { return adopt, nil }
	trust, err = again.Trust(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.CreateTenant(testContext(t), store.TenantSpec{Name: "alice"}); !errors.Is(err, store.ErrHeld) || !strings.Contains(err.Error(), served.Store) {
		t.Errorf("written to an empty store: %v", err)
	}
	if len(everything(t, p.client)) != 0 {
		t.Error("the empty store is not empty")
	}
	adopt = true
	if err := trust.Judge(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if now := trust.State(); !believed(now) || now.Memory.Store == served.Store || now.Memory.Store == "" {
		t.Errorf("after the word: %+v", now)
	}
	createTenant(t, again, store.TenantSpec{Name: "alice"})
}

// TestStoreWithoutHostsIsKnownAgain: what the leader stamped is remembered, also where no host ever
// registered, so that a controller that starts with an older state of it holds.
func TestStoreWithoutHostsIsKnownAgain(t *testing.T) {
	p := newPlace(t)
	p.serve(t.TempDir())
	file := filepath.Join(t.TempDir(), "memory.json")
	o := controllerTrust(file)
	o.Witness = store.WitnessControllerKey("c1")
	c, trust := trusting(t, p.client, o)
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	backup := backuptest.Save(t, p.client)
	if err := c.ExtendChain(testContext(t)); err != nil {
		t.Fatal(err)
	}
	p.until(trust, "it remembers the stamp", func(s TrustState) bool { return s.Memory.Last.Number > 0 })
	if kept, err := readMemory(file); err != nil || kept.Last.Number == 0 {
		t.Errorf("kept: %+v, %v", kept, err)
	}
	for name, other := range map[string]struct {
		dir     string
		verdict store.Verdict
	}{
		"empty":    {t.TempDir(), store.Another},
		"restored": {p.restored(backup, 0), store.WentBack},
		"bumped":   {p.restored(backup, 1_000_000), store.WentBack},
	} {
		p.serve(other.dir)
		again, err := connect(t, p.client).Trust(controllerTrust(file))
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Judge(testContext(t)); err != nil || !holding(other.verdict)(again.State()) {
			t.Errorf("%s: %+v, %v", name, again.State(), err)
		}
	}
}

// Whoever asks before a controller came believes a store without identity, but does not know
// it to be right; once it has its identity it does.
func TestStoreWithoutIdentity(t *testing.T) {
	p := newPlace(t)
	p.serve(t.TempDir())
	o := controllerTrust(filepath.Join(t.TempDir(), "memory.json"))
	o.Founds = false
	agent, trust := trusting(t, p.client, o)
	createTenant(t, agent, store.TenantSpec{Name: "alice"})
	if since, right := agent.Trusted(); right {
		t.Errorf("trusted since %v", since)
	}
	if err := connect(t, p.client).found(testContext(t), store.Sight{}); err != nil {
		t.Fatal(err)
	}
	createTenant(t, agent, store.TenantSpec{Name: "bob"}) // judges anew
	if since, right := agent.Trusted(); !right || since.IsZero() || trust.State().Memory.Store == "" {
		t.Errorf("trusted since %v: %v; remembers %+v", since, right, trust.State().Memory)
	}
}

// The identity is written once, whoever comes first.
func TestOneIdentity(t *testing.T) {
	e := serve(t)
	for _, err := range together(5, func(int) error { return connect(t, e.Endpoints()...).found(testContext(t), store.Sight{}) }) {
		if err != nil {
			t.Error(err)
		}
	}
	c := connect(t, e.Endpoints()...)
	first := *get[store.Identity](t, c, store.IdentityKey())
	if err := c.found(testContext(t), store.Sight{}); err != nil {
		t.Fatal(err)
	}
	if again := *get[store.Identity](t, c, store.IdentityKey()); again != first || first.ID == "" {
		t.Errorf("identity %+v, then %+v", first, again)
	}
}

func second2[A, B any](_ A, _ B, err error) error { return err }

// What happened after the last stamp is known too: a second after it was written its witness is
// kept, and a store that was restored to before is not believed, though it has all stamps and went
// on to a higher revision.
func TestWitnessIsYoungerThanTheStamp(t *testing.T) {
	p := newPlace(t)
	p.serve(t.TempDir())
	file := filepath.Join(t.TempDir(), "memory.json")
	o := controllerTrust(file)
	o.Witness = store.WitnessControllerKey("c1")
	c, _ := trusting(t, p.client, o)
	register(t, c, "h1")
	if err := c.ExtendChain(testContext(t)); err != nil {
		t.Fatal(err)
	}
	keptAt := func(rev store.Revision) {
		t.Helper()
		for end := time.Now().Add(deadline); ; time.Sleep(20 * time.Millisecond) {
			if m, err := readMemory(file); err == nil && m.Witness > rev {
				return
			}
			if time.Now().After(end) {
				t.Fatal("the witness is not kept")
			}
		}
	}
	keptAt(createTenant(t, c, store.TenantSpec{Name: "alice"}))
	backup := backuptest.Save(t, p.client)
	keptAt(createTenant(t, c, store.TenantSpec{Name: "bob"}))
	p.serve(p.restored(backup, 1_000_000))
	again := connect(t, p.client)
	trust, err := again.Trust(o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = again.CreateTenant(testContext(t), store.TenantSpec{Name: "carol"})
	if s := trust.State(); !errors.Is(err, store.ErrHeld) || s.Verdict != store.WentBack || !strings.Contains(s.Why, "lacks what was written") {
		t.Errorf("%v: %+v", err, s)
	}
}
