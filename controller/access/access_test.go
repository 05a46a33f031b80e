package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/store"
)

// quiet is a guard of a state without tokens, whose own token is in a file.
func quiet(t *testing.T, log io.Writer) (*Guard, *LocalToken) {
	t.Helper()
	local, err := WriteLocalToken(filepath.Join(t.TempDir(), "run", "api.token"))
	if err != nil {
		t.Fatal(err)
	}
	loaded := make(chan struct{})
	close(loaded)
	logger := slog.New(slog.NewJSONHandler(log, nil))
	view := func(f func(*store.State)) { f(store.NewState()) }
	return New(Options{View: view, Loaded: loaded, Local: local, Audit: logger, Log: logger}), local
}

// ask is a request with the controller's own token.
func ask(method string, local *LocalToken, body string) *http.Request {
	r := httptest.NewRequest(method, "http://localhost/v1/x", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+local.text)
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestLocalToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "api.token")
	first, err := WriteLocalToken(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: only its user is to read it", info.Mode(), err)
	}
	second, err := WriteLocalToken(path)
	if err != nil {
		t.Fatal(err)
	}
	if first.is(second.text) || !second.is(second.text) || (*LocalToken)(nil).is("") {
		t.Error("each start has a token of its own, and none is none")
	}
	first.Remove() // it ended after the second began
	if b, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(b)) != second.text {
		t.Errorf("another's token was removed: %v", err)
	}
	second.Remove()
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := WriteLocalToken(filepath.Join(path, "x", "y")); err != nil {
		t.Errorf("in a new directory: %v", err)
	}
	if err := os.WriteFile(path+".file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteLocalToken(path + ".file/token"); err == nil || !strings.Contains(err.Error(), "own token") {
		t.Errorf("below a file: %v", err)
	}
}

func TestSharedLocalToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.token")
	first, err := ShareLocalToken(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := ShareLocalToken(path)
	if err != nil || !second.is(first.text) {
		t.Fatalf("a second controller has another token: %v", err)
	}
	first.Remove()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the first took it away: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ShareLocalToken(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others read: %v", err)
	}
	for _, text := range []string{"", "secret", first.text + "0", "sluice_ci_" + strings.Repeat("0", 70)} {
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := ShareLocalToken(path); err == nil || !strings.Contains(err.Error(), "something else") {
			t.Errorf("a file with %q: %v", text, err)
		}
	}
	if _, err := ShareLocalToken(path + "/below"); err == nil {
		t.Error("below a file: no error")
	}
}

func TestLocalTokenFiles(t *testing.T) {
	own := LocalTokenFile("8080")
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip := a.(*net.IPNet).IP.String(); LocalTokenFileOf("https://"+net.JoinHostPort(ip, "8080")) != own {
			t.Errorf("%s is this machine's own address", ip)
		}
	}
	for url, want := range map[string]string{
		"http://127.0.0.1:8080": own, "http://localhost:8080/": own, "https://[::1]:8080": own, "http://127.9.9.9:8080": own,
		"http://127.0.0.1": LocalTokenFile("80"), "https://localhost": LocalTokenFile("443"),
		"http://198.51.100.77:8080": "", "http://sluice.example:8080": "", "http://localhost.evil.example:8080": "", "%": "",
	} {
		if got := LocalTokenFileOf(url); got != want {
			t.Errorf("%s: the token is sought in %q, not %q", url, got, want)
		}
	}
	if os.Getuid() == 0 && own != "/run/sluice/api-8080.token" {
		t.Errorf("root's is %s", own)
	}
}

func TestLocalDirs(t *testing.T) {
	for _, tc := range []struct {
		uid                    int
		service, session, want string
	}{
		{0, "", "", "/run/sluice"},
		{0, "/run/x", "/run/user/0", "/run/sluice"},
		{7, "/run/x", "/run/user/7", "/run/x"},
		{7, "", "/run/user/7", "/run/user/7/sluice"},
		{7, "", "", ""},
	} {
		if got := localDir(tc.uid, tc.service, tc.session); got != tc.want {
			t.Errorf("%+v: %q", tc, got)
		}
	}
	if got := localTokenFile("", "8080"); got != "" {
		t.Errorf("without a directory: %q", got)
	}
}

