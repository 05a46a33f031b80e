package store

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is told has those that use something, by their numbers.
func TestUsageOf(t *testing.T) {
	used := map[uint32]Used{9: {Connections: 1}, 3: {NewPortsRefused: 2}, 5: {}, 7: {KernelConnections: 3}}
	got := UsageOf(used)
	want := Usage{Tenants: []TenantUsage{{3, used[3]}, {7, used[7]}, {9, used[9]}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got.Of(7) != used[7] || got.Of(5) != (Used{}) || got.Of(8) != (Used{}) {
		t.Errorf("of 7, 5 and 8: %+v, %+v, %+v", got.Of(7), got.Of(5), got.Of(8))
	}
}

// Where there are too many tenants for one key, those stay whose sums must not go back, then those with the most connections.
func TestUsageOfTooMany(t *testing.T) {
	const more = 3
	used := map[uint32]Used{}
	for n := range uint32(MaxTenantsUsing + more) {
		used[n+1] = Used{Connections: int(n) + 1}
	}
	for n, u := range map[uint32]Used{1: {KernelDrops: 1}, 2: {PortsRefused: 1}, 3: {NewPortsRefused: 1}, 4: {KernelConnections: MaxTenantsUsing}} {
		used[n] = u
	}
	got := UsageOf(used)
	if len(got.Tenants) != MaxTenantsUsing || got.Omitted != more {
		t.Errorf("%d tenants, %d left out", len(got.Tenants), got.Omitted)
	}
	for n, kept := range map[uint32]bool{1: true, 2: true, 3: true, 4: true, 5: false, 6: false, 7: false, 8: true} {
		if is := got.Of(n) != (Used{}); is != kept {
			t.Errorf("tenant %d is told %v, want %v", n, is, kept)
		}
	}
	if b, err := Encode(&got); err != nil || len(b) > 1<<20 {
		t.Errorf("the key has %d bytes, %v", len(b), err)
	}
}

func TestUsedAdd(t *testing.T) {
	sum := Used{1, 2, 3, 4, 5, 6, Answers{7, 0, 0, 0, 8}}
	sum.Add(Used{10, 20, 30, 40, 50, 60, Answers{70, 90, 0, 0, 80}})
	if want := (Used{11, 22, 33, 44, 55, 66, Answers{77, 90, 0, 0, 88}}); sum != want {
		t.Errorf("%+v, want %+v", sum, want)
	}
}

// What was counted is what must not go back.
func TestCounted(t *testing.T) {
	if got, want := (Used{1, 2, 3, 4, 5, 6, Answers{7}}).Counted(), (Used{0, 0, 3, 4, 5, 6, Answers{7}}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// The number of a transit address is that of the tenant that has it.
func TestTransitNumber(t *testing.T) {
	for _, transit := range []Transit{DefaultTransit, {netip.MustParsePrefix("198.18.0.0/16")}} {
		for _, n := range []uint32{1, 255, 256, MaxSlot} {
			if got, ok := transit.Slot(transit.Address(n)); got != n || !ok {
				t.Errorf("%s: %s is of %d, %v; want %d", transit, transit.Address(n), got, ok, n)
			}
		}
		for _, a := range []netip.Addr{transit.Address(0), transit.Address(MaxSlot + 1), transit.Kernel(), {},
			netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:100.64.0.1")} {
			if got, ok := transit.Slot(a); ok {
				t.Errorf("%s: %s is of %d", transit, a, got)
			}
		}
	}
}
