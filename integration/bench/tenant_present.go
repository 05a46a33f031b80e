package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"sluice/datapath/fake"
	"sluice/datapath/openflow"
	"sluice/datapath/ovsdb"
	"sluice/integration/lab"
	"sluice/store"
)

// present are the tenants that are there while another is created. Each has a network with
// a port on two of the present hosts and its gateway on the first of them, with all that
// etcd keeps of a tenant that was created by command. The hosts are registered without an
// agent; their switches are simulated, dial the lab's controller, have the ports' interfaces
// and hold the flows that they are sent.
type present struct {
	hosts    int
	tenants  int // at most
	switches []*fake.Switch
	stop     func()
}

const (
	// presentHosts keeps a thousand ports on each at 10,000 tenants.
	presentHosts = 20
	// presentDatapath is the datapath id before those of simulated switches; agents choose
	// theirs at random.
	presentDatapath = 0xbe7c_0000
	presentPorts    = 2 // of each tenant
)

// presentSubnet is what `sluice tenant create` gives each tenant.
var presentSubnet = netip.MustParsePrefix("10.0.0.0/24")

func newPresent(hosts, tenants int) *present {
	p := &present{hosts: hosts, tenants: tenants, stop: func() {}}
	for h := range hosts {
		p.switches = append(p.switches, fake.New(presentDatapath+uint64(h)+1, p.interfaces(h)...))
	}
	return p
}

func presentHost(n int) string   { return fmt.Sprintf("present-%02d", n+1) }
func presentTenant(n int) string { return fmt.Sprintf("present-%05d", n+1) }

// at is the host of a tenant's port.
func (p *present) at(tenant, port int) int { return (tenant + port) % p.hosts }

// number is that of a tenant's port; no two have the same.
func (p *present) number(tenant, port int) int { return tenant*presentPorts + port + 1 }

func (p *present) interfaces(host int) []openflow.Port {
	list := []openflow.Port{
		{Number: openflow.PortLocal, Name: store.BridgeName},
		{Number: 1, Name: store.TunnelInterface}, {Number: 2, Name: store.GatewayInterface},
	}
	for t := range p.tenants {
		for port := range presentPorts {
			if p.at(t, port) == host {
				list = append(list, openflow.Port{Number: uint32(firstPort + len(list)), Name: fleetInterface(p.number(t, port))})
			}
		}
	}
	return list
}

// connect lets the switches dial the lab's controller until stop, each with its host's certificate.
func (p *present) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	p.stop = func() { cancel(); running.Wait() }
	for h, s := range p.switches {
		identity, err := lab.Certify(presentHost(h))
		if err != nil {
			return err
		}
		s.Probe = ovsdb.InactivityProbe
		running.Go(func() { keepConnected(ctx, s, identity.Client()) })
	}
	return nil
}

// keepConnected dials from the controller's own machine: the simulated hosts have none.
func keepConnected(ctx context.Context, s *fake.Switch, secure *tls.Config) {
	for ctx.Err() == nil {
		conn, err := lab.DialIn(ctx, lab.ControlNS, "tcp", openFlowAddress)
		if err == nil {
			s.Serve(ctx, tls.Client(conn, secure))
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// openFlowAddress is where the lab's controller serves switches.
var openFlowAddress = netip.AddrPortFrom(lab.ControlAddress, 6653).String()

// flows are those that the switches hold.
func (p *present) flows() int {
	sum := 0
	for _, s := range p.switches {
		sum += s.Flows()
	}
	return sum
}

func (p *present) hostNames() []string {
	names := make([]string, p.hosts)
	for h := range names {
		names[h] = presentHost(h)
	}
	return names
}

func (p *present) hostObjects() []store.Event {
	var all []store.Event
	for h := range p.hosts {
		all = append(all, store.Event{Key: store.HostKey(presentHost(h)), Object: &store.Host{
			Incarnation: presentHost(h), DatapathID: store.DatapathID(presentDatapath + uint64(h) + 1), Gateway: true,
			VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 31, 0, byte(h + 1)})}, Encap: "vxlan", UnderlayMTU: 1500,
		}})
	}
	return all
}

