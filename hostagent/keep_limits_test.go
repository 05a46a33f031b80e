package hostagent

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"sluice/store"
)

func TestLimitRules(t *testing.T) {
	r := limitRulesOf(store.DefaultTransit, leavers{
		7: {}, 8: limited(100), 9: limited(64000), 10: limited(100), 11: limited(store.DefaultConnections),
	}, 262144)
	checkGolden(t, "limits.nft", r.text())
}

// A tenant gets its limit, and never more than a share of a small kernel's table.
func TestConnectionsHere(t *testing.T) {
	for _, c := range []struct {
		said, room int
		want       connectionLimit
	}{
		{0, 0, connectionLimit{16384, 4096}},
		{0, 262144, connectionLimit{16384, 4096}},
		{0, 65536, connectionLimit{8192, 2048}},
		{100, 65536, connectionLimit{100, 25}},
		{100000, 262144, connectionLimit{32768, 8192}},
		{1, 262144, connectionLimit{1, 1}},
	} {
		if got := connectionsHere(store.Limits{Connections: c.said}, c.room); got != c.want {
			t.Errorf("a limit of %d where there is room for %d: %v, want %v", c.said, c.room, got, c.want)
		}
	}
}

// limited is a tenant with a limit of connections.
func limited(connections int) leaver { return leaver{Limits: store.Limits{Connections: connections}} }

// stateOf is the state that tenants and gateways make.
func stateOf(gateways, tenants []store.Event) *store.State {
	s := store.NewState()
	s.Apply(store.Batch{Revision: 1, Events: append(gateways, tenants...)})
	return s
}

