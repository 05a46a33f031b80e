package store

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJoinPublications(t *testing.T) {
	tcp := func(on, first, count uint16) PortPublication { return PortPublication{ProtocolTCP, first, on, count} }
	for _, c := range []struct{ list, want []PortPublication }{
		{nil, nil},
		{[]PortPublication{tcp(8080, 80, 1)}, []PortPublication{tcp(8080, 80, 1)}},
		{[]PortPublication{tcp(8082, 82, 2), tcp(8081, 81, 1), tcp(8080, 80, 1), tcp(8080, 80, 1)}, []PortPublication{tcp(8080, 80, 4)}},
		{[]PortPublication{tcp(8080, 80, 1), tcp(8081, 90, 1)}, []PortPublication{tcp(8080, 80, 1), tcp(8081, 90, 1)}},
		{[]PortPublication{tcp(8080, 80, 1), {ProtocolUDP, 81, 8081, 1}}, []PortPublication{tcp(8080, 80, 1), {ProtocolUDP, 81, 8081, 1}}},
		{[]PortPublication{tcp(8080, 80, 1), tcp(8082, 82, 1)}, []PortPublication{tcp(8080, 80, 1), tcp(8082, 82, 1)}},
	} {
		given := slices.Clone(c.list)
		if diff := cmp.Diff(c.want, JoinPublications(c.list)); diff != "" || !slices.Equal(given, c.list) {
			t.Errorf("%v: -want +got\n%s", c.list, diff)
		}
	}
	if text := tcp(8000, 80, 10).String(); text != "8000-8009:80-89/tcp" {
		t.Errorf("people read %s", text)
	}
}

func TestPublishOfANewPort(t *testing.T) {
	for _, c := range []struct {
		publish []PortPublication
		says    string
	}{
		{[]PortPublication{{ProtocolTCP, 80, 80, 128}}, ""},
		{[]PortPublication{{ProtocolTCP, 80, 80, 1}, {ProtocolUDP, 80, 80, 1}}, ""},
		{[]PortPublication{{ProtocolTCP, 80, 80, 128}, {ProtocolUDP, 1, 1, 1}}, "it publishes 129 ports, and a port may publish 128"},
		{[]PortPublication{{ProtocolTCP, 80, 80, 2}, {ProtocolTCP, 90, 81, 1}}, "published 81:90/tcp: 80-81:80-81/tcp asks for the same port"},
		{[]PortPublication{{ProtocolUDP, 80, 4789, 1}}, "is for the tunnels"},
		{[]PortPublication{{"sctp", 80, 80, 1}}, "neither tcp nor udp"},
		{[]PortPublication{{ProtocolTCP, 0, 80, 1}}, "between 1 and 65535"},
	} {
		err := PortSpec{Name: "web", UID: "abcdefghijkl", Publish: c.publish}.Validate()
		if (err == nil) != (c.says == "") || err != nil && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%v: %v, want %q", c.publish, err, c.says)
		}
	}
}

