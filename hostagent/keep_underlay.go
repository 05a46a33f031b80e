package hostagent

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"

	"sluice/store"
)

// underlay keeps the agent's knowledge of the interface that has this host's tunnel address.
type underlay struct {
	vtep    netip.Addr
	encap   string
	changed bell // rings when the interface became known, or is another one

	mu    sync.Mutex
	found vtepInterface
}

// vtepInterface is the interface that has the tunnel address. The zero value is none.
type vtepInterface struct {
	name   string
	spread bool         // it is no wire: what is sent to the address may come in by any interface
	mtu    int          // bytes
	prefix netip.Prefix // the tunnel address with its prefix length
}

// is looks for the interface that has the tunnel address.
func (u *underlay) is(context.Context) (vtepInterface, error) {
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return vtepInterface{}, fmt.Errorf("list addresses: %w", err)
	}
	for _, addr := range addrs {
		ip, ok := netip.AddrFromSlice(addr.IP)
		if !ok || ip.Unmap() != u.vtep {
			continue
		}
		link, err := netlink.LinkByIndex(addr.LinkIndex)
		if err != nil {
			return vtepInterface{}, fmt.Errorf("interface of tunnel address %s: %w", u.vtep, err)
		}
		ones, _ := addr.Mask.Size()
		return vtepInterface{
			name: link.Attrs().Name, mtu: link.Attrs().MTU, prefix: netip.PrefixFrom(u.vtep, ones),
			spread: link.Attrs().Flags&net.FlagLoopback != 0 || link.Type() == "dummy",
		}, nil
	}
	return vtepInterface{}, nil
}

func (u *underlay) should(context.Context) (netip.Addr, error) { return u.vtep, nil }

// makeSo remembers the interface. To give a host its address is not for the agent: where no
// interface has it, that is the problem, and the last one known stays.
func (u *underlay) makeSo(_ context.Context, vtep netip.Addr, found vtepInterface) error {
	if found.prefix.Addr() != vtep {
		return fmt.Errorf("no interface of this host holds the tunnel address %s", vtep)
	}
	u.mu.Lock()
	differs := u.found != found
	u.found = found
	u.mu.Unlock()
	if differs {
		u.changed.ring()
	}
	return nil
}

// known is the interface as it was found last.
func (u *underlay) known() vtepInterface {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.found
}

// containerMTU is what containers get in networks of a segmentation, in bytes; 0 while the
// underlay is unknown.
func (u *underlay) containerMTU(s store.Segmentation) int {
	found := u.known()
	if found.mtu == 0 {
		return 0
	}
	return containerMTU(found.mtu, u.encap, u.vtep, s)
}

// networkMTU is what a container of a network gets: the network's own where it is smaller.
func (u *underlay) networkMTU(n *store.Network) int {
	mtu := u.containerMTU(n.Segmentation)
	if n.MTU > 0 && n.MTU < mtu {
		return n.MTU
	}
	return mtu
}

// tunnelOverhead is what each encapsulation adds to a container's IP packet over IPv4, in
// bytes: outer IP 20, then GRE with key 8, or UDP 8 with VXLAN or option-less Geneve 8;
// then the inner Ethernet header 14.
var tunnelOverhead = map[string]int{"gre": 42, "vxlan": 50, "geneve": 50}

const (
	overheadIPv6 = 20 // the outer header is 40 bytes, not 20
	overheadVLAN = 4  // the 802.1Q tag inside the tunnel
)

// containerMTU is the greatest IP packet that crosses the underlay in one piece, in bytes.
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
