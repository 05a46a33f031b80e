package lead

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/controller/traffic"
	"sluice/internal/stage"
	"sluice/store"
	"sluice/store/etcd"
)

// recorder stands for an etcd by a clock that only the test moves: it notes what the leader
// asked of it, and when.
type recorder struct {
	*stage.Notes
	elected chan bool

	mu    sync.Mutex
	errs  map[string]error // of calls, by their first word
	found []etcd.Tombstone
	more  bool

	realized  store.Revision // everywhere
	farewells []store.Event
	right     time.Time // since when the store is known to be right
	doubted   bool      // it is not
	view      func(func(*store.State))
	allocs    []etcd.AllocKey
	perPage   int
	audited   []string        // what was asked about them
	stamps    []time.Duration // when the chain was extended
}

// call notes one, and says with what it fails.
func (r *recorder) call(ctx context.Context, format string, args ...any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	within := ""
	if end, has := ctx.Deadline(); has {
		within = fmt.Sprintf(", within %v", time.Until(end))
	}
	r.Note("%s%s", text, within)
	word, _, _ := strings.Cut(text, " ")
	return r.errs[word]
}

func (r *recorder) Elect(ctx context.Context, name, id string) <-chan bool {
	_ = r.call(ctx, "elect %s as %s", id, name)
	return r.elected
}

func (r *recorder) PutIf(ctx context.Context, key store.Key, o store.Object, modified store.Revision, lease clientv3.LeaseID) (store.Revision, error) {
	return 0, r.call(ctx, "put %s %s if at %d, lease %d", key.Short(), o.(*store.Gateway).Active, modified, lease)
}

func (r *recorder) Reached(ctx context.Context) (map[string]etcd.Reach, error) {
	return map[string]etcd.Reach{}, r.call(ctx, "reached")
}

func (r *recorder) RealizedEverywhere(ctx context.Context) (store.Revision, error) {
	err := r.call(ctx, "realized")
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.realized, err
}

func (r *recorder) List(ctx context.Context, kind store.Kind, _ ...string) ([]store.Event, store.Revision, error) {
	err := r.call(ctx, "list-%v", kind)
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.farewells), 0, err
}

func (r *recorder) Trusted() (since time.Time, right bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.right, !r.doubted
}

func (r *recorder) Tombstones(ctx context.Context, limit int) ([]etcd.Tombstone, bool, error) {
	err := r.call(ctx, "search for %d", limit)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.found, r.more, err
}

func (r *recorder) ReleaseTombstones(ctx context.Context, list []etcd.Tombstone) (int, error) {
	return len(list), r.call(ctx, "release %d", len(list))
}

func (r *recorder) ClearHost(ctx context.Context, name string, at store.Revision) (store.Revision, error) {
	return at, r.call(ctx, "clear %s at %d", name, at)
}

// Decide decides by the picture, which is what etcd holds here, and tells what would be written.
func (r *recorder) Decide(ctx context.Context, request func(*store.State) (store.Proposal, error), _ ...string) (rev store.Revision, err error) {
	var p store.Proposal
	r.view(func(s *store.State) {
		rev = s.Revision() + 1
		p, err = request(s)
	})
	words := []string{"decide:"}
	for _, e := range p.Writes {
		words = append(words, map[bool]string{true: "delete", false: "put"}[e.Object == nil], e.Key.Short())
	}
	return rev, errors.Join(err, r.call(ctx, "%s", strings.Join(words, " ")))
}

func (r *recorder) Delete(ctx context.Context, key store.Key) (store.Revision, error) {
	return 0, r.call(ctx, "delete %s", key.Short())
}

func (r *recorder) ForgetFarewells(ctx context.Context, list []store.Event) (hosts []string, err error) {
	for _, e := range list {
		hosts = append(hosts, e.Key.Host)
	}
	return hosts, r.call(ctx, "forget %v", hosts)
}

