package witness

import (
	"fmt"
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/flows/simulate"
	"sluice/store"
)

// Sender is who lets a frame enter a switch: a container; the outside, by a host's kernel; a host's resolver; a stranger on the trunk; or,
// where it is none of these, a stranger on the underlay, whose tunnel address no host has.
type Sender struct {
	Host      string
	Port      uint32                  // of the switch
	Container *store.Item[store.Port] // nil: none
	Outside   bool
	Resolver  bool
	Trunk     bool
	// Tenant is the container's, the one whose connection the outside answers, or at whose desk the resolver
	// does; "": nobody's.
	Tenant string
}

func (s Sender) String() string {
	switch {
	case s.Container != nil:
		return fmt.Sprintf("port %s on host %s", portName(s.Container), s.Host)
	case s.Outside && s.Tenant != "":
		return fmt.Sprintf("the outside, by gateway host %s, in answer to tenant %s,", s.Host, s.Tenant)
	case s.Resolver:
		return fmt.Sprintf("the resolver of host %s", s.Host)
	case s.Outside:
		return fmt.Sprintf("the outside, by gateway host %s,", s.Host)
	}
	if s.Trunk {
		return fmt.Sprintf("a stranger on the trunk of host %s", s.Host)
	}
	return fmt.Sprintf("a stranger on the underlay of host %s", s.Host)
}

func portName(p *store.Item[store.Port]) string {
	return p.Key.NetworkName().String() + "/" + p.Key.Name
}

// speaker is one MAC that a port may speak with, and the prefixes it may have then.
type speaker struct {
	mac      store.MAC
	prefixes []netip.Prefix
}

// speakers are what the store gave a port: its own MAC and addresses, its link-local address
// where it has one of IPv6, and its allowed pairs.
func speakers(p *store.Port) []speaker {
	own := speaker{mac: p.MAC}
	for _, a := range p.Addresses {
		own.prefixes = append(own.prefixes, netip.PrefixFrom(a.Addr(), a.Addr().BitLen()))
	}
	if slices.ContainsFunc(p.Addresses, func(a netip.Prefix) bool { return a.Addr().Is6() }) {
		own.prefixes = append(own.prefixes, netip.PrefixFrom(p.MAC.LinkLocal(), 128))
	}
	all := []speaker{own}
	for _, pair := range p.AllowedPairs {
		mac := pair.MAC
		if mac.IsZero() {
			mac = p.MAC
		}
		all = append(all, speaker{mac, []netip.Prefix{pair.Prefix.Masked()}})
	}
	return all
}

// given reports whether a port may speak with an address, at a MAC.
func given(p *store.Port, mac store.MAC, a netip.Addr) bool {
	for _, s := range speakers(p) {
		if s.mac == mac && slices.ContainsFunc(s.prefixes, func(x netip.Prefix) bool { return x.Contains(a) }) {
			return true
		}
	}
	return false
}

// speaks reports whether a port may speak with a MAC.
func speaks(p *store.Port, mac store.MAC) bool {
	return slices.ContainsFunc(speakers(p), func(s speaker) bool { return s.mac == mac })
}

// owns reports whether a port may have an address, at whichever of its MACs.
func owns(p *store.Port, a netip.Addr) bool {
	return slices.ContainsFunc(speakers(p), func(s speaker) bool { return given(p, s.mac, a) })
}

// Numbers of the protocols that the laws speak of.
const (
	typeIPv4 = of.EtherIPv4
	typeARP  = of.EtherARP
	arpReply = 2
	typeIPv6 = of.EtherIPv6

	protoICMP   = of.ProtoICMP
	protoTCP    = of.ProtoTCP
	protoUDP    = of.ProtoUDP
	protoICMPv6 = of.ProtoICMPv6

	icmp6Echo    = 128
	icmp6Router  = 134
	icmp6Solicit = 135
	icmp6Advert  = 136
	icmp6Mend    = 137 // redirect
)

func mac(p *simulate.Packet, f of.Field) store.MAC { return store.MACFromUint64(p.Uint(f)) }

// source is the address that an IP packet comes from.
func source(p *simulate.Packet) netip.Addr {
	if p.Uint(of.FieldEthType) == typeIPv6 {
		return address(p.Get(of.FieldIPv6Src), true)
	}
	return address(p.Get(of.FieldIPSrc), false)
}

