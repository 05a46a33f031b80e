package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"sluice/controller/client"
	"sluice/datapath/openflow"
	"sluice/store"
)

const (
	// millionAsleep is how many tenants have a network, a gateway and no container, beside those that are awake.
	millionAsleep, millionAwake, millionHosts = 990_000, 10_000, 1000
	// millionCreated is how many tenants are created by command at each level, so many at one time.
	millionCreated, millionAtOnce = 2000, 8
	// millionSlowdown bounds the time of one more tenant beside all to that in an empty cluster.
	millionSlowdown = 1.3
	// bytesOfTenant bounds the resident memory of a controller, for each tenant that sleeps.
	bytesOfTenant = 1200
	// millionSettle is how long the controller's memory settles before it is weighed.
	millionSettle = 30 * time.Second
)

func tenantsCase() Case {
	return Case{
		Name:  "tenants",
		About: "1,000,000 tenants, of which 10,000 have containers, on 1,000 simulated switches: creation, memory, cold start, one more tenant",
		Ratio: "Each level is measured once: without any tenant, with those that are awake, with all. Tenants that sleep are written to etcd in large " +
			"transactions; the rate of creation is of 2,000 more by the API, 8 at a time. The ratio is the median of single tenants, from the API's call until the " +
			"last switch confirmed its first container and its way out, beside all to that beside none.",
		Run: func(ctx context.Context, r *Run) error {
			awake := r.Size(millionAwake)
			m := &millionRun{asleep: r.Size(millionAsleep), fleetRun: &fleetRun{Run: r,
				fleet: newFleet(FleetSize{Hosts: r.Size(millionHosts), Tenants: awake, Ports: 2 * awake})}}
			defer m.end()
			return m.measure(ctx)
		},
	}
}

// millionRun is a fleet beside which ever more tenants sleep.
type millionRun struct {
	*fleetRun
	api    *client.Client
	asleep int
	made   int // tenants that were made by command
}

// single are the tenants that were made one by one at a level, and how fast others were made there.
type single struct {
	took []float64 // ms
	rate float64   // a second
}

func (m *millionRun) measure(ctx context.Context) error {
	objects := m.objects()
	if err := m.open(ctx, objects[:m.Hosts]); err != nil {
		return err
	}
	none, err := m.level(ctx, 0)
	if err != nil {
		return fmt.Errorf("an empty cluster: %w", err)
	}
	if err := m.clear(ctx); err != nil {
		return err
	}
	light, _, err := m.fill(ctx, objects[m.Hosts:])
	if err != nil {
		return fmt.Errorf("tenants that are awake: %w", err)
	}
	var sleepers []store.Event
	for n := range m.asleep {
		sleepers = append(sleepers, m.sleeper(n)...)
	}
	heavy, start, err := m.fill(ctx, sleepers)
	if err != nil {
		return fmt.Errorf("tenants that sleep: %w", err)
	}
	all, err := m.level(ctx, m.asleep+m.Tenants)
	if err != nil {
		return fmt.Errorf("all tenants: %w", err)
	}
	return m.told(none, all, start, (heavy-light)/float64(m.asleep))
}

// told reports what was measured.
func (m *millionRun) told(none, all single, start millionStart, bytes float64) error {
	res := Compare("ms", all.took, Other{"an empty cluster", AtMost(millionSlowdown), none.took})
	res.Params = m.params("one more tenant")
	if err := m.Done(res); err != nil {
		return err
	}
	return m.Done(Result{Params: m.params("all tenants"), Series: NewSeries("s", []float64{start.took.Seconds()}), Facts: []Fact{
		{Name: "cold start", Value: start.took.Seconds(), Unit: "s"},
		{Name: "of which reading etcd", Value: start.read.Seconds(), Unit: "s"},
		{Name: "resident memory of a tenant that sleeps", Value: bytes, Unit: "B", Bound: AtMost(bytesOfTenant)},
		{Name: "peak of resident memory", Value: start.peak / (1 << 20), Unit: "MiB"},
		{Name: "tenants created a second beside none", Value: none.rate, Unit: "/s"},
		{Name: "tenants created a second beside all", Value: all.rate, Unit: "/s"},
	}})
}

