package controller_test

import (
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/controller"
	"sluice/store"
	"sluice/store/etcd"
	"sluice/store/etcd/wire"
)

// apart starts a controller whose etcd the test can cut off.
func (b *bench) apart(name, socket string) (*running, *wire.Wire) {
	b.t.Helper()
	w := wire.To(b.t, b.server.Endpoints()[0])
	client, err := etcd.Connect(b.ctx, etcd.Options{Endpoints: []string{w.URL()}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { client.Close() })
	return b.startWith(name, socket, func(o *controller.Options) { o.Store = client }), w
}

// claim is who programs the host, as etcd has it.
func (b *bench) claim() store.Master {
	b.t.Helper()
	o, _, err := b.store.Get(b.ctx, store.MasterKey(h1))
	if err != nil {
		b.t.Fatal(err)
	}
	if m, ok := o.(*store.Master); ok {
		return *m
	}
	return store.Master{}
}

// restart has the switch forget its flows and the generation of its masters.
func (b *bench) restart(targets ...string) {
	b.t.Helper()
	b.ovs.StopSwitch()
	b.ovs.VSCtl(append([]string{"--no-wait", "set-controller", store.BridgeName}, targets...)...)
	b.ovs.StartSwitch()
}

// stands waits until a host is in a state, as a controller shows it.
func (b *bench) stands(c *running, want store.HostState) {
	b.t.Helper()
	b.eventually(c.Name()+" shows the host as "+string(want), func() bool { return c.Hosts()[0].State == want })
}

// A switch that restarts while etcd is away gets its flows back at once from the controller that
// programmed it; nobody vouches for the host before etcd has answered, and confirmed the claim.
func TestSwitchRestartsWhileEtcdIsAway(t *testing.T) {
	b := newBench(t)
	c, w := b.apart("c1", "c1.sock")
	b.bridge(c.target)
	b.register()
	b.tenant("alice")
	b.realized(b.port("alice", "a1", "aaaaaaaaaaaa", true))
	b.eventually("the gateway is chosen", func() bool { return len(c.Problems()) == 0 })
	b.stands(c, store.HostRealized)
	b.inSync(c)
	before, first := b.dump(), b.claim()

	w.Cut()
	b.restart(c.target)
	b.stands(c, store.HostLastKnown)
	b.eventually("the flows are back", func() bool { return cmp.Equal(before, b.dump()) })
	if n := c.count(t, "sluice_hosts", "state=last-known"); n != 1 {
		t.Errorf("the metric counts %v hosts as last-known", n)
	}
	b.ovs.OFCtl("del-flows", store.BridgeName, "table=0")
	b.eventually("what somebody else deletes is mended meanwhile", func() bool { return cmp.Equal(before, b.dump()) })
	if now := b.claim(); now != first && now != (store.Master{}) {
		t.Errorf("etcd was away, and says %+v", now)
	}
	sent := func() float64 { return c.count(t, "sluice_flow_mods_total", "command=add") }
	already := sent()

	a2 := b.port("alice", "a2", "bbbbbbbbbbbb", true)
	w.Join()
	b.stands(c, store.HostRealized)
	b.realized(a2)
	if now := b.claim(); now.Controller != "c1" || now.Generation <= first.Generation {
		t.Errorf("with etcd back, the claim is %+v; it was %+v", now, first)
	}
	b.inSync(c)
	if added, grew := sent()-already, len(b.dump())-len(before); int(added) != grew {
		t.Errorf("with etcd back %v flows were added, where %d are new", added, grew)
	}
}

// roles is what a controller is to the switch, as its metrics show it.
func (b *bench) roles(c *running) (role string) {
	for _, r := range []string{"master", "slave", "equal"} {
		if c.count(b.t, "sluice_openflow_sessions", "role="+r) == 1 {
			role = r
		}
	}
	return role
}

// A controller that is cut off from etcd, and whose host another claimed meanwhile, is refused by
// the switch; also by one that was restarted and has forgotten who its master is, whoever
// of the two it dials first.
func TestRightfulMasterWins(t *testing.T) {
	for _, c := range []struct {
		name  string
		fresh bool                                  // the rightful one has not seen the other's claim
		dial  func(stale, rightful string) []string // first, then all
	}{
		{"the stale one comes first", false, func(stale, _ string) []string { return []string{stale} }},
		{"the rightful one comes first", false, func(_, rightful string) []string { return []string{rightful} }},
		{"both come at one time", false, func(stale, rightful string) []string { return []string{stale, rightful} }},
		{"the stale one comes first to one that never saw its claim", true, func(stale, _ string) []string { return []string{stale} }},
		{"one that never saw its claim comes first", true, func(_, rightful string) []string { return []string{rightful} }},
	} {
		t.Run(c.name, func(t *testing.T) { contend(t, c.fresh, c.dial) })
	}
}

func contend(t *testing.T, fresh bool, dial func(stale, rightful string) []string) {
	b := newBench(t)
	stale, w := b.apart("c1", "c1.sock")
	b.bridge(stale.target)
	b.register()
	b.tenant("alice")
	b.realized(b.port("alice", "a1", "aaaaaaaaaaaa", true))
	for range 3 { // the switch's own generation is to lie below
		b.restart(stale.target)
		b.stands(stale, store.HostRealized)
	}
	was := b.claim()
	var rightful *running
	start := func() {
		rightful = b.start("c2", "c2.sock")
		b.eventually("it has read the state", func() bool { return len(rightful.Hosts()) == 1 })
	}
	if !fresh {
		start()
	}
	b.ovs.StopSwitch()
	w.Cut()
	b.expire(was)
	if fresh {
		start()
	}
	targets := dial(stale.target, rightful.target)
	b.restart(targets...)
	for _, c := range []*running{stale, rightful} {
		if len(targets) == 1 && targets[0] == c.target {
			b.eventually("the first one programs the switch", func() bool { return b.roles(c) == "master" && c.Hosts()[0].Flows > 0 })
		}
	}
	a2 := b.port("alice", "a2", "bbbbbbbbbbbb", true)
	b.ovs.VSCtl("set-controller", store.BridgeName, stale.target, rightful.target)
	b.realized(a2)
	b.eventually("the other one follows", func() bool { return b.roles(stale) == "slave" && b.roles(rightful) == "master" })
	b.inSync(rightful)
	if now := b.claim(); now.Controller != "c2" || now.Generation <= was.Generation {
		t.Errorf("the claim is %+v; it was %+v", now, was)
	}
	w.Join()
	b.realized(b.port("alice", "a3", "cccccccccccc", true))
	b.inSync(rightful)
	if b.roles(stale) != "slave" || b.roles(rightful) != "master" {
		t.Errorf("with etcd back the roles are %s and %s", b.roles(stale), b.roles(rightful))
	}
}

// expire ends the lease of a claim, as etcd does some time after its controller was cut off.
func (b *bench) expire(claim store.Master) {
	b.t.Helper()
	plain, err := clientv3.New(clientv3.Config{Endpoints: b.server.Endpoints()})
	if err != nil {
		b.t.Fatal(err)
	}
	defer plain.Close()
	got, err := plain.Get(b.ctx, store.LiveControllerKey(claim.Controller).String())
	if err != nil || len(got.Kvs) != 1 {
		b.t.Fatalf("the live key of %s: %v", claim.Controller, err)
	}
	if _, err := plain.Revoke(b.ctx, clientv3.LeaseID(got.Kvs[0].Lease)); err != nil {
		b.t.Fatalf("end the lease of %s: %v", claim.Controller, err)
	}
}
