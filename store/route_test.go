package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func routed(tenant string, r Route) PublicationSpec {
	return PublicationSpec{Tenant: tenant, Network: "web", Port: "web", Protocol: ProtocolTCP, First: 80, Count: 1, Route: r, Everybody: true}
}

// routeItem is a publication by a route that stands there already.
func routeItem(tenant, name string, created Revision, on uint16, r Route) Event {
	tenantCreated := map[string]Revision{"alice": 1, "bob": 2, "carol": 3, "dave": 4}[tenant]
	return Event{Key: PublicationKey(tenant, name), Created: created, Modified: created,
		Object: &Publication{TenantCreated: tenantCreated, Network: "web", Port: "web", Protocol: ProtocolTCP, First: 80, On: on, Count: 1, Route: r}}
}

func TestProposeRoute(t *testing.T) {
	spec := routed("alice", NewRoute("Alice.Example.", ""))
	taken := routeItem("alice", "other", 21, firstRoutePort, NewRoute("other.example", ""))
	p, err := spec.Propose(publishing(taken))
	proposed(t, "a route", p, err, Proposal{
		Writes: []Event{{Key: PublicationKey("alice", "http-alice-example"), Object: &Publication{TenantCreated: 1, Network: "web", Port: "web", Protocol: ProtocolTCP,
			First: 80, On: firstRoutePort + 1, Count: 1, Route: Route{Host: "alice.example", Path: "/"}}}},
		Presumes: []Presumption{{Condition: Absent, Path: "/sluice/v1/published/alice/http-alice-example"},
			{Condition: CreatedAt, Path: "/sluice/v1/tenants/alice", Revision: 1, Refusal: noSuchTenant("alice")},
			{Condition: NothingNewUnder, Path: "/sluice/v1/published/", Revision: 30}},
	})
	again := routeItem("alice", "http-alice-example", 22, firstRoutePort+7, spec.Route)
	if p, err := spec.Propose(publishing(again)); err != nil || p.Writes != nil {
		t.Errorf("what is there already writes %+v, %v", p, err)
	}
	for _, tenant := range []string{"carol", "dave"} { // another gateway host, none yet
		spec := routed(tenant, NewRoute("x.example", ""))
		if p, err := spec.Propose(publishing()); err != nil || len(p.Writes) != 1 {
			t.Errorf("%s: %+v, %v", tenant, p, err)
		}
	}
	needs := fmt.Sprint(routed("alice", NewRoute("b.example", "")).Needs(publishing(routeItem("bob", "b", 21, firstRoutePort, NewRoute("b.example", "")))))
	if !strings.Contains(needs, "/tenants/bob") {
		t.Errorf("it does not read the tenant that has the name: %s", needs)
	}
}

func TestRouteFlaws(t *testing.T) {
	for _, tc := range []struct {
		name string
		is   Publication
		flaw string
	}{
		{"a name", Publication{Route: Route{Host: "a.example", Path: "/"}}, ""},
		{"a label", Publication{Route: Route{Host: "hub", Path: "/"}}, ""},
		{"a name of another script, as browsers ask for it", Publication{Route: Route{Host: "xn--bcher-kva.example", Path: "/"}}, ""},
		{"a path", Publication{Route: Route{Host: "a.example", Path: "/a/b-c_d~/.x/...y/", Strip: true, Shared: true}}, ""},
		{"no name", Publication{Route: Route{Path: "/"}}, `host name ""`},
		{"an address", Publication{Route: Route{Host: "192.0.2.1", Path: "/"}}, `host name "192.0.2.1"`},
		{"an address of IPv6", Publication{Route: Route{Host: "::1", Path: "/"}}, "host name"},
		{"with a port", Publication{Route: Route{Host: "a.example:80", Path: "/"}}, "host name"},
		{"upper case", Publication{Route: Route{Host: "A.example", Path: "/"}}, "host name"},
		{"another script", Publication{Route: Route{Host: "bücher.example", Path: "/"}}, "host name"},
		{"a wildcard", Publication{Route: Route{Host: "*.example", Path: "/"}}, "host name"},
		{"a last dot", Publication{Route: Route{Host: "a.example.", Path: "/"}}, "host name"},
		{"an empty label", Publication{Route: Route{Host: "a..example", Path: "/"}}, "host name"},
		{"a long label", Publication{Route: Route{Host: strings.Repeat("a", 64), Path: "/"}}, "host name"},
		{"a long name", Publication{Route: Route{Host: strings.Repeat("a.", 126) + "ab", Path: "/"}}, "host name"},
		{"no path", Publication{Route: Route{Host: "a.example"}}, `path ""`},
		{"no last slash", Publication{Route: Route{Host: "a.example", Path: "/a"}}, `path "/a"`},
		{"a path up", Publication{Route: Route{Host: "a.example", Path: "/a/../b/"}}, "path"},
		{"a path of no way", Publication{Route: Route{Host: "a.example", Path: "/./"}}, "path"},
		{"an empty segment", Publication{Route: Route{Host: "a.example", Path: "/a//"}}, "path"},
		{"an escape", Publication{Route: Route{Host: "a.example", Path: "/%61/"}}, "path"},
		{"a long path", Publication{Route: Route{Host: "a.example", Path: "/" + strings.Repeat("a", 200) + "/"}}, "path"},
		{"nothing to leave out", Publication{Route: Route{Host: "a.example", Path: "/", Strip: true}}, "no path that could be left out"},
		{"all of a shared name", Publication{Route: Route{Host: "a.example", Path: "/", Shared: true}}, "has a path of it"},
		{"of UDP", Publication{Protocol: ProtocolUDP, Route: Route{Host: "a.example", Path: "/"}}, "one port of TCP"},
		{"of several ports", Publication{Count: 2, Route: Route{Host: "a.example", Path: "/"}}, "one port of TCP"},
		{"with its source", Publication{KeepSource: true, Route: Route{Host: "a.example", Path: "/"}}, "one port of TCP"},
	} {
		p := tc.is
		p.First, p.On, p.Count = 80, firstRoutePort, max(p.Count, 1)
		if p.Protocol == "" {
			p.Protocol = ProtocolTCP
		}
		if got := p.flaw(); !strings.Contains(got, tc.flaw) || tc.flaw == "" && got != "" {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.flaw)
		}
	}
}

