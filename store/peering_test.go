package store

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// peered is a small state at revision 30: alice and bob with networks web and db each, carol with one; bob agreed
// with alice and with carol, alice with nobody.
func peered(t *testing.T, more ...Event) *State {
	t.Helper()
	s := NewState()
	events := []Event{
		{Key: PeeringKey("bob", "alice"), Object: &Peering{TenantCreated: 2, PeerCreated: 1}, Created: 20, Modified: 21},
		{Key: PeeringKey("bob", "carol"), Object: &Peering{TenantCreated: 2, PeerCreated: 3}, Created: 22, Modified: 22},
		{Key: PeeringKey("carol", "bob"), Object: &Peering{TenantCreated: 3, PeerCreated: 2}, Created: 23, Modified: 23},
	}
	for i, tenant := range []string{"alice", "bob", "carol"} {
		events = append(events, Event{Key: TenantKey(tenant), Object: &Tenant{Number: uint32(i + 1)}, Created: Revision(i + 1), Modified: Revision(i + 11)},
			subnetted(tenant, "web", fmt.Sprintf("10.%d.0.0/24", i+1)), subnetted(tenant, "db", fmt.Sprintf("10.%d.1.0/24", i+1)))
	}
	s.Apply(Batch{Revision: 30, Events: append(events, more...)})
	return s
}

// subnetted is a network with subnets.
func subnetted(tenant, name string, subnets ...string) Event {
	n := &Network{Number: HostHash(tenant + name), Segmentation: SegmentationTunnel}
	for _, text := range subnets {
		p := netip.MustParsePrefix(text)
		n.Subnets = append(n.Subnets, Subnet{Prefix: p, Gateway: DefaultGateway(p)})
	}
	return Event{Key: NetworkKey(tenant, name), Object: n, Created: 9, Modified: 9}
}

// word is what a tenant says, as of a revision.
func word(tenant, peer string, created Revision, p Peering) Event {
	return Event{Key: PeeringKey(tenant, peer), Object: &p, Created: created, Modified: created}
}

func TestProposePeering(t *testing.T) {
	agrees := Event{Key: PeeringKey("alice", "bob"), Object: &Peering{TenantCreated: 1, PeerCreated: 2, Networks: []string{"web"}, By: "token a"}}
	alice := Presumption{Condition: CreatedAt, Path: "/sluice/v1/tenants/alice", Revision: 1, Refusal: noSuchTenant("alice")}
	carol := Presumption{Condition: CreatedAt, Path: "/sluice/v1/tenants/carol", Revision: 3, Refusal: noSuchTenant("carol")}
	p, err := PeeringSpec{Tenant: "alice", Peer: "bob", Networks: []string{"web"}, By: "token a"}.Propose(peered(t))
	proposed(t, "one side's word", p, err, Proposal{Writes: []Event{agrees}, Presumes: []Presumption{
		{Condition: Unchanged, Path: "/sluice/v1/peerings/alice/bob"}, alice}})

	p, err = PeeringSpec{Tenant: "alice", Peer: "nobody"}.Propose(peered(t))
	proposed(t, "a word to nobody", p, err, Proposal{Writes: []Event{{Key: PeeringKey("alice", "nobody"), Object: &Peering{TenantCreated: 1}}},
		Presumes: []Presumption{{Condition: Unchanged, Path: "/sluice/v1/peerings/alice/nobody"}, alice}})

	p, err = PeeringSpec{Tenant: "alice", Peer: "carol", PeerNetworks: []string{"db"}, Both: true}.Propose(peered(t))
	proposed(t, "both sides' words", p, err, Proposal{
		Writes: []Event{{Key: PeeringKey("alice", "carol"), Object: &Peering{TenantCreated: 1, PeerCreated: 3, PeerNetworks: []string{"db"}}},
			{Key: PeeringKey("carol", "alice"), Object: &Peering{TenantCreated: 3, PeerCreated: 1, Networks: []string{"db"}}}},
		Presumes: []Presumption{{Condition: Unchanged, Path: "/sluice/v1/peerings/alice/carol"}, {Condition: Unchanged, Path: "/sluice/v1/peerings/carol/alice"}, alice, carol}})

	bob := Presumption{Condition: CreatedAt, Path: "/sluice/v1/tenants/bob", Revision: 2, Refusal: noSuchTenant("bob")}
	p, err = PeeringSpec{Tenant: "bob", Peer: "alice", Networks: []string{"db"}}.Propose(peered(t))
	proposed(t, "other networks than before", p, err, Proposal{
		Writes:   []Event{{Key: PeeringKey("bob", "alice"), Object: &Peering{TenantCreated: 2, PeerCreated: 1, Networks: []string{"db"}}}},
		Presumes: []Presumption{{Condition: Unchanged, Path: "/sluice/v1/peerings/bob/alice", Revision: 21}, bob}})
	if p, err = (PeeringSpec{Tenant: "bob", Peer: "alice", By: "another"}).Propose(peered(t)); err != nil || p.Writes != nil || p.Presumes != nil {
		t.Errorf("what is said already writes %+v, %v", p, err)
	}
	want := []string{"/sluice/v1/tenants/alice", "/sluice/v1/networks/alice/", "/sluice/v1/peerings/alice/", "/sluice/v1/tenants/bob", "/sluice/v1/networks/bob/",
		"/sluice/v1/peerings/bob/", "/sluice/v1/tenants/carol", "/sluice/v1/networks/carol/", "/sluice/v1/peerings/carol/"}
	if got := (PeeringSpec{Tenant: "alice", Peer: "bob"}).Needs([]string{"carol"}); !slices.Equal(got, want) {
		t.Errorf("it needs %q", got)
	}
}

