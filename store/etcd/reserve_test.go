package etcd

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/pki"
	"sluice/store"
)

var aliceDefault = store.NetworkName{Tenant: "alice", Network: store.DefaultNetwork}

func reservation(host, name string) store.Reservation {
	return store.Reservation{
		Host: host, Tenant: "alice", Network: store.DefaultNetwork, Name: name, Subnet: netip.MustParsePrefix("10.0.0.0/24"),
	}
}

func reserve(t *testing.T, c *Client, r store.Reservation) netip.Prefix {
	t.Helper()
	a, err := c.Reserve(testContext(t), r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func unreserve(t *testing.T, c *Client, host string, a netip.Addr) {
	t.Helper()
	if err := c.Unreserve(testContext(t), host, aliceDefault, a); err != nil {
		t.Fatal(err)
	}
}

// A host, with its own certificate, reserves an address, and a port of another name takes it over.
func TestReservationBecomesAPort(t *testing.T) {
	s := serveSecured(t)
	controller := s.as(pki.Controller("c1"))
	enrol(t, controller, "h1")
	h1 := s.as(pki.Host("h1"))
	created := register(t, h1, "h1")
	createTenant(t, controller, store.TenantSpec{Name: "alice"})

	r := reservation("h1", "docker-1")
	r.HostCreated = created
	a := reserve(t, h1, r)
	if again := reserve(t, h1, r); again != a {
		t.Errorf("who repeats a request gets %s, and had %s", again, a)
	}
	r.Name = "docker-2"
	if other := reserve(t, h1, r); other == a {
		t.Errorf("two reservations have address %s", a)
	}
	spec := portSpec("h1", "alice", "web")
	spec.Addresses, spec.HostCreated = []netip.Addr{a.Addr()}, created
	if _, err := h1.CreatePort(testContext(t), spec); !errors.Is(err, store.ErrTaken) || !strings.Contains(err.Error(), "docker-1") {
		t.Errorf("a port took an address that is reserved for another: %v", err)
	}
	spec.Reserved = "docker-1"
	port := createPort(t, h1, spec)
	if diff := cmp.Diff([]string{a.String()}, []string{port.Value.Addresses[0].String()}); diff != "" {
		t.Errorf("addresses of the port: -want +got\n%s", diff)
	}
	unreserve(t, h1, "h1", a.Addr())
	if got := get[store.Alloc](t, controller, store.AllocKey("addresses", "alice", "default", a.Addr().String())); got.Owner != port.Key.Short() {
		t.Errorf("the port's address belongs to %s", got.Owner)
	}
	if _, err := h1.DeletePort(testContext(t), port.Key, created); err != nil {
		t.Fatal(err)
	}
	if left := keysUnder(t, controller, "alloc/addresses/"); len(left) != 1 {
		t.Errorf("taken are %v, want that of docker-2 alone", left)
	}
}

func TestUnreserve(t *testing.T) {
	c := start(t)
	register(t, c, "h1")
	register(t, c, "h2")
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	a := reserve(t, c, reservation("h1", "docker-1"))
	unreserve(t, c, "h2", a.Addr())
	if taken := keysUnder(t, c, "alloc/addresses/"); len(taken) != 1 {
		t.Errorf("another host freed it: %v", taken)
	}
	unreserve(t, c, "h1", a.Addr())
	unreserve(t, c, "h1", a.Addr())
	if left := keysUnder(t, c, "alloc/addresses/"); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

func TestReservationRefusals(t *testing.T) {
	c := start(t)
	host := register(t, c, "h1")
	register(t, c, "h2")
	createTenant(t, c, store.TenantSpec{Name: "alice", Hosts: []string{"h1"}})
	a1 := createPort(t, c, portSpec("h1", "alice", "a1"))
	with := func(change func(*store.Reservation)) store.Reservation {
		r := reservation("h1", "docker-1")
		change(&r)
		return r
	}
	address := func(text string) store.Reservation {
		return with(func(r *store.Reservation) { r.Address = netip.MustParseAddr(text) })
	}
	for name, tc := range map[string]struct {
		r    store.Reservation
		want error
		says string
	}{
		"a port's name":   {with(func(r *store.Reservation) { r.Name = "a1" }), store.ErrExists, ""},
		"name":            {with(func(r *store.Reservation) { r.Name = "a/b" }), store.ErrInvalid, "DNS label"},
		"no tenant":       {with(func(r *store.Reservation) { r.Tenant = "bob" }), store.ErrNotFound, `tenant "bob"`},
		"no network":      {with(func(r *store.Reservation) { r.Network = "web" }), store.ErrNotFound, "alice/web"},
		"host not ours":   {with(func(r *store.Reservation) { r.HostCreated = host + 1 }), store.ErrHostGone, "h1"},
		"host not shared": {with(func(r *store.Reservation) { r.Host = "h2" }), store.ErrNotAllowed, "only h1"},
		"no subnet":       {with(func(r *store.Reservation) { r.Subnet = netip.MustParsePrefix("10.9.0.0/24") }), store.ErrNotFound, "10.9.0.0/24"},
		"other subnet's":  {address("10.9.0.1"), store.ErrInvalid, "not in subnet"},
		"router's":        {address("10.0.0.1"), store.ErrInvalid, "router"},
		"taken":           {address(a1.Value.Addresses[0].Addr().String()), store.ErrTaken, "ports/h1/alice/default/a1"},
	} {
		_, err := c.Reserve(testContext(t), tc.r)
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want %v saying %s", name, err, tc.want, tc.says)
		}
	}
	spec := portSpec("h1", "alice", "thief")
	spec.Addresses, spec.Reserved = []netip.Addr{a1.Value.Addresses[0].Addr()}, "a1"
	if _, err := c.CreatePort(testContext(t), spec); !errors.Is(err, store.ErrExists) {
		t.Errorf("a port took the address of another port: %v", err)
	}
	if got := keysUnder(t, c, "alloc/addresses/"); len(got) != 1 {
		t.Errorf("refused reservations took %v", got)
	}
}
