package flows

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// Two flows with one match are a problem of either owner, under the key of what its slice serves.
func TestDoubled(t *testing.T) {
	s := manyTenants(2)
	port, network := store.PortKey("h1", "t0", "default", "p0"), store.NetworkKey("t1", "default")
	text := func(one, other string) string {
		return "a flow of " + one + " in table forward of host h1 has the match of a flow of " + other + ": delete one of the two"
	}
	for _, tt := range []struct {
		left, first Slice
		want        []store.Problem
	}{
		{portSlice(1, 1), networkSlice(2, 2), []store.Problem{
			{Key: port, Object: port.Short(), Text: text("port t0/default/p0", "network t1/default"), LeavesOut: store.LeavesOutPorts},
			{Key: network, Object: network.Short(), Text: text("network t1/default", "port t0/default/p0")}}},
		{peerSlice("h2"), 0xabc, []store.Problem{
			{Key: store.HostKey("h1"), Object: "hosts/h1", Text: text("peer h2", "unknown 0xabc"), LeavesOut: store.LeavesOutPorts},
			{Object: "unknown 0xabc", Text: text("unknown 0xabc", "peer h2")}}},
	} {
		got := Doubled(s, "h1", &of.Flow{Table: tableForward, Cookie: uint64(tt.left)}, tt.first)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("slice %#x behind %#x (-want +got):\n%s", uint64(tt.left), uint64(tt.first), diff)
		}
	}
}

// Of two ports whose interfaces have one OpenFlow number, as no switch shows them, one has the
// match. Both are told, and the other flows of both stand.
func TestDesiredTellsOfDoubles(t *testing.T) {
	s := manyTenants(2)
	sw := switchOf(s, "h1")
	apart, _ := Desired(s, sw)
	sw.OFPort["sl-1-0"] = sw.OFPort["sl-0-0"]
	list, problems := Desired(s, sw)
	if len(list) != len(apart)-1 {
		t.Errorf("%d flows, want one less than %d", len(list), len(apart))
	}
	var keys []store.Key
	for _, p := range problems {
		keys = append(keys, p.Key)
	}
	want := []store.Key{store.PortKey("h1", "t1", "default", "p0"), store.PortKey("h1", "t0", "default", "p0")}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// What cannot be read is an error that names it.
func TestCompareUnreadable(t *testing.T) {
	if _, err := Compare([]of.Flow{{Table: 3, Unknown: "\x00"}}, nil); err == nil {
		t.Error("an installed flow that cannot be read is no error")
	}
}
