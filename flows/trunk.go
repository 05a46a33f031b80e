package flows

import (
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file sends frames of VLAN networks tagged out of a physical trunk, where every host of the network has one: those that
// one port of a network sends to others of it, under their own MACs. What is routed, leaves by a gateway or crosses to
// a peered tenant goes by tunnel as ever, since its MACs are the same on all hosts, and the switches of the trunk would
// learn them in many places.
//
// What comes by the trunk is taken on every host that has one, also while the network goes by tunnels, and what comes by
// tunnels everywhere: so each host may change its way when it gets its flows.

// isTrunk reports whether an interface is the trunk of a host.
func isTrunk(s *store.State, host, iface string) bool {
	h := s.Host(host)
	return h != nil && iface != "" && h.Value.Trunk == iface
}

func sameTrunk(a, b *store.Host) bool {
	return sameTrunkInterface(a, b) && a.TrunkReady == b.TrunkReady
}
func sameTrunkInterface(a, b *store.Host) bool { return a.Trunk == b.Trunk }

// takes reports whether frames of the network come here by the trunk.
func (c *compiler) takes(n *networkAt) bool {
	return c.trunk != 0 && n.present && n.Value.Segmentation == store.SegmentationVLAN
}

// trunked reports whether frames between ports of the network go by the trunk: each of its hosts says that it is ready for
// them. In a star they go by the centre, and that by tunnel.
func (c *compiler) trunked(n *networkAt) bool {
	return c.takes(n) && n.tenant.relay == "" && Trunked(c.state, n.Item)
}

// Trunked reports whether all hosts of a VLAN network have a trunk that is ready.
func Trunked(s *store.State, n *store.Item[store.Network]) bool {
	return n.Value.Segmentation == store.SegmentationVLAN &&
		!slices.ContainsFunc(s.HostsOf(n.Key.NetworkName()), func(host string) bool {
			h := s.Host(host)
			return h == nil || h.Value.Trunk == "" || !h.Value.TrunkReady
		})
}

// baseTrunk takes what comes by the trunk for that, and keeps it from leaving again.
func (c *compiler) baseTrunk() {
	c.flow(stepClassifyKnown, match(inPort(c.trunk)), load(regOrigin, originTrunk), goTo(tableTrunk))
	c.refuse(stepTrunkNone, nil, reasonUnknownSegment)
	c.refuse(stepEncapBack, match(origin(originTrunk)), reasonElsewhere)
}

// trunkSegment is how the network's frames leave by the trunk, and who else may send them there. byTunnel are the actions by which
// they enter a tunnel.
func (c *compiler) trunkSegment(n *networkAt, tag, byTunnel []of.Action) {
	if !c.takes(n) {
		return
	}
	for _, mac := range c.pairMACs(n) {
		c.flow(stepTrunkPair, c.tagged(n, ethSrc(mac)), c.untag(n)...)
	}
	c.refuse(stepTrunkStranger, c.tagged(n), reasonUnknownSource)
	if !c.trunked(n) {
		return
	}
	c.flow(stepEncapRouted, match(n.match(), ethSrc(store.RouterMAC)), byTunnel...)
	c.flow(stepEncapTrunk, match(n.match(), origin(originPort), of.Is(regScope, scopeInternal)), slices.Concat(tag, []of.Action{of.Output{Port: c.trunk}})...)
}

// byTrunk takes what a port on another host sends by the trunk.
func (c *compiler) byTrunk(p *portAt) {
	if c.takes(&p.network) {
		c.flow(stepTrunkPort, c.tagged(&p.network, ethSrc(p.Value.MAC)), c.untag(&p.network)...)
	}
}

// tagged matches frames of the network as they are on the trunk.
func (c *compiler) tagged(n *networkAt, more ...of.MatchField) of.Match {
	return match(append(more, of.Is(of.FieldVLANVID, uint64(vlanPresent|n.Value.Segment)))...)
}

// untag makes a frame from the trunk the network's.
func (c *compiler) untag(n *networkAt) []of.Action {
	return []of.Action{of.PopVLAN{}, writeMetadata(n.metadata()), goTo(tableForward)}
}

// pairMACs are the MACs besides their own with which the network's ports on other hosts speak. Several ports may have one.
func (c *compiler) pairMACs(n *networkAt) (macs []store.MAC) {
	for p := range c.state.PortsOf(n.Key.NetworkName()) {
		if len(p.Value.AllowedPairs) > 0 && p.Key.Host != c.host && len(c.portProblems(p)) == 0 {
			macs = append(macs, otherMACs(p.Value)...)
		}
	}
	slices.SortFunc(macs, func(a, b store.MAC) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(macs)
}

// otherMACs are those that a port's allowed pairs name besides its own.
func otherMACs(p *store.Port) (macs []store.MAC) {
	for _, pair := range p.AllowedPairs {
		if !pair.MAC.IsZero() && pair.MAC != p.MAC {
			macs = append(macs, pair.MAC)
		}
	}
	return macs
}

// pairMACsDiffer reports whether a port came or went with MACs besides its own, or got others.
func pairMACsDiffer(c store.Change) (differ bool) {
	if same(c, samePort) {
		return false
	}
	sides(c, func(p *store.Port) { differ = differ || len(otherMACs(p)) > 0 })
	return differ
}
