package api_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/store"
)

// publishes makes a cluster in which alice and bob have a port web and leave by h1.
func publishes(t *testing.T) cluster {
	t.Helper()
	c, ctx := start(t), t.Context()
	put := func(key store.Key, o store.Object) {
		t.Helper()
		if _, err := c.store.PutIf(ctx, key, o, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	put(store.HostKey("h1"), &store.Host{Gateway: true, DatapathID: 1, Encap: "vxlan", VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.1")},
		Addresses: []netip.Addr{netip.MustParseAddr("172.30.0.1"), netip.MustParseAddr("192.0.2.1")}, Listens: []store.Endpoint{{Protocol: store.ProtocolTCP, Port: 22}}})
	for i, tenant := range []string{"alice", "bob"} {
		if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: tenant, Gateway: "h1"}); err != nil {
			t.Fatal(err)
		}
		put(store.PortKey("h1", tenant, "default", "web"), &store.Port{UID: fmt.Sprint("webwebwebwe", i), Number: uint32(50 + i), MAC: store.MAC{2, 0, 0, 0, 0, byte(i)},
			Interface: fmt.Sprint("sl-web", i), Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.9/24")}})
	}
	await(t, func() error {
		for _, tenant := range []string{"alice", "bob"} {
			if g, err := c.Gateway(ctx, tenant); err != nil || g.Active != "h1" {
				return fmt.Errorf("%s has no gateway yet: %w", tenant, err)
			}
			if _, err := c.Port(ctx, tenant, "default", "web"); err != nil {
				return err
			}
		}
		return nil
	})
	return c
}

func TestPublications(t *testing.T) {
	c, ctx := publishes(t), t.Context()
	own := map[string]*client.Client{}
	for _, tenant := range []string{"alice", "bob"} {
		own[tenant] = c.as(t, c.make(t, client.TokenSpec{Name: tenant + "-own", Role: "tenant", Tenant: tenant}))
	}
	p, err := own["alice"].Publish(ctx, client.PublicationSpec{Tenant: "alice", Port: "web", Protocol: "tcp", Ports: "80", On: "8080"})
	if err != nil || p.Name != "tcp-8080" || p.Host != "h1" || p.Network != "default" || p.Why != "" || fmt.Sprint(p.Addresses) != "[192.0.2.1]" {
		t.Fatalf("alice publishes %+v, %v", p, err)
	}
	if again, err := own["alice"].Publish(ctx, client.PublicationSpec{Tenant: "alice", Port: "web", Protocol: "tcp", Ports: "80", On: "8080"}); err != nil || again.Name != p.Name {
		t.Errorf("again: %+v, %v", again, err)
	}
	for who, says := range map[string]string{"bob": "is published by another tenant longer", "": "is published by alice/tcp-8080 longer"} {
		asks := c.Client
		if who != "" {
			asks = own[who]
		}
		if _, err := asks.Publish(ctx, client.PublicationSpec{Tenant: "bob", Port: "web", Protocol: "tcp", Ports: "80", On: "8080"}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is told %v", who, err)
		}
	}
	if _, err := own["bob"].Publish(ctx, client.PublicationSpec{Tenant: "bob", Port: "web", Protocol: "udp", Ports: "80-81", KeepSource: true}); err != nil {
		t.Error(err)
	}
	list, err := own["bob"].Publications(ctx, "")
	if err != nil || len(list) != 1 || list[0].Name != "udp-80-81" || list[0].On != "80-81" || !list[0].KeepSource {
		t.Errorf("bob sees %+v, %v", list, err)
	}
	if list, err = c.Publications(ctx, ""); err != nil || len(list) != 2 {
		t.Errorf("an admin sees %+v, %v", list, err)
	}
	if _, err := own["bob"].Unpublish(ctx, "alice", "tcp-8080"); err == nil {
		t.Error("bob unpublishes what is alice's")
	}
	if _, err := own["alice"].Unpublish(ctx, "alice", "tcp-8080"); err != nil {
		t.Error(err)
	}
	if _, err := c.Publication(ctx, "alice", "tcp-8080"); err == nil {
		t.Error("it is there still")
	}
}

// What a port publishes itself is listed, and ends with the port alone.
func TestPublicationsOfPorts(t *testing.T) {
	c, ctx := publishes(t), t.Context()
	const name = "tcp-8443-of-tlstlstlstls"
	key := store.PortKey("h1", "alice", "default", "tls")
	if _, err := c.store.PutIf(ctx, key, &store.Port{UID: "tlstlstlstls", Number: 70, MAC: store.MAC{2, 0, 0, 0, 1}, Interface: "sl-tls",
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.8/24")}, Publish: []store.PortPublication{{Protocol: store.ProtocolTCP, First: 443, On: 8443, Count: 1}}}, 0, 0); err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		p, err := c.Publication(ctx, "alice", name)
		if err == nil && (!p.ByPort || p.Port != "tls" || p.Ports != "443" || p.Why != "") {
			t.Fatalf("it is shown as %+v", p)
		}
		return err
	})
	if list, err := c.Publications(ctx, "alice"); err != nil || len(list) != 1 || list[0].Name != name {
		t.Errorf("list: %+v, %v", list, err)
	}
	if _, err := c.Unpublish(ctx, "alice", name); err == nil || !strings.Contains(err.Error(), "it goes with the port") {
		t.Errorf("unpublish: %v", err)
	}
	if _, err := c.store.DeletePort(ctx, key, 0); err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		if _, err := c.Publication(ctx, "alice", name); err == nil {
			return fmt.Errorf("it is there still")
		}
		return nil
	})
}

