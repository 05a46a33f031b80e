package access

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sluice/pki"
	"sluice/store"
)

// held is a guard of a state with these tokens, and where its audit log goes.
func held(loaded bool, tokens ...store.Event) (*Guard, *bytes.Buffer) {
	state := store.NewState()
	state.Apply(store.Batch{Revision: 9, Events: append(tokens, store.Event{Key: store.TenantKey("alice"), Object: &store.Tenant{Number: 1}, Created: 3, Modified: 3})})
	ready, log := make(chan struct{}), &bytes.Buffer{}
	if loaded {
		close(ready)
	}
	logger := slog.New(slog.NewJSONHandler(log, nil))
	return New(Options{View: func(f func(*store.State)) { f(state) }, Loaded: ready, Audit: logger, Log: logger}), log
}

func token(name string, t store.Token) store.Event {
	return store.Event{Key: store.TokenKey(name), Object: &t, Created: 5, Modified: 5}
}

// answer is what a guard before a route of that need answers to a request with a token.
func (g *Guard) answer(n Need, method, text string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost/v1/x", nil)
	if text != "" {
		r.Header.Set("Authorization", "Bearer "+text)
	}
	w := httptest.NewRecorder()
	g.Before(Require(n, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%+v", From(r.Context()))
		EntryOf(r.Context()).Object = "thing x"
	}))).ServeHTTP(w, r)
	return w
}

func TestWhoIsLetThrough(t *testing.T) {
	text, hash := NewToken("x")
	person, past := store.Token{Role: store.RoleAdmin, Person: true}, time.Now().Add(-time.Second)
	for _, test := range []struct {
		name  string
		token store.Token
		need  Need
		want  int
		says  string
	}{
		{"an admin", store.Token{Role: store.RoleAdmin, Hash: hash}, Rule, 200, "{Name:token x Role:admin Tenant: Controller:false}"},
		{"a viewer", store.Token{Role: store.RoleViewer, Hash: hash}, Look, 200, "Role:viewer"},
		{"a viewer that would rule", store.Token{Role: store.RoleViewer, Hash: hash}, Rule, 403, "token x has role viewer, and this needs admin"},
		{"a tenant", store.Token{Role: store.RoleTenant, Tenant: "alice", TenantCreated: 3, Hash: hash}, Change, 200, "Tenant:alice"},
		{"a tenant that would look", store.Token{Role: store.RoleTenant, Tenant: "alice", TenantCreated: 3, Hash: hash}, Look, 403, "admin or viewer"},
		{"a tenant of before", store.Token{Role: store.RoleTenant, Tenant: "alice", TenantCreated: 2, Hash: hash}, Read, 401, "not known"},
		{"no role", store.Token{Hash: hash}, Read, 403, "has role"},
		{"another secret", store.Token{Role: store.RoleAdmin, Hash: hashOf("x")}, Read, 401, "not known"},
		{"no hash", store.Token{Role: store.RoleAdmin}, Read, 401, "not known"},
		{"over", store.Token{Role: store.RoleAdmin, Hash: hash, Expires: past}, Read, 401, "not known"},
		{"not over", store.Token{Role: store.RoleAdmin, Hash: hash, Expires: past.Add(time.Hour)}, Read, 200, "token x"},
		{"a person's, by secret", person, Read, 401, "not known"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := held(true, token("x", test.token))
			w := g.answer(test.need, "GET", text)
			if w.Code != test.want || !strings.Contains(w.Body.String(), test.says) {
				t.Errorf("%d %s, not %d that says %s", w.Code, w.Body, test.want, test.says)
			}
			if challenged := w.Header().Get("WWW-Authenticate") != ""; challenged != (test.want == 401) {
				t.Errorf("%d asks who it is: %v", w.Code, challenged)
			}
			if problem := w.Header().Get("Content-Type") == "application/problem+json"; problem != (test.want > 200) {
				t.Errorf("%d is a problem document: %v", w.Code, problem)
			}
		})
	}
	early, _ := held(false)
	if w := early.answer(Read, "GET", text); w.Code != http.StatusServiceUnavailable {
		t.Errorf("before the state is there: %d", w.Code)
	}
	if w := early.answer(Read, "GET", ""); w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), "say who you are") {
		t.Errorf("nobody: %d %s", w.Code, w.Body)
	}
}

