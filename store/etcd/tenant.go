package etcd

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// DefaultNetwork is the name of the network that a tenant is created with.
const DefaultNetwork = "default"

// DefaultSubnet is the default network's, where none is given. Tenants may share subnets.
var DefaultSubnet = netip.MustParsePrefix("10.0.0.0/24")

// TenantSpec is what a user says about a new tenant and its default network.
type TenantSpec struct {
	Name         string
	Gateway      string             // store.GatewayAuto (also when empty), GatewayCentral or a host
	Segmentation store.Segmentation // empty: tunnel
	Subnets      []netip.Prefix     // none: DefaultSubnet
	Hosts        []string           // hosts allowed; none: all
	Limits       store.Limits
	Labels       store.Labels
}

// network is the default network of a new tenant.
func (s TenantSpec) network() NetworkSpec {
	n := NetworkSpec{Tenant: s.Name, Name: DefaultNetwork, Segmentation: s.Segmentation, Subnets: s.Subnets}
	if len(n.Subnets) == 0 {
		n.Subnets = []netip.Prefix{DefaultSubnet}
	}
	return n
}

// CreateTenant makes a tenant and its network "default", and returns their revision.
func (c *Client) CreateTenant(ctx context.Context, s TenantSpec) (store.Revision, error) {
	s.Gateway = cmp.Or(s.Gateway, store.GatewayAuto)
	if err := store.ValidateName(s.Name); err != nil {
		return 0, fmt.Errorf("tenant: %w: %w", store.ErrInvalid, err)
	}
	if s.Limits.Ports < 0 {
		return 0, fmt.Errorf("tenant %s: %w: a limit of %d ports is negative", s.Name, store.ErrInvalid, s.Limits.Ports)
	}
	rev, err := retry(ctx, func() (store.Revision, error) { return c.createTenant(ctx, s) })
	if err != nil {
		return 0, fmt.Errorf("create tenant %s: %w", s.Name, err)
	}
	return rev, nil
}

func (c *Client) createTenant(ctx context.Context, s TenantSpec) (store.Revision, error) {
	got, at, err := c.read(ctx, clientv3.OpGet(under(store.KindHost), clientv3.WithPrefix()))
	if err != nil {
		return 0, err
	}
	hosts := c.decodeHosts(got[0])
	if err := s.checkHosts(hosts); err != nil {
		return 0, err
	}
	network, err := s.network().build(holders(nil, hosts))
	if err != nil {
		return 0, err
	}
	resp, err := c.commit(ctx, s.creation(network, at))
	if err != nil {
		return 0, err
	}
	return store.Revision(resp.Header.Revision), nil
}

// creation is the transaction that makes the tenant, from hosts read at a revision.
func (s TenantSpec) creation(network store.Network, at store.Revision) transaction {
	key, networkKey := store.TenantKey(s.Name), store.NetworkKey(s.Name, DefaultNetwork)
	// The revision keeps a tenant that is made again apart from its former self, whose
	// connections gateways may still know: the number is their conntrack zone.
	seed := fmt.Sprint(key.Short(), at)
	tenantNumber := chosen(allocTenantNumbers, key, seed, number(store.MaxTenantNumber), exhaustedNumbers("tenant numbers", "delete tenants"))
	segment := newSegment(networkKey, network.Segmentation)
	exists := func(*mvccpb.KeyValue) error { return fmt.Errorf("%w: choose another name", store.ErrExists) }
	return transaction{
		guards: []guard{
			absent(key.String(), exists),
			absent(networkKey.String(), exists),
			nothingNewUnder(under(store.KindHost), at),
		},
		allocs: append(segment.allocs(), tenantNumber),
		ops: func() ([]clientv3.Op, error) {
			return puts(
				store.Event{Key: key, Object: s.tenant(tenantNumber.numberOf())},
				store.Event{Key: networkKey, Object: segment.set(network)},
			)
		},
	}
}

func (s TenantSpec) tenant(number uint32) *store.Tenant {
	return &store.Tenant{Number: number, Gateway: s.Gateway, Hosts: s.Hosts, Limits: s.Limits, Labels: s.Labels}
}

