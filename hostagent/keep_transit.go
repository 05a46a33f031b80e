package hostagent

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sluice/store"
)

// transit keeps the kernel's side of the gateway port: the interface between the switch, where
// tenants are, and the kernel, which routes their egress.
type transit struct {
	underlay       *underlay
	infrastructure *infrastructure
}

// transitState is what the agent makes of the interface.
type transitState struct {
	ipv6Off   bool
	loose     bool // answers may come in by another interface than they would leave by
	addressed bool // has the kernel's transit address
	up        bool
	routeMTU  int // bytes, of the route to the tenants' transit addresses; 0: no such route
}

const (
	transitIPv6Off = "net/ipv6/conf/" + store.GatewayInterface + "/disable_ipv6"
	transitFilter  = "net/ipv4/conf/" + store.GatewayInterface + "/rp_filter"
)

func (t transit) is(ctx context.Context) (s transitState, err error) {
	known, err := t.infrastructure.recall(ctx)
	if err != nil {
		return s, err
	}
	its := known.transit()
	link, err := transitLink()
	if err != nil {
		return s, err
	}
	s.up = link.Attrs().Flags&net.FlagUp != 0
	if s.ipv6Off, err = sysctlIs(transitIPv6Off, "1"); err != nil {
		return s, err
	}
	if s.loose, err = sysctlIs(transitFilter, "2"); err != nil {
		return s, err
	}
	if s.addressed, err = hasAddress(link, kernelAddress(its)); err != nil {
		return s, err
	}
	s.routeMTU, err = transitRouteMTU(link, its)
	return s, err
}

// should: the device takes what tunnel networks send; the route is smaller by a tag, so that
// answers fit VLAN networks too.
func (t transit) should(context.Context) (transitState, error) {
	return transitState{
		ipv6Off: true, loose: true, addressed: true, up: true,
		routeMTU: t.underlay.containerMTU(store.SegmentationVLAN),
	}, nil
}

func (t transit) makeSo(_ context.Context, should, is transitState) error {
	if is == should {
		return nil
	}
	its := t.infrastructure.known().transit()
	if !is.addressed && transitIsFree(its) != nil {
		return nil // the host is no gateway, and says why: the range would cut it off from somewhere
	}
	if err := setSysctl(transitIPv6Off, "1"); err != nil {
		return err
	}
	// Loose: answers of a connection that moves between gateway hosts may come by another way.
	if err := setSysctl(transitFilter, "2"); err != nil {
		return err
	}
	link, err := transitLink()
	if err != nil {
		return err
	}
	if !is.addressed {
		if err := t.giveAddress(link, its); err != nil {
			return err
		}
	}
	if !is.up {
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("interface %s: set up: %w", store.GatewayInterface, err)
		}
	}
	if is.routeMTU == should.routeMTU {
		return nil
	}
	return addTransitRoute(link, its, should.routeMTU)
}

func transitLink() (netlink.Link, error) {
	link, err := netlink.LinkByName(store.GatewayInterface)
	if err != nil {
		return nil, fmt.Errorf("interface %s: find: %w", store.GatewayInterface, err)
	}
	return link, nil
}

// kernelAddress is the kernel's address in a transit range.
func kernelAddress(t store.Transit) netip.Prefix { return netip.PrefixFrom(t.Kernel(), t.Bits()) }

// giveAddress gives the interface its address in place of those that it has, of a transit range
// before.
func (t transit) giveAddress(link netlink.Link, its store.Transit) error {
	have, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("interface %s: list addresses: %w", link.Attrs().Name, err)
	}
	for _, addr := range have {
		if err := netlink.AddrDel(link, &addr); err != nil {
			return fmt.Errorf("interface %s: delete address %s: %w", link.Attrs().Name, addr.IPNet, err)
		}
	}
	return addAddress(link, kernelAddress(its))
}

func hasAddress(link netlink.Link, p netip.Prefix) (bool, error) {
	have, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return false, fmt.Errorf("interface %s: list addresses: %w", link.Attrs().Name, err)
	}
	for _, addr := range have {
		if addr.Equal(netlink.Addr{IPNet: ipNet(p)}) {
			return true, nil
		}
	}
	return false, nil
}

// addAddress adds an address without a route of its own.
func addAddress(link netlink.Link, p netip.Prefix) error {
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NOPREFIXROUTE}); err != nil {
		return fmt.Errorf("interface %s: add address %s: %w", link.Attrs().Name, p, err)
	}
	return nil
}

// transitRouteMTU is the MTU of the route to the tenants from the kernel's transit address, in
// bytes; 0 where there is no such route.
func transitRouteMTU(link netlink.Link, its store.Transit) (int, error) {
	filter := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(its.Prefix)}
	have, err := netlink.RouteListFiltered(netlink.FAMILY_V4, filter, netlink.RT_FILTER_OIF|netlink.RT_FILTER_DST)
	if err != nil {
		return 0, fmt.Errorf("list routes to %s: %w", its.Prefix, err)
	}
	for _, r := range have {
		if r.Src.Equal(its.Kernel().AsSlice()) {
			return r.MTU, nil
		}
	}
	return 0, nil
}

func addTransitRoute(link netlink.Link, its store.Transit, mtu int) error {
	err := netlink.RouteReplace(&netlink.Route{
		LinkIndex: link.Attrs().Index, Dst: ipNet(its.Prefix), Src: its.Kernel().AsSlice(),
		Scope: netlink.SCOPE_LINK, MTU: mtu,
	})
	if err != nil {
		return fmt.Errorf("add route to %s: %w", its.Prefix, err)
	}
	return nil
}
