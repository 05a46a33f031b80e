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

	"sluice/store"
)

const (
	peerInterval    = 15 * time.Second       // how soon a restart of the switch is noticed
	refreshInterval = 5 * time.Minute        // how often known hosts are resolved again
	restInterval    = 500 * time.Millisecond // between two rounds, while many hosts register
	resolveTimeout  = time.Second            // what one peer may take to answer
)

// resolvers is how many peers are resolved at once.
const resolvers = 16

// peers is what the agent knows of the other hosts' tunnel addresses.
type peers struct {
	resolved map[netip.Addr]time.Time // when each was last told to the switch
	pid      string                   // of the ovs-vswitchd that was told
}

// warm keeps the underlay's MAC addresses of all peers known, since the switch loses the
// first packet to a peer that it has to resolve.
func (a *Agent) warm(ctx context.Context) error {
	known := &peers{resolved: make(map[netip.Addr]time.Time)}
	for ctx.Err() == nil {
		at, err := a.warmPeers(ctx, known)
		a.report("tunnel peers", ignoreEnd(ctx, err))
		rest := time.After(restInterval)
		a.untilHostsChange(ctx, at)
		<-rest
	}
	return nil
}

// untilHostsChange waits until the hosts are others than at a revision (0: unknown), so that a
// new host is resolved before it sends anything; it waits no longer than peerInterval.
func (a *Agent) untilHostsChange(ctx context.Context, at store.Revision) {
	ctx, cancel := context.WithTimeout(ctx, peerInterval)
	defer cancel()
	if at > 0 {
		<-a.o.Store.HostsChanged(ctx, at)
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}

// warmPeers resolves the peers that are new or due, and returns the revision at which it
// read them; 0: it did not, or not all is told. A peer that is down is no failure.
func (a *Agent) warmPeers(ctx context.Context, known *peers) (store.Revision, error) {
	if a.registered() == nil {
		return 0, nil
	}
	hosts, at, err := a.o.Store.List(ctx, store.KindHost)
	if err != nil {
		return 0, fmt.Errorf("list hosts: %w", err)
	}
	if err := a.noteLive(ctx); err != nil {
		return 0, err
	}
	userspace := a.o.DatapathType == "netdev" // the kernel's datapath uses the kernel's neighbours
	if userspace {
		if err := known.checkSwitch(a.o.RunDir); err != nil {
			return 0, err
		}
	}
	answered, err := resolveAll(ctx, a.due(hosts, known))
	if err != nil {
		return 0, err
	}
	if userspace && len(answered) > 0 {
		if err := a.tellSwitch(ctx, answered); err != nil {
			return 0, err
		}
	}
	for peer := range answered {
		known.resolved[peer] = time.Now()
	}
	a.notePeers(hosts, known)
	return at, nil
}

// notePeers counts the registered peers that are resolved, for Status.
func (a *Agent) notePeers(hosts []store.Event, known *peers) {
	count := 0
	for _, e := range hosts {
		if !known.resolved[e.Object.(*store.Host).VTEP()].IsZero() {
			count++
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.peers = count
}

// checkSwitch forgets what was told to a switch that has restarted since.
func (p *peers) checkSwitch(runDir string) error {
	pid, err := switchPID(runDir)
	if err == nil && pid != p.pid {
		clear(p.resolved)
		p.pid = pid
	}
	return err
}

// due lists the tunnel addresses that are new, or were resolved long ago.
func (a *Agent) due(hosts []store.Event, known *peers) []netip.Addr {
	var due []netip.Addr
	for _, e := range hosts {
		vtep := e.Object.(*store.Host).VTEP()
		if vtep.IsValid() && vtep != a.o.VTEP && time.Since(known.resolved[vtep]) > refreshInterval {
			due = append(due, vtep)
		}
	}
	return due
}

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

func (a *Agent) liveHosts() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.live
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
func (a *Agent) tellSwitch(ctx context.Context, all map[netip.Addr]neighbour) error {
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
