package store

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Readoption takes a port back into a store that lacks it, as its host has it: with the same uid,
// MAC and addresses, so that its container notices nothing.
type Readoption struct {
	Key         Key
	Port        Port
	HostCreated Revision // as in PortSpec
	HostLease   int64    // as in PortSpec
	// AnyNumber draws another number: the port's own is another's. Containers do not see it.
	AnyNumber bool
}

// errNumberTaken: a port's number is another's.
var errNumberTaken = fmt.Errorf("port number %w", ErrTaken)

// NumberTaken reports whether err says that a port's number is another's: any other will do.
func NumberTaken(err error) bool { return errors.Is(err, errNumberTaken) }

// spec is what an agent would say about a new port of that name.
func (r Readoption) spec() PortSpec {
	return PortSpec{
		Host: r.Key.Host, HostCreated: r.HostCreated, HostLease: r.HostLease,
		Tenant: r.Key.Tenant, Network: r.Key.Network, Name: r.Key.Name, UID: r.Port.UID, MAC: r.Port.MAC,
	}
}

// Propose writes the port anew. A port that exists with the same uid is what was wanted: nothing
// is proposed. The state may lack all but the port, its host, network and tenant. The tenant's
// limit does not count: the container is there.
func (r Readoption) Propose(state *State) (Proposal, error) {
	s := r.spec()
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	if there := state.Port(r.Key); there != nil {
		if there.Value.UID == r.Port.UID {
			return Proposal{}, nil
		}
		return Proposal{}, fmt.Errorf("%w: another port has its name", ErrExists)
	}
	if err := s.checkParents(state); err != nil {
		return Proposal{}, err
	}
	port := r.Port
	draws, err := r.draws(s, &port, state.Network(r.Key.NetworkName()).Value.Subnets)
	if err != nil {
		return Proposal{}, err
	}
	return Proposal{Writes: []Event{{Key: r.Key, Object: &port}}, Draws: draws, Presumes: s.presumes(state)}, nil
}

// draws takes the values that the port has. What an earlier port of the same key took or left
// behind is its own.
func (r Readoption) draws(s PortSpec, port *Port, subnets []Subnet) ([]Draw, error) {
	network := r.Key.NetworkName()
	taken := func(what, dir, value string, err error) Draw {
		return Draw{Owner: r.Key, Dir: dir, Value: value, Retake: true, Set: func(string) {},
			Taken: func(owner string) error { return fmt.Errorf("%s %s: %w by %s", what, value, err, owner) }}
	}
	number := drawNumber(portNumber.dir, r.Key, r.Key.Short()+port.UID, maxPortNumber, "port numbers", "delete ports",
		func(n uint32) { port.Number = n })
	if !r.AnyNumber {
		number = taken("number", portNumber.dir, strconv.FormatUint(uint64(port.Number), 10), errNumberTaken)
	}
	draws := []Draw{
		taken("name", portName.within(network), s.Name, ErrTaken), number,
		taken("MAC", portMAC.within(network), port.MAC.String(), ErrTaken),
	}
	for _, a := range port.Addresses {
		in := slices.IndexFunc(subnets, func(n Subnet) bool { return n.Prefix.Contains(a.Addr()) && n.Offers(a.Addr()) })
		if in < 0 {
			return nil, fmt.Errorf("address %s: %w: network %s has no subnet with it", a.Addr(), ErrInvalid, network)
		}
		draws = append(draws, taken("address", portAddress.within(network), a.Addr().Unmap().String(), ErrTaken))
	}
	return draws, nil
}
