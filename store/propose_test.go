package store

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// cluster is a small state at revision 20: hosts h1 (a gateway) and h2, and alice with two
// networks, two ports at most and one port.
func cluster() *State {
	s := NewState()
	put := func(key Key, o Object, created, modified Revision) Event {
		return Event{Key: key, Object: o, Created: created, Modified: modified}
	}
	s.Apply(Batch{Revision: 20, Events: []Event{
		put(HostKey("h1"), &Host{Incarnation: "x", Gateway: true, Infrastructure: prefixes("172.30.0.0/24")}, 3, 4),
		put(HostKey("h2"), &Host{}, 5, 5),
		put(TenantKey("alice"), &Tenant{Number: 1, Hosts: []string{"h1", "h9"}, Limits: Limits{Ports: 2}}, 6, 7),
		put(NetworkKey("alice", "default"), &Network{Number: 1, Segment: 9, Segmentation: SegmentationVLAN, Subnets: []Subnet{
			{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1")},
			{Prefix: netip.MustParsePrefix("fd00::/64"), Gateway: netip.MustParseAddr("fd00::9")},
		}}, 6, 8),
		put(NetworkKey("alice", "web"), &Network{Number: 2, Subnets: []Subnet{{Prefix: netip.MustParsePrefix("10.1.0.0/24")}}}, 9, 9),
		put(PortKey("h1", "alice", "default", "a1"), &Port{UID: "aaaaaaaaaaaa", Number: 5, MAC: MAC{2, 1}, Addresses: prefixes("10.0.0.5/24")}, 10, 11),
	}})
	return s
}

// proposed compares what is written, freed and presumed.
func proposed(t *testing.T, name string, p Proposal, err error, want Proposal) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if diff := cmp.Diff(want.Writes, p.Writes, comparers...); diff != "" {
		t.Errorf("%s writes (-want +got):\n%s", name, diff)
	}
	if !slices.Equal(want.Frees, p.Frees) {
		t.Errorf("%s frees\n%+v, want\n%+v", name, p.Frees, want.Frees)
	}
	if diff := cmp.Diff(presumptions(want), presumptions(p)); diff != "" {
		t.Errorf("%s presumes (-want +got):\n%s", name, diff)
	}
	checkDraws(t, name, p)
}

// checkDraws: what the new objects take is drawn, and nothing else is.
func checkDraws(t *testing.T, name string, p Proposal) {
	t.Helper()
	taken := 0
	for _, e := range p.Writes {
		for _, v := range TakenBy(e.Key, e.Object) {
			taken++
			if !slices.ContainsFunc(p.Draws, func(d Draw) bool { return d.Owner == e.Key && strings.HasPrefix(d.Dir+"/", v.Dir+"/") }) {
				t.Errorf("%s: nothing is drawn of the %s that %s takes", name, v.Dir, e.Key.Short())
			}
		}
	}
	if taken != len(p.Draws) {
		t.Errorf("%s draws %d values, its objects take %d", name, len(p.Draws), taken)
	}
}

// presumptions are a proposal's as text; what depends on an answer is asked with an example.
func presumptions(p Proposal) (list []string) {
	for _, p := range p.Presumes {
		refusal := p.Refusal
		if p.InUse != nil {
			refusal = p.InUse([]string{p.Path + "x"}, 2)
		}
		list = append(list, fmt.Sprintf("%s %s %d: %v", p.Path, p.Condition, p.Revision, refusal))
	}
	return list
}

// drawn sets each draw to a value and returns where it is taken.
func drawn(p Proposal, values ...string) (keys []string) {
	for n, d := range p.Draws {
		value := d.Value
		if value == "" {
			value = values[n]
		}
		d.Set(value)
		keys = append(keys, d.Owner.Short()+" takes "+d.Dir+"/"+value)
	}
	return keys
}

