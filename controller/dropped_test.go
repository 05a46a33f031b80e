package controller

import (
	"strings"
	"testing"

	"sluice/controller/account"
	"sluice/flows"
	"sluice/store"
)

// What each limit drops is told of its tenant, and nothing else is.
func TestLimited(t *testing.T) {
	totals := map[flows.Class]account.Sum{
		flows.ConnectionLimited(7): {Packets: 1}, flows.RateLimited(7): {Packets: 20}, flows.BroadcastLimited(8): {Packets: 300},
		{Tenant: 7, Reason: "spoofed"}: {Packets: 4000}, {Tenant: 7, Direction: "out"}: {Packets: 50000},
	}
	got := limited(totals, map[uint32]store.Used{7: {KernelDrops: 5, Connections: 9}, 8: {QuestionsRefused: 60, PortsRefused: 7}})
	sums := func(tenant uint32) map[string]uint64 {
		short := map[string]uint64{}
		for why, n := range got[tenant] {
			first, _, _ := strings.Cut(why, ": ")
			if n > 0 {
				short[first] = n
			}
		}
		return short
	}
	for tenant, want := range map[uint32]map[string]uint64{
		7: {"packets that would open a connection are dropped": 6, "packets are dropped": 20},
		8: {"broadcasts are dropped": 300, "questions for names are refused": 60},
	} {
		is := sums(tenant)
		if len(is) != len(want) {
			t.Errorf("tenant %d: %v, want %v", tenant, is, want)
		}
		for why, n := range want {
			if is[why] != n {
				t.Errorf("tenant %d: %s: %d, want %d", tenant, why, is[why], n)
			}
		}
	}
}
