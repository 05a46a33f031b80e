package controller_test

import (
	"context"
	"testing"
	"time"

	"sluice/store"
)

// A holder that its switch does not reach gives the host up to a controller that it does reach,
// and to none while there is none. Who can be reached by both stays with the one that has it.
func TestHolderWithoutASessionGivesUp(t *testing.T) {
	b := newBench(t)
	one, two := b.start("c1", "c1.sock"), b.start("c2", "c2.sock")
	b.bridge(one.target, two.target)
	b.register()
	b.tenant("alice")
	b.realized(b.port("alice", "a1", "aaaaaaaaaaaa", true))
	holder, other := one, two
	if b.claim().Controller == "c2" {
		holder, other = two, one
	}
	b.eventually("the other one follows", func() bool { return b.roles(other) == "slave" })
	sent := other.count(t, "sluice_flow_mods_total")

	b.ovs.VSCtl("set-controller", store.BridgeName, other.target)
	b.eventually("the other one claims the host", func() bool { return b.claim().Controller == other.Name() })
	b.stands(other, store.HostRealized)
	if now := other.count(t, "sluice_flow_mods_total"); now != sent {
		t.Errorf("taking over sent %v flow mods", now-sent)
	}
	b.realized(b.port("alice", "a2", "bbbbbbbbbbbb", true))
	b.inSync(other)

	claimed := b.claim()
	b.ovs.VSCtl("set-controller", store.BridgeName, holder.target, other.target)
	b.eventually("the former holder follows", func() bool { return b.roles(holder) == "slave" })
	b.realized(b.port("alice", "a3", "cccccccccccc", true))
	if now := b.claim(); now != claimed {
		t.Errorf("with both connected, the claim went from %+v to %+v", claimed, now)
	}

	b.ovs.VSCtl("del-controller", store.BridgeName)
	b.eventually("the claim says that nobody reaches the switch", func() bool { return b.claim().Unreached })
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second)
	defer cancel()
	a4 := b.port("alice", "a4", "dddddddddddd", true)
	if err := b.store.WaitHost(ctx, h1, a4.Created, a4.Key); err == nil {
		t.Error("a port is realized on a host that nobody reaches")
	}
	claimed.Unreached = true
	if now := b.claim(); now != claimed {
		t.Errorf("with nobody connected, the claim went from %+v to %+v", claimed, now)
	}
	b.ovs.VSCtl("set-controller", store.BridgeName, other.target)
	b.realized(a4)
	if now := b.claim(); now.Controller != other.Name() || now.Unreached {
		t.Errorf("who was reached again has %+v", now)
	}
	b.inSync(other)
}
