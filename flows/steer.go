package flows

import (
	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file sends the egress of a host's containers to their tenants' gateway hosts. Which of two takes it the switch
// decides packet by packet, by its own probes: nobody has to notice a dead gateway host.

// steer sends the egress of this host's containers to the active gateway host, or to the backup while that one is dead.
func (c *compiler) steer(t *tenantAt) {
	if !c.vtep(t.active).IsValid() {
		c.unreachable(t)
		return
	}
	c.flow(stepRouteTunnel, toRouter(t.number(), origin(originPort)), c.steered(t, scopeEgress)...)
}

// steered are the actions of steer, for what counts as a scope.
func (c *compiler) steered(t *tenantAt, scope uint64) []of.Action {
	first, second := c.probe(t.active), c.backup(t)
	if first == 0 || second == 0 {
		return []of.Action{load(regScope, scope), tunnelTo(c.vtep(t.active)), goTo(tableAccountOut)}
	}
	return []of.Action{load(regScope, scope), load(regGateway, uint64(first)<<16), firstAlive(first, second), goTo(tableSteer)}
}

// wayOut is how what containers here send leaves, as egress does, for what counts as a scope; nil: there is no way.
func (c *compiler) wayOut(t *tenantAt, scope uint64) []of.Action {
	switch {
	case t.active == "":
		return nil
	case t.active != c.host && c.vtep(t.active).IsValid():
		return c.steered(t, scope)
	case c.translates(t):
		return []of.Action{load(regScope, scope), goTo(tableNAT)}
	}
	return nil
}

// firstAlive writes the first of two ports that is alive, or noneAlive.
func firstAlive(first, second uint32) of.Action {
	return of.BundleLoad{Algorithm: of.ActiveBackup, Members: []uint16{uint16(first), uint16(second)},
		Target: of.Subfield{Field: regGateway, Offset: 0, Bits: 16}}
}

// probe is the port whose probes tell whether a gateway host is alive; 0: it is none, or not probed. A gateway host is probed by
// the others as well, and so has probes of hosts to which nobody steers.
func (c *compiler) probe(host string) uint32 {
	h := c.state.Host(host)
	if h == nil || !h.Value.Gateway || len(c.state.HostsByHash(store.HostHash(host))) != 1 || !c.vtep(host).IsValid() {
		return 0
	}
	return bundled(c.ofport[store.ProbeInterface(host)])
}

// bundled is a port that an action can choose, since its number has 16 bits; 0: it cannot.
func bundled(ofport uint32) uint32 {
	if ofport >= of.PortUnset&0xffff {
		return 0
	}
	return ofport
}

// backup is the port of a tenant's backup: the gateway port where this host is the backup. 0: there is none.
func (c *compiler) backup(t *tenantAt) uint32 {
	if t.backup == c.host {
		return bundled(c.gateway)
	}
	return c.probe(t.backup)
}

// steerTo sends on to another host what was steered there.
func (c *compiler) steerTo(h *store.Item[store.Host]) {
	probe := c.probe(h.Key.Host)
	if probe == 0 {
		return
	}
	there := []of.Action{tunnelTo(c.vtep(h.Key.Host)), goTo(tableAccountOut)}
	c.flow(stepSteerAlive, match(of.Masked(regGateway, of.U64(uint64(probe)), of.U64(noneAlive))), there...)
	c.flow(stepSteerDead, match(of.Is(regGateway, uint64(probe)<<16|noneAlive)), there...)
}

// baseSteer: what was steered to this host goes out here.
func (c *compiler) baseSteer() {
	if own := bundled(c.gateway); own != 0 {
		c.flow(stepSteerAlive, match(of.Masked(regGateway, of.U64(uint64(own)), of.U64(noneAlive))), goTo(tableNAT))
	}
	c.refuse(stepSteerNone, nil, reasonNoRoute)
}

// probe marks what depends on the probes of the hosts that share a hash.
func (m marker) probe(from string, hash uint32) {
	for _, h := range m.state.HostsByHash(hash) {
		m.mark(from, peerSlice(h.Key.Host))
		for _, tenant := range m.state.TenantsVia(h.Key.Host) {
			if !m.slept(tenant) {
				m.tenant(tenant, []string{from})
			}
		}
	}
}
