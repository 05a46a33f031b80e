package store

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// PublicationSpec is what a user says about a new publication.
type PublicationSpec struct {
	Tenant, Network, Port string
	Protocol              Protocol
	First, On, Count      uint16
	KeepSource            bool
	Address               netip.Addr // a floating one; none: the gateway host's own
	Route                 Route      // none: by the ports of the host
	By                    string
	// Everybody says that the user may be told of other tenants.
	Everybody bool
	// Early says that the port need not be there yet.
	Early bool
}

// Name is the publication's: its ports on the host, such as tcp-8080 or udp-5000-5009, or its route, such as http-alice-example.
func (s PublicationSpec) Name() string {
	if s.routed() {
		return s.Route.name()
	}
	if s.Count == 1 {
		return fmt.Sprintf("%s-%d", s.Protocol, s.On)
	}
	return fmt.Sprintf("%s-%d-%d", s.Protocol, s.On, int(s.On)+int(s.Count)-1)
}

// Key is the publication's.
func (s PublicationSpec) Key() Key { return PublicationKey(s.Tenant, s.Name()) }

// String is the publication for people: alice/tcp-8080.
func (s PublicationSpec) String() string { return s.Tenant + "/" + s.Name() }

func (s PublicationSpec) routed() bool { return s.Route != Route{} }

func (s PublicationSpec) publication(t *Item[Tenant]) *Publication {
	p := &Publication{Network: s.Network, Port: s.Port, Protocol: s.Protocol, First: s.First, On: s.On, Count: s.Count, KeepSource: s.KeepSource, Address: s.Address, Route: s.Route, By: s.By}
	if s.routed() {
		p.On = firstRoutePort // until one is drawn
	}
	if t != nil {
		p.TenantCreated = t.Created
	}
	return p
}

// Validate refuses what no state would allow.
func (s PublicationSpec) Validate() error {
	for _, name := range []string{s.Tenant, s.Network, s.Port} {
		if err := ValidateName(name); err != nil {
			return fmt.Errorf("publication: %w: %w", ErrInvalid, err)
		}
	}
	if flaw := s.publication(nil).flaw(); flaw != "" {
		return fmt.Errorf("publication %s: %w: %s", s, ErrInvalid, flaw)
	}
	return nil
}

// Needs are the paths that Propose looks at, as far as a state knows them: the port, and what the tenants of other
// publications of the same ports are.
func (s PublicationSpec) Needs(known *State) []string {
	paths := []string{Under(KindPublication), NetworkKey(s.Tenant, s.Network).String()}
	if port := known.portByName(NetworkName{s.Tenant, s.Network}, s.Port); port != nil {
		paths = append(paths, port.Key.String())
	}
	if g := known.Gateway(s.Tenant); g != nil {
		paths = append(paths, HostKey(g.Value.Active).String())
	}
	tenants := append([]string{s.Tenant}, known.tenantsOfName(s.Route.Host)...)
	if s.Address.IsValid() {
		paths = append(paths, SettingsKey().String(), Under(KindHost), Under(KindLiveController))
		for other := range known.PublicationsOn(s.Address) {
			tenants = append(tenants, other.Key.Tenant)
		}
	}
	for e := range s.publication(nil).HostPorts() {
		for other := range known.PublicationsAt(e) {
			tenants = append(tenants, other.Key.Tenant)
			if other.Value.ofPort() {
				paths = append(paths, other.Value.From.String())
			}
		}
	}
	slices.Sort(tenants)
	for _, tenant := range slices.Compact(tenants) {
		paths = append(paths, TenantKey(tenant).String(), GatewayKey(tenant).String())
	}
	return paths
}

// Propose writes the publication. It is refused where the tenant has no such port, and where a port of the tenant's gateway
// host is taken. One that is there as it is asked for is what was wanted.
func (s PublicationSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	tenant := state.Tenant(s.Tenant)
	if tenant == nil {
		return Proposal{}, noSuchTenant(s.Tenant)
	}
	item := &Item[Publication]{Key: s.Key(), Value: s.publication(tenant), Created: state.Revision() + 1}
	presumed := Presumption{Condition: Absent, Path: item.Key.String()}
	if there := state.publications.items[item.Key]; there != nil {
		switch {
		case there.Value.TenantCreated == tenant.Created && s.Is(there.Value):
			return Proposal{}, nil
		case there.Value.TenantCreated == tenant.Created:
			return Proposal{}, fmt.Errorf("publication %s: %w, and leads to %s: unpublish it first", s, ErrExists, there.Value.LeadsTo(s.Tenant))
		}
		presumed = Presumption{Condition: Unchanged, Path: item.Key.String(), Revision: there.Modified} // an earlier tenant's
	}
	if s.routed() {
		item.Value.On = state.drawRoutePort(s.Tenant)
	}
	if err := s.check(state, item); err != nil {
		return Proposal{}, err
	}
	p := Proposal{
		Writes: []Event{{Key: item.Key, Object: item.Value}},
		Presumes: []Presumption{presumed,
			{Condition: CreatedAt, Path: tenant.Key.String(), Revision: tenant.Created, Refusal: noSuchTenant(s.Tenant)},
			{Condition: NothingNewUnder, Path: Under(KindPublication), Revision: state.Revision()},
		},
	}
	if s.Address.IsValid() { // which may be none that floats any more
		p.Presumes = append(p.Presumes, state.settingsUnchanged())
	}
	return p, nil
}

