package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"sluice/controller/client"
	"sluice/integration/lab"
	"sluice/internal/browser"
)

// notebook is what a notebook server does, as far as an entry between it and the browser matters: a WebSocket that asks whether its
// page is of its own name, events of the server, uploads, cookies with all that a container may try with them.
func notebook(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Set-Cookie", "session="+name+"; Domain=example; Path=/")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, notebookPage, name)
	})
	mux.HandleFunc("/headers", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"name": name, "host": r.Host, "path": r.URL.EscapedPath(), "headers": r.Header})
	})
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, n, err)
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := 0; r.Context().Err() == nil; n++ {
			fmt.Fprintf(w, "data: %s %d\n\n", name, n)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	})
	mux.HandleFunc("/channels", func(w http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
			http.Error(w, "a page of another name", http.StatusForbidden)
			return
		}
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			text, err := wsutil.ReadClientText(conn)
			if err != nil || wsutil.WriteServerText(conn, []byte(name+": "+string(text))) != nil {
				return
			}
		}
	})
	return mux
}

const notebookPage = `<!doctype html><title>%s</title><pre id="said"></pre><pre id="events"></pre><script>
const at = new URL('channels', location); at.protocol = 'ws:'
const channel = new WebSocket(at)
channel.onopen = () => channel.send('1+1')
channel.onmessage = e => { document.querySelector('#said').textContent = e.data }
const events = new EventSource('events')
events.onmessage = e => { document.querySelector('#events').textContent = e.data }
</script>`

// serveNotebook serves one in a container until it is closed.
func serveNotebook(t *testing.T, c lab.Container) io.Closer {
	t.Helper()
	l, err := lab.ListenIn(t.Context(), c.NetNS, "tcp", netip.AddrPortFrom(ipOf(c), 8888).String())
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: notebook(c.Name), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return server
}

// entryOf dials the entry of a host from the internet, whatever is asked for.
func entryOf(host string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return lab.DialIn(ctx, lab.InternetNS, "tcp", netip.AddrPortFrom(uplink(host), lab.EntryPort).String())
	}
}

// browse asks the entry of a host for a page.
func browse(t *testing.T, host, method, url string, body io.Reader) (int, string, http.Header) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: entryOf(host), DisableKeepAlives: true}, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "192.0.2.66")
	req.Header.Set("Remote-User", "root")
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error(), nil
	}
	return resp.StatusCode, string(b), resp.Header
}

// shown waits until the entry of a host answers so.
func shown(t *testing.T, host, url string, status int, text string) (body string, h http.Header) {
	t.Helper()
	eventually(t, fmt.Sprintf("the entry of %s answers %d for %s", host, status, url), func() error {
		var got int
		if got, body, h = browse(t, host, http.MethodGet, url, nil); got != status || !strings.Contains(body, text) {
			return fmt.Errorf("it answers %d, %s", got, body)
		}
		return nil
	})
	return body, h
}

// channel is a WebSocket of the internet.
type channel struct{ net.Conn }

func openChannel(t *testing.T, host, name string) channel {
	t.Helper()
	d := ws.Dialer{NetDial: entryOf(host), Header: ws.HandshakeHeaderHTTP{"Origin": {"http://" + name}}, Timeout: 5 * time.Second}
	conn, _, _, err := d.Dial(t.Context(), "ws://"+name+"/channels")
	if err != nil {
		t.Fatalf("WebSocket of %s by %s: %v", name, host, err)
	}
	t.Cleanup(func() { conn.Close() })
	return channel{conn}
}

// says is an error unless the notebook of a name answers.
func (c channel) says(name, word string) error {
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if err := wsutil.WriteClientText(c, []byte(word)); err != nil {
		return err
	}
	if said, err := wsutil.ReadServerText(c); err != nil || string(said) != name+": "+word {
		return fmt.Errorf("%q is answered %q: %w", word, said, err)
	}
	return nil
}

