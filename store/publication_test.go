package store

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// publishing is a small state at revision 30: alice and bob leave by h1, carol by h2, dave by no host yet; each has a port web, and bob
// publishes it on tcp 9000 to 9009.
func publishing(more ...Event) *State {
	s := NewState()
	events := []Event{
		{Key: HostKey("h1"), Object: &Host{Gateway: true, Listens: []Endpoint{{ProtocolTCP, 22}, {ProtocolUDP, 53}}}, Created: 5, Modified: 5},
		{Key: HostKey("h2"), Object: &Host{Gateway: true}, Created: 6, Modified: 6},
		{Key: PublicationKey("bob", "tcp-9000-9009"), Object: &Publication{TenantCreated: 2, Network: "web", Port: "web", Protocol: ProtocolTCP, First: 90, On: 9000, Count: 10},
			Created: 20, Modified: 20},
	}
	for i, tenant := range []string{"alice", "bob", "carol", "dave"} {
		port := &Port{Number: uint32(i + 1), Addresses: []netip.Prefix{netip.MustParsePrefix("fd00::5/64"), netip.MustParsePrefix("10.0.0.5/24")}}
		events = append(events, Event{Key: TenantKey(tenant), Object: &Tenant{Number: uint32(i + 1)}, Created: Revision(i + 1), Modified: Revision(i + 11)},
			subnetted(tenant, "web", "10.0.0.0/24"), Event{Key: PortKey("h3", tenant, "web", "web"), Object: port, Created: 10, Modified: 10})
		if host := []string{"h1", "h1", "h2", ""}[i]; host != "" {
			events = append(events, Event{Key: GatewayKey(tenant), Object: &Gateway{Active: host}, Created: 11, Modified: 11})
		}
	}
	s.Apply(Batch{Revision: 30, Events: append(events, more...)})
	return s
}

func published(tenant string, on uint16) PublicationSpec {
	return PublicationSpec{Tenant: tenant, Network: "web", Port: "web", Protocol: ProtocolTCP, First: 80, On: on, Count: 1, Everybody: true}
}

