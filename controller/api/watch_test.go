package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

// watcher takes the changes of one watch, one after another.
type watcher struct {
	t    *testing.T
	next func() (client.Change, error, bool)
}

func watch(t *testing.T, c *client.Client, q client.WatchQuery) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	next, stop := iter.Pull2(c.Watch(ctx, q))
	t.Cleanup(func() { cancel(); stop() })
	return &watcher{t, next}
}

// until is what comes up to the next bookmark, or up to so many changes, as text.
func (w *watcher) until(n int) (told []string, last client.Change) {
	w.t.Helper()
	for len(told) < n {
		c, err, more := w.next()
		if err != nil || !more {
			w.t.Fatalf("after %q: %v, %v", told, err, more)
		}
		last = c
		if c.Event == client.EventBookmark {
			return append(told, "bookmark"), c
		}
		told = append(told, fmt.Sprintf("%s %s", c.Event, c.Key().Short()))
	}
	return told, last
}

func (w *watcher) want(want ...string) client.Change {
	w.t.Helper()
	told, last := w.until(len(want))
	if !slices.Equal(told, want) {
		w.t.Errorf("told\n%q, not\n%q", told, want)
	}
	return last
}

// fails is the problem with which a watch ends.
func (w *watcher) fails(status int, says ...string) {
	w.t.Helper()
	_, err, _ := w.next()
	checkProblem(w.t, err, status, says...)
}

// A watch begins with what is there, goes on with each change, and can be taken up again from any revision.
func TestWatch(t *testing.T) {
	c := start(t)
	c.populate(t)
	all := watch(t, c.Client, client.WatchQuery{})
	first, bookmark := all.until(1000)
	if len(first) != 3+6+2+18+1 || first[0] != "put tenants/alice" || first[3] != "put networks/alice/db" || first[9] != "put hosts/h1" || first[11] != "put ports/h1/alice/db/b" {
		t.Fatalf("it begins with %d: %q", len(first), first)
	}
	networks := watch(t, c.Client, client.WatchQuery{Kinds: []store.Kind{store.KindNetwork, store.KindTenant}, Tenant: "bob"})
	networks.want("put tenants/bob", "put networks/bob/db", "put networks/bob/default", "bookmark")

	made := c.put(t, store.StickyKey("h1", "alice", "db", "web"), &store.Sticky{MAC: store.MAC{2, 1}})
	c.put(t, store.NetworkKey("bob", "third"), &store.Network{Number: 99, Segmentation: store.SegmentationTunnel, Segment: 99})
	if _, err := c.store.Remove(t.Context(), store.NetworkKey("bob", "third"), "bob/third"); err != nil {
		t.Fatal(err)
	}
	put := all.want("put stickies/h1/alice/db/web")
	if put.Revision != made || put.Created != made || put.Tenant != "alice" || put.Name != "web" {
		t.Errorf("the change is %+v, written at %d", put, made)
	}
	if o, err := put.Stored(); err != nil || o.(*store.Sticky).MAC != (store.MAC{2, 1}) {
		t.Errorf("it holds %+v, %v", o, err)
	}
	networks.want("put networks/bob/third")
	gone := networks.want("delete networks/bob/third")
	if o, err := gone.Stored(); err != nil || o != nil || gone.Object != nil || gone.Created != 0 {
		t.Errorf("a delete is %+v", gone)
	}
	watch(t, c.Client, client.WatchQuery{After: bookmark.Revision}).want("put stickies/h1/alice/db/web", "put networks/bob/third", "delete networks/bob/third")
	watch(t, c.Client, client.WatchQuery{After: made}).want("put networks/bob/third", "delete networks/bob/third")
}

// events reads server-sent events as they are on the wire: "event id" each.
func (c cluster) events(t *testing.T, request string, headers ...string) func() string {
	t.Helper()
	resp := c.send(t, request, headers...)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s: %s, %v", request, resp.Status, resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	return func() string {
		t.Helper()
		var e []string
		for lines.Scan() && (lines.Text() != "" || e == nil) {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			if field == "" { // a comment, or the line after one
				continue
			}
			if field != "data" {
				e = append(e, value)
			} else if !json.Valid([]byte(value)) {
				t.Errorf("data is no JSON: %s", value)
			}
		}
		return strings.Join(e, " ")
	}
}

// The id stands with the last event of a transaction alone: whoever goes on from it has seen all of it.
func TestATransactionIsNotCutInTwo(t *testing.T) {
	c := start(t)
	next := c.events(t, "GET /v1/watch?kinds=tenants,networks")
	bookmark := next()
	if name, id, _ := strings.Cut(bookmark, " "); name != "bookmark" || id == "" {
		t.Fatalf("an empty cluster begins with %q", bookmark)
	}
	if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: "alice"}); err != nil { // with its network, in one transaction
		t.Fatal(err)
	}
	one, two := next(), next()
	if one != "put" || !strings.HasPrefix(two, "put ") {
		t.Fatalf("a transaction with two objects is %q, %q", one, two)
	}
	_, id, _ := strings.Cut(bookmark, " ")
	again := c.events(t, "GET /v1/watch?kinds=tenants,networks&after=1", "Last-Event-ID", id) // the header counts
	if got := again() + "|" + again(); got != one+"|"+two {
		t.Errorf("again it is %q, not %q|%q", got, one, two)
	}
}

