package etcd

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sluice/store"
)

// A plain delete refuses each kind whose objects hold numbers or parts, and no other.
func TestPlainDelete(t *testing.T) {
	c := start(t)
	for _, key := range []store.Key{
		store.TenantKey("alice"), store.NetworkKey("alice", "web"), store.HostKey("h1"), store.PortKey("h1", "alice", "web", "a1"),
	} {
		_, err := c.Delete(testContext(t), key)
		expect(t, err, store.ErrInvalid, "delete "+key.Short(), "it holds numbers or parts, which its own delete frees")
	}
	for _, key := range []store.Key{
		store.GatewayKey("alice"), store.MasterKey("h1"), store.LiveHostKey("h1"), store.LiveControllerKey("c1"),
		store.StatusHostKey("h1"), store.StatusControllerKey("c1"), store.StatusCountersKey("h1"), store.HappeningKey("00ff-k4"), store.UsageKey("h1"), store.AllocKey("vlans", "7"),
	} {
		if _, err := c.Delete(testContext(t), key); err != nil {
			t.Errorf("delete of %s: %v", key.Short(), err)
		}
	}
}

// A kind needs no methods of its own here: its request is decided, and its object removed, by
// what serves every kind. What they take is taken and freed all the same.
func TestRequestWithoutAMethodOfItsOwn(t *testing.T) {
	c := start(t)
	ctx, key := testContext(t), store.TenantKey("alice")
	spec := store.TenantSpec{Name: "alice"}
	if rev, err := c.Decide(ctx, spec.Propose, store.Under(store.KindHost)); err != nil || rev == 0 {
		t.Fatalf("revision %d, %v", rev, err)
	}
	_, err := c.Decide(ctx, spec.Propose, store.Under(store.KindHost), key.String())
	expect(t, err, store.ErrExists)
	made, _, err := c.Get(ctx, key)
	if err != nil || made == nil {
		t.Fatalf("alice is %v, %v", made, err)
	}
	taken := store.TakenBy(key, made)[0].Key()
	if owned, _, err := c.Get(ctx, taken); err != nil || owned == nil || owned.(*store.Alloc).Freed {
		t.Errorf("%s is %+v, %v", taken.Short(), owned, err)
	}
	if _, err := c.Remove(ctx, key, "alice"); err != nil {
		t.Fatal(err)
	}
	if freed, _, err := c.Get(ctx, taken); err != nil || freed == nil || !freed.(*store.Alloc).Freed {
		t.Errorf("%s is %+v, %v: want a tombstone", taken.Short(), freed, err)
	}
	_, err = c.Remove(ctx, key, "alice")
	expect(t, err, store.ErrNotFound, "delete tenant alice", "sluice tenant list")
}

// meanwhile is a request, and what another writer does after the request was decided and
// before it is written.
type meanwhile struct {
	request func(*store.State) (store.Proposal, error)
	needs   []string
	change  func(t *testing.T, c *Client)
	want    error
	says    string
}

// put writes an object over whatever is there; nil deletes.
func put(key store.Key, o store.Object) func(*testing.T, *Client) {
	return func(t *testing.T, c *Client) {
		t.Helper()
		if err := c.PutStatus(testContext(t), []store.Event{{Key: key, Object: o}}); err != nil {
			t.Fatal(err)
		}
	}
}

// twice deletes an object and writes it anew.
func twice(key store.Key, o store.Object) func(*testing.T, *Client) {
	return func(t *testing.T, c *Client) {
		t.Helper()
		put(key, nil)(t, c)
		put(key, o)(t, c)
	}
}

func attach(name string) func(*testing.T, *Client) {
	return func(t *testing.T, c *Client) {
		t.Helper()
		createPort(t, c, portSpec("h1", "alice", name))
	}
}

func deletion(key store.Key) func(*store.State) (store.Proposal, error) {
	return func(s *store.State) (store.Proposal, error) { return store.ProposeDelete(s, key) }
}

