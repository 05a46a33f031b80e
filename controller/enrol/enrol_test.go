package enrol_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/controller/cluster"
	"sluice/controller/enrol"
	"sluice/pki"
	"sluice/pki/join"
	"sluice/store"
	"sluice/store/etcd"
	"sluice/store/etcd/freeport"
)

// world is a cluster's authority, its etcd, which asks for certificates, and one controller's office
// with the API that it serves.
type world struct {
	*testing.T
	ctx       context.Context
	office    *enrol.Office
	authority *pki.Authority
	server    *etcd.Embedded
	store     *etcd.Client
	picture   *cluster.Picture
	api       string
	shown     atomic.Int32                 // how many secrets the API was shown
	signed    atomic.Pointer[enrol.Signed] // the last of which the office told
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, picture: cluster.New()}
	var cancel context.CancelFunc
	w.ctx, cancel = context.WithTimeout(t.Context(), time.Minute) // of all that a test waits for
	t.Cleanup(cancel)
	var err error
	w.authority, err = pki.CreateAuthority(t.TempDir())
	w.must(err)
	self := w.source(pki.Controller("c1"))
	url := func() string { return strings.Replace(freeport.URL(t), "http:", "https:", 1) }
	w.server, err = etcd.StartEmbedded(w.ctx, etcd.EmbedOptions{Dir: t.TempDir(), ClientURL: url(), PeerURL: url(), PKI: self, Log: slog.New(slog.DiscardHandler)})
	w.must(err)
	t.Cleanup(w.server.Close)
	w.store, err = w.connect(self)
	w.must(err)
	w.office = enrol.New(enrol.Options{
		Controller: "c1", Authority: w.authority, Etcd: w.server.Endpoints(), Picture: w.picture, Store: w.store, Log: slog.New(slog.DiscardHandler),
	})
	w.picture.Observe(w.office.Observe)
	w.background(func(ctx context.Context) error { return w.store.Watch(ctx, w.picture.Apply) })
	w.api = w.serve(self, w.office.Handler(w.note))
	live := &store.LiveController{OpenFlow: "192.0.2.1:6653", API: w.api, Signs: true}
	rev, err := w.store.PutIf(w.ctx, store.LiveControllerKey("c1"), live, 0, 0)
	w.must(err)
	w.must(w.picture.Await(w.ctx, rev))
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) note(_ context.Context, signed enrol.Signed) { w.signed.Store(&signed) }

// background runs until the test ends, and waits for its end.
func (w *world) background(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = run(ctx) }()
	w.Cleanup(func() { cancel(); <-done })
}

// serve is an API over TLS, as a controller's.
func (w *world) serve(self *pki.Source, h http.Handler) string {
	counted := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == join.JoinPath {
			w.shown.Add(1)
		}
		h.ServeHTTP(rw, r)
	})
	s := httptest.NewUnstartedServer(counted)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	s.TLS = self.Server(tls.VerifyClientCertIfGiven)
	s.StartTLS()
	w.Cleanup(s.Close)
	return s.URL
}

// stranger is a world whose authority nobody here knows.
func (w *world) stranger() *world {
	w.Helper()
	a, err := pki.CreateAuthority(w.TempDir())
	w.must(err)
	return &world{T: w.T, ctx: w.ctx, authority: a, picture: w.picture}
}

func (w *world) source(who pki.Identity) *pki.Source {
	w.Helper()
	dir := w.TempDir()
	w.must(w.authority.Issue(dir, who, nil, time.Hour))
	return w.open(dir, who)
}

func (w *world) open(dir string, who pki.Identity) *pki.Source {
	w.Helper()
	s, err := pki.Open(dir, who, slog.New(slog.DiscardHandler))
	w.must(err)
	return s
}

// connect is a client of etcd, if etcd lets it in.
func (w *world) connect(s *pki.Source) (*etcd.Client, error) {
	ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
	defer cancel()
	c, err := etcd.Connect(ctx, etcd.Options{Endpoints: w.server.Endpoints(), PKI: s})
	if err == nil {
		w.Cleanup(func() { c.Close() })
	}
	return c, err
}

// invite invites h1.
func (w *world) invite() join.Token {
	w.Helper()
	t, _, _, err := w.office.Invite(w.ctx, enrol.Invitation{Host: "h1", By: "alice", Lifetime: time.Minute})
	w.must(err)
	return t
}

