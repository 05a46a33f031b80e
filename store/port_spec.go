package store

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// PortSpec is what an agent says about a new port.
type PortSpec struct {
	Host string
	// HostCreated is the create revision of the host's registration: the write is refused
	// when the host was deleted since. 0: the host as it is now.
	HostCreated                Revision
	Tenant, Network, Name, UID string
	Addresses                  []netip.Addr // one of a subnet at most. Other subnets' addresses are chosen.
	MAC                        MAC          // zero: derived
	ContainerID, Runtime       string
	Labels                     Labels
}

// Key is the new port's.
func (s PortSpec) Key() Key { return PortKey(s.Host, s.Tenant, s.Network, s.Name) }

// Validate refuses what no state would allow.
func (s PortSpec) Validate() error {
	errs := []error{ValidateName(s.Name), ValidateUID(s.UID)}
	if !s.MAC.IsZero() {
		errs = append(errs, ValidateMAC(s.MAC))
	}
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return nil
}

// Propose makes a port, with a number, a MAC and an address in each subnet of its network.
// A port that exists with the same UID is what was wanted: nothing is proposed. The state
// may lack all but the port, its host, network and tenant, of whose ports it is given the
// number.
func (s PortSpec) Propose(state *State, ports int64) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	if mine := state.Port(s.Key()); mine != nil {
		if mine.Value.UID == s.UID {
			return Proposal{}, nil
		}
		return Proposal{}, ErrExists
	}
	if err := s.checkParents(state); err != nil {
		return Proposal{}, err
	}
	if err := s.CheckLimit(state, ports+1); err != nil {
		return Proposal{}, err
	}
	port := &Port{
		UID: s.UID, Interface: "sl-" + s.UID,
		ContainerID: s.ContainerID, Runtime: s.Runtime, Labels: s.Labels,
	}
	draws, err := s.draws(port, state.Network(s.Key().NetworkName()).Value.Subnets)
	if err != nil {
		return Proposal{}, err
	}
	return Proposal{Writes: []Event{{Key: s.Key(), Object: port}}, Draws: draws, Presumes: s.presumes(state)}, nil
}

// checkParents refuses what tenant, network and host do not allow.
func (s PortSpec) checkParents(state *State) error {
	tenant, host := state.Tenant(s.Tenant), state.Host(s.Host)
	switch {
	case tenant == nil:
		return noSuchTenant(s.Tenant)
	case state.Network(s.Key().NetworkName()) == nil:
		return fmt.Errorf("network %s/%s: %w: no such network: see sluice network list", s.Tenant, s.Network, ErrNotFound)
	case host == nil && s.HostCreated == 0:
		return noSuchHost(s.Host)
	case host == nil || s.HostCreated != 0 && host.Created != s.HostCreated:
		return HostGone(s.Host)
	case !tenant.Value.MayUse(s.Host):
		return fmt.Errorf("host %s: %w: tenant %s may use only %s", s.Host, ErrNotAllowed, s.Tenant, strings.Join(tenant.Value.Hosts, ", "))
	}
	return nil
}

// CheckLimit refuses a number of ports that the tenant may not have.
func (s PortSpec) CheckLimit(state *State, ports int64) error {
	limit := state.Tenant(s.Tenant).Value.Limits.Ports
	if limit <= 0 || ports <= int64(limit) {
		return nil
	}
	return fmt.Errorf("tenant %s: %w: it may have %d ports: detach some or raise the limit", s.Tenant, ErrLimit, limit)
}

// presumes holds while the parents are what they were and the port's name is free.
func (s PortSpec) presumes(state *State) []Presumption {
	tenant, network, host := state.Tenant(s.Tenant), state.Network(s.Key().NetworkName()), state.Host(s.Host)
	return []Presumption{
		{Condition: CreatedAt, Path: host.Key.String(), Revision: host.Created, Refusal: HostGone(s.Host)},
		{Condition: Unchanged, Path: tenant.Key.String(), Revision: tenant.Modified},
		{Condition: Unchanged, Path: network.Key.String(), Revision: network.Modified},
		{Condition: Absent, Path: s.Key().String()},
	}
}