// fails has calls that begin with a word fail from now on; nil: they do not.
func (r *recorder) fails(word string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs[word] = err
}

// reached says where all hosts are realized from now on.
func (r *recorder) reached(realized store.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.realized = realized
}

// keeps has etcd hold these farewells from now on.
func (r *recorder) keeps(farewells ...store.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.farewells = farewells
}

// holds has a search find these tombstones from now on, and perhaps more.
func (r *recorder) holds(found []etcd.Tombstone, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found, r.more = found, more
}

// record is a log that the test reads while the leader writes it.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *record) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.Reset()
}

// led is a leader that runs, and its picture.
type led struct {
	*recorder
	t       *testing.T
	leader  *Leader
	log     *record
	picture *stage.Picture
	changed int
	stop    func()
}

func run(t *testing.T, outlook ...func(context.Context, traffic.Question) (traffic.Outlook, error)) *led {
	t.Helper()
	l := &led{t: t, log: &record{}, picture: stage.NewPicture(), recorder: &recorder{
		Notes: stage.Begin(), elected: make(chan bool), errs: map[string]error{}, realized: 1000,
	}}
	l.view = l.picture.View
	l.leader = New(Options{Controller: "c1", Picture: l.picture.Picture, Store: l.recorder,
		Log: slog.New(slog.NewTextHandler(l.log, nil)), Audit: slog.New(slog.NewTextHandler(l.log, nil)), Changed: func() { l.changed++ },
		Mended:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mended"}, []string{"mended"}),
		Balanced: prometheus.NewCounter(prometheus.CounterOpts{Name: "balanced"})})
	for _, o := range outlook {
		l.leader.Outlook = o
	}
	l.picture.Observe(l.leader.Observe)
	l.stop = stage.Run(t, l.leader.Run)
	return l
}

// apply is a batch at the next revision; a nil object is deleted.
func (l *led) apply(events ...store.Event) {
	l.t.Helper()
	l.picture.Put(l.t, events...)
	synctest.Wait()
}

func (l *led) elect(leads bool) {
	l.elected <- leads
	synctest.Wait()
}

func (l *led) wants(what string, calls ...string) {
	l.t.Helper()
	l.Wants(l.t, what, calls...)
}

func put(key store.Key, o store.Object) store.Event { return stage.Put(key, o) }

func tenant(name, gateway string, number uint32) store.Event {
	return put(store.TenantKey(name), &store.Tenant{Number: number, Gateway: gateway})
}

// hosts are h1, a gateway host that c1 programs.
func hosts() []store.Event {
	return []store.Event{
		put(store.HostKey("h1"), &store.Host{DatapathID: 1, Gateway: true}),
		put(store.LiveHostKey("h1"), &store.LiveHost{}),
		put(store.MasterKey("h1"), &store.Master{Controller: "c1"}),
	}
}

