package store

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func ranges(texts ...string) (list []AddressRange) {
	for _, text := range texts {
		r, err := ParseAddressRange(text)
		if err != nil {
			panic(err)
		}
		list = append(list, r)
	}
	return list
}

// afloat is publishing where addresses may float, which uplinks of h1 can have, and bob is on one of them.
func afloat(more ...Event) *State {
	uplink := []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	return publishing(append([]Event{
		{Key: SettingsKey(), Object: &Settings{Floating: ranges("203.0.113.50-203.0.113.69", "198.51.100.7")}, Created: 7, Modified: 8},
		{Key: SchemaKey(), Object: &Schema{Least: 2}, Created: 2, Modified: 3},
		{Key: HostKey("h1"), Object: &Host{Gateway: true, Listens: []Endpoint{{ProtocolTCP, 22}}, Subnets: uplink}, Created: 5, Modified: 9},
		{Key: HostKey("h9"), Object: &Host{Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.60")}, VTEPs: []netip.Addr{netip.MustParseAddr("203.0.113.61")}}, Created: 6, Modified: 9},
		{Key: LiveControllerKey("c1"), Object: &LiveController{Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.62")}}, Created: 6, Modified: 9},
		{Key: PublicationKey("bob", "tcp-80"), Object: &Publication{TenantCreated: 2, Network: "web", Port: "web", Protocol: ProtocolTCP, First: 80, On: 80, Count: 1,
			Address: netip.MustParseAddr("203.0.113.55")}, Created: 21, Modified: 21},
	}, more...)...)
}

func floatingAt(tenant, address string, on uint16) PublicationSpec {
	spec := published(tenant, on)
	spec.Address = netip.MustParseAddr(address)
	return spec
}

func TestPublishOnAFloatingAddress(t *testing.T) {
	spec := floatingAt("alice", "203.0.113.50", 8080)
	p, err := spec.Propose(afloat())
	proposed(t, "a publication", p, err, Proposal{
		Writes: []Event{{Key: PublicationKey("alice", "tcp-8080"), Object: &Publication{TenantCreated: 1, Network: "web", Port: "web", Protocol: ProtocolTCP,
			First: 80, On: 8080, Count: 1, Address: netip.MustParseAddr("203.0.113.50")}}},
		Presumes: []Presumption{{Condition: Absent, Path: "/sluice/v1/published/alice/tcp-8080"},
			{Condition: CreatedAt, Path: "/sluice/v1/tenants/alice", Revision: 1, Refusal: noSuchTenant("alice")},
			{Condition: NothingNewUnder, Path: "/sluice/v1/published/", Revision: 30},
			{Condition: Unchanged, Path: "/sluice/v1/settings/cluster", Revision: 8}},
	})
	for name, s := range map[string]PublicationSpec{
		"what the host listens on":                     floatingAt("alice", "203.0.113.50", 22),
		"a port that another has of the host":          floatingAt("alice", "203.0.113.50", 9000),
		"a port that another has on another address":   floatingAt("alice", "203.0.113.69", 80),
		"its own address":                              floatingAt("bob", "203.0.113.55", 81),
		"without a gateway host":                       floatingAt("dave", "198.51.100.7", 81),
		"the host's own address, as before":            published("alice", 80),
		"a port of the host that another has floating": published("alice", 81),
	} {
		if p, err := s.Propose(afloat()); err != nil || len(p.Writes) != 1 {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	needs := floatingAt("alice", "203.0.113.55", 9001).Needs(afloat())
	for _, path := range []string{"/sluice/v1/settings/cluster", "/sluice/v1/hosts/", "/sluice/v1/live/controllers/", "/sluice/v1/tenants/bob"} {
		if !slices.Contains(needs, path) {
			t.Errorf("it does not read %s", path)
		}
	}
	if slices.Contains(published("alice", 80).Needs(afloat()), "/sluice/v1/hosts/") {
		t.Error("all hosts are read for what is on the host's own address")
	}
}

func TestFloatingAddressesThatAreRefused(t *testing.T) {
	many := []Event{}
	for i := range MaxFloating {
		p := &Publication{TenantCreated: 1, Network: "web", Port: "web", Protocol: ProtocolTCP, First: 80, On: uint16(100 + i), Count: 1, Address: netip.AddrFrom4([4]byte{203, 0, 113, byte(51 + i)})}
		if i >= 4 {
			p.Address = netip.AddrFrom4([4]byte{203, 0, 113, byte(60 + i)}) // bob has 55
		}
		many = append(many, Event{Key: PublicationKey("alice", fmt.Sprint("w", i)), Object: p, Created: 25, Modified: 25})
	}
	for _, tc := range []struct {
		name string
		spec PublicationSpec
		more []Event
		is   error
		says string
	}{
		{"none that floats", floatingAt("alice", "203.0.113.70", 80), nil, ErrTaken, "203.0.113.70 may not float: publish on one of 203.0.113.50-203.0.113.69, 198.51.100.7"},
		{"before the first", floatingAt("alice", "203.0.113.49", 80), nil, ErrTaken, "may not float"},
		{"another's", floatingAt("alice", "203.0.113.55", 81), nil, ErrTaken, "203.0.113.55 is bob/tcp-80's for longer"},
		{"a host's", floatingAt("alice", "203.0.113.60", 80), nil, ErrTaken, "203.0.113.60 is an address of host h9 itself"},
		{"a host's tunnel address", floatingAt("alice", "203.0.113.61", 80), nil, ErrTaken, "of host h9 itself"},
		{"a controller's", floatingAt("alice", "203.0.113.62", 80), nil, ErrTaken, "of controller c1 itself"},
		{"in no subnet of the gateway host", floatingAt("alice", "198.51.100.7", 80), nil, ErrTaken, "no uplink of gateway host h1 is in a subnet with 198.51.100.7"},
		{"at a host that tells no subnets", floatingAt("carol", "203.0.113.50", 80), nil, ErrTaken, "no uplink of gateway host h2"},
		{"without a gateway host, another's", floatingAt("dave", "203.0.113.55", 80), nil, ErrTaken, "is bob/tcp-80's"},
		{"no IPv4", floatingAt("alice", "2001:db8::1", 80), nil, ErrInvalid, "2001:db8::1 is no IPv4 address"},
		{"its own port, on another address", floatingAt("bob", "203.0.113.56", 80), nil, ErrExists, "leads to tcp 80 of port bob/web/web, from 203.0.113.55: unpublish it first"},
		{"its own port, on the host", floatingAt("bob", "203.0.113.56", 9001), nil, ErrTaken, "bob/tcp-9000-9009 has a port"},
		{"the tunnels'", func() PublicationSpec {
			s := floatingAt("alice", "203.0.113.50", 4789)
			s.Protocol = ProtocolUDP
			return s
		}(), nil, ErrInvalid, "tunnels"},
		{"too many", floatingAt("alice", "203.0.113.50", 80), many, ErrLimit, "would have 9 floating addresses, and may have 8"},
	} {
		if _, err := tc.spec.Propose(afloat(tc.more...)); !errors.Is(err, tc.is) || !strings.Contains(fmt.Sprint(err), tc.says) {
			t.Errorf("%s: %v, want %v with %q", tc.name, err, tc.is, tc.says)
		}
	}
	hidden := floatingAt("alice", "203.0.113.55", 81)
	hidden.Everybody = false
	if _, err := hidden.Propose(afloat()); !errors.Is(err, ErrTaken) || strings.Contains(err.Error(), "bob") {
		t.Errorf("a tenant is told of another: %v", err)
	}
	one := floatingAt("alice", "203.0.113.51", 80) // one that it has is no further one
	if p, err := one.Propose(afloat(many...)); err != nil || len(p.Writes) != 1 {
		t.Errorf("on an address that it has: %+v, %v", p, err)
	}
	route := floatingAt("alice", "203.0.113.50", 80)
	route.Route = NewRoute("a.example", "")
	if err := route.Validate(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "route is on no address") {
		t.Errorf("a route on an address: %v", err)
	}
}

// What was let in before is not when the address is another's, a machine's, or none that floats; and a program of the host, or a publication on the host's own address,
// is no hindrance.
func TestWhereAFloatingAddressIs(t *testing.T) {
	at := func(tenant string, created Revision, of Revision, address string, on uint16) Event {
		return Event{Key: PublicationKey(tenant, "w"), Created: created, Modified: created, Object: &Publication{TenantCreated: of, Network: "web", Port: "web", Protocol: ProtocolTCP,
			First: 80, On: on, Count: 1, Address: netip.MustParseAddr(address)}}
	}
	for _, tc := range []struct {
		name, tenant, why string
		more              []Event
		has               bool
	}{
		{"nothing is in its way", "alice", "", []Event{at("alice", 25, 1, "203.0.113.50", 22)}, true},
		{"another tenant is on it for longer", "alice", "203.0.113.55 is bob/tcp-80's for longer", []Event{at("alice", 25, 1, "203.0.113.55", 81)}, false},
		{"another tenant is on it later", "alice", "", []Event{at("alice", 12, 1, "203.0.113.55", 81)}, true},
		{"whoever is on it is of an earlier tenant", "alice", "", []Event{at("alice", 25, 1, "203.0.113.50", 81), at("bob", 13, 1, "203.0.113.50", 81)}, true},
		{"it floats no more", "alice", "may not float", []Event{at("alice", 25, 1, "203.0.113.99", 81)}, false},
		{"nothing floats", "alice", "there are none", []Event{at("alice", 25, 1, "203.0.113.50", 81), {Key: SettingsKey(), Object: &Settings{}, Created: 7, Modified: 26}}, false},
		{"the gateway is where no uplink has it", "carol", "no uplink of gateway host h2", []Event{at("carol", 25, 3, "203.0.113.50", 81)}, true},
	} {
		s := afloat(tc.more...)
		p := s.Publication(tc.tenant, "w")
		_, why := s.PublishedAt(p)
		if text := why.Words(func(string) bool { return true }); !strings.Contains(text, tc.why) || tc.why == "" && text != "" {
			t.Errorf("%s: %q, want %q", tc.name, text, tc.why)
		}
		if s.HasFloating(p) != tc.has {
			t.Errorf("%s: it has the address: %t", tc.name, !tc.has)
		}
	}
}

func TestProposeFloating(t *testing.T) {
	s := afloat()
	p, err := FloatingSpec{ranges("203.0.113.55", "192.0.2.0/28")}.Propose(s)
	settings := &Settings{Floating: ranges("203.0.113.55", "192.0.2.0-192.0.2.15")}
	proposed(t, "others", p, err, Proposal{
		Writes: []Event{{Key: SettingsKey(), Object: settings}},
		Presumes: []Presumption{{Condition: Unchanged, Path: "/sluice/v1/settings/cluster", Revision: 8}, {Condition: Unchanged, Path: "/sluice/v1/schema/cluster", Revision: 3},
			{Condition: NothingNewUnder, Path: "/sluice/v1/published/", Revision: 30}},
	})
	p, err = FloatingSpec{ranges("203.0.113.50-203.0.113.69", "198.51.100.7")}.Propose(s)
	proposed(t, "the same", p, err, Proposal{})
	many := make([]AddressRange, MaxFloatingRanges+1)
	for i := range many {
		a := netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
		many[i] = AddressRange{a, a}
	}
	for _, tc := range []struct {
		name   string
		ranges []AddressRange
		is     error
		says   string
	}{
		{"less than is used", ranges("203.0.113.50-203.0.113.54", "203.0.113.56-203.0.113.69"), ErrInUse, "203.0.113.55 is published by bob/tcp-80"},
		{"none", nil, ErrInUse, "203.0.113.55 is published by bob/tcp-80"},
		{"IPv6", ranges("2001:db8::1"), ErrInvalid, "no range of IPv4 addresses"},
		{"loopback", ranges("127.0.0.5"), ErrInvalid, "loopback"},
		{"around multicast", ranges("200.0.0.0-230.0.0.0"), ErrInvalid, "multicast"},
		{"transit addresses", ranges("100.64.0.0/24"), ErrInvalid, "the transit range"},
		{"twice", ranges("203.0.113.50-203.0.113.59", "203.0.113.59-203.0.113.60"), ErrInvalid, "have addresses in common"},
		{"one in another", ranges("203.0.113.55", "203.0.113.50-203.0.113.59"), ErrInvalid, "have addresses in common"},
		{"too many", many, ErrInvalid, "65 ranges: give 64 at most"},
	} {
		if _, err := (FloatingSpec{tc.ranges}).Propose(s); !errors.Is(err, tc.is) || !strings.Contains(fmt.Sprint(err), tc.says) {
			t.Errorf("%s: %v, want %v with %q", tc.name, err, tc.is, tc.says)
		}
	}
	if err := (FloatingSpec{many[:MaxFloatingRanges]}).Validate(); err != nil {
		t.Error(err)
	}
}

// Older programs may write the store until the operator says otherwise: no address floats before that. That none floats may be said all the time.
func TestNothingFloatsForOlderPrograms(t *testing.T) {
	for _, old := range []Event{{Key: SchemaKey()}, {Key: SchemaKey(), Object: &Schema{Least: 1}, Created: 2, Modified: 29}} {
		s := afloat(old, Event{Key: PublicationKey("bob", "tcp-80")})
		if _, err := (FloatingSpec{ranges("203.0.113.55")}).Propose(s); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "`sluice schema set 2` first") {
			t.Errorf("%+v: %v", old.Object, err)
		}
		if p, err := (FloatingSpec{}).Propose(s); err != nil || len(p.Writes) != 1 {
			t.Errorf("%+v: that none floats proposes %+v, %v", old.Object, p, err)
		}
	}
}