// A name is one tenant's, unless all who have a part of it say that they share it, and no part is in another.
func TestWhoHasAName(t *testing.T) {
	own, path := NewRoute("a.example", ""), NewRoute("a.example", "/a")
	shared := func(p string) Route { r := NewRoute("a.example", p); r.Shared = true; return r }
	for _, tc := range []struct {
		name       string
		first      Route
		by, tenant string // by is whose first is
		second     Route
		why        string
	}{
		{"another name", own, "bob", "alice", NewRoute("b.example", ""), ""},
		{"the same name", own, "bob", "alice", own, "a.example/ is bob/first's for longer"},
		{"a path of it", own, "bob", "alice", path, "is bob/first's"},
		{"a path, and the first is one", path, "bob", "alice", NewRoute("a.example", "/b"), "a.example/a/ is bob/first's"},
		{"a shared path of an own name", path, "bob", "alice", shared("/b"), "is bob/first's"},
		{"an own path of a shared name", shared("/a"), "bob", "alice", NewRoute("a.example", "/b"), "is bob/first's"},
		{"shared by both", shared("/a"), "bob", "alice", shared("/b"), ""},
		{"shared, of one beginning", shared("/a"), "bob", "alice", shared("/ab"), ""},
		{"shared, one in another", shared("/a"), "bob", "alice", shared("/a/b"), "is bob/first's"},
		{"shared, one around another", shared("/a/b"), "bob", "alice", shared("/a"), "is bob/first's"},
		{"a tenant's own paths", own, "alice", "alice", path, ""},
		{"a tenant's own again", path, "alice", "alice", NewRoute("a.example", "a/"), ""},
	} {
		s := publishing(routeItem(tc.by, "first", 21, firstRoutePort, tc.first))
		_, err := routed(tc.tenant, tc.second).Propose(s)
		if tc.name == "a tenant's own again" {
			if !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), "alice/first has a port or the route of it") {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		if tc.why == "" && err != nil || tc.why != "" && (!errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), tc.why)) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.why)
		}
		untold := routed(tc.tenant, tc.second)
		untold.Everybody = false
		if _, err := untold.Propose(s); tc.why != "" && (err == nil || strings.Contains(err.Error(), "bob")) {
			t.Errorf("%s: a tenant is told %v", tc.name, err)
		}
		s.Apply(Batch{Revision: 31, Events: []Event{routeItem(tc.tenant, "second", 31, firstRoutePort+1, tc.second)}}) // by hand
		if stands := s.Stands(s.Publication(tc.tenant, "second")); stands != (tc.why == "") || !s.Stands(s.Publication(tc.by, "first")) {
			t.Errorf("%s: written by hand it stands: %t", tc.name, stands)
		}
		s.Apply(Batch{Revision: 32, Events: []Event{{Key: PublicationKey(tc.by, "first")}}})
		if !s.Stands(s.Publication(tc.tenant, "second")) {
			t.Errorf("%s: it does not stand where the first went", tc.name)
		}
	}
}

// A route is on no port of a host: none that another has, or that a program listens on, keeps it from being reached.
func TestRoutesAreOnNoPort(t *testing.T) {
	r := routeItem("bob", "r", 22, 9000+1000, NewRoute("b.example", ""))
	s := publishing(r, routeItem("alice", "r", 23, 22, NewRoute("a.example", "")))
	for _, tenant := range []string{"alice", "bob"} {
		if host, why := s.PublishedAt(s.Publication(tenant, "r")); host != "h1" || why != nil {
			t.Errorf("%s: %q, %v", tenant, host, why)
		}
	}
	if _, err := published("alice", 10000).Propose(s); err != nil {
		t.Errorf("the port of another tenant's route: %v", err)
	}
	if _, err := published("bob", 10000).Propose(s); !errors.Is(err, ErrTaken) {
		t.Errorf("the port of a route of its own: %v", err)
	}
	if host, why := s.PublishedAt(s.Publication("bob", "tcp-9000-9009")); host != "h1" || why != nil {
		t.Errorf("a publication beside it: %q, %v", host, why)
	}
	if s.Stands(s.Publication("bob", "tcp-9000-9009")) {
		t.Error("a publication by ports has a route")
	}
}

func TestRouteNames(t *testing.T) {
	long := NewRoute(strings.Repeat("a", 60)+".example", "/b")
	for _, tc := range []struct {
		r    Route
		want string
	}{
		{NewRoute("alice.example", ""), "http-alice-example"},
		{NewRoute("hub.example", "/alice/lab"), "http-hub-example-alice-lab"},
		{NewRoute("hub.example", "/A_b~/"), "http-hub-example-a-b"},
	} {
		if got := tc.r.name(); got != tc.want || ValidateName(got) != nil {
			t.Errorf("%s is called %s, want %s", tc.r, got, tc.want)
		}
	}
	if got := long.name(); len(got) != 63 || ValidateName(got) != nil || got == NewRoute(long.Host, "/c").name() {
		t.Errorf("%s is called %s", long, got)
	}
}
