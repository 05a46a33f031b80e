package store

import "net/netip"

// PortAt is the port that holds an address in a network, or nil.
func (s *State) PortAt(n NetworkName, address netip.Addr) *Item[Port] {
	return s.portAddresses.holder(scoped[netip.Addr]{n, address.Unmap()})
}

// ContestedPort says why a port cannot be programmed: an older port has its number, MAC,
// interface or one of its addresses. It is nil for nearly every port.
func (s *State) ContestedPort(p *Item[Port]) (problems []Problem) {
	network := p.Key.NetworkName()
	if holder := s.portNumbers.holder(p.Value.Number); taken(holder, p) {
		problems = append(problems, contested(p.Key, holder.Key, "number", p.Value.Number))
	}
	if holder := s.PortByMAC(network, p.Value.MAC); taken(holder, p) {
		problems = append(problems, contested(p.Key, holder.Key, "MAC", p.Value.MAC))
	}
	if holder := s.PortByInterface(p.Key.Host, p.Value.Interface); taken(holder, p) {
		problems = append(problems, contested(p.Key, holder.Key, "interface", p.Value.Interface))
	}
	for _, a := range p.Value.Addresses {
		if holder := s.PortAt(network, a.Addr()); taken(holder, p) {
			problems = append(problems, contested(p.Key, holder.Key, "address", a.Addr()))
		}
	}
	return problems
}

// taken tells whether another than i holds what i claims.
func taken[T any](holder, i *Item[T]) bool { return holder != nil && holder != i }

// ContestedNetwork says why a network cannot be programmed, as ContestedPort does.
func (s *State) ContestedNetwork(n *Item[Network]) []Problem {
	var problems []Problem
	if holder := s.networkNumbers.holder(n.Value.Number); taken(holder, n) {
		problems = append(problems, contested(n.Key, holder.Key, "number", n.Value.Number))
	}
	if n.Value.Segmentation != SegmentationVLAN {
		return problems
	}
	if holder := s.vlans.holder(n.Value.Segment); taken(holder, n) {
		problems = append(problems, contested(n.Key, holder.Key, "VLAN id", n.Value.Segment))
	}
	return problems
}

// ContestedTenant says why a tenant cannot be programmed, as ContestedPort does.
func (s *State) ContestedTenant(t *Item[Tenant]) []Problem {
	if holder := s.tenantNumbers.holder(t.Value.Number); taken(holder, t) {
		return []Problem{contested(t.Key, holder.Key, "number", t.Value.Number)}
	}
	return nil
}

// ContestedHost says why a host cannot be programmed, as ContestedPort does.
func (s *State) ContestedHost(h *Item[Host]) []Problem {
	var problems []Problem
	if holder := s.HostByDatapath(h.Value.DatapathID); taken(holder, h) {
		problems = append(problems, contested(h.Key, holder.Key, "datapath id", h.Value.DatapathID))
	}
	for _, vtep := range h.Value.VTEPs {
		if holder := s.HostByVTEP(vtep); taken(holder, h) {
			problems = append(problems, contested(h.Key, holder.Key, "VTEP", vtep))
		}
	}
	return problems
}

func contested(loser, holder Key, what string, value any) Problem {
	return ProblemOf(loser, "%s %v belongs to the older %s: delete one of the two", what, value, holder.Short())
}

// Short is the key as people read it: without the common prefix.
func (k Key) Short() string { return k.String()[len(Prefix):] }
