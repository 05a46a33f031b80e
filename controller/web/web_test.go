package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/html"

	"sluice/controller"
	"sluice/controller/access"
	"sluice/controller/api"
	"sluice/controller/client"
	"sluice/controller/web"
	"sluice/store"
	"sluice/store/etcd"
	"sluice/store/etcd/etcdtest"
)

// cluster is the pages before a real controller and a real etcd.
type cluster struct {
	*client.Client
	store *etcd.Client
	token string // the controller's own
}

func start(t *testing.T) cluster {
	t.Helper()
	return startWith(t, web.Options{})
}

// startWith starts one whose pages have what the options name besides.
func startWith(t *testing.T, options web.Options) cluster {
	t.Helper()
	return startOn(t, etcdtest.Start(t), options)
}

// startOn starts one that an etcd holds already.
func startOn(t *testing.T, server *etcd.Embedded, options web.Options) cluster {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	etcdClient := etcdtest.Connect(t, server)
	openflow := listen(t)
	registry := prometheus.NewRegistry()
	c, err := controller.New(controller.Options{
		Name: "c1", Store: etcdClient, OpenFlow: openflow, Registry: registry, Log: log,
		Live: store.LiveController{OpenFlow: openflow.Addr().String(), API: "http://192.0.2.1:8080"},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "api.token")
	local, err := access.WriteLocalToken(file)
	if err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	options.Version, options.Registry, options.Log = "test", registry, log
	h := api.New(api.Options{
		Version: "test", Controller: c, Store: etcdClient, Registry: registry, Log: log, Local: local,
		Pages: web.Register(options),
	})
	answers := listen(t)
	run(t, func(ctx context.Context) error { return access.Serve(ctx, answers, h, nil, log) })
	run(t, c.Run)
	dialled, err := client.Dial("http://"+answers.Addr().String(), client.WithTokenFile(file))
	if err != nil {
		t.Fatal(err)
	}
	await(t, func() error { return dialled.Ready(t.Context()) })
	return cluster{dialled, etcdClient, strings.TrimSpace(string(token))}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// run runs f until the test ends.
func run(t *testing.T, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
}

func await(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for err := f(); err != nil; err = f() {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// answer is a page.
type answer struct {
	*http.Response
	text string
}

// ask asks for a page with headers: pairs of a name and a value. Redirections are not followed.
func (c cluster) ask(t *testing.T, method, path, form string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.URL()+path, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	if form != "" || method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp, string(b)}
}

// get asks for a page with the controller's own token.
func (c cluster) get(t *testing.T, path string) answer {
	t.Helper()
	return c.ask(t, http.MethodGet, path, "", "Authorization", "Bearer "+c.token)
}

func (c cluster) register(t *testing.T, n byte) {
	t.Helper()
	r, err := c.store.RegisterHost(t.Context(), fmt.Sprint("h", n), store.Host{
		Incarnation: fmt.Sprint(n), DatapathID: store.DatapathID(n), VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, n})},
		Gateway: true, Encap: "vxlan", UnderlayMTU: 1500,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	await(t, func() error { _, err := c.Host(t.Context(), fmt.Sprint("h", n)); return err })
}

// small is a cluster of two hosts and two tenants, of which the first has a port.
func small(t *testing.T) cluster {
	t.Helper()
	c := start(t)
	c.register(t, 1)
	c.register(t, 2)
	for _, name := range []string{"alice", "bob"} {
		if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.store.CreatePort(t.Context(), store.PortSpec{Host: "h1", Tenant: "alice", Network: "default", Name: "web-1", UID: "abcdefghijkl"})
	if err != nil {
		t.Fatal(err)
	}
	await(t, func() error { _, err := c.Port(t.Context(), "alice", "default", "web-1"); return err })
	return c
}

// TestPages: each page says what it is for, as well-formed HTML in which every reference leads somewhere.
func TestPages(t *testing.T) {
	c := small(t)
	moved := &store.Happening{What: store.GatewayStays, Object: "tenant alice", Tenant: "alice", Hosts: []string{"h1", "h2"}, Text: "at <h1>", Who: "token ci", Warning: true, Count: 4711, Last: time.Now()}
	if err := c.store.PutStatus(t.Context(), []store.Event{{Key: store.HappeningKey(moved.Name()), Object: moved}}); err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		if list, err := c.Events(t.Context(), client.EventFilter{Kinds: []string{"gateway"}}, 0); err != nil || len(list) != 1 {
			return fmt.Errorf("events are %+v, %w", list, err)
		}
		return nil
	})
	const shown = `<td class="number">4711</td><th scope="row">tenant alice</th><td class="behind">gateway-stays</td><td>at &lt;h1&gt;, by token ci</td>`
	for path, says := range map[string][]string{
		"/":                            {shown, "2 tenants", `href="/hosts/h2"`, "h1 and h2: cut", "Controllers"},
		"/hosts/h1":                    {shown, "192.0.2.1", "alice</a>/default/web-1", "not connected"},
		"/hosts/h1/flows?view=desired": {"1 to 100 of", "Those after", "port alice/default/web-1"},
		"/hosts/h1/flows?view=desired&table=admit&port=alice%2Fdefault%2Fweb-1": {"dl_src=", "source alice/default/web-1"},
		"/hosts/h1/flows?view=desired&from=101":                                 {"101 to ", "Those before"},
		"/hosts/h1/flows?view=desired&from=1000000":                             {"1 to 100 of"},
		"/hosts/h1/flows?view=desired&table=nowhere":                            {"table nowhere does not exist"},
		"/hosts/h1/flows": {"not connected"},
		"/tenants":        {`href="/tenants/alice"`, `href="/tenants/bob"`},
		"/tenants/alice":  {shown, "10.0.0.0/24", "default/web-1", "by policy auto", "told of no Prometheus", "--prometheus"},
		"/gateways":       {"fail-over on", "alice"},
		"/trace":          {"Trace a packet"},
		"/trace?from=alice%2Fweb-1&to=192.0.2.9&view=desired": {"alice", `class="verdict`, "classify"},
		"/trace?from=alice%2Fweb-1&to=10.0.0.9&dport=x":       {"write a number from 1 to 65535"},
		"/trace?from=nobody%2Fx&to=10.0.0.9":                  {"nobody", "role=\"alert\""},
		"/proof":                                              {"not yet"},
		"/proof?host=h1":                                      {"unread"},
	} {
		page := c.get(t, path)
		if page.StatusCode != http.StatusOK {
			t.Errorf("%s: %s\n%s", path, page.Status, page.text)
			continue
		}
		for _, word := range says {
			if !strings.Contains(page.text, word) {
				t.Errorf("%s lacks %q:\n%s", path, word, page.text)
			}
		}
		wellFormed(t, path, page.text)
	}
}

// wellFormed walks the elements of a page: every one that opens ends, and it has a title and one h1.
func wellFormed(t *testing.T, path, text string) {
	t.Helper()
	var open []string
	count := map[string]int{}
	void := map[string]bool{"meta": true, "link": true, "input": true, "br": true}
	for z := html.NewTokenizer(strings.NewReader(text)); ; {
		switch z.Next() {
		case html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) || len(open) > 0 || count["title"] == 0 || count["h1"] != 1 || count["main"] != 1 {
				t.Errorf("%s: %v, not ended: %v, %v", path, z.Err(), open, count)
			}
			return
		case html.StartTagToken:
			tag, _ := z.TagName()
			count[string(tag)]++
			if !void[string(tag)] {
				open = append(open, string(tag))
			}
		case html.EndTagToken:
			tag, _ := z.TagName()
			if len(open) == 0 || open[len(open)-1] != string(tag) {
				t.Errorf("%s: </%s> where these are open: %v", path, tag, open)
				return
			}
			open = open[:len(open)-1]
		}
	}
}

