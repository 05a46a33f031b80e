package hostagent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"sluice/store"
)

// kernelConnections counts the connections that this host's kernel knows of tenants, by their slots here, as
// the limit does: without closed ones. nftables counts them too, and shows no one how many there are. The
// kernel walks all of its table for it.
func kernelConnections(transit store.Transit) (map[uint32]int, error) {
	counts := make(map[uint32]int)
	if all, err := sysctlNumber("net/netfilter/nf_conntrack_count"); err == nil && all == 0 {
		return counts, nil
	}
	request := nl.NewNetlinkRequest(netlink.ConntrackTable<<8|nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_INET, Version: nl.NFNETLINK_V0})
	err := request.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(message []byte) bool {
		if slot, ok := connectionTenant(message, transit); ok && !connectionClosed(message) {
			counts[slot]++
		}
		return true
	})
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) { // the table changed meanwhile: it always does
		return nil, fmt.Errorf("list the kernel's connections: %w", err)
	}
	return counts, nil
}

// connectionTenant is the slot of whose a connection is: of the tenant that opened it, or that publishes where it leads. What the host itself
// opened to a transit address is nobody's.
func connectionTenant(message []byte, transit store.Transit) (uint32, bool) {
	slot, ok := transit.Slot(connectionEnd(message, nl.CTA_TUPLE_ORIG, nl.CTA_IP_V4_SRC))
	if _, itself := transit.Slot(connectionEnd(message, nl.CTA_TUPLE_ORIG, nl.CTA_IP_V4_DST)); !ok && !itself {
		slot, ok = transit.Slot(connectionEnd(message, nl.CTA_TUPLE_REPLY, nl.CTA_IP_V4_SRC))
	}
	return slot, ok
}

// connectionEnd is an IPv4 address of a connection that the kernel tells of: in the tuple of who opened it, or of the answers.
func connectionEnd(message []byte, tuple, end uint16) netip.Addr {
	a, ok := netip.AddrFromSlice(inside(message, tuple, nl.CTA_TUPLE_IP, end))
	if !ok || !a.Is4() {
		return netip.Addr{}
	}
	return a
}

// connectionClosed reports whether a connection of TCP is over: the kernel keeps those for minutes, and
// nftables does not count them.
func connectionClosed(message []byte) bool {
	state := inside(message, nl.CTA_PROTOINFO, nl.CTA_PROTOINFO_TCP, nl.CTA_PROTOINFO_TCP_STATE)
	return len(state) == 1 && (state[0] == nl.TCP_CONNTRACK_TIME_WAIT || state[0] == nl.TCP_CONNTRACK_CLOSE)
}

// inside is what a message has at a path of attributes, each inside the one before; nil: nothing.
func inside(message []byte, path ...uint16) []byte {
	if len(message) < nl.SizeofNfgenmsg {
		return nil
	}
	at := message[nl.SizeofNfgenmsg:]
	for _, kind := range path {
		at = attribute(at, kind)
	}
	return at
}

// attribute is what a list of netlink attributes has of one kind, or nil.
func attribute(list []byte, kind uint16) []byte {
	for len(list) >= unix.SizeofNlAttr {
		size := int(binary.NativeEndian.Uint16(list))
		if size < unix.SizeofNlAttr || size > len(list) {
			return nil
		}
		if binary.NativeEndian.Uint16(list[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER) == kind {
			return list[unix.SizeofNlAttr:size]
		}
		list = list[min((size+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1), len(list)):]
	}
	return nil
}

// forgetConnections has the kernel forget the connections that were opened to some published ports.
func forgetConnections(ended []opening) error {
	if len(ended) == 0 {
		return nil
	}
	return forget(openedBy(ended))
}

// forgetMissed has the kernel forget what came to published ports before they were: it decides once for a connection where it
// leads, and a sender of UDP that goes on would never be let in.
func forgetMissed(began []opening) error {
	if len(began) == 0 {
		return nil
	}
	own, err := hostAddresses()
	if err != nil {
		return err
	}
	return forget(missed{began, own})
}

func forget(which netlink.CustomConntrackFilter) error {
	_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, which)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("forget connections to published ports: %w", err)
	}
	return nil
}

// openedBy are openings, as a filter of the connections that they let in.
type openedBy []opening

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (list openedBy) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	answers, ok := netip.AddrFromSlice(flow.Reverse.SrcIP)
	return ok && slices.ContainsFunc(list, func(o opening) bool { return o.asked(flow) && answers.Unmap() == o.Transit })
}

// missed are what came to openings and was taken for the host's own, as a filter.
type missed struct {
	began []opening
	own   []netip.Addr
}

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (m missed) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	to, ok := netip.AddrFromSlice(flow.Forward.DstIP)
	return ok && flow.Reverse.SrcIP.Equal(flow.Forward.DstIP) && slices.ContainsFunc(m.began, func(o opening) bool {
		return o.asked(flow) && (o.floats() || slices.Contains(m.own, to.Unmap()))
	})
}

// asked reports whether a connection was opened to the port, on its address where it floats.
func (o opening) asked(flow *netlink.ConntrackFlow) bool {
	protocol := uint8(unix.IPPROTO_TCP)
	if o.Protocol == store.ProtocolUDP {
		protocol = unix.IPPROTO_UDP
	}
	to, _ := netip.AddrFromSlice(flow.Forward.DstIP)
	return flow.Forward.Protocol == protocol && flow.Forward.DstPort == o.Port && (!o.floats() || to.Unmap() == o.Address)
}