// check refuses what would not be let in, or what would be too much.
func (s PublicationSpec) check(state *State, item *Item[Publication]) error {
	if _, _, why := state.PublishedPort(item); why != "" && !s.Early {
		return fmt.Errorf("publication %s: %w: %s", s, ErrNotFound, why)
	}
	if why := state.routeTaken(item); why != nil {
		return fmt.Errorf("publication %s: %w: %s", s, ErrTaken, why.Words(func(string) bool { return s.Everybody }))
	}
	if why := state.floatingTaken(item); why != nil {
		return fmt.Errorf("publication %s: %w: %s", s, ErrTaken, why.Words(func(string) bool { return s.Everybody }))
	}
	ports, floating := int(s.Count), []netip.Addr{item.Value.Address}
	for other := range state.PublicationsOf(s.Tenant) {
		if other.Value.ofPort() {
			continue // the tenant's own comes before it
		}
		if other.Value.meets(item.Value) && other.Value.TenantCreated == item.Value.TenantCreated {
			return fmt.Errorf("publication %s: %w: %s/%s has a port or the route of it, and leads to %s: unpublish that first, or publish elsewhere",
				s, ErrTaken, s.Tenant, other.Key.Name, other.Value.LeadsTo(s.Tenant))
		}
		ports += int(other.Value.Count)
		if a := other.Value.Address; !slices.Contains(floating, a) && a.IsValid() {
			floating = append(floating, a)
		}
	}
	if s.Address.IsValid() && len(floating) > MaxFloating {
		return fmt.Errorf("publication %s: %w: tenant %s would have %d floating addresses, and may have %d: publish on one that it has", s, ErrLimit, s.Tenant, len(floating), MaxFloating)
	}
	if ports > MaxPublishedPorts {
		return fmt.Errorf("publication %s: %w: tenant %s would have %d ports of hosts, and may have %d: unpublish some", s, ErrLimit, s.Tenant, ports, MaxPublishedPorts)
	}
	if state.Gateway(s.Tenant) == nil {
		return nil // it waits for a host
	}
	if _, why := state.PublishedAt(item); why != nil {
		return fmt.Errorf("publication %s: %w: %s", s, ErrTaken, why.Words(func(string) bool { return s.Everybody }))
	}
	return nil
}

// LeadsTo is where connections would go, for people.
func (s PublicationSpec) LeadsTo() string { return s.publication(nil).LeadsTo(s.Tenant) }

// Is reports whether a publication of the spec's tenant and name is what the spec asks for, whoever asked for it.
func (s PublicationSpec) Is(p *Publication) bool {
	wanted := s.publication(nil)
	wanted.TenantCreated = p.TenantCreated
	if s.routed() {
		wanted.On = p.On // which was drawn
	}
	return p.same(wanted)
}

// LeadsTo is where connections go, for people.
func (p *Publication) LeadsTo(tenant string) string {
	to := fmt.Sprintf("%s %s of port %s/%s/%s", p.Protocol, PortRange(p.First, p.Count), tenant, p.Network, p.Port)
	if p.Floats() {
		to += fmt.Sprintf(", from %s", p.Address)
	}
	return to
}

// PortRange is one port as people write it, or the first and the last of several.
func PortRange(first, count uint16) string {
	if count <= 1 {
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d-%d", first, int(first)+int(count)-1)
}

// same reports whether two publications are one, whoever asked for them.
func (p *Publication) same(q *Publication) bool {
	a, b := *p, *q
	a.By, b.By = "", ""
	return a == b
}

// ProposeUnpublish ends a publication. It is refused where there is none.
func ProposeUnpublish(s *State, tenant, name string) (Proposal, error) {
	p := s.Publication(tenant, name)
	switch {
	case p == nil:
		return Proposal{}, fmt.Errorf("publication %s/%s: %w: there is none: see sluice publish list", tenant, name, ErrNotFound)
	case p.Value.ofPort():
		return Proposal{}, fmt.Errorf("publication %s/%s: %w: port %s publishes it itself, by its runtime's -p: it goes with the port", tenant, name, ErrInUse, p.Value.From.Short())
	}
	return ProposeRemoval(Event{Key: p.Key, Object: p.Value, Created: p.Created, Modified: p.Modified}), nil
}

// ParsePortRange reads one port, or the first and the last of several.
func ParsePortRange(text string) (first, count uint16, err error) {
	low, high, several := strings.Cut(text, "-")
	if !several {
		high = low
	}
	from, err1 := strconv.ParseUint(low, 10, 16)
	to, err2 := strconv.ParseUint(high, 10, 16)
	if err1 != nil || err2 != nil || from < 1 || to < from || to-from >= MaxPublishedPorts {
		return 0, 0, fmt.Errorf("%w: ports %q: give one from 1 to 65535, or the first and the last of at most %d, such as 8000-8009", ErrInvalid, text, MaxPublishedPorts)
	}
	return uint16(from), uint16(to - from + 1), nil
}
