package account

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// accountingFlow is a real counting flow: the first that a present tenant compiles to.
func accountingFlow(t *testing.T) (openflow.Flow, flows.Class) {
	t.Helper()
	s := store.NewState()
	network := store.NetworkName{Tenant: "alice", Network: "default"}
	s.Apply(store.Batch{Revision: 10, Events: []store.Event{
		{Key: store.HostKey("h1"), Object: &store.Host{DatapathID: 1, Gateway: true}, Created: 7, Modified: 7},
		{Key: store.TenantKey("alice"), Object: &store.Tenant{Number: 2}, Created: 8, Modified: 8},
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

// Several counts make up a class. One that begins at 0 again leaves what it said, and the others go on.
func TestRetire(t *testing.T) {
	class := flows.Class{Tenant: 2, Scope: flows.ScopePort, Reason: "rate"}
	a := NewLedger()
	a.Load(nil)
	a.Count(class, Sum{30, 3000}) // two meters: 20 and 10
	if a.save(everybody) == nil {
		t.Fatal("nothing moved")
	}
	a.Retire(class, Sum{20, 2000})
	if !a.isDirty() {
		t.Error("what a meter said when it ended is not written")
	}
	for _, step := range []struct{ now, want uint64 }{{10, 30}, {15, 35}, {15, 35}, {16, 36}} {
		a.Count(class, Sum{step.now, 100 * step.now})
		if got, want := a.Total(class), (Sum{step.want, 100 * step.want}); got != want {
			t.Errorf("at %d: counts %v, want %v", step.now, got, want)
		}
	}
	a.Retire(class, Sum{50, 5}) // more than was counted: it is none of this sum
	if got, want := a.Total(class), (Sum{36, 3600}); got != want {
		t.Errorf("counts %v, want %v", got, want)
	}
	totals := map[flows.Class]Sum{}
	a.Count(flows.Class{Tenant: 2, Reason: "rate"}, Sum{4, 400})
	a.AddTo(totals)
	if diff := cmp.Diff(map[flows.Class]Sum{{Tenant: 2, Reason: "rate"}: {40, 4000}}, totals); diff != "" {
		t.Errorf("a port's drops count with the tenant's: -want +got\n%s", diff)
	}
}

func everybody(uint32) bool { return true }

// Sums never go back and lose nothing, whatever becomes of the flow that counts.
func TestAccountsSurviveTheirFlows(t *testing.T) {
	flow, class := accountingFlow(t)
	a := NewLedger()
	a.Load(&store.StatusCounters{})
	aged := func(seconds uint32, packets uint64) *openflow.FlowStats {
		return &openflow.FlowStats{Flow: flow, Packets: packets, Bytes: 100 * packets, Seconds: seconds}
	}
	stats := func(packets uint64) *openflow.FlowStats {
		return &openflow.FlowStats{Flow: flow, Packets: packets, Bytes: 100 * packets}
	}
	steps := []struct {
		what string
		do   func()
		want uint64
	}{
		{"read", func() { a.Read(stats(10)) }, 10},
		{"read again, unchanged", func() { a.Read(stats(10)) }, 10},
		{"grown", func() { a.Read(stats(25)) }, 25},
		{"removed, having counted more", func() { a.Removed(stats(30)) }, 30},
		{"installed anew", func() { a.Read(stats(2)) }, 32},
		{"replaced: what the former counted may yet be told", func() { a.Read(stats(1)) }, 32},
		{"it was not told: the new one counts from zero", func() { a.Read(stats(1)) }, 33},
		{"replaced again", func() { a.Read(stats(0)) }, 33},
		{"and told, late, what the former counted in the end", func() { a.Removed(stats(2)) }, 34},
		{"the new one counts from zero", func() { a.Read(stats(0)) }, 34},
		{"and on", func() { a.Read(stats(1)) }, 35},
		{"claimed again, nobody having counted meanwhile", func() { reload(a); a.Removed(stats(2)); a.Load(a.saved); a.Read(stats(0)) }, 36},
		{"read", func() { a.Read(stats(1)) }, 37},
		{"saved and loaded by the next controller", func() { a = reload(a) }, 37},
		{"replaced by one that counts fast", func() { a.Read(stats(0)) }, 37},
		{"it has counted more than the former when it is read again", func() { a.Read(stats(50)) }, 87},
		{"saved and loaded again", func() { a = reload(a) }, 87},
		{"replaced without a word", func() { a.Read(stats(0)); a.Read(stats(1)) }, 88},
		{"which reads the same flow", func() { a.Read(stats(4)) }, 91},
		{"as old as it is", func() { a.Read(aged(100, 4)) }, 91},
		{"one that is younger has counted more: which of the two is not told yet", func() { a.Read(aged(1, 10)) }, 91},
		{"no word came", func() { a.Read(aged(2, 12)) }, 103},
		{"it grows older", func() { a.Read(aged(3, 13)) }, 104},
		{"another, of which a word came", func() { a.Read(aged(1, 14)); a.Removed(aged(4, 14)) }, 105},
		{"it is read", func() { a.Read(aged(2, 15)) }, 120},
		{"and on", func() { a.Read(aged(3, 16)) }, 121},
		{"saved and loaded, it begins with the age that is read", func() { a = reload(a); a.Read(aged(2, 16)) }, 121},
		{"the writing was not confirmed, and yet etcd has it", func() {
			a.dirty = true
			saved := a.save(everybody)
			a.Removed(aged(3, 17))
			a.unsaved()
			a.save(everybody)
			a.unsaved()
			a.Load(saved)
		}, 122},
		{"saved, then reset while nobody looked", func() { a = reload(a); a.Read(stats(0)); a.Read(stats(0)) }, 122},
	}
	for _, step := range steps {
		step.do()
		totals := map[flows.Class]Sum{}
		a.AddTo(totals)
		if got := totals[class]; got != (Sum{step.want, 100 * step.want}) {
			t.Errorf("%s: %+v, want %d packets", step.what, got, step.want)
		}
	}
}

func reload(a *Ledger) *Ledger {
	a.dirty = true
	saved := a.save(func(uint32) bool { return true })
	b := NewLedger()
	b.Load(saved)
	return b
}

func TestSavedOnlyWhenMovedAndWhileTheTenantExists(t *testing.T) {
	flow, _ := accountingFlow(t)
	a := NewLedger()
	a.Load(&store.StatusCounters{})
	a.Read(&openflow.FlowStats{Flow: flow, Packets: 1, Bytes: 60})
	exists := func(uint32) bool { return true }
	if saved := a.save(exists); saved == nil || len(saved.Counters) != 1 {
		t.Fatalf("moved counters were not saved: %+v", saved)
	}
	if saved := a.save(exists); saved != nil {
		t.Errorf("saved again though nothing moved: %+v", saved)
	}
	a.Read(&openflow.FlowStats{Flow: flow, Packets: 2, Bytes: 120})
	if saved := a.save(func(uint32) bool { return false }); len(saved.Counters) != 0 {
		t.Errorf("a tenant that is gone was saved: %+v", saved)
	}
}

func TestSumsAdd(t *testing.T) {
	s := Sum{Packets: 3, Bytes: 100}
	s.Add(Sum{Packets: 4, Bytes: 11})
	if s != (Sum{Packets: 7, Bytes: 111}) {
		t.Errorf("the sum is %+v", s)
	}
}

// Nothing is saved of a ledger whose checkpoint was not read: it would overwrite what is there.
func TestNotSavedBeforeItWasLoaded(t *testing.T) {
	flow, _ := accountingFlow(t)
	a := NewLedger()
	a.Read(&openflow.FlowStats{Flow: flow, Packets: 1})
	if saved := a.save(func(uint32) bool { return true }); saved != nil {
		t.Errorf("saved %+v", saved)
	}
}

// A checkpoint lists sums in one order, and none that is zero.
func TestCheckpointIsSorted(t *testing.T) {
	want := []store.Counter{
		{Tenant: 0, Reason: "a", Packets: 1},
		{Tenant: 0, Reason: "b", Packets: 1},
		{Tenant: 1, Direction: "in", Scope: "egress", Packets: 1},
		{Tenant: 1, Direction: "in", Scope: "internal", LastPackets: 1, LastBytes: 60},
		{Tenant: 1, Direction: "out", Scope: "egress", Packets: 1, Bytes: 2, LastPackets: 3, LastBytes: 4},
		{Tenant: 1, Direction: "out", Scope: "internal", Bytes: 1},
		{Tenant: 2, Direction: "in", Scope: "egress", Packets: 1},
		{Tenant: 3, Direction: "in", Scope: "egress", Packets: 1},
	}
	a := NewLedger()
	a.Load(&store.StatusCounters{Counters: append([]store.Counter{{Tenant: 9, Reason: "a"}}, want...)})
	a.dirty = true
	if diff := cmp.Diff(want, a.save(func(uint32) bool { return true }).Counters); diff != "" {
		t.Errorf("saved (-want +got):\n%s", diff)
	}
}

// Flows that count nothing are passed over.
func TestOtherFlowsDoNotCount(t *testing.T) {
	flow, class := accountingFlow(t)
	other := &openflow.FlowStats{Flow: openflow.Flow{Table: 0}, Packets: 1}
	a := NewLedger()
	a.Load(nil)
	a.Read(other)
	if a.Removed(other) || Counts(other.Flow) || !Counts(flow) || a.isDirty() {
		t.Error("a flow of table 0 counts, or an accounting flow does not")
	}
	if !a.Removed(&openflow.FlowStats{Flow: flow, Packets: 1}) || !a.isUrgent() {
		t.Error("the last word of an accounting flow does not matter")
	}
	totals := map[flows.Class]Sum{class: {Packets: 10, Bytes: 5}}
	a.AddTo(totals)
	if want := map[flows.Class]Sum{class: {Packets: 11, Bytes: 5}}; !cmp.Equal(want, totals) {
		t.Errorf("the totals are %v, want %v", totals, want)
	}
}

// What was counted, in packets or in bytes, is to be saved; nothing else is.
func TestDirty(t *testing.T) {
	flow, _ := accountingFlow(t)
	a := NewLedger()
	a.Load(nil)
	for _, step := range []struct {
		what           string
		packets, bytes uint64
		dirty          bool
		total          Sum
	}{
		{"nothing yet", 0, 0, false, Sum{}},
		{"a packet", 1, 60, true, Sum{1, 60}},
		{"the same again", 1, 60, false, Sum{1, 60}},
		{"more bytes", 1, 61, true, Sum{1, 61}},
		{"fewer bytes, of a flow that replaced it", 1, 30, false, Sum{1, 61}},
		{"and no word of the former one", 1, 30, true, Sum{2, 91}},
	} {
		a.Read(&openflow.FlowStats{Flow: flow, Packets: step.packets, Bytes: step.bytes})
		if a.isDirty() != step.dirty || a.isUrgent() {
			t.Errorf("%s: dirty %v, urgent %v", step.what, a.isDirty(), a.isUrgent())
		}
		_, class := accountingFlow(t)
		totals := map[flows.Class]Sum{}
		a.AddTo(totals)
		if totals[class] != step.total {
			t.Errorf("%s: %+v, want %+v", step.what, totals[class], step.total)
		}
		a.save(func(uint32) bool { return true })
	}
	a.unsaved()
	if !a.isDirty() || !a.isUrgent() {
		t.Error("what could not be saved is forgotten")
	}
	a.Load(&store.StatusCounters{Counters: []store.Counter{{Tenant: 5, Reason: "spoofed", Packets: 1}}})
	if a.isDirty() || a.isUrgent() {
		t.Error("what another controller counted is to be saved again")
	}
}
