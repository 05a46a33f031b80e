package etcd

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice/store"
	"sluice/store/etcd/freeport"
)

// comparers let go-cmp compare the address types by value.
var comparers = []cmp.Option{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}

func TestPortTakesAndFrees(t *testing.T) {
	c := start(t)
	host := register(t, c, "h1")
	createTenant(t, c, store.TenantSpec{Name: "alice", Subnets: prefixes("10.0.0.0/24", "fd00::/64")})
	before := keysUnder(t, c, "alloc/")

	spec := portSpec("h1", "alice", "a1")
	spec.HostCreated = host
	port := createPort(t, c, spec)
	if port.Value.Number == 0 || store.ValidateMAC(port.Value.MAC) != nil || port.Value.MAC[0]&2 == 0 || port.Value.Interface != "sl-"+spec.UID {
		t.Errorf("port %+v", port.Value)
	}
	if a := port.Value.Addresses; len(a) != 2 || a[0].Masked() != prefixes("10.0.0.0/24")[0] || a[1].Masked() != prefixes("fd00::/64")[0] {
		t.Errorf("addresses %v", port.Value.Addresses)
	}
	if diff := cmp.Diff(port.Value, get[store.Port](t, c, port.Key), comparers...); diff != "" {
		t.Errorf("what was returned and what is held (-returned +held):\n%s", diff)
	}
	if got := len(keysUnder(t, c, "alloc/")) - len(before); got != 5 {
		t.Errorf("it took %d values, not name, number, MAC and two addresses", got)
	}

	again := createPort(t, c, spec)
	if diff := cmp.Diff(port, again, comparers...); diff != "" {
		t.Errorf("the same create repeated (-first +second):\n%s", diff)
	}

	spec.ContainerID, spec.Labels = "other", store.Labels{"pod": "web"} // it came from another host
	other := createPort(t, c, spec)
	if held := get[store.Port](t, c, port.Key); held.ContainerID != "other" || held.Labels["pod"] != "web" || held.Number != port.Value.Number {
		t.Errorf("of another container it is %+v", held)
	}
	if other.Created != port.Created || other.Modified <= port.Modified {
		t.Errorf("created at %d and modified at %d, first at %d and %d", other.Created, other.Modified, port.Created, port.Modified)
	}

	gone, err := c.DeletePort(testContext(t), port.Key, host)
	if err != nil {
		t.Fatal(err)
	}
	if released := releasePassed(t, c, gone); released != 1 {
		t.Errorf("released %d: want the port's number", released)
	}
	if diff := cmp.Diff(before, keysUnder(t, c, "alloc/")); diff != "" {
		t.Errorf("left after the delete (-before +after):\n%s", diff)
	}
	if _, err := c.DeletePort(testContext(t), port.Key, host); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleting it again: %v", err)
	}
}

func TestPortRefusals(t *testing.T) {
	c := start(t)
	host := register(t, c, "h1")
	register(t, c, "h2")
	createTenant(t, c, store.TenantSpec{Name: "alice", Hosts: []string{"h1"}})
	first := createPort(t, c, portSpec("h1", "alice", "a1"))
	with := func(change func(*store.PortSpec)) store.PortSpec {
		s := portSpec("h1", "alice", "a2")
		change(&s)
		return s
	}
	address := func(text string) store.PortSpec {
		return with(func(s *store.PortSpec) { s.Addresses = []netip.Addr{netip.MustParseAddr(text)} })
	}
	for name, tc := range map[string]struct {
		spec store.PortSpec
		want error
		says string
	}{
		"name taken":      {with(func(s *store.PortSpec) { s.Name = "a1" }), store.ErrExists, "a1"},
		"no tenant":       {with(func(s *store.PortSpec) { s.Tenant = "bob" }), store.ErrNotFound, `tenant "bob"`},
		"no network":      {with(func(s *store.PortSpec) { s.Network = "web" }), store.ErrNotFound, "alice/web"},
		"no host":         {with(func(s *store.PortSpec) { s.Host = "h9" }), store.ErrNotFound, `host "h9"`},
		"host not ours":   {with(func(s *store.PortSpec) { s.HostCreated = host + 1 }), store.ErrHostGone, "h1"},
		"host not shared": {with(func(s *store.PortSpec) { s.Host = "h2" }), store.ErrNotAllowed, "only h1"},
		"uid":             {with(func(s *store.PortSpec) { s.UID = "x" }), store.ErrInvalid, "base 32"},
		"name":            {with(func(s *store.PortSpec) { s.Name = "a/b" }), store.ErrInvalid, "DNS label"},
		"MAC reserved":    {with(func(s *store.PortSpec) { s.MAC = store.RouterMAC }), store.ErrInvalid, "reserved"},
		"MAC taken":       {with(func(s *store.PortSpec) { s.MAC = first.Value.MAC }), store.ErrTaken, "ports/h1/alice/default/a1"},
		"address taken":   {address(first.Value.Addresses[0].Addr().String()), store.ErrTaken, "ports/h1/alice/default/a1"},
		"router's":        {address("10.0.0.1"), store.ErrInvalid, "router"},
		"broadcast":       {address("10.0.0.255"), store.ErrInvalid, "10.0.0.254"},
		"no subnet's":     {address("10.9.0.1"), store.ErrInvalid, "no subnet"},
	} {
		_, err := c.CreatePort(testContext(t), tc.spec)
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want %v saying %s", name, err, tc.want, tc.says)
		}
	}
	if got := keysUnder(t, c, "alloc/ports/"); len(got) != 1 {
		t.Errorf("refused ports took names: %v", got)
	}
}

