package store

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// PortSpec is what an agent says about a new port.
type PortSpec struct {
	Host string
	// HostCreated is the create revision of the host's registration: the write is refused
	// when the host was deleted since. 0: the host as it is now.
	HostCreated Revision
	// HostLease is the lease of the agent's registration: the write is refused once the agent registered again, or
	// started again, so that what a former life of it sent does not come late. 0: not asked for.
	HostLease                  int64
	Tenant, Network, Name, UID string
	Addresses                  []netip.Addr // one of a subnet at most. Other subnets' addresses are chosen.
	MAC                        MAC          // zero: derived
	// Reserved is the name under which some of Addresses were reserved on this host; empty: none was.
	Reserved             string
	ContainerID, Runtime string
	Labels               Labels
	// Sticky leaves MAC and addresses with the name when the port goes.
	Sticky bool
	// Publish is what the port publishes itself; see JoinPublications.
	Publish []PortPublication
	Limits  PortLimits
}

// Key is the new port's.
func (s PortSpec) Key() Key { return PortKey(s.Host, s.Tenant, s.Network, s.Name) }

// Validate refuses what no state would allow.
func (s PortSpec) Validate() error {
	errs := []error{ValidateName(s.Name), ValidateUID(s.UID), validatePublished(s.Publish), s.Limits.Validate()}
	if s.Reserved != "" {
		errs = append(errs, ValidateName(s.Reserved))
	}
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
// A port that exists with the same UID is what was wanted, and is now this container's. The state
// may lack all but the port, its host, network and tenant, of whose ports it is given the
// number.
func (s PortSpec) Propose(state *State, ports int64) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	if mine := state.Port(s.Key()); mine != nil {
		if mine.Value.UID == s.UID {
			return s.takeOver(mine), nil
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
		ContainerID: s.ContainerID, Runtime: s.Runtime, Labels: s.Labels, Publish: s.Publish, Limits: s.Limits,
	}
	mine := state.Sticky(stickyOf(s.Key()))
	port.Sticky = s.stickiness(mine)
	network := state.Network(s.Key().NetworkName()).Value
	draws, err := s.asSticky(mine, network).draws(port, network)
	if err != nil {
		return Proposal{}, err
	}
	p := Proposal{Writes: []Event{{Key: s.Key(), Object: port}}, Draws: draws, Presumes: s.presumes(state)}
	s.takeSticky(&p, mine)
	return p, nil
}

func (s PortSpec) stickiness(mine *Item[Sticky]) Stickiness {
	switch {
	case !s.Sticky:
		return NotSticky
	case mine == nil:
		return StickyFirst
	default:
		return StickyAgain
	}
}

// takeOver makes a port that came from another host that of the container that is attached to it, by which its runtime
// finds it again. A repeated request asks for nothing.
func (s PortSpec) takeOver(mine *Item[Port]) Proposal {
	port := *mine.Value
	port.ContainerID, port.Runtime, port.Labels, port.Publish, port.Limits = s.ContainerID, s.Runtime, s.Labels, s.Publish, s.Limits
	was := mine.Value
	if was.ContainerID == port.ContainerID && was.Runtime == port.Runtime && maps.Equal(was.Labels, port.Labels) &&
		slices.Equal(was.Publish, port.Publish) && was.Limits == port.Limits {
		return Proposal{}
	}
	return Proposal{
		Writes:   []Event{{Key: mine.Key, Object: &port}},
		Presumes: append(s.held(), Presumption{Condition: Unchanged, Path: mine.Key.String(), Revision: mine.Modified}),
	}
}

// held holds while the agent that asks is registered as it was.
func (s PortSpec) held() []Presumption {
	if s.HostLease == 0 {
		return nil
	}
	return []Presumption{{Condition: Leased, Path: LiveHostKey(s.Host).String(), Lease: s.HostLease, Refusal: registeredAnew(s.Host)}}
}

func registeredAnew(host string) error {
	return fmt.Errorf("host %s: %w: its agent registered anew since", host, ErrLeaseLost)
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

// presumes holds while the agent and the parents are what they were and the port's name is free.
func (s PortSpec) presumes(state *State) []Presumption {
	tenant, network, host := state.Tenant(s.Tenant), state.Network(s.Key().NetworkName()), state.Host(s.Host)
	presumes := append(s.held(), []Presumption{
		{Condition: CreatedAt, Path: host.Key.String(), Revision: host.Created, Refusal: HostGone(s.Host)},
		{Condition: Unchanged, Path: tenant.Key.String(), Revision: tenant.Modified},
		{Condition: Unchanged, Path: network.Key.String(), Revision: network.Modified},
		{Condition: Absent, Path: s.Key().String()},
	}...)
	if s.Reserved != "" { // the name of a port reserves nothing: what that port has is its own
		presumes = append(presumes, Presumption{Condition: Absent, Path: s.reserved().String(), Refusal: fmt.Errorf("port %s: %w", s.Reserved, ErrExists)})
	}
	return presumes
}

// reserved is the key under which addresses were reserved; zero: none was.
func (s PortSpec) reserved() Key {
	if s.Reserved == "" {
		return Key{}
	}
	return PortKey(s.Host, s.Tenant, s.Network, s.Reserved)
}

// draws are the values that the port takes.
func (s PortSpec) draws(port *Port, in *Network) ([]Draw, error) {
	key, network := s.Key(), s.Key().NetworkName()
	for _, a := range s.Addresses {
		if !slices.ContainsFunc(in.Subnets, func(n Subnet) bool { return n.Prefix.Contains(a) }) {
			return nil, fmt.Errorf("address %s: %w: it is in no subnet of network %s", a, ErrInvalid, network)
		}
	}
	name := Draw{
		Owner: key, Dir: portName.within(network), Value: s.Name, Set: func(string) {},
		Taken: func(owner string) error { return fmt.Errorf("%w as %s: choose another name", ErrExists, owner) },
	}
	// The UID keeps a port that is made again under its name apart from its tombstone.
	number := drawNumber(portNumber.dir, key, key.Short()+s.UID, maxPortNumber, "port numbers", "delete ports",
		func(n uint32) { port.Number = n })
	draws := []Draw{name, number, s.drawMAC(port)}
	for i, n := range in.Subnets {
		d, err := s.drawAddress(n, in.Exclude, func(a netip.Prefix) { port.Addresses[i] = a })
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

func (s PortSpec) drawAddress(n Subnet, excluded []AddressRange, set func(netip.Prefix)) (Draw, error) {
	d := Draw{
		Owner: s.Key(), Former: s.reserved(), Dir: portAddress.within(s.Key().NetworkName()), Seed: s.Key().Short(), Space: Addresses(n, excluded),
		Set:       func(value string) { set(netip.PrefixFrom(addressOf(value), n.Prefix.Bits())) },
		Counts:    func(value string) bool { return n.chooses(addressOf(value), excluded) },
		Exhausted: func(u Counted) error { return n.exhausted(s.Key().NetworkName(), excluded, u) },
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
