package integration

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/integration/lab"
	"sluice/store"
)

// arena is two tenants with the same subnet and taps on all their containers: on h1 and h2
// both have the same addresses, and on h2 each has a third that the other has not.
type arena struct{ alice, bob []*wire }

func newArena(t *testing.T) *arena {
	t.Helper()
	tenant(t, "alice", "--gateway", "h1", "--segmentation", "tunnel")
	tenant(t, "bob", "--gateway", "h2", "--segmentation", "vlan")
	a := &arena{}
	for i, host := range []string{"h1", "h2"} {
		ip := fmt.Sprintf("10.0.0.%d", 11+i)
		a.alice = append(a.alice, tap(t, container(t, host, "alice", "alice-"+host, ip)))
		a.bob = append(a.bob, tap(t, container(t, host, "bob", "bob-"+host, ip)))
	}
	a.alice = append(a.alice, tap(t, container(t, "h2", "alice", "alice-more", "10.0.0.13")))
	a.bob = append(a.bob, tap(t, container(t, "h2", "bob", "bob-only", "10.0.0.99")))
	return a
}

func (a *arena) everybody() []*wire { return append(append([]*wire{}, a.alice...), a.bob...) }

// attack is a frame that must reach nobody.
type attack struct {
	what   string
	frame  func(marker []byte) []byte
	marker []byte
}

// Nothing that a container may not say is heard by anybody: not by its neighbours, and not
// by another tenant. That the taps hear at all shows an honest frame sent last.
func TestNobodyHearsForgedFrames(t *testing.T) {
	needLab(t)
	a := newArena(t)
	vlan := vlanOf(t, "bob")
	for _, side := range []struct{ mine, theirs []*wire }{{a.alice, a.bob}, {a.bob, a.alice}} {
		from := side.mine[0]
		t.Run(from.c.Tenant, func(t *testing.T) {
			attacks := forge(side.mine, side.theirs, vlan)
			for i := range attacks {
				attacks[i].marker = marker()
				for range 3 {
					from.send(t, attacks[i].frame(attacks[i].marker))
				}
			}
			a.honest(t, from, side.mine[1])
			for _, at := range attacks {
				for _, w := range a.everybody() {
					if w != from && w.saw(at.marker) {
						t.Errorf("%s: %s/%s on %s received it", at.what, w.c.Tenant, w.c.Name, w.c.Host)
					}
				}
			}
		})
	}
}

