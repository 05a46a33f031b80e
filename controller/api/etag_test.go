package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/store"
)

// Whoever changes what they read, and somebody else changed it meanwhile, is told so, and nothing is written.
func TestIfMatch(t *testing.T) {
	c, ctx := start(t), t.Context()
	made, err := c.CreateTenant(ctx, client.TenantSpec{Name: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	changed, err := c.AsOf(made.Modified).SetLimits(ctx, "alice", store.Limits{Connections: 9})
	if err != nil || changed.Modified <= made.Modified || changed.Created != made.Created {
		t.Fatalf("as it was read: %+v, %v", changed, err)
	}
	_, err = c.AsOf(made.Modified).SetLimits(ctx, "alice", store.Limits{Connections: 7})
	checkProblem(t, err, http.StatusPreconditionFailed, "tenant alice: changed since revision", "read it again and decide anew")
	_, err = c.AsOf(made.Modified).DeleteTenant(ctx, "alice")
	checkProblem(t, err, http.StatusPreconditionFailed, "tenant alice: changed since revision")
	if now, err := c.Tenant(ctx, "alice"); err != nil || now.Limits.Connections != 9 {
		t.Errorf("after refusals alice is %+v, %v", now, err)
	}
	_, err = c.AsOf(made.Modified).DeleteTenant(ctx, "nobody")
	checkProblem(t, err, http.StatusNotFound, "nobody")
	if _, err := c.AsOf(changed.Modified).DeleteTenant(ctx, "alice"); err != nil {
		t.Error(err)
	}
}

// Each kind of object that may be changed as of a revision refuses one that is over.
func TestIfMatchOfEachKind(t *testing.T) {
	c := start(t)
	c.populate(t)
	c.put(t, store.StickyKey("h1", "alice", "db", "web"), &store.Sticky{MAC: store.MAC{2, 1}})
	c.put(t, store.GatewayKey("alice"), &store.Gateway{Active: "h1"})
	c.put(t, store.PublicationKey("alice", "tcp-80"), &store.Publication{Network: "db", Port: "b", Protocol: "tcp", First: 80, On: 80, Count: 1})
	c.put(t, store.NetworkKey("alice", "third"), &store.Network{Number: 99, Segmentation: store.SegmentationTunnel, Segment: 99})
	c.put(t, store.PeeringKey("bob", "alice"), &store.Peering{})
	c.put(t, store.DrainKey("h3"), &store.Drain{})
	for i, host := range []string{"h3", "h4"} {
		c.put(t, store.HostKey(host), &store.Host{DatapathID: store.DatapathID(i + 3), Gateway: true, VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 3)})}})
	}
	c.make(t, client.TokenSpec{Name: "ci", Role: "viewer"})
	await(t, func() error { _, err := c.Publication(t.Context(), "alice", "tcp-80"); return err })
	for _, request := range []string{
		`DELETE /v1/networks/alice/third`, `PUT /v1/tenants/alice/limits {}`, `PUT /v1/tenants/alice/topology {"topology":"star"}`, `DELETE /v1/tokens/ci`,
		`DELETE /v1/publications/alice/tcp-80`, `DELETE /v1/stickies/alice/db/web`,
		`POST /v1/ports/alice/db/b/move {"host":"h2"}`, `PUT /v1/ports/alice/db/b/limits {}`, `PUT /v1/tenants/alice/gateway {"policy":"h4"}`, "DELETE /v1/peerings/alice/bob",
		`PUT /v1/fail-over {"on":true}`, `PUT /v1/floating {"ranges":[]}`, `PUT /v1/balance {"auto":true}`, fmt.Sprintf(`POST /v1/schema {"least":%d}`, store.SchemaVersion), "DELETE /v1/hosts/h1", `PUT /v1/hosts/h3/drain {"atOnce":3}`, "DELETE /v1/hosts/h3/drain",
	} {
		resp := c.send(t, request, "If-Match", `"1"`)
		if resp.StatusCode != http.StatusPreconditionFailed {
			t.Errorf("%s: %s", request, resp.Status)
		}
	}
	for header, status := range map[string]int{`"1`: 400, `1`: 400, `W/"1"`: 400, `"1","2"`: 400, `""`: 400, `"-1"`: 400, `"0"`: 412, `"x"`: 400, `*`: 200} {
		if resp := c.send(t, `PUT /v1/tenants/alice/limits {}`, "If-Match", header); resp.StatusCode != status {
			t.Errorf("If-Match %s: %s", header, resp.Status)
		}
	}
	for _, request := range []string{`POST /v1/tenants {"name":"dora"}`, "GET /v1/tenants", "POST /v1/hosts/h1/adopt"} {
		if resp := c.send(t, request, "If-Match", `"1"`); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s with a condition that is not looked at: %s", request, resp.Status)
		}
	}
}

