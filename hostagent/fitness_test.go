package hostagent

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sluice/store"
)

// TestGatewayLacks gives a host routes of all kinds, one after the other. What overlaps the
// transit range is in the way, in whatever table and however large.
func TestGatewayLacks(t *testing.T) {
	requireOVS(t)
	h := &host{t: t}
	h.startUnderlay()
	h.run("ip", "link", "add", "mesh0", "type", "veth", "peer", "name", "mesh1")
	h.run("ip", "link", "set", "mesh1", "up")
	t.Cleanup(func() { h.run("ip", "link", "del", "mesh0") })
	h.run("ip", "link", "set", "mesh0", "up")
	other := store.Transit{Prefix: netip.MustParsePrefix("198.18.0.0/15")}
	for _, c := range []struct {
		name    string
		route   string // is there
		transit store.Transit
		uplink  string
		says    string // empty: nothing lacks
	}{
		{"nothing is in the way", "10.8.0.0/16 dev mesh0", store.DefaultTransit, "under0", ""},
		{"no uplink", "10.8.0.0/16 dev mesh0", store.DefaultTransit, "", "--uplink"},
		{"a default route, which overlaps all", "default dev under0", store.DefaultTransit, "", ""},
		{"a network in the range", "100.100.0.0/16 dev mesh0", store.DefaultTransit, "under0", "100.64.0.0/10 overlaps this host's route to 100.100.0.0/16 by mesh0"},
		{"one that holds it", "100.0.0.0/8 dev mesh0", store.DefaultTransit, "under0", "100.0.0.0/8 by mesh0"},
		{"one in another table, as mesh VPNs have it", "100.100.7.7/32 dev mesh0 table 52", store.DefaultTransit, "under0", "100.100.7.7/32"},
		{"another range", "100.100.0.0/16 dev mesh0", other, "under0", ""},
		{"another range, in use too", "198.19.3.0/24 dev mesh0", other, "under0", "198.18.0.0/15 overlaps"},
	} {
		h.run("ip", append([]string{"route", "add"}, strings.Fields(c.route)...)...)
		err := gatewayLacks(c.uplink, c.transit)
		switch {
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
		h.run("ip", append([]string{"route", "del"}, strings.Fields(c.route)...)...)
	}
}

// TestTransitRangeInUse starts an agent where the default range is another's: the host has ports
// and is no gateway, and its routes stay as they are. Once the cluster has another range it is one.
func TestTransitRangeInUse(t *testing.T) {
	h := newHost(t)
	h.run("ip", "route", "add", "100.101.0.0/16", "dev", "under0")
	before := h.run("ip", "route")
	a, _, _ := h.agent()
	registered := func() *store.Host {
		t.Helper()
		o, _, err := h.client.Get(t.Context(), store.HostKey("h1"))
		if err != nil {
			t.Fatal(err)
		}
		return o.(*store.Host)
	}
	if h := registered(); h.Gateway || !strings.Contains(h.NoGateway, "overlaps this host's route to 100.101.0.0/16") {
		t.Errorf("it is registered as a gateway host %v, and why not: %q", h.Gateway, h.NoGateway)
	}
	if problems := a.Status().Problems; len(problems) != 1 || !strings.Contains(problems[0], "gateway: the cluster's transit range 100.64.0.0/10 overlaps") {
		t.Errorf("problems %q", problems)
	}
	if after := h.run("ip", "route"); after != before {
		t.Errorf("the host's routes were\n%s and are\n%s", before, after)
	}
	for _, tenant := range []string{"alice", "bob"} {
		if _, err := h.client.DeleteTenant(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.client.SetTransit(t.Context(), netip.MustParsePrefix("198.18.0.0/15")); err != nil {
		t.Fatal(err)
	}
	h.eventually("it is a gateway host of the other range", func() bool {
		a.mender.round(t.Context())
		rules, err := listRuleset(t.Context())
		return err == nil && registered().Gateway && registered().NoGateway == "" && strings.Contains(h.run("ip", "route"), "198.18.0.0/15 dev sluice-gw") &&
			strings.Contains(h.run("ip", "addr"), "198.19.255.254/15") && strings.Contains(rules, "ip saddr 198.18.0.0/15") &&
			!slices.ContainsFunc(a.Status().Problems, func(p string) bool { return strings.Contains(p, "gateway") })
	})
	if routes := h.run("ip", "route"); strings.Contains(routes, "100.64.0.0") {
		t.Errorf("the default range is routed too:\n%s", routes)
	}
}