// checkHosts refuses hosts that are not registered.
func (s TenantSpec) checkHosts(hosts []*store.Item[store.Host]) error {
	named := s.Hosts
	if s.Gateway != store.GatewayAuto && s.Gateway != store.GatewayCentral {
		named = append(slices.Clone(named), s.Gateway)
	}
	for _, name := range named {
		at := slices.IndexFunc(hosts, func(h *store.Item[store.Host]) bool { return h.Key.Host == name })
		if at < 0 {
			return fmt.Errorf("host %q: %w: no such host is registered: see sluice host list", name, store.ErrNotFound)
		}
		if name == s.Gateway && !hosts[at].Value.Gateway {
			return fmt.Errorf("host %s: %w: it is not gateway capable (its agent runs without --gateway)", name, store.ErrInvalid)
		}
	}
	return nil
}

// decodeHosts decodes hosts; one that cannot be read refuses nothing, and is logged.
func (c *Client) decodeHosts(r *clientv3.GetResponse) []*store.Item[store.Host] {
	hosts := make([]*store.Item[store.Host], 0, len(r.Kvs))
	for _, kv := range r.Kvs {
		h, err := item[store.Host](&clientv3.GetResponse{Kvs: []*mvccpb.KeyValue{kv}})
		if err != nil {
			c.log.Warn("host passed over", "err", err)
			continue
		}
		hosts = append(hosts, h)
	}
	return hosts
}

// DeleteTenant removes a tenant with its default network and gateway. It is refused while
// the tenant has ports or other networks.
func (c *Client) DeleteTenant(ctx context.Context, name string) (store.Revision, error) {
	rev, err := retry(ctx, func() (store.Revision, error) { return c.deleteTenant(ctx, name) })
	if err != nil {
		return 0, fmt.Errorf("delete tenant %s: %w", name, err)
	}
	return rev, nil
}

func (c *Client) deleteTenant(ctx context.Context, name string) (store.Revision, error) {
	key, networksUnder := store.TenantKey(name), under(store.KindNetwork, name)
	got, at, err := c.read(ctx, clientv3.OpGet(key.String()), clientv3.OpGet(networksUnder, clientv3.WithPrefix()))
	if err != nil {
		return 0, err
	}
	tenant, err := item[store.Tenant](got[0])
	if err != nil {
		return 0, err
	}
	if tenant == nil {
		return 0, fmt.Errorf("%w: no such tenant: see sluice tenant list", store.ErrNotFound)
	}
	networks, err := items[store.Network](got[1])
	if err != nil {
		return 0, err
	}
	ops := append(entomb(key, tenant.Value), deleteOp(key), deleteOp(store.GatewayKey(name)))
	for _, n := range networks {
		if n.Key.Network != DefaultNetwork {
			return 0, fmt.Errorf("%w: it has network %s: delete its networks but %q first", store.ErrInUse, n.Key.NetworkName(), DefaultNetwork)
		}
		ops = append(ops, networkRemoval(n)...)
	}
	return c.commitOps(ctx, ops,
		unchanged(key.String(), tenant.Modified),
		nothingNewUnder(networksUnder, at),
		noneUnder(under(store.KindAlloc, allocPorts, name), usedByPorts),
	)
}

// commitOps commits operations that take nothing.
func (c *Client) commitOps(ctx context.Context, ops []clientv3.Op, guards ...guard) (store.Revision, error) {
	resp, err := c.commit(ctx, transaction{guards: guards, ops: func() ([]clientv3.Op, error) { return ops, nil }})
	if err != nil {
		return 0, err
	}
	return store.Revision(resp.Header.Revision), nil
}

// usedByPorts names some of the ports under alloc/ports/ that a range found.
func usedByPorts(r *clientv3.GetResponse) error {
	names := make([]string, 0, len(r.Kvs))
	for _, kv := range r.Kvs {
		names = append(names, string(kv.Key[len(under(store.KindAlloc, allocPorts)):]))
	}
	more := ""
	if n := r.Count - int64(len(names)); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("%w: it has ports %s%s: detach them first", store.ErrInUse, joined(names), more)
}
