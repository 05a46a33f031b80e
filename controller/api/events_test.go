package api_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/store"
)

// happening writes something that happened into etcd, as a controller would.
func (c cluster) happening(t *testing.T, h store.Happening) {
	t.Helper()
	h.Count = max(h.Count, 1)
	if h.Last.IsZero() {
		h.Last = time.Now()
	}
	h.First = h.Last.Add(-time.Second)
	if err := c.store.PutStatus(t.Context(), []store.Event{{Key: store.HappeningKey(h.Name()), Object: &h}}); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until a list of events is this: "kind object" each.
func (c cluster) eventually(t *testing.T, client *client.Client, f client.EventFilter, want ...string) []client.Happened {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		list, err := client.Events(t.Context(), f, 0)
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, h := range list {
			got = append(got, fmt.Sprintf("%s %s", h.What, h.Object))
		}
		if slices.Equal(got, want) {
			return list
		}
	}
	t.Fatalf("%+v shows\n%q\nnot\n%q", f, got, want)
	return nil
}

// Events come sorted by when they happened last, and those alone that are asked for.
func TestEvents(t *testing.T) {
	c := start(t)
	now := time.Now()
	for i, h := range []store.Happening{
		{What: store.HostIsDown, Object: "host h1", Hosts: []string{"h1"}}, {What: store.HostBack, Object: "host h1", Hosts: []string{"h1"}},
		{What: store.GatewayMoved, Object: "tenant alice", Tenant: "alice", Hosts: []string{"h2", "h1"}}, {What: store.AgentAway, Object: "host h2", Hosts: []string{"h2"}},
	} {
		h.Last = now.Add(time.Duration(i-4) * time.Hour)
		c.happening(t, h)
	}
	c.eventually(t, c.Client, client.EventFilter{}, "host-down host h1", "host-back host h1", "gateway-moved tenant alice", "agent-away host h2")
	for _, test := range []struct {
		filter client.EventFilter
		want   string
	}{
		{client.EventFilter{Host: "h2"}, "gateway-moved agent-away"},
		{client.EventFilter{Tenant: "alice"}, "gateway-moved"},
		{client.EventFilter{Kinds: []string{"host"}}, "host-down host-back"},
		{client.EventFilter{Kinds: []string{"host-down", "gateway"}}, "host-down gateway-moved"},
		{client.EventFilter{Since: "150m"}, "gateway-moved agent-away"},
		{client.EventFilter{Since: now.Add(-200 * time.Minute).Format(time.RFC3339), Host: "h1"}, "host-back gateway-moved"},
		{client.EventFilter{Tenant: "bob"}, ""},
	} {
		list, err := c.Events(t.Context(), test.filter, 0)
		var got []string
		for _, h := range list {
			got = append(got, string(h.What))
		}
		if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("%+v: %q, %v; not %q", test.filter, got, err, test.want)
		}
	}
	if last, err := c.Events(t.Context(), client.EventFilter{}, 1); err != nil || len(last) != 1 || last[0].What != store.AgentAway || last[0].Revision == 0 {
		t.Errorf("the last one is %+v, %v", last, err)
	}
	for request, says := range map[string]string{"kinds=gatway": "kind", "since=soon": "a duration before now", "limit=0": "limit", "after=4": "after"} {
		if resp := c.send(t, "GET /v1/events?"+request); resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("%s: %s, and not a refusal that says %s", request, resp.Status, says)
		}
	}
}

// What somebody writes by the API is an event: who, and what; a read and a refusal are none.
func TestWritesAreEvents(t *testing.T) {
	c, ctx := start(t), t.Context()
	own := c.alice(t)
	if _, err := own.DeleteNetwork(ctx, "alice", "nothing"); err == nil {
		t.Error("alice deletes nothing")
	}
	list := c.eventually(t, c.Client, client.EventFilter{}, "changed tenant alice", "changed token own", "changed network alice/db")
	if h := list[2]; h.Who != "token own" || h.Text != "create-network" || h.Tenant != "alice" || h.Controller != "c1" {
		t.Errorf("the event is %+v", h)
	}
	if _, err := own.Tenants(ctx); err != nil {
		t.Error(err)
	}
	for i, h := range c.eventually(t, own, client.EventFilter{}, "changed tenant alice", "changed network alice/db") {
		if want := []string{"", "token own"}[i]; h.Who != want {
			t.Errorf("alice is told that %q did %s", h.Who, h.Text)
		}
	}
	viewer := c.as(t, c.make(t, client.TokenSpec{Name: "eyes", Role: "viewer"}))
	c.eventually(t, viewer, client.EventFilter{}, "changed tenant alice", "changed network alice/db")
}

// happenings takes what a watch tells, one after another.
func happenings(t *testing.T, c *client.Client, f client.EventFilter) func() string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	next, stop := iter.Pull2(c.WatchEvents(ctx, f))
	t.Cleanup(func() { cancel(); stop() })
	return func() string {
		t.Helper()
		h, err, more := next()
		if err != nil || !more {
			t.Fatalf("%v, %v", err, more)
		}
		return fmt.Sprintf("%d %s %s", h.Count, h.What, h.Object)
	}
}

// A watch begins with what happened, and tells what happens, each time; a tenant's tells of that tenant alone.
func TestWatchEvents(t *testing.T) {
	c := start(t)
	c.populate(t)
	down := store.Happening{What: store.ProofViolated, Object: "host h1", Hosts: []string{"h1"}, Last: time.Now().Add(-time.Hour)}
	c.happening(t, down)
	c.eventually(t, c.Client, client.EventFilter{Kinds: []string{"proof"}}, "proof-violated host h1")
	all := happenings(t, c.Client, client.EventFilter{Kinds: []string{"proof", "gateway"}})
	own := happenings(t, c.as(t, c.make(t, client.TokenSpec{Name: "of-alice", Role: "tenant", Tenant: "alice"})), client.EventFilter{Kinds: []string{"proof", "gateway"}})
	want := func(next func() string, want ...string) {
		t.Helper()
		for _, w := range want {
			if got := next(); got != w {
				t.Errorf("told is %q, not %q", got, w)
			}
		}
	}
	want(all, "1 proof-violated host h1")
	down.Count = 4
	c.happening(t, down)
	want(all, "4 proof-violated host h1")
	for _, tenant := range []string{"bob", "alice"} {
		c.happening(t, store.Happening{What: store.GatewayMoved, Object: "tenant " + tenant, Tenant: tenant})
	}
	want(all, "1 gateway-moved tenant bob", "1 gateway-moved tenant alice")
	want(own, "1 gateway-moved tenant alice")
	// What was there before a tenant was made is another one's.
	c.happening(t, store.Happening{What: store.GatewayMoved, Object: "tenant dave", Tenant: "dave"})
	want(all, "1 gateway-moved tenant dave")
	if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: "dave"}); err != nil {
		t.Fatal(err)
	}
	dave := c.as(t, c.make(t, client.TokenSpec{Name: "of-dave", Role: "tenant", Tenant: "dave"}))
	c.eventually(t, dave, client.EventFilter{}, "changed tenant dave")
	if _, err := dave.Events(t.Context(), client.EventFilter{Tenant: "alice"}, 0); err == nil {
		t.Error("dave is shown alice's events")
	}
	if resp := c.send(t, "GET /v1/events/watch?after=1000000"); resp.StatusCode != http.StatusGone {
		t.Errorf("from a revision to come: %s", resp.Status)
	}
}
