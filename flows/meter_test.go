package flows

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// limited is a state with alice (number 7) under limits, and her port a1 (number 101).
func limited(t *testing.T, limits store.Limits) *store.State {
	t.Helper()
	s := store.NewState()
	s.Apply(store.Batch{Revision: 9, Events: []store.Event{
		{Key: store.TenantKey("alice"), Object: &store.Tenant{Number: 7, Limits: limits}, Created: 4, Modified: 9},
		{Key: store.PortKey("h1", "alice", "default", "a1"), Object: &store.Port{Number: 101}, Created: 5, Modified: 5},
	}})
	return s
}

// The number of a meter that a flow names says what it bounds, and the store says the rest: its rate, of which a second
// may come at once but never less than some frames, and whose it is.
func TestMeterOf(t *testing.T) {
	const mostNumber = 199_999
	limits := store.Limits{Broadcasts: 300, EgressKbps: 1000, PortIngressKbps: 8, PortEgressKbps: 2000}
	s := limited(t, limits)
	rate := func(id uint32, unit of.MeterUnit, rate, burst uint32) of.MeterSpec {
		return of.MeterSpec{ID: id, Unit: unit, Rate: rate, Burst: burst}
	}
	broadcasts := Class{Tenant: 7, Reason: "broadcast-limit"}
	rates := Class{Tenant: 7, Reason: "rate"}
	ports := Class{Tenant: 7, Scope: "port", Reason: "rate"}
	for _, test := range []struct {
		about string
		id    uint32
		slice Slice
		want  Meter // none: it names no meter that is to be
	}{
		{"broadcasts", 7*4 + 1, networkSlice(7, 1), Meter{rate(29, of.MeterPackets, 300, 300), broadcasts, 4}},
		{"egress", 7*4 + 2, tenantSlice(7), Meter{rate(30, of.MeterKilobits, 1000, 1000), rates, 4}},
		{"ingress, which is not limited", 7*4 + 3, tenantSlice(7), Meter{}},
		{"broadcasts of one network", 2 * 4, networkSlice(7, 1), Meter{rate(8, of.MeterPackets, 300, 300), broadcasts, 4}},
		{"egress by another slot than its number", 9*4 + 2, tenantSlice(7), Meter{rate(38, of.MeterKilobits, 1000, 1000), rates, 4}},
		{"a tenant that is not there", 8*4 + 1, tenantSlice(8), Meter{}},
		{"what a port sends", 131072 + 2*3, portSlice(7, 101), Meter{rate(131078, of.MeterKilobits, 2000, 2000), ports, 5}},
		{"what a port gets", 131072 + 2*3 + 1, portSlice(7, 101), Meter{rate(131079, of.MeterKilobits, 8, 150), ports, 5}},
		{"a port that is not there", 131078, portSlice(7, 102), Meter{}},
		{"the last port's", mostNumber, portSlice(7, 101), Meter{rate(mostNumber, of.MeterKilobits, 8, 150), ports, 5}},
	} {
		f := of.Flow{Cookie: uint64(test.slice), Actions: []of.Action{of.Meter{ID: test.id}, goTo(tableDrop)}}
		got, ok := MeterOf(s, &f)
		if want := test.want != (Meter{}); ok != want {
			t.Errorf("%s: found %v, want %v", test.about, ok, want)
			continue
		}
		if diff := cmp.Diff(test.want, got); ok && diff != "" {
			t.Errorf("%s: -want +got\n%s", test.about, diff)
		}
	}
	for _, actions := range [][]of.Action{nil, {goTo(tableDrop)}, {goTo(tableDrop), of.Meter{ID: 29}}} {
		if m, ok := MeterOf(s, &of.Flow{Actions: actions}); ok {
			t.Errorf("a flow with actions %v names the meter %v", actions, m)
		}
	}
	unlimited := limited(t, store.Limits{})
	for _, id := range []uint32{30, 131078, 131079} {
		if m, ok := MeterOf(unlimited, &of.Flow{Cookie: uint64(portSlice(7, 101)), Actions: []of.Action{of.Meter{ID: id}}}); ok {
			t.Errorf("without a limit there is the meter %v", m)
		}
	}
	if last := uint32(portMeters + (meteredPorts-1)*portMeterKinds + meterPortIngress); last != mostNumber {
		t.Errorf("the last meter is %d, want %d", last, mostNumber)
	}
}