// allocated checks that the ports under a host took distinct values, and returns how many.
func allocated(t *testing.T, c *Client, host string) int {
	t.Helper()
	events, _, err := c.List(testContext(t), store.KindPort, host)
	if err != nil {
		t.Fatal(err)
	}
	numbers, macs, addresses := map[uint32]string{}, map[store.MAC]string{}, map[netip.Prefix]string{}
	for _, e := range events {
		p := e.Object.(*store.Port)
		unique(t, numbers, p.Number, e.Key.Name)
		unique(t, macs, p.MAC, e.Key.Name)
		for _, a := range p.Addresses {
			unique(t, addresses, a, e.Key.Name)
		}
	}
	return len(events)
}

func TestConcurrentPorts(t *testing.T) {
	for subnet, fit := range map[string]int{"10.0.0.0/16": 100, "10.0.0.0/28": 13, "10.0.0.0/30": 1} {
		t.Run(strings.ReplaceAll(subnet, "/", " over "), func(t *testing.T) {
			c := start(t)
			host := register(t, c, "h1")
			createTenant(t, c, store.TenantSpec{Name: "alice", Subnets: prefixes(subnet)})
			ctx := testContext(t)
			for i, err := range together(100, func(i int) error {
				spec := portSpec("h1", "alice", numbered(i))
				spec.HostCreated = host
				_, err := c.CreatePort(ctx, spec)
				return err
			}) {
				if err != nil {
					expect(t, err, store.ErrExhausted, subnet, fmt.Sprintf("all %d for ports are taken: %d by ports", fit, fit), numbered(i))
				}
			}
			if got := allocated(t, c, "h1"); got != fit {
				t.Errorf("%d ports of %s exist, %d fit", got, subnet, fit)
			}
		})
	}
}

func TestPortLimit(t *testing.T) {
	c := start(t)
	register(t, c, "h1")
	createTenant(t, c, store.TenantSpec{Name: "alice", Limits: store.Limits{Ports: 5}})
	ctx := testContext(t)
	made := 0
	for _, err := range together(30, func(i int) error {
		_, err := c.CreatePort(ctx, portSpec("h1", "alice", numbered(i)))
		return err
	}) {
		if err == nil {
			made++
		} else {
			expect(t, err, store.ErrLimit, "5 ports")
		}
	}
	if got := allocated(t, c, "h1"); got != made || made > 5 {
		t.Errorf("%d creators succeeded, %d ports exist, the limit is 5", made, got)
	}
	for i := range 5 - made { // those at the limit at once may all have been refused
		createPort(t, c, portSpec("h1", "alice", fmt.Sprintf("later%d", i)))
	}
	_, err := c.CreatePort(ctx, portSpec("h1", "alice", "sixth"))
	expect(t, err, store.ErrLimit)
}