func TestProposeTenant(t *testing.T) {
	exists := errors.New("exists already: choose another name")
	spec := TenantSpec{
		Name: "bob", Gateway: "h1", Segmentation: SegmentationVLAN, Hosts: []string{"h2"},
		Limits: Limits{Ports: 3}, Labels: Labels{"team": "red"},
	}
	p, err := spec.Propose(cluster())
	took := drawn(p, "31", "32", "33")
	proposed(t, "tenant", p, err, Proposal{
		Writes: []Event{
			{Key: TenantKey("bob"), Object: &Tenant{Number: 33, Gateway: "h1", Hosts: []string{"h2"}, Limits: Limits{Ports: 3}, Labels: Labels{"team": "red"}}},
			{Key: NetworkKey("bob", "default"), Object: &Network{Number: 31, Segment: 32, Segmentation: SegmentationVLAN, Flood: FloodAuto,
				Subnets: []Subnet{{Prefix: DefaultSubnet, Gateway: netip.MustParseAddr("10.0.0.1")}}}},
		},
		Presumes: []Presumption{
			{Condition: Absent, Path: "/sluice/v1/tenants/bob", Refusal: exists},
			{Condition: Absent, Path: "/sluice/v1/networks/bob/default", Refusal: exists},
			{Condition: NothingNewUnder, Path: "/sluice/v1/hosts/", Revision: 20},
			{Condition: Unchanged, Path: "/sluice/v1/settings/cluster"},
		},
	})
	want := []string{"networks/bob/default takes network-numbers/31", "networks/bob/default takes vlans/32", "tenants/bob takes tenant-numbers/33"}
	if diff := cmp.Diff(want, took); diff != "" {
		t.Errorf("draws (-want +got):\n%s", diff)
	}
	for n, last := range []uint64{MaxNetworkNumber, MaxVLAN, MaxTenantNumber} {
		if d := p.Draws[n]; d.Space.Count != last || d.Taken != nil {
			t.Errorf("%s: one of %d", d.Dir, d.Space.Count)
		}
	}
	if rather := p.Draws[2].Rather.Count; rather != MaxSlot || p.Draws[0].Rather.Count != 0 {
		t.Errorf("a tenant's number is one of %d for choice", rather)
	}
	exhaustion(t, p.Draws[0], "network numbers exhausted: 4 are in use and 5 are freed but not yet forgotten by every host: delete networks")
	exhaustion(t, p.Draws[1], "VLAN ids exhausted: 4 are in use and 5 are freed but not yet forgotten by every host: delete VLAN networks or use --segmentation tunnel")
	exhaustion(t, p.Draws[2], "tenant numbers exhausted: 4 are in use and 5 are freed but not yet forgotten by every host: delete tenants")
	seeds := []string{"networks/bob/default", "networks/bob/default", "tenants/bob20"} // of the revision, too
	for n, d := range p.Draws {
		if d.Seed != seeds[n] {
			t.Errorf("%s is drawn by the hash of %s", d.Dir, d.Seed)
		}
	}
	p, err = TenantSpec{Name: "carol", Subnets: prefixes("10.7.0.0/24")}.Propose(cluster())
	if err != nil {
		t.Fatal(err)
	}
	drawn(p, "31", "33")
	if got := p.Writes[0].Object.(*Tenant); got.Gateway != GatewayAuto || got.Number != 33 {
		t.Errorf("tenant %+v", got)
	}
	if got := p.Writes[1].Object.(*Network); got.Segment != 31 || got.Number != 31 || got.Segmentation != SegmentationTunnel || got.Subnets[0].Prefix != prefixes("10.7.0.0/24")[0] {
		t.Errorf("network %+v", got)
	}
	if p, err := (TenantSpec{Name: "dave", Gateway: GatewayCentral}).Propose(cluster()); err != nil || p.Writes[0].Object.(*Tenant).Gateway != GatewayCentral {
		t.Errorf("central gateway: %+v, %v", p.Writes, err)
	}
}

func exhaustion(t *testing.T, d Draw, text string) {
	t.Helper()
	if err := d.Exhausted(Counted{InUse: 4, Freed: 5}); !errors.Is(err, ErrExhausted) || err.Error() != text {
		t.Errorf("%s: %v, want %s", d.Dir, err, text)
	}
}

