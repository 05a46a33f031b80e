package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// shortContext ends soon: for what never succeeds.
func shortContext(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 300*time.Millisecond)
}

func TestTenantTakesAndFrees(t *testing.T) {
	c := start(t)
	rev := createTenant(t, c, store.TenantSpec{Name: "alice", Segmentation: store.SegmentationVLAN})
	tenant, network := get[store.Tenant](t, c, store.TenantKey("alice")), get[store.Network](t, c, store.NetworkKey("alice", "default"))

	want := store.Network{
		Number: network.Number, Segmentation: "vlan", Segment: network.Segment, Flood: "auto",
		Subnets: []store.Subnet{{Prefix: store.DefaultSubnet, Gateway: store.DefaultSubnet.Addr().Next()}},
	}
	if diff := cmp.Diff(want, *network, comparers...); diff != "" {
		t.Errorf("default network (-want +got):\n%s", diff)
	}
	if tenant.Gateway != store.GatewayAuto || tenant.Number == 0 || network.Number == 0 || store.ValidateVLAN(network.Segment) != nil {
		t.Errorf("tenant %+v, network %+v", tenant, network)
	}
	if got := keysUnder(t, c, "alloc/"); len(got) != 3 {
		t.Errorf("it took %v, not three numbers", got)
	}

	gone, err := c.DeleteTenant(testContext(t), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Concat(keysUnder(t, c, "tenants/"), keysUnder(t, c, "networks/")); len(got) > 0 {
		t.Errorf("left after the delete: %v", got)
	}
	for _, step := range []struct {
		realized store.Revision
		left     int
	}{{rev, 3}, {gone - 1, 3}, {gone, 0}} {
		releasePassed(t, c, step.realized)
		if got := keysUnder(t, c, "alloc/"); len(got) != step.left {
			t.Errorf("realized at %d: left %v, want %d", step.realized, got, step.left)
		}
	}
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	if again := get[store.Tenant](t, c, store.TenantKey("alice")); again.Number == tenant.Number {
		t.Errorf("made again, the tenant has the conntrack zone of the former, number %d", again.Number)
	}
}

func TestTenantRefusals(t *testing.T) {
	c := start(t)
	register(t, c, "h1")
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	for name, tc := range map[string]struct {
		spec store.TenantSpec
		want error
		says string
	}{
		"again":          {store.TenantSpec{Name: "alice"}, store.ErrExists, "alice"},
		"name":           {store.TenantSpec{Name: "Al_ice"}, store.ErrInvalid, "lower-case"},
		"subnets":        {store.TenantSpec{Name: "bob", Subnets: prefixes("10.0.0.0/16", "10.0.3.0/24")}, store.ErrInvalid, "overlap"},
		"infrastructure": {store.TenantSpec{Name: "bob", Subnets: prefixes("172.16.0.0/12")}, store.ErrInvalid, "infrastructure of host h1"},
		"gateway host":   {store.TenantSpec{Name: "bob", Gateway: "h9"}, store.ErrNotFound, `"h9"`},
		"allowed host":   {store.TenantSpec{Name: "bob", Hosts: []string{"h8"}}, store.ErrNotFound, `"h8"`},
		"segmentation":   {store.TenantSpec{Name: "bob", Segmentation: "mpls"}, store.ErrInvalid, "mpls"},
		"limit":          {store.TenantSpec{Name: "bob", Limits: store.Limits{Ports: -1}}, store.ErrInvalid, "negative"},
	} {
		_, err := c.CreateTenant(testContext(t), tc.spec)
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want %v saying %s", name, err, tc.want, tc.says)
		}
	}
	if got := keysUnder(t, c, "alloc/tenant-numbers/"); len(got) != 1 {
		t.Errorf("refused tenants took numbers: %v", got)
	}
}

func TestDeleteTenantSaysWhatUsesIt(t *testing.T) {
	c := start(t)
	register(t, c, "h1")
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	if _, err := c.CreateNetwork(testContext(t), store.NetworkSpec{Tenant: "alice", Name: "web", Subnets: prefixes("10.1.0.0/24")}); err != nil {
		t.Fatal(err)
	}
	port := createPort(t, c, portSpec("h1", "alice", "a1"))

	refused := func(what string) {
		t.Helper()
		_, err := c.DeleteTenant(testContext(t), "alice")
		if !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), what) {
			t.Errorf("delete: %v, want it refused for %s", err, what)
		}
	}
	refused("alice/web")
	if _, err := c.DeleteNetwork(testContext(t), store.NetworkName{Tenant: "alice", Network: "web"}); err != nil {
		t.Fatal(err)
	}
	refused("alice/default/a1")
	if _, err := c.DeleteNetwork(testContext(t), store.NetworkName{Tenant: "alice", Network: "default"}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("delete of a network with a port: %v", err)
	}
	if _, err := c.DeletePort(testContext(t), port.Key, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteTenant(testContext(t), "alice"); err != nil {
		t.Error(err)
	}
	if _, err := c.DeleteTenant(testContext(t), "alice"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("delete of no tenant: %v", err)
	}
}