// Gateways are placed only while this controller leads, and as soon as one is missing.
func TestGatewaysArePlacedByTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t)
		l.Until(time.Second)
		l.wants("before there is a picture")
		l.apply(append(hosts(), tenant("alice", "auto", 1))...)
		l.wants("with a picture", "1s: elect c1 as leader")
		l.Until(2 * time.Second)
		l.elect(true)
		l.wants("elected", "2s: put gateways/alice h1 if at 0, lease 0, within 5s")
		l.Until(3 * time.Second)
		changed := l.changed
		l.apply(put(store.GatewayKey("alice"), &store.Gateway{Active: "h1"}))
		l.wants("when it is placed")
		if l.changed != changed+1 {
			t.Errorf("problems may have changed %d times", l.changed-changed)
		}
		l.apply(tenant("bob", "h2", 2))
		if problems := l.leader.Problems(); len(problems) != 1 || !strings.Contains(problems[0].Text, "gateway host h2 is not registered") {
			t.Errorf("the problems are %v", problems)
		}
		changed = l.changed
		l.apply(put(store.NetworkKey("alice", "default"), &store.Network{Number: 3}))
		if l.changed != changed {
			t.Error("it looked for gateways though no change cast doubt on one")
		}
		l.apply(put(store.HostKey("h2"), &store.Host{DatapathID: 2, Gateway: true}))
		l.wants("its host is there", "3s: put gateways/bob h2 if at 0, lease 0, within 5s")
		if problems := l.leader.Problems(); len(problems) > 0 {
			t.Errorf("the problems are %v", problems)
		}
		l.apply(put(store.GatewayKey("bob"), &store.Gateway{Active: "h2"}), tenant("carol", "h9", 4))
		if len(l.leader.Problems()) != 1 {
			t.Errorf("the problems are %v", l.leader.Problems())
		}
		l.apply(tenant("carol", "h2", 4))
		if len(l.leader.Problems()) != 0 {
			t.Errorf("the problems are %v", l.leader.Problems())
		}
		l.wants("a tenant chose otherwise", "3s: put gateways/carol h2 if at 0, lease 0, within 5s")
		l.elect(false)
		l.apply(tenant("dave", "auto", 5))
		l.wants("no longer elected")
		l.elect(true)
		l.wants("elected again", "3s: put gateways/carol h2 if at 0, lease 0, within 5s", "3s: put gateways/dave h1 if at 0, lease 0, within 5s")
		for _, says := range []string{"leadership leading=true", "leadership leading=false", `msg="gateway placed" tenant=alice host=h1 why=`} {
			if !strings.Contains(l.log.String(), says) {
				t.Errorf("the log does not say %q: %s", says, l.log)
			}
		}
		l.stop()
	})
}

// One that somebody else placed faster is passed by; where etcd fails, the rest is kept for the
// next try.
func TestGatewaysThatCannotBePlaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t)
		l.apply(append(hosts(), tenant("alice", "auto", 1), tenant("bob", "auto", 2))...)
		l.fails("put", errors.New("etcd is away"))
		l.Asked()
		l.elect(true)
		l.wants("while etcd is away", "0s: put gateways/alice h1 if at 0, lease 0, within 5s")
		if !strings.Contains(l.log.String(), "cannot place a gateway") {
			t.Errorf("the log says %q", l.log)
		}
		for i, known := range []error{store.ErrConflict, store.ErrNotFound} {
			l.fails("put", errors.New("etcd is away"))
			l.apply(tenant("alice", "auto", 1), tenant("bob", "auto", 2))
			l.wants("asked again", "0s: put gateways/alice h1 if at 0, lease 0, within 5s")
			l.log.Reset()
			l.fails("put", fmt.Errorf("put: %w", known))
			l.apply(put(store.LiveControllerKey(fmt.Sprint("c", i)), &store.LiveController{}), put(store.GatewayKey("nobody"), nil))
			l.apply(tenant("carol", "h9", 3)) // any doubt wakes it
			l.wants("somebody was faster", "0s: put gateways/alice h1 if at 0, lease 0, within 5s", "0s: put gateways/bob h1 if at 0, lease 0, within 5s")
			if len(l.log.String()) > 0 {
				t.Errorf("it complains of %v: %s", known, l.log)
			}
		}
		close(l.elected) // etcd says that the election is over
		synctest.Wait()
		l.stop()
	})
}

