package flows_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"sluice/flows/simulate"
	"sluice/store"
)

// In any cluster, a frame reaches whom it is meant for and nobody else: the neighbour in
// its network, by the router the neighbour in another network of the tenant, by broadcast
// the whole network, and never a port of another tenant, whatever the frame says.
func TestNobodyElse(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			l := randomLab(t, rand.New(rand.NewPCG(seed, 2)))
			names := slices.Sorted(maps.Keys(l.ports))
			for _, from := range names {
				for _, to := range names {
					if from != to {
						l.pair(from, to)
					}
				}
				l.broadcast(from)
			}
		})
	}
}

// randomLab has few addresses, MACs and names, so that tenants share them.
func randomLab(t *testing.T, r *rand.Rand) *lab {
	l := &lab{T: t, state: store.NewState(), ports: map[string]*store.Item[store.Port]{}}
	var hosts []string
	for i := range 2 + r.IntN(3) {
		hosts = append(hosts, fmt.Sprint("h", i))
		l.put(store.HostKey(hosts[i]), &store.Host{VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 0, byte(i + 1)})}})
	}
	network := uint32(0)
	for i := range uint32(2 + r.IntN(2)) {
		tenant := fmt.Sprint("t", i)
		l.put(store.TenantKey(tenant), &store.Tenant{Number: i + 1})
		if r.IntN(3) > 0 {
			l.put(store.GatewayKey(tenant), &store.Gateway{Active: hosts[r.IntN(len(hosts))]})
		}
		for n := range byte(1 + r.IntN(2)) {
			network++
			l.randomNetwork(r, store.NetworkName{Tenant: tenant, Network: fmt.Sprint("n", n)}, network, n)
			for p := range byte(r.IntN(4)) {
				l.randomPort(hosts[r.IntN(len(hosts))], store.NetworkName{Tenant: tenant, Network: fmt.Sprint("n", n)}, n, p)
			}
		}
	}
	l.program()
	return l
}

func (l *lab) randomNetwork(r *rand.Rand, name store.NetworkName, number uint32, n byte) {
	how := []store.Segmentation{store.SegmentationTunnel, store.SegmentationVLAN}[r.IntN(2)]
	v6 := [16]byte{0: 0xfd, 1: n}
	gateway6 := v6
	gateway6[15] = 1
	l.put(store.NetworkKey(name.Tenant, name.Network), &store.Network{Number: number, Segmentation: how, Segment: number,
		Flood: store.FloodAuto, Subnets: []store.Subnet{
			{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, n}), 24), Gateway: netip.AddrFrom4([4]byte{10, 0, n, 1})},
			{Prefix: netip.PrefixFrom(netip.AddrFrom16(v6), 64), Gateway: netip.AddrFrom16(gateway6)},
		}})
}

func (l *lab) randomPort(host string, name store.NetworkName, n, p byte) {
	key := store.PortKey(host, name.Tenant, name.Network, fmt.Sprint("p", p))
	l.put(key, &store.Port{Number: uint32(1 + len(l.ports)), MAC: store.MAC{2, 0, 0, 0, 0, 10 + p},
		Interface: fmt.Sprintf("sl-%d", len(l.ports)), Addresses: []netip.Prefix{
			netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, n, 10 + p}), 24),
			netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 1: n, 15: 10 + p}), 64),
		}})
	l.ports[key.NetworkName().String()+"/"+key.Name] = l.state.Port(key)
}

// ends are a port's two families.
func (l *lab) ends(name string) []simulate.Endpoint {
	var ends []simulate.Endpoint
	for _, a := range l.ports[name].Value.Addresses {
		ends = append(ends, simulate.Endpoint{MAC: l.ports[name].Value.MAC, IP: a.Addr()})
	}
	return ends
}

// pair sends from one port to another, to its MAC and through the router.
func (l *lab) pair(from, to string) {
	l.Helper()
	there := l.ends(to)
	for i, from4or6 := range l.ends(from) {
		l.expect(from, simulate.ICMPEcho(from4or6, there[i], 1), l.meant(from, func(p *store.Item[store.Port]) bool {
			return p.Key.NetworkName() == l.ports[from].Key.NetworkName() && p.Value.MAC == there[i].MAC
		}))
		routed := there[i]
		routed.MAC = store.RouterMAC
		l.expect(from, simulate.ICMPEcho(from4or6, routed, 1), l.meant(from, func(p *store.Item[store.Port]) bool {
			return p.Key.Tenant == l.ports[from].Key.Tenant && slices.ContainsFunc(p.Value.Addresses,
				func(a netip.Prefix) bool { return a.Addr() == routed.IP })
		}))
	}
}

// meant are the ports that a rule as simple as the promise itself picks.
func (l *lab) meant(from string, rule func(*store.Item[store.Port]) bool) []string {
	var names []string
	for name, p := range l.ports {
		if name != from && rule(p) {
			names = append(names, name)
		}
	}
	return names
}

func (l *lab) broadcast(from string) {
	l.Helper()
	me := l.ends(from)[0]
	everybody := simulate.Endpoint{MAC: simulate.Broadcast, IP: netip.MustParseAddr("255.255.255.255")}
	l.expect(from, simulate.UDP(me, everybody), l.meant(from, func(p *store.Item[store.Port]) bool {
		return p.Key.NetworkName() == l.ports[from].Key.NetworkName()
	}))
}

// expect sends a frame and compares who got it; a kernel counts as nobody, for egress is
// another test's.
func (l *lab) expect(from string, p simulate.Packet, want []string) {
	l.Helper()
	walk, _ := l.send(from, p)
	var got []string
	for _, d := range walk.Deliveries {
		if !d.Kernel {
			got = append(got, l.cluster.Host(d.Host).Ports[d.Port])
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		l.Errorf("from %s: it reached %v, want %v\n%s", from, got, want, walk)
	}
}