// tenantObjects are what etcd holds of one tenant without ports. The last is one that controllers watch: its
// revision is one that they reach.
func tenantObjects(n int, gateway string) []store.Event {
	tenant, network, number := presentTenant(n), store.NetworkKey(presentTenant(n), "default"), uint32(n+1)
	return []store.Event{
		taken(store.TenantKey(tenant), "tenant-numbers", fmt.Sprint(number)),
		taken(network, "network-numbers", fmt.Sprint(number)),
		{Key: store.TenantKey(tenant), Object: &store.Tenant{Number: number, Gateway: store.GatewayAuto}},
		{Key: store.GatewayKey(tenant), Object: &store.Gateway{Active: gateway, Epoch: 1}},
		{Key: network, Object: &store.Network{
			Number: number, Segmentation: store.SegmentationTunnel, Segment: number, Flood: store.FloodAuto,
			Subnets: []store.Subnet{{Prefix: presentSubnet, Gateway: store.DefaultGateway(presentSubnet)}},
		}},
	}
}

// objects are what etcd holds of one tenant with its ports.
func (p *present) objects(n int) []store.Event {
	tenant, all := presentTenant(n), tenantObjects(n, presentHost(p.at(n, 0)))
	for nth := range presentPorts {
		at := p.at(n, nth)
		key := store.PortKey(presentHost(at), tenant, "default", fmt.Sprint("p", nth+1))
		port := fleetPort{host: at, tenant: n, nth: nth}.object(p.number(n, nth))
		port.Addresses = []netip.Prefix{netip.PrefixFrom(store.UsableAt(presentSubnet, uint64(nth)+1), presentSubnet.Bits())}
		all = append(all,
			taken(key, "ports", tenant, "default", key.Name),
			taken(key, "port-numbers", fmt.Sprint(port.Number)),
			taken(key, "macs", tenant, "default", port.MAC.String()),
			taken(key, "addresses", tenant, "default", port.Addresses[0].Addr().String()),
			store.Event{Key: key, Object: port})
	}
	return all
}

// taken is the key that reserves a value for its owner.
func taken(owner store.Key, what ...string) store.Event {
	return store.Event{Key: store.AllocKey(what...), Object: &store.Alloc{Owner: owner.Short()}}
}

// grow writes tenants from one number to another, not included, and returns the revision at
// which all are there.
func (p *present) grow(ctx context.Context, c *clientv3.Client, from, to int) (store.Revision, error) {
	var all []store.Event
	for n := from; n < to; n++ {
		all = append(all, p.objects(n)...)
	}
	return write(ctx, c, all)
}

// clear removes the first tenants.
func (p *present) clear(ctx context.Context, c *clientv3.Client, tenants int) (store.Revision, error) {
	var all []store.Event
	for n := range tenants {
		for _, e := range p.objects(n) {
			all = append(all, store.Event{Key: e.Key})
		}
	}
	return write(ctx, c, all)
}

// write puts objects in etcd, or deletes them where they are nil, in large transactions, a few
// at one time. The revision is the last one's.
func write(ctx context.Context, c *clientv3.Client, all []store.Event) (rev store.Revision, err error) {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(loaders)
	for part := range slices.Chunk(all, loadOps) {
		g.Go(func() error {
			ops, err := opsOf(part)
			if err != nil {
				return err
			}
			done, err := c.Txn(ctx).Then(ops...).Commit()
			if err != nil {
				return fmt.Errorf("write to etcd: %w", err)
			}
			mu.Lock()
			defer mu.Unlock()
			rev = max(rev, store.Revision(done.Header.Revision))
			return nil
		})
	}
	err = g.Wait()
	return rev, err
}

// opsOf puts objects, or deletes them where they are nil.
func opsOf(part []store.Event) ([]clientv3.Op, error) {
	ops := make([]clientv3.Op, len(part))
	for i, e := range part {
		if e.Object == nil {
			ops[i] = clientv3.OpDelete(e.Key.String())
			continue
		}
		value, err := store.Encode(e.Object)
		if err != nil {
			return nil, err
		}
		ops[i] = clientv3.OpPut(e.Key.String(), string(value))
	}
	return ops, nil
}
