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

// ports gives a cluster the ports a1 and a2 of alice, and b1 of bob, on hosts whose switches are not connected.
func (c cluster) ports(t *testing.T) {
	t.Helper()
	c.register(t, "h1")
	for _, name := range []string{"alice", "bob"} {
		if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: name, Subnets: []string{"10.0.0.0/24"}}); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{"alice/a1", "alice/a2", "bob/b1"} {
		tenant, port, _ := strings.Cut(name, "/")
		n := byte(i + 2)
		c.put(t, store.PortKey("h1", tenant, "default", port), &store.Port{Number: uint32(n), MAC: store.MAC{2, 0, 0, 0, 0, n}, Interface: "sl-" + port,
			Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 24)}})
	}
}

// Over the flows that the switches should hold a trace needs no switch; over those that they hold it says
// that there is none.
func TestTraceWithoutSwitches(t *testing.T) {
	c := start(t)
	c.ports(t)
	got, err := c.Trace(t.Context(), client.TraceQuery{From: "alice/a1", To: "alice/a2", Proto: "tcp", View: client.ViewDesired})
	if err != nil || got.Text != "delivered to alice/default/a2 on h1" || got.View != client.ViewDesired || !got.Complete {
		t.Errorf("desired: %s, %v", got.Text, err)
	}
	if len(got.Tables) != 1 || got.Tables[0].Flows == 0 || !strings.HasPrefix(got.Tables[0].Problem, "its switch never told its ports") || got.Tables[0].Read.IsZero() {
		t.Errorf("tables are %+v", got.Tables)
	}
	got, err = c.Trace(t.Context(), client.TraceQuery{From: "alice/a1", To: "10.0.0.3"})
	if err != nil || got.Verdict != "unknown" || got.Complete || !strings.Contains(got.Text, "not known what happens on h1: its switch has no session with controller") ||
		!strings.Contains(got.Text, "no other has claimed it; --desired shows what it should hold") {
		t.Errorf("installed: %s: %s, %v", got.Verdict, got.Text, err)
	}
	c.put(t, store.LiveControllerKey("c2"), &store.LiveController{API: "http://192.0.2.2:8080"})
	c.put(t, store.MasterKey("h1"), &store.Master{Controller: "c2", Generation: 1})
	if got, err = c.Trace(t.Context(), client.TraceQuery{From: "alice/a1", To: "10.0.0.3"}); err != nil || !strings.Contains(got.Text, "controller c2 has claimed it: ask that one, with --api http://192.0.2.2:8080") {
		t.Errorf("with another controller: %s, %v", got.Text, err)
	}
	for query, want := range map[string]int{
		"?from=alice/a1&to=10.0.0.3":                       http.StatusOK,
		"?from=alice/a1":                                   http.StatusUnprocessableEntity,
		"?from=alice/a1&to=":                               http.StatusUnprocessableEntity,
		"?from=alice/a9&to=10.0.0.3":                       http.StatusNotFound,
		"?from=alice/a1&to=10.0.0.3&view=diff":             http.StatusUnprocessableEntity,
		"?from=alice/a1&to=10.0.0.3&state=closed":          http.StatusUnprocessableEntity,
		"?from=alice/a1&to=10.0.0.3&proto=tcp&dport=70000": http.StatusUnprocessableEntity,
		"?from=alice/a1&to=10.0.0.3&dport=80":              http.StatusUnprocessableEntity,
		"?from=alice/a1&to=10.0.0.3&ttl=256":               http.StatusUnprocessableEntity,
		"?from=alice/a1&to=10.0.0.3&nonsense=1":            http.StatusUnprocessableEntity,
	} {
		if resp := c.send(t, "GET /v1/trace"+query); resp.StatusCode != want {
			t.Errorf("%s: %s, not %d", query, resp.Status, want)
		}
	}
}

// A broadcast in a network of many hosts reads a bounded number of them, and says so of the others.
func TestATraceReadsABoundedNumberOfHosts(t *testing.T) {
	c := start(t)
	if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: "alice", Subnets: []string{"10.0.0.0/24"}}); err != nil {
		t.Fatal(err)
	}
	for n := byte(1); n <= 18; n++ {
		host := fmt.Sprint("h", n)
		c.put(t, store.HostKey(host), &store.Host{DatapathID: store.DatapathID(n), Encap: "vxlan", VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 0, n})}})
		c.put(t, store.PortKey(host, "alice", "default", host), &store.Port{Number: uint32(n), MAC: store.MAC{2, 0, 0, 0, 0, n}, Interface: "sl-" + host,
			Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, n + 1}), 24)}})
	}
	got, err := c.Trace(t.Context(), client.TraceQuery{From: "alice/h1", To: "10.0.0.255", Proto: "udp", View: client.ViewDesired})
	if err != nil || got.Verdict != "delivered" || got.Complete || strings.Count(got.Text, "delivered to") != 15 ||
		strings.Count(got.Text, "of 16 hosts, and one trace reads no more") != 2 {
		t.Errorf("%s: %s, %v", got.Verdict, got.Text, err)
	}
}

// A tenant's token traces from its own ports, to them from outside, and to names of others as to names
// of nobody; what is the cluster's it is not told.
func TestATenantTraces(t *testing.T) {
	c := start(t)
	c.ports(t)
	alice := c.as(t, c.make(t, client.TokenSpec{Name: "of-alice", Role: "tenant", Tenant: "alice"}))
	got, err := alice.Trace(t.Context(), client.TraceQuery{From: "alice/a1", To: "10.0.0.3", View: client.ViewDesired})
	if err != nil || got.Text != "delivered to alice/default/a2 on h1" || got.Tables[0].Problem != "they are not known, or not wholly right" {
		t.Errorf("%s, %+v, %v", got.Text, got.Tables, err)
	}
	for _, h := range got.Hops {
		for _, s := range h.Steps {
			if s.Flow != "" || s.Cookie != "" {
				t.Errorf("a flow is told: %+v", s)
			}
		}
	}
	if got, err = alice.Trace(t.Context(), client.TraceQuery{From: "alice/a1", To: "10.0.0.3"}); err != nil || strings.Contains(got.Text, "controller") {
		t.Errorf("%s, %v", got.Text, err)
	}
	refusal := func(q client.TraceQuery) string {
		_, err := alice.Trace(t.Context(), q)
		var p *client.Problem
		if !errors.As(err, &p) || p.Status != http.StatusNotFound {
			t.Errorf("%+v: %v", q, err)
			return ""
		}
		return p.Error()
	}
	for _, pair := range [][2]client.TraceQuery{
		{{From: "bob/b1", To: "10.0.0.3"}, {From: "eve/b1", To: "10.0.0.3"}},
		{{From: "alice/a1", To: "bob/b1"}, {From: "alice/a1", To: "eve/b1"}},
		{{From: "outside", To: "bob/b1"}, {From: "outside", To: "eve/b1"}},
	} {
		if there, nowhere := refusal(pair[0]), refusal(pair[1]); strings.ReplaceAll(there, "bob", "eve") != nowhere {
			t.Errorf("%s; %s", there, nowhere)
		}
	}
}
