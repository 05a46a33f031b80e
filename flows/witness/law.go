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
//   - a frame reaches containers of its sender's tenant alone, or of a network that its own is peered with, and from outside only
//     in answer to one of them, or to a port that is published;
//   - it reaches a kernel at a gateway host of its tenant alone, from the tenant's transit address, and never for the infrastructure;
//   - it reaches a resolver on its sender's host alone, at its tenant's desk, as a question for names; what a resolver sends from a
//     desk reaches that tenant alone;
//   - it enters a tunnel only to a host, under the key and tag of a network of its tenant, or of one that its own is peered with, and the
//     trunk under the tag of a network of its tenant;
//   - what comes by the trunk reaches ports of the network with its tag, on that host, from a MAC of a port on another host;
//   - what a port must not send reaches nobody, and nobody gets a source that was not given to the sender;
//   - what the switch answers to ARP and neighbour discovery gives an address the MAC of the port that has it, or the router's for the
//     router and the resolver.
func (c *Cluster) Broken(from Sender, sent *simulate.Packet, walk *simulate.Walk) string {
	what := ""
	if from.Container != nil {
		what = forbidden(from.Container.Value, sent)
	}
	for _, d := range walk.Deliveries {
		if why := c.wrongDelivery(from, what, sent, &d); why != "" {
			return fmt.Sprintf("A frame of %s %s.", from, why)
		}
	}
	for i := range walk.Hops {
		hop := &walk.Hops[i]
		if i == 0 {
			continue
		}
		if why := c.wrongWay(from, hop.Host, hop.Result.InPort, &hop.Result.Packet); why != "" {
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

// wrongWay is of a frame that a host got from another.
func (c *Cluster) wrongWay(from Sender, host string, port uint32, p *simulate.Packet) string {
	switch h := c.host(host); port {
	case h.tunnel:
		return c.wrongTunnel(from, host, p)
	case h.trunk:
		return c.wrongTrunk(from, host, p)
	}
	return ""
}

func (c *Cluster) wrongDelivery(from Sender, forbidden string, sent *simulate.Packet, d *simulate.Delivery) string {
	to := c.host(d.Host).container(d.Port)
	switch {
	case d.Kernel:
		return c.wrongKernel(from, forbidden, d)
	case d.Port == c.host(d.Host).resolver && d.Port != 0:
		return c.wrongQuestion(from, forbidden, d)
	case to == nil:
		return fmt.Sprintf("reaches port %d of host %s, which is nobody's", d.Port, d.Host)
	case from.Tenant == "" && c.publishedIn(from, to.Key.Tenant, &d.Packet) && len(d.Packet.Tags()) == 0:
		return ""
	case from.Trunk:
		return c.wrongFromTrunk(from, to, sent, d)
	case from.Tenant == "":
		return fmt.Sprintf("reaches port %s, which asked for nothing", portName(to))
	case to.Key.Tenant != from.Tenant && !c.peered(from, to.Key.NetworkName()):
		return fmt.Sprintf("reaches port %s, which is of another tenant", portName(to))
	case to.Key.Tenant != from.Tenant && !c.ofPeered(from, to.Key.NetworkName(), &d.Packet):
		return fmt.Sprintf("reaches port %s of a peered tenant from or to an address that is not of the peered networks", portName(to))
	case from.Container != nil && from.Container.Key == to.Key: // the switch's own answers
		return c.wrongAnswer(from.Container, &d.Packet)
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

// publishedIn reports whether a packet came from outside, by a gateway host of a tenant, to a port of it that is published.
func (c *Cluster) publishedIn(from Sender, tenant string, p *simulate.Packet) bool {
	g := c.state.Gateway(tenant)
	if !from.Outside || from.Tenant != "" || g == nil || !g.Value.At(from.Host) || p.Uint(of.FieldEthType) != typeIPv4 {
		return false
	}
	to := store.Endpoint{Protocol: store.ProtocolTCP, Port: uint16(p.Uint(of.FieldTCPDst))}
	switch p.Uint(of.FieldIPProto) {
	case of.ProtoTCP:
	case of.ProtoUDP:
		to = store.Endpoint{Protocol: store.ProtocolUDP, Port: uint16(p.Uint(of.FieldUDPDst))}
	default:
		return false
	}
	for published := range c.state.PublicationsOf(tenant) {
		_, has, _ := c.state.PublishedPort(published)
		if c.state.Unpublished(published) == "" && has == address(p.Get(of.FieldIPDst), false) && slices.Contains(slices.Collect(published.Value.ContainerPorts()), to) {
			return true
		}
	}
	return false
}

// wrongAnswer is of what a container hears to its own question, by ARP or neighbour discovery.
func (c *Cluster) wrongAnswer(asks *store.Item[store.Port], p *simulate.Packet) string {
	var a netip.Addr
	var m store.MAC
	switch {
	case p.Uint(of.FieldEthType) == typeARP && p.Uint(of.FieldARPOp) == arpReply:
		a, m = address(p.Get(of.FieldARPSPA), false), mac(p, of.FieldARPSHA)
	case p.Uint(of.FieldEthType) == typeIPv6 && p.Uint(of.FieldICMPv6Type) == icmp6Advert:
		a, m = address(p.Get(of.FieldNDTarget), true), mac(p, of.FieldNDTLL)
	default:
		return ""
	}
	n := asks.Key.NetworkName()
	has := c.state.PortAt(n, a)
	router := a == store.Resolver4 || slices.ContainsFunc(c.state.Network(n).Value.Subnets, func(s store.Subnet) bool { return s.Gateway == a })
	if router && m == store.RouterMAC || has != nil && has.Value.MAC == m || owns(asks.Value, a) && speaks(asks.Value, m) {
		return ""
	}
	return fmt.Sprintf("is answered that %s has MAC %s, which is not so", a, m)
}

// peered reports whether the sender's network may enter one of another tenant.
func (c *Cluster) peered(from Sender, to store.NetworkName) bool {
	return from.Container != nil && c.state.Crosses(from.Container.Key.NetworkName(), to)
}

// ofPeered reports whether a packet goes from an address of the sender's network to one of another network.
func (c *Cluster) ofPeered(from Sender, to store.NetworkName, p *simulate.Packet) bool {
	src, dst := of.FieldIPSrc, of.FieldIPDst
	switch p.Uint(of.FieldEthType) {
	case typeIPv4:
	case typeIPv6:
		src, dst = of.FieldIPv6Src, of.FieldIPv6Dst
	default:
		return false
	}
	in := func(n store.NetworkName, a netip.Addr) bool {
		return slices.ContainsFunc(c.state.Network(n).Value.Subnets, func(s store.Subnet) bool { return s.Prefix.Contains(a) })
	}
	six := src == of.FieldIPv6Src
	return in(from.Container.Key.NetworkName(), address(p.Get(src), six)) && in(to, address(p.Get(dst), six))
}

// wrongSource is of a frame whose source was rewritten under way.
func wrongSource(sender *store.Port, p *simulate.Packet) string {
	if m := mac(p, of.FieldEthSrc); m != store.RouterMAC && m != store.PeerMAC && !speaks(sender, m) {
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
	case t == nil || g == nil || !g.Value.At(d.Host):
		return where + ", which is no gateway host of its tenant"
	case len(p.Tags()) > 0:
		return where + " with a tag"
	case p.Uint(of.FieldEthType) != typeIPv4:
		return where + fmt.Sprintf(" with Ethernet type %#x", p.Uint(of.FieldEthType))
	case source(p) != c.state.Transit().Address(c.state.Slot(d.Host, t)):
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
	for _, n := range c.networksUnder(key, p.Tags()) {
		if n.Tenant == from.Tenant || c.peered(from, n) || c.publishedIn(from, n.Tenant, p) {
			return ""
		}
	}
	if len(p.Tags()) > 0 {
		return fmt.Sprintf("enters the tunnel to host %s under key %#x with tag %d, which is no network's of its tenant",
			host, key, p.Tags()[0]&0xfff)
	}
	return fmt.Sprintf("enters the tunnel to host %s under key %#x, which is no network's of its tenant", host, key)
}

// networksUnder are those under a key and tag.
func (c *Cluster) networksUnder(key uint64, tags []uint16) (networks []store.NetworkName) {
	if key != store.VLANTunnelKey {
		n := c.state.NetworkByNumber(uint32(min(key, 1<<32-1)))
		if n == nil || len(tags) > 0 || n.Value.Segmentation == store.SegmentationVLAN {
			return nil
		}
		return []store.NetworkName{n.Key.NetworkName()}
	}
	if len(tags) != 1 {
		return nil
	}
	for t := range c.state.Tenants() {
		for n := range c.state.NetworksOf(t.Key.Tenant) {
			if n.Value.Segmentation == store.SegmentationVLAN && n.Value.Segment == uint32(tags[0]&0xfff) && len(c.state.ContestedNetwork(n)) == 0 {
				networks = append(networks, n.Key.NetworkName())
			}
		}
	}
	return networks
}
