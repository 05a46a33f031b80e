package store

// Addresses and numbers that Sluice keeps for itself on every bridge.
var (
	// RouterMAC is the first hop of every container: the router that OVS plays.
	RouterMAC = MAC{0x02, 0x00, 0x5e, 0x00, 0x01, 0x01}
	// HandOverMAC marks frames that a new gateway host hands to the draining one.
	HandOverMAC = MAC{0x02, 0x00, 0x5e, 0x00, 0x01, 0x02}
	// BounceMAC marks frames that a draining gateway host sends back.
	BounceMAC = MAC{0x02, 0x00, 0x5e, 0x00, 0x01, 0x03}
	// KernelMAC is the gateway port's own, on the kernel's side of every gateway host.
	KernelMAC = MAC{0x02, 0x00, 0x5e, 0x00, 0x01, 0x04}
)

const (
	// MaxTenantNumber bounds tenants: conntrack zones 2n and 2n+1 have 16 bits.
	MaxTenantNumber = 32767
	// MaxNetworkNumber is the last tunnel key that a network may have.
	MaxNetworkNumber = VLANTunnelKey - 1
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
)

// NATZone is the conntrack zone in which a tenant's egress is translated.
func NATZone(number uint32) uint16 { return uint16(2 * number) }

// PolicyZone is the conntrack zone in which a tenant's rules keep state.
func PolicyZone(number uint32) uint16 { return uint16(2*number + 1) }
