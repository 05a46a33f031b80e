package etcd

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// PortSpec is what an agent says about a new port.
type PortSpec struct {
	Host string
	// HostCreated is the create revision of the host's registration: the write is refused
	// when the host was deleted since. 0: the host as it is now.
	HostCreated                store.Revision
	Tenant, Network, Name, UID string
	Address                    netip.Addr // zero: chosen. Other subnets' addresses are chosen.
	MAC                        store.MAC  // zero: derived
	ContainerID, Runtime       string
	Labels                     store.Labels
	Limits                     store.Limits
}

func (s PortSpec) key() store.Key { return store.PortKey(s.Host, s.Tenant, s.Network, s.Name) }

func (s PortSpec) validate() error {
	for _, err := range []error{store.ValidateName(s.Name), store.ValidateUID(s.UID)} {
		if err != nil {
			return err
		}
	}
	if s.MAC.IsZero() {
		return nil
	}
	return store.ValidateMAC(s.MAC)
}

// CreatePort makes a port, with a number, a MAC and an address in each subnet of its
// network. A port that exists with the same UID is returned as it is, so that an attach
// whose answer was lost may be repeated.
//
// The tenant's limit of ports holds also among concurrent creators: whoever finds it
// passed after its own write takes that write back. Two at the very limit may both be
// refused, and a creator that dies between the two writes leaves one port too many.
func (c *Client) CreatePort(ctx context.Context, s PortSpec) (store.Item[store.Port], error) {
	name := s.key().Short()
	if err := s.validate(); err != nil {
		return store.Item[store.Port]{}, fmt.Errorf("create port %s: %w: %w", name, store.ErrInvalid, err)
	}
	port, err := retry(ctx, func() (store.Item[store.Port], error) { return c.createPort(ctx, s) })
	if err != nil {
		return store.Item[store.Port]{}, fmt.Errorf("create port %s: %w", name, err)
	}
	return port, nil
}

// portParents are the objects that a port depends on, as they were read.
type portParents struct {
	tenant  *store.Item[store.Tenant]
	network *store.Item[store.Network]
	host    *store.Item[store.Host]
	ports   int64 // of the tenant
}