func TestConcurrentTenants(t *testing.T) {
	c := start(t)
	register(t, c, "h1")
	ctx := testContext(t)
	for i, err := range together(100, func(i int) error {
		_, err := c.CreateTenant(ctx, store.TenantSpec{Name: numbered(i), Segmentation: store.SegmentationVLAN})
		return err
	}) {
		if err != nil {
			t.Errorf("tenant %d: %v", i, err)
		}
	}
	numbers, segments, vlans := map[uint32]string{}, map[uint32]string{}, map[uint32]string{}
	for i := range 100 {
		name := numbered(i)
		network := get[store.Network](t, c, store.NetworkKey(name, "default"))
		unique(t, numbers, get[store.Tenant](t, c, store.TenantKey(name)).Number, name)
		unique(t, segments, network.Number, name)
		unique(t, vlans, network.Segment, name)
	}
}

// unique fails when a value is another's already.
func unique[V comparable](t *testing.T, taken map[V]string, v V, by string) {
	t.Helper()
	if other, ok := taken[v]; ok {
		t.Errorf("%s and %s both have %v", other, by, v)
	}
	taken[v] = by
}

func TestConcurrentCreatorsOfOneName(t *testing.T) {
	c := start(t)
	ctx := testContext(t)
	made := 0
	for _, err := range together(20, func(int) error {
		_, err := c.CreateTenant(ctx, store.TenantSpec{Name: "alice"})
		return err
	}) {
		if err == nil {
			made++
		} else if !errors.Is(err, store.ErrExists) {
			t.Error(err)
		}
	}
	if made != 1 {
		t.Errorf("%d creators of one tenant succeeded", made)
	}
	if got := keysUnder(t, c, "alloc/"); len(got) != 2 {
		t.Errorf("taken: %v", got)
	}
}

func TestVLANsExhausted(t *testing.T) {
	c := start(t)
	createTenant(t, c, store.TenantSpec{Name: "last", Segmentation: store.SegmentationVLAN})
	left := get[store.Network](t, c, store.NetworkKey("last", "default")).Segment
	var others []store.Event
	for id := uint32(1); id <= store.MaxVLAN; id++ {
		if id != left {
			others = append(others, store.Event{Key: store.AllocKey("vlans", fmt.Sprint(id)), Object: &store.Alloc{Owner: "networks/other/n"}})
		}
	}
	if err := c.PutStatus(testContext(t), others); err != nil {
		t.Fatal(err)
	}
	_, err := c.CreateTenant(testContext(t), store.TenantSpec{Name: "more", Segmentation: store.SegmentationVLAN})
	expect(t, err, store.ErrExhausted, "4094 are in use", "0 are freed", "--segmentation tunnel")

	gone, err := c.DeleteTenant(testContext(t), "last")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CreateTenant(testContext(t), store.TenantSpec{Name: "more", Segmentation: store.SegmentationVLAN})
	expect(t, err, store.ErrExhausted, "4093 are in use", "1 are freed")

	releasePassed(t, c, gone)
	createTenant(t, c, store.TenantSpec{Name: "more", Segmentation: store.SegmentationVLAN})
	if got := get[store.Network](t, c, store.NetworkKey("more", "default")).Segment; got != left {
		t.Errorf("the one free VLAN id was %d, taken %d", left, got)
	}
}

func expect(t *testing.T, err, want error, says ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error does not say %q: %v", s, err)
		}
	}
}

func TestNetworkRefusals(t *testing.T) {
	c := start(t)
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	spec := func(name string, subnets ...string) store.NetworkSpec {
		return store.NetworkSpec{Tenant: "alice", Name: name, Subnets: prefixes(subnets...)}
	}
	if _, err := c.CreateNetwork(testContext(t), spec("web", "10.1.0.0/24", "fd00::/64")); err != nil {
		t.Fatal(err)
	}
	gateway := spec("x", "10.2.0.0/24")
	gateway.Gateways = append(gateway.Gateways, store.DefaultSubnet.Addr())
	mtu := spec("x", "fd01::/64")
	mtu.MTU = 1000
	stranger := spec("x", "10.2.0.0/24")
	stranger.Tenant = "nobody"
	for name, tc := range map[string]struct {
		spec store.NetworkSpec
		want error
		says string
	}{
		"again":         {spec("web", "10.2.0.0/24"), store.ErrExists, "alice/web"},
		"overlap":       {spec("x", "10.1.0.128/25"), store.ErrInvalid, "network alice/web"},
		"overlap v6":    {spec("x", "fd00::/48"), store.ErrInvalid, "network alice/web"},
		"no subnet":     {spec("x"), store.ErrInvalid, "no subnet"},
		"gateway":       {gateway, store.ErrInvalid, "10.0.0.0"},
		"MTU":           {mtu, store.ErrInvalid, "1280"},
		"no tenant":     {stranger, store.ErrNotFound, "nobody"},
		"name":          {spec("-", "10.2.0.0/24"), store.ErrInvalid, "DNS label"},
		"transit range": {spec("x", "100.64.0.0/24"), store.ErrInvalid, "transit"},
	} {
		_, err := c.CreateNetwork(testContext(t), tc.spec)
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want %v saying %s", name, err, tc.want, tc.says)
		}
	}
}