func TestPeeringsThatAreRefused(t *testing.T) {
	many := []Event{}
	for i := range MaxPeerings {
		many = append(many, word("alice", fmt.Sprint("x", i), 25, Peering{}))
	}
	for what, test := range map[string]struct {
		spec  PeeringSpec
		state *State
		want  error
		says  string
	}{
		"itself":            {PeeringSpec{Tenant: "alice", Peer: "alice"}, peered(t), ErrInvalid, "needs none with itself"},
		"a bad name":        {PeeringSpec{Tenant: "alice", Peer: "B b"}, peered(t), ErrInvalid, "DNS label"},
		"a bad network":     {PeeringSpec{Tenant: "alice", Peer: "bob", PeerNetworks: []string{"-"}}, peered(t), ErrInvalid, "DNS label"},
		"nobody":            {PeeringSpec{Tenant: "eve", Peer: "bob"}, peered(t), ErrNotFound, `"eve"`},
		"with nobody":       {PeeringSpec{Tenant: "bob", Peer: "eve", Both: true}, peered(t), ErrNotFound, `"eve"`},
		"no network":        {PeeringSpec{Tenant: "alice", Peer: "bob", Networks: []string{"web", "app"}}, peered(t), ErrNotFound, "alice/app"},
		"no network there":  {PeeringSpec{Tenant: "alice", Peer: "bob", PeerNetworks: []string{"app"}, Both: true}, peered(t), ErrNotFound, "bob/app"},
		"too many":          {PeeringSpec{Tenant: "alice", Peer: "bob"}, peered(t, many...), ErrLimit, "1000"},
		"other networks":    {PeeringSpec{Tenant: "alice", Peer: "bob", PeerNetworks: []string{"web"}}, peered(t, word("bob", "alice", 20, Peering{TenantCreated: 2, PeerCreated: 1, Networks: []string{"db"}})), ErrInvalid, "alice names all of alice and bob/web, bob names bob/db and all of alice"},
		"overlap":           {PeeringSpec{Tenant: "alice", Peer: "bob"}, peered(t, subnetted("bob", "web", "10.1.0.0/25"), subnetted("bob", "db", "10.1.1.128/25")), ErrInvalid, "subnet 10.1.1.0/24 of network alice/db overlaps subnet 10.1.1.128/25 of network bob/db"},
		"overlap, both":     {PeeringSpec{Tenant: "alice", Peer: "carol", Both: true}, peered(t, subnetted("carol", "web", "10.1.0.0/25"), subnetted("carol", "db", "10.1.1.128/25")), ErrInvalid, "of network carol/"},
		"a third's subnets": {PeeringSpec{Tenant: "alice", Peer: "bob"}, peered(t, subnetted("alice", "web", "10.3.0.0/24"), subnetted("alice", "db", "10.3.1.0/24")), ErrInvalid, "another peering of one of the tenants"},
		"the same, of both": {PeeringSpec{Tenant: "alice", Peer: "bob", Both: true}, peered(t, subnetted("alice", "web", "10.3.0.0/24"), subnetted("alice", "db", "10.3.1.0/24")), ErrInvalid, "network carol/"},
	} {
		_, err := test.spec.Propose(test.state)
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, not %v that says %q", what, err, test.want, test.says)
		}
	}
	if _, err := (PeeringSpec{Tenant: "alice", Peer: "carol"}).Propose(peered(t, subnetted("carol", "web", "10.1.0.0/25"), subnetted("carol", "db", "10.1.1.128/25"))); err != nil {
		t.Errorf("who has not agreed is told of: %v", err)
	}
}