// Every answer forbids what the pages do not need, and what is not there is told as a page.
func TestPagesLoadNothingFromElsewhere(t *testing.T) {
	c := small(t)
	for _, path := range []string{"/", "/hosts/none", "/tenants/none", "/tenants/UPPER"} {
		page := c.get(t, path)
		policy := page.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; style-src 'self'; script-src 'self'") || page.Header.Get("Cache-Control") != "no-store" ||
			page.Header.Get("Referrer-Policy") != "same-origin" { // TestPages of package integration: what else a browser refuses to log in by
			t.Errorf("%s: %v", path, page.Header)
		}
		if strings.Contains(page.text, `="http`) || strings.Contains(page.text, `="//`) {
			t.Errorf("%s names another site:\n%s", path, page.text)
		}
		if path != "/" && (page.StatusCode < 400 || page.StatusCode > 499 || !strings.Contains(page.text, "cannot be shown")) {
			t.Errorf("%s: %s\n%s", path, page.Status, page.text)
		}
	}
	for path, kind := range map[string]string{"/static/page.css": "text/css", "/static/page.js": "text/javascript"} {
		got := c.ask(t, http.MethodGet, path, "")
		if got.StatusCode != http.StatusOK || !strings.HasPrefix(got.Header.Get("Content-Type"), kind) || len(got.text) < 500 {
			t.Errorf("%s: %s, %v", path, got.Status, got.Header)
		}
	}
	for _, path := range []string{"/static/", "/static/none", "/static/../html/login.html"} {
		if got := c.ask(t, http.MethodGet, path, ""); got.StatusCode < 400 {
			t.Errorf("%s: %s\n%s", path, got.Status, got.text)
		}
	}
	if lost := c.get(t, "/nothing"); lost.StatusCode != http.StatusNotFound {
		t.Errorf("/nothing: %s", lost.Status)
	}
}

