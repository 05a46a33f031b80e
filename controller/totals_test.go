package controller_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/controller"
	"sluice/datapath/openflow"
	"sluice/store"
)

const spoofedDrops = "sluice_tenant_drops_total"

// drops is what a controller shows of what alice's ports spoofed.
func (b *bench) drops(c *running) float64 {
	return c.count(b.t, spoofedDrops, "tenant=alice", "reason=spoofed")
}

// spoofs sends frames into a port whose source MAC is not the port's.
func (b *bench) spoofs(a1 store.Item[store.Port], frames int) {
	b.t.Helper()
	number := strings.TrimSpace(b.ovs.VSCtl("get", "interface", a1.Value.Interface, "ofport"))
	for range frames {
		b.ovs.OFCtl("packet-out", store.BridgeName, "in_port="+number+
			" packet=ffffffffffff0200000000990806"+strings.Repeat("00", 46)+" actions=table")
	}
}

// One of two controllers shows what tenants sent, whoever programs the host: the leader. When it goes the other shows the
// same and goes on; and what a host counted stays when it is deleted.
func TestOneControllerShowsSums(t *testing.T) {
	b, c1, a1 := newProgrammed(t)
	c2 := b.start("c2", "c2.sock")
	b.ovs.VSCtl("set-controller", store.BridgeName, c1.target, c2.target)
	b.spoofs(a1, 3)
	b.eventually("the leader shows three", func() bool { return b.drops(c1) == 3 })
	if b.drops(c2) != 0 || c1.count(t, "sluice_leader") != 1 || c2.count(t, "sluice_leader") != 0 {
		t.Errorf("c2 shows %v drops; leaders are %v and %v", b.drops(c2), c1.count(t, "sluice_leader"), c2.count(t, "sluice_leader"))
	}
	c1.stop()
	b.eventually("the next leader shows three", func() bool { return b.drops(c2) == 3 })
	b.spoofs(a1, 2)
	b.eventually("and goes on", func() bool { return b.drops(c2) == 5 })
	if _, err := b.store.DeleteHost(b.ctx, h1); err != nil {
		t.Fatal(err)
	}
	b.eventually("the host is gone", func() bool { return len(c2.Hosts()) == 0 })
	if got := b.drops(c2); got != 5 || c2.count(t, "sluice_tenant_sums_read") != 1 {
		t.Errorf("without the host there are %v drops", got)
	}
}

// A switch that is started anew counts from 0, and more than before until it is read: what it had counted stays.
func TestSumsOutliveASwitch(t *testing.T) {
	b := newBench(t)
	c := b.startWith("c1", "c1.sock", func(o *controller.Options) { o.CounterInterval = 2 * time.Second })
	b.bridge(c.target)
	b.register()
	b.tenant("alice")
	a1 := b.port("alice", "a1", "aaaaaaaaaaaa", true)
	b.realized(a1)
	held := len(b.dump())
	b.spoofs(a1, 3)
	b.eventually("the flows are older than those that replace them will be when they are read", func() bool {
		installed, err := c.Installed(b.ctx, h1)
		return err == nil && !slices.ContainsFunc(installed, func(f openflow.FlowStats) bool { return f.Seconds < 8 })
	})
	b.spoofs(a1, 1)
	b.eventually("four are counted", func() bool { return b.drops(c) == 4 })
	b.ovs.StopSwitch()
	b.ovs.StartSwitch()
	b.eventually("the flows are back", func() bool {
		installed, err := c.Installed(b.ctx, h1)
		return err == nil && len(installed) == held
	})
	b.spoofs(a1, 6)
	b.eventually("ten are counted", func() bool { return b.drops(c) == 10 })
}
