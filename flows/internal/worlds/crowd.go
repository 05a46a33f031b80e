package worlds

import (
	"fmt"
	"net/netip"

	"sluice/flows"
	"sluice/store"
)

// Crowd is a state of two hosts, h1 and h2, on both of which each of many tenants has a port, with the
// switch of h1: some 40 flows a tenant.
func Crowd(tenants int) (*store.State, flows.Switch) {
	b := store.Batch{Revision: 1}
	put := func(k store.Key, o store.Object) {
		b.Events = append(b.Events, store.Event{Key: k, Object: o, Created: 1, Modified: 1})
	}
	hosts := []string{"h1", "h2"}
	for i, h := range hosts {
		put(store.HostKey(h), &store.Host{DatapathID: store.DatapathID(i + 1), VTEPs: []netip.Addr{Addr("172.30.0.%d", i+1)}, Gateway: true,
			Infrastructure: []netip.Prefix{netip.MustParsePrefix("172.30.0.0/24")}})
	}
	sw := flows.Switch{Host: "h1", OFPort: map[string]uint32{store.TunnelInterface: 1, store.GatewayInterface: 2, store.ResolverInterface: 3}}
	for i := range tenants {
		name, number := fmt.Sprint("t", i), uint32(i+1)
		put(store.TenantKey(name), &store.Tenant{Number: number})
		put(store.GatewayKey(name), &store.Gateway{Active: hosts[i%2]})
		put(store.NetworkKey(name, "default"), &store.Network{Number: number, Segmentation: store.SegmentationTunnel, Segment: number,
			Flood: store.FloodAuto, Subnets: []store.Subnet{{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: Addr("10.0.0.1")}}})
		for k, h := range hosts {
			p := &store.Port{Number: uint32(2*i + k + 1), MAC: store.MAC{2, 0, 0, 0, 0, byte(k)}, Interface: fmt.Sprintf("sl-%d-%d", i, k),
				Addresses: []netip.Prefix{netip.PrefixFrom(Addr("10.0.0.%d", 10+k), 24)}}
			put(store.PortKey(h, name, "default", fmt.Sprint("p", k)), p)
			if h == sw.Host {
				sw.OFPort[p.Interface] = 10 + p.Number
			}
		}
	}
	s := store.NewState()
	s.Apply(b)
	return s, sw
}
