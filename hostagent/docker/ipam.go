package docker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/go-plugins-helpers/ipam"

	"sluice/hostagent/api"
)

// addressSpace is the name under which Docker asks this driver for pools.
const addressSpace = "sluice"

// pool is one subnet of a tenant's network. Docker knows it by its text, so that nothing of it needs
// to be kept.
type pool struct {
	standsFor
	prefix string
}

func (p pool) String() string { return p.Tenant + "/" + p.Network + "/" + p.prefix }

func parsePool(id string) (pool, error) {
	parts := strings.SplitN(id, "/", 3)
	if len(parts) != 3 {
		return pool{}, fmt.Errorf("pool %q is none of this driver's", id)
	}
	return pool{standsFor{parts[0], parts[1]}, parts[2]}, nil
}

// requestPool finds the subnet that the user named. Docker asks again for ever where it is given a
// subnet that one of the host's routes overlaps and nobody named: so it must be named.
func (d *Driver) requestPool(ctx context.Context, r ipam.RequestPoolRequest) (any, error) {
	said, err := texts("--ipam-opt", r.Options, optionTenant, optionNetwork)
	if err != nil {
		return nil, err
	}
	if r.SubPool != "" {
		return nil, fmt.Errorf("--ip-range %s is not possible: containers get addresses of the whole subnet", r.SubPool)
	}
	if r.Pool == "" {
		return nil, errors.New("--subnet is missing: name the subnet of a network of the tenant, see sluice network list")
	}
	prefix, err := netip.ParsePrefix(r.Pool)
	if err != nil {
		return nil, fmt.Errorf("--subnet %s: write it as 10.0.0.0/24", r.Pool)
	}
	text := prefix.Masked().String()
	found, subnets, err := d.find(ctx, "--ipam-opt", said, text)
	if err != nil {
		return nil, err
	}
	p := pool{found, text}
	d.pools.ask(p)
	answer := ipam.RequestPoolResponse{PoolID: p.String(), Pool: text}
	if gateway := gatewayOf(subnets, text); gateway != "" {
		answer.Data = map[string]string{keyGateway: gateway}
	}
	return answer, nil
}

// gatewayOf is the router's address in a subnet, with prefix length.
func gatewayOf(subnets []api.Subnet, prefix string) string {
	at := slices.IndexFunc(subnets, func(s api.Subnet) bool { return s.Prefix == prefix })
	if at < 0 || subnets[at].Gateway == "" {
		return ""
	}
	_, bits, _ := strings.Cut(prefix, "/")
	return subnets[at].Gateway + "/" + bits
}

// requestAddress takes an address for an endpoint that Docker is about to make, which its MAC tells
// from others.
func (d *Driver) requestAddress(ctx context.Context, r ipam.RequestAddressRequest) (any, error) {
	p, err := parsePool(r.PoolID)
	if err != nil {
		return nil, err
	}
	if r.Options[keyAddressFor] == keyGateway {
		return d.router(ctx, p, r.Address)
	}
	mac := r.Options[keyMAC]
	if mac == "" {
		return nil, fmt.Errorf("--aux-address %s is not possible: Sluice sets no addresses aside for Docker", r.Address)
	}
	reserved, err := patiently(ctx, d, d.agent.Reserve, api.ReserveRequest{
		Tenant: p.Tenant, Network: p.Network, Name: reservationName(mac), Subnet: p.prefix, Address: r.Address,
	})
	if err != nil {
		return nil, err
	}
	d.leases.taken(p.standsFor, reserved.Address)
	return ipam.RequestAddressResponse{Address: reserved.Address}, nil
}

// router answers the router's address: Docker asks for it where the user named one.
func (d *Driver) router(ctx context.Context, p pool, asked string) (any, error) {
	_, subnets, err := d.find(ctx, "--ipam-opt", map[string]string{optionTenant: p.Tenant, optionNetwork: p.Network}, p.prefix)
	if err != nil {
		return nil, err
	}
	gateway := gatewayOf(subnets, p.prefix)
	address, _, _ := strings.Cut(gateway, "/")
	switch {
	case address == "":
		return nil, fmt.Errorf("subnet %s of network %s has no router", p.prefix, p.standsFor)
	case asked != "" && asked != address:
		return nil, fmt.Errorf("--gateway %s: the router of subnet %s of network %s is %s", asked, p.prefix, p.standsFor, address)
	}
	return ipam.RequestAddressResponse{Address: gateway}, nil
}

// releaseAddress frees an address that no endpoint came for. That of a port went with the port.
func (d *Driver) releaseAddress(ctx context.Context, r ipam.ReleaseAddressRequest) (any, error) {
	p, err := parsePool(r.PoolID)
	if err != nil {
		return nothing{}, nil // an address that came with the endpoint has no pool
	}
	if !d.leases.released(p.standsFor, r.Address) {
		return nothing{}, nil
	}
	err = d.agent.Unreserve(ctx, api.UnreserveRequest{Tenant: p.Tenant, Network: p.Network, Address: r.Address})
	return nothing{}, err
}

// reservationName is the name under which an endpoint's addresses are reserved.
func reservationName(mac string) string {
	return "docker-" + strings.ReplaceAll(strings.ToLower(mac), ":", "")
}

// pools are those that Docker asked for a moment ago, for networks that it is about to make: so a
// network can be refused whose --ipam-opt and -o name different tenants.
type pools struct {
	mu    sync.Mutex
	asked []askedPool
}

type askedPool struct {
	pool
	at time.Time
}

// askedFor is how long a pool waits for its network. Docker asks for both in one request of a user's.
const askedFor = time.Minute

func (p *pools) ask(one pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = slices.DeleteFunc(p.asked, func(a askedPool) bool { return time.Since(a.at) > askedFor })
	p.asked = append(p.asked, askedPool{one, time.Now()})
}

// use takes the pools of a network out. It refuses where one was asked for in others' names alone.
func (p *pools) use(s standsFor, prefixes []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, prefix := range prefixes {
		own := slices.IndexFunc(p.asked, func(a askedPool) bool { return a.pool == pool{s, prefix} })
		other := slices.IndexFunc(p.asked, func(a askedPool) bool { return a.prefix == prefix })
		switch {
		case own >= 0:
			p.asked = slices.Delete(p.asked, own, own+1)
		case other >= 0:
			return fmt.Errorf("-o says network %s and --ipam-opt %s: both must name one tenant, and one network", s, p.asked[other].standsFor)
		}
	}
	return nil
}

// leases counts how often Docker was given an address and did not give it back. An address may be
// another endpoint's already when Docker releases it for the one before.
type leases struct {
	mu  sync.Mutex
	all map[string]int
}

func leaseOf(s standsFor, address string) string {
	address, _, _ = strings.Cut(address, "/")
	return s.String() + "/" + address
}

func (l *leases) taken(s standsFor, address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[leaseOf(s, address)]++
}

// released reports whether nobody has the address any more.
func (l *leases) released(s standsFor, address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := leaseOf(s, address)
	if l.all[key]--; l.all[key] > 0 {
		return false
	}
	delete(l.all, key)
	return true
}
