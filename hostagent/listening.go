package hostagent

import (
	"cmp"
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sluice/store"
)

// listening are the ports that programs of this host's network namespace listen on for others, sorted. Those of loopback
// alone are not reached from outside.
func listening() ([]store.Endpoint, error) {
	var all []store.Endpoint
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		tcp, err := netlink.SocketDiagTCP(family)
		if err != nil {
			return nil, fmt.Errorf("list sockets of TCP: %w", err)
		}
		udp, err := netlink.SocketDiagUDP(family)
		if err != nil {
			return nil, fmt.Errorf("list sockets of UDP: %w", err)
		}
		for _, s := range tcp {
			all = heard(all, s, store.ProtocolTCP, s.State == netlink.TCP_LISTEN)
		}
		for _, s := range udp { // one that is connected hears its other end alone
			all = heard(all, s, store.ProtocolUDP, s.ID.DestinationPort == 0)
		}
	}
	slices.SortFunc(all, func(a, b store.Endpoint) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
	return slices.Compact(all), nil
}

func heard(all []store.Endpoint, s *netlink.Socket, protocol store.Protocol, listens bool) []store.Endpoint {
	if !listens || net.IP(s.ID.Source).IsLoopback() {
		return all
	}
	return append(all, store.Endpoint{Protocol: protocol, Port: s.ID.SourcePort})
}

// toldListening are those of them that the cluster is told of: those above come and go with what the host asks others.
func toldListening() ([]store.Endpoint, error) {
	all, err := listening()
	if err != nil {
		return nil, err
	}
	const chosen = 32768 // where the ports begin that a kernel chooses itself, unless somebody set it
	all = slices.DeleteFunc(all, func(e store.Endpoint) bool { return e.Port >= chosen })
	return all[:min(len(all), store.MaxListens)], nil
}
