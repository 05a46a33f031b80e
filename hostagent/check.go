package hostagent

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/vishvananda/netlink"

	"sluice/hostagent/api"
	"sluice/store"
)

// Check looks whether a port is as Attach made it: in etcd, in the switch, and inside its
// container. It changes nothing; what it finds is the error.
func (a *Agent) Check(ctx context.Context, r api.CheckRequest) error {
	key, p, created, err := a.port(ctx, r.DetachRequest)
	if err != nil {
		return err
	}
	name := key.NetworkName().String() + "/" + key.Name
	ns, err := openNamespace(r.NetNS)
	if err != nil {
		return fmt.Errorf("check port %s: %w", name, err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return fmt.Errorf("check port %s: open the container's namespace: %w", name, err)
	}
	defer h.Close()
	if err := checkEnd(h, r.IfName, p); err != nil {
		return api.NewProblem(http.StatusConflict, "port %s is not as it was made: %v", name, err)
	}
	wait, cancel := context.WithTimeout(ctx, allTimeout)
	defer cancel()
	if err := a.o.Store.WaitHost(wait, a.o.Host, created, key); err != nil {
		return fmt.Errorf("check port %s: %w", name, err)
	}
	return nil
}

// checkEnd compares the container's end with the port: its MAC, its addresses, and that it is up.
func checkEnd(h *netlink.Handle, ifName string, p *store.Port) error {
	link, err := h.LinkByName(ifName)
	if err != nil {
		return fmt.Errorf("interface %s of the container: %w", ifName, err)
	}
	switch attrs := link.Attrs(); {
	case !bytes.Equal(attrs.HardwareAddr, p.MAC[:]):
		return fmt.Errorf("interface %s of the container has MAC %s, not %s", ifName, attrs.HardwareAddr, p.MAC)
	case attrs.Flags&net.FlagUp == 0:
		return fmt.Errorf("interface %s of the container is down", ifName)
	}
	list, err := h.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("interface %s of the container: list addresses: %w", ifName, err)
	}
	has := map[netip.Addr]bool{}
	for _, address := range list {
		ip, _ := netip.AddrFromSlice(address.IP) // the kernel's are valid
		has[ip.Unmap()] = true
	}
	for _, want := range p.Addresses {
		if !has[want.Addr()] {
			return fmt.Errorf("interface %s of the container lacks address %s", ifName, want)
		}
	}
	return nil
}
