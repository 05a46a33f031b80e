package store

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// DefaultSubnet is the default network's, where none is given. Tenants may share subnets.
var DefaultSubnet = netip.MustParsePrefix("10.0.0.0/24")

// TenantSpec is what a user says about a new tenant and its default network.
type TenantSpec struct {
	Name         string
	Gateway      string         // GatewayAuto (also when empty), GatewayCentral or a host
	Segmentation Segmentation   // empty: tunnel
	Subnets      []netip.Prefix // none: DefaultSubnet
	Exclude      []AddressRange // of the default network
	Hosts        []string       // hosts allowed; none: all
	Limits       Limits
	Labels       Labels
	Network      NetworkSpec   // its network default, instead of Segmentation, Subnets and Exclude, where it has subnets
	TTL          time.Duration // without ports, after which the tenant is removed; 0: never
	Topology     Topology      // empty: TopologyDirect
}

// MinTTL bounds a tenant's time to live: the leader looks each half minute.
const MinTTL = time.Minute

// Validate refuses what no state would allow.
func (s TenantSpec) Validate() error {
	if err := ValidateName(s.Name); err != nil {
		return fmt.Errorf("tenant: %w: %w", ErrInvalid, err)
	}
	if err := s.Limits.Validate(); err != nil {
		return fmt.Errorf("tenant %s: %w", s.Name, err)
	}
	if err := s.Topology.Validate(); err != nil {
		return fmt.Errorf("tenant %s: %w", s.Name, err)
	}
	if s.TTL != 0 && s.TTL < MinTTL {
		return fmt.Errorf("tenant %s: %w: its time to live of %s is less than %s (0: it stays)", s.Name, ErrInvalid, s.TTL, MinTTL)
	}
	return nil
}

// Propose makes a tenant and its network "default". The state may lack all but the hosts.
func (s TenantSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	tenant := &Tenant{Gateway: cmp.Or(s.Gateway, GatewayAuto), Hosts: s.Hosts, Limits: s.Limits, Labels: s.Labels, TTL: Duration(s.TTL),
		Topology: s.Topology.stored()}
	if err := checkHosts(state, tenant); err != nil {
		return Proposal{}, err
	}
	network, err := s.network().build(infrastructure(state))
	if err != nil {
		return Proposal{}, err
	}
	key, networkKey := TenantKey(s.Name), NetworkKey(s.Name, DefaultNetwork)
	if state.Tenant(s.Name) != nil || state.Network(networkKey.NetworkName()) != nil {
		return Proposal{}, nameExists()
	}
	// The revision keeps a tenant that is made again apart from its former self, whose
	// connections gateways may still know: the number is their conntrack zone.
	seed := fmt.Sprint(key.Short(), state.Revision())
	number := drawNumber(tenantNumber.dir, key, seed, MaxTenantNumber, "tenant numbers", "delete tenants",
		func(n uint32) { tenant.Number = n })
	number.Rather = Numbers(MaxSlot) // who has such a number needs no slot, as a rule
	return Proposal{
		Writes: []Event{{Key: key, Object: tenant}, {Key: networkKey, Object: network}},
		Draws:  append(network.draws(networkKey), number),
		Presumes: []Presumption{
			{Condition: Absent, Path: key.String(), Refusal: nameExists()},
			{Condition: Absent, Path: networkKey.String(), Refusal: nameExists()},
			{Condition: NothingNewUnder, Path: Under(KindHost), Revision: state.Revision()},
			state.settingsUnchanged(),
		},
	}, nil
}

// TenantUpdate makes a tenant that exists another in all that may change of one. What it has already and more
// than it may, it keeps.
type TenantUpdate struct {
	Tenant  string
	Gateway string
	Hosts   []string
	Limits  Limits
	Labels  Labels
	TTL     time.Duration

	Topology Topology
}

// Propose writes the tenant. The state may lack all but it and the hosts.
func (u TenantUpdate) Propose(state *State) (Proposal, error) {
	t := state.Tenant(u.Tenant)
	if t == nil {
		return Proposal{}, noSuchTenant(u.Tenant)
	}
	wanted := TenantSpec{Name: u.Tenant, Limits: u.Limits, TTL: u.TTL, Topology: u.Topology}
	if err := wanted.Validate(); err != nil {
		return Proposal{}, err
	}
	changed := *t.Value
	changed.Gateway, changed.Hosts, changed.Limits, changed.Labels, changed.TTL = u.Gateway, u.Hosts, u.Limits, u.Labels, Duration(u.TTL)
	changed.Topology = u.Topology.stored()
	if err := checkHosts(state, &changed); err != nil {
		return Proposal{}, err
	}
	return Proposal{
		Writes: []Event{{Key: t.Key, Object: &changed}},
		Presumes: []Presumption{
			{Condition: Unchanged, Path: t.Key.String(), Revision: t.Modified},
			{Condition: NothingNewUnder, Path: Under(KindHost), Revision: state.Revision()},
		},
	}, nil
}

// changeOfTenant proposes to write a tenant with something changed.
func changeOfTenant(state *State, name string, change func(*Tenant)) (Proposal, error) {
	t := state.Tenant(name)
	if t == nil {
		return Proposal{}, noSuchTenant(name)
	}
	changed := *t.Value
	change(&changed)
	return Proposal{
		Writes:   []Event{{Key: t.Key, Object: &changed}},
		Presumes: []Presumption{{Condition: Unchanged, Path: t.Key.String(), Revision: t.Modified}},
	}, nil
}

// aboutTenant is what is wrong with a request about a tenant: with its name, or else err.
func aboutTenant(name string, err error) error {
	if wrong := ValidateName(name); wrong != nil {
		err = fmt.Errorf("%w: %w", ErrInvalid, wrong)
	}
	if err != nil {
		return fmt.Errorf("tenant %s: %w", name, err)
	}
	return nil
}

// network is the default network of the new tenant.
func (s TenantSpec) network() NetworkSpec {
	n := NetworkSpec{Tenant: s.Name, Name: DefaultNetwork, Segmentation: s.Segmentation, Subnets: s.Subnets, Exclude: s.Exclude}
	if len(s.Network.Subnets) > 0 {
		n = s.Network
		n.Tenant, n.Name = s.Name, DefaultNetwork
	}
	if len(n.Subnets) == 0 {
		n.Subnets = []netip.Prefix{DefaultSubnet}
	}
	return n
}

// nameExists is the refusal of a name that another object has.
func nameExists() error { return fmt.Errorf("%w: choose another name", ErrExists) }

// checkHosts refuses a tenant that names hosts which are not registered, or a gateway host
// that is none.
func checkHosts(state *State, t *Tenant) error {
	named := t.Hosts
	if t.Gateway != GatewayAuto && t.Gateway != GatewayCentral {
		named = append(slices.Clone(named), t.Gateway)
	}
	for _, name := range named {
		host := state.Host(name)
		if host == nil {
			return noSuchHost(name)
		}
		if name == t.Gateway && !host.Value.Gateway {
			return fmt.Errorf("host %s: %w: it is no gateway host: %s", name, ErrInvalid, host.Value.WhyNoGateway())
		}
	}
	return nil
}

func noSuchHost(name string) error {
	return fmt.Errorf("host %q: %w: no such host is registered: see sluice host list", name, ErrNotFound)
}
