package api_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/store"
)

// Each side agrees by a token of its own. Neither is told of the other more than that it asks, until both agree.
func TestPeeringByBothSides(t *testing.T) {
	c, ctx := start(t), t.Context()
	for i, tenant := range []string{"alice", "bob", "carol"} {
		if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: tenant, Subnets: []string{fmt.Sprintf("10.%d.0.0/24", i+1)}}); err != nil {
			t.Fatal(err)
		}
	}
	own := map[string]*client.Client{}
	for _, tenant := range []string{"alice", "bob", "carol"} {
		own[tenant] = c.as(t, c.make(t, client.TokenSpec{Name: tenant + "-own", Role: "tenant", Tenant: tenant}))
	}
	shows := func(who string, client *client.Client, want ...string) {
		t.Helper()
		list, err := client.Peerings(ctx, "")
		var got []string
		for _, p := range list {
			got = append(got, strings.TrimSpace(fmt.Sprint(p.Tenant, " ", p.Peer, " ", p.State, " ", p.OfferedBy)))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s sees %q, %v, want %q", who, got, err, want)
		}
	}
	if _, err := own["alice"].Peer(ctx, client.PeeringSpec{Tenant: "alice", Peer: "bob"}); err != nil {
		t.Fatal(err)
	}
	shows("alice", own["alice"], "alice bob offered alice")
	shows("bob", own["bob"], "bob alice offered alice")
	shows("carol", own["carol"])
	if p, err := own["bob"].Peering(ctx, "alice", "bob"); err != nil || p.Tenant != "bob" || !strings.Contains(fmt.Sprint(p.Why), "sluice peer bob alice") {
		t.Errorf("bob is told %+v, %v", p, err)
	}
	if _, err := own["bob"].Peer(ctx, client.PeeringSpec{Tenant: "alice", Peer: "bob"}); err != nil { // in any order
		t.Fatal(err)
	}
	shows("alice", own["alice"], "alice bob agreed")
	shows("an admin", c.Client, "alice bob agreed")
	if _, err := own["bob"].Unpeer(ctx, "alice", "bob"); err != nil {
		t.Fatal(err)
	}
	shows("alice", own["alice"], "alice bob offered alice")
	if _, err := c.Peer(ctx, client.PeeringSpec{Tenant: "bob", Peer: "carol"}); err != nil {
		t.Fatal(err)
	}
	shows("an admin", c.Client, "alice bob offered alice", "bob carol agreed")
	if _, err := c.Unpeer(ctx, "carol", "bob"); err != nil {
		t.Fatal(err)
	}
	shows("an admin", c.Client, "alice bob offered alice")

	// Of a tenant that has not agreed nobody learns whether it is there, or what it has.
	modified := regexp.MustCompile(`"modified":\d+`)
	text := func(who string, request string) string {
		resp := c.send(t, request, "Authorization", "Bearer "+c.make(t, client.TokenSpec{Name: who, Role: "tenant", Tenant: "alice"}))
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Status + modified.ReplaceAllString(string(b), "") // of each write another
	}
	there := text("first", `POST /v1/peerings {"tenant":"alice","peer":"carol"}`)
	nowhere := text("second", `POST /v1/peerings {"tenant":"alice","peer":"eveee"}`)
	if strings.ReplaceAll(there, "carol", "eveee") != nowhere || !strings.HasPrefix(there, "201") {
		t.Errorf("an offer to carol is answered %s, to nobody %s", there, nowhere)
	}
	for i, request := range []string{`POST /v1/peerings {"tenant":"carol","peer":"bob"}`, "GET /v1/peerings/carol/bob", "DELETE /v1/peerings/carol/bob", "GET /v1/peerings?tenant=carol"} {
		if got := text(fmt.Sprint("x", i), request); !strings.HasPrefix(got, "404") {
			t.Errorf("%s by alice: %s", request, got)
		}
	}
	for request, want := range map[string]int{
		`POST /v1/peerings {"tenant":"alice","peer":"alice"}`:                            http.StatusUnprocessableEntity,
		`POST /v1/peerings {"tenant":"alice","peer":"bob","networks":["nosuch"]}`:        http.StatusNotFound,
		`POST /v1/peerings {"tenant":"alice","peer":"nobody"}`:                           http.StatusNotFound,
		`POST /v1/peerings {"tenant":"alice","peer":"bob","peerNetworks":["Not a one"]}`: http.StatusUnprocessableEntity,
		"GET /v1/peerings/alice/nobody":                                                  http.StatusNotFound,
		"GET /v1/peerings/alice/Nobody":                                                  http.StatusBadRequest,
		"DELETE /v1/peerings/bob/carol":                                                  http.StatusNotFound,
	} {
		if resp := c.send(t, request); resp.StatusCode != want {
			t.Errorf("%s: %s, not %d", request, resp.Status, want)
		}
	}
}

