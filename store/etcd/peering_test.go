package etcd

import (
	"testing"

	"sluice/store"
)

// Both sides' words are written in one transaction, one side's alone takes its own back, and those of a tenant
// that is deleted go with it.
func TestPeering(t *testing.T) {
	c, ctx := start(t), testContext(t)
	for i, tenant := range []string{"alice", "bob"} {
		subnet := []string{"10.1.0.0/24", "10.2.0.0/24"}[i]
		if _, err := c.CreateTenant(ctx, store.TenantSpec{Name: tenant, Subnets: prefixes(subnet)}); err != nil {
			t.Fatal(err)
		}
	}
	there := func(tenant, peer string) bool {
		o, _, err := c.Get(ctx, store.PeeringKey(tenant, peer))
		if err != nil {
			t.Fatal(err)
		}
		return o != nil
	}
	spec := store.PeeringSpec{Tenant: "alice", Peer: "bob", Both: true}
	if _, err := c.Decide(ctx, spec.Propose, spec.Needs(nil)...); err != nil || !there("alice", "bob") || !there("bob", "alice") {
		t.Fatalf("both sides' words: %v", err)
	}
	own := store.PeeringKey("alice", "bob")
	request := func(s *store.State) (store.Proposal, error) { return store.ProposeUnpeer(s, own) }
	if _, err := c.Decide(ctx, request, own.String()); err != nil || there("alice", "bob") || !there("bob", "alice") {
		t.Errorf("one side takes its word back: %v", err)
	}
	if _, err := c.Decide(ctx, spec.Propose, spec.Needs(nil)...); err != nil || !there("alice", "bob") {
		t.Errorf("it says it again: %v", err)
	}
	if _, err := c.DeleteTenant(ctx, "bob"); err != nil || there("bob", "alice") || !there("alice", "bob") {
		t.Errorf("bob is deleted: %v", err)
	}
}