// web of alice on a host publishes what is said, under a uid.
func webOf(host, uid string, created Revision, publish ...PortPublication) Event {
	return Event{Key: PortKey(host, "alice", "default", "web"), Created: created, Modified: created,
		Object: &Port{UID: uid, Number: uint32(created) + 1000, MAC: MAC{2, 5: byte(created)}, Publish: publish,
			Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.9/24")}}}
}

// What a port publishes itself is let in as the tenant's own is, which comes before it. It goes with the port.
func TestPublishedByPort(t *testing.T) {
	on8080, on8443 := PortPublication{ProtocolTCP, 80, 8080, 1}, PortPublication{ProtocolTCP, 443, 8443, 1}
	const first, second = "tcp-8080-of-aaaaaaaaaaaa", "tcp-8443-of-aaaaaaaaaaaa"
	own := Event{Key: PublicationKey("alice", "tcp-8080"), Created: 90, Modified: 90,
		Object: &Publication{TenantCreated: 1, Network: "default", Port: "other", Protocol: ProtocolTCP, First: 81, On: 8080, Count: 1}}
	for _, c := range []struct {
		name string
		more []Event
		want map[string]string // publication -> why not, or a part of it
	}{
		{"alone", []Event{webOf("h8", "aaaaaaaaaaaa", 80, on8080, on8443)}, map[string]string{first: "", second: ""}},
		{"the tenant's own comes later, and before it", []Event{webOf("h8", "aaaaaaaaaaaa", 80, on8080, on8443), own},
			map[string]string{first: "tcp-8080 of its tenant comes before it", second: "", "tcp-8080": ""}},
		{"an older port publishes the same", []Event{webOf("h8", "aaaaaaaaaaaa", 80, on8080),
			{Key: PortKey("h8", "alice", "default", "web2"), Object: &Port{UID: "bbbbbbbbbbbb", Number: 7000, Publish: []PortPublication{on8080}}, Created: 70, Modified: 70}},
			map[string]string{first: "tcp-8080-of-bbbbbbbbbbbb of its tenant comes before it", "tcp-8080-of-bbbbbbbbbbbb": ""}},
		{"an older port has its name", []Event{webOf("h8", "aaaaaaaaaaaa", 80, on8080), webOf("h7", "cccccccccccc", 70)},
			map[string]string{first: "an older port has the name of ports/h8/alice/default/web"}},
		{"an older port has its number", []Event{webOf("h8", "aaaaaaaaaaaa", 80, on8080),
			{Key: PortKey("h8", "bob", "web", "x"), Object: &Port{Number: 1080}, Created: 70, Modified: 70}},
			map[string]string{first: ""}}, // what has the number is let in nowhere: see PublishedPort
		{"another tenant's is older", []Event{webOf("h8", "aaaaaaaaaaaa", 80, PortPublication{ProtocolTCP, 80, 9000, 1})},
			map[string]string{"tcp-9000-of-aaaaaaaaaaaa": "is published by bob/tcp-9000-9009 longer"}},
		{"the host listens there", []Event{webOf("h8", "aaaaaaaaaaaa", 80, PortPublication{ProtocolTCP, 80, 22, 1})},
			map[string]string{"tcp-22-of-aaaaaaaaaaaa": "itself listens on tcp 22"}},
		{"a flaw", []Event{webOf("h8", "aaaaaaaaaaaa", 80, PortPublication{ProtocolTCP, 0, 80, 1})},
			map[string]string{"tcp-80-of-aaaaaaaaaaaa": "detach its port, and attach it anew"}},
		{"more than a port may publish", []Event{webOf("h8", "aaaaaaaaaaaa", 80, on8080, PortPublication{ProtocolTCP, 1, 1000, 128})}, map[string]string{first: ""}},
	} {
		s := publishing(c.more...)
		found := 0
		for p := range s.PublicationsOf("alice") {
			want, expected := c.want[p.Key.Name]
			_, why := s.PublishedAt(p)
			text := why.Words(func(string) bool { return true })
			if !expected || !strings.Contains(text, want) || want == "" && text != "" || s.Publication("alice", p.Key.Name) != p {
				t.Errorf("%s: %s is not let in because %q, want %q", c.name, p.Key.Name, text, want)
			}
			found++
		}
		if found != len(c.want) {
			t.Errorf("%s: %d publications, want %d", c.name, found, len(c.want))
		}
	}
}

// A port that is not programmed is not published either, whoever says that it is: another port has its address.
func TestPublishedPortThatIsContested(t *testing.T) {
	s := publishing(webOf("h8", "aaaaaaaaaaaa", 80, PortPublication{ProtocolTCP, 80, 8080, 1}),
		Event{Key: PortKey("h8", "bob", "web", "x"), Object: &Port{Number: 1080}, Created: 70, Modified: 70}, subnetted("alice", "default", "10.1.0.0/24"))
	if p, _, why := s.PublishedPort(s.Publication("alice", "tcp-8080-of-aaaaaaaaaaaa")); p != nil || !strings.Contains(why, "is not programmed: an older one has what is its") {
		t.Errorf("it leads to %v, %q", p, why)
	}
}

// Each has a mark of its own and leads to the very port; they keep their names and marks when the port moves, and go with it.
func TestPublishedByAPortThatMoves(t *testing.T) {
	publish := []PortPublication{{ProtocolTCP, 80, 8080, 1}, {ProtocolUDP, 53, 53, 1}}
	s := publishing(webOf("h8", "aaaaaaaaaaaa", 80, publish...), subnetted("alice", "default", "10.1.0.0/24"))
	marks := func() (list []uint32) {
		for p := range s.PublicationsOf("alice") {
			if port, _, why := s.PublishedPort(p); port == nil || port.Value.UID != "aaaaaaaaaaaa" {
				t.Errorf("%s leads to %v: %s", p.Key, port, why)
			}
			list = append(list, PublicationMark(p))
		}
		return list
	}
	before := marks()
	if len(before) != 2 || before[0] == before[1] {
		t.Errorf("marks %v", before)
	}
	s.Apply(Batch{Revision: 81, Events: []Event{{Key: PortKey("h8", "alice", "default", "web")}, webOf("h9", "aaaaaaaaaaaa", 81, publish...)}})
	if after := marks(); !slices.Equal(before, after) {
		t.Errorf("marks %v before the move, %v after", before, after)
	}
	if _, err := ProposeUnpublish(s, "alice", "tcp-8080-of-aaaaaaaaaaaa"); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "it goes with the port") {
		t.Errorf("unpublish: %v", err)
	}
	s.Apply(Batch{Revision: 82, Events: []Event{{Key: PortKey("h9", "alice", "default", "web")}}})
	if s.Publishes("alice") || len(s.publications.byPort) != 0 || len(s.publications.at.sets[Endpoint{ProtocolTCP, 8080}]) != 0 {
		t.Error("what went with the port is there")
	}
}

// A new port is refused where its tenant's gateway host would not let in what it publishes; a tenant's own publication is not refused
// for a port's.
func TestRefusePublished(t *testing.T) {
	spec := PortSpec{Host: "h8", Tenant: "alice", Network: "default", Name: "new", UID: "bbbbbbbbbbbb"}
	for _, c := range []struct {
		name    string
		tenant  string
		publish PortPublication
		says    string
	}{
		{"free", "alice", PortPublication{ProtocolTCP, 80, 8081, 1}, ""},
		{"another port of the tenant has it", "alice", PortPublication{ProtocolTCP, 80, 8079, 2}, "tcp 8079-8080: taken: tcp-8080-of-aaaaaaaaaaaa of its tenant comes before it"},
		{"another tenant has it", "alice", PortPublication{ProtocolTCP, 80, 9000, 1}, "is published by another tenant longer"},
		{"the host itself", "alice", PortPublication{ProtocolTCP, 80, 22, 1}, "itself listens on tcp 22"},
		{"no gateway yet", "dave", PortPublication{ProtocolTCP, 80, 22, 1}, ""},
	} {
		s := publishing(webOf("h8", "aaaaaaaaaaaa", 25, PortPublication{ProtocolTCP, 80, 8080, 1}))
		spec.Tenant, spec.Publish = c.tenant, []PortPublication{c.publish}
		err := s.RefusePublished(spec)
		if (err == nil) != (c.says == "") || err != nil && (!errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
	s := publishing(webOf("h8", "aaaaaaaaaaaa", 25, PortPublication{ProtocolTCP, 80, 8080, 1}))
	if _, err := published("alice", 8080).Propose(s); err != nil {
		t.Errorf("the tenant's own publication: %v", err)
	}
}