func (c *Client) createPort(ctx context.Context, s PortSpec) (store.Item[store.Port], error) {
	none := store.Item[store.Port]{}
	parents, mine, err := c.portParents(ctx, s)
	if err != nil || mine != nil && mine.Value.UID != s.UID {
		return none, cmpErr(err, store.ErrExists)
	}
	if mine != nil {
		return *mine, nil
	}
	if err := s.check(parents); err != nil {
		return none, err
	}
	takes, err := s.takes(parents.network.Value.Subnets)
	if err != nil {
		return none, err
	}
	var port *store.Port
	resp, err := c.commit(ctx, transaction{
		guards: s.guards(parents),
		allocs: takes.all(),
		ops: func() ([]clientv3.Op, error) {
			port = s.port(takes)
			ops, err := puts(store.Event{Key: s.key(), Object: port})
			return append(ops, portCount(s.Tenant)), err
		},
	})
	if err != nil {
		return none, err
	}
	at := store.Revision(resp.Header.Revision)
	created := store.Item[store.Port]{Key: s.key(), Value: port, Created: at, Modified: at}
	return created, c.keepLimit(ctx, parents, created, ranges(resp)[1].Count+1)
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func portCount(tenant string) clientv3.Op {
	return clientv3.OpGet(under(store.KindAlloc, allocPorts, tenant), clientv3.WithPrefix(), clientv3.WithCountOnly())
}

// portParents reads what a port depends on, and the port itself where it exists.
func (c *Client) portParents(ctx context.Context, s PortSpec) (portParents, *store.Item[store.Port], error) {
	got, _, err := c.read(ctx,
		clientv3.OpGet(store.TenantKey(s.Tenant).String()),
		clientv3.OpGet(store.NetworkKey(s.Tenant, s.Network).String()),
		clientv3.OpGet(store.HostKey(s.Host).String()),
		clientv3.OpGet(s.key().String()),
		portCount(s.Tenant))
	if err != nil {
		return portParents{}, nil, err
	}
	p := portParents{ports: got[4].Count}
	if p.tenant, err = item[store.Tenant](got[0]); err != nil {
		return p, nil, err
	}
	if p.network, err = item[store.Network](got[1]); err != nil {
		return p, nil, err
	}
	if p.host, err = item[store.Host](got[2]); err != nil {
		return p, nil, err
	}
	mine, err := item[store.Port](got[3])
	return p, mine, err
}

// check refuses what the parents do not allow.
func (s PortSpec) check(p portParents) error {
	switch {
	case p.tenant == nil:
		return fmt.Errorf("tenant %q: %w: no such tenant: see sluice tenant list", s.Tenant, store.ErrNotFound)
	case p.network == nil:
		return fmt.Errorf("network %s/%s: %w: no such network: see sluice network list", s.Tenant, s.Network, store.ErrNotFound)
	case p.host == nil && s.HostCreated == 0:
		return fmt.Errorf("host %q: %w: no such host is registered: see sluice host list", s.Host, store.ErrNotFound)
	case p.host == nil || s.HostCreated != 0 && p.host.Created != s.HostCreated:
		return hostGone(s.Host)
	case !p.tenant.Value.MayUse(s.Host):
		return fmt.Errorf("host %s: %w: tenant %s may use only %s", s.Host, store.ErrNotAllowed, s.Tenant, joined(p.tenant.Value.Hosts))
	case p.limit() > 0 && p.ports >= int64(p.limit()):
		return p.limitReached()
	}
	return nil
}

func hostGone(host string) error {
	return fmt.Errorf("host %s: %w: register it again", host, store.ErrHostGone)
}

func (p portParents) limit() int { return p.tenant.Value.Limits.Ports }

func (p portParents) limitReached() error {
	return fmt.Errorf("tenant %s: %w: it may have %d ports: detach some or raise the limit", p.tenant.Key.Tenant, store.ErrLimit, p.limit())
}

// guards hold while the parents are what they were and the port's name is free.
func (s PortSpec) guards(p portParents) []guard {
	return []guard{
		createdAt(p.host.Key.String(), p.host.Created, hostGone(s.Host)),
		unchanged(p.tenant.Key.String(), p.tenant.Modified),
		unchanged(p.network.Key.String(), p.network.Modified),
		absent(s.key().String(), func(*mvccpb.KeyValue) error { return errStale }),
	}
}

// keepLimit takes a port back when, in its own transaction, the tenant had too many.
func (c *Client) keepLimit(ctx context.Context, p portParents, port store.Item[store.Port], count int64) error {
	if p.limit() == 0 || count <= int64(p.limit()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	if _, err := c.DeletePort(ctx, port.Key, 0); err != nil {
		return fmt.Errorf("%w, and taking it back failed: %w", p.limitReached(), err)
	}
	return p.limitReached()
}

// portTakes are the values that a new port takes.
type portTakes struct {
	name, number, mac *allocation
	addresses         []*allocation
	prefixes          []netip.Prefix // the addresses' subnets
}

func (t portTakes) all() []*allocation {
	return append([]*allocation{t.name, t.number, t.mac}, t.addresses...)
}

func (s PortSpec) takes(subnets []store.Subnet) (portTakes, error) {
	key, scope := s.key(), s.Tenant+"/"+s.Network
	seed := key.Short()
	t := portTakes{
		name: fixed(allocPorts+"/"+scope, key, s.Name, func(owner string) error {
			return fmt.Errorf("%w as %s: choose another name", store.ErrExists, owner)
		}),
		// The UID keeps a port that is made again under its name apart from its tombstone.
		number: chosen(allocPortNumbers, key, seed+s.UID, number(1<<32-1), exhaustedNumbers("port numbers", "delete ports")),
		mac:    s.takeMAC(scope),
	}
	if s.Address.IsValid() && !slices.ContainsFunc(subnets, func(n store.Subnet) bool { return n.Prefix.Contains(s.Address) }) {
		return t, fmt.Errorf("address %s: %w: it is in no subnet of network %s", s.Address, store.ErrInvalid, scope)
	}
	for _, n := range subnets {
		a, err := s.takeAddress(scope, n)
		if err != nil {
			return t, err
		}
		t.addresses, t.prefixes = append(t.addresses, a), append(t.prefixes, n.Prefix)
	}
	return t, nil
}

func (s PortSpec) takeMAC(scope string) *allocation {
	dir := allocMACs + "/" + scope
	if s.MAC.IsZero() {
		return chosen(dir, s.key(), s.key().Short(), macs(), exhaustedNumbers("MACs", "delete ports"))
	}
	return fixed(dir, s.key(), s.MAC.String(), func(owner string) error {
		return fmt.Errorf("MAC %s: %w by %s: choose another, or none to be given one", s.MAC, store.ErrTaken, owner)
	})
}

func (s PortSpec) takeAddress(scope string, n store.Subnet) (*allocation, error) {
	dir := allocAddresses + "/" + scope
	if !n.Prefix.Contains(s.Address) {
		return chosen(dir, s.key(), s.key().Short(), addresses(n), func(int, int) error {
			return fmt.Errorf("addresses of subnet %s of network %s %w: all %d for ports are taken: detach ports or use a larger subnet",
				n.Prefix, scope, store.ErrExhausted, store.UsableCount(n.Prefix)-1)
		}), nil
	}
	if !n.Offers(s.Address) {
		first, last := store.UsableRange(n.Prefix)
		return nil, fmt.Errorf("address %s: %w: ports of subnet %s may have %s to %s but the router's %s", s.Address, store.ErrInvalid, n.Prefix, first, last, n.Gateway)
	}
	return fixed(dir, s.key(), s.Address.String(), func(owner string) error {
		return fmt.Errorf("address %s: %w by %s: choose another, or none to be given one", s.Address, store.ErrTaken, owner)
	}), nil
}

// port is the object with the values that are proposed now.
func (s PortSpec) port(t portTakes) *store.Port {
	p := &store.Port{
		UID: s.UID, Number: t.number.numberOf(), Interface: "sl-" + s.UID,
		ContainerID: s.ContainerID, Runtime: s.Runtime, Labels: s.Labels, Limits: s.Limits,
	}
	p.MAC, _ = store.ParseMAC(t.mac.value) // made or checked by takeMAC
	for i, a := range t.addresses {
		p.Addresses = append(p.Addresses, netip.PrefixFrom(a.addressOf(), t.prefixes[i].Bits()))
	}
	return p
}

// DeletePort removes a port and frees what it took. hostCreated is as in PortSpec, 0 for
// callers that are not the host's agent. store.ErrNotFound says that there is no such port.
func (c *Client) DeletePort(ctx context.Context, key store.Key, hostCreated store.Revision) (store.Revision, error) {
	rev, err := retry(ctx, func() (store.Revision, error) { return c.deletePort(ctx, key, hostCreated) })
	if err != nil {
		return 0, fmt.Errorf("delete port %s: %w", key.Short(), err)
	}
	return rev, nil
}

func (c *Client) deletePort(ctx context.Context, key store.Key, hostCreated store.Revision) (store.Revision, error) {
	if key.Kind != store.KindPort {
		return 0, fmt.Errorf("%w: it is no port's key", store.ErrInvalid)
	}
	got, _, err := c.read(ctx, clientv3.OpGet(key.String()))
	if err != nil {
		return 0, err
	}
	port, err := item[store.Port](got[0])
	if err != nil {
		return 0, err
	}
	if port == nil {
		return 0, fmt.Errorf("%w: no such port: see sluice port list", store.ErrNotFound)
	}
	guards := []guard{unchanged(key.String(), port.Modified)}
	if hostCreated != 0 {
		guards = append(guards, createdAt(store.HostKey(key.Host).String(), hostCreated, hostGone(key.Host)))
	}
	return c.commitOps(ctx, portRemoval(port), guards...)
}

// portRemoval removes a port and frees what it took.
func portRemoval(p *store.Item[store.Port]) []clientv3.Op {
	tenant, network := p.Key.Tenant, p.Key.Network
	ops := append(entomb(p.Key, p.Value),
		deleteOp(p.Key),
		release(allocPorts, tenant, network, p.Key.Name),
		release(allocMACs, tenant, network, p.Value.MAC.String()),
	)
	for _, a := range p.Value.Addresses {
		ops = append(ops, release(allocAddresses, tenant, network, a.Addr().String()))
	}
	return ops
}
