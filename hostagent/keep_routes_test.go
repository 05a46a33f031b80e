package hostagent

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice/hostagent/entry"
	"sluice/store"
)

// told is a store that holds some objects, or is away.
type told struct {
	Store
	events []store.Event
	err    error
}

func (s *told) List(_ context.Context, kind store.Kind, _ ...string) (list []store.Event, at store.Revision, err error) {
	for _, e := range s.events {
		if e.Key.Kind == kind {
			list = append(list, e)
		}
	}
	return list, 30, s.err
}

func (s *told) Get(_ context.Context, key store.Key) (store.Object, store.Revision, error) {
	for _, e := range s.events {
		if e.Key == key {
			return e.Object, e.Modified, s.err
		}
	}
	return nil, 0, s.err
}

// PublishedChanged tells of a change at once.
func (s *told) PublishedChanged(context.Context, store.Revision) <-chan struct{} {
	changed := make(chan struct{})
	close(changed)
	return changed
}

func routeCluster() *told {
	host := &store.Host{VTEPs: []netip.Addr{netip.MustParseAddr("192.0.2.21")}, Relay: 6656}
	s := &told{events: []store.Event{{Key: store.HostKey("h1"), Object: host}, {Key: store.HostKey("h2"), Object: &store.Host{}}}}
	for i, tenant := range []string{"alice", "bob", "carol"} {
		s.events = append(s.events, store.Event{Key: store.TenantKey(tenant), Object: &store.Tenant{Number: uint32(i + 1)}, Created: store.Revision(i + 1)})
		if tenant != "carol" {
			s.events = append(s.events, store.Event{Key: store.GatewayKey(tenant), Object: &store.Gateway{Active: fmt.Sprint("h", i+1), Backup: []string{"", "h1"}[i]}})
		}
		p := store.Publication{Protocol: store.ProtocolTCP, On: 64512, Count: 1, Route: store.NewRoute(tenant+".example", "")}
		s.events = append(s.events, publicationOf(tenant, store.Revision(12+i), p))
	}
	s.events = append(s.events, store.Event{Key: store.PublicationKey("carol", "late"), Created: 20,
		Object: &store.Publication{TenantCreated: 3, Network: "default", Port: "web", Protocol: store.ProtocolTCP, First: 80, On: 64513, Count: 1, Route: store.NewRoute("alice.example", "/x")}})
	return s
}

// The table is what stands, with where each gateway host relays, and outlives the agent; what cannot be read changes nothing.
func TestRoutesOfHost(t *testing.T) {
	s := routeCluster()
	file := filepath.Join(t.TempDir(), "routes.json")
	r := &webRoutes{store: s, file: file, table: entry.NewTable()}
	try := keep(r)
	if err := try(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []entry.Route{
		{Route: store.NewRoute("alice.example", ""), Tenant: "alice", Number: 1, Name: "w", Created: 12, Gateway: "h1", Relay: netip.MustParseAddrPort("192.0.2.21:6656"), Target: netip.MustParseAddrPort("100.64.0.1:64512")},
		{Route: store.NewRoute("bob.example", ""), Tenant: "bob", Number: 2, Name: "w", Created: 13, Gateway: "h2", Target: netip.MustParseAddrPort("100.64.0.2:64512"),
			Backup: "h1", BackupRelay: netip.MustParseAddrPort("192.0.2.21:6656"), BackupTarget: netip.MustParseAddrPort("100.64.0.2:64512")},
		{Route: store.NewRoute("carol.example", ""), Tenant: "carol", Number: 3, Name: "w", Created: 14}, // without a gateway nobody opens its connections
	}
	same := cmpopts.EquateComparable(netip.AddrPort{})
	if diff := cmp.Diff(want, r.now, same); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	s.err = fmt.Errorf("etcd is away")
	if err := try(t.Context()); err == nil {
		t.Error("what cannot be read is taken for none")
	}
	later := &webRoutes{store: s, file: file, table: entry.NewTable()}
	if err := later.load(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, later.now, same); diff != "" {
		t.Errorf("after a restart: -want +got\n%s", diff)
	}
	s.err, s.events = nil, nil
	if err := keep(later)(t.Context()); err != nil || len(later.now) != 0 {
		t.Errorf("when all went: %v, %v", later.now, err)
	}
	if here, there := openingsOf(publishedCluster(routeCluster().events...), "h1"); len(here)+len(there) != 0 {
		t.Errorf("routes open ports of hosts: %v, %v", here, there)
	}
}

// In a cluster with many gateways what changes is read seldom, and once a second at most while a request waits for a route that leads nowhere yet.
func TestRoutesAreReadSoonerWhileRequestsWait(t *testing.T) {
	for waits, want := range map[time.Duration]time.Duration{-1: 20 * time.Second, 0: lateRest, 300 * time.Millisecond: lateRest, 5 * time.Second: 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			r := &webRoutes{store: &told{}, now: []entry.Route{{}}, gateway: 20_000, late: newBell()}
			if waits >= 0 {
				time.AfterFunc(waits, r.late.ring)
			}
			start := time.Now()
			if r.wait(t.Context()); time.Since(start) != want {
				t.Errorf("with a request after %s it is read after %s, want %s", waits, time.Since(start), want)
			}
		})
	}
}

