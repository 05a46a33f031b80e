package witness

import (
	"net/netip"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// entry is where a frame enters the cluster, and what it must be then.
type entry struct {
	from Sender
	need known
}

// towards draws an entry from which a frame may meet a target, and go on to where frames leave.
func (c *Cluster) towards(d dice, t target) (entry, bool) {
	must := known{}
	if !must.meets(t.match) || d.often(75) && !must.meets(t.frames) {
		return entry{}, false
	}
	need, n := must.clone(), t.node
	if n == nil {
		n = t.host.graph.next(d, t.table, must)
	}
	if n != nil && len(n.branches) > 0 && d.often(85) {
		way, ok := t.host.graph.onwards(d, n, must)
		if !ok || !need.back(way) {
			return entry{}, false
		}
	}
	need, ok := t.host.graph.backwards(d, t.table, need)
	if !ok {
		return entry{}, false
	}
	e, ok := c.enter(d, t.host, need, 3)
	if ok && d.often(50) {
		e.need.goesWhere(must)
	}
	return e, ok
}

// goesWhere gives a frame the destination of those at a target, where a translation on the way has hidden it: most frames keep it.
func (k known) goesWhere(target known) {
	for _, f := range []of.Field{of.FieldIPDst, of.FieldIPv6Dst} {
		if _, has := k[f]; has {
			continue
		}
		if to, fixed := target[f]; fixed {
			k[f] = to
		}
	}
}

// enter draws who sends what must enter a host's switch, over at most so many tunnels.
func (c *Cluster) enter(d dice, h *host, need known, tunnels int) (entry, bool) {
	in, asked := need[of.FieldInPort]
	need = need.clone()
	delete(need, of.FieldInPort)
	port := uint32(in.value.Lo)
	if !asked || in.mask != of.Ones(32) {
		port = c.anyPort(d, h)
	}
	switch {
	case port == h.tunnel && h.tunnel != 0:
		return c.tunnelled(d, h, need, tunnels)
	case port == h.gateway && h.gateway != 0:
		return entry{Sender{Host: h.name, Port: port, Outside: true}, need}, true
	case port == h.trunk && h.trunk != 0:
		return entry{Sender{Host: h.name, Port: port, Trunk: true}, need}, true
	case port == h.resolver && h.resolver != 0:
		return entry{Sender{Host: h.name, Port: port, Resolver: true}, need}, true
	}
	for _, s := range h.containers {
		if s.Port == port {
			return entry{s, need}, true
		}
	}
	return entry{}, false
}

// anyPort draws one of those by which frames come.
func (c *Cluster) anyPort(d dice, h *host) uint32 {
	switch n := d.IntN(10); {
	case n == 0 && h.resolver != 0 && d.often(30):
		return h.resolver
	case n == 0 && h.gateway != 0:
		return h.gateway
	case n == 4 && h.trunk != 0:
		return h.trunk
	case n <= 3 && h.tunnel != 0 || len(h.containers) == 0:
		return h.tunnel
	}
	return pick(d, h.containers).Port
}

// tunnelled draws who sends what must come to a host by tunnel: somebody behind a host whose address it may
// come from, or a stranger.
func (c *Cluster) tunnelled(d dice, h *host, need known, tunnels int) (entry, bool) {
	if tunnels == 0 {
		return entry{}, false
	}
	if d.often(15) || !c.fromHost(h, need) {
		return entry{Sender{Host: h.name, Port: h.tunnel}, need}, true
	}
	peer := pick(d, c.hosts)
	dst, ok := c.between(peer, h, need)
	if !ok || len(peer.graph.out) == 0 {
		return entry{}, false
	}
	for _, f := range []of.Field{of.FieldTunSrc, of.FieldTunIPv6Src, of.FieldTunDst, of.FieldTunIPv6Dst} {
		delete(need, f)
	}
	need[tunnelField(dst, of.FieldTunDst, of.FieldTunIPv6Dst)] = bits{of.Address(dst), of.Ones(dst.BitLen())}
	b, before, ok := peer.leaving(d, need)
	if !ok {
		return entry{}, false
	}
	if before, ok = peer.graph.backwards(d, b.flow.Table, before); !ok {
		return entry{}, false
	}
	return c.enter(d, peer, before, tunnels-1)
}

func tunnelField(a netip.Addr, v4, v6 of.Field) of.Field {
	if a.Is4() {
		return v4
	}
	return v6
}

// leaving draws a branch by which such a frame may enter the host's tunnel.
func (h *host) leaving(d dice, need known) (*branch, known, bool) {
	start := d.IntN(len(h.graph.out))
	for i := range h.graph.out {
		b := h.graph.out[(start+i)%len(h.graph.out)]
		if b.port != h.tunnel {
			continue
		}
		before := need.clone()
		if before.before(b.before) && before.meets(b.flow.Match) {
			return b, before, true
		}
	}
	return nil, nil, false
}

// fromHost reports whether what is needed of a tunnel source can be another host's.
func (c *Cluster) fromHost(h *host, need known) bool {
	for _, peer := range c.hosts {
		if _, ok := c.between(peer, h, need); ok {
			return true
		}
	}
	return false
}

// between is the tunnel address of h to which a peer sends, such that h sees a source as needed.
func (c *Cluster) between(peer, h *host, need known) (dst netip.Addr, ok bool) {
	if peer == h {
		return dst, false
	}
	for _, dst := range c.vteps(h) {
		for _, src := range c.vteps(peer) {
			if src.Is4() != dst.Is4() {
				continue
			}
			from := of.MatchField{Field: tunnelField(src, of.FieldTunSrc, of.FieldTunIPv6Src), Value: of.Address(src), Mask: of.Ones(src.BitLen())}
			other := of.MatchField{Field: tunnelField(src, of.FieldTunIPv6Src, of.FieldTunSrc), Mask: of.Ones(32)}
			if need.fits(of.Match{from, other}) {
				return dst, true
			}
		}
	}
	return dst, false
}

// vteps are the tunnel addresses that a host holds.
func (c *Cluster) vteps(h *host) (all []netip.Addr) {
	for _, a := range c.state.Host(h.name).Value.VTEPs {
		if c.hostOf(a) == h {
			all = append(all, a)
		}
	}
	return all
}

// isTransit reports whether an address is one that a tenant may have on a gateway host.
func isTransit(s *store.State, a netip.Addr) bool {
	_, ok := s.Transit().Slot(a)
	return ok
}
