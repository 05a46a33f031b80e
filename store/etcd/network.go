package etcd

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// NetworkSpec is what a user says about a new network.
type NetworkSpec struct {
	Tenant, Name string
	Segmentation store.Segmentation // empty: tunnel
	Subnets      []netip.Prefix     // one at least
	// Gateways are the routers' addresses, one for each subnet in any order; a subnet
	// without one gets its first usable address.
	Gateways []netip.Addr
	MTU      int             // bytes of IP; 0: derived from the underlay
	Flood    store.FloodMode // empty: auto
}

// build checks the spec and makes the network of it, still without numbers.
func (s NetworkSpec) build(held []store.Holder) (store.Network, error) {
	n := store.Network{
		Segmentation: cmp.Or(s.Segmentation, store.SegmentationTunnel),
		MTU:          s.MTU,
		Flood:        cmp.Or(s.Flood, store.FloodAuto),
	}
	if len(s.Subnets) == 0 {
		return n, fmt.Errorf("%w: it has no subnet", store.ErrInvalid)
	}
	for _, err := range []error{
		store.ValidateName(s.Name),
		store.ValidateSegmentation(n.Segmentation),
		store.ValidateFlood(n.Flood),
		store.ValidateSubnets(s.Subnets, held),
		store.ValidateMTU(s.MTU, s.Subnets),
	} {
		if err != nil {
			return n, fmt.Errorf("%w: %w", store.ErrInvalid, err)
		}
	}
	subnets, err := s.subnets()
	n.Subnets = subnets
	return n, err
}

// subnets gives each subnet its router.
func (s NetworkSpec) subnets() ([]store.Subnet, error) {
	subnets := make([]store.Subnet, 0, len(s.Subnets))
	used := 0
	for _, p := range s.Subnets {
		subnet := store.Subnet{Prefix: p, Gateway: store.DefaultGateway(p)}
		for _, g := range s.Gateways {
			if !p.Contains(g) {
				continue
			}
			if err := store.ValidateGateway(g, p); err != nil {
				return nil, fmt.Errorf("%w: %w", store.ErrInvalid, err)
			}
			subnet.Gateway = g
			used++
		}
		subnets = append(subnets, subnet)
	}
	if used != len(s.Gateways) {
		return nil, fmt.Errorf("%w: a gateway of %v is in none of the subnets", store.ErrInvalid, s.Gateways)
	}
	return subnets, nil
}

// holders are the prefixes that a new network of a tenant must not touch: those of the
// tenant's other networks and every host's infrastructure.
func holders(networks []*store.Item[store.Network], hosts []*store.Item[store.Host]) []store.Holder {
	var held []store.Holder
	for _, n := range networks {
		for _, s := range n.Value.Subnets {
			held = append(held, store.Holder{Prefix: s.Prefix, By: "a subnet of network " + n.Key.NetworkName().String()})
		}
	}
	for _, h := range hosts {
		for _, p := range h.Value.Infrastructure {
			held = append(held, store.Holder{Prefix: p, By: "the infrastructure of host " + h.Key.Host})
		}
	}
	return held
}

// segment is what a new network takes: its number and, for VLAN networks, a VLAN id.
type segment struct{ number, vlan *allocation }

func newSegment(key store.Key, s store.Segmentation) segment {
	out := segment{number: chosen(allocNetworkNumbers, key, key.Short(), number(store.MaxNetworkNumber), exhaustedNumbers("network numbers", "delete networks"))}
	if s == store.SegmentationVLAN {
		out.vlan = chosen(allocVLANs, key, key.Short(), number(store.MaxVLAN), exhaustedNumbers("VLAN ids", "delete VLAN networks or use --segmentation tunnel"))
	}
	return out
}

func (s segment) allocs() []*allocation {
	if s.vlan == nil {
		return []*allocation{s.number}
	}
	return []*allocation{s.number, s.vlan}
}

// set is the network with the numbers that are proposed now.
func (s segment) set(n store.Network) *store.Network {
	n.Number = s.number.numberOf()
	n.Segment = n.Number
	if s.vlan != nil {
		n.Segment = s.vlan.numberOf()
	}
	return &n
}

func exhaustedNumbers(what, todo string) func(inUse, freed int) error {
	return func(inUse, freed int) error {
		return fmt.Errorf("%s %w: %d are in use and %d are freed but not yet forgotten by every host: %s", what, store.ErrExhausted, inUse, freed, todo)
	}
}

