package flows

import (
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

const (
	// floodAutoHosts is where flood `auto` stops replicating.
	floodAutoHosts = 256
	// floodMostCopies is where replication stops in any mode: Open vSwitch loses outputs
	// beyond 780 without a word.
	floodMostCopies = 780
)

const kindNetwork sliceKind = 4

func networkSlice(tenant, network uint32) Slice { return newSlice(kindNetwork, tenant, network) }

// networkSection is a network's segment, its router and its broadcast domain.
var networkSection = section{
	kind: kindNetwork, owner: "network", object: "network number",
	ofTenant: func(s *store.State, tenant string, number uint32, yield yieldSlice) {
		for n := range s.NetworksOf(tenant) {
			yield(networkSlice(number, n.Value.Number), len(s.NetworkClaimants(n.Value.Number)) == 0)
		}
	},
	compile: func(c *compiler, sl Slice) {
		claimants(c, c.state.NetworkByNumber(sl.object()), c.state.NetworkClaimants(sl.object()), (*compiler).network)
	},
	name: func(s *store.State, sl Slice) string {
		if n := s.NetworkByNumber(sl.object()); n != nil {
			return "network " + n.Key.NetworkName().String()
		}
		return ""
	},
	serves: func(s *store.State, _ string, sl Slice) []store.Key {
		return keyOf(s.NetworkByNumber(sl.object()))
	},
	changed:          networkChanged,
	interfaceChanged: func(m marker, p *store.Item[store.Port]) { m.network(p.Key.NetworkName(), p.Key.Host) },
}

// networkChanged: a network's frames come and go on every host of its tenant; its broadcasts
// are copied to its ports on the host itself and to the VTEPs of its other hosts.
func networkChanged(m marker, c store.Change) {
	name := c.Key.NetworkName()
	switch c.Key.Kind {
	case store.KindNetwork:
		m.networkItself(c)
	case store.KindPort:
		if !same(c, samePort) {
			m.network(name, c.Key.Host)
		}
		if pairMACsDiffer(c) {
			m.network(name, m.state.HostsOf(name)...)
		}
	case store.KindPresence:
		m.network(name, slices.Concat(m.state.HostsOf(name), m.relaying(name.Tenant))...)
	case store.KindTenant:
		if !same(c, sameBroadcasts) && m.state.Awake(c.Key.Tenant) {
			for n := range m.state.NetworksOf(c.Key.Tenant) {
				m.network(n.Key.NetworkName(), m.state.HostsOf(n.Key.NetworkName())...)
			}
		}
	case store.KindHost:
		if !same(c, sameTunnel) || !same(c, sameTrunk) {
			for _, n := range m.state.NetworksOn(c.Key.Host) {
				m.network(n, hostsOf(m.state, n.Tenant)...)
			}
		}
	}
}

func (m marker) networkItself(c store.Change) {
	if same(c, sameNetwork) {
		return
	}
	hosts := hostsOf(m.state, c.Key.Tenant)
	if len(hosts) == 0 {
		return
	}
	sides(c, func(n *store.Network) { m.networkNumber(c.Key.Tenant, n.Number, hosts) })
	m.overlapping(c, func(other *store.Item[store.Network]) { m.network(other.Key.NetworkName(), hosts...) })
}

// network marks a network without its ports.
func (m marker) network(name store.NetworkName, hosts ...string) {
	if n := m.state.Network(name); n != nil {
		m.networkNumber(name.Tenant, n.Value.Number, hosts)
	}
}

func (m marker) networkNumber(tenant string, network uint32, hosts []string) {
	for _, number := range m.numbers(tenant) {
		for _, host := range hosts {
			m.mark(host, networkSlice(number, network))
		}
	}
}

// sameSegment compares what makes a network present, and what may be contested.
func sameSegment(a, b *store.Network) bool {
	return a.Number == b.Number && a.Segmentation == b.Segmentation && a.Segment == b.Segment
}

func sameNetwork(a, b *store.Network) bool {
	return sameSegment(a, b) && sameSubnets(a, b) && a.Flood == b.Flood
}

// networkAt is a network as one host sees it.
type networkAt struct {
	*store.Item[store.Network]
	tenant  tenantAt
	present bool // the network has a port here
}

func (n *networkAt) match() of.MatchField {
	return networkMetadata(n.tenant.number(), n.Value.Number)
}

func (n *networkAt) metadata() uint64 { return metadata(n.tenant.number(), n.Value.Number) }

// networkAt looks a network up; ok is false where the host holds nothing of it.
func (c *compiler) networkAt(name store.NetworkName) (n networkAt, ok bool) {
	n.Item = c.state.Network(name)
	if n.Item == nil {
		return n, false
	}
	n.tenant, ok = c.tenantAt(name.Tenant)
	n.present = len(c.state.PortsAt(c.host, name)) > 0
	return n, ok && len(c.networkProblems(n.Item)) == 0
}

// network emits a network's segment, its router and its broadcast domain. A host with
// another network of the tenant routes to this one; one with a port of a peered tenant holds the way to it; one without any
// holds nothing of it.
func (c *compiler) network(item *store.Item[store.Network]) {
	n, ok := c.networkAt(item.Key.NetworkName())
	if !n.tenant.here() {
		return
	}
	c.problems = append(c.problems, c.networkProblems(item)...)
	if !ok {
		return
	}
	c.segment(&n)
	for i, subnet := range n.Value.Subnets {
		if why := c.subnetProblem(n.Item, i); why != "" {
			c.problem(n.Key, "%s", why)
			continue
		}
		if n.tenant.own() {
			c.subnet(&n, subnet)
		}
	}
	if n.present || c.centres(&n.tenant) {
		c.flood(&n)
	}
}

// segment is how the network's frames enter and leave tunnels.
func (c *compiler) segment(n *networkAt) {
	if c.tunnel == 0 {
		return
	}
	key := uint64(n.Value.Number)
	untag := []of.Action{}
	tag := []of.Action{}
	vlan := untagged()
	if n.Value.Segmentation == store.SegmentationVLAN {
		key = store.VLANTunnelKey
		vlan = of.Is(of.FieldVLANVID, uint64(vlanPresent|n.Value.Segment))
		untag = append(untag, of.PopVLAN{})
		tag = append(tag, of.PushVLAN{EtherType: typeVLAN}, set(of.FieldVLANVID, uint64(vlanPresent|n.Value.Segment)))
	}
	if n.present || n.tenant.gateway {
		c.flow(stepDecapSegment, match(of.Is(of.FieldTunID, key), vlan),
			append(untag, writeMetadata(n.metadata()), goTo(tableRoute))...)
	}
	out := slices.Concat(tag, []of.Action{set(of.FieldTunID, key), of.Output{Port: c.tunnel}})
	c.flow(stepEncapNetwork, match(n.match()), out...)
	c.trunkSegment(n, tag, out)
}

// subnet is the router's address in the network, and the way to the network's ports from
// all of the tenant's networks.
func (c *compiler) subnet(n *networkAt, s store.Subnet) {
	mine := tenantMetadata(n.tenant.number())
	router := single(s.Gateway)
	toRouter := []of.MatchField{mine, origin(originPort), ethDst(store.RouterMAC), ipDst(router)}
	if s.Gateway.Is4() {
		c.flow(stepRouteEcho, icmp(icmpEchoRequest, toRouter...), goTo(tableAnswer))
	} else {
		c.flow(stepRouteEcho, icmp6(echo6Request, toRouter...), goTo(tableAnswer))
	}
	c.flow(stepRouteNetwork, match(mine, ethDst(store.RouterMAC), ipType(s.Gateway), ipDst(s.Prefix)), goTo(tableHop))
	switch {
	case !n.present:
	case s.Gateway.Is4():
		c.flow(stepResolveKnown, arp(arpRequest, router, n.match()), arpAnswer(store.RouterMAC)...)
	default:
		c.flow(stepResolveKnown, icmp6(neighbourSolicitation, n.match(), target(router)),
			move(of.FieldEthSrc, of.FieldEthDst), setMAC(of.FieldEthSrc, store.RouterMAC),
			move(of.FieldIPv6Src, of.FieldIPv6Dst), setAddress(of.FieldIPv6Src, s.Gateway),
			set(of.FieldICMPv6Type, neighbourAdvert), goTo(tableAnswer))
	}
}

// flood replicates broadcast and multicast: one copy for each port here and, of what a
// port here sent, one for each other host of the network. The first copy passes
// account_out, so that the frame counts once as sent; each copy counts as received.
func (c *compiler) flood(n *networkAt) {
	hosts := slices.DeleteFunc(slices.Clone(c.state.HostsOf(n.Key.NetworkName())),
		func(host string) bool { return !n.tenant.Value.MayUse(host) })
	ports := c.programmed(n.Key.NetworkName())
	centre := c.centres(&n.tenant)
	if len(hosts) == 0 || len(ports) == 0 && !centre || !c.mayFlood(n, len(hosts), len(ports)) {
		return
	}
	others := c.others(hosts)
	if c.takes(n) && len(ports) > 0 {
		c.flow(stepForwardFlood, match(n.match(), origin(originTrunk), multicast()), copies(ports, tableAccountIn)...)
	}
	if centre {
		c.relayFlood(n, others, copies(ports, tableAccountIn))
	} else {
		c.flow(stepForwardFlood, match(n.match(), origin(originTunnel), multicast()), copies(ports, tableAccountIn)...)
	}
	if len(ports) == 0 {
		return
	}
	if vtep := c.vtep(n.tenant.active); c.starred(&n.tenant) && len(others) > 0 {
		others = slices.DeleteFunc([]netip.Addr{vtep}, func(a netip.Addr) bool { return !a.IsValid() })
	}
	bound, ok := c.broadcastMeter(n)
	if !ok {
		c.problem(n.Key, "the interfaces of its ports on host %s have OpenFlow numbers above %d only, for which there are no meters: broadcasts are not copied: "+
			"detach a port and attach it again", c.host, store.MaxSlot)
		return
	}
	actions := append([]of.Action{bound}, copies(ports, tableAccountOut)...)
	if c.trunked(n) {
		others = nil
		actions = append(actions, of.Clone{Actions: []of.Action{resubmit(tableEncap)}})
	}
	for _, vtep := range others {
		actions = append(actions, of.Clone{Actions: []of.Action{tunnelTo(vtep), resubmit(tableEncap)}})
	}
	c.flow(stepForwardFlood, match(n.match(), origin(originPort), multicast()), actions...)
}

// others are the tunnel addresses of those of some hosts that are not this one.
func (c *compiler) others(hosts []string) (vteps []netip.Addr) {
	for _, host := range hosts {
		if vtep := c.vtep(host); host != c.host && vtep.IsValid() {
			vteps = append(vteps, vtep)
		}
	}
	return vteps
}

// copies sends a frame to each port, the first one by way of another table.
func copies(ports []uint32, first uint8) []of.Action {
	actions := make([]of.Action, 0, 2*len(ports))
	next := first
	for _, p := range ports {
		actions = append(actions, load(regDestination, uint64(p)), resubmit(next))
		next = tableAccountIn
	}
	return actions
}

// programmed are the numbers of the network's ports here that the switch has.
func (c *compiler) programmed(name store.NetworkName) []uint32 {
	var numbers []uint32
	for _, p := range c.state.PortsAt(c.host, name) {
		if c.ofport[p.Value.Interface] != 0 && len(c.portProblems(p)) == 0 {
			numbers = append(numbers, p.Value.Number)
		}
	}
	return numbers
}

// mayFlood reports whether the network's mode and size allow replication.
func (c *compiler) mayFlood(n *networkAt, hosts, ports int) bool {
	switch {
	case n.Value.Flood == store.FloodOff:
		return false
	case n.Value.Flood != store.FloodOn && hosts > floodAutoHosts:
		c.problem(n.Key, "broadcast and multicast stopped: it spans %d hosts and flood auto ends at %d; "+
			"set flood to off, or to on", hosts, floodAutoHosts)
		return false
	case hosts-1+ports > floodMostCopies:
		c.problem(n.Key, "broadcast and multicast stopped on host %s: they need %d copies and Open vSwitch makes %d; "+
			"set flood to off, or split the network", c.host, hosts-1+ports, floodMostCopies)
		return false
	}
	return true
}
