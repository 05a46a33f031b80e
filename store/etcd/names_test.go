package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// invalidNames are no names of anything. The first is where h1 has the ports of alice.
func invalidNames() []string {
	return []string{"h1/alice", "", ".", "..", "a/", "/a", "A", "h1/alice/", "%", "a b"}
}

// nameless are the methods of Client that are given no name.
func nameless() []string {
	return []string{"Close", "Problems", "UnknownKinds", "UnreadablePorts", "GrantLease", "HostsChanged", "LiveChanged", "Watch", "Follow", "At", "Confines", "Confine", "Doubtful", "SetTransit", "Tombstones", "ReleaseTombstones",
		"ExtendChain", "Trust", "Trusted", "AddressesChanged", "EgressChanged", "PublishedChanged", "Requests", "RealizedEverywhere", "Reached", "Reports", "Allocs", "RestoreTaken", "FreeStrays", "StillStrays", "Usages", "Counters", "Foresee"}
}

// byName calls each method of Client that is given names with one that is not valid.
func byName(ctx context.Context, c *Client, name string) map[string][]func() error {
	port := store.PortKey("h1", name, "default", "a1")
	spec := func(host, tenant, network, name string) func() error {
		return func() error {
			_, err := c.CreatePort(ctx, store.PortSpec{Host: host, Tenant: tenant, Network: network, Name: name, UID: uid()})
			return err
		}
	}
	return map[string][]func() error{
		"Get":    {func() error { _, _, err := c.Get(ctx, store.HostKey(name)); return err }},
		"List":   {func() error { _, _, err := c.List(ctx, store.KindPort, name); return err }},
		"Delete": {func() error { _, err := c.Delete(ctx, store.GatewayKey(name)); return err }},
		"PutIf": {func() error {
			_, err := c.PutIf(ctx, store.GatewayKey(name), &store.Gateway{}, 0, 0)
			return err
		}},
		"PutStatus": {
			func() error { return c.PutStatus(ctx, []store.Event{{Key: store.StatusHostKey(name)}}) },
			func() error {
				return c.PutStatus(ctx, []store.Event{{Key: store.StatusHostKey("h1")}}, store.NewState().FenceHost(name)...)
			},
		},
		"Claim": {func() error {
			_, err := c.Claim(ctx, name, &store.Master{Controller: "c1"}, 0, 0, &store.StatusHost{})
			return err
		}},
		"Decide": {func() error {
			_, err := c.Decide(ctx, func(*store.State) (store.Proposal, error) { return store.Proposal{}, nil }, store.Under(store.KindPort, name))
			return err
		}},
		"Remove":        {func() error { _, err := c.Remove(ctx, store.TenantKey(name), name); return err }},
		"RegisterHost":  {func() error { _, err := c.RegisterHost(ctx, name, hostObject("h1")); return err }},
		"MayRegister":   {func() error { return c.MayRegister(ctx, name, hostObject("h1")) }},
		"DeleteHost":    {func() error { _, err := c.DeleteHost(ctx, name); return err }},
		"ClearHost":     {func() error { _, err := c.ClearHost(ctx, name, 1<<40); return err }},
		"CreateTenant":  {func() error { _, err := c.CreateTenant(ctx, store.TenantSpec{Name: name}); return err }},
		"DeleteTenant":  {func() error { _, err := c.DeleteTenant(ctx, name); return err }},
		"CreateNetwork": {func() error { _, err := c.CreateNetwork(ctx, network(name, "n")); return err }, func() error { _, err := c.CreateNetwork(ctx, network("alice", name)); return err }},
		"DeleteNetwork": {func() error {
			_, err := c.DeleteNetwork(ctx, store.NetworkName{Tenant: name, Network: "default"})
			return err
		}},
		"CreatePort": {spec(name, "alice", "default", "a2"), spec("h1", name, "default", "a2"), spec("h1", "alice", name, "a2"), spec("h1", "alice", "default", name)},
		"Reserve": {
			func() error { r := reservation(name, "r"); _, err := c.Reserve(ctx, r); return err },
			func() error { r := reservation("h1", name); _, err := c.Reserve(ctx, r); return err },
			func() error { r := reservation("h1", "r"); r.Tenant = name; _, err := c.Reserve(ctx, r); return err },
			func() error { r := reservation("h1", "r"); r.Network = name; _, err := c.Reserve(ctx, r); return err },
		},
		"Unreserve": {
			func() error { return c.Unreserve(ctx, name, aliceDefault, netip.MustParseAddr("10.0.0.9")) },
			func() error {
				return c.Unreserve(ctx, "h1", store.NetworkName{Tenant: name, Network: "default"}, netip.MustParseAddr("10.0.0.9"))
			},
		},
		"TakePortBack": {func() error {
			_, err := c.TakePortBack(ctx, store.Readoption{Key: port, Port: store.Port{UID: uid(), MAC: store.MACFromUint64(2 << 40)}})
			return err
		}},
		"ForgetFarewells": {func() error {
			_, err := c.ForgetFarewells(ctx, []store.Event{{Key: store.FarewellKey(name), Object: &store.Farewell{}, Modified: 1}})
			return err
		}},
		"RemoveUnreadable": {func() error {
			_, err := c.RemoveUnreadable(ctx, []UnreadablePort{{Key: port, Modified: 1}})
			return err
		}},
		"SayWord": {func() error { _, _, err := c.SayWord(ctx, name, store.WordAdopt); return err }},
		"NetworkMACs": {func() error {
			_, err := c.NetworkMACs(ctx, store.NetworkName{Tenant: name, Network: name}, 9)
			return err
		}},
		"DeletePortOf": {func() error { _, err := c.DeletePortOf(ctx, port, "u", 0); return err }},
		"UndoPort":     {func() error { _, err := c.UndoPort(ctx, port, "u", 0); return err }},
		"DeletePort":   {func() error { _, err := c.DeletePort(ctx, port, 0); return err }},
		"TenantHosts":  {func() error { _, _, err := c.TenantHosts(ctx, name, 9); return err }},
		"WaitHost": {
			func() error { return c.WaitHost(ctx, name, 1, store.Key{}) },
			func() error { return c.WaitHost(ctx, "h1", 1, port) },
		},
		"WaitAll": {
			func() error { _, err := c.WaitAll(ctx, []string{"h1", name}, 1, store.Key{}); return err },
			func() error { _, err := c.WaitAll(ctx, []string{"h1", "h2"}, 1, port); return err },
		},
		"KeepUsers":  {func() error { return c.KeepUsers(ctx, []string{"h1", name}) }},
		"AddUser":    {func() error { return c.AddUser(ctx, name) }},
		"AuditUsers": {func() error { return c.AuditUsers(ctx, []string{"h1", name}) }},
		"Elect":      {func() error { return c.term(ctx, name, "c1", func(bool) {}) }},
	}
}

