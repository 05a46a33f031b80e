package name

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
	"sluice/store/etcd"
	"sluice/store/etcd/etcdtest"
)

// named is the name c1 of a controller that does not run.
func named(client *etcd.Client, live store.LiveController) *Name {
	return New("c1", live, nil, client, slog.New(slog.DiscardHandler))
}

// A controller that was cut off, and lost its lease, announces itself again; but not where
// another one took its name meanwhile.
func TestAnnounceAgain(t *testing.T) {
	client := etcdtest.Connect(t, etcdtest.Start(t))
	announce := func(c *Name) *etcd.Lease {
		t.Helper()
		lease, err := c.announce(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { lease.Close() })
		return lease
	}

	first := named(client, store.LiveController{})
	announce(first)
	if err := announce(first).Close(); err != nil { // over its own key, then without one
		t.Fatal(err)
	}
	announce(first)

	since := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	later := announce(named(client, store.LiveController{Machine: "ctl2", OpenFlow: "192.0.2.2:6653", API: "http://127.0.0.1:8080", Since: since}))
	_, err := first.announce(t.Context())
	if !errors.Is(err, ErrTaken) {
		t.Fatalf("the older one announced itself: %v", err)
	}
	for _, says := range []string{"controller c1", "ctl2", "2026-03-04T05:06:07Z", "192.0.2.2:6653", "--name"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("the error does not say %s: %v", says, err)
		}
	}
	if err := later.Close(); err != nil {
		t.Fatal(err)
	}
	announce(first) // nobody else has the name any more
}

// What the watch shows of the name ends a controller only where it came after its own
// announcement, and from another.
func TestLaterKeysOfTheName(t *testing.T) {
	c := named(nil, store.LiveController{})
	own, other := c.live.Incarnation, "other"
	tests := []struct {
		name        string
		announced   store.Revision // 0: not yet
		key         store.Key
		incarnation string
		modified    store.Revision
		taken       bool
	}{
		{"a predecessor's, before the announcement", 0, store.LiveControllerKey("c1"), other, 7, false},
		{"a predecessor's, shown late", 8, store.LiveControllerKey("c1"), other, 7, false},
		{"its own", 8, store.LiveControllerKey("c1"), own, 8, false},
		{"another's of that very revision: there can be none", 8, store.LiveControllerKey("c1"), other, 8, false},
		{"its own, announced again", 8, store.LiveControllerKey("c1"), own, 9, false},
		{"a successor's", 8, store.LiveControllerKey("c1"), other, 9, true},
		{"another name's", 8, store.LiveControllerKey("c2"), other, 9, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			live := &store.LiveController{Incarnation: tt.incarnation}
			event := store.Event{Key: tt.key, Object: live, Created: 1, Modified: tt.modified}
			c.named = tt.announced
			shown := c.Check(store.Batch{Revision: tt.modified, Events: []store.Event{event}})
			if errors.Is(shown, ErrTaken) != tt.taken {
				t.Errorf("the watch shows it: %v", shown)
			}
		})
	}
}

// The watch may show a successor's key before this controller knows that its own was written.
func TestWatchOvertakesTheAnnouncement(t *testing.T) {
	for modified, taken := range map[store.Revision]bool{7: false, 9: true} {
		c := named(nil, store.LiveController{})
		event := store.Event{Key: store.LiveControllerKey("c1"), Object: &store.LiveController{Incarnation: "other"}, Created: 1, Modified: modified}
		if err := c.Check(store.Batch{Revision: modified, Events: []store.Event{event}}); err != nil {
			t.Fatal(err)
		}
		if err := c.nowNamed(8); errors.Is(err, ErrTaken) != taken {
			t.Errorf("announced at 8, another's key at %d: %v", modified, err)
		}
	}
}

// flaky is an etcd whose next answers are errors.
type flaky struct {
	*etcd.Client
	grants, gets, puts []error
	ttl                []int // of the leases that were asked for
	granted            []*etcd.Lease
}

func next(errs *[]error) (err error) {
	if len(*errs) > 0 {
		err, *errs = (*errs)[0], (*errs)[1:]
	}
	return err
}

func (f *flaky) GrantLease(ctx context.Context, ttl int) (*etcd.Lease, error) {
	f.ttl = append(f.ttl, ttl)
	if err := next(&f.grants); err != nil {
		return nil, err
	}
	lease, err := f.Client.GrantLease(ctx, ttl)
	if err == nil {
		f.granted = append(f.granted, lease)
	}
	return lease, err
}

func (f *flaky) Get(ctx context.Context, key store.Key) (store.Object, store.Revision, error) {
	if err := next(&f.gets); err != nil {
		return nil, 0, err
	}
	return f.Client.Get(ctx, key)
}

func (f *flaky) PutIf(ctx context.Context, key store.Key, o store.Object, modified store.Revision, lease clientv3.LeaseID) (store.Revision, error) {
	if err := next(&f.puts); err != nil {
		return 0, err
	}
	return f.Client.PutIf(ctx, key, o, modified, lease)
}