func TestProposeUnpeer(t *testing.T) {
	both := []Key{PeeringKey("alice", "bob"), PeeringKey("bob", "alice")}
	p, err := ProposeUnpeer(peered(t), both...)
	proposed(t, "of two words one is there", p, err, Proposal{Writes: []Event{{Key: both[1]}},
		Presumes: []Presumption{{Condition: Unchanged, Path: "/sluice/v1/peerings/bob/alice", Revision: 21}}})
	if _, err := ProposeUnpeer(peered(t), both[0]); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "tenants alice and bob") {
		t.Errorf("of no word: %v", err)
	}
}

// A tenant is deleted with its own words; those of others stay, and mean nobody from then on.
func TestDeleteOfAPeeredTenant(t *testing.T) {
	s := peered(t)
	p, err := ProposeDelete(s, TenantKey("bob"))
	if err == nil || !errors.Is(err, ErrInUse) {
		t.Errorf("with networks it is deleted: %+v, %v", p, err)
	}
	s.Apply(Batch{Revision: 31, Events: []Event{{Key: NetworkKey("bob", "web")}, {Key: NetworkKey("bob", "db")}}})
	if p, err = ProposeDelete(s, TenantKey("bob")); err != nil || !slices.Equal(p.Clears, []string{"/sluice/v1/peerings/bob/", "/sluice/v1/published/bob/"}) {
		t.Errorf("it clears %q, %v", p.Clears, err)
	}
}