// What is the cluster's own may be written as of what was read of it, before it was written for the first time too.
func TestIfMatchOfTheClusters(t *testing.T) {
	c, ctx := start(t), t.Context()
	c.register(t, "h1")
	c.register(t, "h2")
	for _, tt := range []struct{ read, write, again string }{
		{"/v1/balance", `PUT /v1/balance {"auto":true}`, `PUT /v1/balance {"auto":false}`},
		{"/v1/central-gateway", `PUT /v1/gateways {"central":"h2"}`, `PUT /v1/gateways {"central":"h1"}`},
		{"/v1/schema", fmt.Sprintf(`POST /v1/schema {"least":%d}`, store.SchemaVersion), `POST /v1/schema {"least":1}`},
	} {
		read := c.send(t, "GET "+tt.read).Header.Get("ETag")
		done := c.send(t, tt.write, "If-Match", read)
		if done.StatusCode != http.StatusOK || done.Header.Get("ETag") == read {
			t.Errorf("%s as of %s: %s, ETag %s", tt.write, read, done.Status, done.Header.Get("ETag"))
		}
		if resp := c.send(t, tt.again, "If-Match", read); resp.StatusCode != http.StatusPreconditionFailed {
			t.Errorf("%s as of %s, after another: %s", tt.again, read, resp.Status)
		}
		if now := c.send(t, "GET "+tt.read).Header.Get("ETag"); !strings.HasPrefix(now, strings.Split(done.Header.Get("ETag"), "-")[0]+"-") {
			t.Errorf("%s has ETag %s, after it was written with %s", tt.read, now, done.Header.Get("ETag"))
		}
	}
	is, err := c.CentralGateway(ctx)
	if err != nil || is.Central != "h2" || is.Modified == 0 {
		t.Errorf("central is %+v, %v", is, err)
	}
	if err := c.AsOf(0).SetCentralGateway(ctx, "h1"); !errors.Is(err, client.ErrChanged) {
		t.Errorf("as of settings that were never written: %v", err)
	}
}

// A peering is as it was read while neither of the two says something else.
func TestIfMatchOfAPeering(t *testing.T) {
	c, ctx := start(t), t.Context()
	for _, name := range []string{"alice", "bob"} {
		if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: name, Subnets: []string{map[string]string{"alice": "10.0.0.0/24", "bob": "10.1.0.0/24"}[name]}}); err != nil {
			t.Fatal(err)
		}
	}
	first, err := c.Peer(ctx, client.PeeringSpec{Tenant: "alice", Peer: "bob"})
	if err != nil || first.Modified == 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	bob := c.as(t, c.make(t, client.TokenSpec{Name: "of-bob", Role: "tenant", Tenant: "bob"}))
	second, err := bob.AsOf(first.Modified).Peer(ctx, client.PeeringSpec{Tenant: "bob", Peer: "alice", Networks: []string{"default"}})
	if err != nil || second.Modified <= first.Modified {
		t.Fatalf("as it was read: %+v, %v", second, err)
	}
	_, err = c.AsOf(first.Modified).Peer(ctx, client.PeeringSpec{Tenant: "alice", Peer: "bob", Networks: []string{"default"}})
	checkProblem(t, err, http.StatusPreconditionFailed, "changed since revision", "read it again")
	_, err = c.AsOf(first.Modified).Unpeer(ctx, "alice", "bob")
	checkProblem(t, err, http.StatusPreconditionFailed, "peering of alice and bob: changed since revision")
	if is, err := c.Peering(ctx, "bob", "alice"); err != nil || is.Modified != second.Modified {
		t.Errorf("after refusals it is %+v, %v", is, err)
	}
	if _, err := c.AsOf(second.Modified).Unpeer(ctx, "alice", "bob"); err != nil {
		t.Error(err)
	}
}