// A token lets one machine in, once, with a key that it made; what it is told is kept for the next start.
func TestJoin(t *testing.T) {
	w := newWorld(t)
	token, dir := w.invite(), t.TempDir()
	read, err := join.Parse(token.String())
	if err != nil || read != token {
		t.Fatalf("the token is read as %+v, %v", read, err)
	}
	c, err := read.Join(w.ctx, dir)
	w.must(err)
	if c.Host != "h1" || len(c.Controllers) != 1 || c.Controllers[0] != "ssl:192.0.2.1:6653" || len(c.API) != 1 || c.API[0] != w.api || len(c.Etcd) != 1 {
		t.Errorf("it was told %+v", c)
	}
	if kept, err := join.Load(dir); err != nil || kept.Host != "h1" {
		t.Errorf("it keeps %+v, %v", kept, err)
	}
	agent, err := w.connect(w.open(dir, pki.Host("h1")))
	w.must(err)
	if _, _, err := agent.List(w.ctx, store.KindHost); err != nil {
		t.Errorf("etcd does not let it do its work: %v", err)
	}
	o, at, err := w.store.Get(w.ctx, store.EnrolmentKey("h1"))
	w.must(err)
	if e := o.(*store.Enrolment); e.By != "alice" || e.NotBefore.IsZero() {
		t.Errorf("enrolled as %+v", e)
	}
	if told := w.signed.Load(); told == nil || told.Object != "enrolment of host h1" || told.Revision != at {
		t.Errorf("of an enrolment at revision %d it tells %+v", at, told)
	}
	again := t.TempDir()
	if _, err := token.Join(w.ctx, again); err == nil || !strings.Contains(err.Error(), "the token was used") {
		t.Errorf("a second use: %v", err)
	}
	if _, err := os.Stat(filepath.Join(again, pki.Host("h1").File())); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a second use left a certificate: %v", err)
	}
}

// What etcd and the log hold is of no use to whoever reads it.
func TestSecretIsKeptByNobody(t *testing.T) {
	w := newWorld(t)
	token := w.invite()
	o, _, err := w.store.Get(w.ctx, store.InvitationKey(token.ID))
	w.must(err)
	text, err := store.Encode(o)
	w.must(err)
	if strings.Contains(string(text), token.Secret) {
		t.Errorf("etcd holds the secret: %s", text)
	}
	forged := token
	forged.Secret = o.(*store.Invitation).SecretHash
	if _, err := forged.Join(w.ctx, t.TempDir()); err == nil {
		t.Error("the hash is as good as the secret")
	}
}