func TestProposePublication(t *testing.T) {
	spec := published("alice", 8080)
	spec.KeepSource, spec.By = true, "local"
	p, err := spec.Propose(publishing())
	proposed(t, "a publication", p, err, Proposal{
		Writes: []Event{{Key: PublicationKey("alice", "tcp-8080"), Object: &Publication{TenantCreated: 1, Network: "web", Port: "web", Protocol: ProtocolTCP,
			First: 80, On: 8080, Count: 1, KeepSource: true, By: "local"}}},
		Presumes: []Presumption{{Condition: Absent, Path: "/sluice/v1/published/alice/tcp-8080"},
			{Condition: CreatedAt, Path: "/sluice/v1/tenants/alice", Revision: 1, Refusal: noSuchTenant("alice")},
			{Condition: NothingNewUnder, Path: "/sluice/v1/published/", Revision: 30}},
	})
	again := published("bob", 9000)
	again.First, again.Count, again.By = 90, 10, "another"
	if p, err := again.Propose(publishing()); err != nil || p.Writes != nil {
		t.Errorf("what is there already writes %+v, %v", p, err)
	}
	for name, s := range map[string]PublicationSpec{
		"the same port of another protocol": {Tenant: "alice", Network: "web", Port: "web", Protocol: ProtocolUDP, First: 9000, On: 9000, Count: 1},
		"the same port of another host":     published("carol", 9000),
		"without a gateway host yet":        published("dave", 9000),
		"on what another host listens on":   published("carol", 22),
	} {
		if p, err := s.Propose(publishing()); err != nil || len(p.Writes) != 1 {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	needs := published("alice", 9000).Needs(publishing())
	for _, path := range []string{"/sluice/v1/published/", "/sluice/v1/tenants/alice", "/sluice/v1/gateways/bob", "/sluice/v1/tenants/bob", "/sluice/v1/hosts/h1", "/sluice/v1/ports/h3/alice/web/web"} {
		if !slices.Contains(needs, path) {
			t.Errorf("it does not read %s", path)
		}
	}
}

func TestPublicationsThatAreRefused(t *testing.T) {
	many := Event{Key: PublicationKey("alice", "tcp-1000-1998"), Object: &Publication{TenantCreated: 1, Network: "web", Port: "web", Protocol: ProtocolTCP, First: 1, On: 1000, Count: 999},
		Created: 21, Modified: 21}
	six := Event{Key: PortKey("h3", "alice", "web", "six"), Object: &Port{Number: 9, MAC: MAC{2, 5: 9}, Addresses: []netip.Prefix{netip.MustParsePrefix("fd00::9/64")}}, Created: 12, Modified: 12}
	for _, tc := range []struct {
		name   string
		change func(*PublicationSpec)
		more   []Event
		is     error
		says   string
	}{
		{"no such tenant", func(s *PublicationSpec) { s.Tenant = "eve" }, nil, ErrNotFound, "no such tenant"},
		{"no such port", func(s *PublicationSpec) { s.Port = "nosuch" }, nil, ErrNotFound, "port alice/web/nosuch is not there"},
		{"another's port", func(s *PublicationSpec) { s.Tenant, s.Network = "alice", "bobs" }, nil, ErrNotFound, "port alice/bobs/web is not there"},
		{"no IPv4 address", func(s *PublicationSpec) { s.Port = "six" }, []Event{six}, ErrNotFound, "has no IPv4 address"},
		{"another tenant's, which may be told", func(s *PublicationSpec) { s.On = 9009 }, nil, ErrTaken, "tcp 9009 of host h1 is published by bob/tcp-9000-9009 longer"},
		{"another tenant's", func(s *PublicationSpec) { s.On, s.Everybody = 9009, false }, nil, ErrTaken, "tcp 9009 of host h1 is published by another tenant longer"},
		{"a range that meets another tenant's", func(s *PublicationSpec) { s.On, s.Count = 8995, 6 }, nil, ErrTaken, "tcp 9000 of host h1"},
		{"what the host listens on", func(s *PublicationSpec) { s.On = 22 }, nil, ErrTaken, "host h1 itself listens on tcp 22"},
		{"tunnels' port", func(s *PublicationSpec) { s.Protocol, s.On = ProtocolUDP, 4789 }, nil, ErrInvalid, "udp 4789 of each host is for the tunnels"},
		{"its own, elsewhere", func(s *PublicationSpec) { s.Tenant, s.On = "bob", 9005 }, nil, ErrTaken, "bob/tcp-9000-9009 has a port or the route of it, and leads to tcp 90-99 of port bob/web/web"},
		{"its own, of that name", func(s *PublicationSpec) { s.Tenant, s.On, s.Count = "bob", 9000, 10 }, nil, ErrExists, "leads to tcp 90-99 of port bob/web/web: unpublish it first"},
		{"too many", func(s *PublicationSpec) { s.Count = 2 }, []Event{many}, ErrLimit, "would have 1001 ports of hosts, and may have 1000"},
		{"too long", func(s *PublicationSpec) { s.Count = MaxPublishedPorts + 1 }, nil, ErrInvalid, "may have 1 to 1000"},
		{"none", func(s *PublicationSpec) { s.Count = 0 }, nil, ErrInvalid, "may have 1 to 1000"},
		{"port 0", func(s *PublicationSpec) { s.On = 0 }, nil, ErrInvalid, "between 1 and 65535"},
		{"beyond the last port", func(s *PublicationSpec) { s.First, s.Count = 65535, 2 }, nil, ErrInvalid, "between 1 and 65535"},
		{"another protocol", func(s *PublicationSpec) { s.Protocol = "sctp" }, nil, ErrInvalid, `"sctp" is neither tcp nor udp`},
		{"no name", func(s *PublicationSpec) { s.Port = "../a" }, nil, ErrInvalid, "not a DNS label"},
	} {
		spec := published("alice", 8080)
		tc.change(&spec)
		if _, err := spec.Propose(publishing(tc.more...)); !errors.Is(err, tc.is) || !strings.Contains(fmt.Sprint(err), tc.says) {
			t.Errorf("%s: %v, want %v with %q", tc.name, err, tc.is, tc.says)
		}
	}
}

// Where two publications ask for one port of a host the older one has it, also where a gateway brought them together.
func TestWhereAPublicationIs(t *testing.T) {
	at := func(tenant, name string, created Revision, p Publication) Event {
		return Event{Key: PublicationKey(tenant, name), Object: &p, Created: created, Modified: created}
	}
	web := Publication{Network: "web", Port: "web", Protocol: ProtocolTCP, First: 80, On: 9000, Count: 1}
	of := func(created Revision) Publication { p := web; p.TenantCreated = created; return p }
	for _, tc := range []struct {
		name, tenant, publication string
		more                      []Event
		host, why                 string
	}{
		{"nothing is in its way", "bob", "tcp-9000-9009", nil, "h1", ""},
		{"on another host", "carol", "w", []Event{at("carol", "w", 25, of(3))}, "h2", ""},
		{"a gateway came to a host where an older one is", "carol", "w", []Event{at("carol", "w", 25, of(3)),
			{Key: GatewayKey("carol"), Object: &Gateway{Active: "h1"}, Created: 11, Modified: 29}}, "h1", "tcp 9000 of host h1 is published by bob/tcp-9000-9009 longer"},
		{"the older one is not hindered", "bob", "tcp-9000-9009", []Event{at("alice", "w", 25, of(1))}, "h1", ""},
		{"the older one is of an earlier tenant", "alice", "w", []Event{at("alice", "w", 25, of(1)), at("bob", "tcp-9000-9009", 20, of(1))}, "h1", ""},
		{"no gateway host", "dave", "w", []Event{at("dave", "w", 25, of(4))}, "", "has no gateway host yet"},
		{"of an earlier tenant", "alice", "w", []Event{at("alice", "w", 25, of(9))}, "h1", "an earlier tenant alice published it"},
		{"written with its tenant", "alice", "w", []Event{at("alice", "w", 1, of(1))}, "h1", "written together with its tenant"},
		{"two of one tenant", "alice", "w", []Event{at("alice", "w", 25, of(1)), at("alice", "v", 24, of(1))}, "h1", "v of its tenant comes before it and has a port of its"},
		{"a flaw", "alice", "w", []Event{at("alice", "w", 25, Publication{TenantCreated: 1, Protocol: "x"})}, "h1", "neither tcp nor udp"},
	} {
		s := publishing(tc.more...)
		host, why := s.PublishedAt(s.Publication(tc.tenant, tc.publication))
		if text := why.Words(func(string) bool { return true }); host != tc.host || !strings.Contains(text, tc.why) || tc.why == "" && text != "" {
			t.Errorf("%s: on %q, %q, want on %q, %q", tc.name, host, text, tc.host, tc.why)
		}
	}
}

// The port that is reached is whoever has the name, wherever.
func TestPublishedPort(t *testing.T) {
	s := publishing(Event{Key: PortKey("h9", "bob", "web", "web"), Object: &Port{Number: 77}, Created: 29, Modified: 29})
	if p, a, why := s.PublishedPort(s.Publication("bob", "tcp-9000-9009")); why != "" || p.Key.Host != "h3" || a != netip.MustParseAddr("10.0.0.5") {
		t.Errorf("%v, %s, %q", p, a, why)
	}
	s.Apply(Batch{Revision: 31, Events: []Event{{Key: PortKey("h3", "bob", "web", "web")}, {Key: PortKey("h9", "bob", "web", "web")}}})
	if p, _, why := s.PublishedPort(s.Publication("bob", "tcp-9000-9009")); p != nil || !strings.Contains(why, "port bob/web/web is not there") {
		t.Errorf("%v, %q", p, why)
	}
}

func TestParsePortRange(t *testing.T) {
	for text, want := range map[string][2]uint16{"80": {80, 1}, "8000-8009": {8000, 10}, "65535": {65535, 1}, "7-7": {7, 1}, "1-1000": {1, 1000}} {
		if first, count, err := ParsePortRange(text); err != nil || first != want[0] || count != want[1] || PortRange(first, count) != strings.TrimSuffix(text, "-7") {
			t.Errorf("%s: %d, %d, %v", text, first, count, err)
		}
	}
	for _, text := range []string{"", "0", "65536", "a", "-", "80-", "-80", "80-79", "1-1001", "80-81-82", "+80", " 80"} {
		if first, count, err := ParsePortRange(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q is read as %d, %d, %v", text, first, count, err)
		}
	}
}

// What is read as ports of hosts is written as it was meant.
func FuzzParsePortRange(f *testing.F) {
	for _, text := range []string{"80", "8000-8009", "1-1000", "0", "65535-65535", "9-8"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, count, err := ParsePortRange(text)
		if err != nil {
			return
		}
		again, same, err := ParsePortRange(PortRange(first, count))
		if err != nil || again != first || same != count || count < 1 || int(first)+int(count) > 1<<16 {
			t.Errorf("%q is read as %d ports from %d on, and that again as %d from %d: %v", text, count, first, same, again, err)
		}
	})
}

func FuzzEndpoint(f *testing.F) {
	f.Add("tcp 22")
	f.Add("udp 0")
	f.Add("tcp 70000")
	f.Fuzz(func(t *testing.T, text string) {
		var e, again Endpoint
		if e.UnmarshalText([]byte(text)) != nil {
			return
		}
		if b, _ := e.MarshalText(); again.UnmarshalText(b) != nil || again != e {
			t.Errorf("%q is read as %q, and that as %q", text, e, again)
		}
	})
}
