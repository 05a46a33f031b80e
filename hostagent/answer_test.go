package hostagent

import (
	"net/netip"
	"slices"
	"testing"

	"sluice/store"
)

func TestGatewaysFor(t *testing.T) {
	subnet := func(prefix, gateway string) store.Subnet {
		s := store.Subnet{Prefix: netip.MustParsePrefix(prefix)}
		if gateway != "" {
			s.Gateway = netip.MustParseAddr(gateway)
		}
		return s
	}
	n := &store.Network{Subnets: []store.Subnet{
		subnet("10.9.0.0/24", "10.9.0.1"), subnet("10.8.0.0/24", ""), subnet("10.0.0.0/24", "10.0.0.1"),
		subnet("10.1.0.0/24", "10.1.0.1"), subnet("fd00::/64", "fd00::1"), subnet("fd01::/64", "fd01::1"),
	}}
	for _, c := range []struct{ addresses, want []string }{
		{nil, nil},
		{[]string{"10.0.0.5/24"}, []string{"10.0.0.1"}},
		{[]string{"10.8.0.5/24"}, nil}, // a subnet without a router
		{[]string{"10.8.0.5/24", "10.1.0.5/24", "10.0.0.5/24"}, []string{"10.1.0.1"}},
		{[]string{"fd01::5/64", "10.0.0.5/24", "fd00::5/64"}, []string{"fd01::1", "10.0.0.1"}},
	} {
		var got []string
		for _, g := range gatewaysFor(n, prefixes(c.addresses...)) {
			got = append(got, g.String())
		}
		if !slices.Equal(c.want, got) {
			t.Errorf("addresses %v: gateways %v, want %v", c.addresses, got, c.want)
		}
	}
}