// Root finds the token of the controller that systemd runs; others keep to their own.
func TestTokenOfTheUnit(t *testing.T) {
	unit := filepath.Join(t.TempDir(), "api-8080.token")
	if got := sought("own", unit, 0); got != "own" {
		t.Errorf("no unit runs: %s", got)
	}
	if err := os.WriteFile(unit, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := sought("own", unit, 0); got != unit {
		t.Errorf("a unit runs: %s", got)
	}
	if got := sought("own", unit, 7); got != "own" {
		t.Errorf("another user: %s", got)
	}
}

func TestTokenTexts(t *testing.T) {
	text, hash := NewToken("ci-1")
	other, _ := NewToken("ci-1")
	name, secret, ok := parts(text)
	if name != "ci-1" || !ok || hashOf(secret) != hash || text == other || strings.Contains(text, hash) {
		t.Errorf("%s has name %q, %v", text, name, ok)
	}
	for _, wrong := range []string{"", "sluice_", "sluice_ci", "sluice_ci_", "ci_" + secret, "sluice_ci_" + secret[1:], "sluice_ci_" + secret + "0"} {
		if _, _, ok := parts(wrong); ok {
			t.Errorf("%q is taken for a token", wrong)
		}
	}
}

func TestNobodyMeetsNoNeed(t *testing.T) {
	for _, role := range []store.Role{store.RoleAdmin, store.RoleViewer, store.RoleTenant, ""} {
		for _, need := range []Need{"", "other"} {
			if refusal(Caller{Role: role}, need) == nil {
				t.Errorf("role %q meets need %q", role, need)
			}
		}
	}
	for _, need := range []Need{Read, Change, Look, Rule} {
		if refusal(From(context.Background()), need) == nil {
			t.Errorf("who is nobody meets need %s", need)
		}
		if refusal(Caller{Role: store.RoleAdmin}, need) != nil {
			t.Errorf("an admin does not meet need %s", need)
		}
	}
	if !(Caller{Role: store.RoleAdmin}).Sees("alice") || !(Caller{Role: store.RoleViewer}).Sees("alice") || !(Caller{Role: store.RoleTenant, Tenant: "alice"}).Sees("alice") {
		t.Error("who sees alice does not")
	}
	if (Caller{}).Sees("alice") || (Caller{Role: store.RoleTenant}).Sees("alice") || (Caller{Tenant: "alice"}).Sees("alice") {
		t.Error("who is nobody's sees alice")
	}
}

// Refusals fill no disk: beyond a bound they are counted, and the count is told later. What was done
// is told always.
func TestRefusalsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a := newAudit(Options{Audit: slog.New(slog.NewJSONHandler(&log, nil))})
		r := httptest.NewRequest("DELETE", "http://localhost/v1/tenants/"+strings.Repeat("x", 10000), nil)
		for range 5000 {
			a.note(r, Caller{}, &Entry{}, http.StatusUnauthorized)
		}
		if n := strings.Count(log.String(), "\n"); n != refusalsAtOnce {
			t.Errorf("%d lines, not %d", n, refusalsAtOnce)
		}
		if log.Len() > refusalsAtOnce*1000 {
			t.Errorf("lines of %d bytes", log.Len()/refusalsAtOnce)
		}
		log.Reset()
		for range 200 {
			a.note(r, Caller{Name: Local, Role: store.RoleAdmin}, &Entry{Object: "tenant x", Revision: 7}, http.StatusOK)
		}
		if n := strings.Count(log.String(), "\n"); n != 200 {
			t.Errorf("%d of 200 writes are told", n)
		}
		log.Reset()
		time.Sleep(time.Second)
		a.note(r, Caller{}, &Entry{}, http.StatusForbidden)
		var line struct{ Omitted int }
		if err := json.Unmarshal(log.Bytes(), &line); err != nil || line.Omitted != 5000-refusalsAtOnce {
			t.Errorf("the next line says %s, %v", log.String(), err)
		}
	})
}

func TestACrowdIsBounded(t *testing.T) {
	c := newCrowd(3, 2, "requests are worked on")
	var leave []func()
	enter := func(who string) error {
		l, err := c.enter(who)
		if err == nil {
			leave = append(leave, l)
		}
		return err
	}
	for i, step := range []struct {
		who  string
		want bool
	}{{"a", true}, {"a", true}, {"a", false}, {"b", true}, {"b", false}, {"c", false}} {
		if got := enter(step.who) == nil; got != step.want {
			t.Errorf("step %d: %s enters: %v", i, step.who, got)
		}
	}
	leave[0]()
	if enter("c") != nil {
		t.Error("a place that was left is not given")
	}
	for _, l := range leave[1:] {
		l()
	}
	if c.in != 0 || len(c.from) != 0 {
		t.Errorf("after all left, %d are in: %v", c.in, c.from)
	}
}

