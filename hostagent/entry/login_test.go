package entry

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// The login is asked of each request first. What it says of who asks reaches the container, what the client says does not, and its
// own cookie no container sees.
func TestLogin(t *testing.T) {
	var asked []*http.Request
	login := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r)
		cookie, _ := r.Cookie("login")
		switch {
		case cookie == nil:
			w.Header().Set("Location", "https://login.example/?next="+url.QueryEscape(r.Header.Get("X-Original-Url")))
			w.WriteHeader(http.StatusFound)
		case cookie.Value != r.Header.Get("X-Sluice-Tenant"):
			w.Header().Set("Remote-User", "nobody")
			http.Error(w, "not yours", http.StatusForbidden)
		default:
			w.Header().Set("Remote-User", cookie.Value)
			w.Header().Set("X-Other", "x")
			w.Header().Set("Set-Cookie", "login=again; Domain=example")
		}
	}))
	defer login.Close()
	at, _ := url.Parse(login.URL + "/auth?x=1")
	w := newWorld(t, NewLogin(at, []string{"remote-user", "Remote-Groups"}, []string{"login"}))
	w.publish(t, "alice", all("alice.example"), func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Add("Set-Cookie", "own=1; Domain=example")
		rw.Header().Add("Set-Cookie", "login=mine; Domain=example")
		told("alice")(rw, r)
	})
	const head = "POST /x?y=1 HTTP/1.1\nHost: alice.example\nRemote-User: root\nRemote-Groups: wheel\nX-Original-URI: /public\nX-Sluice-Tenant: bob\nRange: bytes=0-1\nContent-Length: 2\n"
	resp, body := w.says(t, head+"\nab")
	if resp.StatusCode != 302 || resp.Header.Get("Location") != "https://login.example/?next=http%3A%2F%2Falice.example%2Fx%3Fy%3D1" || strings.Contains(body, "alice") {
		t.Errorf("without a cookie: %d, %s, %s", resp.StatusCode, resp.Header.Get("Location"), body)
	}
	if resp, body = w.says(t, head+"Cookie: login=bob\n\nab"); resp.StatusCode != 403 || body != "not yours\n" {
		t.Errorf("with another's: %d, %s", resp.StatusCode, body)
	}
	resp, body = w.says(t, head+"Cookie: a=1; login=alice\n\nab")
	var s seen
	if err := json.Unmarshal([]byte(body), &s); err != nil || resp.StatusCode != 200 {
		t.Fatalf("with its own: %d, %s", resp.StatusCode, body)
	}
	if got := s.Header; got.Get("Remote-User") != "alice" || len(got.Values("Remote-User")) != 1 || got.Get("Remote-Groups") != "" || got.Get("X-Other") != "" || got.Get("Cookie") != "a=1" || got.Get("X-Sluice-Tenant") != "" {
		t.Errorf("the container is told %v", got)
	}
	if got := resp.Header.Values("Set-Cookie"); !slices.Equal(got, []string{"own=1", "login=again; Domain=example"}) {
		t.Errorf("the browser gets the cookies %q", got)
	}
	for _, r := range asked {
		h := r.Header
		if r.Method != "GET" || r.ContentLength > 0 || r.URL.String() != "/auth?x=1" || h.Get("Remote-User")+h.Get("Range") != "" || h.Get("X-Original-Uri") != "/x?y=1" ||
			h.Get("X-Original-Method") != "POST" || h.Get("X-Forwarded-Host") != "alice.example" || h.Get("X-Forwarded-For") != "127.0.0.1" || h.Get("X-Sluice-Publication") != "w0" {
			t.Errorf("the login is asked %s %s with %v", r.Method, r.URL, h)
		}
	}
	login.Close()
	if resp, body := w.says(t, head+"Cookie: login=alice\n\nab"); resp.StatusCode != 503 || !strings.Contains(body, textLogin) {
		t.Errorf("while the login is away: %d, %s", resp.StatusCode, body)
	}
}

// An answer that is neither yes nor no lets nobody in.
func TestLoginOfNoAnswer(t *testing.T) {
	for _, status := range []int{404, 405, 429, 500, 502} {
		login := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		at, _ := url.Parse(login.URL)
		w := newWorld(t, NewLogin(at, nil, nil))
		w.publish(t, "alice", all("alice.example"), told("alice"))
		resp, _ := w.says(t, "GET / HTTP/1.1\nHost: alice.example\n\n")
		if resp.StatusCode != 503 {
			t.Errorf("a login that says %d: %d", status, resp.StatusCode)
		}
		login.Close()
	}
}
