package etcd

import (
	"context"
	"fmt"
	"net/netip"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// Reserve takes an address for a port that is about to be made; see store.Reservation. Who repeats
// it, since the answer was lost, gets the same address.
func (c *Client) Reserve(ctx context.Context, r store.Reservation) (address netip.Prefix, err error) {
	request := func(s *store.State) (store.Proposal, error) {
		return r.Propose(s, func(a netip.Prefix) { address = a })
	}
	_, err = c.Decide(ctx, request, store.TenantKey(r.Tenant).String(),
		store.NetworkKey(r.Tenant, r.Network).String(), store.HostKey(r.Host).String(), r.Key().String())
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("reserve an address of %s/%s: %w", r.Tenant, r.Network, err)
	}
	return address, nil
}

// Unreserve frees an address that is reserved on a host. What belongs to a port, is reserved on
// another host, or is free already stays as it is.
func (c *Client) Unreserve(ctx context.Context, host string, network store.NetworkName, address netip.Addr) error {
	for _, name := range []string{host, network.Tenant, network.Network} {
		if err := store.ValidateName(name); err != nil {
			return fmt.Errorf("free address %s: %w: %w", address, store.ErrInvalid, err)
		}
	}
	if err := c.unreserve(ctx, host, store.AddressPath(network, address)); err != nil {
		return fmt.Errorf("free address %s of network %s: %w", address, network, err)
	}
	return nil
}

func (c *Client) unreserve(ctx context.Context, host, path string) error {
	got, _, err := c.read(ctx, clientv3.OpGet(path))
	if err != nil || len(got[0].Kvs) == 0 {
		return err
	}
	taken := allocKey(got[0].Kvs[0])
	owner, err := store.ParseKey(store.Prefix + taken.Owner)
	if err != nil || owner.Kind != store.KindPort || owner.Host != host {
		return nil // another's
	}
	return c.deleteUnchanged(ctx, got[0].Kvs, clientv3.Compare(clientv3.CreateRevision(owner.String()), "=", 0))
}
