package flows

import (
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file lets frames between hosts of a tenant pass by its gateway host, where its topology is a star. Its gateway hosts
// relay: what came by tunnel from one host leaves by tunnel to another. The other hosts send there all that is for others.
// While a gateway moves there are several that relay. None sends back to where a frame came from.

// relays reports whether this host passes on what comes from other hosts of the tenant for others. Hosts that are
// no gateway hosts at all hold nothing that keeps a frame from going back.
func (c *compiler) relays(t *tenantAt) bool { return t.relay != "" && t.gateway && c.mayRelay() }

// mayRelay reports whether this host may be a gateway host of any tenant.
func (c *compiler) mayRelay() bool {
	own := c.state.Host(c.host)
	return own != nil && own.Value.Gateway
}

// starred reports whether what is sent here to other hosts goes by the active gateway host. Those that have a part in a
// move send straight: each of them may be the centre to others.
func (c *compiler) starred(t *tenantAt) bool {
	return t.relay == store.RelayOn && !slices.Contains(t.movers, c.host)
}

// away emits the way to a port on another host: straight there or, in a star, by the gateway host. What the kernel of a
// gateway host sends goes straight from there.
func (c *compiler) away(p *portAt) {
	t := &p.network.tenant
	to := []of.MatchField{p.network.match(), ethDst(p.Value.MAC)}
	if c.relays(t) {
		actions := slices.Concat(passedOn(), c.onward(p.vtep), []of.Action{goTo(tableEncap)})
		c.flow(stepForwardRelay, with(to, origin(originTunnel)), actions...)
	}
	starred := c.starred(t)
	if !starred || t.gateway {
		c.flow(stepForwardPort, match(to...), tunnelTo(p.vtep), goTo(tableAccountOut))
	}
	if !starred {
		return
	}
	switch centre := c.vtep(t.active); {
	case !centre.IsValid():
	case t.gateway: // a backup
		c.flow(stepForwardStar, with(to, origin(originPort)), tunnelTo(centre), goTo(tableAccountOut))
	default:
		c.flow(stepForwardPort, match(to...), tunnelTo(centre), goTo(tableAccountOut))
	}
}

// passedOn marks what is relayed, so that it may enter a tunnel again.
func passedOn() []of.Action {
	return []of.Action{load(regOrigin, originRelay), load(of.FieldInPort, noPort)}
}

// onward sends a frame that came by tunnel to a host. It still carries this host's own VTEP as the destination that it came
// to: where that is of the other family, it is taken off, since a frame with two destinations goes nowhere.
func (c *compiler) onward(vtep netip.Addr) []of.Action {
	if own := c.vtep(c.host); own.IsValid() && own.Is4() != vtep.Is4() {
		return []of.Action{tunnelTo(noVTEP(own)), tunnelTo(vtep)}
	}
	return []of.Action{tunnelTo(vtep)}
}

// centres reports whether this host relays the tenant's broadcasts: it may be the centre to some host. One of which nobody knows
// that it is relayed goes to all hosts by itself.
func (c *compiler) centres(t *tenantAt) bool {
	return t.relay == store.RelayOn && c.relays(t) && slices.Contains(t.movers, c.host)
}

// relayFlood relays the network's broadcasts to each other host, once, besides the copies for ports here. What another
// host of a move sends goes to all hosts by itself.
func (c *compiler) relayFlood(n *networkAt, hosts []netip.Addr, local []of.Action) {
	actions := slices.Concat(local, passedOn())
	for _, vtep := range hosts {
		actions = append(actions, of.Clone{Actions: append(c.onward(vtep), resubmit(tableEncap))})
	}
	c.flow(stepForwardFlood, match(n.match(), origin(originTunnel), multicast()), actions...)
	for _, host := range n.tenant.movers {
		h := c.state.Host(host)
		if h == nil || host == c.host {
			continue
		}
		for from := range c.vteps(h) {
			c.flow(stepForwardFloodCentre, match(n.match(), origin(originTunnel), tunnelFrom(from), multicast()), local...)
		}
	}
}

// notBack keeps what is relayed from going back to the host that it came from, by any tunnel address of it.
func (c *compiler) notBack(h *store.Item[store.Host]) {
	to := c.vtep(h.Key.Host)
	if !c.mayRelay() || !to.IsValid() {
		return
	}
	for from := range c.vteps(h) {
		c.flow(stepEncapBack, match(origin(originRelay), tunnelFrom(from), tunnelAt(to)))
	}
}

// tunnelAt matches what is to be sent to a host's VTEP.
func tunnelAt(vtep netip.Addr) of.MatchField {
	return of.IsValue(ipField(single(vtep), of.FieldTunDst, of.FieldTunIPv6Dst), of.Address(vtep))
}

// relayChanged reports whether a change of a gateway changes which way frames between hosts of its tenant go.
func relayChanged(c store.Change) (changed bool) {
	sides(c, func(g *store.Gateway) { changed = changed || g.Relay != "" })
	return changed && !(same(c, sameGateway) && same(c, sameRelay))
}

func sameRelay(a, b *store.Gateway) bool { return a.Relay == b.Relay }

// stars are the tenants whose frames a host relays, or whose frames it would if it were a gateway host.
func (m marker) stars(host string) (tenants []string) {
	return slices.DeleteFunc(m.state.TenantsVia(host), func(tenant string) bool {
		return m.slept(tenant) || m.state.Gateway(tenant).Value.Relay == ""
	})
}

// relaying are the hosts that relay for a tenant, if any do.
func (m marker) relaying(tenant string) []string {
	if m.slept(tenant) {
		return nil
	}
	if g := m.state.Gateway(tenant); g != nil && g.Value.Relay != "" {
		return m.gatewayHosts(tenant)
	}
	return nil
}