// A token is good for nothing with the wrong secret, after its time, or where someone else answers; the
// right one works after all that.
func TestJoinIsRefused(t *testing.T) {
	w := newWorld(t)
	token := w.invite()
	late, _, _, err := w.office.Invite(w.ctx, enrol.Invitation{Host: "h2", Lifetime: time.Nanosecond})
	w.must(err)
	guessed := token
	guessed.Secret = "guessed"
	for name, tc := range map[string]struct {
		token join.Token
		says  string
	}{
		"a guessed secret": {guessed, "the token was used"},
		"after its time":   {late, "has expired"},
	} {
		if _, err := tc.token.Join(w.ctx, t.TempDir()); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	before := w.shown.Load()
	thief := w.stranger()
	between := token
	between.API = w.serve(thief.source(pki.Controller("c1")), enrol.New(enrol.Options{Authority: thief.authority, Picture: w.picture}).Handler(w.note))
	if _, err := between.Join(w.ctx, t.TempDir()); err == nil || !strings.Contains(err.Error(), "someone stands between") {
		t.Errorf("someone else answers: %v", err)
	}
	// One who answers with the right authority's certificate, and has none of its for itself.
	between.API = w.serve(thief.source(pki.Controller("c1")), w.office.Handler(w.note))
	if _, err := between.Join(w.ctx, t.TempDir()); err == nil {
		t.Error("someone else answers, with the authority's certificate: joined")
	}
	// So does a host with a certificate of the cluster's: it is for clients only.
	between.API = w.serve(w.source(pki.Host("h9")), w.office.Handler(w.note))
	if _, err := between.Join(w.ctx, t.TempDir()); err == nil {
		t.Error("a host answers: joined")
	}
	if w.shown.Load() != before {
		t.Error("somebody else was shown the secret")
	}
	if _, err := token.Join(w.ctx, t.TempDir()); err != nil {
		t.Errorf("the right one after all that: %v", err)
	}
}

func TestInviteIsRefused(t *testing.T) {
	w := newWorld(t)
	if _, err := w.invite().Join(w.ctx, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	keyless := enrol.New(enrol.Options{Controller: "c2", Picture: w.picture, Store: w.store})
	for name, tc := range map[string]struct {
		office    *enrol.Office
		host, api string
		life      time.Duration
		says      string
	}{
		"no name":                          {w.office, "h1/alice", w.api, time.Hour, "h1/alice"},
		"no time":                          {w.office, "h2", w.api, 0, "at most"},
		"too long":                         {w.office, "h2", w.api, 30 * 24 * time.Hour, "at most"},
		"an API in the clear":              {w.office, "h2", "http://192.0.2.1:8080", time.Hour, "https://"},
		"an etcd that others do not reach": {w.office, "h2", "https://192.0.2.1:8080", time.Hour, "--embedded-etcd-client-url"},
		"enrolled already":                 {w.office, "h1", w.api, time.Hour, "--anew"},
		"no key of the authority's":        {keyless, "h2", w.api, time.Hour, "ask controller c1 at " + w.api},
	} {
		if _, _, _, err := tc.office.Invite(w.ctx, enrol.Invitation{Host: tc.host, API: tc.api, Lifetime: tc.life}); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A host renews its certificate by the one that it has, for itself alone, and is let in with both. One
// that was deleted renews nothing.
func TestRenew(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	c, err := w.invite().Join(w.ctx, dir)
	w.must(err)
	source := w.open(dir, pki.Host("h1"))
	agent, err := w.connect(source)
	w.must(err)
	before := source.Certificate()
	w.must(os.Remove(filepath.Join(dir, "cluster.json")))
	w.must(source.Renew(w.ctx, c.Signer(source, dir)))
	if told := w.signed.Load(); told.Object != "certificate of host:h1" || told.Revision != 0 {
		t.Errorf("of a renewal it tells %+v", told)
	}
	after := source.Certificate()
	if who, err := pki.Of(after); err != nil || who != pki.Host("h1") || after.SerialNumber.Cmp(before.SerialNumber) == 0 {
		t.Errorf("the next certificate is of %s, %v", who, err)
	}
	if kept, err := join.Load(dir); err != nil || kept.Etcd[0] != c.Etcd[0] {
		t.Errorf("it keeps %+v, %v", kept, err)
	}
	if _, _, err := agent.List(w.ctx, store.KindHost); err != nil {
		t.Errorf("the connection that it had: %v", err)
	}
	if _, err := w.connect(source); err != nil {
		t.Errorf("a new one: %v", err)
	}
	w.background(w.office.Keep)
	if _, err := w.store.DeleteHost(w.ctx, "h1"); err != nil {
		t.Fatal(err)
	}
	if err := source.Renew(w.ctx, c.Signer(source, dir)); err == nil || !strings.Contains(err.Error(), "not enrolled") {
		t.Errorf("a deleted host renews: %v", err)
	}
	if _, err := w.connect(source); err == nil {
		t.Error("a deleted host is let in")
	}
	if _, err := w.invite().Join(w.ctx, t.TempDir()); err != nil {
		t.Errorf("it joins anew: %v", err)
	}
}

// Whoever shows no certificate renews nothing, and neither does one of another authority.
func TestRenewIsRefused(t *testing.T) {
	w := newWorld(t)
	stranger := w.stranger()
	believe, err := pki.ClientOf(w.authority.PEM())
	w.must(err)
	foreign := stranger.source(pki.Controller("c1")).Client()
	foreign.VerifyConnection = nil
	for name, secure := range map[string]*tls.Config{"no certificate": believe, "of another authority": foreign, "a host that is not enrolled": w.source(pki.Host("h7")).Client()} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: secure}}
		resp, err := client.Post(w.api+join.RenewalPath, "application/json", strings.NewReader(`{"request":""}`))
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	person := w.source(pki.Person("alice"))
	if err := person.Renew(w.ctx, join.Cluster{API: []string{w.api}}.Signer(person, filepath.Dir(person.File()))); err != nil {
		t.Errorf("a person: %v", err)
	}
}

// etcd's users follow those who are enrolled, and invitations go when their time is over.
func TestKeep(t *testing.T) {
	w := newWorld(t)
	_, _, _, err := w.office.Invite(w.ctx, enrol.Invitation{Host: "h5", Lifetime: time.Nanosecond})
	w.must(err)
	rev, err := w.office.Admit(w.ctx, "h1", "alice")
	w.must(err)
	w.must(w.picture.Await(w.ctx, rev))
	w.background(w.office.Keep)
	by := w.source(pki.Host("h1"))
	agent, err := w.connect(by)
	w.must(err)
	if _, err := w.office.Admit(w.ctx, "h1", "alice"); !errors.Is(err, store.ErrExists) {
		t.Errorf("admitted twice: %v", err)
	}
	w.until("the invitation is gone", func() bool {
		list, _, err := w.store.List(w.ctx, store.KindInvitation)
		return err == nil && len(list) == 0
	})
	if _, err := w.store.DeleteHost(w.ctx, "h1"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := agent.List(w.ctx, store.KindHost); err == nil {
		t.Error("a deleted host reads")
	}
}

// until waits for what comes about by itself.
func (w *world) until(what string, holds func() bool) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("it does not come about that %s", what)
		}
	}
}
