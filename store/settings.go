package store

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// KindSettings is {name}: one object, named "cluster".
const KindSettings Kind = "settings"

// SettingsKey is the key of the cluster's settings.
func SettingsKey() Key { return Key{Kind: KindSettings, Name: "cluster"} }

// Settings are what one cluster has otherwise than another.
type Settings struct {
	// Transit holds the tenants' transit addresses; none: DefaultTransit.
	Transit netip.Prefix `json:"transit,omitzero"`
	// Central is the host by which all tenants leave whose policy is GatewayCentral; empty: none was chosen yet.
	Central string `json:"central,omitempty"`
	// FailOver says that hosts probe gateway hosts, and that each tenant's gateway has a backup.
	FailOver bool `json:"failOver,omitempty"`
	// FailOverByDefault says that nobody asked for that: the store began with it.
	FailOverByDefault bool `json:"failOverByDefault,omitempty"`
	// ProbeInterval is between two probes of a gateway host, in milliseconds; 0: DefaultProbeInterval.
	ProbeInterval int `json:"probeInterval,omitempty"`
	// Balance says whether and how gateways move so that their hosts carry alike.
	Balance Balance `json:"balance,omitzero"`
	// Floating are the addresses that tenants may publish on and that go along with their gateways; none: no address floats.
	Floating []AddressRange `json:"floating,omitempty"`
}

// Kind is KindSettings.
func (*Settings) Kind() Kind { return KindSettings }

var settingsKind = &description[string, Settings, *Settings]{
	facts: facts{
		label:  "cluster's settings",
		parts:  []part{partName},
		writer: "a controller that is told, the API, the leader", reader: "controllers, agents",
		hostReads: allObjects,
	},
	table: func(s *State) *table[string, Settings] { return &s.settings },
	id:    func(k Key) string { return k.Name },
}

// Transit is the range of the cluster's transit addresses.
func (s *State) Transit() Transit {
	if i := s.settings.items[SettingsKey().Name]; i != nil {
		return i.Value.TransitOr(DefaultTransit)
	}
	return DefaultTransit
}

// Settings are the cluster's, with the revision at which they were written; 0: none are.
func (s *State) Settings() (Settings, Revision) {
	if i := s.settings.items[SettingsKey().Name]; i != nil {
		return *i.Value, i.Modified
	}
	return Settings{}, 0
}

// Central is the host by which all tenants leave whose policy is GatewayCentral; empty: none was chosen yet.
func (s *State) Central() string {
	settings, _ := s.Settings()
	return settings.Central
}

// TransitOr is the transit range that is set, or another where none is set that could be used.
func (s *Settings) TransitOr(other Transit) Transit {
	if ValidateTransit(s.Transit) != nil {
		return other
	}
	return Transit{s.Transit}
}

// Transit is a range in which each tenant that leaves by a host has an address of its own there, between the host's
// switch and kernel.
type Transit struct{ netip.Prefix }

// DefaultTransit is the transit range of a cluster that did not choose another (RFC 6598).
var DefaultTransit = Transit{netip.MustParsePrefix("100.64.0.0/10")}

// transitBits is the length of the smallest transit range: 16 bits hold MaxSlot tenants
// and the kernel.
const transitBits = 16

// Address is the address under which the tenant with this slot on a host reaches its kernel.
func (t Transit) Address(slot uint32) netip.Addr {
	base := t.Prefix.Addr().As4()
	return netip.AddrFrom4([4]byte{base[0], base[1] | byte(slot>>16), base[2] | byte(slot>>8), base[3] | byte(slot)})
}

// Slot is the slot whose tenant has the address.
func (t Transit) Slot(a netip.Addr) (slot uint32, ok bool) {
	if !a.Is4() || !t.Contains(a) {
		return 0, false
	}
	base, address := t.Prefix.Addr().As4(), a.As4()
	slot = binary.BigEndian.Uint32(address[:]) - binary.BigEndian.Uint32(base[:])
	return slot, slot >= 1 && slot <= MaxSlot
}

// Kernel is the kernel's own address on the gateway port: the range's last but one.
func (t Transit) Kernel() netip.Addr {
	return t.Address(1<<(32-t.Bits()) - 2)
}

// ValidateTransit refuses what cannot be a cluster's transit range.
func ValidateTransit(p netip.Prefix) error {
	switch {
	case !p.IsValid() || !p.Addr().Is4():
		return fmt.Errorf("transit range %s is not an IPv4 prefix such as %s", p, DefaultTransit)
	case p.Masked() != p:
		return fmt.Errorf("transit range %s has bits beyond its length: did you mean %s?", p, p.Masked())
	case p.Bits() < 8:
		return fmt.Errorf("transit range %s is larger than any that is one's own: its length may be 8 at least", p)
	case p.Bits() > transitBits:
		return fmt.Errorf("transit range %s has no room for %d tenants: its length may be %d at most", p, MaxSlot, transitBits)
	}
	for _, o := range forbidden {
		if p.Overlaps(o.Prefix) {
			return fmt.Errorf("transit range %s overlaps %s, %s", p, o.Prefix, o.By)
		}
	}
	return nil
}

// ProposeTransit sets the cluster's transit range. It is refused while there are tenants: their
// connections, and the routes of all gateway hosts, are made of its addresses. The state has the
// settings and the tenants.
func ProposeTransit(s *State, p netip.Prefix) (Proposal, error) {
	if err := ValidateTransit(p); err != nil {
		return Proposal{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if s.Transit().Prefix == p {
		return Proposal{}, nil
	}
	inUse := func(tenants []string, more int64) error {
		return fmt.Errorf("%w: %d tenants have addresses in %s: delete them first, or leave it",
			ErrInUse, int64(len(tenants))+more, s.Transit())
	}
	if tenants, _, _, _ := s.Counts(); tenants > 0 {
		return Proposal{}, inUse(nil, int64(tenants))
	}
	settings, _ := s.Settings()
	settings.Transit = p
	return Proposal{
		Writes: []Event{{Key: SettingsKey(), Object: &settings}},
		Presumes: []Presumption{
			s.settingsUnchanged(),
			{Condition: NoneUnder, Path: Under(KindTenant), InUse: inUse},
		},
	}, nil
}

// settingsUnchanged holds while the settings are those that the state has.
func (s *State) settingsUnchanged() Presumption {
	p := Presumption{Condition: Unchanged, Path: SettingsKey().String()}
	if i := s.settings.items[SettingsKey().Name]; i != nil {
		p.Revision = i.Modified
	}
	return p
}