// A browser is asked for a token once; the cookie that keeps it shows the pages, and changes nothing.
func TestCookie(t *testing.T) {
	c := small(t)
	if asked := c.ask(t, http.MethodGet, "/", ""); asked.StatusCode != http.StatusUnauthorized ||
		!strings.Contains(asked.text, `action="/login"`) || strings.Contains(asked.text, "alice") || strings.Contains(asked.text, `role="alert"`) {
		t.Errorf("without a token: %s\n%s", asked.Status, asked.text)
	}
	eyes, err := c.CreateToken(t.Context(), client.TokenSpec{Name: "eyes", Role: "viewer"})
	if err != nil {
		t.Fatal(err)
	}
	cookie := c.cookie(t, eyes.Text)
	for path, says := range map[string]string{"/": "h1", "/tenants": "alice", "/v1/ports?tenant=alice": "alice", "/metrics": "sluice_hosts"} {
		if page := c.ask(t, http.MethodGet, path, "", "Cookie", cookie); page.StatusCode != http.StatusOK || !strings.Contains(page.text, says) {
			t.Errorf("%s: %s\n%s", path, page.Status, page.text)
		}
	}
	write := c.ask(t, http.MethodPost, "/v1/tenants", `{"name":"dave"}`, "Content-Type", "application/json", "Cookie", c.cookie(t, c.token))
	if write.StatusCode != http.StatusUnauthorized {
		t.Errorf("a write by cookie: %s", write.Status)
	}
	wrong := c.ask(t, http.MethodGet, "/", "", "Cookie", access.Cookie+"=wrong")
	if wrong.StatusCode != http.StatusUnauthorized || !strings.Contains(wrong.text, "not known") {
		t.Errorf("a wrong cookie: %s\n%s", wrong.Status, wrong.text)
	}
	if gone := c.ask(t, http.MethodPost, access.LogoutPath, "").Cookies(); len(gone) != 1 || gone[0].MaxAge >= 0 {
		t.Errorf("forgetting the token: %v", gone)
	}
}

