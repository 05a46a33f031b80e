package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/store"
)

// names are the objects of one page, and how to ask for the next.
func (c cluster) names(t *testing.T, path string) (names []string, next string) {
	t.Helper()
	resp := c.send(t, "GET "+path)
	var list []struct{ Tenant, Network, Name string }
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	for _, o := range list {
		names = append(names, strings.Trim(strings.ReplaceAll(o.Tenant+"/"+o.Network+"/"+o.Name, "//", "/"), "/"))
	}
	return names, resp.Header.Get("Sluice-Continue")
}

// walk reads a list in pages of two objects.
func (c cluster) walk(t *testing.T, path string) (pages []string) {
	t.Helper()
	for next := "first"; next != ""; {
		from := ""
		if next != "first" {
			from = "&continue=" + next
		}
		var names []string
		names, next = c.names(t, path+"limit=2"+from)
		pages = append(pages, strings.Join(names, " "))
	}
	return pages
}

// put writes objects as they are: what is listed is what stands in etcd.
func (c cluster) put(t *testing.T, key store.Key, o store.Object) store.Revision {
	t.Helper()
	rev, err := c.store.PutIf(t.Context(), key, o, 0, 0)
	if err == nil {
		err = c.controller.Await(t.Context(), rev) // not every read waits for what was written past the API
	}
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// populate makes alice, bob and carol with two networks each, and three ports on two hosts in each.
func (c cluster) populate(t *testing.T) {
	t.Helper()
	number := uint32(0)
	for i, tenant := range []string{"alice", "bob", "carol"} {
		c.put(t, store.TenantKey(tenant), &store.Tenant{Number: uint32(i + 1), Gateway: store.GatewayAuto})
		for _, network := range []string{"db", "default"} {
			number++
			c.put(t, store.NetworkKey(tenant, network), &store.Network{Number: number, Segmentation: store.SegmentationTunnel, Segment: number})
			for j, at := range []string{"h1/b", "h1/c", "h2/a"} {
				host, name, _ := strings.Cut(at, "/")
				c.put(t, store.PortKey(host, tenant, network, name), &store.Port{
					Number: 10*number + uint32(j), MAC: store.MAC{2, 0, 0, 0, byte(number), byte(j)}, Interface: fmt.Sprint("sl-", number, name),
				})
			}
		}
	}
	for i, host := range []string{"h1", "h2"} {
		c.put(t, store.HostKey(host), &store.Host{DatapathID: store.DatapathID(i + 1), VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})}})
	}
	await(t, func() error { _, err := c.Host(t.Context(), "h2"); return err })
}

// Each list is whole when it is read page by page, in the same order, and each page is as long as
// was asked for.
func TestListsInPages(t *testing.T) {
	c := start(t)
	c.populate(t)
	for _, test := range []struct {
		path string
		want []string
	}{
		{"/v1/tenants?", []string{"alice bob", "carol"}},
		{"/v1/gateways?", []string{"alice bob", "carol"}},
		{"/v1/hosts?", []string{"h1 h2"}},
		{"/v1/networks?", []string{"alice/db alice/default", "bob/db bob/default", "carol/db carol/default"}},
		{"/v1/networks?tenant=bob&", []string{"bob/db bob/default"}},
		{"/v1/ports?tenant=bob&", []string{"bob/db/b bob/db/c", "bob/db/a bob/default/b", "bob/default/c bob/default/a"}},
		{"/v1/ports?host=h2&", []string{"alice/db/a alice/default/a", "bob/db/a bob/default/a", "carol/db/a carol/default/a"}},
		{"/v1/ports?network=db&host=h1&", []string{"alice/db/b alice/db/c", "bob/db/b bob/db/c", "carol/db/b carol/db/c"}},
	} {
		if got := c.walk(t, test.path); !slices.Equal(got, test.want) {
			t.Errorf("%s: pages\n%q, not\n%q", test.path, got, test.want)
		}
		whole, next := c.names(t, test.path)
		if got := strings.Join(whole, " "); got != strings.Join(test.want, " ") || next != "" {
			t.Errorf("%s in one page: %q, more %q", test.path, got, next)
		}
	}
}

// What stays in a list is shown exactly once, whatever comes and goes between two pages, also the
// very object after which the next page begins.
func TestPagesOfAListThatChanges(t *testing.T) {
	c, ctx := start(t), t.Context()
	for _, name := range []string{"b", "d", "f", "h"} {
		if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	first, next := c.names(t, "/v1/tenants?limit=2")
	for _, name := range []string{"a", "e"} {
		if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"d", "f"} {
		if _, err := c.DeleteTenant(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	second, next := c.names(t, "/v1/tenants?limit=2&continue="+next)
	if got := strings.Join(append(first, second...), " "); got != "b d e h" || next != "" {
		t.Errorf("the pages show %s, and then %q", got, next)
	}
}

func TestPagesThatNobodyCanShow(t *testing.T) {
	c := start(t)
	c.populate(t)
	_, ofNetworks := c.names(t, "/v1/networks?limit=1")
	for request, says := range map[string]string{
		"GET /v1/tenants?limit=0":                "limit",
		"GET /v1/tenants?limit=5001":             "limit",
		"GET /v1/tenants?continue=%21":           "Sluice-Continue",
		"GET /v1/tenants?continue=" + ofNetworks: "Sluice-Continue",
	} {
		resp := c.send(t, request)
		problem := &client.Problem{}
		if err := json.NewDecoder(resp.Body).Decode(problem); err != nil {
			t.Fatal(err)
		}
		checkProblem(t, problem, http.StatusUnprocessableEntity, says)
	}
}

// The client reads all pages of a list that is longer than one answer.
func TestClientReadsAllPages(t *testing.T) {
	c := start(t)
	const tenants = 1005
	for n := range tenants {
		c.put(t, store.TenantKey(fmt.Sprintf("t%04d", n)), &store.Tenant{Number: uint32(n + 1)})
	}
	await(t, func() error { _, err := c.Tenant(t.Context(), fmt.Sprintf("t%04d", tenants-1)); return err })
	list, err := c.Tenants(t.Context())
	if err != nil || len(list) != tenants || list[tenants-1].Name != fmt.Sprintf("t%04d", tenants-1) {
		t.Errorf("%d tenants, not %d: %v", len(list), tenants, err)
	}
	if page, next := c.names(t, "/v1/tenants"); len(page) != 1000 || next == "" {
		t.Errorf("one answer has %d tenants, and then %q", len(page), next)
	}
}
