package hostagent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"sluice/store"
)

// kernelConnections counts the connections that this host's kernel knows of tenants, by number, as
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
		if number, ok := transit.Number(connectionSource(message)); ok && !connectionClosed(message) {
			counts[number]++
		}
		return true
	})
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) { // the table changed meanwhile: it always does
		return nil, fmt.Errorf("list the kernel's connections: %w", err)
	}
	return counts, nil
}

// connectionSource is who opened a connection that the kernel tells of, by its IPv4 address.
func connectionSource(message []byte) netip.Addr {
	source, ok := netip.AddrFromSlice(inside(message, nl.CTA_TUPLE_ORIG, nl.CTA_TUPLE_IP, nl.CTA_IP_V4_SRC))
	if !ok || !source.Is4() {
		return netip.Addr{}
	}
	return source
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
