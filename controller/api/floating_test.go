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

// The operator says which addresses may float; tenants publish on them, and are told of no other tenant.
func TestFloating(t *testing.T) {
	c, ctx := publishes(t), t.Context()
	_, was, err := c.store.Get(ctx, store.HostKey("h1"))
	if err != nil {
		t.Fatal(err)
	}
	rev, err := c.store.PutIf(ctx, store.HostKey("h1"), &store.Host{Gateway: true, DatapathID: 1, Encap: "vxlan", VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.1")},
		Addresses: []netip.Addr{netip.MustParseAddr("172.30.0.1"), netip.MustParseAddr("203.0.113.51")}, Subnets: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}, was, 0)
	if err == nil {
		err = c.controller.Await(ctx, rev)
	}
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]*client.Client{}
	for _, tenant := range []string{"alice", "bob"} {
		own[tenant] = c.as(t, c.make(t, client.TokenSpec{Name: tenant + "-own", Role: "tenant", Tenant: tenant}))
	}
	if is, err := c.Floating(ctx); err != nil || len(is.Ranges) != 0 || len(is.Used) != 0 {
		t.Fatalf("at first %+v, %v", is, err)
	}
	a := netip.MustParseAddr("203.0.113.50")
	spec := client.PublicationSpec{Tenant: "alice", Port: "web", Protocol: "tcp", Ports: "80", On: "8080", Floating: a}
	if _, err := own["alice"].Publish(ctx, spec); err == nil || !strings.Contains(err.Error(), "may not float") {
		t.Errorf("nothing floats: %v", err)
	}
	wanted := client.Floating{Ranges: []string{"203.0.113.50-203.0.113.51", "203.0.113.64/30"}}
	if _, err := c.SetFloating(ctx, wanted); !errors.Is(err, client.ErrConflict) || !strings.Contains(err.Error(), "sluice schema set 2") {
		t.Errorf("while older programs may write: %v", err)
	}
	if _, err := c.store.PutIf(ctx, store.SchemaKey(), &store.Schema{Least: store.SchemaVersion}, 0, 0); err != nil {
		t.Fatal(err)
	}
	is, err := c.SetFloating(ctx, wanted)
	if err != nil || fmt.Sprint(is.Ranges) != "[203.0.113.50-203.0.113.51 203.0.113.64-203.0.113.67]" || is.Modified == 0 {
		t.Fatalf("%+v, %v", is, err)
	}
	p, err := own["alice"].Publish(ctx, spec)
	if err != nil || p.Name != "tcp-8080" || p.Floating != a || p.Host != "h1" || p.Why != "" || fmt.Sprint(p.Addresses) != "[203.0.113.50]" {
		t.Fatalf("alice publishes %+v, %v", p, err)
	}
	other := client.PublicationSpec{Tenant: "bob", Port: "web", Protocol: "tcp", Ports: "80", Floating: a}
	if _, err := own["bob"].Publish(ctx, other); err == nil || !strings.Contains(err.Error(), "another tenant's") || strings.Contains(err.Error(), "alice") {
		t.Errorf("bob on alice's address: %v", err)
	}
	if _, err := c.Publish(ctx, other); err == nil || !strings.Contains(err.Error(), "alice/tcp-8080's") {
		t.Errorf("an admin on alice's address: %v", err)
	}
	other.Floating = netip.MustParseAddr("203.0.113.51")
	if _, err := own["bob"].Publish(ctx, other); err == nil || !strings.Contains(err.Error(), "an address of host h1 itself") {
		t.Errorf("bob on the host's address: %v", err)
	}
	want := client.FloatingAddress{Address: a, Tenant: "alice", Host: "h1"}
	if is, err := c.Floating(ctx); err != nil || len(is.Used) != 1 || is.Used[0] != want {
		t.Errorf("%+v, %v", is, err)
	}
	if _, err := c.SetFloating(ctx, client.Floating{Ranges: []string{"203.0.113.51"}}); err == nil || !strings.Contains(err.Error(), "203.0.113.50 is published by alice/tcp-8080") {
		t.Errorf("what is used floats no more: %v", err)
	}
	for _, wrong := range []string{`{"ranges":["x"]}`, `{"ranges":["203.0.113.9-203.0.113.1"]}`, `{"ranges":["2001:db8::1"]}`, `{}`} {
		if resp := c.send(t, "PUT /v1/floating "+wrong); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %s", wrong, resp.Status)
		}
	}
	if resp := c.send(t, `POST /v1/publications {"tenant":"alice","port":"web","protocol":"tcp","ports":"80","floating":"web"}`); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("no address: %s", resp.Status)
	}
}