// A port's own limit holds where it is smaller than its tenant's, with a burst of its own.
func TestMeterOfAPortWithLimits(t *testing.T) {
	s := limited(t, store.Limits{PortEgressKbps: 2000, PortIngressKbps: 2000})
	s.Apply(store.Batch{Revision: 10, Events: []store.Event{{Key: store.PortKey("h1", "alice", "default", "a1"), Created: 5, Modified: 10,
		Object: &store.Port{Number: 101, Limits: store.PortLimits{EgressKbps: 1000, EgressBurst: 3000, IngressKbps: 3000}}}}})
	for id, want := range map[uint32]of.MeterSpec{
		131078: {ID: 131078, Unit: of.MeterKilobits, Rate: 1000, Burst: 3000},
		131079: {ID: 131079, Unit: of.MeterKilobits, Rate: 2000, Burst: 2000},
	} {
		got, ok := MeterOf(s, &of.Flow{Cookie: uint64(portSlice(7, 101)), Actions: []of.Action{of.Meter{ID: id}}})
		if diff := cmp.Diff(want, got.MeterSpec); !ok || diff != "" {
			t.Errorf("meter %d: -want +got\n%s", id, diff)
		}
	}
}

// What the operator set is another rate of the same meter, and marks the port where it makes a difference.
func TestMeterOfAPortWithLimitsSet(t *testing.T) {
	s, kbps := limited(t, store.Limits{PortEgressKbps: 2000}), uint32(700)
	s.Apply(store.Batch{Revision: 10, Events: []store.Event{{Key: store.PortKey("h1", "alice", "default", "a1"), Created: 5, Modified: 10,
		Object: &store.Port{Number: 101, Limits: store.PortLimits{EgressKbps: 1000}, LimitsSet: store.PortLimitsSet{EgressKbps: &kbps}}}}})
	got, ok := MeterOf(s, &of.Flow{Cookie: uint64(portSlice(7, 101)), Actions: []of.Action{of.Meter{ID: 131078}}})
	if want := (of.MeterSpec{ID: 131078, Unit: of.MeterKilobits, Rate: 700, Burst: 700}); !ok || got.MeterSpec != want {
		t.Errorf("the meter is %+v, want %+v", got.MeterSpec, want)
	}
	same := uint32(700)
	if was := (&store.Port{LimitsSet: store.PortLimitsSet{EgressKbps: &kbps}}); !samePort(was, &store.Port{LimitsSet: store.PortLimitsSet{EgressKbps: &same}}) || samePort(was, &store.Port{}) {
		t.Error("a rate that was set is not told from another, or from itself")
	}
}

// What a meter bounds can be told from its number.
func TestMeterBounds(t *testing.T) {
	for id, want := range map[uint32]struct {
		number, slot, ofport uint32
		what                 string
	}{
		28: {0, 0, 7, "broadcasts"}, 29: {7, 0, 0, "broadcasts"}, 30: {0, 7, 0, "egress"}, 31: {0, 7, 0, "ingress"},
		131071: {0, 32767, 0, "ingress"}, 131072: {0, 0, 0, "egress"}, 131078: {0, 0, 3, "egress"}, 131079: {0, 0, 3, "ingress"},
	} {
		if number, slot, ofport := MeterBounds(id); number != want.number || slot != want.slot || ofport != want.ofport {
			t.Errorf("meter %d is of tenant %d, slot %d or port %d, want %v", id, number, slot, ofport, want)
		}
		if got := MeterBound(id); got != want.what {
			t.Errorf("meter %d bounds %s, want %s", id, got, want.what)
		}
	}
}

// What a tenant may broadcast is bounded by its number, and where that is no slot's in each of its networks, by the least OpenFlow
// port that the network has here. What it sends out is bounded by its slot.
func TestMetersOfLongNumbers(t *testing.T) {
	s := manyTenants(2)
	change(s, store.TenantKey("t0"), &store.Tenant{Number: store.MaxSlot + 1, Limits: store.Limits{EgressKbps: 100}})
	change(s, store.GatewayKey("t0"), &store.Gateway{Active: "h1", Slots: map[string]uint32{"h1": 5}})
	put(s, store.NetworkKey("t0", "x"), &store.Network{Number: 77, Flood: store.FloodAuto})
	for n, iface := range []string{"sl-late", "sl-first"} {
		put(s, store.PortKey("h1", "t0", "x", iface), &store.Port{Number: uint32(900 + n), MAC: store.MAC{2, 8, byte(n)}, Interface: iface})
	}
	sw := switchOf(s, "h1")
	sw.OFPort["sl-0-0"], sw.OFPort["sl-late"], sw.OFPort["sl-first"] = 11, 40, 30
	is := map[uint32]Slice{}
	CompileHost(s, sw, func(f of.Flow) {
		if m, ok := namedMeter(&f); ok {
			is[m.ID] = Slice(f.Cookie)
		}
	})
	want := map[uint32]Slice{2<<2 | 1: networkSlice(2, 2), 11 << 2: networkSlice(store.MaxSlot+1, 1), 30 << 2: networkSlice(store.MaxSlot+1, 77),
		5<<2 | 2: tenantSlice(store.MaxSlot + 1)}
	if diff := cmp.Diff(want, is); diff != "" {
		t.Errorf("meters, and which slices name them: -want +got\n%s", diff)
	}
}
