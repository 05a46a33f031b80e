package hostagent

import (
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
)

// uplinks are the interfaces by which tenants leave this host: the one that the operator named,
// or those of the IPv4 default routes.
func uplinks(named string) ([]string, error) {
	if named != "" {
		return []string{named}, nil
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var names []string
	for _, r := range routes {
		if r.Dst != nil && !r.Dst.IP.IsUnspecified() {
			continue
		}
		for _, index := range nextInterfaces(r) {
			link, err := netlink.LinkByIndex(index)
			if err != nil {
				return nil, fmt.Errorf("interface of the default route: %w", err)
			}
			names = append(names, link.Attrs().Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// nextInterfaces are the indexes of the interfaces that a route leads to.
func nextInterfaces(r netlink.Route) []int {
	var all []int
	if r.LinkIndex > 0 {
		all = append(all, r.LinkIndex)
	}
	for _, hop := range r.MultiPath {
		all = append(all, hop.LinkIndex)
	}
	return all
}
