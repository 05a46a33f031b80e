package host

import (
	"maps"
	"testing"

	"sluice/store"
)

// with is a state in which h1 has ports with these interfaces.
func with(interfaces ...string) *store.State {
	s := store.NewState()
	b := store.Batch{Revision: 9, Events: []store.Event{
		{Key: store.TenantKey("alice"), Object: &store.Tenant{Number: 1}, Created: 1, Modified: 1},
		{Key: store.NetworkKey("alice", "db"), Object: &store.Network{Number: 1, Segment: 1}, Created: 1, Modified: 1},
		{Key: store.HostKey("h1"), Object: &store.Host{DatapathID: 1}, Created: 1, Modified: 1},
	}}
	for i, name := range interfaces {
		n := byte(i + 1)
		b.Events = append(b.Events, store.Event{Key: store.PortKey("h1", "alice", "db", name), Object: &store.Port{Number: uint32(n), MAC: store.MAC{2, n}, Interface: "sl-" + name}, Created: 2, Modified: 2})
	}
	s.Apply(b)
	return s
}

// An interface keeps the number that it has now, one that is gone gets the next after all of them, the same in both states, and
// numbers that are no ports count for nothing.
func TestSwitchOfThePast(t *testing.T) {
	h := &Host{Name: "h1"}
	h.SetPorts(map[string]uint32{store.TunnelInterface: 1, store.ResolverInterface: 2, "sl-a": 7, "sl-new": 9, "br-int": 0xfffffffe})
	sw, gone := h.SwitchOf(with("a", "c"), with("b", "a", "c"))
	want := map[string]uint32{store.TunnelInterface: 1, store.ResolverInterface: 2, "sl-a": 7, "sl-new": 9, "br-int": 0xfffffffe, "sl-c": 10, "sl-b": 11}
	if sw.Host != "h1" || gone != 2 || !maps.Equal(sw.OFPort, want) {
		t.Errorf("%d are gone: %v, not %v", gone, sw.OFPort, want)
	}
	if h.PortIs("sl-b", 3); sw.OFPort["sl-b"] != 11 {
		t.Error("the switch of the past changes with that of now")
	}
	then, gone := SwitchThen("h1", with("a"))
	if want := map[string]uint32{store.TunnelInterface: 1, store.ResolverInterface: 2, "sl-a": 3}; gone != 3 || !maps.Equal(then.OFPort, want) {
		t.Errorf("of a host that is gone %d are given: %v", gone, then.OFPort)
	}
}