// What a tenant publishes by a name is reached at the entry of each host, by each protocol of browsers, over moves of the gateway,
// and ends with the publication without touching another's streams.
func TestEntry(t *testing.T) {
	st := needLab(t)
	endsProved(t)
	tenant(t, "web-a", "--gateway", "h1")
	tenant(t, "web-b", "--gateway", "h2")
	a, b := container(t, "h3", "web-a", "web-jupyter"), container(t, "h1", "web-b", "web-other")
	notebookA := serveNotebook(t, a)
	serveNotebook(t, b)
	told := sluice(t, "publish", "http", "web-a", "--port", "web-jupyter", "--tcp", "8888", "--host-name", "Alice.example.")
	if !strings.Contains(told, "web-a/http-alice-example: http://alice.example/ leads to tcp 8888 of web-a/default/web-jupyter") || !strings.Contains(told, "172.30.0.2:8088") {
		t.Errorf("publish http says %s", told)
	}
	sluice(t, "publish", "http", "web-b", "--port", "web-other", "--tcp", "8888", "--host-name", "bob.example")
	refused(t, []string{"alice.example/ is web-a/http-alice-example's for longer"}, "publish", "http", "web-b", "--port", "web-other", "--tcp", "8888", "--host-name", "alice.example")

	for _, host := range []string{"h1", "h2", "h3"} {
		carries(t, host)
	}
	shareAName(t)
	closedToTenants(t, a)
	other := openChannel(t, "h3", "bob.example")
	own, kept := openChannel(t, "h2", "alice.example"), openChannel(t, "h1", "alice.example")
	sluice(t, "gateway", "policy", "web-a", "h2")
	shown(t, "h1", "http://alice.example/headers", http.StatusOK, `"name":"web-jupyter"`)
	if err := errors.Join(own.says("web-jupyter", "after the move"), kept.says("web-jupyter", "after the move"), other.says("web-other", "as ever")); err != nil {
		t.Errorf("after the gateway moved: %v", err)
	}
	inChromium(t)
	tellsVisits(t, st)

	notebookA.Close()
	shown(t, "h3", "http://alice.example/", http.StatusServiceUnavailable, "does not answer now")
	serveNotebook(t, a)
	shown(t, "h3", "http://alice.example/headers", http.StatusOK, `"name":"web-jupyter"`)
	own = openChannel(t, "h3", "alice.example")
	sluice(t, "unpublish", "web-a", "http-alice-example")
	eventually(t, "the stream of what is unpublished ends", func() error {
		if own.says("web-jupyter", "still") == nil {
			return errors.New("it goes on")
		}
		return nil
	})
	shown(t, "h1", "http://alice.example/", http.StatusNotFound, "Nothing is published here")
	if err := other.says("web-other", "as ever"); err != nil {
		t.Errorf("the stream of another tenant: %v", err)
	}
}

// An entry goes by a tenant's backup while its gateway host is dead, with no controller and no etcd there, also the entry of the backup itself.
func TestEntryFailsOver(t *testing.T) {
	g, others := failingOver(t, "web-rescued")
	serveNotebook(t, others[len(others)-1])
	sluice(t, "publish", "http", "web-rescued", "--port", others[len(others)-1].Name, "--tcp", "8888", "--host-name", "rescued.example")
	for _, c := range others {
		shown(t, c.Host, "http://rescued.example/headers", http.StatusOK, `"host":"rescued.example"`)
	}
	sluice(t, "lab", "kill", "controller")
	sluice(t, "lab", "kill", g.Active)
	for _, c := range others {
		shown(t, c.Host, "http://rescued.example/headers", http.StatusOK, `"host":"rescued.example"`)
	}
	sluice(t, "lab", "up")
	wantNoDiff(t)
	for _, c := range others {
		shown(t, c.Host, "http://rescued.example/headers", http.StatusOK, `"host":"rescued.example"`)
	}
}

// shareAName: tenants have paths of one name where each of them says so.
func shareAName(t *testing.T) {
	t.Helper()
	sluice(t, "publish", "http", "web-a", "--port", "web-jupyter", "--tcp", "8888", "--host-name", "hub.example", "--path", "/a", "--strip-path", "--shared-origin")
	of := []string{"publish", "http", "web-b", "--port", "web-other", "--tcp", "8888", "--host-name", "hub.example", "--path", "/b"}
	refused(t, []string{"hub.example/a/ is web-a/http-hub-example-a's for longer", "--shared-origin"}, of...)
	sluice(t, append(of, "--shared-origin", "--strip-path")...)
	body, _ := shown(t, "h3", "http://hub.example/a/headers?x", http.StatusOK, `"name":"web-jupyter"`)
	if !strings.Contains(body, `"path":"/headers"`) || !strings.Contains(body, `"X-Forwarded-Prefix":["/a"]`) {
		t.Errorf("the container is told %s", body)
	}
	shown(t, "h3", "http://hub.example/b/headers", http.StatusOK, `"name":"web-other"`)
	if _, h := shown(t, "h3", "http://hub.example/b/", http.StatusOK, "web-other"); h.Get("Set-Cookie") != "session=web-other; Path=/b/" {
		t.Errorf("the browser gets the cookie %q", h.Get("Set-Cookie"))
	}
	shown(t, "h3", "http://hub.example/a/%2e%2e/b/headers", http.StatusBadRequest, "means different things")
	shown(t, "h3", "http://hub.example/", http.StatusNotFound, "Nothing is published here")
}