func network(tenant, name string) store.NetworkSpec {
	return store.NetworkSpec{Tenant: tenant, Name: name, Subnets: prefixes("10.9.0.0/24")}
}

// Every method refuses every name that is none, whatever it would do with it, and changes nothing.
func TestNamesAreCheckedAtTheEdge(t *testing.T) {
	c := start(t)
	ctx := testContext(t)
	register(t, c, "h1")
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	createPort(t, c, portSpec("h1", "alice", "a1"))
	before := dumped(t, c)
	for _, name := range invalidNames() {
		calls := byName(ctx, c, name)
		for m := range reflect.TypeFor[*Client]().Methods() {
			if slices.Contains(nameless(), m.Name) {
				continue
			}
			if len(calls[m.Name]) == 0 {
				t.Errorf("%s is not called here: does it refuse names that are not valid?", m.Name)
			}
			for i, call := range calls[m.Name] {
				// What is said names the name, as people wrote it.
				if err := call(); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), fmt.Sprintf("name %q", name)) {
					t.Errorf("%s (%d) of %q: %v", m.Name, i, name, err)
				}
			}
		}
	}
	if diff := cmp.Diff(before, dumped(t, c)); diff != "" {
		t.Errorf("etcd changed (-before +after):\n%s", diff)
	}
}

// dumped is all that etcd holds, by key, but for what elections and leases write by themselves.
func dumped(t testing.TB, c *Client) map[string]string {
	t.Helper()
	got, err := c.etcd.Get(testContext(t), store.Prefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, kv := range got.Kvs {
		all[strings.TrimPrefix(string(kv.Key), store.Prefix)] = string(kv.Value)
	}
	return all
}
