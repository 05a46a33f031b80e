package flows

import (
	"testing"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// Ten thousand tenants without a container cost no host a flow, though each has a gateway. A tenant's first container
// brings flows to its own host and to the gateway's, and the last takes them away, from a host and from all.
func TestSleepingTenantsHaveNoFlows(t *testing.T) {
	const tenants = 10_000
	s := manyTenants(tenants)
	key := func(host, port string) store.Key { return store.PortKey(host, "t1", "default", port) }
	ports := map[string]*store.Port{"h1": s.Port(key("h1", "p0")).Value, "h2": s.Port(key("h2", "p1")).Value}
	var all []store.Event
	for h := range s.Hosts() {
		for _, n := range s.NetworksOn(h.Key.Host) {
			for _, p := range s.PortsAt(h.Key.Host, n) {
				all = append(all, store.Event{Key: p.Key})
			}
		}
	}
	for _, h := range []string{"h3", "h4"} { // with the gateway h2 and no container, and with neither
		all = append(all, store.Event{Key: store.HostKey(h), Object: &store.Host{DatapathID: store.DatapathID(h[1])}, Created: 1, Modified: 2})
	}
	gateway := store.Event{Key: store.GatewayKey("t1"), Object: &store.Gateway{Active: "h3"}, Created: 1, Modified: 2}
	s.Apply(store.Batch{Revision: 2, Events: append(all, gateway)})

	put := func(host, port string) store.Event {
		return store.Event{Key: key(host, port), Object: ports[host], Created: 3, Modified: 3}
	}
	for i, step := range []struct {
		event store.Event
		on    []string // hosts that hold flows of a tenant afterwards
	}{
		{store.Event{Key: store.StatusHostKey("h1")}, nil},
		{put("h1", "p0"), []string{"h1", "h3"}},
		{put("h2", "p1"), []string{"h1", "h2", "h3"}},
		{store.Event{Key: key("h1", "p0")}, []string{"h2", "h3"}},
		{store.Event{Key: key("h2", "p1")}, nil},
	} {
		s.Apply(store.Batch{Revision: store.Revision(3 + i), Events: []store.Event{step.event}})
		want := map[string]bool{}
		for _, host := range step.on {
			want[host] = true
		}
		for h := range s.Hosts() {
			if got := tenantFlows(s, h.Key.Host); (got > 0) != want[h.Key.Host] {
				t.Errorf("step %d: host %s holds %d flows of tenants, want some: %t", i, h.Key.Host, got, want[h.Key.Host])
			}
		}
	}
}

// tenantFlows counts a host's flows that are some tenant's.
func tenantFlows(s *store.State, host string) (n int) {
	compiled, _ := compileHost(s, switchOf(s, host))
	for _, f := range compiled {
		if Slice(f.Cookie).Tenant() > 0 {
			n++
		}
	}
	return n
}

// A tenant that sleeps has no slices either: nobody compiles, reads or compares anything for it.
func TestSleepingTenantsHaveNoSlices(t *testing.T) {
	s := store.NewState()
	s.Apply(store.Batch{Revision: 1, Events: []store.Event{
		{Key: store.HostKey("h1"), Object: &store.Host{}, Created: 1}, {Key: store.TenantKey("alice"), Object: &store.Tenant{Number: 1}, Created: 1},
		{Key: store.NetworkKey("alice", "default"), Object: &store.Network{Number: 1}, Created: 1},
	}})
	Affected(s, s.Apply(store.Batch{Revision: 2, Events: []store.Event{{Key: store.GatewayKey("alice"), Object: &store.Gateway{Active: "h1"}, Created: 2}}}), func(host string, sl Slice) { t.Errorf("slice %d of host %s is marked", sl, host) })
	Slices(s, "h1", func(sl Slice) {
		if sl.Tenant() > 0 {
			t.Errorf("host h1 has slice %d", sl)
		}
		Compile(s, Switch{Host: "h1"}, sl, func(of.Flow) {})
	})
}
