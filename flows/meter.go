package flows

import (
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// A meter's number says all that it is, so that whoever sends a flow that names one can make it
// without looking anything up: whose it is, and which of store.BroadcastRates it keeps to. It stays
// under 200,000, the most meters that a Linux kernel has.
const meterRateBits = 2

// broadcastMeter bounds what the tenant's ports on one host broadcast: each frame is copied to all
// ports and hosts of its network.
func (t *tenantAt) broadcastMeter() of.Meter {
	return of.Meter{ID: t.number()<<meterRateBits | meterRate(t.Value.Limits)}
}

// meterRate is which of store.BroadcastRates the tenant is kept to.
func meterRate(l store.Limits) uint32 {
	return uint32(slices.Index(store.BroadcastRates[:], l.MaxBroadcasts()))
}

// sameBroadcasts reports whether two limits come to the same meter.
func sameBroadcasts(a, b store.Limits) bool { return meterRate(a) == meterRate(b) }

// MetersOf are the meters that flows name, each once. They must be there before the flows come.
func MetersOf(lists ...[]of.Flow) (meters []of.MeterSpec) {
	found := map[uint32]bool{}
	for _, list := range lists {
		for i := range list {
			if m, ok := meterOf(&list[i]); ok && !found[m.ID] {
				found[m.ID] = true
				rate := uint32(store.BroadcastRates[m.ID%(1<<meterRateBits)])
				meters = append(meters, of.MeterSpec{ID: m.ID, Rate: rate, Burst: rate})
			}
		}
	}
	return meters
}

// meterOf is the meter that a flow names. It comes first among the actions.
func meterOf(f *of.Flow) (m of.Meter, ok bool) {
	if len(f.Actions) > 0 {
		m, ok = f.Actions[0].(of.Meter)
	}
	return m, ok
}

// Dropped is what meters dropped, as if a flow of each tenant's had counted it in the drop table.
func Dropped(meters []of.MeterStats) (list []of.FlowStats) {
	at := map[uint32]int{}
	for _, m := range meters {
		tenant := m.ID >> meterRateBits
		if tenant == 0 || tenant > store.MaxTenantNumber {
			continue
		}
		i, known := at[tenant]
		if !known {
			i = len(list)
			at[tenant] = i
			match := match(tenantMetadata(tenant), of.Is(regReason, uint64(reasonBroadcastLimit)))
			list = append(list, of.FlowStats{Flow: of.Flow{Table: tableDrop, Match: match}})
		}
		list[i].Packets += m.DroppedPackets
		list[i].Bytes += m.DroppedBytes
	}
	return list
}
