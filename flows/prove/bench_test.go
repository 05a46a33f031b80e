package prove_test

import (
	"fmt"
	"net/netip"
	"testing"

	"sluice/flows"
	"sluice/flows/internal/worlds"
	"sluice/flows/prove"
	"sluice/store"
)

// crowded is a host with some 10,000 or 100,000 flows.
func crowded(b *testing.B, tenants int) (*store.State, prove.Tables) {
	s, sw := worlds.Crowd(tenants)
	all, problems := flows.Desired(s, sw)
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	return s, prove.Tables{Switch: sw, Flows: all}
}

// BenchmarkHost proves all that a host holds.
func BenchmarkHost(b *testing.B) {
	for _, tenants := range []int{290, 2900} {
		b.Run(fmt.Sprint("tenants=", tenants), func(b *testing.B) {
			s, tables := crowded(b, tenants)
			b.ReportAllocs()
			for b.Loop() {
				if found := prove.Host(s, tables); len(found) > 0 {
					b.Fatal(texts(found[:1]))
				}
			}
			b.ReportMetric(float64(len(tables.Flows)), "flows")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(tables.Flows)), "ns/flow")
		})
	}
}

// BenchmarkHostOfMany proves a host with some 7,000 flows in a cluster of 1,000 hosts, each of whose tunnel addresses it refuses.
func BenchmarkHostOfMany(b *testing.B) {
	s, sw := worlds.Crowd(160)
	others := store.Batch{Revision: 2}
	for i := 3; i <= 1000; i++ {
		others.Events = append(others.Events, store.Event{Key: store.HostKey(fmt.Sprint("h", i)), Created: 2, Modified: 2,
			Object: &store.Host{DatapathID: store.DatapathID(i), VTEPs: []netip.Addr{worlds.Addr("172.31.%d.%d", i>>8, i&0xff)}}})
	}
	s.Apply(others)
	all, problems := flows.Desired(s, sw)
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	b.ReportAllocs()
	for b.Loop() {
		if found := prove.Host(s, prove.Tables{Switch: sw, Flows: all}); len(found) > 0 {
			b.Fatal(texts(found[:1]))
		}
	}
	b.ReportMetric(float64(len(all)), "flows")
}

// BenchmarkPart proves a port's slice and its network's again, as after an attach.
func BenchmarkPart(b *testing.B) {
	for _, tenants := range []int{290, 2900} {
		b.Run(fmt.Sprint("tenants=", tenants), func(b *testing.B) {
			s, tables := crowded(b, tenants)
			_, ground := prove.Whole(s, tables)
			part := prove.Tables{Switch: tables.Switch}
			port := s.Port(store.PortKey("h1", "t7", "default", "p0"))
			network := s.Network(port.Key.NetworkName())
			for _, f := range tables.Flows {
				number := uint32(f.Cookie)
				switch slice := flows.Slice(f.Cookie); {
				case slice.Kind() == flows.KindPort && number == port.Value.Number, slice.Kind() == flows.KindNetwork && number == network.Value.Number:
					part.Flows = append(part.Flows, f)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if !ground.Part(s, part) {
					b.Fatal("it is not proved")
				}
			}
			b.ReportMetric(float64(len(part.Flows)), "flows")
		})
	}
}
