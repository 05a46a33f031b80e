package controller

import (
	"testing"

	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// accountingFlow is a real counting flow: the first that a present tenant compiles to.
func accountingFlow(t *testing.T) (openflow.Flow, flows.Class) {
	t.Helper()
	s := cluster(t, "host h1 gateway=true weight=1 live=true", "tenant alice auto")
	network := store.NetworkName{Tenant: "alice", Network: "default"}
	s.Apply(store.Batch{Revision: 10, Events: []store.Event{
		{Key: store.NetworkKey(network.Tenant, network.Network), Object: &store.Network{Number: 5, Segmentation: store.SegmentationTunnel, Segment: 5}, Created: 9, Modified: 9},
		{Key: store.PortKey("h1", network.Tenant, network.Network, "a1"), Object: &store.Port{Number: 7, MAC: store.MAC{2, 0, 0, 0, 0, 1}, Interface: "sl-a1"}, Created: 10, Modified: 10},
	}})
	var found *openflow.Flow
	desired, _ := flows.Desired(s, flows.Switch{Host: "h1", OFPort: map[string]uint32{"sl-a1": 1}})
	for i := range desired {
		if class, ok := flows.Account(&desired[i]); ok && class.Scope != "" && found == nil {
			found = &desired[i]
		}
	}
	if found == nil {
		t.Fatal("no accounting flow was compiled")
	}
	class, _ := flows.Account(found)
	return *found, class
}

// Sums never go back and lose nothing, whatever becomes of the flow that counts.
func TestAccountsSurviveTheirFlows(t *testing.T) {
	flow, class := accountingFlow(t)
	a := newAccounts()
	a.load(&store.StatusCounters{})
	stats := func(packets uint64) *openflow.FlowStats {
		return &openflow.FlowStats{Flow: flow, Packets: packets, Bytes: 100 * packets}
	}
	steps := []struct {
		what string
		do   func()
		want uint64
	}{
		{"read", func() { a.read(stats(10)) }, 10},
		{"read again, unchanged", func() { a.read(stats(10)) }, 10},
		{"grown", func() { a.read(stats(25)) }, 25},
		{"removed, having counted more", func() { a.removed(stats(30)) }, 30},
		{"installed anew", func() { a.read(stats(2)) }, 32},
		{"replaced: what the former counted may yet be told", func() { a.read(stats(1)) }, 32},
		{"it was not told: the new one counts from zero", func() { a.read(stats(1)) }, 33},
		{"replaced again", func() { a.read(stats(0)) }, 33},
		{"and told, late, what the former counted in the end", func() { a.removed(stats(2)) }, 34},
		{"the new one counts from zero", func() { a.read(stats(0)) }, 34},
		{"and on", func() { a.read(stats(1)) }, 35},
		{"claimed again, nobody having counted meanwhile", func() { reload(a); a.removed(stats(2)); a.load(a.saved); a.read(stats(0)) }, 36},
		{"read", func() { a.read(stats(1)) }, 37},
		{"saved and loaded by the next controller", func() { a = reload(a) }, 37},
		{"replaced by one that counts fast", func() { a.read(stats(0)) }, 37},
		{"it has counted more than the former when it is read again", func() { a.read(stats(50)) }, 87},
		{"saved and loaded again", func() { a = reload(a) }, 87},
		{"replaced without a word", func() { a.read(stats(0)); a.read(stats(1)) }, 88},
		{"which reads the same flow", func() { a.read(stats(4)) }, 91},
		{"saved, then reset while nobody looked", func() { a = reload(a); a.read(stats(0)); a.read(stats(0)) }, 91},
	}
	for _, step := range steps {
		step.do()
		totals := map[flows.Class]sum{}
		a.addTo(totals)
		if got := totals[class]; got != (sum{step.want, 100 * step.want}) {
			t.Errorf("%s: %+v, want %d packets", step.what, got, step.want)
		}
	}
}

func reload(a *accounts) *accounts {
	a.dirty = true
	saved := a.save(func(uint32) bool { return true })
	b := newAccounts()
	b.load(saved)
	return b
}

func TestSavedOnlyWhenMovedAndWhileTheTenantExists(t *testing.T) {
	flow, _ := accountingFlow(t)
	a := newAccounts()
	a.load(&store.StatusCounters{})
	a.read(&openflow.FlowStats{Flow: flow, Packets: 1, Bytes: 60})
	exists := func(uint32) bool { return true }
	if saved := a.save(exists); saved == nil || len(saved.Counters) != 1 {
		t.Fatalf("moved counters were not saved: %+v", saved)
	}
	if saved := a.save(exists); saved != nil {
		t.Errorf("saved again though nothing moved: %+v", saved)
	}
	a.read(&openflow.FlowStats{Flow: flow, Packets: 2, Bytes: 120})
	if saved := a.save(func(uint32) bool { return false }); len(saved.Counters) != 0 {
		t.Errorf("a tenant that is gone was saved: %+v", saved)
	}
}