func TestLeaversAt(t *testing.T) {
	event := func(key store.Key, o store.Object) store.Event { return store.Event{Key: key, Object: o} }
	got, _ := leaversAt(stateOf([]store.Event{
		event(store.GatewayKey("lent"), &store.Gateway{Active: "h1", Backup: "h2", Slots: map[string]uint32{"h1": 9, "h2": 10}}),
		event(store.GatewayKey("waits"), &store.Gateway{Active: "h1"}),
		event(store.GatewayKey("active"), &store.Gateway{Active: "h1"}),
		event(store.GatewayKey("drains"), &store.Gateway{Active: "h2", Draining: []string{"h3", "h1"}}),
		event(store.GatewayKey("elsewhere"), &store.Gateway{Active: "h2"}),
		event(store.GatewayKey("spoilt"), &store.Gateway{Active: "h1"}),
		event(store.GatewayKey("gone"), &store.Gateway{Active: "h1"}),
	}, []store.Event{
		event(store.TenantKey("active"), &store.Tenant{Number: 1, Limits: store.Limits{Connections: 5}}),
		event(store.TenantKey("drains"), &store.Tenant{Number: store.MaxSlot}),
		event(store.TenantKey("elsewhere"), &store.Tenant{Number: 3}),
		event(store.TenantKey("spoilt"), &store.Tenant{Number: store.MaxTenantNumber + 1}),
		event(store.TenantKey("nowhere"), &store.Tenant{Number: 4}),
		event(store.TenantKey("lent"), &store.Tenant{Number: 70000, Limits: store.Limits{Connections: 6}}),
		event(store.TenantKey("waits"), &store.Tenant{Number: 70001}),
	}), "h1")
	want := leavers{1: {Limits: store.Limits{Connections: 5}}, 9: {store.Limits{Connections: 6}, 70000}, store.MaxSlot: {}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestZoneLimits(t *testing.T) {
	is := parseZoneLimits("default limit=0\nzone=14,limit=3,count=2\nzone=16,limit=9,count=0\nzone=99999,limit=1,count=0\n")
	if diff := cmp.Diff(zoneLimits{14: 3, 16: 9}, is); diff != "" {
		t.Errorf("read: -want +got\n%s", diff)
	}
	counts := parseZoneCounts("default limit=0\nzone=14,limit=3,count=2\nzone=15,limit=3,count=9\nzone=16,limit=9\nzone=20,limit=9,count=0\n")
	if diff := cmp.Diff(map[uint32]int{7: 2, 10: 0}, counts); diff != "" {
		t.Errorf("counted: -want +got\n%s", diff)
	}
	should := zoneLimitsOf(leavers{7: limited(3), 8: limited(10), 20: {}}, 262144)
	if diff := cmp.Diff(zoneLimits{14: 3, 16: 10, 40: 16384}, should); diff != "" {
		t.Errorf("wanted: -want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string{"zone=16,limit=10", "zone=40,limit=16384"}, changedLimits(should, is)); diff != "" {
		t.Errorf("set: -want +got\n%s", diff)
	}
	for kind, want := range map[string]string{"": "system@ovs-system", "system": "system@ovs-system", "netdev": "netdev@ovs-netdev"} {
		if got := datapathName(kind); got != want {
			t.Errorf("the datapath of type %q is %s, want %s", kind, got, want)
		}
	}
}

// TestKernelLimits lets a tenant open connections until its limit refuses them, first to one
// destination and then to any. Another tenant's go on, and what was refused is counted.
func TestKernelLimits(t *testing.T) {
	g := newGatewayHost(t)
	const alice, bob, most = 7, 8, 8 // of these two may go to one destination
	var ports []string
	for port := 5000; port < 5000+most+2; port++ {
		ports = append(ports, fmt.Sprint(port))
	}
	serve(t, g.outside.netns(), nil, ports)
	g.tenants.run("ip", "addr", "add", store.DefaultTransit.Address(bob).String()+"/10", "dev", "peer")
	refused := newTally(g.state)
	limits := kernelLimits{Options{StateDir: g.state}, &tenants{now: leavers{alice: limited(most), bob: {}}}, g.cluster, refused}
	keepLimits := func() {
		t.Helper()
		if err := keep(limits)(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	keepLimits()
	t.Cleanup(func() { exec.Command("nft", "delete", "table", "inet", limitsTable).Run() })
	if err := netlink.ConntrackTableFlush(netlink.ConntrackTable); err != nil { // the pings of before there was a limit
		t.Fatal(err)
	}

	opened := func(tenant uint32, ports ...string) (answered int) {
		for _, port := range ports {
			if probeAs(t, g.tenants.netns(), store.DefaultTransit.Address(tenant), "203.0.113.1:"+port) {
				answered++
			}
		}
		return answered
	}
	one := slices.Repeat(ports[:1], 4)
	if got := opened(alice, one...); got != 2 {
		t.Errorf("alice opened %d of 4 connections to one destination, want 2", got)
	}
	if got := opened(bob, one...); got != 4 {
		t.Errorf("bob opened %d of 4 connections to alice's destination", got)
	}
	keepLimits() // counts on: nothing differs
	if got := opened(alice, ports[1:]...); got != most-2 {
		t.Errorf("alice opened %d of %d more connections, want %d", got, len(ports[1:]), most-2)
	}
	if got := opened(bob, ports...); got != len(ports) {
		t.Errorf("bob opened %d of %d connections beside alice's", got, len(ports))
	}
	dropped := uint64(2 + len(ports[1:]) - (most - 2))
	listed, err := listRefused(t.Context(), store.DefaultTransit)
	if diff := cmp.Diff(map[uint32]uint64{alice: dropped}, listed); diff != "" || err != nil {
		t.Errorf("nft does not count what was refused: %v: -want +got\n%s", err, diff)
	}
	live, err := kernelConnections(store.DefaultTransit)
	if diff := cmp.Diff(map[uint32]int{alice: most, bob: 4 + len(ports)}, live); diff != "" || err != nil {
		b, _ := exec.Command("cat", "/proc/net/nf_conntrack").Output()
		t.Errorf("connections in the kernel: %v: -want +got\n%s\n%s", err, diff, b)
	}
	limits.tenants.now = leavers{}
	keepLimits() // another table, which counts from 0
	again := newTally(g.state)
	if err := again.load(); err != nil {
		t.Fatal(err)
	}
	for what, of := range map[string]*tally{"the agent": refused, "one that comes after it": again} {
		used := map[uint32]store.Used{}
		of.addTo(used)
		if diff := cmp.Diff(map[uint32]store.Used{alice: {KernelDrops: dropped}}, used); diff != "" {
			t.Errorf("%s has not the sums of the table before: -want +got\n%s", what, diff)
		}
	}
	if got := opened(alice, one...); got != len(one) {
		t.Errorf("with the default limit alice opened %d of 4 connections", got)
	}
}

// probeAs reports whether a datagram from an address is answered.
func probeAs(t *testing.T, path string, from netip.Addr, to string) bool {
	t.Helper()
	var c net.Conn
	err := within(t, path, func() (err error) {
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: from.AsSlice()}}
		c, err = d.Dial("udp4", to)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("hello"))
	return read(c) != ""
}

// What the table counted is of the tenant that had the slot then: where a slot goes to another tenant, it is written anew.
func TestLentSlotsOfLimits(t *testing.T) {
	rules := func(tenants leavers) limitRules { return limitRulesOf(store.DefaultTransit, tenants, 262144) }
	first, same, second, owner := rules(leavers{5: {}, 9: {Number: 70000}}), rules(leavers{9: {Number: 70000}, 10: {Number: 70001}}),
		rules(leavers{9: {Number: 70001}}), rules(leavers{9: {}})
	written := limitsWritten{Lent: first.lent()}
	if diff := cmp.Diff(map[uint32]uint64{5: 1, 70000: 2, 11: 3}, written.numbers(map[uint32]uint64{5: 1, 9: 2, 11: 3})); diff != "" {
		t.Errorf("counted: -want +got\n%s", diff)
	}
	for about, c := range map[string]struct {
		rules limitRules
		want  bool
	}{"itself": {first, false}, "one more": {same, false}, "another tenant": {second, true}, "the tenant of that number": {owner, true}, "none": {rules(nil), false}} {
		if got := written.contradicts(c.rules); got != c.want {
			t.Errorf("%s: contradicts %v, want %v", about, got, c.want)
		}
	}
	k := kernelLimits{o: Options{StateDir: t.TempDir()}}
	if err := k.noteLent(written, same); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[uint32]uint32{9: 70000, 10: 70001}, readLimits(k.o).Lent); diff != "" {
		t.Errorf("remembered: -want +got\n%s", diff)
	}
	if got := (leavers{9: {Number: 70000}}); got.number(9) != 70000 || got.number(7) != 7 {
		t.Errorf("slots 9 and 7 are of tenants %d and %d", got.number(9), got.number(7))
	}
}
