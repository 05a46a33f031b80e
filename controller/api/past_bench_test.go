package api_test

import (
	"fmt"
	"net/netip"
	"testing"

	"sluice/controller/client"
	"sluice/store"
)

// BenchmarkFlowsOfThePast is sluice flows --at and --between of a host with 100,000 flows, of a cluster with twice as many
// ports. "first" reads etcd's history each time.
func BenchmarkFlowsOfThePast(b *testing.B) {
	c := startAll(b)
	ctx := b.Context()
	if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: "alice", Subnets: []string{"10.0.0.0/8"}}); err != nil {
		b.Fatal(err)
	}
	var events []store.Event
	for i, host := range []string{"h1", "h2"} {
		events = append(events, store.Event{Key: store.HostKey(host), Object: &store.Host{DatapathID: store.DatapathID(i + 1), VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})}}})
	}
	for i := range 2 * ports {
		n := uint32(i + 1)
		address := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
		events = append(events, store.Event{Key: store.PortKey([]string{"h1", "h2"}[i%2], "alice", "default", fmt.Sprint("p", i)), Object: &store.Port{
			Number: n, MAC: store.MAC{2, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)}, Interface: fmt.Sprint("sl-", i), Addresses: []netip.Prefix{netip.PrefixFrom(address, 8)},
		}})
	}
	if err := c.store.PutStatus(ctx, events); err != nil {
		b.Fatal(err)
	}
	_, at, err := c.store.List(ctx, store.KindSettings)
	if err != nil {
		b.Fatal(err)
	}
	ask := func(f client.FlowFilter) int {
		list, _, err := c.Flows(ctx, "h1", f)
		if err != nil {
			b.Fatal(err)
		}
		return len(list)
	}
	b.Run("now", func(b *testing.B) {
		for range b.N {
			b.ReportMetric(float64(ask(client.FlowFilter{View: client.ViewDesired})), "flows")
		}
	})
	b.Run("at, first", func(b *testing.B) {
		for i := range b.N {
			b.ReportMetric(float64(ask(client.FlowFilter{At: at - store.Revision(i%3)})), "flows")
		}
	})
	b.Run("at, again", func(b *testing.B) {
		for range b.N {
			b.ReportMetric(float64(ask(client.FlowFilter{At: at})), "flows")
		}
	})
	b.Run("between, again", func(b *testing.B) {
		for range b.N {
			b.ReportMetric(float64(ask(client.FlowFilter{Since: at - 1, At: at})), "changes")
		}
	})
}

// ports is how many ports one host has.
const ports = 11000