// What was deleted is tidied up a second later, once: then only what is due.
func TestTidyAfterADeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t)
		l.apply(append(hosts(), tenant("alice", "h1", 1), tenant("bob", "h1", 2), tenant("carol", "h1", 3),
			put(store.GatewayKey("alice"), &store.Gateway{Active: "h1"}), put(store.GatewayKey("bob"), &store.Gateway{Active: "h1"}), put(store.GatewayKey("carol"), &store.Gateway{Active: "h1"}))...)
		l.apply(put(store.TenantKey("carol"), nil))
		l.Until(10 * time.Second)
		l.wants("while it does not lead", "0s: elect c1 as leader")
		l.elect(true)
		l.apply(put(store.TenantKey("alice"), nil))
		l.Until(11*time.Second - 1)
		l.wants("within a second")
		l.Until(11 * time.Second)
		l.wants("a second later", "11s: search for 9999, within 30s", "11s: realized, within 30s", "11s: release 1, within 30s")
		late := etcd.TombstonesOf(store.TenantKey("x"), &store.Tenant{Number: 9}, 2000)
		l.holds(late, true)
		l.Until(time.Hour + 10*time.Second)
		l.wants("within an hour")
		l.Until(time.Hour + 30*time.Second)
		list := []string{"realized", "release 0"}
		var want []string
		for _, call := range append([]string{"search for 10000"}, list...) {
			want = append(want, "1h0m30s: "+call+", within 30s")
		}
		l.wants("an hour later", want...)
		l.holds(late, false)
		l.Until(time.Hour + time.Minute)
		want = nil
		for _, call := range append([]string{"search for 9999"}, list...) {
			want = append(want, "1h1m0s: "+call+", within 30s")
		}
		l.wants("since there were more", want...)
		l.stop()
		if l.log.String() == "" || strings.Contains(l.log.String(), "cannot") {
			t.Errorf("the log says %q", l.log)
		}
	})
}

// Steps that fail are told, and what follows them waits for the next time.
func TestTidyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t)
		l.reached(1)
		l.apply(append(hosts(), tenant("alice", "h1", 1), put(store.GatewayKey("alice"), &store.Gateway{Active: "h1"}),
			put(store.PortKey("h8", "alice", "default", "p"), &store.Port{Number: 1}), put(store.PortKey("h9", "alice", "default", "p"), &store.Port{Number: 2}))...)
		l.holds(etcd.TombstonesOf(store.TenantKey("x"), &store.Tenant{Number: 9}, 7), false)
		l.elect(true)
		l.Asked()
		l.keeps([]store.Event{
			{Key: store.FarewellKey("h8"), Object: &store.Farewell{}, Modified: 1}, {Key: store.FarewellKey("h9"), Object: &store.Farewell{}, Modified: 1},
		}...)
		all := []string{"search", "realized", "release", "list-farewells", "clear"}
		for i, word := range all {
			l.leader.begin(true)
			l.log.Reset()
			l.fails(word, errors.New("etcd is away"))
			l.Until(time.Duration(i+1) * tidyInterval)
			var words []string
			for _, call := range l.Asked() {
				words = append(words, strings.Fields(strings.ReplaceAll(call, ",", ""))[1])
			}
			if !slices.Equal(words, all[:i+1]) {
				t.Errorf("with %s failing it asked for %v", word, words)
			}
			if !strings.Contains(l.log.String(), "cannot tidy etcd up") {
				t.Errorf("with %s failing the log says %q", word, l.log)
			}
			if kept, want := len(l.leader.tombstones.known), min(i, 1); word != "clear" && kept != want {
				t.Errorf("with %s failing %d tombstones are kept, want %d", word, kept, want)
			}
			l.fails(word, nil)
		}
		l.Until(time.Duration(len(all)+1) * tidyInterval)
		l.wants("in the end", "3m0s: realized, within 30s", "3m0s: release 0, within 30s", "3m0s: list-farewells, within 30s", "3m0s: clear h8 at 1, within 30s", "3m0s: clear h9 at 1, within 30s")
		l.stop()
	})
}

// A controller that stops while it tidies up complains of nothing.
func TestTidyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t)
		l.apply()
		l.elect(true)
		l.log.Reset()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		l.fails("search", ctx.Err())
		l.leader.tidy(ctx)
		if len(l.log.String()) > 0 {
			t.Errorf("it complains: %s", l.log)
		}
		l.stop()
	})
}