func TestProposeNetwork(t *testing.T) {
	spec := NetworkSpec{
		Tenant: "alice", Name: "db", Subnets: prefixes("10.2.0.0/24", "fd01::/64"), MTU: 1400, Flood: FloodOff,
		Gateways: []netip.Addr{netip.MustParseAddr("fd01::7")},
	}
	p, err := spec.Propose(cluster())
	took := drawn(p, "31")
	proposed(t, "network", p, err, Proposal{
		Writes: []Event{{Key: NetworkKey("alice", "db"), Object: &Network{
			Number: 31, Segment: 31, Segmentation: SegmentationTunnel, MTU: 1400, Flood: FloodOff,
			Subnets: []Subnet{
				{Prefix: prefixes("10.2.0.0/24")[0], Gateway: netip.MustParseAddr("10.2.0.1")},
				{Prefix: prefixes("fd01::/64")[0], Gateway: netip.MustParseAddr("fd01::7")},
			},
		}}},
		Presumes: []Presumption{
			{Condition: CreatedAt, Path: "/sluice/v1/tenants/alice", Revision: 6, Refusal: noSuchTenant("alice")},
			{Condition: Absent, Path: "/sluice/v1/networks/alice/db", Refusal: errors.New("exists already: choose another name")},
			{Condition: NothingNewUnder, Path: "/sluice/v1/networks/alice/", Revision: 20},
			{Condition: NothingNewUnder, Path: "/sluice/v1/hosts/", Revision: 20},
		},
	})
	if want := []string{"networks/alice/db takes network-numbers/31"}; !slices.Equal(want, took) {
		t.Errorf("it %v", took)
	}
	exhaustion(t, p.Draws[0], "network numbers exhausted: 4 are in use and 5 are freed but not yet forgotten by every host: delete networks")
}

func TestProposePort(t *testing.T) {
	spec := PortSpec{
		Host: "h1", Tenant: "alice", Network: "default", Name: "a2", UID: "bbbbbbbbbbbb", HostCreated: 3, HostLease: 8,
		ContainerID: "c", Runtime: "lxc", Labels: Labels{"a": "b"},
	}
	p, err := spec.Propose(cluster(), 1)
	took := drawn(p, "", "77", "02:00:00:00:00:07", "10.0.0.8", "fd00::8")
	proposed(t, "port", p, err, Proposal{
		Writes: []Event{{Key: PortKey("h1", "alice", "default", "a2"), Object: &Port{
			UID: "bbbbbbbbbbbb", Number: 77, MAC: MAC{2, 5: 7}, Addresses: prefixes("10.0.0.8/24", "fd00::8/64"), Interface: "sl-bbbbbbbbbbbb",
			ContainerID: "c", Runtime: "lxc", Labels: Labels{"a": "b"},
		}}},
		Presumes: []Presumption{
			{Condition: Leased, Path: "/sluice/v1/live/hosts/h1", Lease: 8, Refusal: registeredAnew("h1")},
			{Condition: CreatedAt, Path: "/sluice/v1/hosts/h1", Revision: 3, Refusal: HostGone("h1")},
			{Condition: Unchanged, Path: "/sluice/v1/tenants/alice", Revision: 7},
			{Condition: Unchanged, Path: "/sluice/v1/networks/alice/default", Revision: 8},
			{Condition: Absent, Path: "/sluice/v1/ports/h1/alice/default/a2"},
			{Condition: Unchanged, Path: "/sluice/v1/stickies/h1/alice/default/a2"}, // what came to be meanwhile would be passed over
		},
	})
	owner := "ports/h1/alice/default/a2 takes "
	want := []string{owner + "ports/alice/default/a2", owner + "port-numbers/77", owner + "macs/alice/default/02:00:00:00:00:07",
		owner + "addresses/alice/default/10.0.0.8", owner + "addresses/alice/default/fd00::8"}
	if diff := cmp.Diff(want, took); diff != "" {
		t.Errorf("draws (-want +got):\n%s", diff)
	}
	seed := "ports/h1/alice/default/a2"
	for n, want := range []string{"", seed + "bbbbbbbbbbbb", seed, seed, seed} {
		if p.Draws[n].Seed != want {
			t.Errorf("%s is drawn by the hash of %q", p.Draws[n].Dir, p.Draws[n].Seed)
		}
	}
	for n, count := range []uint64{0, 1<<32 - 3, 1 << 46, 254, 1<<64 - 1} {
		if p.Draws[n].Space.Count != count {
			t.Errorf("%s: one of %d", p.Draws[n].Dir, p.Draws[n].Space.Count)
		}
	}
	takenByOther(t, p.Draws[0], ErrExists, "exists already as ports/h2/x: choose another name")
	exhaustion(t, p.Draws[1], "port numbers exhausted: 4 are in use and 5 are freed but not yet forgotten by every host: delete ports")
	exhaustion(t, p.Draws[2], "MACs exhausted: 4 are in use and 5 are freed but not yet forgotten by every host: delete ports")
	exhaustion(t, p.Draws[3], "addresses of subnet 10.0.0.0/24 of network alice/default exhausted: all 253 for ports are taken: 4 by ports; the router has 10.0.0.1: detach ports, or make a network with a larger subnet")
}