// Networks made at once in one tenant with overlapping subnets: one of them may exist.
func TestConcurrentOverlap(t *testing.T) {
	c := start(t)
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	ctx := testContext(t)
	made := 0
	for i, err := range together(10, func(i int) error {
		_, err := c.CreateNetwork(ctx, store.NetworkSpec{Tenant: "alice", Name: numbered(i), Subnets: prefixes("10.1.0.0/24")})
		return err
	}) {
		if err == nil {
			made++
		} else if !errors.Is(err, store.ErrInvalid) {
			t.Errorf("network %d: %v", i, err)
		}
	}
	if made != 1 {
		t.Errorf("%d networks of one subnet were made", made)
	}
}

// The transit range changes while there are no tenants, and a tenant is made of what it is then.
func TestSetTransit(t *testing.T) {
	c := start(t)
	ctx := testContext(t)
	other := netip.MustParsePrefix("198.18.0.0/15")
	for range 2 { // the second time there is nothing to do
		if err := c.SetTransit(ctx, other); err != nil {
			t.Fatal(err)
		}
	}
	if got := get[store.Settings](t, c, store.SettingsKey()); got.Transit != other {
		t.Errorf("the transit range is %s", got.Transit)
	}
	spec := store.TenantSpec{Name: "alice", Segmentation: store.SegmentationTunnel, Subnets: []netip.Prefix{netip.MustParsePrefix("198.18.4.0/24")}}
	_, err := c.CreateTenant(ctx, spec)
	expect(t, err, store.ErrInvalid, "198.18.0.0/15, the transit range")
	spec.Subnets = []netip.Prefix{netip.MustParsePrefix("100.64.4.0/24")}
	if _, err := c.CreateTenant(ctx, spec); err != nil {
		t.Fatal(err)
	}
	expect(t, c.SetTransit(ctx, store.DefaultTransit.Prefix), store.ErrInUse, "1 tenants have addresses in 198.18.0.0/15")
	if err := c.SetTransit(ctx, other); err != nil {
		t.Errorf("to set what is set: %v", err)
	}
}

// A tenant with a time to live is removed by what nobody but an idle tenant's mark allows, with all of its
// networks, and leaves nothing but tombstones; a port that comes at the same time keeps it.
func TestTenantEnds(t *testing.T) {
	c, ctx := start(t), testContext(t)
	register(t, c, "h1")
	before := keysUnder(t, c, "alloc/")
	createTenant(t, c, store.TenantSpec{Name: "batch", TTL: 2 * time.Hour})
	if _, err := c.CreateNetwork(ctx, store.NetworkSpec{Tenant: "batch", Name: "db", Subnets: prefixes("10.9.0.0/24")}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	marks := func(s *store.State) (store.Proposal, error) { return store.ProposeIdle(s, "batch", began) }
	ends := func(meanwhile func()) func(*store.State) (store.Proposal, error) {
		return func(s *store.State) (store.Proposal, error) {
			p, err := store.ProposeEnd(s, "batch", began.Add(2*time.Hour))
			meanwhile()
			return p, err
		}
	}
	port := portSpec("h1", "batch", "p1")
	createPort(t, c, port)
	_, err := c.Decide(ctx, marks, store.NeededForIdle("batch")...)
	expect(t, err, store.ErrInUse, "batch/default/p1")
	remove := func() {
		if _, err := c.DeletePort(ctx, port.Key(), 0); err != nil {
			t.Fatal(err)
		}
	}
	remove()
	if _, err := c.Decide(ctx, marks, store.NeededForIdle("batch")...); err != nil {
		t.Fatal(err)
	}
	_, err = c.Decide(ctx, ends(func() { createPort(t, c, port) }), store.NeededToEnd("batch")...)
	expect(t, err, store.ErrInUse, "batch/default/p1")
	remove()
	gone, err := c.Decide(ctx, ends(func() {}), store.NeededToEnd("batch")...)
	if err != nil {
		t.Fatal(err)
	}
	releasePassed(t, c, gone)
	for _, under := range []string{"tenants/", "networks/", "idle/"} {
		if left := keysUnder(t, c, under); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
	if diff := cmp.Diff(before, keysUnder(t, c, "alloc/")); diff != "" {
		t.Errorf("left under alloc/ (-before +after):\n%s", diff)
	}
}
