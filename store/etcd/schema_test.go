package etcd

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// setSchema is what a newer version writes.
func setSchema(t *testing.T, c *Client, least int) {
	t.Helper()
	if _, err := c.etcd.Put(testContext(t), store.SchemaKey().String(), fmt.Sprintf(`{"least":%d}`, least)); err != nil {
		t.Fatal(err)
	}
}

// A store that no host serves yet is for this version and newer ones; one that older versions made
// stays theirs until the operator says otherwise.
func TestNewStoresAreForThisVersion(t *testing.T) {
	p := newPlace(t)
	for _, hosts := range []int{0, 1} {
		p.serve(t.TempDir())
		c := connect(t, p.client)
		for n := range hosts {
			register(t, c, numbered(n))
		}
		_, trust := trusting(t, p.client, controllerTrust(filepath.Join(t.TempDir(), "memory.json")))
		p.until(trust, "it has its identity", believed)
		state, err := c.view(testContext(t), store.SchemaKey().String())
		if err != nil {
			t.Fatal(err)
		}
		want := store.SchemaVersion
		if hosts > 0 {
			want = 1
		}
		if got := state.LeastSchema(); got != want {
			t.Errorf("with %d hosts schema %d may write, want %d", hosts, got, want)
		}
	}
}

// A store that is empty begins with gateways that fail over; one that has anything keeps what it has.
func TestNewStoresFailOver(t *testing.T) {
	p := newPlace(t)
	for name, tt := range map[string]struct {
		make func(*Client)
		want store.Settings
	}{
		"empty":                {func(*Client) {}, *store.FirstSettings()},
		"of hosts":             {func(c *Client) { register(t, c, "h1") }, store.Settings{}},
		"of tenants":           {func(c *Client) { createTenant(t, c, store.TenantSpec{Name: "alice"}) }, store.Settings{}},
		"of somebody's choice": {func(c *Client) { setTransit(t, c) }, store.Settings{Transit: otherTransit}},
	} {
		p.serve(t.TempDir())
		tt.make(connect(t, p.client))
		c, trust := trusting(t, p.client, controllerTrust(filepath.Join(t.TempDir(), "memory.json")))
		p.until(trust, name+" has its identity", believed)
		state, err := c.view(testContext(t), store.SettingsKey().String())
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := state.Settings(); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("a store %s: %+v, want %+v", name, got, tt.want)
		}
	}
}

var otherTransit = netip.MustParsePrefix("198.18.0.0/15")

func setTransit(t *testing.T, c *Client) {
	t.Helper()
	if err := c.SetTransit(testContext(t), otherTransit); err != nil {
		t.Fatal(err)
	}
}

