package store

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// This file says which addresses may float, and who has one. A floating address is no host's own: it is on the uplink of
// its tenant's gateway host, and goes along with the gateway.

const (
	// MaxFloating bounds the floating addresses of one tenant, so that none takes all that there are.
	MaxFloating = 8
	// MaxFloatingRanges bounds the ranges of addresses that may float.
	MaxFloatingRanges = 64
	// floatingSchema is the least schema whose programs know of floating addresses. Older ones take a publication on one for one on the gateway
	// host's own address, and lose the ranges when they write the settings.
	floatingSchema = 2
)

// Floats reports whether a publication is on a floating address, and not on its gateway host's own.
func (p *Publication) Floats() bool { return p.Address.IsValid() }

// floatingFlaw is what no request would have written of a floating address; empty: nothing.
func (p *Publication) floatingFlaw() string {
	switch {
	case !p.Floats():
		return ""
	case p.Routed():
		return "what has a route is on no address of its own: entries lead to it"
	case !p.Address.Is4():
		return fmt.Sprintf("floating address %s is no IPv4 address, and gateways are IPv4", p.Address)
	}
	return ""
}

// MayFloat reports whether the operator lets an address float.
func (s *State) MayFloat(a netip.Addr) bool {
	settings, _ := s.Settings()
	return floatsIn(settings.Floating, a)
}

// addressesFloat reports whether the operator lets any address float.
func (s *State) addressesFloat() bool {
	settings, _ := s.Settings()
	return len(settings.Floating) > 0
}

func floatsIn(ranges []AddressRange, a netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(r AddressRange) bool { return r.Contains(a) })
}

// PublicationsOn walks those on a floating address, sorted by tenant and name.
func (s *State) PublicationsOn(a netip.Addr) iter.Seq[*Item[Publication]] {
	return publicationsIn(s.publications.on.sets[a])
}

// floatingTaken is why a publication does not have its floating address, wherever its gateway is; nil: it has, or is on none.
func (s *State) floatingTaken(p *Item[Publication]) *Hindrance {
	a := p.Value.Address
	if !p.Value.Floats() {
		return nil
	}
	if !s.MayFloat(a) {
		return &Hindrance{Text: fmt.Sprintf("%s may not float: publish on one of %s, or have the operator allow it (sluice gateway floating)", a, s.floatingWords())}
	}
	if machine := s.machineWith(a); machine != "" {
		return &Hindrance{Text: fmt.Sprintf("%s is an address of %s itself: publish on another one", a, machine)}
	}
	for other := range s.PublicationsOn(a) {
		if other.Key.Tenant != p.Key.Tenant && other.Older(p) && s.Unpublished(other) == "" {
			return &Hindrance{Third: other.Key.Tenant,
				Text:  fmt.Sprintf("%s is %s/%s's for longer, and an address goes with one tenant's gateway: publish on another one", a, other.Key.Tenant, other.Key.Name),
				plain: fmt.Sprintf("%s is another tenant's for longer: publish on another one", a)}
		}
	}
	return nil
}

// HasFloating reports whether a publication has the floating address that it is on.
func (s *State) HasFloating(p *Item[Publication]) bool {
	return p.Value.Floats() && s.Unpublished(p) == "" && s.floatingTaken(p) == nil
}

// floatingWords are the addresses that may float, for people.
func (s *State) floatingWords() string {
	settings, _ := s.Settings()
	if len(settings.Floating) == 0 {
		return "those that may float: there are none"
	}
	words := make([]string, len(settings.Floating))
	for i, r := range settings.Floating {
		words[i] = r.String()
	}
	return strings.Join(words, ", ")
}

// machineWith is the host or controller that has an address itself, for people; empty: none that the state knows.
func (s *State) machineWith(a netip.Addr) string {
	if hosts := slices.Sorted(maps.Keys(s.hosts.having.sets[a])); len(hosts) > 0 {
		return "host " + hosts[0]
	}
	for c := range s.LiveControllers() {
		if slices.Contains(c.Value.Addresses, a) {
			return "controller " + c.Key.Name
		}
	}
	return ""
}