func takenByOther(t *testing.T, d Draw, want error, text string) {
	t.Helper()
	if err := d.Taken("ports/h2/x"); !errors.Is(err, want) || err.Error() != text {
		t.Errorf("%s: %v, want %s", d.Dir, err, text)
	}
}

// What was asked for is the only value that will do; addresses in other subnets are chosen.
func TestProposePortWithAddress(t *testing.T) {
	spec := PortSpec{Host: "h1", Tenant: "alice", Network: "default", Name: "a2", UID: "bbbbbbbbbbbb",
		Addresses: []netip.Addr{netip.MustParseAddr("fd00::1")}, MAC: MAC{2, 9}}
	p, err := spec.Propose(cluster(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var fixed []string
	for _, d := range p.Draws {
		fixed = append(fixed, d.Value)
	}
	if want := []string{"a2", "", "02:09:00:00:00:00", "", "fd00::1"}; !slices.Equal(want, fixed) {
		t.Fatalf("fixed: %q", fixed)
	}
	takenByOther(t, p.Draws[2], ErrTaken, "MAC 02:09:00:00:00:00: taken by ports/h2/x: choose another, or none to be given one")
	takenByOther(t, p.Draws[4], ErrTaken, "address fd00::1: taken by ports/h2/x: choose another, or none to be given one")
	drawn(p, "", "1", "", "10.0.0.8", "")
	if got := p.Writes[0].Object.(*Port); got.MAC != (MAC{2, 9}) || !slices.Equal(got.Addresses, prefixes("10.0.0.8/24", "fd00::1/64")) {
		t.Errorf("port %+v", got)
	}
	spec.Name, spec.UID = "a1", "aaaaaaaaaaaa"
	if p, err := spec.Propose(cluster(), 2); err != nil || p.Writes != nil || p.Presumes != nil {
		t.Errorf("the same port again: %+v, %v", p, err)
	}
}

// A port that came from another host becomes its new container's, with all that it took.
func TestProposePortThatMoved(t *testing.T) {
	same := PortSpec{Host: "h1", Tenant: "alice", Network: "default", Name: "a1", UID: "aaaaaaaaaaaa"}
	for name, change := range map[string]func(*PortSpec){
		"container": func(s *PortSpec) { s.ContainerID = "c2" },
		"runtime":   func(s *PortSpec) { s.Runtime = "lxc" },
		"labels":    func(s *PortSpec) { s.Labels = Labels{"lxc-start": "boot/7"} },
	} {
		spec := same
		change(&spec)
		p, err := spec.Propose(cluster(), 2) // which is all that alice may have
		if err != nil || len(p.Writes) != 1 || len(p.Draws)+len(p.Frees) > 0 {
			t.Fatalf("%s: %+v, %v", name, p, err)
		}
		want := *cluster().Port(spec.Key()).Value
		want.ContainerID, want.Runtime, want.Labels = spec.ContainerID, spec.Runtime, spec.Labels
		if diff := cmp.Diff(Event{Key: spec.Key(), Object: &want}, p.Writes[0], comparers...); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
		if diff := cmp.Diff([]Presumption{{Condition: Unchanged, Path: spec.Key().String(), Revision: 11}}, p.Presumes); diff != "" {
			t.Errorf("%s: presumes -want +got\n%s", name, diff)
		}
	}
}

// Limits bound the ports that a tenant has in the end; without one any number will do.
func TestPortLimit(t *testing.T) {
	s, spec := cluster(), PortSpec{Tenant: "alice"}
	if err := spec.CheckLimit(s, 2); err != nil {
		t.Errorf("two of two: %v", err)
	}
	if err := spec.CheckLimit(s, 3); !errors.Is(err, ErrLimit) {
		t.Errorf("three of two: %v", err)
	}
	s.Apply(Batch{Revision: 21, Events: []Event{{Key: TenantKey("alice"), Object: &Tenant{Limits: Limits{Ports: 1}}}}})
	if err := spec.CheckLimit(s, 2); !errors.Is(err, ErrLimit) {
		t.Errorf("two of one: %v", err)
	}
	s.Apply(Batch{Revision: 22, Events: []Event{{Key: TenantKey("alice"), Object: &Tenant{}}}})
	if err := spec.CheckLimit(s, 1000); err != nil {
		t.Errorf("without limit: %v", err)
	}
}

func TestProposeDeletes(t *testing.T) {
	s := cluster()
	port := PortKey("h1", "alice", "default", "a1")
	portFrees := []Taken{
		{Owner: port, Dir: "ports", Value: "alice/default/a1"}, {Owner: port, Dir: "port-numbers", Value: "5", Tombstone: true},
		{Owner: port, Dir: "macs", Value: "alice/default/02:01:00:00:00:00"}, {Owner: port, Dir: "addresses", Value: "alice/default/10.0.0.5"},
	}
	portUnchanged := Presumption{Condition: Unchanged, Path: port.String(), Revision: 11}
	p, err := ProposeDeletePort(s, port, 0)
	proposed(t, "port", p, err, Proposal{Writes: []Event{{Key: port}}, Frees: portFrees, Presumes: []Presumption{portUnchanged}})
	p, err = ProposeDeletePort(s, port, 3)
	proposed(t, "port by its agent", p, err, Proposal{Writes: []Event{{Key: port}}, Frees: portFrees, Presumes: []Presumption{portUnchanged,
		{Condition: CreatedAt, Path: "/sluice/v1/hosts/h1", Revision: 3, Refusal: HostGone("h1")}}})

	host := func(key func(string) Key) Event { return Event{Key: key("h1")} }
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	p, err = ProposeDeleteHost(s, "h1", 5, now)
	proposed(t, "host", p, err, Proposal{
		Writes: []Event{host(HostKey), host(MasterKey), host(LiveHostKey), host(EnrolmentKey), host(StatusHostKey), host(EmptiedKey), host(DrainKey),
			{Key: FarewellKey("h1"), Object: &Farewell{Incarnation: "x", Created: 3, At: now}}},
		Presumes: []Presumption{{Condition: Unchanged, Path: "/sluice/v1/hosts/h1", Revision: 4}},
	})
	if p, err := ProposeDeleteHost(s, "h9", 1, now); err != nil || p.Writes != nil {
		t.Errorf("of a host that is gone but for its ports: %+v, %v", p, err)
	}

	s.Apply(Batch{Revision: 21, Events: []Event{{Key: port}, {Key: NetworkKey("alice", "web")}}})
	tenant, network := TenantKey("alice"), NetworkKey("alice", "default")
	p, err = ProposeDelete(s, tenant)
	frees := []Taken{{Owner: tenant, Dir: "tenant-numbers", Value: "1", Tombstone: true},
		{Owner: network, Dir: "network-numbers", Value: "1", Tombstone: true}, {Owner: network, Dir: "vlans", Value: "9", Tombstone: true}}
	all := presumptions(p)
	proposed(t, "tenant", Proposal{Writes: p.Writes, Frees: p.Frees, Presumes: p.Presumes[:2]}, err, Proposal{
		Writes: []Event{{Key: tenant}, {Key: network}, {Key: GatewayKey("alice")}, {Key: IdleKey("alice")}}, Frees: frees,
		Presumes: []Presumption{
			{Condition: Unchanged, Path: "/sluice/v1/tenants/alice", Revision: 7},
			{Condition: NothingNewUnder, Path: "/sluice/v1/networks/alice/", Revision: 21},
		}})
	if want := "/sluice/v1/alloc/ports/alice/ none under 0: in use: it has ports alice/x and 2 more: detach them first, and delete what is sticky"; !slices.Contains(all, want) {
		t.Errorf("of ports it presumes %q", all)
	}
	p, err = ProposeDelete(s, network)
	if err != nil || len(p.Writes) != 1 || !slices.Equal(p.Frees, frees[1:]) {
		t.Errorf("network: %+v, %v", p, err)
	}
	if got, want := presumptions(p)[1:], []string{"/sluice/v1/alloc/ports/alice/default/ none under 0: in use: it has ports alice/default/x and 2 more: detach them first, and delete what is sticky"}; !slices.Equal(got, want) {
		t.Errorf("of ports it presumes %q", got)
	}
	needs := map[Key][]string{
		tenant: {tenant.String(), "/sluice/v1/networks/alice/"}, network: {network.String()},
		HostKey("h1"): {"/sluice/v1/hosts/h1"}, port: {port.String()},
	}
	for key, want := range needs {
		if got := NeededToDelete(key); !slices.Equal(got, want) {
			t.Errorf("delete of %s needs %v, want %v", key, got, want)
		}
	}
}