// certificate is a request that came with a certificate, which the authority signed or did not.
func certificate(t *testing.T, who pki.Identity, verified bool) *http.Request {
	t.Helper()
	dir := t.TempDir()
	authority, err := pki.CreateAuthority(dir)
	if err == nil {
		err = authority.Issue(dir, who, nil, time.Hour)
	}
	if err != nil {
		t.Fatal(err)
	}
	source, err := pki.Open(dir, who, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "https://localhost/", nil)
	r.TLS.PeerCertificates = []*x509.Certificate{source.Certificate()}
	if verified {
		r.TLS.VerifiedChains = [][]*x509.Certificate{{source.Certificate(), authority.Certificate()}}
	}
	return r
}

func TestCertificatesStandForTokens(t *testing.T) {
	_, hash := NewToken("eve")
	g, _ := held(true, token("alice", store.Token{Role: store.RoleViewer, Person: true}), token("eve", store.Token{Role: store.RoleAdmin, Hash: hash}),
		store.Event{Key: store.LiveControllerKey("c1"), Object: &store.LiveController{}, Created: 5, Modified: 5})
	for _, test := range []struct {
		who      pki.Identity
		verified bool
		want     string
		err      string
	}{
		{pki.Person("alice"), true, "person alice", ""},
		{pki.Person("alice"), false, "", "say who you are"},
		{pki.Person("eve"), true, "", "person eve has no role here"},
		{pki.Person("bob"), true, "", "sluice token create bob --person"},
		{pki.Host("alice"), true, "", "host:alice is for other things"},
		{pki.Controller("c1"), true, "controller c1", ""},
		{pki.Controller("c1"), false, "", "say who you are"},
		{pki.Controller("c2"), true, "", "controller c2 is not live in etcd"},
	} {
		c, err := g.authority.who(certificate(t, test.who, test.verified))
		if c.Name != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s, verified %v: %+v, %v", test.who, test.verified, c, err)
		}
		if isController := test.who.Role == pki.RoleController && err == nil; c.Controller != isController || isController && c.Role != store.RoleViewer {
			t.Errorf("%s is %+v", test.who, c)
		}
	}
	early, _ := held(false)
	if c, err := early.authority.who(certificate(t, pki.Controller("c1"), true)); !errors.Is(err, errNotLoaded) {
		t.Errorf("before the state is loaded: %+v, %v", c, err)
	}
	plain := httptest.NewRequest("GET", "https://localhost/", nil)
	plain.TLS = &tls.ConnectionState{}
	if c, err := g.authority.who(plain); err == nil {
		t.Errorf("without a certificate: %+v", c)
	}
}

// The line of a request has what only its route knows, and whose it is.
func TestLinesOfTheAuditLog(t *testing.T) {
	text, hash := NewToken("x")
	for _, test := range []struct {
		method, token, want string
	}{
		{"DELETE", text, "token x tenant alice DELETE /v1/x thing x done 200"},
		{"GET", text, ""},
		{"DELETE", "wrong", "   DELETE /v1/x  refused 401"},
		{"GET", "wrong", "   GET /v1/x  refused 401"},
	} {
		g, log := held(true, token("x", store.Token{Role: store.RoleTenant, Tenant: "alice", TenantCreated: 3, Hash: hash}))
		g.answer(Change, test.method, test.token)
		var e struct {
			Who, Role, Tenant, Method, Path, Object, Outcome string
			Status                                           int
		}
		if test.want == "" {
			if log.Len() > 0 {
				t.Errorf("%s is told: %s", test.method, log)
			}
			continue
		}
		if err := json.Unmarshal(log.Bytes(), &e); err != nil {
			t.Fatalf("%s: %v", log, err)
		}
		if got := fmt.Sprintf("%s %s %s %s %s %s %s %d", e.Who, e.Role, e.Tenant, e.Method, e.Path, e.Object, e.Outcome, e.Status); got != test.want {
			t.Errorf("the line is %q, not %q", got, test.want)
		}
		if strings.Contains(log.String(), `"tenant"`) != (e.Tenant != "") {
			t.Errorf("a tenant without a name: %s", log)
		}
	}
}