// forbidden says why a port must not send a frame; it is empty where it may.
func forbidden(p *store.Port, f *simulate.Packet) string {
	from := mac(f, of.FieldEthSrc)
	switch kind := f.Uint(of.FieldEthType); {
	case len(f.Tags()) > 0:
		return "it has a tag"
	case !speaks(p, from):
		return fmt.Sprintf("MAC %s was not given to the port", from)
	case kind == typeARP:
		return forbiddenARP(p, f)
	case kind == typeIPv4:
		return forbiddenIPv4(p, f)
	case kind == typeIPv6:
		return forbiddenIPv6(p, f)
	default:
		return fmt.Sprintf("no port may send Ethernet type %#x", kind)
	}
}

func forbiddenARP(p *store.Port, f *simulate.Packet) string {
	from, spa := mac(f, of.FieldEthSrc), address(f.Get(of.FieldARPSPA), false)
	switch sha := mac(f, of.FieldARPSHA); {
	case sha != from:
		return fmt.Sprintf("its ARP says MAC %s", sha)
	case spa.IsUnspecified() && f.Uint(of.FieldARPOp) == 1, given(p, from, spa):
		return ""
	}
	return fmt.Sprintf("its ARP says address %s, which was not given to the port", spa)
}

func forbiddenIPv4(p *store.Port, f *simulate.Packet) string {
	whole := f.Uint(of.FieldIPFrag) == 0
	udp := f.Uint(of.FieldIPProto) == protoUDP && whole
	group := mac(f, of.FieldEthDst).IsMulticast() || address(f.Get(of.FieldIPDst), false).As4()[0] >= 224
	switch from := source(f); {
	case !given(p, mac(f, of.FieldEthSrc), from):
		return fmt.Sprintf("address %s was not given to the port", from)
	case udp && (f.Uint(of.FieldUDPSrc) == 67 || f.Uint(of.FieldUDPDst) == 68):
		return "no port serves DHCP"
	case !whole && group:
		return "a fragment to all may hide a DHCP server's message"
	}
	return ""
}

func forbiddenIPv6(p *store.Port, f *simulate.Packet) string {
	whole := f.Uint(of.FieldIPFrag) == 0
	proto, from := f.Uint(of.FieldIPProto), source(f)
	kind := uint64(0)
	if proto == protoICMPv6 && whole {
		kind = f.Uint(of.FieldICMPv6Type)
	}
	search := kind == icmp6Solicit && from.IsUnspecified()
	switch {
	case search:
		return forbiddenSearch(p, f)
	case !given(p, mac(f, of.FieldEthSrc), from):
		return fmt.Sprintf("address %s was not given to the port", from)
	case proto == protoUDP && whole && (f.Uint(of.FieldUDPSrc) == 547 || f.Uint(of.FieldUDPDst) == 546):
		return "no port serves DHCP"
	case kind == icmp6Router || kind == icmp6Mend:
		return "no port is a router"
	case proto == 0:
		return "its headers hide its protocol"
	case !whole:
		return hiding(f)
	case kind == icmp6Solicit || kind == icmp6Advert:
		return forbiddenClaim(p, f, kind)
	}
	return ""
}

// forbiddenSearch is of the search for a duplicate of an own address, sent from none.
func forbiddenSearch(p *store.Port, f *simulate.Packet) string {
	target := address(f.Get(of.FieldNDTarget), true)
	if given(p, mac(f, of.FieldEthSrc), target) && f.Uint(of.FieldNDSLL) == 0 && f.Uint(of.FieldIPTTL) == 255 {
		return ""
	}
	return fmt.Sprintf("it looks from no address for %s", target)
}

// hiding is of fragments of IPv6, in which a switch sees neither ports nor ICMP type.
func hiding(f *simulate.Packet) string {
	dst := address(f.Get(of.FieldIPv6Dst), true)
	switch {
	case mac(f, of.FieldEthDst).IsMulticast() || dst.IsMulticast():
		return "a fragment to all may hide a router's message"
	case dst.IsLinkLocalUnicast() || source(f).IsLinkLocalUnicast() || f.Uint(of.FieldIPProto) == protoICMPv6:
		return "a fragment may hide neighbour discovery"
	}
	return ""
}

// forbiddenClaim is of neighbour discovery: whose address and MAC it says.
func forbiddenClaim(p *store.Port, f *simulate.Packet, kind uint64) string {
	from, link := mac(f, of.FieldEthSrc), mac(f, of.FieldNDSLL)
	if kind == icmp6Advert {
		link = mac(f, of.FieldNDTLL)
		if target := address(f.Get(of.FieldNDTarget), true); !given(p, from, target) {
			return fmt.Sprintf("it says that %s is its address, which was not given to the port", target)
		}
	}
	if !link.IsZero() && link != from {
		return fmt.Sprintf("it says that its MAC is %s", link)
	}
	return ""
}
