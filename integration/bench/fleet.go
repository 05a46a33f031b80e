package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/datapath/openflow"
	"sluice/store"
)

// fleetPatience bounds each wait for a fleet; it is far more than any takes.
const fleetPatience = 10 * time.Minute

// fleetIdle is how long a fleet settles once all its hosts are proved, before it is measured idle: every switch is audited
// once meanwhile, as is done by default.
const fleetIdle = 70 * time.Second

func fleetCase() Case {
	return Case{
		Name:  "fleet",
		About: "1,000 simulated switches, 10,000 tenants, 100,000 ports: cold start, single ports, memory, idling",
		Ratio: "Networks of ever more hosts take turns, one port in each a round; the ratio is the median of the rounds' ratios to the " +
			"smallest network, and nothing bounds it. Flow mods are judged by what a port costs in the smallest. Starts and idling " +
			"are measured once, beside nothing.",
		Run: func(ctx context.Context, r *Run) error {
			size := FleetSize{Hosts: r.Size(1000), Tenants: r.Size(10_000), Ports: r.Size(100_000)}
			return measureFleet(ctx, r, size, time.Duration(float64(fleetIdle)*r.Scale))
		},
	}
}

const (
	// bytesOfPort bounds the resident memory of a controller, for each port.
	bytesOfPort = 3 << 10
	// peakOfFlow bounds what its memory grows beyond that while it brings switches up to date,
	// for each flow that they hold. A flow mod has at least 56 bytes (OpenFlow 1.3.5, 7.3.4.1):
	// whoever holds all hosts' flows at once has to miss this by far, even as bare bytes and
	// without garbage; half of them too.
	peakOfFlow = 24
)

// fleetRun is a fleet in three processes beside this one: etcd, the switches, the controller.
type fleetRun struct {
	*Run
	*fleet
	dir                     string
	endpoint, openflow, api string

	etcd, controller *process
	switches         *switches
	client           *clientv3.Client
	empty            float64 // bytes that a controller without a cluster takes
}

// measureFleet takes the fleet from nothing to its idling, restarts its controller, and ends its
// processes. It settles for so long before it is measured idle. Counters are not read.
func measureFleet(ctx context.Context, r *Run, size FleetSize, idle time.Duration) error {
	f := &fleetRun{Run: r, fleet: newFleet(size)}
	defer f.end()
	if err := f.begin(ctx); err != nil {
		return err
	}
	if err := f.coldStart(ctx); err != nil {
		return fmt.Errorf("cold start: %w", err)
	}
	if err := f.idle(ctx, idle); err != nil {
		return err
	}
	if err := f.verifyFleet(ctx); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if err := f.addPorts(ctx); err != nil {
		return fmt.Errorf("add ports: %w", err)
	}
	if err := f.warmStart(ctx); err != nil {
		return fmt.Errorf("warm start: %w", err)
	}
	return nil
}

// begin starts etcd, weighs a controller with nothing to do, and loads etcd.
func (f *fleetRun) begin(ctx context.Context) error {
	f.Step("starting etcd and an empty controller")
	if err := f.startEtcd(ctx); err != nil {
		return err
	}
	if err := f.startController(ctx); err != nil {
		return err
	}
	var err error
	if f.empty, err = f.controller.status("VmRSS"); err != nil {
		return err
	}
	f.controller.stop()
	objects := f.objects()
	f.Step("loading %d objects", len(objects))
	if err := load(ctx, f.client, objects); err != nil {
		return err
	}
	f.Step("starting %d switches", f.Hosts)
	f.switches, err = startSwitches(f.Binary, f.FleetSize, f.openflow)
	return err
}