func TestBodies(t *testing.T) {
	g, local := quiet(t, io.Discard)
	for _, test := range []struct {
		path, kind string
		body       io.Reader
		want       int
	}{
		{"/v1/x", "application/json", strings.NewReader(strings.Repeat("x", maxBody)), 200},
		{"/v1/x", "application/json", strings.NewReader(strings.Repeat("x", maxBody+1)), 413},
		{"/v1/x", "application/json", io.MultiReader(strings.NewReader("{"), broken{}), 400},
		{"/v1/x", "application/x-www-form-urlencoded", strings.NewReader("x"), 415},
		{"/v1/x", "", strings.NewReader("x"), 415},
		{"/v1/x", "", nil, 200},
		{LoginPath, "application/x-www-form-urlencoded", strings.NewReader("x"), 200},
		{LogoutPath, "application/x-www-form-urlencoded", strings.NewReader("x"), 200},
		{LoginPath, "application/json", strings.NewReader("x"), 415},
		{"/tenants/x", "application/x-www-form-urlencoded", strings.NewReader("x"), 200},
		{"/hosts/x", "application/x-www-form-urlencoded", strings.NewReader("x"), 200},
		{"/tenants/x", "application/json", strings.NewReader("x"), 415},
		{"/tenants/x", "text/plain", strings.NewReader("x"), 415},
		{"/v1/x?%zz", "application/json", strings.NewReader("x"), 400},
		{"/v1//x", "application/json", strings.NewReader("x"), 400},
	} {
		r := httptest.NewRequest("POST", "http://localhost"+test.path, test.body)
		r.Header.Set("Authorization", "Bearer "+local.text)
		r.Header.Set("Content-Type", test.kind)
		w := httptest.NewRecorder()
		g.Before(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%s as %q: %d, not %d", test.path, test.kind, w.Code, test.want)
		}
	}
}

// What asks by itself who somebody is gets everybody, under any name, and is told of all the same.
func TestBeside(t *testing.T) {
	g, log := held(true)
	ask := func(r *http.Request, status int) string {
		log.Reset()
		g.Beside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			EntryOf(r.Context()).Object = "host h1"
			w.WriteHeader(status)
		})).ServeHTTP(httptest.NewRecorder(), r)
		return log.String()
	}
	for _, test := range []struct {
		method string
		status int
		says   string
	}{
		{"POST", 200, `"who":"somebody new","role":"","from":"192.0.2.1:1234","method":"POST","path":"/v1/join","object":"host h1","outcome":"done"`},
		{"POST", 403, `"outcome":"refused"`}, {"POST", 500, `"outcome":"failed"`}, {"GET", 200, ""},
	} {
		if line := ask(httptest.NewRequest(test.method, "http://evil.example/v1/join", nil), test.status); !strings.Contains(line, test.says) || (test.says == "") != (line == "") {
			t.Errorf("%s that is answered %d: %q", test.method, test.status, line)
		}
	}
	known := certificate(t, pki.Host("h1"), true)
	known.Method = "POST"
	if line := ask(known, 200); !strings.Contains(line, `"who":"host:h1"`) {
		t.Errorf("of a host: %s", line)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("it broke off") }

// A handler that ends its connection on purpose does so.
func TestAbortedConnections(t *testing.T) {
	g, local := quiet(t, io.Discard)
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("it ended with %v", err)
		}
	}()
	g.Before(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })).
		ServeHTTP(httptest.NewRecorder(), ask("GET", local, ""))
}

// A server answers until it is told to end, keeps the connection of a request that is answered, and
// lets that one end.
func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	entered, ended := make(chan struct{}), make(chan error, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-ctx.Done()
		fmt.Fprint(w, "done")
	})
	go func() { ended <- Serve(ctx, l, h, nil, slog.New(slog.DiscardHandler)) }()
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		answer <- string(b)
	}()
	<-entered
	select {
	case err := <-ended:
		t.Fatalf("it ended before it was told to: %v", err)
	default:
	}
	cancel()
	if got := <-answer; got != "done" {
		t.Errorf("the request under way was answered %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := Serve(t.Context(), l, h, nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "API at") {
		t.Errorf("at a closed listener: %v", err)
	}
}
