package flows

import (
	"fmt"
	"net/netip"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// manyTenants is a state of two hosts where each tenant has a port on both.
func manyTenants(tenants int) *store.State {
	s := store.NewState()
	b := store.Batch{Revision: 1}
	put := func(k store.Key, o store.Object) {
		b.Events = append(b.Events, store.Event{Key: k, Object: o, Created: 1, Modified: 1})
	}
	for i, h := range []string{"h1", "h2"} {
		put(store.HostKey(h), &store.Host{DatapathID: store.DatapathID(i + 1), VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 0, byte(i + 1)})}})
	}
	for i := range tenants {
		name, number := fmt.Sprint("t", i), uint32(i+1)
		put(store.TenantKey(name), &store.Tenant{Number: number})
		put(store.GatewayKey(name), &store.Gateway{Active: []string{"h1", "h2"}[i%2]})
		put(store.NetworkKey(name, "default"), &store.Network{Number: number, Segmentation: store.SegmentationTunnel,
			Segment: number, Flood: store.FloodAuto, Subnets: []store.Subnet{
				{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1")}}})
		for p, h := range []string{"h1", "h2"} {
			put(store.PortKey(h, name, "default", fmt.Sprint("p", p)), &store.Port{Number: uint32(2*i + p + 1),
				MAC: store.MAC{2, 0, 0, 0, 0, byte(p)}, Interface: fmt.Sprintf("sl-%d-%d", i, p),
				Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + p)}), 24)}})
		}
	}
	s.Apply(b)
	return s
}

func switchOf(s *store.State, host string) Switch {
	sw := Switch{Host: host, OFPort: map[string]uint32{store.TunnelInterface: 1, store.GatewayInterface: 2}}
	for _, n := range s.NetworksOn(host) {
		for _, p := range s.PortsAt(host, n) {
			sw.OFPort[p.Value.Interface] = 10 + p.Value.Number
		}
	}
	return sw
}

// BenchmarkCompileHost compiles a host with 1,000 tenants.
func BenchmarkCompileHost(b *testing.B) {
	s := manyTenants(1000)
	sw := switchOf(s, "h1")
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n = 0
		Slices(s, sw.Host, func(sl Slice) { Compile(s, sw, sl, func(of.Flow) { n++ }) })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/flow")
	b.ReportMetric(float64(n), "flows")
}

// BenchmarkCompileSlice compiles what one new port costs a host.
func BenchmarkCompileSlice(b *testing.B) {
	s := manyTenants(1000)
	sw := switchOf(s, "h1")
	b.ReportAllocs()
	for b.Loop() {
		Compile(s, sw, portSlice(500, 999), func(of.Flow) {})
	}
}

// BenchmarkDiff compares a host's flows with themselves: the common resync.
func BenchmarkDiff(b *testing.B) {
	s := manyTenants(1000)
	flows, _ := compileHost(s, switchOf(s, "h1"))
	b.ReportAllocs()
	for b.Loop() {
		if m := Diff(flows, flows); m.Len() != 0 {
			b.Fatalf("%d mods", m.Len())
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(flows)), "ns/flow")
}

// BenchmarkAffected marks what one new port costs a cluster, and what a host's new VTEP does.
func BenchmarkAffected(b *testing.B) {
	s := manyTenants(1000)
	port := s.PortByNumber(999)
	host := s.Host("h2")
	moved := *host.Value
	moved.VTEPs = []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 1, 2})}
	for name, c := range map[string]store.Change{
		"port": {Key: port.Key, After: port.Value}, "vtep": {Key: host.Key, Before: host.Value, After: &moved},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Affected(s, []store.Change{c}, func(string, Slice) {})
			}
		})
	}
}
