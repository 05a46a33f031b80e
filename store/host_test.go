package store

import (
	"net/netip"
	"testing"
)

// A host's first tunnel address is the one that flows use.
func TestVTEP(t *testing.T) {
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for _, tc := range []struct {
		vteps []netip.Addr
		want  netip.Addr
	}{{nil, netip.Addr{}}, {[]netip.Addr{two}, two}, {[]netip.Addr{one, two}, one}} {
		if got := (&Host{VTEPs: tc.vteps}).VTEP(); got != tc.want {
			t.Errorf("of %v flows use %s", tc.vteps, got)
		}
	}
}

// Without a list of hosts a tenant may use all.
func TestMayUse(t *testing.T) {
	for _, tc := range []struct {
		hosts []string
		want  bool
	}{{nil, true}, {[]string{"h2"}, false}, {[]string{"h2", "h1"}, true}} {
		if got := (&Tenant{Hosts: tc.hosts}).MayUse("h1"); got != tc.want {
			t.Errorf("allowed on %v, may use h1: %v", tc.hosts, got)
		}
	}
}
