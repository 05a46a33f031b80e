package hostagent

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"sluice/store"
)

// tunnelOverhead is what each encapsulation adds to a container's IP packet over IPv4, in
// bytes: outer IP 20, then GRE with key 8, or UDP 8 with VXLAN or option-less Geneve 8;
// then the inner Ethernet header 14.
var tunnelOverhead = map[string]int{"gre": 42, "vxlan": 50, "geneve": 50}

const (
	overheadIPv6 = 20 // the outer header is 40 bytes, not 20
	overheadVLAN = 4  // the 802.1Q tag inside the tunnel
)

// containerMTU is the greatest IP packet that crosses the underlay in one piece.
func containerMTU(underlay int, encap string, vtep netip.Addr, s store.Segmentation) int {
	mtu := underlay - tunnelOverhead[encap]
	if vtep.Is6() {
		mtu -= overheadIPv6
	}
	if s == store.SegmentationVLAN {
		mtu -= overheadVLAN
	}
	return mtu
}

// underlay is the interface that holds the VTEP.
type underlay struct {
	name   string
	index  int
	mtu    int
	prefix netip.Prefix // the VTEP with its prefix length
}

// findUnderlay looks for the interface that holds the tunnel address.
func findUnderlay(vtep netip.Addr) (underlay, error) {
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return underlay{}, fmt.Errorf("list addresses: %w", err)
	}
	for _, addr := range addrs {
		ip, ok := netip.AddrFromSlice(addr.IP)
		if !ok || ip.Unmap() != vtep {
			continue
		}
		link, err := netlink.LinkByIndex(addr.LinkIndex)
		if err != nil {
			return underlay{}, fmt.Errorf("interface of tunnel address %s: %w", vtep, err)
		}
		ones, _ := addr.Mask.Size()
		return underlay{
			name: link.Attrs().Name, index: addr.LinkIndex, mtu: link.Attrs().MTU,
			prefix: netip.PrefixFrom(vtep, ones),
		}, nil
	}
	return underlay{}, fmt.Errorf("no interface of this host holds the tunnel address %s", vtep)
}

// mtu is what containers get; 0 while the underlay is unknown. The caller holds a.mu.
func (a *Agent) mtu(s store.Segmentation) int {
	if a.underlay.mtu == 0 {
		return 0
	}
	return containerMTU(a.underlay.mtu, a.o.Encap, a.o.VTEP, s)
}

// networkMTU is what a container of a network gets: the network's own where it is smaller.
func (a *Agent) networkMTU(n *store.Network) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	mtu := a.mtu(n.Segmentation)
	if n.MTU > 0 && n.MTU < mtu {
		return n.MTU
	}
	return mtu
}