// Whoever deletes a parent while children are made: either the delete is refused, or no
// child is left; and nothing that was taken stays taken.
func TestDeleteAgainstCreate(t *testing.T) {
	c := start(t)
	register(t, c, "h1")
	ctx := testContext(t)
	for round := range 15 {
		createTenant(t, c, store.TenantSpec{Name: "alice"})
		errs := together(4, func(i int) (err error) {
			switch i {
			case 0:
				_, err = c.DeleteTenant(ctx, "alice")
			case 1:
				_, err = c.DeleteNetwork(ctx, store.NetworkName{Tenant: "alice", Network: "default"})
			case 2:
				_, err = c.CreatePort(ctx, portSpec("h1", "alice", "a1"))
			case 3:
				_, err = c.CreateNetwork(ctx, store.NetworkSpec{Tenant: "alice", Name: "web", Subnets: prefixes("10.1.0.0/24")})
			}
			return err
		})
		for i, err := range errs {
			if err != nil && !errors.Is(err, store.ErrInUse) && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("round %d, operation %d: %v", round, i, err)
			}
		}
		orphans(t, c)
		cleanup(t, c)
	}
}

// orphans fails on objects without their parent.
func orphans(t *testing.T, c *Client) {
	t.Helper()
	networks, ports := keysUnder(t, c, "networks/"), keysUnder(t, c, "ports/")
	if tenants := keysUnder(t, c, "tenants/"); len(tenants) == 0 && len(networks)+len(ports) > 0 {
		t.Errorf("without their tenant: %v %v", networks, ports)
	}
	if len(ports) > 0 && !slices.Contains(networks, "networks/alice/default") {
		t.Errorf("without their network: %v", ports)
	}
	if names := keysUnder(t, c, "alloc/ports/"); len(names) != len(ports) {
		t.Errorf("names taken: %v, ports: %v", names, ports)
	}
}

// cleanup deletes alice with all she has.
func cleanup(t *testing.T, c *Client) {
	t.Helper()
	ctx := testContext(t)
	for _, err := range []error{
		second(c.DeletePort(ctx, store.PortKey("h1", "alice", "default", "a1"), 0)),
		second(c.DeleteNetwork(ctx, store.NetworkName{Tenant: "alice", Network: "web"})),
		second(c.DeleteTenant(ctx, "alice")),
	} {
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
	}
}