func TestAWatchThatCannotGoOn(t *testing.T) {
	c := startAfter(t, func(c cluster) { // what happened before this controller came is not kept
		if _, err := c.store.CreateTenant(t.Context(), store.TenantSpec{Name: "before"}); err != nil {
			t.Fatal(err)
		}
	})
	status, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	watch(t, c.Client, client.WatchQuery{After: 1}).fails(http.StatusGone, "after revision 1 are not kept any more, only those after", "begin anew")
	watch(t, c.Client, client.WatchQuery{After: status.Revision + 1e6}).fails(http.StatusGone, "is not of this store, which is at", "begin anew")
	watch(t, c.Client, client.WatchQuery{Tenant: "nobody"}).fails(http.StatusNotFound, "tenant nobody does not exist")
	watch(t, c.Client, client.WatchQuery{Kinds: []store.Kind{"tokens"}}).fails(http.StatusUnprocessableEntity, "tenants, networks")
	for _, id := range []string{"x", "-1", "9e9"} {
		if resp := c.send(t, "GET /v1/watch", "Last-Event-ID", id); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("id %q: %s", id, resp.Status)
		}
	}
}

// A tenant's token watches what is the tenant's alone, and another tenant's word about it without who said it.
func TestATenantWatchesItself(t *testing.T) {
	c := start(t)
	c.populate(t)
	own := c.as(t, c.make(t, client.TokenSpec{Name: "of-alice", Role: "tenant", Tenant: "alice"}))
	w := watch(t, own, client.WatchQuery{})
	told, _ := w.until(1000)
	for _, change := range told {
		if !strings.Contains(change, "alice") && change != "bookmark" {
			t.Errorf("alice is told %q", change)
		}
	}
	if len(told) != 1+2+6+1 {
		t.Errorf("alice is told %q", told)
	}
	watch(t, own, client.WatchQuery{Tenant: "bob"}).fails(http.StatusNotFound, "tenant bob does not exist")
	watch(t, own, client.WatchQuery{Kinds: []store.Kind{store.KindHost}}).fails(http.StatusForbidden, "token of-alice has role tenant, and hosts are for admin and viewer")
	c.put(t, store.NetworkKey("bob", "third"), &store.Network{Number: 99, Segmentation: store.SegmentationTunnel, Segment: 99})
	c.put(t, store.PeeringKey("bob", "carol"), &store.Peering{By: "token bobs"})
	c.put(t, store.PeeringKey("bob", "alice"), &store.Peering{By: "token bobs"})
	offer := w.want("put peerings/bob/alice")
	if strings.Contains(string(offer.Object), "token bobs") {
		t.Errorf("alice is told who said it: %s", offer.Object)
	}
	admin := watch(t, c.Client, client.WatchQuery{Kinds: []store.Kind{store.KindPeering}})
	admin.want("put peerings/bob/alice")
	if told := admin.want("put peerings/bob/carol"); !strings.Contains(string(told.Object), "token bobs") {
		t.Errorf("an admin is not told who said it: %s", told.Object)
	}
}

// A watch ends with the token that it was begun with.
func TestAWatchEndsWithItsToken(t *testing.T) {
	c := start(t)
	other := c.as(t, c.make(t, client.TokenSpec{Name: "ci", Role: "viewer"}))
	w := watch(t, other, client.WatchQuery{Kinds: []store.Kind{store.KindTenant}})
	w.want("bookmark")
	if _, err := c.RevokeToken(t.Context(), "ci"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	w.fails(http.StatusUnauthorized, "not known")
}

// A client whose connection is lost goes on where it was, at whichever address answers it then.
func TestAWatchGoesOnAfterALostConnection(t *testing.T) {
	c := start(t)
	var connections []context.CancelFunc
	front := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cut := context.WithCancel(r.Context())
		connections = append(connections, cut)
		c.handler.ServeHTTP(w, r.WithContext(ctx))
	})
	dialled, err := client.Dial("http://"+serve(t, front, nil), client.WithToken(c.token))
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, dialled, client.WatchQuery{Kinds: []store.Kind{store.KindTenant}})
	w.want("bookmark")
	for i := range 3 {
		c.put(t, store.TenantKey("a"+strconv.Itoa(i)), &store.Tenant{Number: uint32(i + 1)})
		w.want("put tenants/a" + strconv.Itoa(i))
		connections[i]()
	}
	c.put(t, store.TenantKey("last"), &store.Tenant{Number: 9})
	w.want("put tenants/last")
}

// Each kind that people see, but for who may use the API, may be watched, and its name is asked for in no other way.
func TestWatchPathIsTheGuards(t *testing.T) {
	c := start(t)
	if resp := c.send(t, "GET "+access.WatchPath+"?kinds=tenants"); resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", access.WatchPath, resp.Status)
	}
}
