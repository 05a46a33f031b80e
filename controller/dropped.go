package controller

import (
	"context"
	"maps"

	"sluice/controller/account"
	"sluice/controller/events"
	"sluice/flows"
	"sluice/store"
)

// dropped are the packets that limits dropped on all hosts, by the names of their tenants; ok is false on other controllers
// than the leader, and where they cannot be read.
func (c *Controller) dropped() (sums map[events.Drop]uint64, ok bool) {
	shown, err := c.totals.Sums(context.Background())
	if err != nil || shown.Classes == nil { // what is not known now is told with the next reading
		return nil, false
	}
	byNumber := limited(shown.Classes, c.usage.Sums())
	names := c.tenantNames(maps.Keys(byNumber))
	sums = map[events.Drop]uint64{}
	for number, whys := range byNumber {
		for why, n := range whys {
			if name := names[number]; name != "" && n > 0 {
				sums[events.Drop{Tenant: name, Why: why}] = n
			}
		}
	}
	return sums, true
}

// limited are the packets that each limit dropped, of tenants by their numbers: what switches counted, and what agents told.
func limited(totals map[flows.Class]account.Sum, used map[uint32]store.Used) map[uint32]map[string]uint64 {
	all := map[uint32]map[string]uint64{}
	add := func(tenant uint32, why string, n uint64) {
		if all[tenant] == nil {
			all[tenant] = map[string]uint64{}
		}
		all[tenant][why] += n
	}
	const full = "packets that would open a connection are dropped: the tenant has as many connections as it may"
	for class, total := range totals {
		switch class {
		case flows.ConnectionLimited(class.Tenant):
			add(class.Tenant, full, total.Packets)
		case flows.RateLimited(class.Tenant):
			add(class.Tenant, "packets are dropped: the tenant or a port of it sends or gets more kilobits a second than it may", total.Packets)
		case flows.BroadcastLimited(class.Tenant):
			add(class.Tenant, "broadcasts are dropped: the tenant sends more a second than it may", total.Packets)
		}
	}
	for tenant, u := range used {
		add(tenant, full, u.KernelDrops)
		add(tenant, "questions for names are refused: the tenant asks more a second than it may", u.QuestionsRefused)
	}
	return all
}
