package witness

import (
	"net/netip"
	"testing"

	"sluice/flows"
	"sluice/flows/internal/worlds"
	"sluice/flows/prove"
	"sluice/store"
)

// compiled are the tables that switches should hold.
func compiled(s *store.State, switches ...flows.Switch) []Tables {
	var all []Tables
	for _, sw := range switches {
		list, _ := flows.Desired(s, sw)
		all = append(all, Tables{Switch: sw, Flows: list})
	}
	return all
}

// twoTenants are alice, whose gateway is on h1, and bob, whose gateway is on h2; each has a port on
// both hosts, with the same MACs and addresses.
func twoTenants() (*store.State, []Tables) {
	s := store.NewState()
	put := func(key store.Key, o store.Object) {
		r := s.Revision() + 1
		s.Apply(store.Batch{Revision: r, Events: []store.Event{{Key: key, Object: o, Created: r, Modified: r}}})
	}
	for i, host := range []string{"h1", "h2"} {
		put(store.HostKey(host), &store.Host{DatapathID: store.DatapathID(i + 1), VTEPs: []netip.Addr{worlds.Addr("172.30.0.%d", i+1)},
			Gateway: true, Encap: "vxlan", Infrastructure: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}})
	}
	switches := []flows.Switch{
		{Host: "h1", OFPort: map[string]uint32{store.TunnelInterface: 100, store.GatewayInterface: 200, "a1": 1, "b1": 2}},
		{Host: "h2", OFPort: map[string]uint32{store.TunnelInterface: 100, store.GatewayInterface: 200, "a2": 1, "b2": 2}},
	}
	for i, tenant := range []string{"alice", "bob"} {
		put(store.TenantKey(tenant), &store.Tenant{Number: uint32(7 + 2*i)})
		n := &store.Network{Number: uint32(0x100 + i), Segment: uint32(0x100 + i), Segmentation: store.SegmentationTunnel, Flood: store.FloodAuto,
			Subnets: []store.Subnet{
				{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: worlds.Addr("10.0.0.1")},
				{Prefix: netip.MustParsePrefix("fd00::/64"), Gateway: worlds.Addr("fd00::1")}}}
		if tenant == "bob" {
			n.Segmentation, n.Segment = store.SegmentationVLAN, 100
		}
		put(store.NetworkKey(tenant, "n"), n)
		for k, host := range []string{"h1", "h2"} {
			name := tenant[:1] + host[1:]
			put(store.PortKey(host, tenant, "n", name), &store.Port{UID: name, Number: uint32(100*(i+1) + k + 1), Interface: name,
				MAC:       store.MAC{2, 0, 0, 0, 0, byte(0x11 + k)},
				Addresses: []netip.Prefix{netip.PrefixFrom(worlds.Addr("10.0.0.%d", 11+k), 24), netip.PrefixFrom(worlds.Addr("fd00::%d", 11+k), 64)}})
		}
		put(store.GatewayKey(tenant), &store.Gateway{Active: []string{"h1", "h2"}[i]})
	}
	return s, compiled(s, switches...)
}

// Tables that were compiled break no law, whatever is sent.
func TestNothingIsFoundInWhatIsRight(t *testing.T) {
	for seed := range uint64(6) {
		w := worlds.New(seed)
		tables := compiled(w.State, w.Switches()...)
		c := New(w.State, tables)
		for _, x := range tables {
			for i := range x.Flows {
				if found := c.Search(&prove.Finding{Host: x.Switch.Host, Flow: x.Flows[i]}, Budget{Tries: 4, Seed: seed}); found != nil {
					t.Fatalf("world %d, host %s, flow %s:\n%s\n%s", seed, x.Switch.Host, &x.Flows[i], found, w)
				}
			}
		}
	}
}