func (f *fleetRun) startEtcd(ctx context.Context) error {
	var err error
	if f.dir, err = os.MkdirTemp("", "sluice-fleet-"); err != nil {
		return err
	}
	var addresses [4]string
	for i := range addresses {
		if addresses[i], err = freeAddress(); err != nil {
			return err
		}
	}
	f.endpoint, f.openflow, f.api = "http://"+addresses[0], addresses[1], addresses[2]
	f.etcd, err = start("etcd", f.Binary, nil, "bench-part", "etcd", "--dir", filepath.Join(f.dir, "etcd"),
		"--client-url", f.endpoint, "--peer-url", "http://"+addresses[3], "--log-level", "error")
	if err != nil {
		return err
	}
	if f.client, err = clientv3.New(clientv3.Config{Endpoints: []string{f.endpoint}, DialTimeout: fleetPatience}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return f.etcd.await(ctx, func() error { return answers(ctx, f.endpoint+"/health") })
}

// startController returns once it has read etcd.
func (f *fleetRun) startController(ctx context.Context) error {
	var err error
	args := []string{"controller", "--name", "fleet", "--log-level", "error", "--counter-interval", "0",
		"--listen-openflow", f.openflow, "--listen-api", f.api, "--etcd-endpoints", f.endpoint, "--data-dir", f.dir, "--local-token-file", filepath.Join(f.dir, "api.token"), "--pki=", "--config="}
	f.controller, err = start("the controller", f.Binary, nil, args...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fleetPatience)
	defer cancel()
	return f.controller.await(ctx, func() error { return answers(ctx, "http://"+f.api+"/readyz") })
}

func (f *fleetRun) end() {
	if f.client != nil {
		f.client.Close()
	}
	if f.switches != nil {
		f.switches.stop()
	}
	for _, p := range []*process{f.controller, f.etcd} {
		if p != nil {
			p.stop()
		}
	}
	os.RemoveAll(f.dir)
}

// realized waits until every host holds a revision.
func (f *fleetRun) realized(ctx context.Context, rev int64) error {
	ctx, cancel := context.WithTimeout(ctx, fleetPatience)
	defer cancel()
	return f.controller.await(ctx, func() error {
		got, err := f.client.Txn(ctx).Then(
			clientv3.OpGet(store.Prefix+string(store.KindMaster)+"/", clientv3.WithPrefix(), clientv3.WithCountOnly()),
			clientv3.OpGet(store.Prefix+string(store.KindStatusHost)+"/", clientv3.WithPrefix(), clientv3.WithCountOnly()),
			clientv3.OpGet(store.StatusControllerKey("fleet").String())).Commit()
		if err != nil {
			return err
		}
		mastered, excepted := got.Responses[0].GetResponseRange().Count, got.Responses[1].GetResponseRange().Count
		floor := got.Responses[2].GetResponseRange().Kvs
		if int(mastered) != f.Hosts || excepted > 0 || len(floor) == 0 {
			return fmt.Errorf("%d hosts of %d have a master, %d are behind", mastered, f.Hosts, excepted)
		}
		object, err := store.Decode(store.StatusControllerKey("fleet"), floor[0].Value)
		if err != nil {
			return err
		}
		status := object.(*store.StatusController)
		if int64(status.Floor) < rev {
			return fmt.Errorf("realized at %d, want %d", status.Floor, rev)
		}
		return nil
	})
}

// coldStart measures from the start of the controller's process to the last switch's barrier.
func (f *fleetRun) coldStart(ctx context.Context) error {
	f.Step("cold start")
	head, err := f.client.Get(ctx, "none")
	if err != nil {
		return err
	}
	began := time.Now()
	if err := f.startController(ctx); err != nil {
		return err
	}
	read := time.Since(began)
	if err := f.realized(ctx, head.Header.Revision); err != nil {
		return err
	}
	counts, err := f.switches.ask(fleetRequest{})
	if err != nil {
		return err
	}
	took := counts.LastBarrier.Sub(began)
	processor, err := f.controller.processor()
	if err != nil {
		return err
	}
	peak, err := f.controller.status("VmHWM")
	if err != nil {
		return err
	}
	result := Result{Params: f.params("cold start"), Series: NewSeries("s", []float64{took.Seconds()}), Facts: []Fact{
		{Name: "read from etcd", Value: read.Seconds(), Unit: "s"},
		{Name: "processor time", Value: processor.Seconds(), Unit: "s"},
		{Name: "peak of resident memory", Value: peak / (1 << 20), Unit: "MiB"},
		f.peakFact(peak, counts.Flows),
		{Name: "flows held by the switches", Value: float64(counts.Flows), Bound: Exactly(float64(counts.mods()))},
		{Name: "refused", Value: float64(counts.Refused), Bound: Exactly(0)},
	}}
	return f.Done(result)
}

// warmStart measures a restart where every switch holds the right flows already: none may
// change.
func (f *fleetRun) warmStart(ctx context.Context) error {
	f.Step("warm start")
	before, err := f.switches.ask(fleetRequest{})
	if err != nil {
		return err
	}
	head, err := f.client.Get(ctx, "none")
	if err != nil {
		return err
	}
	f.controller.stop()
	began := time.Now()
	if err := f.startController(ctx); err != nil {
		return err
	}
	if err := f.realized(ctx, head.Header.Revision); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := f.switches.ask(fleetRequest{})
	if err != nil {
		return err
	}
	peak, err := f.controller.status("VmHWM")
	if err != nil {
		return err
	}
	return f.Done(Result{Params: f.params("warm start"), Series: NewSeries("s", []float64{took.Seconds()}), Facts: []Fact{
		{Name: "flow mods sent", Value: float64(after.mods() - before.mods()), Bound: Exactly(0)},
		{Name: "peak of resident memory", Value: peak / (1 << 20), Unit: "MiB"},
		f.peakFact(peak, after.Flows),
	}})
}

const peakName = "peak beyond an empty controller and 3 KiB a port, for each flow in the switches"

// peakFact judges whether the flows of all hosts, or a good part of them, were in memory at
// once: what the peak is beyond what a controller may keep.
func (f *fleetRun) peakFact(peak float64, flows int) Fact {
	beyond := peak - f.empty - bytesOfPort*float64(len(f.ports))
	return Fact{
		Name:  peakName,
		Value: max(0, beyond) / float64(flows), Unit: "B", Bound: AtMost(peakOfFlow),
	}
}

func (f *fleetRun) params(what string) map[string]any {
	return map[string]any{"hosts": f.Hosts, "tenants": f.Tenants, "ports": len(f.ports), "what": what}
}

// addPorts adds single ports to networks that span ever more hosts, taking turns.
func (f *fleetRun) addPorts(ctx context.Context) error {
	var sides []Side
	costs := make([][]portCost, len(spans)) // by tenant and round
	number := len(f.ports)
	for tenant := range min(len(spans), f.Tenants) {
		hosts, nth := f.span(tenant), f.span(tenant)
		if tenant > 0 && hosts == f.span(tenant-1) {
			break // the fleet has no more
		}
		sides = append(sides, Side{
			Name: fmt.Sprintf("a port in a network of %d hosts", hosts),
			Measure: func(ctx context.Context) (float64, error) {
				number++
				nth++
				took, c, err := f.addPort(ctx, fleetPort{tenant: tenant, nth: nth}, number)
				costs[tenant] = append(costs[tenant], c)
				return took.Seconds() * 1000, err
			},
		})
	}
	samples, err := f.TakeTurns(ctx, sides...)
	if err != nil {
		return err
	}
	for tenant := range sides {
		params := f.params("add a port")
		params["span"] = f.span(tenant)
		res := Compare("ms", samples[tenant], Other{Name: fmt.Sprintf("a network of %d hosts", f.span(0)), Samples: samples[0]})
		res.Params, res.Facts = params, spanFacts(f.span(tenant), costs[tenant], costs[0][0])
		if err := f.Done(res); err != nil {
			return err
		}
	}
	return nil
}

// spanFacts judge what ports cost in a network of so many hosts by what the first cost in the
// smallest: as many flow mods on each host but the port's own, and on that no more (it is
// fewer where a network is too large to be flooded), and on none without the network.
func spanFacts(hosts int, rounds []portCost, smallest portCost) []Fact {
	c, others := rounds[0], 0
	for _, r := range rounds {
		if r != c {
			others++
		}
	}
	return []Fact{
		{Name: "hosts that got flow mods", Value: float64(c.hosts), Bound: Exactly(float64(hosts))},
		{Name: "flow mods", Value: float64(c.mods), Bound: Exactly(float64(c.own + int64(hosts-1)*smallest.most))},
		{Name: "flow mods on the port's own host", Value: float64(c.own), Bound: AtMost(float64(smallest.own))},
		{Name: "flow mods on each other host", Value: float64(c.most), Bound: Exactly(float64(smallest.least))},
		{Name: "ports that cost other flow mods", Value: float64(others), Bound: Exactly(0)},
	}
}

// portCost is what one more port cost in flow mods.
type portCost struct {
	hosts       int // that got some
	mods, own   int64
	least, most int64 // on a host that got some, without the port's own
}

// addPort adds a port to its host's switch and to etcd, and returns how long it took from there to
// the last barrier.
func (f *fleetRun) addPort(ctx context.Context, p fleetPort, number int) (took time.Duration, c portCost, err error) {
	iface := &openflow.Port{Number: uint32(1<<15 + number - len(f.ports)), Name: fleetInterface(number)}
	before, err := f.switches.ask(fleetRequest{Host: p.host, Port: iface})
	if err != nil {
		return 0, c, err
	}
	value, err := store.Encode(p.object(number))
	if err != nil {
		return 0, c, err
	}
	began := time.Now()
	put, err := f.client.Put(ctx, p.key().String(), string(value))
	if err != nil {
		return 0, c, err
	}
	if err := f.realized(ctx, put.Header.Revision); err != nil {
		return 0, c, err
	}
	after, err := f.switches.ask(fleetRequest{})
	if err != nil {
		return 0, c, err
	}
	return after.LastBarrier.Sub(began), difference(&before, &after, p.host), nil
}

func difference(before, after *fleetCounts, own int) portCost {
	c := portCost{mods: after.mods() - before.mods()}
	for h := range after.Mods {
		n := after.Mods[h] - before.Mods[h]
		switch {
		case n == 0:
			continue
		case h == own:
			c.own = n
		default:
			if c.most == 0 || n < c.least {
				c.least = n
			}
			c.most = max(c.most, n)
		}
		c.hosts++
	}
	return c
}

// idle measures what the controller costs when nothing changes: it lets what is under way
// settle for so long, and measures for twice as long.
func (f *fleetRun) idle(ctx context.Context, settle time.Duration) error {
	long := 2 * settle
	f.Step("idle, for %v once all is proved", settle+long)
	began := time.Now()
	if err := f.proved(ctx); err != nil {
		return fmt.Errorf("idle: %w", err)
	}
	proved := time.Since(began)
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return ctx.Err()
	}
	before, err := f.controller.processor()
	if err != nil {
		return err
	}
	began = time.Now()
	select {
	case <-time.After(long):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := f.controller.processor()
	if err != nil {
		return err
	}
	share := 100 * (after - before).Seconds() / time.Since(began).Seconds()
	resident, err := f.controller.status("VmRSS")
	if err != nil {
		return err
	}
	return f.Done(Result{Params: f.params("idle"), Series: NewSeries("% of a core", []float64{share}), Facts: []Fact{
		{Name: "from the last barrier of the cold start until all hosts are proved", Value: proved.Seconds(), Unit: "s"},
		{Name: "processor when idle", Value: share, Unit: "% of a core", Bound: AtMost(2)},
		{Name: "resident memory", Value: resident / (1 << 20), Unit: "MiB"},
		{Name: "resident memory of an empty controller", Value: f.empty / (1 << 20), Unit: "MiB"},
		{Name: "resident memory a port", Value: (resident - f.empty) / 1024 / float64(len(f.ports)), Unit: "KiB", Bound: AtMost(bytesOfPort >> 10)},
	}})
}
