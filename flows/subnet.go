package flows

import (
	"fmt"
	"net/netip"
	"slices"

	"sluice/store"
)

// This file says which subnets stand. One overlaps another of its tenant only after a hand
// edit; then that of the older network stands, and in one network the earlier of the list.

// stands reports whether a network's subnet is programmed.
func (c *compiler) stands(n *store.Item[store.Network], at int) bool {
	if !validSubnet(n.Value.Subnets[at]) {
		return false
	}
	holder, _ := c.overlapped(n, at)
	return holder == nil
}

// subnetProblem says why a subnet does not stand, or nothing where it does.
func (c *compiler) subnetProblem(n *store.Item[store.Network], at int) string {
	subnet := n.Value.Subnets[at]
	switch {
	case !hasRouter(subnet):
		return fmt.Sprintf("subnet %s has no router at %s: set its gateway to an address in it", subnet.Prefix, subnet.Gateway)
	case !validSubnet(subnet):
		return fmt.Sprintf("subnet %s overlaps %s, the link-local range: delete it", subnet.Prefix, linkLocal)
	}
	if holder, prefix := c.overlapped(n, at); holder != nil {
		return fmt.Sprintf("subnet %s overlaps subnet %s of network %s, which is older: delete one of the two",
			subnet.Prefix, prefix, holder.Key.NetworkName())
	}
	return ""
}

// overlapped is the network and subnet that stand in the way of a valid subnet; nil: none.
func (c *compiler) overlapped(n *store.Item[store.Network], at int) (*store.Item[store.Network], netip.Prefix) {
	prefix := n.Value.Subnets[at].Prefix
	for other := range c.state.NetworksOf(n.Key.Tenant) {
		subnets := other.Value.Subnets
		switch {
		case other.Key == n.Key:
			subnets = subnets[:at]
		case !other.Older(n):
			continue
		}
		for _, s := range subnets {
			if validSubnet(s) && s.Prefix.Overlaps(prefix) {
				return other, s.Prefix
			}
		}
	}
	return nil, netip.Prefix{}
}

// overlapping calls f for the tenant's other networks whose subnets overlap what a network
// had or has: only one of two such stands.
func (m marker) overlapping(c store.Change, f func(*store.Item[store.Network])) {
	for other := range m.state.NetworksOf(c.Key.Tenant) {
		overlaps := false
		sides(c, func(n *store.Network) { overlaps = overlaps || overlap(other.Value, n) })
		if overlaps && other.Key != c.Key {
			f(other)
		}
	}
}

func overlap(n, other *store.Network) bool {
	return slices.ContainsFunc(n.Subnets, func(s store.Subnet) bool {
		return slices.ContainsFunc(other.Subnets, func(t store.Subnet) bool { return s.Prefix.Overlaps(t.Prefix) })
	})
}

func sameSubnets(a, b *store.Network) bool { return slices.Equal(a.Subnets, b.Subnets) }

// linkLocal holds what every port has besides, made of its MAC.
var linkLocal = netip.MustParsePrefix("fe80::/10")

// validSubnet reports whether a network can have the subnet.
func validSubnet(s store.Subnet) bool { return hasRouter(s) && !s.Prefix.Overlaps(linkLocal) }

// hasRouter reports whether the router has an address in the subnet.
func hasRouter(s store.Subnet) bool {
	return s.Prefix.IsValid() && s.Gateway.IsValid() && s.Prefix.Contains(s.Gateway)
}