// cookie is what a browser sends after a token was typed.
func (c cluster) cookie(t *testing.T, token string) string {
	t.Helper()
	typed := c.ask(t, http.MethodPost, access.LoginPath, "token="+url.QueryEscape(token))
	cookies := typed.Cookies()
	if typed.StatusCode != http.StatusSeeOther || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("after a token was typed: %s, %v", typed.Status, cookies)
	}
	return cookies[0].Name + "=" + cookies[0].Value
}

// A tenant's token shows that tenant's page, and nothing of others.
func TestTenantsToken(t *testing.T) {
	c := small(t)
	alice, err := c.CreateToken(t.Context(), client.TokenSpec{Name: "alice", Role: "tenant", Tenant: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	as := func(path string) answer {
		return c.ask(t, http.MethodGet, path, "", "Authorization", "Bearer "+alice.Text)
	}
	if first := as("/"); first.StatusCode != http.StatusSeeOther || first.Header.Get("Location") != "/tenants/alice" {
		t.Errorf("the first page: %s, %v", first.Status, first.Header)
	}
	if own := as("/tenants/alice"); own.StatusCode != http.StatusOK || !strings.Contains(own.text, "web-1") || strings.Contains(own.text, "/gateways") {
		t.Errorf("its own page: %s\n%s", own.Status, own.text)
	}
	if form := as("/trace?from=alice%2Fweb-1&to=192.0.2.9&view=desired"); form.StatusCode != http.StatusOK || strings.Contains(form.text, "priority=") {
		t.Errorf("its trace: %s\n%s", form.Status, form.text)
	}
	for path, status := range map[string]int{
		"/tenants/bob": http.StatusNotFound, "/tenants": http.StatusForbidden, "/hosts/h1": http.StatusForbidden,
		"/hosts/h1/flows": http.StatusForbidden, "/gateways": http.StatusForbidden, "/proof": http.StatusForbidden,
	} {
		if page := as(path); page.StatusCode != status || strings.Contains(page.text, "10.0.0") {
			t.Errorf("%s: %s\n%s", path, page.Status, page.text)
		}
	}
}

// A list of tenants is shown in parts, which together are all.
func TestTenantsInParts(t *testing.T) {
	c := start(t)
	for i := range 205 {
		o := &store.Tenant{Number: uint32(i + 1), Gateway: store.GatewayAuto}
		put(t, c, store.TenantKey(fmt.Sprintf("t%03d", i)), o)
	}
	await(t, func() error { _, err := c.Tenant(t.Context(), "t204"); return err })
	seen, parts := map[string]int{}, 0
	for path := "/tenants"; path != ""; parts++ {
		page := c.get(t, path)
		names := between(page.text, `href="/tenants/`, `"`)
		for _, name := range names {
			seen[name]++
		}
		path = ""
		if next := between(page.text, `href="/tenants?continue=`, `"`); len(next) == 1 {
			path = "/tenants?continue=" + next[0]
		}
	}
	if len(seen) != 205 || parts != 3 {
		t.Errorf("%d tenants in %d parts", len(seen), parts)
	}
	if found := c.get(t, "/tenants?name=+t007+"); found.Header.Get("Location") != "/tenants/t007" {
		t.Errorf("by name: %v", found.Header)
	}
}

func put(t *testing.T, c cluster, key store.Key, o store.Object) {
	t.Helper()
	if _, err := c.store.PutIf(t.Context(), key, o, 0, 0); err != nil {
		t.Fatal(err)
	}
}

// between are the texts that stand between two others.
func between(text, before, after string) (all []string) {
	for {
		_, rest, found := strings.Cut(text, before)
		if !found {
			return all
		}
		var one string
		one, text, _ = strings.Cut(rest, after)
		all = append(all, one)
	}
}
