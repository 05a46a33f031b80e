package hostagent

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sluice/store"
)

// addressNotifications tell of the host's addresses. Those of a link alone, which each veth of a
// container has for a moment, are of no concern, nor floating ones, which are renewed all the time.
var addressNotifications = notifications{
	protocol: unix.NETLINK_ROUTE, groups: []uint{unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR},
	concern: func(m syscall.NetlinkMessage) bool {
		const scope = 3 // its place in struct ifaddrmsg
		return len(m.Data) > scope && m.Data[scope] == unix.RT_SCOPE_UNIVERSE && !tellsOfFloating(m)
	},
}

// again lists anew, once, where the kernel says that what it lists changed meanwhile: the list may lack some then.
func again[T any](list func() ([]T, error)) ([]T, error) {
	all, err := list()
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		return list()
	}
	return all, err
}

// hostAddresses are the addresses under which others reach this host, sorted: all but those of a
// link alone, of loopback, of the interfaces that Sluice makes, and floating ones. Temporary ones (RFC 8981) are
// IPv6's, which tenants' egress is not, and change by themselves.
func hostAddresses() ([]netip.Addr, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	ours := make(map[int]bool)
	for _, link := range links {
		name := link.Attrs().Name
		ours[link.Attrs().Index] = name == store.GatewayInterface || strings.HasPrefix(name, interfacePrefix)
	}
	have, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var all []netip.Addr
	for _, a := range have {
		ip, ok := netip.AddrFromSlice(a.IP)
		ip = ip.Unmap()
		temporary := ip.Is6() && a.Flags&unix.IFA_F_TEMPORARY != 0 // of IPv4 the flag says that another address of the subnet came first
		if ok && ip.IsGlobalUnicast() && !ours[a.LinkIndex] && !temporary && a.Label != floatingLabel {
			all = append(all, ip)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	all = slices.Compact(all)
	return all[:min(len(all), store.MaxHostAddresses)], nil
}