// draws are the values that the port takes.
func (s PortSpec) draws(port *Port, subnets []Subnet) ([]Draw, error) {
	key, network := s.Key(), s.Key().NetworkName()
	for _, a := range s.Addresses {
		if !slices.ContainsFunc(subnets, func(n Subnet) bool { return n.Prefix.Contains(a) }) {
			return nil, fmt.Errorf("address %s: %w: it is in no subnet of network %s", a, ErrInvalid, network)
		}
	}
	name := Draw{
		Owner: key, Dir: portName.within(network), Value: s.Name, Set: func(string) {},
		Taken: func(owner string) error { return fmt.Errorf("%w as %s: choose another name", ErrExists, owner) },
	}
	// The UID keeps a port that is made again under its name apart from its tombstone.
	number := drawNumber(portNumber.dir, key, key.Short()+s.UID, 1<<32-1, "port numbers", "delete ports",
		func(n uint32) { port.Number = n })
	draws := []Draw{name, number, s.drawMAC(port)}
	for i, n := range subnets {
		d, err := s.drawAddress(n, func(a netip.Prefix) { port.Addresses[i] = a })
		if err != nil {
			return nil, err
		}
		draws, port.Addresses = append(draws, d), append(port.Addresses, netip.Prefix{})
	}
	return draws, nil
}

func (s PortSpec) drawMAC(port *Port) Draw {
	d := Draw{
		Owner: s.Key(), Dir: portMAC.within(s.Key().NetworkName()), Seed: s.Key().Short(), Space: MACs(),
		Set:       func(value string) { port.MAC, _ = ParseMAC(value) }, // one of MACs, or given as a MAC
		Exhausted: exhausted("MACs", "delete ports"),
	}
	if !s.MAC.IsZero() {
		d.Value = s.MAC.String()
		d.Taken = func(owner string) error {
			return fmt.Errorf("MAC %s: %w by %s: choose another, or none to be given one", s.MAC, ErrTaken, owner)
		}
	}
	return d
}

func (s PortSpec) drawAddress(n Subnet, set func(netip.Prefix)) (Draw, error) {
	network := s.Key().NetworkName()
	d := Draw{
		Owner: s.Key(), Dir: portAddress.within(network), Seed: s.Key().Short(), Space: Addresses(n),
		Set: func(value string) { set(netip.PrefixFrom(addressOf(value), n.Prefix.Bits())) },
		Exhausted: func(int, int) error {
			return fmt.Errorf("addresses of subnet %s of network %s %w: all %d for ports are taken: detach ports or use a larger subnet",
				n.Prefix, network, ErrExhausted, UsableCount(n.Prefix)-1)
		},
	}
	asked, err := s.asked(n)
	if err != nil || !asked.IsValid() {
		return d, err
	}
	d.Value = asked.String()
	d.Taken = func(owner string) error {
		return fmt.Errorf("address %s: %w by %s: choose another, or none to be given one", asked, ErrTaken, owner)
	}
	return d, nil
}

// asked is the address of a subnet that is asked for; the zero address: any will do.
func (s PortSpec) asked(n Subnet) (asked netip.Addr, err error) {
	for _, a := range s.Addresses {
		switch {
		case !n.Prefix.Contains(a):
		case asked.IsValid():
			return asked, fmt.Errorf("addresses %s and %s: %w: a port has one address of a subnet, and both are of %s", asked, a, ErrInvalid, n.Prefix)
		case !n.Offers(a):
			first, last := UsableRange(n.Prefix)
			return asked, fmt.Errorf("address %s: %w: ports of subnet %s may have %s to %s but the router's %s", a, ErrInvalid, n.Prefix, first, last, n.Gateway)
		default:
			asked = a
		}
	}
	return asked, nil
}
