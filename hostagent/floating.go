package hostagent

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sluice/store"
)

// floatingLabel marks the addresses that the agent gives to uplinks, and no others are its own. A label has 15 characters at most.
const floatingLabel = "sluice-floating"

// floatingLife is how long the kernel keeps a floating address that the agent does not renew: that of an agent that died or hangs goes
// by itself, sooner than the leader makes another host the gateway host of its tenant (its lease lasts 15 s, and the leader waits 10 s more).
const floatingLife = 15 * time.Second

// spot is a floating address on an interface of this host.
type spot struct {
	address netip.Addr
	link    int
}

func (s spot) addr() *netlink.Addr {
	return &netlink.Addr{
		IPNet: &net.IPNet{IP: s.address.AsSlice(), Mask: net.CIDRMask(32, 32)}, Label: floatingLabel,
		ValidLft: int(floatingLife / time.Second), PreferedLft: 0, // nothing of this host is to speak as it by itself
	}
}

// put gives the address to the interface, or has the kernel keep it for another floatingLife.
func (s spot) put() error {
	link, err := netlink.LinkByIndex(s.link)
	if err == nil {
		err = netlink.AddrReplace(link, s.addr())
	}
	if err != nil {
		return fmt.Errorf("give floating address %s to the uplink: %w", s.address, err)
	}
	return nil
}

// takeOff takes it from the interface, where it still is.
func (s spot) takeOff() error {
	link, err := netlink.LinkByIndex(s.link)
	if err == nil {
		err = netlink.AddrDel(link, s.addr())
	}
	if err != nil && !isGone(err) && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("take floating address %s from the uplink: %w", s.address, err)
	}
	return nil
}

// floatingSpots are the floating addresses that this host has now, whichever agent put them there, sorted.
func floatingSpots() (list []spot, err error) {
	have, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range have {
		if address, ok := netip.AddrFromSlice(a.IP); ok && a.Label == floatingLabel {
			list = append(list, spot{address.Unmap(), a.LinkIndex})
		}
	}
	slices.SortFunc(list, func(a, b spot) int { return a.address.Compare(b.address) })
	return list, nil
}

// floatingHere are their addresses.
func floatingHere() (list []netip.Addr, err error) {
	spots, err := floatingSpots()
	for _, s := range spots {
		list = append(list, s.address)
	}
	return list, err
}

// floatingOf are the floating addresses of openings, and others, sorted, each once.
func floatingOf(openings []opening, others []netip.Addr) []netip.Addr {
	all := slices.Clone(others)
	for _, o := range openings {
		if o.floats() {
			all = append(all, o.Address)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// uplinkSubnet is a subnet of an uplink, where floating addresses of it may be.
type uplinkSubnet struct {
	prefix netip.Prefix
	link   int
}

// uplinkSubnets are those of IPv4 that this host's uplinks have by themselves.
func uplinkSubnets(named string) (list []uplinkSubnet, err error) {
	links, err := uplinks(named)
	if err != nil {
		return nil, err
	}
	for _, name := range links {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return nil, fmt.Errorf("uplink %s: %w", name, err)
		}
		have, err := netlink.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			return nil, fmt.Errorf("uplink %s: list addresses: %w", name, err)
		}
		for _, a := range have {
			ones, _ := a.Mask.Size()
			if address, ok := netip.AddrFromSlice(a.IP); ok && a.Label != floatingLabel && ones < 32 {
				list = append(list, uplinkSubnet{netip.PrefixFrom(address.Unmap(), ones).Masked(), link.Attrs().Index})
			}
		}
	}
	return list, nil
}

// toldSubnets are those that the cluster is told of, sorted.
func toldSubnets(named string) (list []netip.Prefix, err error) {
	all, err := uplinkSubnets(named)
	for _, s := range all {
		list = append(list, s.prefix)
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	list = slices.Compact(list)
	return list[:min(len(list), store.MaxHostSubnets)], err
}

// tellsOfFloating reports whether a message about an address is about a floating one of ours.
func tellsOfFloating(m syscall.NetlinkMessage) bool {
	return len(m.Data) > unix.SizeofIfAddrmsg &&
		bytes.Equal(bytes.TrimRight(attribute(m.Data[unix.SizeofIfAddrmsg:], unix.IFA_LABEL), "\x00"), []byte(floatingLabel))
}

// announcing are the times after an address came at which all neighbours are told of it; then they are told each announceAgain, since some were cut
// off, or have believed another host since.
var announcing = []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}

const announceAgain = 30 * time.Second

// hold is since when this host has a floating address, and how often its neighbours were told of that.
type hold struct {
	since, told time.Time
	times       int
}

// due reports whether the neighbours are to be told now.
func (h *hold) due(now time.Time) bool {
	if h.times < len(announcing) {
		return now.Sub(h.since) >= announcing[h.times]
	}
	return now.Sub(h.told) >= announceAgain
}
