package prove

import (
	"net/netip"
	"slices"

	"sluice/flows"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file says what a network is: who has its number, and under which key and tag its frames are in
// tunnels.

// tagPresent is the bit of vlan_vid that says that there is a tag.
const tagPresent = 0x1000

// liveNetwork is the network that has a number, and its tenant; nil: none has.
func (p *picture) liveNetwork(number uint32) (*store.Item[store.Network], *store.Item[store.Tenant]) {
	n := p.state.NetworkByNumber(number)
	if n == nil || number < 1 || number > store.MaxNetworkNumber || len(p.state.ContestedNetwork(n)) > 0 {
		return nil, nil
	}
	t := p.state.Tenant(n.Key.Tenant)
	if t == nil {
		return nil, nil
	}
	if live := p.liveTenant(t.Value.Number); live == nil || live.Key != t.Key {
		return nil, nil
	}
	return n, t
}

// networkTenant is the number of the tenant that has a network's number; 0: none.
func (p *picture) networkTenant(number uint32) uint32 {
	if _, t := p.liveNetwork(number); t != nil {
		return t.Value.Number
	}
	return 0
}

// decaps holds a flow that takes frames from a tunnel against the network that has their key (rule entry).
func (r *run) decaps() {
	v, ok := r.number(of.FieldMetadata)
	tenant, number := flows.MetadataOf(v)
	n, t := r.liveNetwork(number)
	switch {
	case !ok || n == nil || t.Value.Number != tenant:
		r.broken(RuleEntry, "it gives frames from a tunnel metadata that is of no network of the store")
	case tenant != r.slice.Tenant():
		r.broken(RuleOwner, "its cookie is that of %s, and it takes frames for %s", r.tenantName(r.slice.Tenant()), r.tenantName(tenant))
	case !within(r.flow.Match, arrives(n.Value)):
		r.broken(RuleEntry, "it gives network %s frames under another tunnel key or tag than its own, which another tenant could send",
			n.Key.NetworkName())
	case r.pushed != -tags(n.Value):
		r.broken(RuleEntry, "it does not take off the tag of network %s, which its containers would get", n.Key.NetworkName())
	}
}

// arrives are the frames of a network as they come out of a tunnel.
func arrives(n *store.Network) of.Match {
	if n.Segmentation == store.SegmentationVLAN {
		return of.NewMatch(of.Is(of.FieldTunID, store.VLANTunnelKey), of.Is(of.FieldVLANVID, uint64(tagPresent|n.Segment)))
	}
	return of.NewMatch(of.Is(of.FieldTunID, uint64(n.Number)), of.Masked(of.FieldVLANVID, of.U64(0), of.U64(tagPresent)))
}

// tags are how many tags a network's frames have in a tunnel.
func tags(n *store.Network) int {
	if n.Segmentation == store.SegmentationVLAN {
		return 1
	}
	return 0
}

// routed holds a routed packet that enters a network against that network (rule writes): what a peered tenant sent to
// one network must not go on into another of the same tenant, nor back to a router, by which it would leave.
func (r *run) routed() {
	v, known := r.number(of.FieldMetadata)
	_, number := flows.MetadataOf(v)
	n, _ := r.liveNetwork(number)
	if n == nil || !known {
		r.broken(RuleWrites, "it lets routed packets on in a network that it does not know, which a peered tenant may have entered")
		return
	}
	to, known := r.number(of.FieldEthDst)
	if !known || store.MACFromUint64(to).IsReserved() {
		r.broken(RuleWrites, "it gives routed packets a destination MAC that no container can have, so that they could leave by a gateway of another tenant than their own")
	}
	var own []of.Match
	for _, prefix := range r.standing(n) {
		own = append(own, destinedTo(prefix))
	}
	r.nothingBut(r.flow.Match, own, RuleWrites, "it lets packets to an address that is none of network %s's enter it, so that what a peered tenant sent to another network would",
		n.Key.NetworkName())
}

// destinedTo are the packets to a prefix.
func destinedTo(prefix netip.Prefix) of.Match {
	return of.NewMatch(family(prefix.Addr()), of.In(fieldOf(prefix.Addr(), of.FieldIPDst, of.FieldIPv6Dst), prefix))
}

// standing are the subnets of a network that no older one of its tenant overlaps: an address of them is of one network alone.
func (p *picture) standing(n *store.Item[store.Network]) (prefixes []netip.Prefix) {
	for _, s := range n.Value.Subnets {
		if valid(s) && !p.overlapped(n, s.Prefix) {
			prefixes = append(prefixes, s.Prefix)
		}
	}
	return prefixes
}

func (p *picture) overlapped(n *store.Item[store.Network], prefix netip.Prefix) bool {
	for other := range p.state.NetworksOf(n.Key.Tenant) {
		if other.Older(n) && slices.ContainsFunc(other.Value.Subnets, func(s store.Subnet) bool { return valid(s) && s.Prefix.Overlaps(prefix) }) {
			return true
		}
	}
	return false
}

// valid reports whether a router has an address in the subnet, as a hand edit may have spoilt it.
func valid(s store.Subnet) bool {
	return s.Prefix.IsValid() && s.Gateway.IsValid() && s.Prefix.Contains(s.Gateway)
}

// encaps holds a frame that enters a tunnel against its network (rule output).
func (r *run) encaps() {
	v, ok := r.number(of.FieldMetadata)
	tenant, number := flows.MetadataOf(v)
	n, t := r.liveNetwork(number)
	if !ok || n == nil || t.Value.Number != tenant || tenant != r.tenant {
		r.broken(RuleOutput, "it sends frames into a tunnel that it does not know the network of")
		return
	}
	want := arrives(n.Value)
	key, _ := want.Get(of.FieldTunID)
	tag, _ := want.Get(of.FieldVLANVID)
	switch {
	case !r.is(of.FieldTunID, key.Value.Lo):
		r.broken(RuleOutput, "it sends frames of network %s under another tunnel key than its own, so that another network would get them",
			n.Key.NetworkName())
	case r.pushed != tags(n.Value), r.pushed > 0 && !r.bitsAre(of.FieldVLANVID, tag.Value.Lo&vlanID, vlanID):
		r.broken(RuleOutput, "it sends frames of network %s under another tag than its own, so that another network would get them",
			n.Key.NetworkName())
	}
}

// vlanID are the bits of a VLAN's id.
const vlanID = 0xfff
