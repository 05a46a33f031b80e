package api

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sluice/controller/access"
	"sluice/controller/changes"
	"sluice/controller/cluster"
	"sluice/store"
)

// picture is a Controller of which only the store is asked.
type picture struct {
	Controller
	*cluster.Picture
	window *changes.Window
}

func (p *picture) View(f func(*store.State))                 { p.Picture.View(f) }
func (p *picture) Each(n int, f func(s *store.State, i int)) { p.Picture.Each(n, f) }
func (p *picture) Await(ctx context.Context, rev store.Revision) error {
	return p.Picture.Await(ctx, rev)
}
func (p *picture) Changes() *changes.Window { return p.window }
func (p *picture) put(t *testing.T, rev store.Revision, name string, size int) {
	t.Helper()
	e := store.Event{Key: store.TenantKey(name), Object: &store.Tenant{Labels: store.Labels{"x": strings.Repeat("x", size)}}, Created: rev, Modified: rev}
	if err := p.Apply(store.Batch{Revision: rev, Events: []store.Event{e}}); err != nil {
		t.Fatal(err)
	}
}

// watched serves one watcher of tenants, at this pace.
func watched(t *testing.T, p pace) (*picture, *httptest.Server, *bytes.Buffer) {
	t.Helper()
	c := &picture{Picture: cluster.New(), window: changes.New(changes.Kinds()...)}
	c.Observe(c.window.Observe)
	c.put(t, 10, "alice", 0)
	log := &bytes.Buffer{}
	s := &server{Options: Options{Controller: c, Log: slog.New(slog.NewTextHandler(log, nil))}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one := &watcher{server: s, caller: access.Caller{Name: "token slow", Role: store.RoleViewer}, kinds: []store.Kind{store.KindTenant}, pace: p}
		one.of = one.cluster()
		if err := one.begin(r.Context()); err != nil {
			t.Error(err)
		}
		one.run(r.Context(), w)
	}))
	t.Cleanup(front.Close)
	return c, front, log
}

// A quiet watch tells now and then that it lives, and up to where it is.
func TestBookmarks(t *testing.T) {
	c, front, _ := watched(t, pace{quiet: time.Millisecond, patience: time.Minute})
	resp, err := http.Get(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if err := c.Apply(store.Batch{Revision: 12, Events: []store.Event{{Key: store.MasterKey("h1"), Object: &store.Master{}, Created: 12, Modified: 12}}}); err != nil {
		t.Fatal(err)
	}
	for bookmarks := 0; bookmarks < 3 && lines.Scan(); {
		if lines.Text() == "id: 12" { // of what the watcher does not see
			bookmarks++
		}
	}
	if lines.Err() != nil {
		t.Error(lines.Err())
	}
}

// Who takes nothing is dropped, by name, and holds up nobody.
func TestASlowWatcherIsDropped(t *testing.T) {
	c, front, log := watched(t, pace{quiet: time.Minute, patience: 50 * time.Millisecond})
	resp, err := http.Get(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for i := range 64 { // more than the sockets' buffers hold
		c.put(t, store.Revision(11+i), fmt.Sprint("t", i), 1<<20)
	}
	front.Close() // waits until nobody is served any more
	if text := log.String(); !strings.Contains(text, `msg="watcher dropped" who="token slow"`) || !strings.Contains(text, "not taken within 50ms") {
		t.Errorf("the log says %s", text)
	}
	if c.Revision() != 74 {
		t.Errorf("the picture is at %d", c.Revision())
	}
}

// Who is so slow that changes are gone which it was not told of is told so.
func TestAWatcherThatComesTooLate(t *testing.T) {
	c, _, _ := watched(t, usualPace)
	w := &watcher{server: &server{Options: Options{Controller: c, Log: slog.New(slog.DiscardHandler)}}, kinds: []store.Kind{store.KindTenant}, pace: usualPace}
	w.of = w.cluster()
	if err := w.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	many := store.Batch{Revision: 11}
	for i := range 20000 { // more than the window keeps
		many.Events = append(many.Events, store.Event{Key: store.TenantKey(fmt.Sprint("t", i)), Object: &store.Tenant{}, Created: 11, Modified: 11})
	}
	if err := c.Apply(many); err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) { w.run(r.Context(), answer) }))
	defer front.Close()
	resp, err := http.Get(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(text), "event: problem\n") || !strings.Contains(string(text), `"status":410`) || !strings.Contains(string(text), "too slow: the changes after revision 10") {
		t.Errorf("%s, %v", text, err)
	}
}
