package hostagent

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"sluice/hostagent/api"
	"sluice/store"
)

// interfacePrefix begins the host's end of every container's veth pair.
const interfacePrefix = "sl-"

// openNamespace opens a network namespace by path. It refuses the host's own.
func openNamespace(path string) (netns.NsHandle, error) {
	if !filepath.IsAbs(path) {
		return netns.None(), api.NewProblem(http.StatusUnprocessableEntity,
			"namespace %q: give an absolute path such as /run/netns/NAME or /proc/PID/ns/net", path)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return netns.None(), api.NewProblem(http.StatusUnprocessableEntity, "namespace %s: %v", path, err)
	}
	if fs.Type != unix.NSFS_MAGIC && fs.Type != unix.PROC_SUPER_MAGIC {
		return netns.None(), api.NewProblem(http.StatusUnprocessableEntity, "namespace %s: not a network namespace", path)
	}
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return ns, api.NewProblem(http.StatusUnprocessableEntity, "namespace %s: %v", path, err)
	}
	own, err := netns.Get()
	if err != nil {
		ns.Close()
		return netns.None(), fmt.Errorf("open the host's namespace: %w", err)
	}
	defer own.Close()
	if ns.Equal(own) {
		ns.Close()
		return netns.None(), api.NewProblem(http.StatusUnprocessableEntity,
			"namespace %s is the host's own: a container needs one of its own", path)
	}
	return ns, nil
}

// createVeth makes the pair, its one end in the container's namespace from the start. The
// host's end comes up silent, as the keeper veths says.
func createVeth(uid, ifName string, mtu int, ns netns.NsHandle) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = portInterface(uid), mtu
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerMTU, veth.PeerNamespace = ifName, uint32(mtu), netlink.NsFd(ns)
	err := netlink.LinkAdd(veth)
	if errors.Is(err, unix.EEXIST) {
		return api.NewProblem(http.StatusConflict, "the container has an interface %s already", ifName)
	}
	if err != nil {
		return fmt.Errorf("create veth %s: %w", attrs.Name, err)
	}
	link, err := netlink.LinkByName(attrs.Name)
	if err != nil {
		return fmt.Errorf("find veth %s: %w", attrs.Name, err)
	}
	return silenceAndRaise(link)
}

func ipv6Setting(iface string) string { return "net/ipv6/conf/" + iface + "/disable_ipv6" }

func silenceAndRaise(link netlink.Link) error {
	name := link.Attrs().Name
	if err := netlink.LinkSetARPOff(link); err != nil {
		return fmt.Errorf("interface %s: switch ARP off: %w", name, err)
	}
	if err := setSysctl(ipv6Setting(name), "1"); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("interface %s: set up: %w", name, err)
	}
	return nil
}

// deleteLink removes an interface of the host, and with it its peer; no error if there is none.
func deleteLink(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil && !isGone(err) {
		return fmt.Errorf("delete interface %s: %w", name, err)
	}
	return nil
}

// portLinks lists the host's ends of veth pairs.
func portLinks() (map[string]bool, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	names := make(map[string]bool)
	for _, i := range interfaces {
		uid, ok := strings.CutPrefix(i.Name, interfacePrefix)
		if ok && store.ValidateUID(uid) == nil {
			names[i.Name] = true
		}
	}
	return names, nil
}

// containerEnd is the interface that a container sees.
type containerEnd struct {
	name      string
	mac       store.MAC
	addresses []netip.Prefix
	gateways  []netip.Addr
	routes    []route // instead of default routes; nil: those
	// plainChecksums makes the kernel compute checksums itself: the userspace datapath
	// passes on frames whose checksum was left to a device, and TCP stalls.
	plainChecksums bool
	handOver       bool // its runtime does the rest: it gets its MAC alone
}

// setUp configures the interface inside its namespace.
func (e containerEnd) setUp(ns netns.NsHandle) (warnings []string, err error) {
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return nil, fmt.Errorf("open the container's namespace: %w", err)
	}
	defer h.Close()
	link, err := h.LinkByName(e.name)
	if err != nil {
		return nil, fmt.Errorf("interface %s of the container: %w", e.name, err)
	}
	if e.plainChecksums {
		if err := transmitChecksumsOff(ns, e.name); err != nil {
			return nil, fmt.Errorf("interface %s of the container: switch checksum offload off: %w", e.name, err)
		}
	}
	if err := h.LinkSetHardwareAddr(link, e.mac[:]); err != nil {
		return nil, fmt.Errorf("interface %s of the container: set MAC %s: %w", e.name, e.mac, err)
	}
	if e.handOver {
		return nil, h.LinkSetUp(link)
	}
	if err := e.address(h, link); err != nil {
		return nil, fmt.Errorf("interface %s of the container: %w", e.name, err)
	}
	return e.route(h, link)
}

func (e containerEnd) address(h *netlink.Handle, link netlink.Link) error {
	for _, prefix := range e.addresses {
		addr := &netlink.Addr{IPNet: ipNet(prefix)}
		if prefix.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD // the store gave it to this port alone
		}
		if err := h.AddrReplace(link, addr); err != nil {
			return fmt.Errorf("add address %s: %w", prefix, err)
		}
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	return nil
}

// route is a route that a runtime asks for.
type route struct {
	to  netip.Prefix
	via netip.Addr // invalid: the network's router
}

// route adds the routes that were asked for, or else the default routes; a container that has a default route from another
// network keeps it.
func (e containerEnd) route(h *netlink.Handle, link netlink.Link) (warnings []string, err error) {
	if e.routes != nil {
		return nil, e.ownRoutes(h, link)
	}
	for _, gateway := range e.gateways {
		err := h.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway.AsSlice()})
		switch {
		case errors.Is(err, unix.EEXIST):
			warnings = append(warnings, fmt.Sprintf("the container has a default route already: none was added through %s", gateway))
		case err != nil:
			return nil, fmt.Errorf("interface %s of the container: default route through %s: %w", e.name, gateway, err)
		}
	}
	return warnings, nil
}

func (e containerEnd) ownRoutes(h *netlink.Handle, link netlink.Link) error {
	for _, r := range e.routes {
		via := r.via
		for _, gateway := range e.gateways {
			if !via.IsValid() && gateway.Is4() == r.to.Addr().Is4() {
				via = gateway
			}
		}
		if !via.IsValid() {
			return api.NewProblem(http.StatusUnprocessableEntity, "route to %s: the port has no address of its family: name a gateway, or leave the route out", r.to)
		}
		if err := h.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(r.to), Gw: via.AsSlice()}); err != nil {
			return fmt.Errorf("interface %s of the container: route to %s through %s: %w", e.name, r.to, via, err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