func TestTenantHosts(t *testing.T) {
	c, ctx := start(t), testContext(t)
	hosts := map[string]store.Revision{}
	for _, name := range []string{"h1", "h2", "h3", "h4"} {
		hosts[name] = register(t, c, name)
	}
	for _, tenant := range []string{"alice", "bob"} {
		if _, err := c.CreateTenant(ctx, store.TenantSpec{Name: tenant, Segmentation: store.SegmentationTunnel}); err != nil {
			t.Fatal(err)
		}
	}
	for n, p := range []struct{ tenant, host string }{{"alice", "h2"}, {"alice", "h1"}, {"alice", "h2"}, {"bob", "h3"}} {
		_, err := c.CreatePort(ctx, store.PortSpec{
			Host: p.host, HostCreated: hosts[p.host], Tenant: p.tenant, Network: "default",
			Name: fmt.Sprint("p", n), UID: strings.Repeat(string(rune('a'+n)), 12),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.PutIf(ctx, store.GatewayKey("alice"), &store.Gateway{Active: "h4", Epoch: 1}, 0, 0); err != nil {
		t.Fatal(err)
	}
	got, all, err := c.TenantHosts(ctx, "alice", 3)
	if diff := cmp.Diff([]string{"h1", "h2", "h4"}, got); diff != "" || !all || err != nil {
		t.Errorf("all %v, %v, -want +got:\n%s", all, err, diff)
	}
	if got, all, err := c.TenantHosts(ctx, "alice", 2); all || got != nil || err != nil {
		t.Errorf("more ports than looked at: %v, all %v, %v", got, all, err)
	}
}

// A port that asks for no address gets none that its network excludes; one that asks for it does. A
// subnet whose choice is used up says what takes it.
func TestExcludedAddresses(t *testing.T) {
	c := start(t)
	register(t, c, "h1")
	excluded, err := store.ParseAddressRange("10.0.0.2-10.0.0.4")
	if err != nil {
		t.Fatal(err)
	}
	createTenant(t, c, store.TenantSpec{Name: "alice", Subnets: prefixes("10.0.0.0/29"), Exclude: []store.AddressRange{excluded}})
	got := map[netip.Addr]bool{}
	for _, name := range []string{"a1", "a2"} {
		got[createPort(t, c, portSpec("h1", "alice", name)).Value.Addresses[0].Addr()] = true
	}
	if want := map[netip.Addr]bool{netip.MustParseAddr("10.0.0.5"): true, netip.MustParseAddr("10.0.0.6"): true}; len(got) != 2 || got[excluded.First] || !got[netip.MustParseAddr("10.0.0.5")] {
		t.Errorf("ports got %v, want %v", got, want)
	}
	asks := portSpec("h1", "alice", "asks")
	asks.Addresses = []netip.Addr{excluded.First}
	if p := createPort(t, c, asks).Value; p.Addresses[0].Addr() != excluded.First {
		t.Errorf("asked for %s, got %v", excluded.First, p.Addresses)
	}
	_, err = c.CreatePort(testContext(t), portSpec("h1", "alice", "a3"))
	expect(t, err, store.ErrExhausted, "all 2 for ports are taken: 2 by ports", "the router has 10.0.0.1", "excludes 10.0.0.2-10.0.0.4")
}

// Who deletes a port by its uid does not remove one that was made anew under its name.
func TestDeletePortOf(t *testing.T) {
	c, ctx := start(t), testContext(t)
	host := register(t, c, "h1")
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	port := createPort(t, c, portSpec("h1", "alice", "a1"))
	if _, err := c.DeletePortOf(ctx, port.Key, "zzzzzzzzzzzz", host); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of another: %v", err)
	}
	if got := get[store.Port](t, c, port.Key); got.UID != port.Value.UID {
		t.Errorf("it became %+v", got)
	}
	if _, err := c.DeletePortOf(ctx, port.Key, port.Value.UID, host+1); !errors.Is(err, store.ErrHostGone) {
		t.Errorf("of a host that was registered anew: %v", err)
	}
	if _, err := c.DeletePortOf(ctx, port.Key, port.Value.UID, host); err != nil {
		t.Error(err)
	}
	if _, err := c.DeletePortOf(ctx, port.Key, port.Value.UID, host); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
}

// A client that opens while etcd is away works once it is there.
func TestOpenWithoutEtcd(t *testing.T) {
	o := EmbedOptions{Dir: t.TempDir(), ClientURL: freeport.URL(t), PeerURL: freeport.URL(t), Log: testLog(t)}
	c, err := Open(testContext(t), Options{Endpoints: []string{o.ClientURL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, _, err := c.Get(testContext(t), store.TenantKey("alice")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without etcd: %v", err)
	}
	e, err := StartEmbedded(testContext(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	if _, err := Open(testContext(t), Options{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("without endpoints: %v", err)
	}
}

// A port that moves keeps all that it took, and leaves nothing under its old host.
func TestMovePort(t *testing.T) {
	c, ctx := start(t), testContext(t)
	register(t, c, "h1")
	register(t, c, "h2")
	createTenant(t, c, store.TenantSpec{Name: "alice", Subnets: prefixes("10.0.0.0/24", "fd00::/64")})
	before := keysUnder(t, c, "alloc/")
	port := createPort(t, c, portSpec("h1", "alice", "a1"))
	taken := keysUnder(t, c, "alloc/")
	move := store.PortMove{Key: port.Key, Host: "h2"}
	if _, err := c.Decide(ctx, move.Propose, move.Needs()...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(port.Value, get[store.Port](t, c, move.To()), comparers...); diff != "" {
		t.Errorf("-before +after\n%s", diff)
	}
	if diff := cmp.Diff(taken, keysUnder(t, c, "alloc/")); diff != "" {
		t.Errorf("taken: -before +after\n%s", diff)
	}
	if left := keysUnder(t, c, "ports/h1/"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := c.Decide(ctx, move.Propose, move.Needs()...); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
	if _, err := c.CreatePort(ctx, portSpec("h1", "alice", "a1")); !errors.Is(err, store.ErrExists) {
		t.Errorf("its name where it was: %v", err)
	}
	gone, err := c.DeletePort(ctx, move.To(), 0)
	if err != nil {
		t.Fatal(err)
	}
	releasePassed(t, c, gone)
	if diff := cmp.Diff(before, keysUnder(t, c, "alloc/")); diff != "" {
		t.Errorf("left under alloc/ after it was deleted: -before +after\n%s", diff)
	}
}
