package store

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Addresses and numbers that Sluice keeps for itself on every bridge.
var (
	// RouterMAC is the first hop of every container: the router that OVS plays.
	RouterMAC = MAC{0x02, 0x00, 0x5e, 0x00, 0x01, 0x01}
	// HandOverMAC marks frames by which a gateway host asks another whether it knows their connection.
	HandOverMAC = MAC{0x02, 0x00, 0x5e, 0x00, 0x01, 0x02}
	// BounceMAC marks those that come back, since it does not.
	BounceMAC = MAC{0x02, 0x00, 0x5e, 0x00, 0x01, 0x03}
	// KernelMAC is the gateway port's own, on the kernel's side of every gateway host.
	KernelMAC = MAC{0x02, 0x00, 0x5e, 0x00, 0x01, 0x04}
	// PeerMAC is the source of frames that a peered tenant sent: the router that they came by.
	PeerMAC = MAC{0x02, 0x00, 0x5e, 0x00, 0x01, 0x06}
	// PublishedMAC is the source of frames that came in from outside to a published port.
	PublishedMAC = MAC{0x02, 0x00, 0x5e, 0x00, 0x01, 0x07}
	// ResolverMAC is that of the resolver behind every host's resolver port.
	ResolverMAC = MAC{0x02, 0x00, 0x5e, 0x00, 0x01, 0x05}

	// Resolver4 and Resolver6 are where containers ask for names, in every network. No subnet may have them.
	Resolver4 = netip.MustParseAddr("169.254.53.53")
	Resolver6 = netip.MustParseAddr("fd73:6c75:6963:65::53")
	// Desks4 and Desks6 hold the addresses behind the resolver ports, one for each tenant: see Desk. FarDesks4 are those of
	// tenants whose number is too long for Desks4.
	Desks4    = netip.MustParsePrefix("240.53.0.0/16")
	FarDesks4 = netip.MustParsePrefix("241.0.0.0/8")
	Desks6    = netip.MustParsePrefix("fd73:6c75:6963:65:1::/96")

	// resolverRange is IPv6 that no network may have, since the resolver needs it.
	resolverRange = netip.MustParsePrefix("fd73:6c75:6963:65::/64")
)

const (
	// MaxTenantNumber bounds tenants: cookies and IPv4 desks have room for 24 bits, and the last number stands for all beyond.
	MaxTenantNumber = 0xfffffe
	// MaxSlot bounds the tenants that leave by one host: conntrack zones 2n and 2n+1 have 16 bits. See Gateway.Slots.
	MaxSlot = 32767
	// MaxNetworkNumber is the last tunnel key that a network may have.
	MaxNetworkNumber = ProbeTunnelKey - 1
	// maxPortNumber is the last number that a port gets: those above stand for the gateway and resolver ports.
	maxPortNumber = 0xfffffffd
	// VLANTunnelKey carries the frames of every VLAN network, told apart by their tag.
	VLANTunnelKey = 0xffffff
	// MaxVLAN is the last VLAN id (IEEE 802.1Q reserves 0 and 4095).
	MaxVLAN = 4094

	// BridgeName is the integration bridge of every host.
	BridgeName = "br-int"
	// TunnelInterface is the one flow-based tunnel port of a host's bridge.
	TunnelInterface = "sluice-tun"
	// GatewayInterface is the internal port between a bridge and its host's kernel.
	GatewayInterface = "sluice-gw"
	// ResolverInterface is the port between a bridge and its host's resolver.
	ResolverInterface = "sluice-dns"
	// probePrefix begins the names of the tunnel ports by which a host probes others.
	probePrefix = "sluice-"
	// ProbeTunnelKey is the tunnel key of probes alone: what a tenant sends never has it.
	ProbeTunnelKey = 0xfffffe
)

// ProbeInterface is the tunnel port by which a host probes another one. Two hosts may share one.
func ProbeInterface(host string) string { return fmt.Sprintf("%s%08x", probePrefix, HostHash(host)) }

// ProbedHash is the hash of the host that is probed by an interface; ok is false where none is.
func ProbedHash(iface string) (hash uint32, ok bool) {
	digits, ok := strings.CutPrefix(iface, probePrefix)
	n, err := strconv.ParseUint(digits, 16, 32)
	return uint32(n), ok && err == nil && iface == fmt.Sprintf("%s%08x", probePrefix, n)
}

// Desk is the address behind a resolver port at which the questions of one tenant arrive, in the family of
// another address: the resolver knows by it who asks, since tenants may have the same addresses.
func Desk(tenant uint32, like netip.Addr) netip.Addr {
	if like.Is4() {
		desks := Desks4
		if tenant > 0xffff {
			desks = FarDesks4
		}
		a := desks.Addr().As4()
		return netip.AddrFrom4([4]byte{a[0], a[1] | byte(tenant>>16), byte(tenant >> 8), byte(tenant)})
	}
	a := Desks6.Addr().As16()
	binary.BigEndian.PutUint32(a[12:], tenant)
	return netip.AddrFrom16(a)
}

// DeskNumber is the number of the tenant whose questions arrive at an address; ok is false where it is no desk.
func DeskNumber(a netip.Addr) (tenant uint32, ok bool) {
	for _, desks := range []netip.Prefix{Desks4, FarDesks4, Desks6} {
		if desks.Contains(a) {
			b := a.AsSlice()
			return binary.BigEndian.Uint32(b[len(b)-4:]) & (1<<(a.BitLen()-desks.Bits()) - 1), true
		}
	}
	return 0, false
}

// NATZone is the conntrack zone of a host in which the egress of the tenant with a slot there is translated.
func NATZone(slot uint32) uint16 { return uint16(2 * slot) }

// PolicyZone is the conntrack zone in which that tenant's rules keep state.
func PolicyZone(slot uint32) uint16 { return uint16(2*slot + 1) }
