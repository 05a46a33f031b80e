package flows

import (
	"iter"
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

const kindPeer sliceKind = 2

func peerSlice(host string) Slice { return newSlice(kindPeer, 0, store.HostHash(host)) }

// PeerSlices are the slices of a host's flows that know other hosts.
func PeerSlices(s *store.State, host string) (list []Slice) {
	peerSection.onHost(s, host, func(sl Slice, _ bool) { list = append(list, sl) })
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

// TakesFromPeer reports whether a flow takes what comes through the tunnel from another host: it counts the frames of
// that direction, as they were before they were wrapped.
func TakesFromPeer(f *of.Flow) bool {
	_, v4 := f.Match.Get(of.FieldTunSrc)
	_, v6 := f.Match.Get(of.FieldTunIPv6Src)
	return f.Table == tableClassify && (v4 || v6)
}

// peerSection is what a bridge knows of each other host: of one, or of several whose names
// share a hash.
var peerSection = section{
	kind: kindPeer, owner: "peer: another host", object: "FNV-1a hash of its name",
	onHost: func(s *store.State, host string, yield yieldSlice) {
		for h := range s.Hosts() {
			if name := h.Key.Host; name != host {
				yield(peerSlice(name), len(s.HostsByHash(store.HostHash(name))) == 1)
			}
		}
	},
	compile: func(c *compiler, sl Slice) {
		for _, h := range c.state.HostsByHash(sl.object()) {
			c.peer(h)
		}
	},
	name: func(s *store.State, sl Slice) string {
		for _, h := range s.HostsByHash(sl.object()) {
			return "peer " + h.Key.Host
		}
		return ""
	},
	serves:  func(_ *store.State, host string, _ Slice) []store.Key { return []store.Key{store.HostKey(host)} },
	changed: peerChanged,
}

// peerChanged: a host's tunnel is everybody's who takes frames from there, and its VTEPs may change
// without the host itself, by what another claims. Its datapath id, if another has it, is a
// problem that its peers tell.
func peerChanged(m marker, c store.Change) {
	if c.Key.Kind == store.KindHost && (c.Before == nil || c.After == nil || c.Anew) {
		oldestChanged(m, c)
	}
	tunnel := c.Key.Kind == store.KindHost && !same(c, sameTunnel)
	if c.Key.Kind != store.KindHost || !tunnel && same(c, sameDatapath) && same(c, sameCapable) {
		return
	}
	for other := range m.state.Hosts() {
		if other.Key.Host != c.Key.Host {
			m.mark(other.Key.Host, peerSlice(c.Key.Host))
			if tunnel || !same(c, sameCapable) {
				m.mark(c.Key.Host, peerSlice(other.Key.Host))
			}
		}
	}
}

// oldestChanged marks what depends on which host is the oldest, after a host came or went: one that
// went may have been it, and one that came took another's place if it is older than all.
func oldestChanged(m marker, c store.Change) {
	next, is := oldestHost(m.state, c.Key.Host), m.state.Host(c.Key.Host)
	if next == nil || c.Before == nil && (is == nil || !is.Older(next)) {
		return
	}
	for other := range m.state.Hosts() {
		if other != next {
			m.mark(other.Key.Host, peerSlice(next.Key.Host))
		}
	}
}

func sameVTEPs(a, b *store.Host) bool    { return slices.Equal(a.VTEPs, b.VTEPs) }
func sameTunnel(a, b *store.Host) bool   { return sameVTEPs(a, b) && sameEncap(a, b) }
func sameEncap(a, b *store.Host) bool    { return a.Encap == b.Encap }
func sameCapable(a, b *store.Host) bool  { return a.Gateway == b.Gateway }
func sameDatapath(a, b *store.Host) bool { return a.DatapathID == b.DatapathID }

// peer emits what this switch knows of another host: frames from its VTEP are taken, and
// the VTEP is closed to the tenants' egress.
func (c *compiler) peer(h *store.Item[store.Host]) {
	if h.Key.Host == c.host {
		return
	}
	c.problems = append(c.problems, c.state.ContestedHost(h)...) // its own switch, if any, is taken for another's
	c.apart(h)
	if c.tunnel != 0 && c.sameEncap(h) {
		for vtep := range c.vteps(h) {
			c.flow(stepClassifyKnown, match(inPort(c.tunnel), tunnelFrom(vtep)),
				load(regOrigin, originTunnel), goTo(tableDecap))
		}
	}
	c.steerTo(h)
	c.notBack(h)
	c.closedVTEPs(h)
}

// apart tells what keeps this host's frames from another host, and that host's from here: a port
// here would reach its neighbours on this host alone. The oldest host's encapsulation is the cluster's:
// who has another is left out, so that one host that is wrong stops no other.
func (c *compiler) apart(h *store.Item[store.Host]) {
	own := c.state.Host(c.host)
	switch {
	case own == nil:
	case c.tunnel == 0:
		c.leaveOut(own.Key, "its bridge has no interface %s, so that no frame passes between it and other hosts: "+
			"start its agent, which makes the interface", store.TunnelInterface)
	case !validVTEP(own.Value.VTEP()):
		c.leaveOut(own.Key, "it has no tunnel address, so that no frame passes between it and other hosts: "+
			"start its agent with --vtep")
	case c.sameEncap(h):
	case h == oldestHost(c.state, ""):
		c.leaveOut(own.Key, "its encapsulation is %s and that of the oldest host %s, so that no frame passes between it and others: "+
			"start its agent with --encap %s", own.Value.Encap, h.Value.Encap, h.Value.Encap)
	default:
		c.problem(own.Key, "its encapsulation is %s and that of some hosts %s, so that no frame passes between them: "+
			"start the agents of those that differ from the oldest host with its --encap", own.Value.Encap, h.Value.Encap)
	}
}

// oldestHost is the host that was registered first of all but one; nil: there is none.
func oldestHost(s *store.State, but string) (oldest *store.Item[store.Host]) {
	for h := range s.Hosts() {
		if h.Key.Host != but && (oldest == nil || h.Older(oldest)) {
			oldest = h
		}
	}
	return oldest
}

// sameEncap reports whether a host's tunnel port takes the frames of this host's.
func (c *compiler) sameEncap(h *store.Item[store.Host]) bool {
	own := c.state.Host(c.host)
	return own == nil || own.Value.Encap == h.Value.Encap
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
	if h := c.state.Host(host); h != nil && c.holds(h, h.Value.VTEP()) && c.sameEncap(h) {
		return h.Value.VTEP()
	}
	return netip.Addr{}
}
