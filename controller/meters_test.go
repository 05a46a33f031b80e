package controller_test

import (
	"regexp"
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
		return strings.Contains(meters(), "rate=50 burst_size=50") && cmp.Equal(before, b.dump())
	})
	b.inSync(c)
}

// A limit of a rate is a meter that a flow names; another rate is another rate of that meter, and no other flow. A meter
// that somebody changed or that a controller left which is gone by now is mended, though the flows are right.
func TestRates(t *testing.T) {
	b, c, _ := newProgrammed(t)
	limit := func(kbps uint32) {
		t.Helper()
		limits := store.LimitsSpec{Tenant: "alice", Limits: store.Limits{PortEgressKbps: kbps}}
		if _, err := b.store.Decide(b.ctx, limits.Propose, limits.Needs()...); err != nil {
			t.Fatal(err)
		}
	}
	has := func(rate string) func() bool {
		return func() bool { return strings.Contains(b.ovs.OFCtl("dump-meters", store.BridgeName), rate) }
	}
	unlimited := b.dump()
	limit(1000)
	b.eventually("the port is limited", has("kbps burst stats bands=\ntype=drop rate=1000 burst_size=1000"))
	b.inSync(c)
	flows := b.dump()
	limit(2000)
	b.eventually("it has another rate", has("rate=2000 burst_size=2000"))
	if diff := cmp.Diff(flows, b.dump()); diff != "" {
		t.Errorf("another rate changed flows:\n%s", diff)
	}
	number := regexp.MustCompile(`meter:(\d+),load`).FindStringSubmatch(strings.Join(flows, "\n"))
	b.ovs.OFCtl("mod-meter", store.BridgeName, "meter="+number[1]+",kbps,burst,stats,band=type=drop,rate=7,burst_size=7")
	b.eventually("a meter that was changed by hand is counted", func() bool {
		return c.count(t, "sluice_audit_drift_total", "host="+h1, "kind=changed") == 1
	})
	b.eventually("the audit mends it", has("rate=2000 burst_size=2000"))

	c.stop()
	limit(3000)
	b.start("c1", "c1.sock")
	b.eventually("the rate that came while no controller ran", has("rate=3000 burst_size=3000"))
	limit(0)
	b.eventually("no limit any more", func() bool { return cmp.Equal(unlimited, b.dump()) })
}
