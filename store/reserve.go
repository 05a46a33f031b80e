package store

import (
	"fmt"
	"net/netip"
)

// Reservation takes an address of a subnet for a port that is about to be made. All that it
// writes is the address's key under alloc/, which names a port that is not there: whoever makes
// that port, or one that says it was Reserved under that name, gets the address. Where nobody
// does, the leader frees the address as a stray.
type Reservation struct {
	Host                  string
	HostCreated           Revision // as in PortSpec
	HostLease             int64    // as in PortSpec
	Tenant, Network, Name string   // Name is no port's. Who repeats a request under it gets the same answer.
	Subnet                netip.Prefix
	Address               netip.Addr // of Subnet; zero: any
}

// Key is that of the port that is not there.
func (r Reservation) Key() Key { return PortKey(r.Host, r.Tenant, r.Network, r.Name) }

func (r Reservation) spec() PortSpec {
	s := PortSpec{Host: r.Host, HostCreated: r.HostCreated, HostLease: r.HostLease, Tenant: r.Tenant, Network: r.Network, Name: r.Name}
	if r.Address.IsValid() {
		s.Addresses = []netip.Addr{r.Address}
	}
	return s
}

// Propose takes the address, which set gets with the subnet's length.
func (r Reservation) Propose(state *State, set func(netip.Prefix)) (Proposal, error) {
	s := r.spec()
	if err := ValidateName(r.Name); err != nil {
		return Proposal{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if state.Port(s.Key()) != nil {
		return Proposal{}, ErrExists
	}
	if err := s.checkParents(state); err != nil {
		return Proposal{}, err
	}
	network := state.Network(s.Key().NetworkName()).Value
	for _, n := range network.Subnets {
		if n.Prefix != r.Subnet {
			continue
		}
		if r.Address.IsValid() && !n.Prefix.Contains(r.Address) {
			return Proposal{}, fmt.Errorf("address %s: %w: it is not in subnet %s", r.Address, ErrInvalid, r.Subnet)
		}
		draw, err := s.drawAddress(n, network.Exclude, set)
		return Proposal{Draws: []Draw{draw}, Presumes: s.presumes(state)}, err
	}
	return Proposal{}, fmt.Errorf("subnet %s of network %s/%s: %w: see sluice network list", r.Subnet, r.Tenant, r.Network, ErrNotFound)
}
