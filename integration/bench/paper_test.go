package bench

import (
	"testing"
)

// checkPaperOne wants each figure beside the three sides that need no daemon, and none beyond what a wire carries.
func checkPaperOne(t *testing.T, results []Result) {
	checkLab(t, results)
	wantMeasured(t, results, "wire",
		"TCP, inside wire=100mbit samples=1", "TCP from outside wire=100mbit samples=1",
		"round trip, inside wire=100mbit samples=1", "round trip, outside wire=100mbit samples=1",
	)
	for _, r := range results {
		if r.Median <= 0 || r.Against != sideBare || len(r.Also) != 2 || r.Also[0].Against != sideMacvlan {
			t.Errorf("%v: %+v", r.Params, r)
		}
		if r.Unit == "Mbit/s" && (r.Median > 110 || r.Reference.Median > 110) {
			t.Errorf("%v: a wire of %s carried %v and %v Mbit/s", r.Params, wireRate, r.Median, r.Reference.Median)
		}
	}
}

// checkPaperTwo wants both figures at each level, of all tenants, beside both designs.
func checkPaperTwo(t *testing.T, results []Result) {
	checkLab(t, results)
	wantMeasured(t, results, "tenants",
		"TCP from outside, each container tenants=1 samples=1", "TCP, inside, each container tenants=1 samples=1",
		"TCP from outside, each container tenants=2 samples=1", "TCP, inside, each container tenants=2 samples=1",
	)
	wantBesideTwo(t, results)
}

// wantBesideTwo wants figures of ours and of two others in each result.
func wantBesideTwo(t *testing.T, results []Result) {
	t.Helper()
	for _, r := range results {
		if r.Median <= 0 || r.Reference.Median <= 0 || len(r.Also) != 1 || r.Also[0].Reference.Median <= 0 {
			t.Errorf("%v: %+v", r.Params, r)
		}
	}
}

// checkPaperFive wants a page of each side; that it was whole is checked by the case.
func checkPaperFive(t *testing.T, results []Result) {
	checkLab(t, results)
	if len(results) != 1 || results[0].Median <= 0 || results[0].Against != sideBare || len(results[0].Also) != 2 {
		t.Errorf("%+v", results)
	}
}

// checkPaperThree wants each level of both ways, with tenants that were made meanwhile.
func checkPaperThree(t *testing.T, results []Result) {
	checkLab(t, results)
	wantMeasured(t, results, "present",
		"TCP while tenants are made present=0 samples=1", "TCP while tenants are made present=1 samples=1",
		"TCP while tenants are made present=3 samples=1", "TCP while tenants are made present=5 samples=1",
	)
	wantBesideTwo(t, results)
	for _, r := range results {
		if len(r.Facts) != 3 || r.Facts[0].Value < 1 || r.Facts[1].Value < 1 {
			t.Errorf("%v: no tenant was made meanwhile: %+v", r.Params, r.Facts)
		}
	}
}

func checkPaperFour(t *testing.T, results []Result) {
	checkLab(t, results)
	if len(results) != len(sortedNumbers) {
		t.Fatalf("%+v", results)
	}
	for _, r := range results {
		if r.Unit != "s" || r.Median <= 0 || r.Against != sideBare || len(r.Also) != 2 {
			t.Errorf("%+v", r)
		}
	}
}

// Each host is the gateway of as many tenants, and their containers are on two different hosts.
func TestTenantsAreSpread(t *testing.T) {
	gateways, beside := map[int]int{}, map[int]int{}
	for tenant := range paperHosts * paperHosts {
		hosts := hostsOf(tenant)
		if hosts[0] == hosts[1] {
			t.Errorf("tenant %d has both containers on host %d", tenant, hosts[0])
		}
		gateways[gatewayOf(tenant)]++
		beside[(gatewayOf(tenant)-hosts[0]+paperHosts)%paperHosts]++
	}
	for n := range paperHosts {
		if gateways[n] != paperHosts || beside[n] != paperHosts {
			t.Errorf("host %d is the gateway of %d tenants, and %d have theirs %d hosts further; want %d of each", n, gateways[n], beside[n], n, paperHosts)
		}
	}
}
