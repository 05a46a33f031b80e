package store

import (
	"fmt"
	"net/netip"
	"regexp"
)

// Bounds of what a user may ask for.
const (
	// MinMTU is what every IPv4 link carries (RFC 791); MinMTUv6 is IPv6's (RFC 8200, 5).
	MinMTU   = 576
	MinMTUv6 = 1280
	MaxMTU   = 9216
	// MaxSubnets bounds the subnets of one network: a port has an address in each.
	MaxSubnets = 8
	// UIDLength is the length of a port's UID; with "sl-" it fills an interface name.
	UIDLength = 12
)

var (
	label          = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	controllerName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)
	uid            = regexp.MustCompile(fmt.Sprintf(`^[a-z2-7]{%d}$`, UIDLength))
)

// ValidateName refuses what is not a DNS label (RFC 1123): 1 to 63 lower-case letters,
// digits and hyphens, with a letter or digit at both ends.
func ValidateName(name string) error {
	if !label.MatchString(name) {
		return fmt.Errorf("name %q is not a DNS label: use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends", name)
	}
	return nil
}

// ValidateControllerName refuses what is not a controller's name: 1 to 253 letters, digits, dots,
// underscores and hyphens, with a letter or digit at both ends. A machine's name is one.
func ValidateControllerName(name string) error {
	if !controllerName.MatchString(name) {
		return fmt.Errorf("controller name %q: use letters, digits, dots and hyphens, such as c1", name)
	}
	return nil
}

// ValidateUID refuses what is not a port's UID: 12 characters of lower-case base 32.
func ValidateUID(s string) error {
	if !uid.MatchString(s) {
		return fmt.Errorf("uid %q is not %d characters of lower-case base 32 (a-z, 2-7)", s, UIDLength)
	}
	return nil
}

// ValidateMAC refuses what cannot be a port's MAC: no address, a group's, or a reserved one.
func ValidateMAC(m MAC) error {
	switch {
	case m.IsZero():
		return fmt.Errorf("MAC %s is no address", m)
	case m.IsMulticast():
		return fmt.Errorf("MAC %s is a group address: its first byte must be even", m)
	case m.IsReserved():
		return fmt.Errorf("MAC %s is reserved: Sluice's own routers use 02:00:5e:00:01:xx", m)
	}
	return nil
}

// IsReserved reports whether m is of the block that Sluice's own routers use.
func (m MAC) IsReserved() bool { return [5]byte(m[:5]) == [5]byte(RouterMAC[:5]) }

// ValidateMTU refuses an MTU (bytes of IP) that no network of these subnets can have; 0
// leaves it to the underlay.
func ValidateMTU(mtu int, subnets []netip.Prefix) error {
	least := MinMTU
	for _, p := range subnets {
		if p.Addr().Is6() {
			least = MinMTUv6
		}
	}
	if mtu != 0 && (mtu < least || mtu > MaxMTU) {
		return fmt.Errorf("MTU %d is not between %d and %d (0: derived from the underlay)", mtu, least, MaxMTU)
	}
	return nil
}

// ValidateVLAN refuses what is not a usable VLAN id (IEEE 802.1Q reserves 0 and 4095).
func ValidateVLAN(id uint32) error {
	if id < 1 || id > MaxVLAN {
		return fmt.Errorf("VLAN id %d is not between 1 and %d", id, MaxVLAN)
	}
	return nil
}

// ValidateSegmentation refuses what is neither of the two segmentations.
func ValidateSegmentation(s Segmentation) error {
	if s != SegmentationVLAN && s != SegmentationTunnel {
		return fmt.Errorf("segmentation %q is neither %q nor %q", s, SegmentationVLAN, SegmentationTunnel)
	}
	return nil
}

// ValidateFlood refuses what is none of the three flood modes.
func ValidateFlood(f FloodMode) error {
	if f != FloodAuto && f != FloodOn && f != FloodOff {
		return fmt.Errorf("flood mode %q is none of %q, %q, %q", f, FloodAuto, FloodOn, FloodOff)
	}
	return nil
}

// Occupied is a prefix that a new subnet must not touch, and whose it is: "network
// alice/web", "the infrastructure of host h1".
type Occupied struct {
	Prefix netip.Prefix
	By     string
}

// forbidden are the ranges that no tenant's subnet may touch, on any cluster.
var forbidden = []Occupied{
	{netip.MustParsePrefix("0.0.0.0/8"), "the unspecified range"},
	{netip.MustParsePrefix("127.0.0.0/8"), "the loopback range"},
	{netip.MustParsePrefix("169.254.0.0/16"), "the link-local range"},
	{netip.MustParsePrefix("224.0.0.0/4"), "the multicast range"},
	{netip.MustParsePrefix("240.0.0.0/4"), "the reserved range"},
	{netip.MustParsePrefix("::/96"), "the range of the unspecified and loopback addresses"},
	{netip.MustParsePrefix("::ffff:0:0/96"), "the range of IPv4-mapped addresses"},
	{netip.MustParsePrefix("fe80::/10"), "the link-local range"},
	{resolverRange, "the range of the resolver that containers ask for names"},
	{netip.MustParsePrefix("ff00::/8"), "the multicast range"},
}

// ValidateSubnets refuses subnets that one network cannot have: malformed ones, ones that
// overlap each other or the occupied ones (the tenant's other networks, every host's
// infrastructure), and ones inside ranges that are never a tenant's.
func ValidateSubnets(subnets []netip.Prefix, occupied []Occupied) error {
	if len(subnets) > MaxSubnets {
		return fmt.Errorf("%d subnets are more than the %d that a network may have", len(subnets), MaxSubnets)
	}
	for i, p := range subnets {
		if err := validateSubnet(p); err != nil {
			return err
		}
		for _, q := range subnets[:i] {
			if p.Overlaps(q) {
				return fmt.Errorf("subnets %s and %s overlap", q, p)
			}
		}
		for _, others := range [][]Occupied{forbidden, occupied} {
			if err := clearOf(p, others); err != nil {
				return err
			}
		}
	}
	return nil
}

func validateSubnet(p netip.Prefix) error {
	most := p.Addr().BitLen() - 2
	switch {
	case !p.IsValid():
		return fmt.Errorf("subnet %s is not a prefix such as 10.0.0.0/24", p)
	case p.Addr().Is4In6():
		return fmt.Errorf("subnet %s is an IPv4 prefix in IPv6 form: write it as IPv4", p)
	case p.Masked() != p:
		return fmt.Errorf("subnet %s has bits beyond its length: did you mean %s?", p, p.Masked())
	case p.Bits() > most:
		return fmt.Errorf("subnet %s has no room for a router and a container: its length may be %d at most", p, most)
	}
	return nil
}

func clearOf(p netip.Prefix, others []Occupied) error {
	for _, o := range others {
		if p.Overlaps(o.Prefix) {
			return fmt.Errorf("subnet %s overlaps %s, %s", p, o.Prefix, o.By)
		}
	}
	return nil
}

// ValidateGateway refuses a router's address that its subnet does not offer.
func ValidateGateway(gateway netip.Addr, p netip.Prefix) error {
	if !Usable(p, gateway) {
		first, last := UsableRange(p)
		return fmt.Errorf("gateway %s is not a usable address of subnet %s: choose one from %s to %s", gateway, p, first, last)
	}
	return nil
}
