package store

import (
	"fmt"
	"net/netip"
)

// PortAt is the port that holds an address in a network, or nil.
func (s *State) PortAt(n NetworkName, address netip.Addr) *Item[Port] {
	return s.portAddresses.holder(scoped[string]{n, address.Unmap().String()})
}

// ContestedPort says why a port cannot be programmed: an older port has its number, MAC
// or one of its addresses. It is nil for nearly every port.
func (s *State) ContestedPort(p *Item[Port]) []Problem {
	network := p.Key.NetworkName()
	var problems []Problem
	check := func(holder *Item[Port], what, value string) {
		if holder != p && holder != nil {
			problems = append(problems, contested(p.Key, holder.Key, what, value))
		}
	}
	check(s.portNumbers.holder(p.Value.Number), "number", fmt.Sprint(p.Value.Number))
	check(s.portMACs.holder(scoped[MAC]{network, p.Value.MAC}), "MAC", p.Value.MAC.String())
	for _, a := range p.Value.Addresses {
		check(s.PortAt(network, a.Addr()), "address", a.Addr().String())
	}
	return problems
}

// ContestedNetwork says why a network cannot be programmed, as ContestedPort does.
func (s *State) ContestedNetwork(n *Item[Network]) []Problem {
	var problems []Problem
	if holder := s.networkNumbers.holder(n.Value.Number); holder != n && holder != nil {
		problems = append(problems, contested(n.Key, holder.Key, "number", fmt.Sprint(n.Value.Number)))
	}
	if n.Value.Segmentation != SegmentationVLAN {
		return problems
	}
	if holder := s.vlans.holder(n.Value.Segment); holder != n && holder != nil {
		problems = append(problems, contested(n.Key, holder.Key, "VLAN id", fmt.Sprint(n.Value.Segment)))
	}
	return problems
}

// ContestedTenant says why a tenant cannot be programmed, as ContestedPort does.
func (s *State) ContestedTenant(t *Item[Tenant]) []Problem {
	if holder := s.tenantNumbers.holder(t.Value.Number); holder != t && holder != nil {
		return []Problem{contested(t.Key, holder.Key, "number", fmt.Sprint(t.Value.Number))}
	}
	return nil
}

// ContestedHost says why a host cannot be programmed, as ContestedPort does.
func (s *State) ContestedHost(h *Item[Host]) []Problem {
	if holder := s.datapaths.holder(h.Value.DatapathID); holder != h && holder != nil {
		return []Problem{contested(h.Key, holder.Key, "datapath id", h.Value.DatapathID.String())}
	}
	return nil
}

func contested(loser, holder Key, what, value string) Problem {
	return Problem{
		Object: loser.Short(),
		Text:   fmt.Sprintf("%s %s belongs to the older %s: delete one of the two", what, value, holder.Short()),
	}
}

// Short is the key as people read it: without the common prefix.
func (k Key) Short() string { return k.String()[len(Prefix):] }
