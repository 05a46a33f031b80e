package hostagent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"sigs.k8s.io/knftables"

	"sluice/store"
)

// membersInPlace are the members that this host's nftables table and gateway interface were made
// for. An agent that was never told of any, as one with an empty state directory, begins with them:
// the table that it writes closes no less than the one that it replaces.
func membersInPlace(ctx context.Context) (members, error) {
	peers, had, err := setInPlace(ctx, peersSet)
	if err != nil {
		return members{}, err
	}
	closed, _, err := setInPlace(ctx, machinesSet)
	if err != nil {
		return members{}, err
	}
	m := members{Told: had, Closed: ordered(append(closed, peers...)), Peers: ordered(peers)}
	m.Settings.Transit, err = transitInPlace()
	return m, err
}

// setInPlace are the elements of one set of our table, and whether there is such a set.
func setInPlace(ctx context.Context, name string) (addresses []netip.Addr, found bool, err error) {
	nft, err := knftables.New(knftables.InetFamily, tableName)
	if err != nil {
		return nil, false, err
	}
	elements, err := nft.ListElements(ctx, "set", name)
	if knftables.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read set %s of nftables table %s: %w", name, tableName, err)
	}
	for _, e := range elements {
		a, err := netip.ParseAddr(e.Key[0])
		if err != nil {
			return nil, false, fmt.Errorf("set %s of nftables table %s: %w", name, tableName, err)
		}
		addresses = append(addresses, a)
	}
	return addresses, true, nil
}

// transitInPlace is the transit range of which the gateway interface has the kernel's address; none
// where there is no such address or interface.
func transitInPlace() (netip.Prefix, error) {
	link, err := netlink.LinkByName(store.GatewayInterface)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return netip.Prefix{}, nil
	}
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("interface %s: find: %w", store.GatewayInterface, err)
	}
	have, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("interface %s: list addresses: %w", store.GatewayInterface, err)
	}
	for _, addr := range have {
		bits, _ := addr.Mask.Size()
		ip, _ := netip.AddrFromSlice(addr.IP.To4())
		its := netip.PrefixFrom(ip, bits).Masked()
		if store.ValidateTransit(its) == nil && ip == (store.Transit{Prefix: its}).Kernel() {
			return its, nil
		}
	}
	return netip.Prefix{}, nil
}
