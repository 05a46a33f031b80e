package api_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/controller/client"
	"sluice/store"
)

// texts are flows by their texts.
func texts(list []client.Flow) map[string]client.Flow {
	set := map[string]client.Flow{}
	for _, f := range list {
		set[f.Text] = f
	}
	return set
}

// now is the revision of the state.
func (c cluster) now(t *testing.T) store.Revision {
	t.Helper()
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.Revision
}

func (c cluster) flowsOf(t *testing.T, f client.FlowFilter) ([]client.Flow, []string) {
	t.Helper()
	list, problems, err := c.Flows(t.Context(), "h1", f)
	if err != nil {
		t.Fatalf("%+v: %v", f, err)
	}
	return list, problems
}

// What was desired at a revision is what was shown as desired then, also when tenants and ports are gone by now; what
// changed between two revisions leads from the one to the other.
func TestFlowsOfThePast(t *testing.T) {
	c, ctx := start(t), t.Context()
	c.ports(t)
	then := c.now(t)
	desired, _ := c.flowsOf(t, client.FlowFilter{View: client.ViewDesired})

	c.put(t, store.PortKey("h1", "alice", "default", "a3"), &store.Port{Number: 9, MAC: store.MAC{2, 9}, Interface: "sl-zz"})
	for _, name := range []string{"alice/a1", "bob/b1"} {
		tenant, port, _ := strings.Cut(name, "/")
		if _, err := c.store.Delete(ctx, store.PortKey("h1", tenant, "default", port)); err == nil {
			t.Fatal("a port was deleted as if it had taken nothing")
		}
		rev, err := c.store.Remove(ctx, store.PortKey("h1", tenant, "default", port), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.controller.Await(ctx, rev); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.DeleteTenant(ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	now := c.now(t)

	past, problems := c.flowsOf(t, client.FlowFilter{At: then})
	if got, want := slices.Sorted(maps.Keys(texts(past))), slices.Sorted(maps.Keys(texts(desired))); !slices.Equal(got, want) {
		t.Errorf("%d flows were desired, and are shown as %d of then", len(want), len(got))
	}
	if !slices.ContainsFunc(problems, func(p string) bool {
		return strings.Contains(p, "interfaces of then are not on its switch now")
	}) {
		t.Errorf("problems are %q", problems)
	}
	if of, _ := c.flowsOf(t, client.FlowFilter{At: then, Tenant: "bob"}); len(of) == 0 || !strings.Contains(of[0].Owner, "bob") {
		t.Errorf("of a tenant that is gone: %+v", of)
	}
	for _, to := range []store.Revision{now, 0} {
		between, _ := c.flowsOf(t, client.FlowFilter{Since: then, At: to})
		count := map[string]int{}
		for _, f := range between {
			if f.Change == "add" && !strings.Contains(f.Owner, "alice/default") || f.Owner == "base" {
				t.Errorf("%s %s of %s", f.Change, f.Text, f.Owner)
			}
			if strings.Contains(f.Owner, "unknown") || f.Words == "" {
				t.Errorf("%s: its owner is %s, in words %s", f.Text, f.Owner, f.Words)
			}
			count[f.Change+" "+f.Owner]++
		}
		for _, owner := range []string{"add port alice/default/a3", "delete port alice/default/a1", "delete port bob/default/b1", "delete tenant bob"} {
			if count[owner] == 0 {
				t.Errorf("between %d and %d there is no %s: %v", then, to, owner, count)
			}
		}
	}
	if same, _ := c.flowsOf(t, client.FlowFilter{Since: then, At: then}); len(same) != 0 {
		t.Errorf("between a revision and itself: %+v", same)
	}
}

// Hosts that are deleted are among those of a revision at which they were there, page by page.
func TestHostsOfThePast(t *testing.T) {
	c, ctx := start(t), t.Context()
	c.populate(t)
	then := c.now(t)
	if _, err := c.DeleteHost(ctx, "h1"); err != nil {
		t.Fatal(err)
	}
	names := func(list []client.Host, err error) (names []string) {
		if err != nil {
			t.Error(err)
		}
		for _, h := range list {
			names = append(names, h.Name)
		}
		return names
	}
	if got := names(c.Hosts(ctx)); !slices.Equal(got, []string{"h2"}) {
		t.Errorf("now there are %v", got)
	}
	if got := names(c.HostsAt(ctx, then)); !slices.Equal(got, []string{"h1", "h2"}) {
		t.Errorf("then there were %v", got)
	}
	first := c.send(t, fmt.Sprintf("GET /v1/hosts?limit=1&at=%d", then))
	second := c.send(t, fmt.Sprintf("GET /v1/hosts?limit=1&at=%d&continue=%s", then, first.Header.Get("Sluice-Continue")))
	if first.Header.Get("Sluice-Continue") == "" || second.Header.Get("Sluice-Continue") != "" {
		t.Errorf("pages of one go on with %q, then %q", first.Header.Get("Sluice-Continue"), second.Header.Get("Sluice-Continue"))
	}
	_, err := c.HostsAt(ctx, then+1000)
	checkProblem(t, err, http.StatusGone, "etcd is at revision")
}

// A revision that nobody can be shown is refused with how far history goes, and a question that means nothing too.
func TestNoHistory(t *testing.T) {
	c := startAll(t)
	c.ports(t)
	raw, err := clientv3.New(clientv3.Config{Endpoints: c.etcd.Endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	first, now := c.now(t)-1, c.now(t)
	if _, err := raw.Compact(t.Context(), int64(now)); err != nil {
		t.Fatal(err)
	}
	for _, f := range []client.FlowFilter{{At: first}, {Since: first}, {Since: first, At: now}} {
		_, _, err := c.Flows(t.Context(), "h1", f)
		checkProblem(t, err, http.StatusGone, "no history", "goes back to revision", "--keep-history")
	}
	_, _, err = c.Flows(t.Context(), "h1", client.FlowFilter{At: now + 1e6})
	checkProblem(t, err, http.StatusGone, "no history: etcd is at revision")
	_, _, err = c.Flows(t.Context(), "h9", client.FlowFilter{At: now})
	checkProblem(t, err, http.StatusNotFound, "host h9 did not exist at revision")
	_, _, err = c.Flows(t.Context(), "h1", client.FlowFilter{At: now, Tenant: "nobody"})
	checkProblem(t, err, http.StatusNotFound, "tenant nobody does not exist")
	_, _, err = c.Flows(t.Context(), "h1", client.FlowFilter{At: now, View: client.ViewDiff})
	checkProblem(t, err, http.StatusUnprocessableEntity, "view diff")
	_, err = c.Trace(t.Context(), client.TraceQuery{From: "alice/a1", To: "alice/a2", At: first})
	checkProblem(t, err, http.StatusGone, "no history")
}

// A trace over the past finds ports that are gone. A tenant's token finds its own, and not those of a tenant of before
// that had its name.
func TestTraceOfThePast(t *testing.T) {
	c, ctx := start(t), t.Context()
	c.ports(t)
	then := c.now(t)
	own := c.as(t, c.make(t, client.TokenSpec{Name: "of-alice", Role: "tenant", Tenant: "alice"}))
	for _, name := range []string{"a1", "a2"} {
		if _, err := c.store.Remove(ctx, store.PortKey("h1", "alice", "default", name), name); err != nil {
			t.Fatal(err)
		}
	}
	q := client.TraceQuery{From: "alice/a1", To: "alice/a2", At: then}
	for name, asks := range map[string]*client.Client{"admin": c.Client, "alice": own} {
		got, err := asks.Trace(ctx, q)
		if err != nil || got.Text != "delivered to alice/default/a2 on h1" || got.At != then || got.View != client.ViewDesired {
			t.Errorf("%s: %s at %d, %v", name, got.Text, got.At, err)
		}
	}
	_, err := own.Trace(ctx, client.TraceQuery{From: "bob/b1", To: "10.0.0.2", At: then})
	checkProblem(t, err, http.StatusNotFound, "bob")
	if _, err := c.DeleteTenant(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	again := c.as(t, c.make(t, client.TokenSpec{Name: "of-another", Role: "tenant", Tenant: "alice"}))
	_, err = again.Trace(ctx, q)
	checkProblem(t, err, http.StatusNotFound, "tenant alice did not exist at revision")
}