func TestIfMatchOfAGateway(t *testing.T) {
	c := start(t)
	c.register(t, "h1")
	if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		g, err := c.Gateway(t.Context(), "alice")
		if err == nil && (g.Active != "h1" || g.Modified == 0) {
			err = fmt.Errorf("gateway %+v", g)
		}
		return err
	})
	c.register(t, "h2")
	if resp := c.send(t, `PUT /v1/gateways/alice/move {"host":"h2"}`, "If-Match", `"1"`); resp.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("as of another revision: %s", resp.Status)
	}
	resp := c.send(t, `PUT /v1/gateways/alice/move {"host":"h2"}`, "If-Match", c.send(t, "GET /v1/gateways/alice").Header.Get("ETag"))
	if resp.StatusCode != http.StatusOK {
		t.Errorf("as it is: %s", resp.Status)
	}
}

// An ETag stands for all that is shown, and what is worked out of other objects with it; If-Match asks for the object's
// own revision alone.
func TestETags(t *testing.T) {
	c := start(t)
	c.populate(t)
	await(t, func() error { _, err := c.Tenant(t.Context(), "alice"); return err })
	tag := func(path string) string { return c.send(t, "GET "+path).Header.Get("ETag") }
	first := tag("/v1/tenants/alice")
	alice, err := c.Tenant(t.Context(), "alice")
	if err != nil || !strings.HasPrefix(first, `"`) || first != tag("/v1/tenants/alice") {
		t.Fatalf("ETag %q of %+v, %v", first, alice, err)
	}
	for header, status := range map[string]int{first: 304, "W/" + first: 304, `"x", ` + first: 304, "*": 304, `"1"`: 200, first + "0": 200} {
		resp := c.send(t, "GET /v1/tenants/alice", "If-None-Match", header)
		if resp.StatusCode != status || resp.Header.Get("ETag") != first {
			t.Errorf("If-None-Match %s: %s, ETag %s", header, resp.Status, resp.Header.Get("ETag"))
		}
	}
	rev := c.put(t, store.NetworkKey("alice", "third"), &store.Network{Number: 99, Segmentation: store.SegmentationTunnel, Segment: 99})
	if err := c.controller.Await(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	second := tag("/v1/tenants/alice")
	if resp := c.send(t, "GET /v1/tenants/alice", "If-None-Match", first); second == first || resp.StatusCode != http.StatusOK {
		t.Errorf("with one more network: ETag %s, before %s; %s", second, first, resp.Status)
	}
	set := c.send(t, `PUT /v1/tenants/alice/limits {"connections":5}`, "If-Match", first)
	if set.StatusCode != http.StatusOK {
		t.Errorf("alice's own object is as it was: %s", set.Status)
	}
	if third := tag("/v1/tenants/alice"); third == second || set.Header.Get("ETag") == second {
		t.Errorf("with other limits: ETag %s, before %s", third, second)
	}
	for _, path := range []string{"/v1/networks/alice/db", "/v1/ports/alice/db/a", "/v1/gateways/alice"} {
		if got := tag(path); !strings.HasPrefix(got, `"`) || tag(path) != got {
			t.Errorf("%s has ETag %s, then %s", path, got, tag(path))
		}
	}
}
