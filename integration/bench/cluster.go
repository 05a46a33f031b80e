package bench

import (
	"fmt"
	"net/netip"

	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// clusterHosts is how many hosts a generated cluster has. The first is the one whose switch
// is programmed: every tenant has ports there.
const clusterHosts = 10

// cluster is a generated state, and how its first host's switch numbers its ports.
type cluster struct {
	state   *store.State
	sw      flows.Switch
	tenants int
}

// clusterWith generates a cluster whose first host holds at least that many flows, and
// hardly more.
func clusterWith(least int) (cluster, []openflow.Flow) {
	for tenants := 1; ; {
		c := newCluster(tenants)
		list := c.compile()
		if len(list) >= least {
			return c, list
		}
		tenants += max(1, (least-len(list))*tenants/len(list))
	}
}

func (c cluster) compile() []openflow.Flow {
	list, _ := flows.Desired(c.state, c.sw)
	return list
}

// newCluster generates tenants that all use the same addresses. Each has a network of six
// ports, two of them on the first host; every third has a second network, every fourth IPv6,
// every tenth marks its network by a VLAN id.
func newCluster(tenants int) cluster {
	g := generator{sw: flows.Switch{Host: hostAt(0), OFPort: map[string]uint32{store.TunnelInterface: 1, store.GatewayInterface: 2}}}
	for n := range clusterHosts {
		vtep := netip.AddrFrom4([4]byte{172, 30, 0, byte(n + 1)})
		g.put(store.HostKey(hostAt(n)), &store.Host{VTEPs: []netip.Addr{vtep}, Gateway: true})
	}
	for n := range tenants {
		g.tenant(n)
	}
	s := store.NewState()
	s.Apply(store.Batch{Revision: 1, Events: g.events})
	return cluster{state: s, sw: g.sw, tenants: tenants}
}

func hostAt(n int) string { return fmt.Sprint("h", n%clusterHosts+1) }

// generator collects the events that make a cluster.
type generator struct {
	events          []store.Event
	sw              flows.Switch
	networks, ports uint32 // made so far
}

func (g *generator) put(k store.Key, o store.Object) {
	g.events = append(g.events, store.Event{Key: k, Object: o, Created: 1, Modified: 1})
}

func (g *generator) tenant(n int) {
	name := fmt.Sprint("t", n)
	g.put(store.TenantKey(name), &store.Tenant{Number: uint32(n + 1), Gateway: store.GatewayAuto})
	g.put(store.GatewayKey(name), &store.Gateway{Active: hostAt(n)})
	g.network(name, "default", n, 6)
	if n%3 == 0 {
		g.network(name, "back", n, 3)
	}
}

func (g *generator) network(tenant, name string, n, ports int) {
	g.networks++
	net := &store.Network{Number: g.networks, Segmentation: store.SegmentationTunnel, Segment: g.networks, Flood: store.FloodAuto}
	if n%10 == 0 && g.networks <= store.MaxVLAN {
		net.Segmentation = store.SegmentationVLAN
	}
	third := byte(len(name)) // subnets of one tenant differ
	subnets := []netip.Addr{netip.AddrFrom4([4]byte{10, 0, third, 0})}
	if n%4 == 0 {
		subnets = append(subnets, netip.AddrFrom16([16]byte{0xfd, 0, third}))
	}
	for _, a := range subnets {
		net.Subnets = append(net.Subnets, store.Subnet{Prefix: netip.PrefixFrom(a, prefixBits(a)), Gateway: nth(a, 1)})
	}
	g.put(store.NetworkKey(tenant, name), net)
	for p := range ports {
		host := hostAt(0)
		if p >= 2 {
			host = hostAt(1 + n*7 + p)
		}
		g.port(host, tenant, name, p, subnets)
	}
}

func (g *generator) port(host, tenant, network string, p int, subnets []netip.Addr) {
	g.ports++
	port := &store.Port{
		Number: g.ports, Interface: fmt.Sprint("sl-", g.ports),
		MAC: store.MAC{2, 0, byte(g.ports >> 24), byte(g.ports >> 16), byte(g.ports >> 8), byte(g.ports)},
	}
	for _, a := range subnets {
		port.Addresses = append(port.Addresses, netip.PrefixFrom(nth(a, byte(10+p)), prefixBits(a)))
	}
	g.put(store.PortKey(host, tenant, network, fmt.Sprint("p", p)), port)
	if host == g.sw.Host {
		g.sw.OFPort[port.Interface] = uint32(10 + len(g.sw.OFPort))
	}
}

func prefixBits(a netip.Addr) int {
	if a.Is4() {
		return 24
	}
	return 64
}

// nth is address number n of the subnet that starts at a.
func nth(a netip.Addr, n byte) netip.Addr {
	b := a.AsSlice()
	b[len(b)-1] = n
	at, _ := netip.AddrFromSlice(b)
	return at
}