func (m *millionRun) params(what string) map[string]any {
	return map[string]any{"hosts": m.Hosts, "awake": m.Tenants, "asleep": m.asleep, "what": what}
}

// open starts a cluster of hosts alone.
func (m *millionRun) open(ctx context.Context, hosts []store.Event) error {
	m.Step("starting etcd, %d switches and a controller", m.Hosts)
	if err := m.startEtcd(ctx); err != nil {
		return err
	}
	at, err := m.load(ctx, hosts)
	if err != nil {
		return err
	}
	if m.switches, err = startSwitches(m.Binary, m.FleetSize, m.openflow); err != nil {
		return err
	}
	if err := m.startController(ctx); err != nil {
		return err
	}
	if m.api, err = client.Dial("http://"+m.fleetRun.api, client.WithTokenFile(filepath.Join(m.dir, "api.token"))); err != nil {
		return err
	}
	return m.realized(ctx, at)
}

// load writes objects, the first of them once more at the end: its revision is one that the controller is told of.
func (m *millionRun) load(ctx context.Context, objects []store.Event) (at int64, err error) {
	if err := load(ctx, m.client, objects); err != nil {
		return 0, err
	}
	value, err := store.Encode(objects[0].Object)
	if err != nil {
		return 0, err
	}
	put, err := m.client.Put(ctx, objects[0].Key.String(), string(value))
	if err != nil {
		return 0, fmt.Errorf("load etcd: %w", err)
	}
	return put.Header.Revision, nil
}

// millionStart is what a start of the controller took.
type millionStart struct {
	read, took time.Duration
	peak       float64
}

// fill writes objects while no controller runs, starts one, and weighs it once it settled.
func (m *millionRun) fill(ctx context.Context, objects []store.Event) (resident float64, start millionStart, err error) {
	m.Step("writing %d objects", len(objects))
	m.controller.stop()
	at, err := m.load(ctx, objects)
	if err != nil {
		return 0, start, err
	}
	m.Step("starting the controller")
	began := time.Now()
	if err := m.startController(ctx); err != nil {
		return 0, start, err
	}
	start.read = time.Since(began)
	if err := m.realized(ctx, at); err != nil {
		return 0, start, err
	}
	start.took = time.Since(began)
	select {
	case <-time.After(time.Duration(m.Scale * float64(millionSettle))):
	case <-ctx.Done():
		return 0, start, ctx.Err()
	}
	if start.peak, err = m.controller.status("VmHWM"); err != nil {
		return 0, start, err
	}
	resident, err = m.controller.status("VmRSS")
	return resident, start, err
}

// sleeper is a tenant without a container, as the API and the leader leave it where gateways do not fail over: no settings were written here.
func (m *millionRun) sleeper(n int) []store.Event {
	number := uint32(m.Tenants + n + 1)
	tenant := fmt.Sprintf("s%07d", n+1)
	active := fleetHost(n % m.Hosts)
	slot := uint32(store.MaxSlot - n/m.Hosts) // from above: tenants that are awake have their numbers
	return []store.Event{
		{Key: store.TenantKey(tenant), Object: &store.Tenant{Number: number, Gateway: store.GatewayAuto}},
		{Key: store.GatewayKey(tenant), Object: &store.Gateway{Active: active, Epoch: 1, Since: time.UnixMilli(1_700_000_000_000 + int64(n)).UTC(),
			Slots: map[string]uint32{active: slot},
			Why:   fmt.Sprintf("auto: the fewest tenants for its weight, %d at weight 1; ready gateway hosts: %d", n/m.Hosts, m.Hosts)}},
		{Key: store.NetworkKey(tenant, store.DefaultNetwork), Object: &store.Network{
			Number: number, Segmentation: store.SegmentationTunnel, Segment: number, Flood: store.FloodAuto,
			Subnets: []store.Subnet{{Prefix: fleetSubnet, Gateway: store.DefaultGateway(fleetSubnet)}},
		}},
	}
}

// level makes single tenants with a container each, and then many without.
func (m *millionRun) level(ctx context.Context, tenants int) (s single, err error) {
	if _, err := m.one(ctx); err != nil { // what is done once is no tenant's cost
		return s, err
	}
	for n := range m.Rounds {
		m.Step("%d tenants: one more, %d of %d", tenants, n+1, m.Rounds)
		ms, err := m.one(ctx)
		if err != nil {
			return s, err
		}
		s.took = append(s.took, ms)
	}
	m.Step("%d tenants: creating more", tenants)
	s.rate, err = m.create(ctx, m.Size(millionCreated))
	return s, err
}

