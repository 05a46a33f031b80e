package hostagent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sluice/store"
)

// gatewayLacks says why this host cannot be a gateway host, though it was told to be one.
func gatewayLacks(uplink string, its store.Transit) error {
	names, err := uplinks(uplink)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return errors.New("tenants cannot leave: this host has no IPv4 default route: name an interface with --uplink")
	}
	return transitIsFree(its)
}

// transitIsFree refuses a transit range that routes of this host overlap, in any of its tables,
// other than the default route and our own: one of the two would not be reached any more. A
// carrier's NAT and mesh VPNs use the default range too.
func transitIsFree(its store.Transit) error {
	all := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, all, netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	own := 0
	if link, err := netlink.LinkByName(store.GatewayInterface); err == nil {
		own = link.Attrs().Index
	}
	for _, r := range routes {
		to, ok := prefixOf(r.Dst)
		if !ok || to.Bits() == 0 || own != 0 && r.LinkIndex == own || !its.Overlaps(to) {
			continue
		}
		return fmt.Errorf("the cluster's transit range %s overlaps this host's route to %s%s: remove that, or choose another range for the cluster (sluice controller --transit-range)",
			its, to, by(r.LinkIndex))
	}
	return nil
}

// by names an interface, where it has a name.
func by(index int) string {
	link, err := netlink.LinkByIndex(index)
	if err != nil {
		return ""
	}
	return " by " + link.Attrs().Name
}

// prefixOf is a route's destination; none is the default route.
func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), bits), ok
}
