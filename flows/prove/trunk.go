package prove

import (
	"slices"

	"sluice/flows"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file says what passes by the trunk: frames of VLAN networks under their own tag, in from the MACs of ports on other hosts and to
// ports here alone, out from ports here.

// fromTrunk holds a flow that takes frames from the trunk against the host (rule entry).
func (r *run) fromTrunk() {
	switch {
	case r.trunk == 0 || !r.is(of.FieldInPort, uint64(r.trunk)):
		r.broken(RuleEntry, "it takes frames as if they came by the trunk from a port that is not the trunk, so that whoever is there could send under any tag")
	case !r.is(flows.RegOrigin, flows.OriginTrunk):
		r.broken(RuleEntry, "it does not say of frames from the trunk that they came by it, so that they could be sent on")
	}
}

// untags holds a flow that gives frames from the trunk to a network against that (rule entry).
func (r *run) untags() {
	v, ok := r.number(of.FieldMetadata)
	tenant, number := flows.MetadataOf(v)
	n, t := r.liveNetwork(number)
	switch {
	case !ok || n == nil || t.Value.Number != tenant:
		r.broken(RuleEntry, "it gives frames from the trunk metadata that is of no network of the store")
	case tenant != r.slice.Tenant():
		r.broken(RuleOwner, "its cookie is that of %s, and it takes frames for %s", r.tenantName(r.slice.Tenant()), r.tenantName(tenant))
	case n.Value.Segmentation != store.SegmentationVLAN || !within(r.flow.Match, onTrunk(n.Value)):
		r.broken(RuleEntry, "it gives network %s frames under another tag than its own, which another tenant could send", n.Key.NetworkName())
	case r.pushed != -1:
		r.broken(RuleEntry, "it does not take off the tag of network %s, which its containers would get", n.Key.NetworkName())
	default:
		r.fromElsewhere(n.Key.NetworkName())
	}
}

// onTrunk are the frames of a network as they are on the trunk.
func onTrunk(n *store.Network) of.Match {
	return of.NewMatch(of.Is(of.FieldVLANVID, uint64(tagPresent|n.Segment)))
}

// fromElsewhere asks that the source MAC is one with which a port of a network speaks on another host (rule spoof).
func (r *run) fromElsewhere(n store.NetworkName) {
	from, known := r.number(of.FieldEthSrc)
	mac := store.MACFromUint64(from)
	if known && !mac.IsReserved() {
		if p := r.state.PortByMAC(n, mac); p != nil && p.Key.Host != r.host {
			return
		}
		for p := range r.state.PortsOf(n) { // few flows are of allowed pairs
			if p.Key.Host != r.host && speaks(p.Value, mac) {
				return
			}
		}
	}
	r.broken(RuleSpoof, "it takes frames for network %s from the trunk whose source MAC is of no port of it on another host, so that a stranger could send them", n)
}

// speaks reports whether a port may speak with a MAC. A pair that names none goes with the port's own.
func speaks(p *store.Port, mac store.MAC) bool {
	return p.MAC == mac || slices.ContainsFunc(p.AllowedPairs, func(pair store.AddressPair) bool { return !pair.MAC.IsZero() && pair.MAC == mac })
}

// leavesByTrunk holds a frame that leaves by the trunk against its network (rule output).
func (r *run) leavesByTrunk() {
	v, ok := r.number(of.FieldMetadata)
	tenant, number := flows.MetadataOf(v)
	n, t := r.liveNetwork(number)
	switch {
	case !ok || n == nil || t.Value.Number != tenant || tenant != r.tenant:
		r.broken(RuleOutput, "it sends frames out of the trunk that it does not know the network of")
	case n.Value.Segmentation != store.SegmentationVLAN || r.pushed != 1 || !r.bitsAre(of.FieldVLANVID, uint64(n.Value.Segment), vlanID):
		r.broken(RuleOutput, "it sends frames of network %s out of the trunk under another tag than its own, so that another network would get them", n.Key.NetworkName())
	case !r.is(flows.RegOrigin, flows.OriginPort) || !r.is(flows.RegScope, 0):
		r.broken(RuleOutput, "it sends frames of network %s out of the trunk that are not from a port here to others of it, under MACs that other hosts have too", n.Key.NetworkName())
	}
}
