package flows_test

import (
	"fmt"
	"net/netip"
	"testing"

	"sluice/flows"
	"sluice/flows/simulate"
	"sluice/store"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// lab is three hosts with the containers of two tenants that use the same addresses:
// alice's a1 and a3 on h1, a2 on h2; bob's (VLAN) b1 on h1 and b3 on h3.
type lab struct {
	*testing.T
	state   *store.State
	cluster *simulate.Cluster
	hosts   []*simulate.Host
	ports   map[string]*store.Item[store.Port]
}

const (
	tunnelPort  = 100
	gatewayPort = 200
	resolver    = 300
	trunkPort   = 350
	probePorts  = 400 // and the host's number
)

var internet = netip.MustParseAddr("203.0.113.1")

func newLab(t *testing.T) *lab {
	l := &lab{T: t, state: store.NewState(), ports: map[string]*store.Item[store.Port]{}}
	for i, h := range []string{"h1", "h2", "h3"} {
		l.put(store.HostKey(h), &store.Host{Gateway: true, VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 0, byte(i + 1)})},
			Infrastructure: []netip.Prefix{netip.MustParsePrefix("172.30.0.0/24")}})
	}
	l.tenant("alice", 7, "h1", store.SegmentationTunnel)
	l.tenant("bob", 9, "h2", store.SegmentationVLAN)
	l.port("h1", "alice", "a1", 1)
	l.port("h2", "alice", "a2", 2)
	l.port("h1", "alice", "a3", 3)
	l.port("h1", "bob", "b1", 4)
	l.port("h3", "bob", "b3", 3)
	l.program()
	return l
}

func (l *lab) put(key store.Key, o store.Object) {
	r := l.state.Revision() + 1
	l.state.Apply(store.Batch{Revision: r, Events: []store.Event{{Key: key, Object: o, Created: r, Modified: r}}})
}

func (l *lab) tenant(name string, number uint32, gateway string, how store.Segmentation) {
	l.put(store.TenantKey(name), &store.Tenant{Number: number})
	l.put(store.NetworkKey(name, "default"), &store.Network{Number: number, Segmentation: how, Segment: number,
		Flood: store.FloodAuto, Subnets: []store.Subnet{{Prefix: netip.MustParsePrefix("10.0.0.0/24"),
			Gateway: netip.MustParseAddr("10.0.0.254")}}})
	l.put(store.GatewayKey(name), &store.Gateway{Active: gateway})
}

// port attaches a container whose address and MAC end in n: tenants share them.
func (l *lab) port(host, tenant, name string, n byte) {
	key := store.PortKey(host, tenant, "default", name)
	l.put(key, &store.Port{Number: uint32(1 + len(l.ports)), MAC: store.MAC{2, 0, 0, 0, 0, n}, Interface: "sl-" + name,
		Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 24)}})
	l.ports[name] = l.state.Port(key)
}

// program compiles every host's flows into a simulated switch.
func (l *lab) program() {
	l.Helper()
	l.hosts = nil
	for h := range l.state.Hosts() {
		sw := flows.Switch{Host: h.Key.Host, OFPort: map[string]uint32{
			store.TunnelInterface: tunnelPort, store.GatewayInterface: gatewayPort, store.ResolverInterface: resolver}}
		if h.Value.Trunk != "" {
			sw.OFPort[h.Value.Trunk] = trunkPort
		}
		for i := range 3 {
			sw.OFPort[store.ProbeInterface(fmt.Sprint("h", i+1))] = probePorts + uint32(i+1)
		}
		containers := map[uint32]string{resolver: "resolver of " + h.Key.Host}
		for name, p := range l.ports {
			if p.Key.Host == h.Key.Host {
				sw.OFPort[p.Value.Interface] = p.Value.Number
				containers[p.Value.Number] = name
			}
		}
		l.hosts = append(l.hosts, &simulate.Host{Name: h.Key.Host, Bridge: l.bridge(sw), VTEP: h.Value.VTEP(),
			Tunnel: tunnelPort, Gateway: gatewayPort, Trunked: h.Value.Trunk != "", Trunk: sw.OFPort[h.Value.Trunk], Ports: containers})
	}
	l.cluster = simulate.NewCluster(l.hosts...)
}

func (l *lab) bridge(sw flows.Switch) *simulate.Bridge {
	l.Helper()
	all, problems := flows.Desired(l.state, sw)
	for _, p := range problems {
		l.Errorf("problem: %s: %s", p.Object, p.Text)
	}
	b, err := simulate.NewBridge(all)
	if err != nil {
		l.Fatal(err)
	}
	return b
}

// end is a container as one end of a conversation.
func (l *lab) end(name string) simulate.Endpoint {
	p := l.ports[name].Value
	return simulate.Endpoint{MAC: p.MAC, IP: p.Addresses[0].Addr(), Port: 1000}
}

// send lets a container send a frame, and returns the names of those that got it.
func (l *lab) send(name string, p simulate.Packet) (*simulate.Walk, []string) {
	l.Helper()
	from := l.ports[name]
	return l.enter(from.Key.Host, from.Value.Number, p)
}

func (l *lab) enter(host string, port uint32, p simulate.Packet) (*simulate.Walk, []string) {
	l.Helper()
	walk, err := l.cluster.Send(host, port, p)
	if err != nil {
		l.Fatal(err)
	}
	var got []string
	for _, d := range walk.Deliveries {
		if d.Kernel {
			got = append(got, d.Host)
		} else {
			got = append(got, l.cluster.Host(d.Host).Ports[d.Port])
		}
	}
	return walk, got
}

// compareCounts asks that the switches accounted just that.
func (l *lab) compareCounts(want map[flows.Class]uint64, walk *simulate.Walk) {
	l.Helper()
	if diff := cmp.Diff(want, l.counted(), cmpopts.EquateEmpty()); diff != "" {
		l.Errorf("counted (-want +got):\n%s\n%s", diff, walk)
	}
}

// counted adds up what every switch accounted.
func (l *lab) counted() map[flows.Class]uint64 {
	sums := map[flows.Class]uint64{}
	for _, h := range l.hosts {
		for f := range h.Bridge.Flows() {
			if class, ok := flows.Account(&f.Flow); ok && f.Packets > 0 {
				sums[class] += f.Packets
			}
		}
	}
	return sums
}
