package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
	"sluice/store/etcd/freeport"
	"sluice/store/etcd/wire"
)

// follower runs a watch and keeps what its batches add up to.
type follower struct {
	t       *testing.T
	batches chan store.Batch
	held    map[store.Key]store.Event
	last    store.Revision
}

func follow(t *testing.T, watch func(context.Context, func(store.Batch) error) error) *follower {
	t.Helper()
	f := &follower{t: t, batches: make(chan store.Batch), held: map[store.Key]store.Event{}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watch(ctx, func(b store.Batch) error {
			select {
			case f.batches <- b:
			case <-ctx.Done():
			}
			return nil
		})
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return f
}

// next is the next batch, after it was added up.
func (f *follower) next() store.Batch {
	f.t.Helper()
	select {
	case b := <-f.batches:
		f.add(b)
		return b
	case <-time.After(deadline):
		f.t.Fatal("no batch came")
	}
	return store.Batch{}
}

func (f *follower) add(b store.Batch) {
	f.t.Helper()
	if b.Revision < f.last {
		f.t.Errorf("batch of revision %d after one of %d", b.Revision, f.last)
	}
	f.last = b.Revision
	for _, e := range b.Events {
		if e.Key.Kind == store.KindAlloc || e.Key.Kind == store.KindUsage || strings.HasPrefix(string(e.Key.Kind), "status/") {
			f.t.Errorf("yielded: %s", e.Key)
		}
		if e.Object == nil {
			delete(f.held, e.Key)
		} else {
			f.held[e.Key] = e
		}
	}
}

// until adds batches up until a revision has come.
func (f *follower) until(rev store.Revision) {
	f.t.Helper()
	for f.last < rev {
		f.next()
	}
}

// agrees compares what was added up with what etcd holds.
func (f *follower) agrees(c *Client) {
	f.t.Helper()
	want := map[store.Key]store.Event{}
	for _, kind := range []store.Kind{store.KindTenant, store.KindNetwork, store.KindHost, store.KindPort, store.KindLiveHost, store.KindGateway, store.KindEnrolment, store.KindSchema, store.KindSettings} {
		events, _, err := c.List(testContext(f.t), kind)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, e := range events {
			want[e.Key] = e
		}
	}
	if diff := cmp.Diff(want, f.held, comparers...); diff != "" {
		f.t.Errorf("what etcd holds and what Watch told (-etcd +watch):\n%s", diff)
	}
}

func TestWatchYieldsWholeRevisions(t *testing.T) {
	c := start(t)
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	f := follow(t, c.Watch)
	if first := f.next(); len(first.Events) != 2 {
		t.Errorf("the list has %v, not a tenant and its network", first.Events)
	}
	unwatched := []store.Event{{Key: store.StatusControllerKey("c1"), Object: &store.StatusController{Floor: 1}}, {Key: store.UsageKey("h1"), Object: &store.Usage{}}}
	if err := c.PutStatus(testContext(t), unwatched); err != nil {
		t.Fatal(err)
	}
	if b := follow(t, c.Watch).next(); len(b.Events) != 2 { // nor are they listed
		t.Errorf("another list has %v, not a tenant and its network", b.Events)
	}
	made := createTenant(t, c, store.TenantSpec{Name: "bob"})
	if b := f.next(); b.Revision != made || len(b.Events) != 2 {
		t.Errorf("batch %+v, not the two objects of revision %d", b, made)
	}
	gone, err := c.DeleteTenant(testContext(t), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if b := f.next(); b.Revision != gone || len(b.Events) != 2 || b.Events[0].Object != nil {
		t.Errorf("batch %+v, not the two deletions of revision %d", b, gone)
	}
	f.agrees(c)
}

func TestWatchOfAnEmptyStore(t *testing.T) {
	f := follow(t, start(t).Watch)
	if b := f.next(); len(b.Events) != 0 || b.Revision == 0 {
		t.Errorf("first batch %+v", b)
	}
}

func TestWatchEndsWithItsHandler(t *testing.T) {
	c := start(t)
	enough := errors.New("enough")
	if err := c.Watch(testContext(t), func(store.Batch) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("it ended with %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := c.Watch(ctx, func(store.Batch) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

// More than a page of keys is one list at one revision.
func TestWatchListsPages(t *testing.T) {
	c := start(t)
	var events []store.Event
	for i := range 2*pageSize + 1 {
		events = append(events, store.Event{Key: store.GatewayKey(fmt.Sprintf("t%d", i)), Object: &store.Gateway{Active: "h1"}})
	}
	if err := c.PutStatus(testContext(t), events); err != nil {
		t.Fatal(err)
	}
	if b := follow(t, c.Watch).next(); len(b.Events) != len(events) {
		t.Errorf("%d of %d keys were listed", len(b.Events), len(events))
	}
}

// A watcher that was cut off while etcd compacted lists again and yields the difference.
func TestWatchAcrossCompaction(t *testing.T) {
	server := serve(t)
	c := connect(t, server.Endpoints()...)
	between := wire.To(t, server.Endpoints()[0])
	far := connect(t, between.URL())

	register(t, c, "h1")
	for _, name := range []string{"stays", "goes", "changes"} {
		createTenant(t, c, store.TenantSpec{Name: name})
	}
	f := follow(t, far.Watch)
	f.next()
	between.Cut()

	if _, err := c.DeleteTenant(testContext(t), "goes"); err != nil {
		t.Fatal(err)
	}
	change(t, c, "changes")
	createPort(t, c, portSpec("h1", "stays", "p1"))
	last := createTenant(t, c, store.TenantSpec{Name: "comes"})
	if _, err := c.etcd.Compact(testContext(t), int64(last)); err != nil {
		t.Fatal(err)
	}
	between.Join()

	b := f.next()
	if b.Revision < last || len(b.Events) != 6 { // 2 deleted, 1 changed, 3 made
		t.Errorf("batch at %d, want one at %d or later with the 6 differences: %v", b.Revision, last, b.Events)
	}
	f.agrees(c)
	f.until(createTenant(t, c, store.TenantSpec{Name: "later"}))
	f.agrees(c)
}

// change puts one more host on the list that a tenant may use.
func change(t *testing.T, c *Client, name string) store.Revision {
	t.Helper()
	o, modified, err := c.Get(testContext(t), store.TenantKey(name))
	if err != nil {
		t.Fatal(err)
	}
	tenant := *o.(*store.Tenant)
	tenant.Hosts = append(tenant.Hosts, "h1")
	rev, err := c.PutIf(testContext(t), store.TenantKey(name), &tenant, modified, 0)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// A server that restarts under a watch is watched on.
func TestWatchAcrossRestart(t *testing.T) {
	dir, client, peer := t.TempDir(), freeport.URL(t), freeport.URL(t)
	serveAgain := func() *Embedded {
		e, err := StartEmbedded(testContext(t), EmbedOptions{Dir: dir, ClientURL: client, PeerURL: peer})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		return e
	}
	first := serveAgain()
	c := connect(t, client)
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	f := follow(t, c.Watch)
	f.next()
	first.Close()
	serveAgain()
	f.until(createTenant(t, connect(t, client), store.TenantSpec{Name: "bob"}))
	f.agrees(c)
}

// A watch that sees less than the list stands for one that loses events.
func TestWatchMendsLostEvents(t *testing.T) {
	c := start(t)
	c.compare, c.settle = 50*time.Millisecond, 50*time.Millisecond
	for _, name := range []string{"stays", "goes", "changes"} {
		createTenant(t, c, store.TenantSpec{Name: name})
	}
	blind := &stream{Client: c, mirror: newMirror(), watched: prefixRange(store.Under(store.KindLiveHost)), listed: listed, passed: excluded}
	f := follow(t, func(ctx context.Context, handle func(store.Batch) error) error {
		blind.handle = handle
		return blind.run(ctx)
	})
	f.next()
	if _, err := c.DeleteTenant(testContext(t), "goes"); err != nil {
		t.Fatal(err)
	}
	change(t, c, "changes")
	f.until(createTenant(t, c, store.TenantSpec{Name: "comes"}))
	f.agrees(c)
}

// A value that cannot be read hides nothing but itself.
func TestWatchOfUnreadableValues(t *testing.T) {
	c := start(t)
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	createTenant(t, c, store.TenantSpec{Name: "bob"})
	good, err := c.etcd.Get(testContext(t), store.TenantKey("alice").String())
	if err != nil {
		t.Fatal(err)
	}
	put := func(path, value string) store.Revision {
		t.Helper()
		resp, err := c.etcd.Put(testContext(t), path, value)
		if err != nil {
			t.Fatal(err)
		}
		return store.Revision(resp.Header.Revision)
	}
	put(store.Prefix+"networks/alice/web", "{")
	f := follow(t, c.Watch)
	f.next()
	if len(f.held) != 4 {
		t.Errorf("listed: %v", f.held)
	}

	put(store.TenantKey("alice").String(), "nonsense")
	put(store.Prefix+"nothing/known", "{}")
	f.until(change(t, c, "bob"))
	if _, there := f.held[store.TenantKey("alice")]; there || len(f.held) != 3 {
		t.Errorf("held with an unreadable tenant: %v", f.held)
	}
	if got := c.Problems(); len(got) != 2 {
		t.Errorf("problems: %v", got)
	}
	if got := c.UnknownKinds(); len(got) != 1 || got["nothing"] != 1 { // a newer version's: no problem of ours
		t.Errorf("unknown kinds: %v", got)
	}

	f.until(put(store.TenantKey("alice").String(), string(good.Kvs[0].Value)))
	if _, err := c.etcd.Delete(testContext(t), store.Prefix+"n", clientv3.WithRange(store.Prefix+"networks0"+"z")); err != nil {
		t.Fatal(err)
	}
	f.until(change(t, c, "bob"))
	if _, there := f.held[store.TenantKey("alice")]; !there {
		t.Errorf("a tenant written anew is not held: %v", f.held)
	}
}

// Random operations, with cuts and compactions between: the batches always add up.
func TestWatchAddsUp(t *testing.T) {
	server := serve(t)
	c := connect(t, server.Endpoints()...)
	between := wire.To(t, server.Endpoints()[0])
	far := connect(t, between.URL())
	register(t, c, "h1")
	f := follow(t, far.Watch)
	f.next()
	r := rand.New(rand.NewPCG(1, 2))
	var last store.Revision
	for step := range 120 {
		if step%20 == 10 {
			between.Cut()
		}
		if rev := randomOperation(t, c, r); rev > 0 {
			last = rev
		}
		if step%20 == 19 {
			if _, err := c.etcd.Compact(testContext(t), int64(last)); err != nil && step > 20 {
				t.Logf("compact: %v", err)
			}
			between.Join()
			f.until(last)
			f.agrees(c)
		}
	}
}

// randomOperation returns the revision of what it wrote, if anything.
func randomOperation(t *testing.T, c *Client, r *rand.Rand) (rev store.Revision) {
	t.Helper()
	ctx, tenant, port := testContext(t), fmt.Sprintf("t%d", r.IntN(4)), fmt.Sprintf("p%d", r.IntN(4))
	var err error
	switch r.IntN(5) {
	case 0, 1:
		rev, err = c.CreateTenant(ctx, store.TenantSpec{Name: tenant})
	case 2:
		rev, err = c.DeleteTenant(ctx, tenant)
	case 3:
		var p store.Item[store.Port]
		p, err = c.CreatePort(ctx, portSpec("h1", tenant, port))
		rev = p.Created
	case 4:
		rev, err = c.DeletePort(ctx, store.PortKey("h1", tenant, "default", port), 0)
	}
	for _, expected := range []error{nil, store.ErrExists, store.ErrNotFound, store.ErrInUse} {
		if errors.Is(err, expected) {
			return rev
		}
	}
	t.Fatal(err)
	return 0
}