// kept is the name c1 that Keep keeps.
type kept struct {
	*Name
	log       *bytes.Buffer // to be read when Keep has ended
	announced chan struct{}
	ended     chan error
	cancel    func()
}

func keep(t *testing.T, s Store) *kept {
	t.Helper()
	k := &kept{log: &bytes.Buffer{}, announced: make(chan struct{}, 9), ended: make(chan error, 1)}
	k.Name = New("c1", store.LiveController{API: "http://192.0.2.1:8080"}, nil, s, slog.New(slog.NewTextHandler(k.log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	k.cancel = cancel
	t.Cleanup(cancel)
	go func() { k.ended <- k.Keep(ctx, func() { k.announced <- struct{}{} }) }()
	return k
}

// stop ends Keep and returns what it logged.
func (k *kept) stop(t *testing.T) string {
	t.Helper()
	k.cancel()
	if err := <-k.ended; err != nil {
		t.Errorf("Keep ended with %v", err)
	}
	return k.log.String()
}

// A controller keeps its name over failures and over leases that are lost, and gives it back.
func TestKeep(t *testing.T) {
	client := etcdtest.Connect(t, etcdtest.Start(t))
	away := errors.New("etcd is away")
	f := &flaky{Client: client, grants: []error{away}, puts: []error{store.ErrConflict}}
	k := keep(t, f)
	if k.String() != "c1" {
		t.Errorf("it is named %s", k)
	}
	key := store.LiveControllerKey("c1")
	leases := map[clientv3.LeaseID]bool{}
	for range 2 {
		<-k.announced
		lease := k.Lease()
		leases[lease.ID] = true
		o, _, err := client.Get(t.Context(), key)
		if live, ok := o.(*store.LiveController); err != nil || !ok || live.API != "http://192.0.2.1:8080" || live.Incarnation == "" {
			t.Errorf("etcd holds %+v, %v", o, err)
		}
		if err := lease.Close(); err != nil { // as an etcd that was away too long would have it
			t.Fatal(err)
		}
	}
	<-k.announced
	log := k.stop(t)
	if o, _, err := client.Get(t.Context(), key); err != nil || o != nil {
		t.Errorf("its name is not given back: %+v, %v", o, err)
	}
	if len(leases) != 2 || leases[k.Lease().ID] {
		t.Error("it did not take another lease")
	}
	if !slices.Equal(f.ttl, []int{15, 15, 15, 15}) {
		t.Errorf("it asked for leases of %v s, want one of 15 s each time", f.ttl)
	}
	if strings.Count(log, "trying again") != 1 || strings.Count(log, "was lost") != 2 || strings.Contains(log, "took the name over") {
		t.Errorf("the log says %s", log)
	}
}

// A lease for a name that could not be taken is given back.
func TestAnnounceFails(t *testing.T) {
	client := etcdtest.Connect(t, etcdtest.Start(t))
	away := errors.New("etcd is away")
	for _, f := range []*flaky{{gets: []error{away}}, {puts: []error{away}}, {grants: []error{away}}} {
		f.Client = client
		n := New("c1", store.LiveController{}, nil, f, slog.New(slog.DiscardHandler))
		if lease, err := n.announce(t.Context()); !errors.Is(err, away) || lease != nil {
			t.Errorf("announced with %v, %v", lease, err)
		}
		if n.wasNamed() {
			t.Error("it holds itself for named")
		}
		for _, lease := range f.granted {
			select {
			case <-lease.Lost():
			default:
				t.Error("the lease is kept")
			}
		}
	}
}

// A controller tells which addresses its machine has now: gateway hosts close them to tenants.
func TestNewAddressesAreTold(t *testing.T) {
	client := etcdtest.Connect(t, etcdtest.Start(t))
	away := errors.New("etcd is away")
	f := &flaky{Client: client}
	addresses := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	n := New("c1", store.LiveController{}, func() []netip.Addr { return slices.Clone(addresses) }, f, slog.New(slog.DiscardHandler))
	lease, err := n.announce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	told := func() ([]netip.Addr, store.Revision) {
		t.Helper()
		o, modified, err := client.Get(t.Context(), store.LiveControllerKey("c1"))
		if err != nil {
			t.Fatal(err)
		}
		return o.(*store.LiveController).Addresses, modified
	}
	_, first := told()
	if err := n.tellAddresses(t.Context(), lease); err != nil {
		t.Error(err)
	}
	if got, modified := told(); modified != first || !slices.Equal(got, addresses) {
		t.Errorf("without a change it told %v at %d, after %d", got, modified, first)
	}
	addresses = append(addresses, netip.MustParseAddr("198.51.100.1"))
	f.puts = []error{away}
	if err := n.tellAddresses(t.Context(), lease); !errors.Is(err, away) {
		t.Errorf("without etcd: %v", err)
	}
	if err := n.tellAddresses(t.Context(), lease); err != nil {
		t.Error(err)
	}
	if got, _ := told(); !slices.Equal(got, addresses) {
		t.Errorf("it told %v, and has %v", got, addresses)
	}
	if later, err := named(client, store.LiveController{}).announce(t.Context()); err != nil {
		t.Fatal(err)
	} else {
		defer later.Close()
	}
	addresses = addresses[:1]
	if err := n.tellAddresses(t.Context(), lease); !errors.Is(err, ErrTaken) {
		t.Errorf("where another has its name: %v", err)
	}
}

// Keep looks at the addresses again and again, and ends where it finds its name taken then.
func TestKeepTellsAddresses(t *testing.T) {
	client := etcdtest.Connect(t, etcdtest.Start(t))
	var looks atomic.Int32
	n := New("c1", store.LiveController{}, func() []netip.Addr {
		return []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(looks.Add(1))})}
	}, client, slog.New(slog.DiscardHandler))
	n.interval = time.Millisecond
	announced, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() { ended <- n.Keep(t.Context(), func() { announced <- struct{}{} }) }()
	<-announced
	for looks.Load() < 4 {
		time.Sleep(time.Millisecond)
	}
	later, err := named(client, store.LiveController{}).announce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	if err := <-ended; !errors.Is(err, ErrTaken) {
		t.Errorf("Keep ended with %v", err)
	}
}

