package prove

import (
	"net/netip"

	"sluice/flows"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file says what tenants that agreed on a peering may do: which frames of one enter a network of the other.

// peerings is a flow of one direction of a peering. There is one way that it alone may go, and its frames are those
// of the tenant that they come from.
func (r *run) peerings() {
	r.tenants()
	if r.liveTenant(r.slice.Peer()) == nil {
		r.broken(RuleOwner, "its cookie is of a peering with a tenant that is not there")
	}
}

// crosses holds a flow by which frames of one tenant become another's against what both agreed on (rule writes).
func (r *run) crosses() {
	before := run{picture: r.picture, flow: r.flow}
	was, named := before.number(of.FieldMetadata)
	v, ok := r.number(of.FieldMetadata)
	if !named || !ok {
		r.broken(RuleWrites, "it makes frames another tenant's, and does not name the two networks")
		return
	}
	one, from := r.networkAt(was)
	other, to := r.networkAt(v)
	switch {
	case from == nil || to == nil:
		r.broken(RuleWrites, "it makes frames another tenant's from or to a network that is not there")
	case other.Value.Number != r.slice.Peer():
		r.broken(RuleOwner, "its cookie is of a peering with %s, and it makes frames %s's", r.tenantName(r.slice.Peer()), r.tenantName(other.Value.Number))
	case !r.state.Crosses(from.Key.NetworkName(), to.Key.NetworkName()):
		r.broken(RuleWrites, "it makes frames of network %s those of network %s, and no peering lets these reach each other", from.Key.NetworkName(), to.Key.NetworkName())
	case !r.is(flows.RegFrom, uint64(one.Value.Number)):
		r.broken(RuleWrites, "it does not say that frames which enter network %s are of %s, so that another would be charged for them", to.Key.NetworkName(), r.tenantName(one.Value.Number))
	case !r.is(flows.RegOrigin, flows.OriginPort):
		r.broken(RuleWrites, "it makes frames another tenant's that no container here sent, so that one could pass from tenant to tenant")
	default:
		r.nothingBut(r.flow.Match, between(r.standing(from), r.standing(to)), RuleSpoof,
			"it lets frames of network %s enter network %s from or to an address that is not of these two", from.Key.NetworkName(), to.Key.NetworkName())
	}
}

// networkAt are the tenant and the network that metadata names; nil: one of them is not there, or not the other's.
func (r *run) networkAt(metadata uint64) (*store.Item[store.Tenant], *store.Item[store.Network]) {
	tenant, number := flows.MetadataOf(metadata)
	n, t := r.liveNetwork(number)
	if n == nil || t.Value.Number != tenant {
		return nil, nil
	}
	return t, n
}

// between are packets from the subnets of one network to those of another.
func between(from, to []netip.Prefix) (list []of.Match) {
	for _, own := range from {
		for _, others := range to {
			if packets, some := meet(sentFrom(own), destinedTo(others)); some {
				list = append(list, packets)
			}
		}
	}
	return list
}

// sentFrom are the packets from a prefix.
func sentFrom(prefix netip.Prefix) of.Match {
	return of.NewMatch(family(prefix.Addr()), of.In(fieldOf(prefix.Addr(), of.FieldIPSrc, of.FieldIPv6Src), prefix))
}