// races are one break of each presumption of each request.
func races() map[string]meanwhile {
	tenant, network, host := store.TenantKey("alice"), store.NetworkKey("alice", "default"), store.HostKey("h1")
	object := hostObject("h1")
	newTenant := store.TenantSpec{Name: "bob"}.Propose
	newNetwork := store.NetworkSpec{Tenant: "alice", Name: "web", Subnets: prefixes("10.1.0.0/24")}.Propose
	spec := portSpec("h1", "alice", "p1")
	newPort := func(s *store.State) (store.Proposal, error) { return spec.Propose(s, 0) }
	hosts, networks := store.Under(store.KindHost), store.Under(store.KindNetwork, "alice")
	forNetwork := []string{tenant.String(), networks, hosts}
	forPort := []string{tenant.String(), network.String(), host.String(), spec.Key().String()}
	return map[string]meanwhile{
		"delete tenant, changed":     {deletion(tenant), store.NeededToDelete(tenant), put(tenant, &store.Tenant{Number: 1}), errStale, ""},
		"delete tenant, new network": {deletion(tenant), store.NeededToDelete(tenant), put(store.NetworkKey("alice", "web"), &store.Network{}), errStale, ""},
		"delete tenant, new ports":   {deletion(tenant), store.NeededToDelete(tenant), attach("p1"), store.ErrInUse, "it has ports alice/default/p1: detach them first, and delete what is sticky"},
		"delete network, changed":    {deletion(network), store.NeededToDelete(network), put(network, &store.Network{}), errStale, ""},
		"delete network, new port":   {deletion(network), store.NeededToDelete(network), attach("p1"), store.ErrInUse, "it has ports alice/default/p1: detach them first, and delete what is sticky"},
		"delete host, changed":       {deletion(host), []string{host.String()}, put(host, &object), errStale, ""},

		"new tenant, same name":       {newTenant, []string{hosts}, put(store.TenantKey("bob"), &store.Tenant{}), store.ErrExists, "choose another name"},
		"new tenant, network is left": {newTenant, []string{hosts}, put(store.NetworkKey("bob", "default"), &store.Network{}), store.ErrExists, "choose another name"},
		"new tenant, host changed":    {newTenant, []string{hosts}, put(host, &object), errStale, ""},

		"new network, same name":    {newNetwork, forNetwork, put(store.NetworkKey("alice", "web"), &store.Network{}), store.ErrExists, "choose another name"},
		"new network, another":      {newNetwork, forNetwork, put(store.NetworkKey("alice", "db"), &store.Network{}), errStale, ""},
		"new network, host changed": {newNetwork, forNetwork, put(host, &object), errStale, ""},
		"new network, other tenant": {newNetwork, forNetwork, twice(tenant, &store.Tenant{}), store.ErrNotFound, `tenant "alice"`},

		"new port, other host":      {newPort, forPort, twice(host, &object), store.ErrHostGone, "register it again"},
		"new port, tenant changed":  {newPort, forPort, put(tenant, &store.Tenant{}), errStale, ""},
		"new port, network changed": {newPort, forPort, put(network, &store.Network{}), errStale, ""},
		"new port, same key":        {newPort, forPort, put(spec.Key(), &store.Port{}), errStale, ""},
	}
}

// What a request presumes is compared in the transaction that writes it: whatever another
// writer changes in between refuses the request, and nothing of it is written.
func TestPresumptionsAreCompared(t *testing.T) {
	c := start(t)
	for name, tc := range races() {
		t.Run(name, func(t *testing.T) {
			if _, err := c.etcd.Delete(testContext(t), store.Prefix, prefixed("/")...); err != nil {
				t.Fatal(err)
			}
			object := hostObject("h1")
			put(store.HostKey("h1"), &object)(t, c)
			createTenant(t, c, store.TenantSpec{Name: "alice"})
			state, err := c.view(testContext(t), tc.needs...)
			if err != nil {
				t.Fatal(err)
			}
			p, err := tc.request(state)
			if err != nil {
				t.Fatal(err)
			}
			tc.change(t, c)
			before := keysUnder(t, c, "")
			_, err = c.write(testContext(t), p)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("written: %v, want %v saying %q", err, tc.want, tc.says)
			}
			if after := keysUnder(t, c, ""); !slices.Equal(before, after) {
				t.Errorf("refused, and keys went from %v to %v", before, after)
			}
		})
	}
}

// A presumption that this package does not know refuses the write.
func TestUnknownCondition(t *testing.T) {
	c := start(t)
	p := store.Proposal{Presumes: []store.Presumption{{Condition: "full moon", Path: store.TenantKey("a").String()}},
		Writes: []store.Event{{Key: store.TenantKey("a"), Object: &store.Tenant{}}}}
	if _, err := c.write(testContext(t), p); err == nil || !strings.Contains(err.Error(), "full moon") {
		t.Errorf("written: %v", err)
	}
	if got := keysUnder(t, c, ""); len(got) > 0 {
		t.Errorf("written: %v", got)
	}
}

// A host that cannot be read refuses no tenant and no network; a network that cannot be
// read refuses others beside it, since nobody knows its subnets.
func TestUnreadableNeighbours(t *testing.T) {
	c, ctx := start(t), testContext(t)
	if _, err := c.etcd.Put(ctx, store.HostKey("h1").String(), "{"); err != nil {
		t.Fatal(err)
	}
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	web := store.NetworkSpec{Tenant: "alice", Name: "web", Subnets: prefixes("10.1.0.0/24")}
	if _, err := c.CreateNetwork(ctx, web); err != nil {
		t.Error(err)
	}
	if _, err := c.etcd.Put(ctx, store.NetworkKey("alice", "web").String(), "{"); err != nil {
		t.Fatal(err)
	}
	web.Name = "db"
	if _, err := c.CreateNetwork(ctx, web); err == nil || !strings.Contains(err.Error(), "networks/alice/web") {
		t.Errorf("beside an unreadable network: %v", err)
	}
	if _, err := c.CreatePort(ctx, portSpec("h1", "alice", "a1")); err == nil || !strings.Contains(err.Error(), "hosts/h1") {
		t.Errorf("on an unreadable host: %v", err)
	}
	if _, err := c.DeleteHost(ctx, "h1"); err != nil {
		t.Errorf("delete of an unreadable host: %v", err)
	}
}
