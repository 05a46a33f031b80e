package hostagent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"sluice/hostagent/resolver"
	"sluice/store"
)

// room is the network namespace of the resolver, with a desk's addresses for each tenant. It is there as long as the agent
// runs. It is safe for concurrent use.
type room struct {
	mu   sync.Mutex
	ns   netns.NsHandle // none until it is built
	ipv6 bool
}

// roomInterface is the room's own. It is a macvlan on the port's end, so that the port outlives the room.
const roomInterface = "resolver"

func newRoom() *room { return &room{ns: netns.None()} }

// close ends the room.
func (r *room) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ns.IsOpen() {
		r.ns.Close()
	}
}

// leadsTo reports whether the room's interface is up and on an interface of the host.
func (r *room) leadsTo(end string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	below, err := netlink.LinkByName(end)
	if isGone(err) || !r.ns.IsOpen() {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("interface %s: find: %w", end, err)
	}
	h, err := netlink.NewHandleAt(r.ns)
	if err != nil {
		return false, fmt.Errorf("open the resolver's namespace: %w", err)
	}
	defer h.Close()
	link, err := h.LinkByName(roomInterface)
	if isGone(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("interface %s of the resolver: %w", roomInterface, err)
	}
	up := link.Attrs().Flags&net.FlagUp != 0
	return up && link.Attrs().ParentIndex == below.Attrs().Index, nil
}

// build makes the namespace, unless it is there, and its interface on an interface of the host. plain: see containerEnd.
func (r *room) build(end string, plain bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ns.IsOpen() {
		if err := r.found(); err != nil {
			return err
		}
	}
	h, err := netlink.NewHandleAt(r.ns)
	if err != nil {
		return fmt.Errorf("open the resolver's namespace: %w", err)
	}
	defer h.Close()
	link, err := r.interfaceOn(h, end)
	if err != nil {
		return err
	}
	if plain { // of the interface below: a macvlan leaves the work to that
		if err := hostChecksumsOff(end); err != nil {
			return fmt.Errorf("interface %s: switch checksum offload off: %w", end, err)
		}
	}
	return r.routes(h, link)
}

// roomSettings are those of the namespace. Desks are at port 53 without the privilege that other namespaces ask for; no
// packet is forwarded; and the interface has no address of its own, so that it asks for no neighbours or groups.
var roomSettings = [][2]string{
	{"net/ipv4/ip_unprivileged_port_start", "53"},
	{"net/ipv4/ip_forward", "0"},
	{"net/ipv6/conf/default/accept_ra", "0"},
	{"net/ipv6/conf/default/addr_gen_mode", "1"},
}

// found makes the namespace.
func (r *room) found() error {
	ns, err := newNamespace()
	if err != nil {
		return err
	}
	r.ns = ns
	return inNamespace(ns, func() error {
		absent, err := sysctlIs("net/ipv6/conf/default/disable_ipv6", "") // one of IPv6 that is absent counts as right
		if err != nil {
			return err
		}
		r.ipv6 = !absent
		for _, s := range roomSettings {
			if err := setSysctl(s[0], s[1]); err != nil {
				return err
			}
		}
		return nil
	})
}

// interfaceOn makes the room's interface anew.
func (r *room) interfaceOn(h *netlink.Handle, end string) (netlink.Link, error) {
	below, err := netlink.LinkByName(end)
	if err != nil {
		return nil, fmt.Errorf("interface %s: find: %w", end, err)
	}
	if old, err := h.LinkByName(roomInterface); err == nil {
		if err := h.LinkDel(old); err != nil {
			return nil, fmt.Errorf("interface %s of the resolver: delete: %w", roomInterface, err)
		}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex, attrs.HardwareAddr, attrs.Namespace = roomInterface, below.Attrs().Index, store.ResolverMAC[:], netlink.NsFd(r.ns)
	if err := netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_PRIVATE}); err != nil {
		return nil, fmt.Errorf("create interface %s of the resolver, a macvlan on %s: %w", roomInterface, end, err)
	}
	link, err := h.LinkByName(roomInterface)
	if err != nil {
		return nil, fmt.Errorf("interface %s of the resolver: find: %w", roomInterface, err)
	}
	if err := errors.Join(h.LinkSetARPOff(link), h.LinkSetUp(link)); err != nil {
		return nil, fmt.Errorf("interface %s of the resolver: set up: %w", roomInterface, err)
	}
	return link, nil
}

// routes make the desks local, and lead to all containers by the interface: the flows know which is meant.
func (r *room) routes(h *netlink.Handle, link netlink.Link) error {
	lo, err := h.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("interface lo of the resolver: find: %w", err)
	}
	if err := h.LinkSetUp(lo); err != nil {
		return fmt.Errorf("interface lo of the resolver: set up: %w", err)
	}
	families := []netip.Prefix{store.Desks4, store.FarDesks4}
	if r.ipv6 {
		families = append(families, store.Desks6)
	}
	for _, desks := range families {
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if desks.Addr().Is6() {
			all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		err := errors.Join(
			h.RouteReplace(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: ipNet(desks), Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}),
			h.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(all), Scope: netlink.SCOPE_LINK}))
		if err != nil {
			return fmt.Errorf("routes of the resolver for %s: %w", desks, err)
		}
	}
	return nil
}

// errNoRoom says that desks cannot be opened yet.
var errNoRoom = errors.New("the resolver's namespace is not there yet")

// open opens the sockets of the desk of a tenant's number.
func (r *room) open(number uint32) (s resolver.Sockets, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ns.IsOpen() {
		return s, errNoRoom
	}
	at := []netip.Addr{store.Desk(number, store.Resolver4)}
	if r.ipv6 {
		at = append(at, store.Desk(number, store.Resolver6))
	}
	err = inNamespace(r.ns, func() error {
		for _, a := range at {
			if err := listenAt(&s, a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return s, errors.Join(err, s.Close())
	}
	return s, nil
}

// listenAt opens both sockets at an address, which no interface has: a route makes it local.
func listenAt(s *resolver.Sockets, a netip.Addr) error {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) {
			if a.Is6() {
				err = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_FREEBIND, 1)
			}
		}), err)
	}}
	at := netip.AddrPortFrom(a, 53).String()
	packets, err := config.ListenPacket(context.Background(), "udp", at)
	if err != nil {
		return fmt.Errorf("listen at %s: %w", at, err)
	}
	s.Packets = append(s.Packets, packets.(*net.UDPConn))
	streams, err := config.Listen(context.Background(), "tcp", at)
	if err != nil {
		return fmt.Errorf("listen at %s: %w", at, err)
	}
	s.Streams = append(s.Streams, streams)
	return nil
}

// built reports whether the namespace is there.
func (r *room) built() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ns.IsOpen()
}
