package store

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

func TestSpaces(t *testing.T) {
	subnet := Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/29"), Gateway: netip.MustParseAddr("10.0.0.3")}
	for name, tc := range map[string]struct {
		space Space
		want  []string // by offset
	}{
		"numbers":   {Numbers(3), []string{"1", "2", "3"}},
		"addresses": {Addresses(subnet, nil), []string{"10.0.0.1", "10.0.0.2", "", "10.0.0.4", "10.0.0.5", "10.0.0.6"}},
	} {
		if tc.space.Count != uint64(len(tc.want)) {
			t.Errorf("%s: %d, want %d", name, tc.space.Count, len(tc.want))
		}
		for offset, want := range tc.want {
			if got := tc.space.At(uint64(offset)); got != want {
				t.Errorf("%s at %d: %q, want %q", name, offset, got, want)
			}
		}
	}
}

func TestMACSpace(t *testing.T) {
	s, drawn := MACs(), map[string]bool{}
	offsets := []uint64{0, 1, s.Count - 1, s.Count / 2}
	for range 1000 {
		offsets = append(offsets, rand.Uint64N(s.Count))
	}
	for _, offset := range offsets {
		text := s.At(offset)
		if text == "" { // of the reserved block, which 256 of 2^46 are in
			t.Errorf("none at %d", offset)
			continue
		}
		m, err := ParseMAC(text)
		if err != nil || ValidateMAC(m) != nil || m[0]&3 != 2 {
			t.Errorf("at %d: %s", offset, text)
		}
		if drawn[text] {
			t.Errorf("%s comes at %d and before", text, offset)
		}
		drawn[text] = true
	}
	if got := s.At(RouterMAC.Uint64() & (1<<40 - 1)); got != "" {
		t.Errorf("the router's MAC is to be had: %s", got)
	}
}
