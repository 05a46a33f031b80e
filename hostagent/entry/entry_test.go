package entry

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/store"
)

var quiet = slog.New(slog.DiscardHandler)

// world is an entry with containers behind it, which are reached by the names of their routes.
type world struct {
	*Entry
	table      *Table
	routes     []Route
	containers map[string]string // publication -> address
	at         string            // of the entry
}

func newWorld(t *testing.T, login *Login) *world {
	t.Helper()
	w := &world{table: NewTable(), containers: make(map[string]string)}
	w.Entry = New(Options{Table: w.table, Login: login, Log: quiet, Reach: func(ctx context.Context, r Route) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", w.containers[r.key()])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotReached, err)
		}
		return conn, nil
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- w.Serve(ctx, l) }()
	t.Cleanup(func() {
		end()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	w.at = l.Addr().String()
	return w
}

// publish adds a container by a route, such as alice.example/.
func (w *world) publish(t *testing.T, tenant string, route store.Route, h http.HandlerFunc) Route {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	r := Route{Route: route, Tenant: tenant, Number: uint32(len(w.routes) + 1), Name: fmt.Sprint("w", len(w.routes)), Created: store.Revision(10 + len(w.routes)), Gateway: "h1",
		Target: netip.MustParseAddrPort(server.Listener.Addr().String())}
	w.containers[r.key()] = server.Listener.Addr().String()
	w.routes = append(w.routes, r)
	w.table.Set(w.routes)
	return r
}

func all(host string) store.Route { return store.Route{Host: host, Path: "/"} }

func below(path string, strip bool) store.Route {
	return store.Route{Host: "hub.example", Path: path, Strip: strip, Shared: true}
}

// told answers with what a container is told.
func told(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(seen{name, r.Method, r.Host, r.RequestURI, r.Header, r.TransferEncoding})
	}
}

type seen struct {
	Name, Method, Host, URI string
	Header                  http.Header
	Transfer                []string
}

// says sends lines to the entry as they are, and gives back the answer.
func (w *world) says(t *testing.T, text string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", w.at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	b, _ := io.ReadAll(resp.Body)
	return resp, string(b)
}

// Whose a request is says its name and its path alone, and where two readers would differ nobody gets it.
func TestWhoseRequest(t *testing.T) {
	w := newWorld(t, nil)
	w.publish(t, "alice", all("alice.example"), told("alice"))
	w.publish(t, "bob", below("/bob/", false), told("bob"))
	w.publish(t, "carol", below("/carol/", true), told("carol"))
	w.publish(t, "carol", below("/carol/deep/", false), told("deep"))
	for _, tc := range []struct {
		line, host string
		status     int
		name, uri  string
	}{
		{"GET / HTTP/1.1", "alice.example", 200, "alice", "/"},
		{"GET /a%2Fb?x=1;y=2 HTTP/1.1", "ALICE.example:8088", 200, "alice", "/a%2Fb?x=1;y=2"},
		{"GET /a HTTP/1.1", "alice.example.", 200, "alice", "/a"},
		{"GET http://alice.example/a HTTP/1.1", "hub.example", 200, "alice", "/a"},
		{"GET / HTTP/1.1", "x.alice.example", 404, "", ""},
		{"GET / HTTP/1.1", "", 404, "", ""},
		{"GET / HTTP/1.1", "127.0.0.1", 404, "", ""},
		{"GET /bob/ HTTP/1.1", "hub.example", 200, "bob", "/bob/"},
		{"GET /bob/x%20y HTTP/1.1", "hub.example", 200, "bob", "/bob/x%20y"},
		{"GET /bobby HTTP/1.1", "hub.example", 404, "", ""},
		{"GET /Bob/ HTTP/1.1", "hub.example", 404, "", ""},
		{"GET / HTTP/1.1", "hub.example", 404, "", ""},
		{"GET /carol/ HTTP/1.1", "hub.example", 200, "carol", "/"},
		{"GET /carol/a%2Fb?q HTTP/1.1", "hub.example", 200, "carol", "/a%2Fb?q"},
		{"GET /carol//x HTTP/1.1", "hub.example", 200, "carol", "//x"},
		{"GET /carol/deep/x HTTP/1.1", "hub.example", 200, "deep", "/carol/deep/x"},
		{"GET /bob?q=1 HTTP/1.1", "hub.example", 308, "", ""},
		{"GET /carol/deep HTTP/1.1", "hub.example", 308, "", ""},
		{"GET /bob/../carol/ HTTP/1.1", "hub.example", 400, "", ""},
		{"GET /bob/%2e%2E/carol/ HTTP/1.1", "hub.example", 400, "", ""},
		{"GET /bob/..%2fcarol/ HTTP/1.1", "hub.example", 400, "", ""},
		{"GET /bob/..%5ccarol/ HTTP/1.1", "hub.example", 400, "", ""},
		{"GET /bob/..;x/carol/ HTTP/1.1", "hub.example", 400, "", ""},
		{"GET /bob/./ HTTP/1.1", "hub.example", 400, "", ""},
		{"GET /%62ob/ HTTP/1.1", "hub.example", 400, "", ""},
		{"GET /bob%2f HTTP/1.1", "hub.example", 400, "", ""},
		{"GET /bob/... HTTP/1.1", "hub.example", 200, "bob", "/bob/..."},
		{"OPTIONS * HTTP/1.1", "alice.example", 400, "", ""},
		{"CONNECT alice.example:22 HTTP/1.1", "alice.example:22", 405, "", ""},
		{"TRACE / HTTP/1.1", "alice.example", 405, "", ""},
	} {
		resp, body := w.says(t, tc.line+"\nHost: "+tc.host+"\n\n")
		var s seen
		_ = json.Unmarshal([]byte(body), &s)
		if resp.StatusCode != tc.status || s.Name != tc.name || s.URI != tc.uri {
			t.Errorf("%s of %q: %d by %q, which sees %q; want %d by %q, %q", tc.line, tc.host, resp.StatusCode, s.Name, s.URI, tc.status, tc.name, tc.uri)
		}
		if tc.status == 308 && !slices.Contains([]string{"/bob/?q=1", "/carol/deep/"}, resp.Header.Get("Location")) {
			t.Errorf("%s leads to %q", tc.line, resp.Header.Get("Location"))
		}
		if s.Host != "" && strings.Contains(tc.line, "GET /") && s.Host != tc.host {
			t.Errorf("%s: the container sees the name %q, and the client asked for %q", tc.line, s.Host, tc.host)
		}
	}
	if got := w.Answered(); got[1] != (store.Answers{0, 4}) || got[2] != (store.Answers{0, 3}) || len(got) != 4 {
		t.Errorf("counted as %v", got)
	}
	if got := w.Answered(); len(got) != 0 {
		t.Errorf("counted again: %v", got)
	}
}

// A client says nothing of itself that a container would believe, by no spelling, and nothing between two hops.
func TestWhatContainersAreTold(t *testing.T) {
	w := newWorld(t, nil)
	w.publish(t, "carol", below("/carol/", true), told("carol"))
	_, body := w.says(t, `POST /carol/x HTTP/1.1
Host: hub.example:8088
X-Forwarded-For: 192.0.2.1
x-forwarded-user: root
X_Forwarded_For: 192.0.2.1
Forwarded: for=192.0.2.1
Remote-User: root
Remote_User: root
X-Real-IP: 192.0.2.1
X-Sluice-Tenant: bob
Proxy: x
Proxy-Authorization: x
Keep-Alive: 5
Connection: X-Forwarded-Host, X-Own, close
X-Own: 1
Upgrade: h2c
HTTP2-Settings: x
TE: trailers
Trailer: Remote-User
Authorization: Bearer mine
Cookie: a=1; b=2
Accept-Encoding: br
Transfer-Encoding: chunked

3
abc
0
Remote-User: root

`)
	var s seen
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		t.Fatal(body)
	}
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1", "X-Forwarded-Host": "hub.example:8088", "X-Forwarded-Proto": "http",
		"X-Forwarded-Prefix": "/carol", "Authorization": "Bearer mine", "Cookie": "a=1; b=2", "Accept-Encoding": "br",
	} {
		if got := s.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("the container is told %s: %q, want %q", name, got, want)
		}
		delete(s.Header, textproto.CanonicalMIMEHeaderKey(name))
	}
	delete(s.Header, "Te") // what it may send behind its answer
	if len(s.Header) != 0 || s.Method != "POST" || !slices.Equal(s.Transfer, []string{"chunked"}) {
		t.Errorf("the container is told besides %v, of a %s with %v", s.Header, s.Method, s.Transfer)
	}
}

