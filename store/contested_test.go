package store

import (
	"net/netip"
	"testing"
)

// Compiling asks of each port whether it is contested: the answer "no" must cost no memory.
func TestContestedIsCheap(t *testing.T) {
	s := NewState()
	key := PortKey("h1", "alice", "default", "a1")
	s.Apply(Batch{Revision: 1, Events: []Event{{Key: key, Created: 1, Object: &Port{
		Number: 1, MAC: MAC{2}, Interface: "sl-a", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.5/24"), netip.MustParsePrefix("fd00::5/64")},
	}}}})
	port := s.Port(key)
	if n := testing.AllocsPerRun(100, func() { s.ContestedPort(port) }); n > 0 {
		t.Errorf("ContestedPort allocates %v times", n)
	}
}