// floatsNowhere is why a host's uplinks cannot have a floating address; nil: they can, or nobody knows the host.
func (s *State) floatsNowhere(a netip.Addr, host string) *Hindrance {
	h := s.Host(host)
	if !a.IsValid() || h == nil || slices.ContainsFunc(h.Value.Subnets, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return nil
	}
	return &Hindrance{Text: fmt.Sprintf("no uplink of gateway host %s is in a subnet with %s: move the gateway to a host that has one, or publish on an address of its subnets", host, a)}
}

// has brings the addresses of a host into the index, or out of it.
func (hs *hosts) has(h *Item[Host], add bool) {
	for _, a := range slices.Concat(h.Value.Addresses, h.Value.VTEPs) {
		hs.having.put(a.Unmap(), h.Key.Host, add)
	}
}

// FloatingSpec says which addresses may float, in place of those that may now.
type FloatingSpec struct{ Ranges []AddressRange }

// Needs are the paths that Propose looks at.
func (s FloatingSpec) Needs() []string {
	return []string{SettingsKey().String(), SchemaKey().String(), Under(KindPublication), Under(KindTenant)}
}

// Validate refuses what no state would allow.
func (s FloatingSpec) Validate() error {
	if len(s.Ranges) > MaxFloatingRanges {
		return fmt.Errorf("floating addresses: %w: %d ranges: give %d at most", ErrInvalid, len(s.Ranges), MaxFloatingRanges)
	}
	for i, r := range s.Ranges {
		if !r.First.Is4() || !r.Last.Is4() {
			return fmt.Errorf("floating addresses: %w: %s is no range of IPv4 addresses, and gateways are IPv4", ErrInvalid, r)
		}
		for _, o := range forbidden {
			if r.overlaps(o.Prefix) {
				return fmt.Errorf("floating addresses: %w: %s overlaps %s, %s", ErrInvalid, r, o.Prefix, o.By)
			}
		}
		for _, other := range s.Ranges[:i] {
			if r.Contains(other.First) || other.Contains(r.First) {
				return fmt.Errorf("floating addresses: %w: %s and %s have addresses in common: give each once", ErrInvalid, other, r)
			}
		}
	}
	return nil
}

// overlaps reports whether a range and a prefix have addresses in common.
func (r AddressRange) overlaps(p netip.Prefix) bool {
	return r.Contains(p.Masked().Addr()) || p.Contains(r.First)
}

// Propose writes it; nothing, where it is so already. It is refused while a publication has an address that would float no more, and while older
// programs may write the store.
func (s FloatingSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	for _, r := range s.Ranges {
		if transit := state.Transit(); r.overlaps(transit.Prefix) {
			return Proposal{}, fmt.Errorf("floating addresses: %w: %s overlaps %s, the transit range", ErrInvalid, r, transit)
		}
	}
	settings, _ := state.Settings()
	if slices.Equal(settings.Floating, s.Ranges) {
		return Proposal{}, nil
	}
	if len(s.Ranges) > 0 && state.LeastSchema() < floatingSchema {
		return Proposal{}, fmt.Errorf("floating addresses: %w: programs that write schema %d may be there, which take what is published on one for a port of the gateway host's own address: upgrade all controllers and agents, and then `sluice schema set %d` first",
			ErrConflict, state.LeastSchema(), floatingSchema)
	}
	for p := range state.Publications() {
		if a := p.Value.Address; p.Value.Floats() && floatsIn(settings.Floating, a) && !floatsIn(s.Ranges, a) && state.Unpublished(p) == "" {
			return Proposal{}, fmt.Errorf("floating addresses: %w: %s is published by %s/%s: unpublish that first, or let the address float", ErrInUse, a, p.Key.Tenant, p.Key.Name)
		}
	}
	settings.Floating = slices.Clone(s.Ranges)
	return Proposal{
		Writes: []Event{{Key: SettingsKey(), Object: &settings}},
		Presumes: []Presumption{state.settingsUnchanged(), {Condition: Unchanged, Path: SchemaKey().String(), Revision: state.SchemaModified()},
			{Condition: NothingNewUnder, Path: Under(KindPublication), Revision: state.Revision()}},
	}, nil
}