// Who reaches whom, by what both say and by their subnets.
func TestCrosses(t *testing.T) {
	all, mine := Peering{TenantCreated: 1, PeerCreated: 2}, func(networks, peers []string) Peering {
		return Peering{TenantCreated: 1, PeerCreated: 2, Networks: networks, PeerNetworks: peers}
	}
	for what, test := range map[string]struct {
		word Peering
		more []Event
		want string // the pairs that reach each other
		why  string // of an obstacle
	}{
		"all":                      {word: all, want: "web-web web-db db-web db-db"},
		"one network":              {word: mine([]string{"web"}, nil), want: "web-web web-db"},
		"to one":                   {word: mine(nil, []string{"db"}), want: "web-db db-db"},
		"another tenant is meant":  {word: Peering{TenantCreated: 1, PeerCreated: 5}},
		"it was another's":         {word: Peering{TenantCreated: 7, PeerCreated: 2}},
		"the other names one":      {word: all, more: []Event{word("bob", "alice", 20, Peering{TenantCreated: 2, PeerCreated: 1, Networks: []string{"db"}, PeerNetworks: []string{"web"}})}, want: "web-db"},
		"a subnet of both":         {word: all, more: []Event{subnetted("bob", "db", "10.1.1.0/24")}, want: "web-web", why: "subnet 10.1.1.0/24 of network alice/db overlaps subnet 10.1.1.0/24 of network bob/db"},
		"the other has it besides": {word: mine([]string{"web"}, nil), more: []Event{subnetted("bob", "own", "10.1.0.0/16")}, why: "overlaps"},
		"no family in common":      {word: mine([]string{"web"}, []string{"db"}), more: []Event{subnetted("bob", "db", "fd00::/64")}, why: "no address family in common"},
		"one family in common":     {word: mine([]string{"web"}, []string{"db"}), more: []Event{subnetted("bob", "db", "fd00::/64", "10.2.9.0/24")}, want: "web-db"},
		"a third that came before": {word: all, more: []Event{subnetted("carol", "db", "10.1.0.0/28")}, want: "db-web db-db", why: "which network bob/web is peered with longer"},
		"a third with other networks": {word: all, more: []Event{subnetted("carol", "db", "10.1.0.0/28"), word("bob", "carol", 22, Peering{TenantCreated: 2, PeerCreated: 3, PeerNetworks: []string{"web"}})},
			want: "web-web web-db db-web db-db"},
	} {
		s := peered(t, append(test.more, word("alice", "bob", 25, test.word))...)
		var got []string
		for _, from := range []string{"web", "db"} {
			for _, to := range []string{"web", "db"} {
				there := s.Crosses(NetworkName{"alice", from}, NetworkName{"bob", to})
				if back := s.Crosses(NetworkName{"bob", to}, NetworkName{"alice", from}); back != there {
					t.Errorf("%s: %s and %s: there %v, back %v", what, from, to, there, back)
				}
				if there {
					got = append(got, from+"-"+to)
				}
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %v reach each other, want %s", what, got, test.want)
		}
		obstacles, pairs, _ := s.Obstacles("alice", "bob")
		if pairs != len(got) || (len(obstacles) > 0) != (test.why != "") || test.why != "" && !strings.Contains(fmt.Sprint(obstacles), test.why) {
			t.Errorf("%s: %d pairs, in the way is %+v", what, pairs, obstacles)
		}
	}
}

// Three in a row do not become one: of what a tenant agreed with its peer nothing follows for the peer's peers.
func TestPeeringIsNotTransitive(t *testing.T) {
	s := peered(t, word("alice", "bob", 25, Peering{TenantCreated: 1, PeerCreated: 2}))
	if got := s.PeersOf("alice"); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("alice is peered with %v", got)
	}
	if got := s.PeersOf("bob"); !slices.Equal(got, []string{"alice", "carol"}) {
		t.Errorf("bob is peered with %v", got)
	}
	if s.Crosses(NetworkName{"alice", "web"}, NetworkName{"carol", "web"}) {
		t.Error("alice reaches carol by bob")
	}
}

// Of two agreements that are in each other's way the older one stands, whichever way it is looked at.
func TestOlderPeeringStands(t *testing.T) {
	s := peered(t, subnetted("carol", "web", "10.1.0.0/24"), word("alice", "bob", 25, Peering{TenantCreated: 1, PeerCreated: 2}))
	if s.Crosses(NetworkName{"bob", "web"}, NetworkName{"alice", "web"}) || !s.Crosses(NetworkName{"bob", "web"}, NetworkName{"carol", "web"}) {
		t.Error("the younger agreement stands, or the older does not")
	}
	s.Apply(Batch{Revision: 31, Events: []Event{{Key: PeeringKey("carol", "bob")}, word("carol", "bob", 31, Peering{TenantCreated: 3, PeerCreated: 2})}})
	if !s.Crosses(NetworkName{"bob", "web"}, NetworkName{"alice", "web"}) || s.Crosses(NetworkName{"bob", "web"}, NetworkName{"carol", "web"}) {
		t.Error("an agreement that was made anew is still the older one")
	}
	if got := s.PeersNear("carol"); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("near carol are %v", got)
	}
}
