package bench

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"sluice/datapath/openflow"
	"sluice/store"
)

// FleetSize is how large a generated cluster is. Both processes of the case fleet generate the
// same one from it.
type FleetSize struct{ Hosts, Tenants, Ports int }

// spans are on how many hosts the networks of the first tenants have a port each, as far as
// there are so many hosts. Single ports are added to these.
var spans = []int{2, 10, 100, 1000}

const (
	// tenantHosts is on how many hosts any other tenant has its ports.
	tenantHosts = 4
	// firstPort is the OpenFlow number of a host's first container interface.
	firstPort = 16
	// loadOps and loaders bound the transactions that write a fleet: etcd takes 128 operations.
	loadOps, loaders = 120, 4
)

var fleetSubnet = netip.MustParsePrefix("10.0.0.0/16")

// fleet is a generated cluster.
type fleet struct {
	FleetSize
	ports []fleetPort
}

// fleetPort is one port by the numbers of its host and tenant, and which of its tenant's it is.
type fleetPort struct{ host, tenant, nth int }

func newFleet(size FleetSize) *fleet {
	f := &fleet{FleetSize: size}
	for t := range min(len(spans), size.Tenants) {
		for n := range f.span(t) {
			f.ports = append(f.ports, fleetPort{host: n, tenant: t, nth: n})
		}
	}
	rest := size.Tenants - len(spans)
	for n := 0; rest > 0 && len(f.ports) < size.Ports; n++ {
		t, nth := len(spans)+n%rest, n/rest
		f.ports = append(f.ports, fleetPort{host: (t*tenantHosts + nth%tenantHosts) % size.Hosts, tenant: t, nth: nth})
	}
	return f
}

// span is on how many hosts one of the first tenants has ports.
func (f *fleet) span(tenant int) int { return min(spans[tenant], f.Hosts) }

func fleetHost(n int) string           { return fmt.Sprintf("h%04d", n+1) }
func fleetTenant(n int) string         { return fmt.Sprintf("t%05d", n+1) }
func fleetDatapath(n int) uint64       { return uint64(n) + 1 }
func fleetInterface(number int) string { return fmt.Sprintf("sl-%012d", number) }
func fleetNetwork(n int) store.Key     { return store.NetworkKey(fleetTenant(n), "default") }
func (p fleetPort) name() string       { return fmt.Sprintf("p%d", p.nth+1) }
func (p fleetPort) key() store.Key {
	return store.PortKey(fleetHost(p.host), fleetTenant(p.tenant), "default", p.name())
}

// interfaces are the ports of each host's switch.
func (f *fleet) interfaces() [][]openflow.Port {
	all := make([][]openflow.Port, f.Hosts)
	for h := range all {
		all[h] = []openflow.Port{
			{Number: openflow.PortLocal, Name: store.BridgeName},
			{Number: 1, Name: store.TunnelInterface}, {Number: 2, Name: store.GatewayInterface},
		}
	}
	for n, p := range f.ports {
		number := uint32(firstPort + len(all[p.host]))
		all[p.host] = append(all[p.host], openflow.Port{Number: number, Name: fleetInterface(n + 1)})
	}
	return all
}

// objects are what etcd holds of the fleet.
func (f *fleet) objects() []store.Event {
	var all []store.Event
	for h := range f.Hosts {
		all = append(all, store.Event{Key: store.HostKey(fleetHost(h)), Object: &store.Host{
			Incarnation: fmt.Sprintf("i%d", h), DatapathID: store.DatapathID(fleetDatapath(h)), Gateway: true,
			VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 16, byte((h + 1) >> 8), byte(h + 1)})},
			Encap: "vxlan", UnderlayMTU: 1500,
		}})
	}
	gateways := map[int]int{}
	for n, p := range f.ports {
		if p.nth == 0 {
			gateways[p.tenant] = p.host
		}
		all = append(all, store.Event{Key: p.key(), Object: p.object(n + 1)})
	}
	for t := range f.Tenants {
		all = append(all,
			store.Event{Key: store.TenantKey(fleetTenant(t)), Object: &store.Tenant{Number: uint32(t + 1), Gateway: store.GatewayAuto}},
			store.Event{Key: store.GatewayKey(fleetTenant(t)), Object: &store.Gateway{Active: fleetHost(gateways[t]), Epoch: 1}},
			store.Event{Key: fleetNetwork(t), Object: &store.Network{
				Number: uint32(t + 1), Segmentation: store.SegmentationTunnel, Segment: uint32(t + 1), Flood: store.FloodAuto,
				Subnets: []store.Subnet{{Prefix: fleetSubnet, Gateway: store.DefaultGateway(fleetSubnet)}},
			}})
	}
	return all
}

// object is a port under a number that no other port has.
func (p fleetPort) object(number int) *store.Port {
	address := store.UsableAt(fleetSubnet, uint64(p.nth)+1)
	return &store.Port{
		UID: fmt.Sprintf("%012d", number), Number: uint32(number), Interface: fleetInterface(number),
		MAC:       store.MACFromUint64(0x02_00_00_00_00_00 + uint64(number)),
		Addresses: []netip.Prefix{netip.PrefixFrom(address, fleetSubnet.Bits())},
	}
}

// load writes objects in large transactions, and under alloc/ what they take: else the leader would restore that for as long as the
// fleet is measured.
func load(ctx context.Context, c *clientv3.Client, objects []store.Event) error {
	all := slices.Clip(objects)
	for _, e := range objects {
		for _, taken := range store.TakenBy(e.Key, e.Object) {
			all = append(all, store.Event{Key: taken.Key(), Object: &store.Alloc{Owner: taken.Owner.Short()}})
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(loaders)
	for part := range slices.Chunk(all, loadOps) {
		g.Go(func() error {
			ops := make([]clientv3.Op, len(part))
			for i, e := range part {
				value, err := store.Encode(e.Object)
				if err != nil {
					return err
				}
				ops[i] = clientv3.OpPut(e.Key.String(), string(value))
			}
			_, err := c.Txn(ctx).Then(ops...).Commit()
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("load etcd: %w", err)
	}
	return nil
}