// A route takes a name that another tenant's cannot have, and no port of a host.
func TestRoutes(t *testing.T) {
	c, ctx := publishes(t), t.Context()
	bob := c.as(t, c.make(t, client.TokenSpec{Name: "bob-own", Role: "tenant", Tenant: "bob"}))
	spec := client.PublicationSpec{Tenant: "alice", Port: "web", Protocol: "tcp", Ports: "22", Route: &client.Route{Host: "Hub.Example"}}
	p, err := c.Publish(ctx, spec)
	if err != nil || p.Name != "http-hub-example" || p.On != "" || p.Ports != "22" || p.Host != "h1" || len(p.Addresses) != 0 || p.Why != "" || *p.Route != (client.Route{Host: "hub.example", Path: "/"}) {
		t.Fatalf("alice publishes %+v, %+v, %v", p, p.Route, err)
	}
	spec.Tenant = "bob"
	if _, err := bob.Publish(ctx, spec); err == nil || !strings.Contains(err.Error(), "another tenant has hub.example for longer") {
		t.Errorf("bob is told %v", err)
	}
	spec.Route = &client.Route{Host: "bob.example", Path: "lab", Strip: true, Shared: true}
	if _, err := bob.Publish(ctx, spec); err != nil {
		t.Error(err)
	}
	if list, err := bob.Publications(ctx, ""); err != nil || len(list) != 1 || *list[0].Route != (client.Route{Host: "bob.example", Path: "/lab/", Strip: true, Shared: true}) {
		t.Errorf("bob sees %+v, %v", list, err)
	}
}

func TestPublicationsThatTheAPIRefuses(t *testing.T) {
	c := publishes(t)
	for request, status := range map[string]int{
		`POST /v1/publications {"tenant":"alice","port":"web","protocol":"tcp","ports":"80","on":"22"}`:                                http.StatusConflict,
		`POST /v1/publications {"tenant":"alice","port":"nosuch","protocol":"tcp","ports":"80"}`:                                       http.StatusNotFound,
		`POST /v1/publications {"tenant":"nobody","port":"web","protocol":"tcp","ports":"80"}`:                                         http.StatusNotFound,
		`POST /v1/publications {"tenant":"alice","port":"web","protocol":"tcp","ports":"80-81","on":"80-90"}`:                          http.StatusUnprocessableEntity,
		`POST /v1/publications {"tenant":"alice","port":"web","protocol":"tcp","ports":"0"}`:                                           http.StatusUnprocessableEntity,
		`POST /v1/publications {"tenant":"alice","port":"web","protocol":"tcp","ports":"80","on":"x"}`:                                 http.StatusUnprocessableEntity,
		`POST /v1/publications {"tenant":"alice","port":"web","protocol":"sctp","ports":"80"}`:                                         http.StatusUnprocessableEntity,
		`POST /v1/publications {"tenant":"alice","port":"Not a one","protocol":"tcp","ports":"80"}`:                                    http.StatusUnprocessableEntity,
		`POST /v1/publications {"tenant":"alice","port":"web","protocol":"udp","ports":"4789"}`:                                        http.StatusUnprocessableEntity,
		`POST /v1/publications {"tenant":"alice","port":"web","protocol":"tcp","ports":"80","route":{"host":"a b"}}`:                   http.StatusUnprocessableEntity,
		`POST /v1/publications {"tenant":"alice","port":"web","protocol":"tcp","ports":"80","route":{}}`:                               http.StatusUnprocessableEntity,
		`POST /v1/publications {"tenant":"alice","port":"web","protocol":"udp","ports":"80","route":{"host":"a.example"}}`:             http.StatusUnprocessableEntity,
		`POST /v1/publications {"tenant":"alice","port":"web","protocol":"tcp","ports":"80-81","route":{"host":"a.example"}}`:          http.StatusUnprocessableEntity,
		`POST /v1/publications {"tenant":"alice","port":"web","protocol":"tcp","ports":"80","on":"81","route":{"host":"a.example"}}`:   http.StatusUnprocessableEntity,
		`POST /v1/publications {"tenant":"alice","port":"web","protocol":"tcp","ports":"80","keepSource":true,"route":{"host":"a.x"}}`: http.StatusUnprocessableEntity,
		"GET /v1/publications/alice/tcp-1":    http.StatusNotFound,
		"GET /v1/publications/alice/Not":      http.StatusBadRequest,
		"DELETE /v1/publications/alice/tcp-1": http.StatusNotFound,
	} {
		if resp := c.send(t, request); resp.StatusCode != status {
			t.Errorf("%s: %s, want %d", request, resp.Status, status)
		}
	}
}
