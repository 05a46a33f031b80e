package trace

import (
	"fmt"
	"net/netip"
	"testing"

	"sluice/flows"
	"sluice/store"
)

// BenchmarkTrace follows a packet between two hosts of a tenant among many others, whose flows are
// read already.
func BenchmarkTrace(b *testing.B) {
	for _, ports := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint("ports=", ports), func(b *testing.B) {
			s, tables := crowded(ports)
			for b.Loop() {
				t, err := Ask(s, all, Question{From: "t/p0", To: "t/p1", Proto: "tcp"})
				if err != nil {
					b.Fatal(err)
				}
				t.Run(func(host string) (Tables, error) { return tables[host], nil })
				if a := t.Answer(s); a.Verdict != Delivered {
					b.Fatal(a.Text)
				}
			}
			b.ReportMetric(float64(len(tables["h1"].Flows)), "flows/host")
		})
	}
}

// crowded is a tenant with that many ports on two hosts, by turns.
func crowded(ports int) (*store.State, map[string]Tables) {
	s := store.NewState()
	put := func(key store.Key, o store.Object) {
		r := s.Revision() + 1
		s.Apply(store.Batch{Revision: r, Events: []store.Event{{Key: key, Object: o, Created: r, Modified: r}}})
	}
	switches := map[string]flows.Switch{}
	for i, h := range []string{"h1", "h2"} {
		put(store.HostKey(h), &store.Host{VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 0, byte(i + 1)})}})
		switches[h] = flows.Switch{Host: h, OFPort: map[string]uint32{store.TunnelInterface: 1}}
	}
	put(store.TenantKey("t"), &store.Tenant{Number: 1})
	put(store.NetworkKey("t", "default"), &store.Network{Number: 1, Segmentation: store.SegmentationTunnel, Segment: 1, Flood: store.FloodOff,
		Subnets: []store.Subnet{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Gateway: netip.MustParseAddr("10.255.0.1")}}})
	for i := range ports {
		host := fmt.Sprint("h", 1+i%2)
		p := &store.Port{Number: uint32(i + 1), MAC: store.MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}, Interface: fmt.Sprint("sl-", i),
			Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 8)}}
		put(store.PortKey(host, "t", "default", fmt.Sprint("p", i)), p)
		switches[host].OFPort[p.Interface] = uint32(i + 2)
	}
	tables := map[string]Tables{}
	for host, sw := range switches {
		list, _ := flows.Desired(s, sw)
		tables[host] = Tables{Flows: list, Ports: sw.OFPort}
	}
	return s, tables
}