// A mistake of one route is answered as such and ends nothing else; its place is given back.
func TestAMistakeEndsOneRequest(t *testing.T) {
	var log bytes.Buffer
	g, local := quiet(t, &log)
	h := g.Before(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("never") }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, ask("POST", local, "{}"))
	if w.Code != http.StatusInternalServerError || g.crowd.in != 0 {
		t.Errorf("status %d, %d are in", w.Code, g.crowd.in)
	}
	if text := log.String(); !strings.Contains(text, "never") || !strings.Contains(text, `"outcome":"failed"`) {
		t.Errorf("the log says %s", text)
	}
}

// deadlines is an answer's connection of which the deadlines are kept.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// A deadline for the body must not end what the request asks for.
func TestNoDeadlineIsLeftFromTheBody(t *testing.T) {
	g, local := quiet(t, io.Discard)
	for _, r := range []*http.Request{ask("POST", local, "{}"), ask("GET", local, "")} {
		w, body := &deadlines{ResponseRecorder: httptest.NewRecorder()}, ""
		g.Before(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if body = string(b); err != nil {
				t.Error(err)
			}
			if len(w.set) == 0 || !w.set[len(w.set)-1].IsZero() {
				t.Errorf("%s is worked on under deadlines %v", r.Method, w.set)
			}
			if r.Method == "POST" && w.set[0].IsZero() {
				t.Error("the body had no deadline")
			}
		})).ServeHTTP(w, r)
		if r.Method == "POST" && body != "{}" {
			t.Errorf("the body became %q", body)
		}
	}
}

// The address at which a request came in is a name of the controller; no other address is.
func TestAddressesAreNames(t *testing.T) {
	for host, want := range map[string]bool{
		"192.0.2.1": true, "192.0.2.1:8080": true, "[::ffff:192.0.2.1]:80": true, "127.0.0.1": true, "[::1]": true, "localhost": true,
		"192.0.2.2": false, "sluice": false, "": false, "192.0.2.1.example": false,
	} {
		r := httptest.NewRequest("GET", "http://x/", nil)
		r.Host = host
		at := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 8080}
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, at))
		if got := names(nil).check(r) == nil; got != want {
			t.Errorf("host %q: %v", host, got)
		}
	}
}

// Where nobody knows at which address a request came in, only loopback is a name.
func TestNamesWithoutAnAddress(t *testing.T) {
	for host, want := range map[string]bool{"evil.example": false, "0.0.0.0": false, "[::]": false, "127.0.0.1": true} {
		r := httptest.NewRequest("GET", "http://x/", nil)
		r.Host = host
		if got := names(nil).check(r) == nil; got != want {
			t.Errorf("host %q: %v", host, got)
		}
	}
}

// Who asks for too much at once is told to come back, and that is told in the audit log.
func TestTooManyAtOnce(t *testing.T) {
	var log bytes.Buffer
	g, local := quiet(t, &log)
	g.crowd = newCrowd(1, 1, "requests are worked on")
	w := httptest.NewRecorder()
	g.Before(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		g.Before(http.NotFoundHandler()).ServeHTTP(w, ask("GET", local, "")) // a second one meanwhile
	})).ServeHTTP(httptest.NewRecorder(), ask("GET", local, ""))
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || !strings.Contains(log.String(), "429") {
		t.Errorf("%d %v: %s", w.Code, w.Header(), log.String())
	}
}

// A connection whose request is answered is not closed for a new one; the one that has been quiet for
// longest is.
func TestConnectionsGoInTheirOrder(t *testing.T) {
	c := newConnections(3)
	conn := make([]net.Conn, 6)
	ends := make([]net.Conn, 6)
	for i := range conn {
		conn[i], ends[i] = net.Pipe()
		defer ends[i].Close()
	}
	is := func(i int, want bool) {
		t.Helper()
		_ = conn[i].SetReadDeadline(time.Now())
		_, err := conn[i].Read(make([]byte, 1))
		if closed := !errors.Is(err, os.ErrDeadlineExceeded); closed != want {
			t.Errorf("connection %d is closed: %v", i, closed)
		}
	}
	for i := range 3 {
		c.changed(conn[i], http.StateNew)
	}
	c.busy(conn[0])
	c.changed(conn[3], http.StateNew)
	is(0, false)
	is(1, true)
	is(2, false)
	c.changed(conn[1], http.StateClosed)
	c.free(conn[0])
	c.changed(conn[4], http.StateNew)
	is(2, true)
	is(0, false)
	c.changed(conn[2], http.StateClosed)
	c.changed(conn[5], http.StateNew)
	is(3, true)
	c.changed(conn[3], http.StateClosed)
	if c.all != 3 || len(c.quiet) != 3 {
		t.Errorf("%d connections, %d of them quiet", c.all, len(c.quiet))
	}
}
