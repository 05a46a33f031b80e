package witness

import (
	"fmt"

	of "sluice/datapath/openflow"
	"sluice/flows/simulate"
	"sluice/store"
)

// This file says what the trunk may carry. Who is there is told by nothing but a tag and a MAC: a stranger reaches what a port of that
// network on another host would reach by them, and no more.

// wrongFromTrunk is of a frame that a stranger sent into a host's trunk, and a container got.
func (c *Cluster) wrongFromTrunk(from Sender, to *store.Item[store.Port], sent *simulate.Packet, d *simulate.Delivery) string {
	switch n, tags := c.state.Network(to.Key.NetworkName()), sent.Tags(); {
	case d.Host != from.Host:
		return fmt.Sprintf("reaches port %s on another host", portName(to))
	case n.Value.Segmentation != store.SegmentationVLAN || len(tags) != 1 || uint32(tags[0]&0xfff) != n.Value.Segment:
		return fmt.Sprintf("reaches port %s, whose network has another tag", portName(to))
	case len(d.Packet.Tags()) > 0:
		return fmt.Sprintf("reaches port %s with a tag", portName(to))
	}
	speaker := mac(sent, of.FieldEthSrc)
	for p := range c.state.PortsOf(to.Key.NetworkName()) {
		if p.Key.Host != d.Host && speaks(p.Value, speaker) {
			return ""
		}
	}
	return fmt.Sprintf("reaches port %s from MAC %s, which no port of its network on another host has", portName(to), speaker)
}

// wrongTrunk is of a frame that a host got by the trunk from another.
func (c *Cluster) wrongTrunk(from Sender, host string, p *simulate.Packet) string {
	for _, n := range c.networksUnder(store.VLANTunnelKey, p.Tags()) {
		if n.Tenant == from.Tenant {
			return ""
		}
	}
	return fmt.Sprintf("enters the trunk to host %s under a tag that is no network's of its tenant", host)
}
