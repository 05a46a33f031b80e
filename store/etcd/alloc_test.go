package etcd

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"testing"

	"sluice/store"
)

func TestSpaces(t *testing.T) {
	subnet := store.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/29"), Gateway: netip.MustParseAddr("10.0.0.3")}
	for name, tc := range map[string]struct {
		space space
		want  []string // by offset
	}{
		"numbers":   {number(3), []string{"1", "2", "3"}},
		"addresses": {addresses(subnet), []string{"10.0.0.1", "10.0.0.2", "", "10.0.0.4", "10.0.0.5", "10.0.0.6"}},
	} {
		if tc.space.count != uint64(len(tc.want)) {
			t.Errorf("%s: %d, want %d", name, tc.space.count, len(tc.want))
		}
		for offset, want := range tc.want {
			if got := tc.space.at(uint64(offset)); got != want {
				t.Errorf("%s at %d: %q, want %q", name, offset, got, want)
			}
		}
	}
}

func TestMACSpace(t *testing.T) {
	s, seen := macs(), map[string]string{}
	offsets := []uint64{0, 1, s.count - 1, s.count / 2}
	for range 1000 {
		offsets = append(offsets, rand.Uint64N(s.count))
	}
	for _, offset := range offsets {
		text := s.at(offset)
		if text == "" { // the reserved block
			continue
		}
		m, err := store.ParseMAC(text)
		if err != nil || store.ValidateMAC(m) != nil || m[0]&3 != 2 {
			t.Errorf("at %d: %s", offset, text)
		}
		unique(t, seen, text, fmt.Sprint(offset))
	}
	if got := s.at(store.RouterMAC.Uint64() & (1<<40 - 1)); got != "" {
		t.Errorf("the router's MAC is to be had: %s", got)
	}
}

// However full a space is, its free values are found, and no other.
func TestChooseFindsTheFree(t *testing.T) {
	for free := range 50 {
		taken := map[string]bool{}
		for n := range 50 {
			if n != free {
				taken[strconv.Itoa(n+1)] = true
			}
		}
		a := chosen(allocVLANs, store.TenantKey("alice"), fmt.Sprint("seed", free), number(50), nil)
		if !a.choose(taken) || a.value != strconv.Itoa(free+1) {
			t.Errorf("chosen %s, free is %d", a.value, free+1)
		}
		taken[a.value] = true
		if a.choose(taken) {
			t.Errorf("chosen %s of nothing", a.value)
		}
	}
}

func BenchmarkCreatePort(b *testing.B) {
	c := start(b)
	host := register(b, c, "h1")
	createTenant(b, c, TenantSpec{Name: "alice", Subnets: prefixes("10.0.0.0/8")})
	ctx, n := b.Context(), 0
	for b.Loop() {
		spec := portSpec("h1", "alice", fmt.Sprintf("p%d", n))
		spec.HostCreated = host
		if _, err := c.CreatePort(ctx, spec); err != nil {
			b.Fatal(err)
		}
		n++
	}
}