// What is in the way of networks is said, and what to know of those that reach each other.
func TestPeeringsSayWhy(t *testing.T) {
	c, ctx := start(t), t.Context()
	for tenant, subnet := range map[string]string{"alice": "10.1.0.0/24", "bob": "10.2.0.0/24"} {
		if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: tenant, Subnets: []string{subnet}}); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := c.Peer(ctx, client.PeeringSpec{Tenant: "alice", Peer: "bob"}); err != nil || p.State != client.PeeringAgreed || len(p.Why) > 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	creates := func(spec client.NetworkSpec, state, says string) {
		t.Helper()
		if _, err := c.CreateNetwork(ctx, spec); err != nil {
			t.Fatal(err)
		}
		if p, err := c.Peering(ctx, "bob", "alice"); err != nil || p.State != state || !strings.Contains(fmt.Sprint(p.Why), says) {
			t.Errorf("%+v, %v: want %s that says %q", p, err, state, says)
		}
	}
	creates(client.NetworkSpec{Tenant: "alice", Name: "small", Subnets: []string{"10.1.1.0/24"}, MTU: 1000}, client.PeeringAgreed, "the MTU of networks bob/default (derived, tunnel) and alice/small (1000 bytes) differs")
	creates(client.NetworkSpec{Tenant: "bob", Name: "same", Subnets: []string{"10.1.0.0/25"}}, client.PeeringAgreed, "subnet 10.1.0.0/25 of network bob/same overlaps subnet 10.1.0.0/24 of network alice/default")
	if p, err := c.Peer(ctx, client.PeeringSpec{Tenant: "alice", Networks: []string{"small"}, Peer: "bob", PeerNetworks: []string{"default"}}); err != nil ||
		!slices.Equal(p.Networks, []string{"small"}) || !slices.Equal(p.PeerNetworks, []string{"default"}) || len(p.Why) != 1 {
		t.Errorf("by network: %+v, %v", p, err)
	}
	creates(client.NetworkSpec{Tenant: "bob", Name: "other", Subnets: []string{"10.1.1.0/25"}}, client.PeeringRefused, "overlaps subnet 10.1.1.0/24 of network alice/small")
	_, at, err := c.store.Get(ctx, store.PeeringKey("bob", "alice"))
	if err != nil {
		t.Fatal(err)
	}
	rev, err := c.store.PutIf(ctx, store.PeeringKey("bob", "alice"), &store.Peering{TenantCreated: 1, PeerCreated: 1}, at, 0)
	if err != nil || c.controller.Await(ctx, rev) != nil {
		t.Fatal(err)
	}
	if p, err := c.Peering(ctx, "alice", "bob"); err != nil || p.State != client.PeeringOffered || !strings.Contains(fmt.Sprint(p.Why), "what bob said was of an earlier tenant") {
		t.Errorf("of an earlier tenant: %+v, %v", p, err)
	}
	if _, err := c.DeleteTenant(ctx, "bob"); err == nil {
		t.Fatal("bob has networks")
	}
}
