package flows

import "sluice/store"

// peer emits what this switch knows of another host: frames from its VTEP are taken, and
// the VTEP is closed to the tenants' egress.
func (c *compiler) peer(h *store.Item[store.Host]) {
	if h.Key.Host == c.host {
		return
	}
	c.slice = peerSlice(h.Key.Host)
	c.problems = append(c.problems, c.state.ContestedHost(h)...) // its own switch, if any, is taken for another's
	if c.tunnel != 0 {
		for _, vtep := range h.Value.VTEPs {
			if validVTEP(vtep) {
				c.flow(tableClassify, 100, match(inPort(c.tunnel), tunnelFrom(vtep)),
					load(regOrigin, originTunnel), goTo(tableDecap))
			}
		}
	}
	c.closedVTEPs(h)
}