// Only WebSockets are passed: of all else that asks for another protocol the container sees a plain request, and it gets no stream
// by saying so itself.
func TestUpgrades(t *testing.T) {
	w := newWorld(t, nil)
	w.publish(t, "alice", all("alice.example"), func(rw http.ResponseWriter, r *http.Request) {
		conn, both, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(both, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSet-Cookie: a=1; Domain=example\r\nX-Asked: %q\r\n\r\nhello", r.Header["Upgrade"])
		_ = both.Flush()
	})
	const ask = "GET / HTTP/1.1\nHost: alice.example\nConnection: Upgrade, HTTP2-Settings\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\nSec-WebSocket-Key: x\n"
	for upgrade, status := range map[string]int{
		"Upgrade: websocket\n": 101, "Upgrade: WebSocket\n": 101, "Upgrade: h2c\n": 502, "Upgrade: websocket, h2c\n": 502, "Upgrade: h2c\nUpgrade: websocket\n": 502, "": 502,
	} {
		resp, _ := w.says(t, ask+upgrade+"\n")
		if resp.StatusCode != status {
			t.Errorf("%q is answered %d, want %d", upgrade, resp.StatusCode, status)
		}
		if status == 101 && (resp.Header.Get("X-Asked") == "" || resp.Header.Get("Set-Cookie") != "a=1") {
			t.Errorf("%q: %v", upgrade, resp.Header)
		}
	}
	if got := w.Answered()[1]; got != (store.Answers{2, 0, 0, 0, 4}) {
		t.Errorf("counted as %v", got)
	}
	if resp, _ := w.says(t, "POST / HTTP/1.1\nHost: alice.example\nConnection: Upgrade\nUpgrade: websocket\nContent-Length: 0\n\n"); resp.StatusCode != 502 {
		t.Errorf("a POST opens a WebSocket: %d", resp.StatusCode)
	}
}

// A container speaks for its own path of a name alone.
func TestWhatBrowsersAreTold(t *testing.T) {
	w := newWorld(t, nil)
	answer := func(rw http.ResponseWriter, _ *http.Request) {
		for _, name := range harmful {
			rw.Header().Set(name, "x")
		}
		rw.Header().Set("Link", "early")
		rw.WriteHeader(http.StatusEarlyHints)
		rw.Header().Set("Location", "/login?next=%2Fx")
		rw.Header().Set("Set-Cookie", "a=1; domain=.example ;Path=/; HttpOnly")
		rw.WriteHeader(http.StatusFound)
	}
	w.publish(t, "alice", all("alice.example"), answer)
	w.publish(t, "bob", below("/bob/", true), answer)
	for host, want := range map[string][4]string{
		"GET / HTTP/1.1\nHost: alice.example":   {"/login?next=%2Fx", "a=1; HttpOnly; Path=/", "", "x"},
		"GET /bob/ HTTP/1.1\nHost: hub.example": {"/bob/login?next=%2Fx", "a=1; HttpOnly; Path=/bob/", "", ""},
	} {
		resp, _ := w.says(t, host+"\n\n")
		if got := [4]string{resp.Header.Get("Location"), resp.Header.Get("Set-Cookie"), resp.Header.Get("Alt-Svc"), resp.Header.Get("Clear-Site-Data")}; got != want || resp.StatusCode != 302 {
			t.Errorf("%s: %d, %q, want %q", host, resp.StatusCode, got, want)
		}
		if (resp.Header.Get("Service-Worker-Allowed") == "") != (want[3] == "") {
			t.Errorf("%s: a service worker may be %q", host, resp.Header.Get("Service-Worker-Allowed"))
		}
	}
}

// What does not answer is told from what is not there, and a change of routes ends the streams of those that go, and no other's.
func TestRoutesComeAndGo(t *testing.T) {
	w := newWorld(t, nil)
	w.publish(t, "alice", all("alice.example"), stream)
	w.publish(t, "bob", all("bob.example"), stream)
	gone := w.publish(t, "carol", all("carol.example"), stream)
	w.containers[gone.key()] = "127.0.0.1:1"
	resp, body := w.says(t, "GET / HTTP/1.1\nHost: carol.example\n\n")
	if resp.StatusCode != 503 || !strings.Contains(body, textDown) || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a container that is down: %d, %s", resp.StatusCode, body)
	}
	alice, bob := w.open(t, "alice.example"), w.open(t, "bob.example")
	moved := slices.Clone(w.routes)
	moved[1].Gateway = "h2"
	w.table.Set(moved)
	alice.line(t)
	bob.line(t)
	if last := w.table.Visits(); len(last) != 3 || last[2].Tenant != "carol" || last[0].Last.IsZero() || last[0].Created < 10 {
		t.Errorf("something passed last at %v", last)
	}
	moved[0].Created = 99 // another publication of the name
	w.table.Set(moved)
	bob.line(t)
	if _, err := io.Copy(io.Discard, alice.lines); err == nil {
		t.Error("the stream of what went ended as if it were whole")
	}
	bob.line(t)
	for _, v := range w.table.Visits() {
		if v.Tenant == "alice" {
			t.Errorf("the next publication of the name was visited at %v", v)
		}
	}
}

