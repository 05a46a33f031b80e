package flows

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// A limit is rounded up to the next rate of meters, and the meter's number says the tenant and the
// rate.
func TestMetersOf(t *testing.T) {
	meter := func(number uint32, broadcasts int) of.Flow {
		at := tenantAt{Item: &store.Item[store.Tenant]{Value: &store.Tenant{Number: number, Limits: store.Limits{Broadcasts: broadcasts}}}}
		return of.Flow{Actions: []of.Action{at.broadcastMeter(), goTo(tableDrop)}}
	}
	got := MetersOf(
		[]of.Flow{meter(1, 0), {}, meter(1, 1), meter(1, 100), meter(1, 101), {Actions: []of.Action{goTo(tableDrop)}}},
		[]of.Flow{meter(1, 0), meter(store.MaxTenantNumber, 501), meter(7, 12500), meter(7, 12501)},
	)
	want := []of.MeterSpec{
		{ID: 5, Rate: 500, Burst: 500}, {ID: 4, Rate: 100, Burst: 100},
		{ID: 131070, Rate: 2500, Burst: 2500}, {ID: 31, Rate: 12500, Burst: 12500},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// What the meters of one tenant dropped is one sum, by tenant and reason.
func TestDropped(t *testing.T) {
	type sum struct {
		Class          Class
		Packets, Bytes uint64
	}
	var got []sum
	for _, f := range Dropped([]of.MeterStats{
		{ID: 5, DroppedPackets: 1, DroppedBytes: 60}, {ID: 9, DroppedPackets: 7}, {ID: 4, DroppedPackets: 2, DroppedBytes: 100},
		{ID: 1, DroppedPackets: 1}, {ID: 1 << 31, DroppedPackets: 1}, // nobody's of ours
	}) {
		class, ok := Account(&f.Flow)
		if !ok {
			t.Errorf("%s does not count", &f.Flow)
		}
		got = append(got, sum{class, f.Packets, f.Bytes})
	}
	want := []sum{
		{Class{Tenant: 1, Reason: "broadcast-limit"}, 3, 160},
		{Class{Tenant: 2, Reason: "broadcast-limit"}, 7, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