// Of a controller that stops while it tries nothing is heard.
func TestKeepEnds(t *testing.T) {
	client := etcdtest.Connect(t, etcdtest.Start(t))
	ended, cancel := context.WithCancel(t.Context())
	f := &flaky{Client: client, puts: []error{store.ErrConflict, store.ErrConflict, store.ErrConflict}}
	n := New("c1", store.LiveController{}, nil, f, slog.New(slog.DiscardHandler))
	cancel()
	f.grants = []error{nil}
	announced := false
	if err := n.Keep(ended, func() { announced = true }); err != nil || announced {
		t.Errorf("ended before, it announced %v, %v", announced, err)
	}
	log := &bytes.Buffer{}
	n.log = slog.New(slog.NewTextHandler(log, nil))
	during, cancel := context.WithCancel(t.Context())
	stopping := &stopper{flaky: flaky{Client: client}, stop: cancel}
	n.store = stopping
	if err := n.Keep(during, func() { announced = true }); err != nil || announced || log.Len() > 0 {
		t.Errorf("ended meanwhile, it announced %v, %v, and said %s", announced, err, log)
	}
	if stopping.tried != 1 {
		t.Errorf("it tried %d times", stopping.tried)
	}
}

// stopper is an etcd whose every write is a conflict, while which the controller is stopped.
type stopper struct {
	flaky
	stop  func()
	tried int
}

func (s *stopper) PutIf(context.Context, store.Key, store.Object, store.Revision, clientv3.LeaseID) (store.Revision, error) {
	s.stop()
	s.tried++
	return 0, store.ErrConflict
}

// Of two controllers with one name the later goes on, and says whom it took it from; the older
// ends as soon as it looks.
func TestLaterControllerGoesOn(t *testing.T) {
	client := etcdtest.Connect(t, etcdtest.Start(t))
	older := keep(t, client)
	<-older.announced
	lease := older.Lease()
	later := keep(t, client)
	<-later.announced
	if err := lease.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-older.ended; !errors.Is(err, ErrTaken) {
		t.Errorf("the older ended with %v", err)
	}
	if log := later.stop(t); strings.Count(log, "took the name over") != 1 {
		t.Errorf("the later says %s", log)
	}
}

// What is not known of a controller is not said.
func TestTakenBySaysWhatIsKnown(t *testing.T) {
	c := named(nil, store.LiveController{})
	if text := c.takenBy(&store.LiveController{}).Error(); strings.Contains(text, "machine") || !strings.Contains(text, "controller c1: another controller took this name over (started at ") {
		t.Errorf("it says %q", text)
	}
}

// Of a batch the last word about the name counts, wherever it stands.
func TestCheckLooksAtEachEvent(t *testing.T) {
	c := named(nil, store.LiveController{})
	c.named = 5
	batch := store.Batch{Revision: 9, Events: []store.Event{
		{Key: store.LiveControllerKey("c0"), Object: &store.LiveController{Incarnation: "other"}, Modified: 9},
		{Key: store.LiveControllerKey("c1")}, // it is gone
		{Key: store.LiveControllerKey("c1"), Object: &store.LiveController{Incarnation: "other"}, Modified: 9},
	}}
	if err := c.Check(batch); !errors.Is(err, ErrTaken) {
		t.Errorf("it goes on: %v", err)
	}
	if c.shown.Modified != 9 {
		t.Errorf("shown last was %+v", c.shown)
	}
}
