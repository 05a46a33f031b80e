package witness

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/flows/simulate"
	"sluice/store"
)

// Broken says in one sentence which law a frame's walk broke, or nothing where it broke none.
// What the laws are:
//
//   - a frame reaches containers of its sender's tenant alone, and from outside only in answer to one of them;
//   - it reaches a kernel at a gateway host of its tenant alone, from the tenant's transit address, and never for the infrastructure;
//   - it enters a tunnel only to a host, under the key and tag of a network of its tenant;
//   - what a port must not send reaches nobody, and nobody gets a source that was not given to the sender.
func (c *Cluster) Broken(from Sender, sent *simulate.Packet, walk *simulate.Walk) string {
	what := ""
	if from.Container != nil {
		what = forbidden(from.Container.Value, sent)
	}
	for _, d := range walk.Deliveries {
		if why := c.wrongDelivery(from, what, &d); why != "" {
			return fmt.Sprintf("A frame of %s %s.", from, why)
		}
	}
	for i := range walk.Hops {
		hop := &walk.Hops[i]
		if i == 0 || hop.Result.InPort != c.host(hop.Host).tunnel {
			continue
		}
		if why := c.wrongTunnel(from, hop.Host, &hop.Result.Packet); why != "" {
			return fmt.Sprintf("A frame of %s %s.", from, why)
		}
	}
	return c.astray(from, walk)
}

// astray is of a frame that left for where no host is.
func (c *Cluster) astray(from Sender, walk *simulate.Walk) string {
	for _, loss := range walk.Losses {
		var stray *simulate.StrayError
		switch {
		case !errors.As(loss.Err, &stray):
		case stray.Underlay:
			return fmt.Sprintf("A frame of %s leaves host %s by a %s.", from, stray.Host, stray.Why)
		case stray.Output.Port == of.PortLocal:
			return fmt.Sprintf("A frame of %s reaches the kernel of host %s by the bridge's own port.", from, stray.Host)
		}
	}
	return ""
}

func (c *Cluster) wrongDelivery(from Sender, forbidden string, d *simulate.Delivery) string {
	to := c.host(d.Host).container(d.Port)
	switch {
	case d.Kernel:
		return c.wrongKernel(from, forbidden, d)
	case to == nil:
		return fmt.Sprintf("reaches port %d of host %s, which is nobody's", d.Port, d.Host)
	case from.Tenant == "":
		return fmt.Sprintf("reaches port %s, which asked for nothing", portName(to))
	case to.Key.Tenant != from.Tenant:
		return fmt.Sprintf("reaches port %s, which is of another tenant", portName(to))
	case from.Container != nil && from.Container.Key == to.Key: // the switch's own answers
		return ""
	case len(d.Packet.Tags()) > 0:
		return fmt.Sprintf("reaches port %s with a tag", portName(to))
	case from.Container == nil:
		return ""
	case forbidden != "":
		return fmt.Sprintf("reaches port %s, though %s", portName(to), forbidden)
	}
	if why := wrongSource(from.Container.Value, &d.Packet); why != "" {
		return fmt.Sprintf("reaches port %s %s", portName(to), why)
	}
	return ""
}

// wrongSource is of a frame whose source was rewritten under way.
func wrongSource(sender *store.Port, p *simulate.Packet) string {
	if m := mac(p, of.FieldEthSrc); m != store.RouterMAC && !speaks(sender, m) {
		return fmt.Sprintf("from MAC %s, which is not the sender's", m)
	}
	a := source(p)
	switch p.Uint(of.FieldEthType) {
	case typeIPv4, typeIPv6:
		if a.IsUnspecified() {
			return ""
		}
	case typeARP:
		a = address(p.Get(of.FieldARPSPA), false)
		if a.IsUnspecified() {
			return ""
		}
	default:
		return ""
	}
	if !owns(sender, a) {
		return fmt.Sprintf("from address %s, which is not the sender's", a)
	}
	return ""
}

func (c *Cluster) wrongKernel(from Sender, forbidden string, d *simulate.Delivery) string {
	p := &d.Packet
	where := "reaches the kernel of host " + d.Host
	if from.Outside && d.Host == from.Host && p.Uint(of.FieldEthType) == typeARP {
		return "" // the switch's own answer
	}
	if from.Container == nil {
		return where
	}
	g := c.state.Gateway(from.Tenant)
	t := c.state.Tenant(from.Tenant)
	switch dst := address(p.Get(of.FieldIPDst), false); {
	case t == nil || g == nil || d.Host != g.Value.Active && !slices.Contains(g.Value.Draining, d.Host):
		return where + ", which is no gateway host of its tenant"
	case len(p.Tags()) > 0:
		return where + " with a tag"
	case p.Uint(of.FieldEthType) != typeIPv4:
		return where + fmt.Sprintf(" with Ethernet type %#x", p.Uint(of.FieldEthType))
	case source(p) != c.state.Transit().Address(t.Value.Number):
		return where + fmt.Sprintf(" from %s, which is not its tenant's transit address", source(p))
	case forbidden != "":
		return where + ", though " + forbidden
	case c.infrastructure(d.Host, dst):
		return where + fmt.Sprintf(" for %s, which is closed to tenants", dst)
	}
	return ""
}

// closedRanges lead to no tenant's destination, besides the transit range.
var closedRanges = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("240.0.0.0/4"),
}

// infrastructure reports whether an address is closed to tenants on a gateway host.
func (c *Cluster) infrastructure(host string, a netip.Addr) bool {
	contains := func(p netip.Prefix) bool { return p.Contains(a) }
	return c.state.HostByVTEP(a) != nil || contains(c.state.Transit().Prefix) || slices.ContainsFunc(closedRanges, contains) ||
		slices.ContainsFunc(c.state.Host(host).Value.Infrastructure, contains)
}

// wrongTunnel is of a frame that a host got by tunnel from another.
func (c *Cluster) wrongTunnel(from Sender, host string, p *simulate.Packet) string {
	key := p.Uint(of.FieldTunID)
	for _, t := range c.tenantsUnder(key, p.Tags()) {
		if t == from.Tenant {
			return ""
		}
	}
	if len(p.Tags()) > 0 {
		return fmt.Sprintf("enters the tunnel to host %s under key %#x with tag %d, which is no network's of its tenant",
			host, key, p.Tags()[0]&0xfff)
	}
	return fmt.Sprintf("enters the tunnel to host %s under key %#x, which is no network's of its tenant", host, key)
}

// tenantsUnder are those that have a network under a key and tag.
func (c *Cluster) tenantsUnder(key uint64, tags []uint16) (tenants []string) {
	if key != store.VLANTunnelKey {
		n := c.state.NetworkByNumber(uint32(min(key, 1<<32-1)))
		if n == nil || len(tags) > 0 || n.Value.Segmentation == store.SegmentationVLAN {
			return nil
		}
		return []string{n.Key.Tenant}
	}
	if len(tags) != 1 {
		return nil
	}
	for t := range c.state.Tenants() {
		for n := range c.state.NetworksOf(t.Key.Tenant) {
			if n.Value.Segmentation == store.SegmentationVLAN && n.Value.Segment == uint32(tags[0]&0xfff) && len(c.state.ContestedNetwork(n)) == 0 {
				tenants = append(tenants, t.Key.Tenant)
			}
		}
	}
	return tenants
}