// forge makes what the first of mine may not say. The last of theirs has an address that
// only they have.
func forge(mine, theirs []*wire, vlan uint16) []attack {
	me, peer, more := mine[0].c, mine[1].c, mine[2].c
	mac, peerMAC, moreMAC := hw(me.MAC), hw(peer.MAC), hw(more.MAC)
	ip, peerIP, moreIP := ipOf(me), ipOf(peer), ipOf(more)
	router := net.HardwareAddr(store.RouterMAC[:])
	theirMAC, theirIP := hw(theirs[1].c.MAC), ipOf(theirs[2].c)
	gateway, foreign := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.7")
	everybody := netip.MustParseAddr("255.255.255.255")
	nobody := hw("02:12:34:56:78:9a")

	type frame = func(marker []byte) []byte
	ip4 := func(dst, src net.HardwareAddr, from, to netip.Addr) frame {
		return func(m []byte) []byte { return ethernet(dst, src, unix.ETH_P_IP, udp4(from, to, 4000, 4001, m)) }
	}
	ask := func(src, sha net.HardwareAddr, spa, tpa netip.Addr) frame {
		return func(m []byte) []byte {
			return ethernet(broadcast, src, unix.ETH_P_ARP, arp(1, sha, spa, make(net.HardwareAddr, 6), tpa, m))
		}
	}
	tag := func(tpid, tci uint16, f frame) frame {
		return func(m []byte) []byte { return tagged(f(m), tpid, tci) }
	}
	honest, toThem := ip4(peerMAC, mac, ip, peerIP), ip4(theirMAC, mac, ip, theirIP)
	return []attack{
		{what: "a neighbour's MAC as source", frame: ip4(peerMAC, moreMAC, ip, peerIP)},
		{what: "an unknown MAC as source", frame: ip4(peerMAC, nobody, ip, peerIP)},
		{what: "the router's MAC as source", frame: ip4(peerMAC, router, ip, peerIP)},
		{what: "a neighbour's IPv4 as source", frame: ip4(peerMAC, mac, moreIP, peerIP)},
		{what: "the gateway's IPv4 as source", frame: ip4(peerMAC, mac, gateway, peerIP)},
		{what: "a foreign IPv4 as source", frame: ip4(peerMAC, mac, foreign, peerIP)},
		{what: "a foreign IPv4 as source, by the router", frame: ip4(router, mac, foreign, peerIP)},
		{what: "a foreign IPv4 as source, broadcast", frame: ip4(broadcast, mac, foreign, everybody)},
		{what: "ARP for a neighbour's address", frame: ask(mac, mac, moreIP, peerIP)},
		{what: "ARP with a neighbour's hardware address", frame: ask(mac, moreMAC, ip, peerIP)},
		{what: "ARP from a neighbour's MAC", frame: ask(moreMAC, moreMAC, moreIP, peerIP)},
		{what: "gratuitous ARP for the gateway", frame: ask(mac, mac, gateway, gateway)},
		{what: "forged ARP reply to a neighbour", frame: func(m []byte) []byte {
			return ethernet(peerMAC, mac, unix.ETH_P_ARP, arp(2, mac, moreIP, peerMAC, peerIP, m))
		}},
		{what: "tagged with bob's VLAN", frame: tag(0x8100, vlan, honest)},
		{what: "tagged with bob's VLAN, to the other tenant", frame: tag(0x8100, vlan, toThem)},
		{what: "tagged with bob's VLAN, broadcast", frame: tag(0x8100, vlan, ask(mac, mac, ip, theirIP))},
		{what: "tagged with another VLAN", frame: tag(0x8100, vlan%4094+1, honest)},
		{what: "priority tag", frame: tag(0x8100, 0, honest)},
		{what: "double tag, bob's inside", frame: tag(0x8100, 1, tag(0x8100, vlan, toThem))},
		{what: "double tag, bob's outside", frame: tag(0x8100, vlan, tag(0x8100, 1, toThem))},
		{what: "provider tag, bob's inside", frame: tag(0x88a8, 1, tag(0x8100, vlan, toThem))},
		{what: "the other tenant's MAC as destination", frame: toThem},
		{what: "the other tenant's MAC, broadcast address", frame: ip4(theirMAC, mac, ip, everybody)},
		{what: "an address that only the other tenant has, by the router", frame: ip4(router, mac, ip, theirIP)},
		{what: "unknown destination", frame: ip4(nobody, mac, ip, peerIP)},
		{what: "DHCP server", frame: func(m []byte) []byte {
			return ethernet(broadcast, mac, unix.ETH_P_IP, udp4(ip, everybody, 67, 68, m))
		}},
		{what: "a message to a DHCP client from another port", frame: func(m []byte) []byte {
			return ethernet(peerMAC, mac, unix.ETH_P_IP, udp4(ip, peerIP, 6767, 68, m))
		}},
		{what: "IPv6 router advertisement", frame: func(m []byte) []byte {
			return ethernet(hw("33:33:00:00:00:01"), mac, unix.ETH_P_IPV6, routerAdvertisement(netip.MustParseAddr("fe80::1"), m))
		}},
		{what: "an unknown protocol, broadcast", frame: func(m []byte) []byte { return ethernet(broadcast, mac, 0x88b5, m) }},
	}
}

// honest sends a frame that must arrive and waits for it, so that all before it had their
// time: a switch that delivers late would be no excuse.
func (a *arena) honest(t *testing.T, from, to *wire) {
	t.Helper()
	m := marker()
	frame := ethernet(hw(to.c.MAC), hw(from.c.MAC), unix.ETH_P_IP, udp4(ipOf(from.c), ipOf(to.c), 4000, 4001, m))
	eventually(t, "an honest frame arrives", func() error {
		from.send(t, frame)
		time.Sleep(50 * time.Millisecond)
		if !to.saw(m) {
			return fmt.Errorf("%s did not see it", to.c.Name)
		}
		return nil
	})
	time.Sleep(300 * time.Millisecond)
}

func marker() []byte {
	m := make([]byte, 18)
	_, _ = rand.Read(m) // never fails
	return m
}

