package flows

import (
	"fmt"
	"net/netip"
	"slices"

	"sluice/store"
)

// This file refuses what no API would have stored but a hand edit can: a number, MAC or
// address that would make a flow match more than its object owns. Such an object compiles
// to nothing and is a problem.

// tenantProblems says why a tenant cannot be programmed; it is nil for nearly every one.
func (c *compiler) tenantProblems(t *store.Item[store.Tenant]) []store.Problem {
	if n := t.Value.Number; n < 1 || n > store.MaxTenantNumber {
		return invalid(t.Key, "number %d is not between 1 and %d", n, store.MaxTenantNumber)
	}
	return c.state.ContestedTenant(t)
}

// networkProblems does the same for a network; a bad subnet is its own problem.
func (c *compiler) networkProblems(n *store.Item[store.Network]) []store.Problem {
	switch v := n.Value; {
	case v.Number < 1 || v.Number > store.MaxNetworkNumber:
		return invalid(n.Key, "number %d is not between 1 and %d", v.Number, store.MaxNetworkNumber)
	case v.Segmentation == store.SegmentationVLAN && (v.Segment < 1 || v.Segment > store.MaxVLAN):
		return invalid(n.Key, "VLAN id %d is not between 1 and %d", v.Segment, store.MaxVLAN)
	}
	return c.state.ContestedNetwork(n)
}

// portProblems does the same for a port.
func (c *compiler) portProblems(p *store.Item[store.Port]) []store.Problem {
	if p.Value.Number == 0 || p.Value.Number == gatewayPort {
		return invalid(p.Key, "number %d is reserved", p.Value.Number)
	}
	if !usable(p.Value.MAC) {
		return invalid(p.Key, "MAC %s cannot be a port's", p.Value.MAC)
	}
	for _, a := range p.Value.Addresses {
		if !a.IsValid() {
			return invalid(p.Key, "it has an empty address")
		}
	}
	for _, pair := range p.Value.AllowedPairs {
		if !pair.Prefix.IsValid() || !pair.MAC.IsZero() && !usable(pair.MAC) {
			return invalid(p.Key, "allowed pair %s %s is not an address that a port can have", pair.MAC, pair.Prefix)
		}
	}
	return c.state.ContestedPort(p)
}

func invalid(key store.Key, format string, args ...any) []store.Problem {
	return []store.Problem{{Object: key.Short(), Text: fmt.Sprintf(format, args...) + ": delete it and create it anew"}}
}

// usable tells whether a MAC can be a container's: one of its own, not the router's.
func usable(mac store.MAC) bool {
	reserved := []store.MAC{store.RouterMAC, store.HandOverMAC, store.BounceMAC, store.KernelMAC}
	return !mac.IsZero() && !mac.IsMulticast() && !slices.Contains(reserved, mac)
}

// validSubnet tells whether the router has an address in the subnet.
func validSubnet(s store.Subnet) bool {
	return s.Prefix.IsValid() && s.Gateway.IsValid() && s.Prefix.Contains(s.Gateway)
}

// validVTEP tells whether a tunnel address is one: the zero address would match every
// tunnel of the other family.
func validVTEP(a netip.Addr) bool { return a.IsValid() && !a.IsUnspecified() }
