package report

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
	"sluice/store/etcd"
	"sluice/store/etcd/etcdtest"
)

// rivals are the controllers c1, whose reports are tried, and c2, which writes by hand, in one etcd.
type rivals struct {
	*world
	etcd  *etcd.Client
	lease *etcd.Lease
}

func newRivals(t *testing.T) *rivals {
	t.Helper()
	client := etcdtest.Connect(t, etcdtest.Start(t))
	lease, err := client.GrantLease(t.Context(), 60)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lease.Close() })
	r := &rivals{newWorld(t), client, lease}
	r.Store = client
	for _, name := range []string{"c1", "c2"} {
		if _, err := client.PutIf(t.Context(), store.LiveControllerKey(name), &store.LiveController{}, 0, lease.ID); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// register registers h1, and does not keep that alive.
func (r *rivals) register() {
	r.t.Helper()
	registered, err := r.etcd.RegisterHost(r.t.Context(), "h1", store.Host{Incarnation: "i", DatapathID: 1})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := registered.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// claim makes a controller the master of h1, which nobody has, and says that it is behind.
func (r *rivals) claim(controller string) {
	r.t.Helper()
	behind := &store.StatusHost{State: store.HostBehind}
	if _, err := r.etcd.Claim(r.t.Context(), "h1", &store.Master{Controller: controller}, 0, r.lease.ID, behind); err != nil {
		r.t.Fatal(err)
	}
}

// look brings the picture of c1 to what etcd holds now; until it is called again, c1 knows no more.
func (r *rivals) look() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	err := r.etcd.Watch(ctx, func(b store.Batch) error {
		cancel()
		gone := []store.Event{{Key: store.HostKey("h1")}, {Key: store.MasterKey("h1")}} // unless it is listed
		b.Events = append(gone, b.Events...)
		return r.Picture.Apply(b)
	})
	if !errors.Is(err, context.Canceled) {
		r.t.Fatal(err)
	}
}

// holds wants an exception of h1 in etcd, or none.
func (r *rivals) holds(what string, want *store.StatusHost) {
	r.t.Helper()
	o, _, err := r.etcd.Get(r.t.Context(), store.StatusHostKey("h1"))
	if err != nil {
		r.t.Fatal(err)
	}
	got, _ := o.(*store.StatusHost)
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// report is one round of c1.
func (r *rivals) report() error {
	r.t.Helper()
	_, err := r.round(r.t.Context())
	return err
}

// A host was deleted, registered anew, and claimed by another controller, of which the first one
// sees no more than that the host is gone: it must not take back what the other said of it. The
// other's floor vouches for all its hosts that have no exception, and an attach would succeed on
// a switch that nobody has programmed.
func TestReportOfAHostThatIsGone(t *testing.T) {
	r := newRivals(t)
	behind := &store.StatusHost{State: store.HostBehind}
	r.register()
	r.claim("c1")
	r.look()
	r.wrote("h1", behind)
	if err := r.report(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.etcd.DeleteHost(t.Context(), "h1"); err != nil {
		t.Fatal(err)
	}
	r.look()
	r.register()
	if err := r.report(); !errors.Is(err, store.ErrConflict) {
		t.Errorf("while the host is registered anew it reports: %v", err)
	}
	r.claim("c2")
	if err := r.report(); !errors.Is(err, store.ErrConflict) {
		t.Errorf("while another has the host it reports: %v", err)
	}
	r.holds("after a report of before", behind)

	r.look()
	if err := r.report(); err != nil {
		t.Errorf("once it knows of the other: %v", err)
	}
	r.holds("once it knows of the other", behind)
}

// What is left of a host that nobody registered and nobody claims is taken back.
func TestLeftOfAHostThatIsGone(t *testing.T) {
	r := newRivals(t)
	left := store.Event{Key: store.StatusHostKey("h1"), Object: &store.StatusHost{State: store.HostDown}}
	if err := r.etcd.PutStatus(t.Context(), []store.Event{left}); err != nil {
		t.Fatal(err)
	}
	r.look()
	if err := r.loadExceptions(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.report(); err != nil {
		t.Fatal(err)
	}
	r.holds("afterwards", nil)
}

// A host whose key was deleted and written by hand is another, whoever claims it; and a floor is
// written under the name of its controller only while that is this one's.
func TestReportsAreFenced(t *testing.T) {
	r := newRivals(t)
	r.register()
	r.claim("c1")
	r.look()
	if err := r.etcd.PutStatus(t.Context(), []store.Event{{Key: store.HostKey("h1")}}); err != nil {
		t.Fatal(err)
	}
	r.register()
	behind := &store.StatusHost{State: store.HostBehind}
	if err := r.report(); !errors.Is(err, store.ErrConflict) {
		t.Errorf("of a host that was made anew: %v", err)
	}
	r.holds("which has the claim of before", behind)
	r.look()
	if err := r.report(); err != nil {
		t.Errorf("once it is known: %v", err)
	}

	_, at, err := r.etcd.Get(t.Context(), store.LiveControllerKey("c1"))
	if err != nil {
		t.Fatal(err)
	}
	floor, before, err := r.etcd.Get(t.Context(), store.StatusControllerKey("c1"))
	if err != nil || floor == nil {
		t.Fatal(floor, err)
	}
	if _, err := r.etcd.PutIf(t.Context(), store.LiveControllerKey("c1"), &store.LiveController{Incarnation: "later"}, at, r.lease.ID); err != nil {
		t.Fatal(err)
	}
	r.Reporter.floor = nil
	if err := r.report(); !errors.Is(err, store.ErrConflict) {
		t.Errorf("under a name that another took: %v", err)
	}
	if _, now, err := r.etcd.Get(t.Context(), store.StatusControllerKey("c1")); now != before || err != nil {
		t.Errorf("the floor of the other was written at %d, %v", now, err)
	}
}
