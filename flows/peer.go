package flows

import (
	"iter"
	"net/netip"
	"slices"

	"sluice/store"
)

// peer emits what this switch knows of another host: frames from its VTEP are taken, and
// the VTEP is closed to the tenants' egress.
func (c *compiler) peer(h *store.Item[store.Host]) {
	if h.Key.Host == c.host {
		return
	}
	c.slice = peerSlice(h.Key.Host)
	c.problems = append(c.problems, c.state.ContestedHost(h)...) // its own switch, if any, is taken for another's
	if c.tunnel != 0 {
		for vtep := range c.vteps(h) {
			c.flow(tableClassify, 100, match(inPort(c.tunnel), tunnelFrom(vtep)),
				load(regOrigin, originTunnel), goTo(tableDecap))
		}
	}
	c.closedVTEPs(h)
}

// vteps are the tunnel addresses that a host holds, each once. What another host holds is
// none of its: no frame is taken as its from there, and none is sent there for it.
func (c *compiler) vteps(h *store.Item[store.Host]) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for i, vtep := range h.Value.VTEPs {
			if c.holds(h, vtep) && !slices.Contains(h.Value.VTEPs[:i], vtep) && !yield(vtep) {
				return
			}
		}
	}
}

// holds reports whether an address is a tunnel address and the host's own.
func (c *compiler) holds(h *store.Item[store.Host], vtep netip.Addr) bool {
	return validVTEP(vtep) && c.state.HostByVTEP(vtep) == h
}

// vtep is the tunnel address under which a host is reached; the zero address: it is not.
func (c *compiler) vtep(host string) netip.Addr {
	if h := c.state.Host(host); h != nil && c.holds(h, h.Value.VTEP()) {
		return h.Value.VTEP()
	}
	return netip.Addr{}
}
