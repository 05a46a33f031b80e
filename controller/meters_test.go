package controller_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// A meter of the tenant's stands before its broadcasts are copied. One that somebody deleted, with
// which the flows that name it go, comes back with them; another limit is another meter.
func TestMeters(t *testing.T) {
	b, c, _ := newProgrammed(t)
	meters := func() string {
		var lines []string
		for line := range strings.Lines(b.ovs.OFCtl("dump-meters", store.BridgeName)) {
			if !strings.Contains(line, "OFPST_METER") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		return strings.Join(lines, " ")
	}
	metered := func() int { return strings.Count(strings.Join(b.dump(), "\n"), "meter:") }
	if metered() == 0 || !strings.Contains(meters(), "rate=500 burst_size=500") {
		t.Fatalf("%d flows name a meter, and these are there: %s", metered(), meters())
	}
	before := b.dump()
	b.ovs.OFCtl("del-meters", store.BridgeName)
	b.eventually("meters and flows are back", func() bool {
		return cmp.Equal(before, b.dump()) && strings.Contains(meters(), "rate=500 burst_size=500")
	})
	limits := store.LimitsSpec{Tenant: "alice", Limits: store.Limits{Broadcasts: 50}}
	if _, err := b.store.Decide(b.ctx, limits.Propose, limits.Needs()...); err != nil {
		t.Fatal(err)
	}
	b.eventually("another limit has another meter", func() bool {
		return strings.Contains(meters(), "rate=100 burst_size=100") && !cmp.Equal(before, b.dump())
	})
	b.inSync(c)
}
