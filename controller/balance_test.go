package controller_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/flows"
	"sluice/store"
	"sluice/store/etcd/etcdtest"
)

// The leader of a real etcd measures two tenants that send much through one gateway host, and moves one of them, once; one
// whose policy names the host stays, though it sends most.
func TestLeaderBalances(t *testing.T) {
	if testing.Short() {
		t.Skip("an average takes its time")
	}
	b := &bench{t: t, ctx: t.Context(), store: etcdtest.Connect(t, etcdtest.Start(t))}
	far := &store.StatusHost{State: store.HostBehind, Realized: 1 << 40}
	b.put(store.StatusControllerKey("elsewhere"), &store.StatusController{})
	for n, name := range []string{"h1", "h2", "h3"} {
		reg, err := b.store.RegisterHost(b.ctx, name, store.Host{
			Incarnation: name, DatapathID: store.DatapathID(n + 1), VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 0, byte(n + 1)})},
			Gateway: true, Encap: "vxlan", UnderlayMTU: 1500,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { reg.Close() })
		b.put(store.MasterKey(name), &store.Master{Controller: "elsewhere"})
		b.put(store.StatusHostKey(name), far)
	}
	numbers := map[string]uint32{}
	for name, policy := range map[string]string{"a": "auto", "b": "auto", "pinned": "h1"} {
		b.tenant(name)
		o, _, err := b.store.Get(b.ctx, store.TenantKey(name))
		if err != nil {
			t.Fatal(err)
		}
		numbers[name] = o.(*store.Tenant).Number
		spec := store.PolicySpec{Tenant: name, Policy: policy}
		if _, err := b.store.Decide(b.ctx, spec.Propose, spec.Needs()...); err != nil {
			t.Fatal(err)
		}
		b.put(store.GatewayKey(name), &store.Gateway{Active: "h1", Epoch: 1})
	}
	on, window, budget := true, 10, 5
	spec := store.BalanceSpec{Auto: &on, Window: &window, PerHour: &budget}
	if _, err := b.store.Decide(b.ctx, spec.Propose, spec.Needs()...); err != nil {
		t.Fatal(err)
	}
	b.lead()
	began := time.Now()
	moved := func() (names []string) {
		for name := range numbers {
			o, _, err := b.store.Get(b.ctx, store.GatewayKey(name))
			if g, ok := o.(*store.Gateway); err == nil && ok && g.Active != "h1" {
				if !g.Balanced || !strings.HasPrefix(g.Why, "balanced: h1 carries ") {
					t.Errorf("the gateway of %s is %+v", name, g)
				}
				names = append(names, name+" "+g.Active)
			}
		}
		return names
	}
	send := func() { // as much as since it began
		seconds := uint64(time.Since(began).Seconds() * 1e6)
		saved := &store.StatusCounters{}
		for name, load := range map[string]uint64{"a": 20, "b": 19, "pinned": 30} {
			saved.Counters = append(saved.Counters, store.Counter{Tenant: numbers[name], Direction: flows.DirectionOut, Scope: flows.ScopeEgress, Bytes: load * seconds})
		}
		b.put(store.StatusCountersKey("h2"), saved)
	}
	b.eventually("a gateway moved", func() bool { send(); return len(moved()) > 0 })
	first := fmt.Sprint(moved())
	for range 25 { // two more looks
		send()
		time.Sleep(time.Second)
	}
	if now := moved(); len(now) != 2 || strings.Contains(fmt.Sprint(now), "pinned") || now[0][2:] == now[1][2:] {
		t.Errorf("first %s moved, then %s", first, now)
	}
}

// put writes an object, whatever was there.
func (b *bench) put(key store.Key, o store.Object) {
	b.t.Helper()
	_, at, err := b.store.Get(b.ctx, key)
	if err == nil {
		_, err = b.store.PutIf(b.ctx, key, o, at, 0)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