// create makes tenants by the API, and returns how many in a second.
func (m *millionRun) create(ctx context.Context, tenants int) (rate float64, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(millionAtOnce)
	began := time.Now()
	for range tenants {
		m.made++
		name := fmt.Sprint("made-", m.made)
		g.Go(func() error {
			_, err := m.api.CreateTenant(ctx, client.TenantSpec{Name: name})
			return err
		})
	}
	err = g.Wait()
	return float64(tenants) / time.Since(began).Seconds(), err
}

// clear removes what was made by command: it drew numbers that the tenants have which are written next.
func (m *millionRun) clear(ctx context.Context) error {
	if _, err := m.client.Delete(ctx, store.Under(store.KindPort), clientv3.WithPrefix()); err != nil {
		return fmt.Errorf("remove the ports that were made: %w", err)
	}
	for n := range m.made {
		if _, err := m.api.DeleteTenant(ctx, fmt.Sprint("made-", n+1)); err != nil {
			return err
		}
	}
	return nil
}

// one makes a tenant, and its first container once it has a gateway. It takes until the last switch confirmed the container
// and the way out.
func (m *millionRun) one(ctx context.Context) (ms float64, err error) {
	m.made++
	host, number := m.made%m.Hosts, len(m.ports)+m.made
	p := fleetPort{host: host}
	iface := &openflow.Port{Number: uint32(1<<14 + m.made), Name: fleetInterface(number)}
	if _, err := m.switches.ask(fleetRequest{Host: host, Port: iface}); err != nil {
		return 0, err
	}
	began := time.Now()
	name := fmt.Sprint("made-", m.made)
	made, err := m.api.CreateTenant(ctx, client.TenantSpec{Name: name})
	if err != nil {
		return 0, err
	}
	if _, err := m.gateway(ctx, name, func(*store.Gateway) bool { return true }); err != nil {
		return 0, err
	}
	value, err := store.Encode(p.object(number))
	if err != nil {
		return 0, err
	}
	put, err := m.client.Put(ctx, store.PortKey(fleetHost(host), name, store.DefaultNetwork, "p1").String(), string(value))
	if err != nil {
		return 0, err
	}
	at, err := m.gateway(ctx, name, func(g *store.Gateway) bool { return made.Number <= store.MaxSlot || len(g.Slots) > 0 })
	if err != nil {
		return 0, err
	}
	if err := m.realized(ctx, max(at, put.Header.Revision)); err != nil {
		return 0, err
	}
	counts, err := m.switches.ask(fleetRequest{})
	return counts.LastBarrier.Sub(began).Seconds() * 1000, err
}

// gateway waits until a tenant's gateway is as it should be, and returns its revision.
func (m *millionRun) gateway(ctx context.Context, tenant string, is func(*store.Gateway) bool) (at int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, fleetPatience)
	defer cancel()
	key := store.GatewayKey(tenant)
	got, err := m.client.Get(ctx, key.String())
	if err != nil {
		return 0, fmt.Errorf("read the gateway of tenant %s: %w", tenant, err)
	}
	asWanted := func(kv *mvccpb.KeyValue) bool {
		o, err := store.Decode(key, kv.Value)
		return err == nil && is(o.(*store.Gateway))
	}
	for _, kv := range got.Kvs {
		if asWanted(kv) {
			return kv.ModRevision, nil
		}
	}
	// From now on: a watch from an early revision has etcd read all that was written since.
	for updates := m.client.Watch(ctx, key.String(), clientv3.WithRev(got.Header.Revision+1)); ; {
		select {
		case u := <-updates:
			if u.Err() != nil {
				return 0, fmt.Errorf("watch the gateway of tenant %s: %w", tenant, u.Err())
			}
			for _, e := range u.Events {
				if asWanted(e.Kv) {
					return e.Kv.ModRevision, nil
				}
			}
		case <-ctx.Done():
			return 0, fmt.Errorf("tenant %s has no gateway: %w", tenant, ctx.Err())
		}
	}
}
