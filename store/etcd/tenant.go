package etcd

import (
	"context"
	"fmt"
	"net/netip"

	"sluice/store"
)

// CreateTenant makes a tenant and its network "default", and returns their revision.
func (c *Client) CreateTenant(ctx context.Context, s store.TenantSpec) (store.Revision, error) {
	if err := s.Validate(); err != nil {
		return 0, err
	}
	rev, err := c.Decide(ctx, s.Propose, store.Under(store.KindHost), store.SettingsKey().String())
	if err != nil {
		return 0, fmt.Errorf("create tenant %s: %w", s.Name, err)
	}
	return rev, nil
}

// CreateNetwork adds a network to a tenant and returns its revision.
func (c *Client) CreateNetwork(ctx context.Context, s store.NetworkSpec) (store.Revision, error) {
	rev, err := c.Decide(ctx, s.Propose,
		store.TenantKey(s.Tenant).String(), store.Under(store.KindNetwork, s.Tenant), store.Under(store.KindHost),
		store.SettingsKey().String())
	if err != nil {
		return 0, fmt.Errorf("create network %s/%s: %w", s.Tenant, s.Name, err)
	}
	return rev, nil
}

// SetTransit sets the cluster's transit range. It is refused while there are tenants.
func (c *Client) SetTransit(ctx context.Context, p netip.Prefix) error {
	request := func(s *store.State) (store.Proposal, error) { return store.ProposeTransit(s, p) }
	if _, err := c.Decide(ctx, request, store.SettingsKey().String(), store.Under(store.KindTenant)); err != nil {
		return fmt.Errorf("transit range %s: %w", p, err)
	}
	return nil
}

// DeleteTenant removes a tenant with its default network and gateway. It is refused while
// the tenant has ports or other networks, or where something that is presumed does not hold.
func (c *Client) DeleteTenant(ctx context.Context, name string, presumed ...store.Presumption) (store.Revision, error) {
	return c.Remove(ctx, store.TenantKey(name), name, presumed...)
}

// DeleteNetwork removes a network without ports, where all that is presumed holds.
func (c *Client) DeleteNetwork(ctx context.Context, n store.NetworkName, presumed ...store.Presumption) (store.Revision, error) {
	return c.Remove(ctx, store.NetworkKey(n.Tenant, n.Network), n.String(), presumed...)
}