// stream says a line each time that it is asked to.
func stream(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "text/event-stream")
	for r.Context().Err() == nil {
		if _, err := fmt.Fprintln(rw, "data: x"); err != nil || http.NewResponseController(rw).Flush() != nil {
			return
		}
	}
}

type opened struct{ lines *bufio.Reader }

func (w *world) open(t *testing.T, host string) opened {
	t.Helper()
	conn, err := net.Dial("tcp", w.at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	o := opened{bufio.NewReader(resp.Body)}
	o.line(t)
	return o
}

func (o opened) line(t *testing.T) {
	t.Helper()
	if line, err := o.lines.ReadString('\n'); err != nil || line != "data: x\n" {
		t.Fatalf("the stream says %q, %v", line, err)
	}
}

// One tenant's requests leave room for another's.
func TestCrowd(t *testing.T) {
	w := newWorld(t, nil)
	w.crowd.limit = 2
	w.publish(t, "alice", all("alice.example"), stream)
	w.publish(t, "bob", all("bob.example"), told("bob"))
	w.open(t, "alice.example")
	w.open(t, "alice.example")
	if resp, body := w.says(t, "GET / HTTP/1.1\nHost: alice.example\n\n"); resp.StatusCode != 503 || !strings.Contains(body, textBusy) {
		t.Errorf("a third is answered %d, %s", resp.StatusCode, body)
	}
	if resp, _ := w.says(t, "GET / HTTP/1.1\nHost: bob.example\n\n"); resp.StatusCode != 200 {
		t.Errorf("another tenant's is answered %d", resp.StatusCode)
	}
	c := newCrowd(1)
	leave, _ := c.enter("a")
	leave()
	if _, ok := c.enter("a"); !ok || len(c.inside) != 1 {
		t.Error("who left is still inside")
	}
	for i := range shares - 1 {
		if _, ok := c.enter(fmt.Sprint(i)); !ok {
			t.Errorf("tenant %d of %d has no room", i, shares)
		}
	}
	if _, ok := c.enter("last"); ok {
		t.Error("in all there is no bound")
	}
}

// A body passes as it comes, in both directions at once, however long it is.
func TestBodiesStream(t *testing.T) {
	w := newWorld(t, nil)
	var got atomic.Int64
	w.publish(t, "alice", all("alice.example"), func(rw http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		got.Store(n)
		fmt.Fprint(rw, n, err)
	})
	from, to := io.Pipe()
	go func() {
		defer to.Close()
		for range 512 {
			_, _ = to.Write(make([]byte, 64<<10))
		}
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+w.at+"/", from)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "alice.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); string(b) != fmt.Sprint(512*64<<10, nil) || got.Load() != 512*64<<10 {
		t.Errorf("the container got %s", b)
	}
}