// CreateNetwork adds a network to a tenant and returns its revision.
func (c *Client) CreateNetwork(ctx context.Context, s NetworkSpec) (store.Revision, error) {
	rev, err := retry(ctx, func() (store.Revision, error) { return c.createNetwork(ctx, s) })
	if err != nil {
		return 0, fmt.Errorf("create network %s/%s: %w", s.Tenant, s.Name, err)
	}
	return rev, nil
}

func (c *Client) createNetwork(ctx context.Context, s NetworkSpec) (store.Revision, error) {
	tenantKey, key := store.TenantKey(s.Tenant), store.NetworkKey(s.Tenant, s.Name)
	got, at, err := c.read(ctx,
		clientv3.OpGet(tenantKey.String()),
		clientv3.OpGet(under(store.KindNetwork, s.Tenant), clientv3.WithPrefix()),
		clientv3.OpGet(under(store.KindHost), clientv3.WithPrefix()))
	if err != nil {
		return 0, err
	}
	tenant, err := item[store.Tenant](got[0])
	if err != nil {
		return 0, err
	}
	noTenant := fmt.Errorf("tenant %q: %w: no such tenant: see sluice tenant list", s.Tenant, store.ErrNotFound)
	if tenant == nil {
		return 0, noTenant
	}
	network, err := c.buildBeside(s, got[1], got[2])
	if err != nil {
		return 0, err
	}
	segment := newSegment(key, network.Segmentation)
	resp, err := c.commit(ctx, transaction{
		guards: []guard{
			createdAt(tenantKey.String(), tenant.Created, noTenant),
			absent(key.String(), func(*mvccpb.KeyValue) error { return fmt.Errorf("%w: choose another name", store.ErrExists) }),
			nothingNewUnder(under(store.KindNetwork, s.Tenant), at),
			nothingNewUnder(under(store.KindHost), at),
		},
		allocs: segment.allocs(),
		ops: func() ([]clientv3.Op, error) {
			return puts(store.Event{Key: key, Object: segment.set(network)})
		},
	})
	if err != nil {
		return 0, err
	}
	return store.Revision(resp.Header.Revision), nil
}

// buildBeside builds a network beside those that a tenant has.
func (c *Client) buildBeside(s NetworkSpec, networks, hosts *clientv3.GetResponse) (store.Network, error) {
	others, err := items[store.Network](networks)
	if err != nil {
		return store.Network{}, err
	}
	for _, n := range others {
		if n.Key.Network == s.Name {
			return store.Network{}, fmt.Errorf("%w: choose another name", store.ErrExists)
		}
	}
	return s.build(holders(others, c.decodeHosts(hosts)))
}

// DeleteNetwork removes a network without ports.
func (c *Client) DeleteNetwork(ctx context.Context, n store.NetworkName) (store.Revision, error) {
	rev, err := retry(ctx, func() (store.Revision, error) { return c.deleteNetwork(ctx, n) })
	if err != nil {
		return 0, fmt.Errorf("delete network %s: %w", n, err)
	}
	return rev, nil
}

func (c *Client) deleteNetwork(ctx context.Context, n store.NetworkName) (store.Revision, error) {
	key := store.NetworkKey(n.Tenant, n.Network).String()
	got, _, err := c.read(ctx, clientv3.OpGet(key))
	if err != nil {
		return 0, err
	}
	network, err := item[store.Network](got[0])
	if err != nil {
		return 0, err
	}
	if network == nil {
		return 0, fmt.Errorf("%w: no such network: see sluice network list", store.ErrNotFound)
	}
	return c.commitOps(ctx, networkRemoval(network),
		unchanged(key, network.Modified),
		noneUnder(under(store.KindAlloc, allocPorts, n.Tenant, n.Network), usedByPorts))
}

// networkRemoval removes a network and frees what it took.
func networkRemoval(n *store.Item[store.Network]) []clientv3.Op {
	return append(entomb(n.Key, n.Value), deleteOp(n.Key))
}

// puts are the operations that write objects.
func puts(events ...store.Event) ([]clientv3.Op, error) {
	ops := make([]clientv3.Op, 0, len(events))
	for _, e := range events {
		op, err := putOp(e.Key, e.Object)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

func joined(names []string) string { return strings.Join(names, ", ") }
