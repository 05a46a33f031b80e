package hostagent

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// newAnteroom is a namespace for an end that is handed over. There it tells its neighbours its addresses: in the host's it would have to be
// up among the host's own interfaces, and answer for them.
func newAnteroom() (ns netns.NsHandle, err error) {
	if ns, err = newNamespace(); err != nil {
		return ns, err
	}
	// Otherwise its kernel would speak too, under an address that is not the port's.
	err = inNamespace(ns, func() error { return setSysctl(ipv6Setting("default"), "1") })
	if err != nil {
		return netns.None(), errors.Join(err, ns.Close())
	}
	return ns, nil
}

// handOver leaves an end in the host's namespace, down, for the runtime that moves it into the container.
func handOver(from netns.NsHandle, name string) error {
	own, err := netns.Get()
	if err != nil {
		return fmt.Errorf("open the host's namespace: %w", err)
	}
	defer own.Close()
	h, err := netlink.NewHandleAt(from)
	if err != nil {
		return fmt.Errorf("open the namespace of interface %s: %w", name, err)
	}
	defer h.Close()
	link, err := h.LinkByName(name)
	if err == nil {
		err = h.LinkSetDown(link)
	}
	if err == nil {
		err = h.LinkSetNsFd(link, int(own))
	}
	if err != nil {
		return fmt.Errorf("hand over interface %s: %w", name, err)
	}
	return nil
}
