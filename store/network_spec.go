package store

import (
	"cmp"
	"fmt"
	"net/netip"
)

// NetworkSpec is what a user says about a new network.
type NetworkSpec struct {
	Tenant, Name string
	Segmentation Segmentation   // empty: tunnel
	Subnets      []netip.Prefix // one at least
	// Gateways are the routers' addresses, one for each subnet in any order; a subnet
	// without one gets its first usable address.
	Gateways []netip.Addr
	MTU      int       // bytes of IP; 0: derived from the underlay
	Flood    FloodMode // empty: auto
	// Exclude are addresses that no port is given unless it asks for them.
	Exclude []AddressRange
}

// Propose adds a network to a tenant. The state may lack all but the tenant, its networks
// and the hosts.
func (s NetworkSpec) Propose(state *State) (Proposal, error) {
	tenant, key := state.Tenant(s.Tenant), NetworkKey(s.Tenant, s.Name)
	if tenant == nil {
		return Proposal{}, noSuchTenant(s.Tenant)
	}
	if state.Network(key.NetworkName()) != nil {
		return Proposal{}, nameExists()
	}
	network, err := s.build(append(subnetsOf(state, s.Tenant), infrastructure(state)...))
	if err != nil {
		return Proposal{}, err
	}
	return Proposal{
		Writes: []Event{{Key: key, Object: network}},
		Draws:  network.draws(key),
		Presumes: []Presumption{
			{Condition: CreatedAt, Path: tenant.Key.String(), Revision: tenant.Created, Refusal: noSuchTenant(s.Tenant)},
			{Condition: Absent, Path: key.String(), Refusal: nameExists()},
			{Condition: NothingNewUnder, Path: Under(KindNetwork, s.Tenant), Revision: state.Revision()},
			{Condition: NothingNewUnder, Path: Under(KindHost), Revision: state.Revision()},
		},
	}, nil
}

// Network is the network that the spec asks for, without numbers, whatever the cluster has.
func (s NetworkSpec) Network() (*Network, error) { return s.build(nil) }

// NetworkUpdate changes what may change of a network that exists.
type NetworkUpdate struct {
	Network NetworkName
	Flood   FloodMode
}

// Propose writes the network. The state may lack all but it.
func (u NetworkUpdate) Propose(state *State) (Proposal, error) {
	n := state.Network(u.Network)
	if n == nil {
		return Proposal{}, fmt.Errorf("network %s: %w: no such network: see sluice network list", u.Network, ErrNotFound)
	}
	if err := ValidateFlood(u.Flood); err != nil {
		return Proposal{}, fmt.Errorf("network %s: %w: %w", u.Network, ErrInvalid, err)
	}
	changed := *n.Value
	changed.Flood = u.Flood
	return Proposal{
		Writes:   []Event{{Key: n.Key, Object: &changed}},
		Presumes: []Presumption{{Condition: Unchanged, Path: n.Key.String(), Revision: n.Modified}},
	}, nil
}

func noSuchTenant(name string) error {
	return fmt.Errorf("tenant %q: %w: no such tenant: see sluice tenant list", name, ErrNotFound)
}

// build checks the spec and makes the network of it, still without numbers.
func (s NetworkSpec) build(others []Occupied) (*Network, error) {
	n := &Network{
		Segmentation: cmp.Or(s.Segmentation, SegmentationTunnel),
		MTU:          s.MTU,
		Flood:        cmp.Or(s.Flood, FloodAuto),
		Exclude:      s.Exclude,
	}
	if len(s.Subnets) == 0 {
		return nil, fmt.Errorf("%w: it has no subnet", ErrInvalid)
	}
	for _, err := range []error{
		ValidateName(s.Name),
		ValidateSegmentation(n.Segmentation),
		ValidateFlood(n.Flood),
		ValidateSubnets(s.Subnets, others),
		ValidateMTU(s.MTU, s.Subnets),
	} {
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	var err error
	if n.Subnets, err = s.subnets(); err != nil {
		return nil, err
	}
	if err := ValidateExclude(n.Exclude, n.Subnets); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return n, nil
}

// subnets gives each subnet its router.
func (s NetworkSpec) subnets() ([]Subnet, error) {
	subnets := make([]Subnet, 0, len(s.Subnets))
	used := 0
	for _, p := range s.Subnets {
		subnet := Subnet{Prefix: p, Gateway: DefaultGateway(p)}
		for _, g := range s.Gateways {
			if !p.Contains(g) {
				continue
			}
			if err := ValidateGateway(g, p); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
			}
			subnet.Gateway = g
			used++
		}
		subnets = append(subnets, subnet)
	}
	if used != len(s.Gateways) {
		return nil, fmt.Errorf("%w: a gateway of %v is in none of the subnets", ErrInvalid, s.Gateways)
	}
	return subnets, nil
}

// subnetsOf are the subnets of a tenant's networks, which its other networks must not touch.
func subnetsOf(state *State, tenant string) (list []Occupied) {
	for n := range state.NetworksOf(tenant) {
		for _, s := range n.Value.Subnets {
			list = append(list, Occupied{Prefix: s.Prefix, By: "a subnet of network " + n.Key.NetworkName().String()})
		}
	}
	return list
}

// infrastructure is what every host keeps closed to tenants, and no network may touch.
func infrastructure(state *State) (list []Occupied) {
	list = append(list, Occupied{Prefix: state.Transit().Prefix, By: "the transit range between gateways and their hosts"})
	for h := range state.Hosts() {
		for _, p := range h.Value.Infrastructure {
			list = append(list, Occupied{Prefix: p, By: "the infrastructure of host " + h.Key.Host})
		}
	}
	return list
}

// draws are the values that the network takes: its number and, for VLAN networks, a VLAN id.
func (n *Network) draws(key Key) []Draw {
	seed := key.Short()
	number := func(v uint32) { n.Number, n.Segment = v, v }
	if n.Segmentation != SegmentationVLAN {
		return []Draw{drawNumber(networkNumber.dir, key, seed, MaxNetworkNumber, "network numbers", "delete networks", number)}
	}
	return []Draw{
		drawNumber(networkNumber.dir, key, seed, MaxNetworkNumber, "network numbers", "delete networks", func(v uint32) { n.Number = v }),
		drawNumber(networkVLAN.dir, key, seed, MaxVLAN, "VLAN ids", "delete VLAN networks or use --segmentation tunnel", func(v uint32) { n.Segment = v }),
	}
}
