package store

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// DefaultSubnet is the default network's, where none is given. Tenants may share subnets.
var DefaultSubnet = netip.MustParsePrefix("10.0.0.0/24")

// TenantSpec is what a user says about a new tenant and its default network.
type TenantSpec struct {
	Name         string
	Gateway      string         // GatewayAuto (also when empty), GatewayCentral or a host
	Segmentation Segmentation   // empty: tunnel
	Subnets      []netip.Prefix // none: DefaultSubnet
	Hosts        []string       // hosts allowed; none: all
	Limits       Limits
	Labels       Labels
}

// Validate refuses what no state would allow.
func (s TenantSpec) Validate() error {
	if err := ValidateName(s.Name); err != nil {
		return fmt.Errorf("tenant: %w: %w", ErrInvalid, err)
	}
	if err := s.Limits.Validate(); err != nil {
		return fmt.Errorf("tenant %s: %w", s.Name, err)
	}
	return nil
}

// Propose makes a tenant and its network "default". The state may lack all but the hosts.
func (s TenantSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	tenant := &Tenant{Gateway: cmp.Or(s.Gateway, GatewayAuto), Hosts: s.Hosts, Limits: s.Limits, Labels: s.Labels}
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

// network is the default network of the new tenant.
func (s TenantSpec) network() NetworkSpec {
	n := NetworkSpec{Tenant: s.Name, Name: DefaultNetwork, Segmentation: s.Segmentation, Subnets: s.Subnets}
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
