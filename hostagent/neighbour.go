package hostagent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	resolvers      = 16          // how many peers are resolved at once
	resolveTimeout = time.Second // what one peer may take to answer
)

// neighbour is where frames to a peer go next on the underlay.
type neighbour struct {
	device string
	addr   netip.Addr
	mac    net.HardwareAddr
}

// errNoAnswer says that nobody answered for a peer's address.
var errNoAnswer = errors.New("no answer")

// resolve lets the kernel find the next hop to a peer, without sending it a packet.
func resolve(ctx context.Context, peer netip.Addr) (neighbour, error) {
	routes, err := netlink.RouteGet(peer.AsSlice())
	if err != nil || len(routes) == 0 {
		return neighbour{}, fmt.Errorf("no route: %w", errors.Join(err, errNoAnswer))
	}
	hop := peer
	if via, ok := netip.AddrFromSlice(routes[0].Gw); ok {
		hop = via.Unmap()
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return neighbour{}, fmt.Errorf("interface of the route: %w", err)
	}
	ask := &netlink.Neigh{
		LinkIndex: routes[0].LinkIndex, IP: hop.AsSlice(), State: netlink.NUD_NONE, Flags: netlink.NTF_USE,
	}
	if err := netlink.NeighSet(ask); err != nil {
		return neighbour{}, fmt.Errorf("ask for %s: %w", hop, err)
	}
	mac, err := awaitMAC(ctx, routes[0].LinkIndex, hop)
	return neighbour{device: link.Attrs().Name, addr: hop, mac: mac}, err
}

// awaitMAC polls the kernel's neighbour table: answers take a millisecond as a rule.
func awaitMAC(ctx context.Context, link int, hop netip.Addr) (net.HardwareAddr, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	family := unix.AF_INET
	if hop.Is6() {
		family = unix.AF_INET6
	}
	for {
		all, err := netlink.NeighList(link, family)
		if err != nil {
			return nil, fmt.Errorf("list neighbours: %w", err)
		}
		for _, n := range all {
			if ip, _ := netip.AddrFromSlice(n.IP); ip.Unmap() == hop && n.State&usable != 0 {
				return n.HardwareAddr, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, errNoAnswer
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// usable are the states in which the kernel itself would send to the address.
const usable = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE | netlink.NUD_PERMANENT

// resolveAll resolves peers side by side; those that do not answer are left out.
func resolveAll(ctx context.Context, due []netip.Addr) (map[netip.Addr]neighbour, error) {
	answered := make(map[netip.Addr]neighbour)
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(resolvers)
	for _, peer := range due {
		g.Go(func() error {
			n, err := resolve(ctx, peer)
			if errors.Is(err, errNoAnswer) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("resolve tunnel address %s: %w", peer, err)
			}
			mu.Lock()
			defer mu.Unlock()
			answered[peer] = n
			return nil
		})
	}
	return answered, g.Wait()
}
