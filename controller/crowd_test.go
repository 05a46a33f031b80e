package controller_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"sluice/controller"
	"sluice/store"
)

// uid is the n-th of the ports' unique ids.
func uid(n int) string {
	const digits = "abcdefghijklmnopqrstuvwxyz234567"
	b := []byte(strings.Repeat("a", 12))
	for i := len(b) - 1; n > 0; i, n = i-1, n/len(digits) {
		b[i] = digits[n%len(digits)]
	}
	return string(b)
}

// crowd gives a tenant ports on a host that has no switch.
func (b *bench) crowd(tenant string, ports, from int) {
	b.t.Helper()
	_, err := b.store.CreateTenant(b.ctx, store.TenantSpec{
		Name: tenant, Segmentation: store.SegmentationTunnel, Subnets: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	var g errgroup.Group
	g.SetLimit(8)
	for n := range ports {
		g.Go(func() error {
			_, err := b.store.CreatePort(b.ctx, store.PortSpec{
				Host: "h2", Tenant: tenant, Network: "default", Name: fmt.Sprint("p", n), UID: uid(from + n),
			})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.t.Fatal(err)
	}
}

// A change of many slices, on a switch with many flows, reads those slices alone. A reply that
// nobody takes would stop the session until its time-out or the switch's own, and here for ever.
func TestManySlicesAreReadAlone(t *testing.T) {
	b := newBench(t)
	c := b.startWith("c1", "c1.sock", func(o *controller.Options) {
		o.Session.Timeout, o.AuditInterval, o.CounterInterval = time.Hour, time.Hour, -1
	})
	b.bridge(c.target)
	b.ovs.VSCtl("set", "controller", store.BridgeName, "inactivity_probe=0")
	b.register()
	other, err := b.store.RegisterHost(b.ctx, "h2", store.Host{
		Incarnation: "two", DatapathID: 0x52, VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.2")}, Encap: "vxlan", UnderlayMTU: 1500,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	b.crowd("bulk", 2000, 1000)
	b.crowd("wide", 400, 5000)
	b.realized(b.port("bulk", "here", uid(1), true))
	if n := len(b.dump()); n < 5000 {
		t.Fatalf("the switch holds %d flows: too few to fill a session's replies", n)
	}
	b.realized(b.port("wide", "here", uid(2), true))
	b.inSync(c)
}

// When so many flows go at once that the switch's events are lost, or nearly, all are missed and
// counted.
func TestFlowsLostInACrowdAreCounted(t *testing.T) {
	b := newBench(t)
	c := b.startWith("c1", "c1.sock", func(o *controller.Options) { o.AuditInterval = time.Second })
	b.bridge(c.target)
	b.register()
	var last store.Item[store.Port]
	for n := range 30 {
		tenant := fmt.Sprint("t", n)
		b.tenant(tenant)
		last = b.port(tenant, "p", uid(n), true)
	}
	b.realized(last)
	b.eventually("every tenant has its gateway, and its flows", func() bool {
		o, _, err := b.store.Get(b.ctx, store.GatewayKey("t29"))
		desired, _, _ := c.Desired(h1)
		return err == nil && o != nil && len(c.Problems()) == 0 && len(desired) == len(b.dump())
	})
	before := b.dump()
	b.ovs.OFCtl("del-flows", store.BridgeName)
	b.eventually("the flows are back", func() bool { return cmp.Equal(before, b.dump()) })
	if d := c.Hosts()[0].Drift; d == nil || d.Missing != len(before) {
		t.Errorf("%d flows were deleted, the drift is %+v", len(before), d)
	}
}