// closedToTenants: a container reaches neither entries nor relays, as all of machines, nor the ports of routes.
func closedToTenants(t *testing.T, c lab.Container) {
	t.Helper()
	for _, at := range []string{"172.30.0.1:8088", "172.30.0.2:8088", "172.30.0.3:8088", "172.30.0.1:6656", "172.30.0.2:6656", "100.64.0.1:64512", "100.64.0.2:64512"} {
		ctx, end := context.WithTimeout(t.Context(), 500*time.Millisecond)
		conn, err := lab.DialIn(ctx, c.NetNS, "tcp", at)
		if end(); err == nil {
			conn.Close()
			t.Errorf("container %s reaches %s", c.Name, at)
		}
	}
}

// tellsVisits: people see when something passed last, and how many requests had which answers.
func tellsVisits(t *testing.T, st lab.Status) {
	t.Helper()
	eventually(t, "publish list says when something passed last", func() error {
		for _, p := range answer[[]client.Publication](t, "publish", "list", "--tenant", "web-a") {
			if p.Last != nil && time.Since(*p.Last) < time.Hour {
				return nil
			}
		}
		return errors.New("it does not")
	})
	for _, code := range []string{"1xx", "2xx"} {
		eventually(t, "answers "+code+" are counted", func() error {
			if n := metric(t, st, "sluice_tenant_http_requests_total", `tenant="web-a"`, `code="`+code+`"`); n == 0 {
				return errors.New("none is")
			}
			return nil
		})
	}
}

// carries looks at all that one entry does for one route.
func carries(t *testing.T, host string) {
	t.Helper()
	body, _ := shown(t, host, "http://alice.example/headers", http.StatusOK, `"host":"alice.example"`)
	internet := "172.30.0.254"
	for _, text := range []string{`"X-Forwarded-For":["` + internet + `"]`, `"X-Forwarded-Host":["alice.example"]`, `"X-Forwarded-Proto":["http"]`} {
		if !strings.Contains(body, text) {
			t.Errorf("%s: the container is told %s, which lacks %s", host, body, text)
		}
	}
	if strings.Contains(body, "192.0.2.66") || strings.Contains(body, "Remote-User") {
		t.Errorf("%s: the container is told what the client says of itself: %s", host, body)
	}
	if _, h := shown(t, host, "http://alice.example/", http.StatusOK, "web-jupyter"); h.Get("Set-Cookie") != "session=web-jupyter; Path=/" {
		t.Errorf("%s: the browser gets the cookie %q", host, h.Get("Set-Cookie"))
	}
	shown(t, host, "http://bob.example/headers", http.StatusOK, `"name":"web-other"`)
	shown(t, host, "http://nobody.example/", http.StatusNotFound, "Nothing is published here")
	const large = 64 << 20
	if status, said, _ := browse(t, host, http.MethodPost, "http://alice.example/upload", bytes.NewReader(make([]byte, large))); status != http.StatusOK || said != fmt.Sprintln(large, nil) {
		t.Errorf("%s: an upload of %d bytes is answered %d, %s", host, large, status, said)
	}
	if err := openChannel(t, host, "alice.example").says("web-jupyter", "hello"); err != nil {
		t.Errorf("%s: %v", host, err)
	}
}

// inChromium opens both names in one real browser: each page talks with its own container, and has its own cookie.
func inChromium(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go forwardTo(l, entryOf("h3"))
	rules := fmt.Sprintf("MAP *.example:80 %s", l.Addr())
	b := browser.Open(t, "http://alice.example", chromedp.Flag("host-resolver-rules", rules))
	for name, container := range map[string]string{"alice": "web-jupyter", "bob": "web-other"} {
		b.Do(t, chromedp.Navigate("http://"+name+".example/"))
		eventually(t, "the page of "+name+" talks with its container", func() error {
			said, events := b.Text(t, "#said"), b.Text(t, "#events")
			var cookie string
			b.Do(t, chromedp.Evaluate("document.cookie", &cookie))
			if said != container+": 1+1" || !strings.HasPrefix(events, container+" ") || cookie != "session="+container {
				return fmt.Errorf("it says %q, %q, with the cookies %q", said, events, cookie)
			}
			return nil
		})
	}
	b.Do(t, chromedp.Navigate("http://nobody.example/"))
	if text := b.Text(t, "h1"); text != "404 Not Found" {
		t.Errorf("for an unknown name the browser shows %q", text)
	}
}

// forwardTo brings what connects to a listener elsewhere.
func forwardTo(l net.Listener, dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close()
			to, err := dial(context.Background(), "tcp", "")
			if err != nil {
				return
			}
			defer to.Close()
			go func() { _, _ = io.Copy(to, from); to.Close() }()
			_, _ = io.Copy(from, to)
		}()
	}
}