// TestTooOldForTheStore raises the schema under a client that runs: it takes in nothing any more and
// writes nothing, whoever adopts, and goes on by itself once it may.
func TestTooOldForTheStore(t *testing.T) {
	p := newPlace(t)
	p.serve(t.TempDir())
	o := controllerTrust(filepath.Join(t.TempDir(), "memory.json"))
	o.Adopt = true
	c, trust := trusting(t, p.client, o)
	register(t, c, "h1")
	f := follow(t, c.Watch)
	f.until(createTenant(t, c, store.TenantSpec{Name: "alice"}))
	newer := connect(t, p.client)
	setSchema(t, newer, store.SchemaVersion+1)
	createTenant(t, newer, store.TenantSpec{Name: "of-a-newer-one"})
	p.until(trust, "it holds", holding(store.Newer))
	if state := trust.State(); state.Help != helpNewer || state.Why == "" {
		t.Errorf("it says %q, help %q", state.Why, state.Help)
	}
	before := everything(t, p.client)
	_, createErr := c.CreateTenant(testContext(t), store.TenantSpec{Name: "bob"})
	_, _, getErr := c.Get(testContext(t), store.TenantKey("alice"))
	ctx, cancel := shortContext(t)
	defer cancel()
	_, leaseErr := c.GrantLease(ctx, 10)
	for what, err := range map[string]error{"create": createErr, "get": getErr, "grant a lease": leaseErr} {
		if !errors.Is(err, store.ErrHeld) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if diff := cmp.Diff(before, everything(t, p.client)); diff != "" {
		t.Errorf("it changed (-before +after):\n%s", diff)
	}
	if _, taken := f.held[store.TenantKey("of-a-newer-one")]; taken {
		t.Error("it took in what a newer version wrote")
	}

	o.File = filepath.Join(t.TempDir(), "none.json") // one that starts now, told to adopt
	_, fresh := trusting(t, p.client, o)
	p.until(fresh, "it holds", holding(store.Newer))

	setSchema(t, newer, store.SchemaVersion)
	p.until(trust, "it goes on", believed)
	f.until(createTenant(t, c, store.TenantSpec{Name: "bob"}))
	f.agrees(c)
	if _, taken := f.held[store.TenantKey("of-a-newer-one")]; !taken {
		t.Error("what a newer version wrote is not taken in")
	}
}

// A write that was under way when the schema was raised is not done: the transaction itself asks.
func TestNoWriteSlipsPastASchema(t *testing.T) {
	e := serve(t)
	c := connect(t, e.Endpoints()...)
	if _, err := c.Trust(controllerTrust(filepath.Join(t.TempDir(), "memory.json"))); err != nil { // nothing runs that would notice
		t.Fatal(err)
	}
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	newer := connect(t, e.Endpoints()...)
	setSchema(t, newer, store.SchemaVersion+1)
	if _, err := c.CreateTenant(testContext(t), store.TenantSpec{Name: "bob"}); !errors.Is(err, store.ErrHeld) {
		t.Errorf("create: %v", err)
	}
	if keys := keysUnder(t, newer, "tenants/"); len(keys) != 1 {
		t.Errorf("tenants: %v", keys)
	}
	if _, err := newer.etcd.Delete(testContext(t), store.SchemaKey().String()); err != nil {
		t.Fatal(err)
	}
	if err := c.trust.Judge(testContext(t)); err != nil {
		t.Fatal(err)
	}
	createTenant(t, c, store.TenantSpec{Name: "bob"})
}

// What a newer version keeps beside ours outlives all that we delete, and is counted.
func TestUnknownKindsAreKept(t *testing.T) {
	c := start(t)
	f := follow(t, c.Watch)
	f.next()
	created := register(t, c, "h1")
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	createTenant(t, c, store.TenantSpec{Name: "bob"})
	port := createPort(t, c, portSpec("h1", "alice", "a1"))
	foreign := []string{"policies/alice/default", "policies/alice/web", "shares/h1/alice/default/a1", "hostsettings/h1", "tenantlimits/alice"}
	for _, key := range foreign {
		if _, err := c.etcd.Put(testContext(t), store.Prefix+key, `{"number":1}`); err != nil {
			t.Fatal(err)
		}
	}
	f.until(change(t, c, "bob"))
	want := map[string]int{"policies": 2, "shares": 1, "hostsettings": 1, "tenantlimits": 1}
	if got := c.UnknownKinds(); !maps.Equal(got, want) || len(c.Problems()) > 0 {
		t.Errorf("unknown kinds %v, problems %v", got, c.Problems())
	}

	if _, err := c.DeletePort(testContext(t), port.Key, created); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteTenant(testContext(t), "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteHost(testContext(t), "h1"); err != nil {
		t.Fatal(err)
	}
	left := keysUnder(t, c, "")
	for _, key := range foreign {
		if !slices.Contains(left, key) {
			t.Errorf("%s is gone", key)
		}
	}
	if _, err := c.etcd.Delete(testContext(t), store.Prefix+"policies/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	f.until(change(t, c, "bob"))
	if got := c.UnknownKinds(); len(got) != 3 {
		t.Errorf("unknown kinds after the newer version deleted one: %v", got)
	}
}