// transitOf is a tenant's own address towards its gateway's kernel.
func transitOf(t *testing.T, tenant string) string {
	t.Helper()
	return answer[struct{ Transit string }](t, "tenant", "show", tenant).Transit
}

// vlanOf is the VLAN id of a tenant's default network.
func vlanOf(t *testing.T, tenant string) uint16 {
	t.Helper()
	return uint16(answer[struct{ Segment uint32 }](t, "network", "show", tenant+"/default").Segment)
}

// A broadcast reaches its own network on every host, and nobody else.
func TestBroadcastStaysInItsNetwork(t *testing.T) {
	needLab(t)
	a := newArena(t)
	for _, from := range []*wire{a.alice[0], a.bob[0]} {
		m := marker()
		from.send(t, ethernet(broadcast, hw(from.c.MAC), unix.ETH_P_IP,
			udp4(ipOf(from.c), netip.MustParseAddr("255.255.255.255"), 4000, 4001, m)))
		to := a.alice[1]
		if from == a.bob[0] {
			to = a.bob[1]
		}
		a.honest(t, from, to)
		for _, w := range a.everybody() {
			if want := w.c.Tenant == from.c.Tenant && w != from; w != from && w.saw(m) != want {
				t.Errorf("broadcast of %s: received by %s: %v, want %v", from.c.Name, w.c.Name, !want, want)
			}
		}
	}
}

// No tenant reaches another, the underlay, the hosts, the controller, or another's gateway.
func TestTenantsReachNeitherOthersNorInfrastructure(t *testing.T) {
	st := needLab(t)
	a := newArena(t)
	closed := []netip.Addr{
		lab.RouterAddress, lab.ControlAddress, // the underlay
		netip.MustParseAddr(transitOf(t, "alice")), netip.MustParseAddr(transitOf(t, "bob")), store.DefaultTransit.Kernel(),
		netip.MustParseAddr("169.254.169.254"), // link-local
	}
	for _, h := range st.Hosts {
		closed = append(closed, h.VTEP)
	}
	for _, from := range []lab.Container{a.alice[0].c, a.alice[1].c, a.bob[0].c, a.bob[1].c} {
		wantNoPing(t, from, closed...)
	}
	wantNoPing(t, a.alice[0].c, ipOf(a.bob[2].c)) // only bob has that address
	wantNoPing(t, a.bob[0].c, ipOf(a.alice[2].c))
	wantPing(t, a.alice[0].c, ipOf(a.alice[2].c))
	wantPing(t, a.bob[0].c, ipOf(a.bob[2].c))
}

// Containers with one and the same address in two tenants each talk to their own.
func TestSameAddressesDoNotMix(t *testing.T) {
	needLab(t)
	a := newArena(t)
	for _, pair := range [][2]*wire{{a.alice[0], a.alice[1]}, {a.bob[0], a.bob[1]}} {
		m := marker()
		from, to := pair[0], pair[1]
		from.send(t, ethernet(hw(to.c.MAC), hw(from.c.MAC), unix.ETH_P_IP, udp4(ipOf(from.c), ipOf(to.c), 4000, 4001, m)))
		a.honest(t, from, to)
		for _, w := range a.everybody() {
			if want := w == to; w != from && w.saw(m) != want {
				t.Errorf("%s to %s: %s/%s received it: %v", from.c.Name, to.c.Name, w.c.Tenant, w.c.Name, !want)
			}
		}
	}
}

// A tunnel frame from a machine that is no host is not let in, whatever key it bears.
func TestTunnelFromStrangerIsDropped(t *testing.T) {
	needLab(t)
	a := newArena(t)
	to, from := a.alice[0], a.alice[1]
	key := answer[struct{ Segment uint32 }](t, "network", "show", "alice/default").Segment
	m := marker()
	frame := ethernet(hw(to.c.MAC), hw(from.c.MAC), unix.ETH_P_IP, udp4(ipOf(from.c), ipOf(to.c), 4000, 4001, m))
	for range 3 {
		c, err := lab.DialIn(t.Context(), lab.InternetNS, "udp", "172.30.0.1:4789")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(vxlan(key, frame)); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	a.honest(t, from, to)
	for _, w := range a.everybody() {
		if w.saw(m) {
			t.Errorf("%s/%s received a tunnel frame of a stranger", w.c.Tenant, w.c.Name)
		}
	}
}
