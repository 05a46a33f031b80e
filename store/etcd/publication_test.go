package etcd

import (
	"errors"
	"testing"

	"sluice/store"
)

// A publication of a port that is there is written; one of the same ports of the same host is refused, and all of a tenant go with it.
func TestPublication(t *testing.T) {
	c, ctx := start(t), testContext(t)
	register(t, c, "h1")
	for _, tenant := range []string{"alice", "bob"} {
		createTenant(t, c, store.TenantSpec{Name: tenant})
		createPort(t, c, portSpec("h1", tenant, "web"))
		if _, err := c.PutIf(ctx, store.GatewayKey(tenant), &store.Gateway{Active: "h1"}, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	publish := func(tenant string) error {
		known, err := c.view(ctx, store.Under(store.KindPort), store.Under(store.KindGateway), store.Under(store.KindPublication))
		if err != nil {
			t.Fatal(err)
		}
		spec := store.PublicationSpec{Tenant: tenant, Network: store.DefaultNetwork, Port: "web", Protocol: store.ProtocolTCP, First: 80, On: 8080, Count: 1}
		_, err = c.Decide(ctx, spec.Propose, spec.Needs(known)...)
		return err
	}
	there := func(tenant string) bool {
		o, _, err := c.Get(ctx, store.PublicationKey(tenant, "tcp-8080"))
		if err != nil {
			t.Fatal(err)
		}
		return o != nil
	}
	if err := publish("alice"); err != nil || !there("alice") {
		t.Fatalf("alice publishes: %v", err)
	}
	if err := publish("bob"); !errors.Is(err, store.ErrTaken) || there("bob") {
		t.Errorf("bob publishes on the same port of the same host: %v", err)
	}
	unpublish := func(tenant string) error {
		request := func(s *store.State) (store.Proposal, error) { return store.ProposeUnpublish(s, tenant, "tcp-8080") }
		_, err := c.Decide(ctx, request, store.PublicationKey(tenant, "tcp-8080").String())
		return err
	}
	if err := unpublish("alice"); err != nil || there("alice") {
		t.Errorf("alice unpublishes: %v", err)
	}
	if err := publish("bob"); err != nil || !there("bob") {
		t.Errorf("bob publishes then: %v", err)
	}
	if err := unpublish("alice"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("alice unpublishes again: %v", err)
	}
}
