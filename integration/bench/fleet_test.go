package bench

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A small fleet goes through everything that the large one does. Every count must be what it is
// to be: how many flow mods a port costs, and on which hosts.
func checkFleet(t *testing.T, got []Result) {
	results := map[string]Result{}
	for _, r := range got {
		results[fmt.Sprint(r.Params["what"], r.Params["span"])] = r
	}
	facts := map[string]map[string]float64{}
	for what, r := range results {
		facts[what] = map[string]float64{}
		for _, f := range r.Facts {
			facts[what][f.Name] = f.Value
			if count := f.Unit == ""; count && !f.Bound.Holds(f.Value) {
				t.Errorf("%s: %s is %v, want %s", what, f.Name, f.Value, f.Bound)
			}
		}
	}
	if held := facts["cold start<nil>"]["flows held by the switches"]; held < 10_000 {
		t.Errorf("after the cold start the switches hold %v flows", held)
	}
	each, own := facts["add a port2"]["flow mods on each other host"], facts["add a port2"]["flow mods on the port's own host"]
	if each < 1 || own <= each {
		t.Errorf("a port costs %v flow mods at home and %v elsewhere", own, each)
	}
	for _, span := range []float64{2, 10, 20} {
		got := facts[fmt.Sprint("add a port", span)]
		if want := own + (span-1)*each; got["flow mods"] != want {
			t.Errorf("a port in a network of %v hosts costs %v flow mods, want %v", span, got["flow mods"], want)
		}
	}
	for _, judged := range []struct{ what, fact string }{
		{"idle<nil>", "processor when idle"},
		{"idle<nil>", "resident memory a port"},
		{"cold start<nil>", peakName},
		{"warm start<nil>", peakName},
	} {
		if f := fact(t, results[judged.what], judged.fact); f.Bound == nil {
			t.Errorf("%s: nothing bounds %s", judged.what, f.Name)
		}
	}
}

// A port costs the same on each other host of its network, however many there are, and no more
// on its own.
func TestSpanFacts(t *testing.T) {
	smallest := portCost{hosts: 2, mods: 15, own: 12, least: 3, most: 3}
	tests := []struct {
		name   string
		hosts  int
		rounds []portCost
		missed []string
	}{
		{"the smallest", 2, []portCost{smallest, smallest}, nil},
		{"ten hosts", 10, []portCost{{10, 39, 12, 3, 3}, {10, 39, 12, 3, 3}}, nil},
		{"too many to flood", 1000, []portCost{{1000, 3007, 10, 3, 3}}, nil},
		{"a host without the network", 10, []portCost{{11, 42, 12, 3, 3}}, []string{"hosts that got flow mods", "flow mods"}},
		{"more at home", 10, []portCost{{10, 49, 22, 3, 3}}, []string{"flow mods on the port's own host"}},
		{"more elsewhere", 10, []portCost{{10, 48, 12, 4, 4}}, []string{"flow mods", "flow mods on each other host"}},
		{"more on one", 10, []portCost{{10, 40, 12, 3, 4}}, []string{"flow mods", "flow mods on each other host"}},
		{"more in a later round", 10, []portCost{{10, 39, 12, 3, 3}, {10, 48, 12, 4, 4}}, []string{"ports that cost other flow mods"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var missed []string
			for _, f := range spanFacts(tt.hosts, tt.rounds, smallest) {
				if !f.Bound.Holds(f.Value) {
					missed = append(missed, f.Name)
				}
			}
			if diff := cmp.Diff(tt.missed, missed); diff != "" {
				t.Errorf("missed (-want +got):\n%s", diff)
			}
		})
	}
}

// Four hosts' flows at one time are nothing beside a thousand's. All of them, or half, in as few
// bytes as a flow mod can have, are.
func TestPeakFact(t *testing.T) {
	const empty, flows = 35 << 20, 7_800_000
	f := &fleetRun{fleet: newFleet(FleetSize{Hosts: 1000, Tenants: 10_000, Ports: 100_000}), empty: empty}
	kept := empty + bytesOfPort*float64(len(f.ports))
	for atOnce, holds := range map[float64]bool{0: true, flows * 4 / 1000: true, flows / 2: false, flows: false} {
		if got := f.peakFact(kept+56*atOnce, flows); got.Bound.Holds(got.Value) != holds {
			t.Errorf("with %v flows held at once: %s: %v, bound %s", atOnce, got.Name, got.Value, got.Bound)
		}
	}
}
