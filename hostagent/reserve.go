package hostagent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"sluice/hostagent/api"
	"sluice/store"
)

// Reserve takes an address for a port that is attached soon, as runtimes want that ask for the
// address first. What nobody comes for is freed by Unreserve, or else by the leader, ten minutes later.
func (a *Agent) Reserve(ctx context.Context, r api.ReserveRequest) (api.Reservation, error) {
	one := store.Reservation{Host: a.o.Host, Tenant: r.Tenant, Network: r.Network, Name: r.Name}
	var err error
	if one.Subnet, err = netip.ParsePrefix(r.Subnet); err != nil {
		return api.Reservation{}, api.NewProblem(http.StatusUnprocessableEntity, "subnet %q is not written as 10.0.0.0/24", r.Subnet)
	}
	if r.Address != "" {
		if one.Address, err = parseAddress(r.Address); err != nil {
			return api.Reservation{}, err
		}
	}
	registration, err := a.awaitReady(ctx)
	if err != nil {
		return api.Reservation{}, err
	}
	one.HostCreated, one.HostLease = registration.Created, int64(registration.Lease.ID)
	address, err := a.o.Store.Reserve(ctx, one)
	if errors.Is(err, store.ErrLeaseLost) { // the agent registered again meanwhile
		if registration, err = a.awaitOther(ctx, one.HostLease); err != nil {
			return api.Reservation{}, err
		}
		one.HostCreated, one.HostLease = registration.Created, int64(registration.Lease.ID)
		address, err = a.o.Store.Reserve(ctx, one)
	}
	return api.Reservation{Address: address.String()}, err
}

// Unreserve frees an address that this host reserved and no port has.
func (a *Agent) Unreserve(ctx context.Context, r api.UnreserveRequest) error {
	address, err := parseAddress(r.Address)
	if err != nil {
		return err
	}
	return a.o.Store.Unreserve(ctx, a.o.Host, store.NetworkName{Tenant: r.Tenant, Network: r.Network}, address)
}

// Networks are those of a tenant.
func (a *Agent) Networks(ctx context.Context, tenant string) ([]api.Network, error) {
	if err := store.ValidateName(tenant); err != nil {
		return nil, api.NewProblem(http.StatusUnprocessableEntity, "tenant %q: %v", tenant, err)
	}
	list, _, err := a.o.Store.List(ctx, store.KindNetwork, tenant)
	if err != nil {
		return nil, fmt.Errorf("list networks of tenant %s: %w", tenant, err)
	}
	if len(list) == 0 { // each tenant has its default network
		return nil, api.NewProblem(http.StatusNotFound, "tenant %s does not exist: see sluice tenant list", tenant)
	}
	all := make([]api.Network, 0, len(list))
	for _, e := range list {
		n := api.Network{Tenant: e.Key.Tenant, Name: e.Key.Network}
		for _, s := range e.Object.(*store.Network).Subnets {
			n.Subnets = append(n.Subnets, api.Subnet{Prefix: s.Prefix.String(), Gateway: s.Gateway.String()})
		}
		all = append(all, n)
	}
	return all, nil
}
