package hostagent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sluice/store"
)

const (
	peerInterval    = 15 * time.Second // how soon a new host is noticed
	refreshInterval = 5 * time.Minute  // how often known hosts are resolved again
	resolveTimeout  = time.Second      // what one peer may take to answer
)

// warm keeps the underlay's MAC addresses of all peers known, since the switch loses the
// first packet to a peer that it has to resolve.
func (a *Agent) warm(ctx context.Context) error {
	resolved := make(map[netip.Addr]time.Time)
	for {
		a.report("tunnel peers", ignoreEnd(ctx, a.warmPeers(ctx, resolved)))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(peerInterval):
		}
	}
}

// warmPeers resolves the peers that are new or due. A peer that is down is no failure.
func (a *Agent) warmPeers(ctx context.Context, resolved map[netip.Addr]time.Time) error {
	if a.registered() == nil {
		return nil
	}
	hosts, _, err := a.o.Store.List(ctx, store.KindHost)
	if err != nil {
		return fmt.Errorf("list hosts: %w", err)
	}
	if err := a.noteLive(ctx); err != nil {
		return err
	}
	var fresh []neighbour
	for _, e := range hosts {
		vtep := e.Object.(*store.Host).VTEP()
		if !vtep.IsValid() || vtep == a.o.VTEP || time.Since(resolved[vtep]) < refreshInterval {
			continue
		}
		n, err := resolve(ctx, vtep)
		switch {
		case errors.Is(err, errNoAnswer):
		case err != nil:
			return fmt.Errorf("resolve %s, tunnel address of host %s: %w", vtep, e.Key.Host, err)
		default:
			resolved[vtep] = time.Now()
			fresh = append(fresh, n)
		}
	}
	if a.o.DatapathType != "netdev" || len(fresh) == 0 {
		return nil // the kernel's datapath uses the kernel's own neighbours
	}
	return a.tellSwitch(ctx, fresh)
}

// noteLive remembers which hosts an attach waits for: those whose agents are alive.
func (a *Agent) noteLive(ctx context.Context) error {
	live, _, err := a.o.Store.List(ctx, store.KindLiveHost)
	if err != nil {
		return fmt.Errorf("list live hosts: %w", err)
	}
	names := make([]string, 0, len(live))
	for _, e := range live {
		names = append(names, e.Key.Host)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.live = names
	return nil
}

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

// tellSwitch enters neighbours into the userspace datapath's own table.
func (a *Agent) tellSwitch(ctx context.Context, all []neighbour) error {
	c, err := dialSwitch(ctx, a.o.RunDir)
	if err != nil {
		return err
	}
	defer c.close()
	for _, n := range all {
		if err := c.call("tnl/neigh/set", n.device, n.addr.String(), n.mac.String()); err != nil {
			return fmt.Errorf("tell the switch of %s: %w", n.addr, err)
		}
	}
	return nil
}