// A host counts itself as dead where others do.
func TestDeadOrCut(t *testing.T) {
	p := &probes{o: Options{Host: "h1"}}
	if p.deadOrCut("h1") {
		t.Error("a host whose way out nobody looks at is cut")
	}
	p.wayOut = &wayOut{pulse: pulse{cut: true}}
	if !p.deadOrCut("h1") || p.deadOrCut("h2") {
		t.Error("a host that is cut does not know it, or takes others for dead")
	}
}

// A host is believed by its certificate of now, while the cluster has the host; also while etcd is away.
func TestCallers(t *testing.T) {
	then := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := &told{events: []store.Event{{Key: store.HostKey("h2"), Object: &store.Host{Certified: then}}}}
	c := callers{store: s, known: make(map[string]*store.Host)}
	wants := func(when string, host string, validFrom time.Time, want bool) {
		t.Helper()
		if err := c.believes(t.Context(), host, validFrom); (err == nil) != want {
			t.Errorf("%s: %s with a certificate of %s: %v", when, host, validFrom, err)
		}
	}
	wants("its own", "h2", then, true)
	wants("renewed", "h2", then.Add(time.Hour), true)
	wants("an older one", "h2", then.Add(-time.Second), false)
	wants("unknown", "h9", then, false)
	s.err = fmt.Errorf("etcd is away")
	wants("while etcd is away", "h2", then, true)
	wants("an older one while etcd is away", "h2", then.Add(-time.Second), false)
	c.learn([]store.Event{{Key: store.HostKey("h3"), Object: &store.Host{Certified: then}}})
	wants("told of before etcd went away", "h3", then, true)
	wants("an older one of that host", "h3", then.Add(-time.Second), false)
	wants("told that it is gone", "h2", then, false)
	s.err, s.events = nil, nil
	wants("deleted", "h2", then, false)
	wants("deleted since it was told of", "h3", then, false)
}

// Routes are read where somebody goes by them.
func TestWhoNeedsRoutes(t *testing.T) {
	has := func(o Options) bool {
		o.Log = testOptions().Log
		return slices.ContainsFunc(newAgent(o, nil).keepers(), func(k keeper) bool { return k.name == "routes" })
	}
	plain, web := testOptions(), testOptions()
	web.Entry.Listen, web.Gateway = "192.0.2.21:80", false
	bare := testOptions()
	bare.Gateway, bare.Entry.RelayPort = true, 6656 // without a certificate it relays nothing
	if has(plain) || !has(web) || has(bare) {
		t.Errorf("a host without an entry: %t, with one: %t, a gateway host in the clear: %t", has(plain), has(web), has(bare))
	}
	if h := hostFor(web, identity{}, vtepInterface{}, nil); h.Entry != "192.0.2.21:80" || h.Relay != 0 {
		t.Errorf("the cluster is told %+v", h)
	}
}
