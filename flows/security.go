package flows

import (
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// speaker is one MAC that a port may speak with, and the prefixes it may have then.
type speaker struct {
	mac      store.MAC
	prefixes []netip.Prefix
}

// speakers are the port's own MAC and addresses, with what its allowed address pairs add.
func speakers(p *portAt) []speaker {
	all := []speaker{{mac: p.Value.MAC}}
	for _, a := range p.addresses {
		all[0].prefixes = append(all[0].prefixes, single(a))
	}
	for _, pair := range p.Value.AllowedPairs {
		mac, prefix := pair.MAC, pair.Prefix.Masked()
		if mac.IsZero() {
			mac = p.Value.MAC
		}
		at := slices.IndexFunc(all, func(s speaker) bool { return s.mac == mac })
		if at < 0 {
			at = len(all)
			all = append(all, speaker{mac: mac})
		}
		if !slices.Contains(all[at].prefixes, prefix) {
			all[at].prefixes = append(all[at].prefixes, prefix)
		}
	}
	return all
}

// security admits what the port may send. All else meets a refusal of base's.
func (c *compiler) security(p *portAt) {
	for _, s := range speakers(p) {
		from := []of.MatchField{source(p.Value.Number), ethSrc(s.mac)}
		for _, prefix := range s.prefixes {
			if prefix.Addr().Is4() {
				c.admitIPv4(from, s.mac, prefix)
			} else {
				c.admitIPv6(from, s.mac, prefix)
			}
		}
		if family(s.prefixes, netip.Addr.Is4) {
			// An ARP probe (RFC 5227) has no sender address yet.
			c.flow(stepAdmitOwn, with(from, etherType(typeARP), of.Is(of.FieldARPOp, arpRequest),
				of.Is(of.FieldARPSHA, s.mac.Uint64()), of.Is(of.FieldARPSPA, 0)), goTo(tableResolve))
		}
		if family(s.prefixes, netip.Addr.Is6) {
			c.admitSolicitation(from, s.mac)
		}
	}
}

func with(some []of.MatchField, more ...of.MatchField) of.Match {
	const most = 8 // so many need no room on the heap
	all := make([]of.MatchField, 0, most)
	return match(append(append(all, some...), more...)...)
}

func (c *compiler) admitIPv4(from []of.MatchField, mac store.MAC, prefix netip.Prefix) {
	c.flow(stepAdmitOwn, with(from, etherType(typeARP), of.Is(of.FieldARPSHA, mac.Uint64()),
		of.In(of.FieldARPSPA, prefix)), goTo(tableResolve))
	c.flow(stepAdmitOwn, with(from, etherType(typeIPv4), ipSrc(prefix)), goTo(tableResolve))
}

// admitIPv6 admits the prefix as a source, and the messages that speak of it: the search
// for a duplicate (RFC 4862, 5.4.2) and the advertisement.
func (c *compiler) admitIPv6(from []of.MatchField, mac store.MAC, prefix netip.Prefix) {
	c.flow(stepAdmitOwn, with(from, etherType(typeIPv6), ipSrc(prefix)), goTo(tableAdmitND))
	ownHop := of.Is(of.FieldIPTTL, ownHopTTL)
	c.flow(stepAdmitDuplicate, icmp6(neighbourSolicitation, slices.Concat(from, []of.MatchField{ownHop,
		ipSrc(single(netip.IPv6Unspecified())), of.Is(of.FieldNDSLL, 0), target(prefix)})...), goTo(tableResolve))
	for _, link := range []uint64{mac.Uint64(), 0} {
		c.flow(stepAdmitNDOwn, icmp6(neighbourAdvert, from[0], from[1], ownHop, target(prefix),
			of.Is(of.FieldNDTLL, link)), goTo(tableResolve))
	}
}

// admitSolicitation admits questions whose option, if any, names the sender's MAC.
func (c *compiler) admitSolicitation(from []of.MatchField, mac store.MAC) {
	ownHop := of.Is(of.FieldIPTTL, ownHopTTL)
	for _, link := range []uint64{mac.Uint64(), 0} {
		c.flow(stepAdmitNDOwn, icmp6(neighbourSolicitation, from[0], from[1], ownHop,
			of.Is(of.FieldNDSLL, link)), goTo(tableResolve))
	}
}
