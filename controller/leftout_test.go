package controller_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/store"
)

// unrealized says that a port is not told realized, and why.
func (b *bench) unrealized(item store.Item[store.Port], why string) {
	b.t.Helper()
	b.eventually("the wait for "+item.Key.Short()+" says "+why, func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, 300*time.Millisecond)
		defer cancel()
		err := b.store.WaitHost(ctx, h1, item.Created, item.Key)
		if err == nil {
			b.t.Fatalf("%s is realized", item.Key.Short())
		}
		return errors.Is(err, store.ErrNotRealized) && strings.Contains(err.Error(), why)
	})
}

// A port of a network that has another's number gets no flows: whoever attached it is told, until
// the number is its network's.
func TestPortOfAContestedNetworkIsNotRealized(t *testing.T) {
	b, c, a1 := newProgrammed(t)
	older, _, err := b.store.Get(b.ctx, store.NetworkKey("alice", "default"))
	if err != nil {
		t.Fatal(err)
	}
	again := store.NetworkKey("alice", "again")
	network := &store.Network{Number: older.(*store.Network).Number, Segmentation: store.SegmentationTunnel, Flood: store.FloodOff,
		Subnets: []store.Subnet{{Prefix: netip.MustParsePrefix("10.9.0.0/24"), Gateway: netip.MustParseAddr("10.9.0.1")}}}
	at, err := b.store.PutIf(b.ctx, again, network, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	port, err := b.store.CreatePort(b.ctx, store.PortSpec{
		Host: h1, HostCreated: b.reg.Created, Tenant: "alice", Network: "again", Name: "x", UID: "xxxxxxxxxxxx",
	})
	if err != nil {
		t.Fatal(err)
	}
	b.addInterface(port.Value.Interface)
	b.unrealized(port, "belongs to the older networks/alice/default")
	b.realized(a1)
	network.Number += 1000
	if _, err := b.store.PutIf(b.ctx, again, network, at, 0); err != nil {
		t.Fatal(err)
	}
	b.realized(port)
	b.inSync(c)
}

// A host without its tunnel port reaches no other: no attach there succeeds while there are others.
func TestHostWithoutItsTunnelPortIsUnreachable(t *testing.T) {
	b, c, _ := newProgrammed(t)
	b.ovs.VSCtl("del-port", store.BridgeName, store.TunnelInterface)
	a2 := b.port("alice", "a2", "bbbbbbbbbbbb", true)
	b.realized(a2) // it is alone
	b.registerOther("h2")
	b.eventually("h1 is unreachable", func() bool { return c.Hosts()[0].State == store.HostUnreachable })
	a3 := b.port("alice", "a3", "cccccccccccc", true)
	b.unrealized(a3, "no interface sluice-tun")
	b.ovs.VSCtl("add-port", store.BridgeName, store.TunnelInterface, "--", "set", "interface", store.TunnelInterface,
		"type=vxlan", "options:remote_ip=flow", "options:key=flow")
	b.realized(a3)
	b.inSync(c)
}

// A host that cannot be the gateway host to come has all flows of the tenant's ports: an attach there succeeds, and what
// keeps the gateway away is told by whom it leaves out.
func TestNoKernelsSideLeavesOutNoPort(t *testing.T) {
	b, _, _ := newProgrammed(t)
	b.ovs.VSCtl("del-port", store.BridgeName, store.GatewayInterface)
	other, err := b.store.RegisterHost(b.ctx, "h2", store.Host{
		Incarnation: "one", DatapathID: datapathID + 1, VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.2")},
		Gateway: true, Encap: "vxlan", UnderlayMTU: 1500,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	_, at, err := b.store.Get(b.ctx, store.GatewayKey("alice"))
	if err != nil {
		t.Fatal(err)
	}
	moving := &store.Gateway{Active: "h2", Epoch: 1, Move: &store.Move{To: h1, Since: time.Now().UTC(), Timeout: 60}}
	if _, err := b.store.PutIf(b.ctx, store.GatewayKey("alice"), moving, at, 0); err != nil {
		t.Fatal(err)
	}
	told := func() bool {
		reached, err := b.store.Reached(b.ctx)
		return err == nil && slices.ContainsFunc(reached[h1].Problems, func(p store.Problem) bool {
			return p.Object == "tenants/alice" && p.LeavesOut == store.LeavesOutGateway
		})
	}
	b.eventually("etcd says that the gateway is left out on h1", told)
	b.realized(b.port("alice", "a2", "bbbbbbbbbbbb", true))
	if !told() {
		t.Error("the port was realized once the gateway was not left out any more: the test shows nothing")
	}
}
