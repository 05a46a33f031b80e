package flows

import (
	"net/netip"

	"sluice/store"
)

// This file refuses what no API would have stored but a hand edit can: a number, MAC,
// address or interface that would make a flow match more than its object owns. Such an
// object compiles to nothing and is a problem.

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
	case v.Segmentation == store.SegmentationVLAN && store.ValidateVLAN(v.Segment) != nil:
		return invalid(n.Key, "%v", store.ValidateVLAN(v.Segment))
	}
	return c.state.ContestedNetwork(n)
}

// hostsOwn reports whether an interface is one that a host has of its own.
func hostsOwn(s *store.State, host, iface string) bool {
	_, probes := store.ProbedHash(iface)
	return probes || isTrunk(s, host, iface) || iface == store.TunnelInterface || iface == store.GatewayInterface || iface == store.ResolverInterface
}

// portProblems does the same for a port.
func (c *compiler) portProblems(p *store.Item[store.Port]) []store.Problem {
	if p.Value.Number == 0 || p.Value.Number >= resolverPort {
		return invalid(p.Key, "number %d is reserved", p.Value.Number)
	}
	if i := p.Value.Interface; hostsOwn(c.state, p.Key.Host, i) {
		return invalid(p.Key, "interface %s is the host's own", i)
	}
	if t := c.state.Tenant(p.Key.Tenant); t != nil && !t.Value.MayUse(p.Key.Host) {
		return []store.Problem{store.LeftOut(p.Key, "tenant %s may not use host %s: delete the port, or let the tenant use the host",
			p.Key.Tenant, p.Key.Host)}
	}
	if err := store.ValidateMAC(p.Value.MAC); err != nil {
		return invalid(p.Key, "%v", err)
	}
	for _, a := range p.Value.Addresses {
		if !c.mayHave(p, a.Addr()) {
			return invalid(p.Key, "address %s is none that its network has for ports", a)
		}
	}
	for _, pair := range p.Value.AllowedPairs {
		if !pair.Prefix.IsValid() || !pair.MAC.IsZero() && store.ValidateMAC(pair.MAC) != nil {
			return invalid(p.Key, "allowed pair %s %s is not an address that a port can have", pair.MAC, pair.Prefix)
		}
		if transit := c.state.Transit().Prefix; transit.Overlaps(pair.Prefix) {
			return invalid(p.Key, "allowed pair %s overlaps the transit range %s, whose addresses tenants have between switch and kernel", pair.Prefix, transit)
		}
	}
	return c.state.ContestedPort(p)
}

// mayHave reports whether a port may have an address: one of a subnet of its network that
// stands, not the router's, or the link-local one of its own MAC.
func (c *compiler) mayHave(p *store.Item[store.Port], a netip.Addr) bool {
	n := c.state.Network(p.Key.NetworkName())
	if n == nil || a == p.Value.MAC.LinkLocal() {
		return a.IsValid()
	}
	for i, s := range n.Value.Subnets {
		if s.Offers(a) && c.stands(n, i) {
			return true
		}
	}
	return false
}

func invalid(key store.Key, format string, args ...any) []store.Problem {
	return []store.Problem{store.LeftOut(key, format+": delete it and create it anew", args...)}
}

// validVTEP reports whether a tunnel address is one: the zero address would match every
// tunnel of the other family.
func validVTEP(a netip.Addr) bool { return a.IsValid() && !a.IsUnspecified() }
