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

func fleetCase() Case {
	return Case{
		Name:  "fleet",
		About: "1,000 simulated switches, 10,000 tenants, 100,000 ports: cold start, single ports, memory, idling",
		Run: func(ctx context.Context, r *Run) error {
			size := FleetSize{Hosts: r.Size(1000), Tenants: r.Size(10_000), Ports: r.Size(100_000)}
			return measureFleet(ctx, r, size, 70*time.Second)
		},
	}
}

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
// processes. idle is long enough for every switch to be audited once, as is done by default;
// only counters are not read.
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
		"--listen-openflow", f.openflow, "--listen-api", f.api, "--etcd-endpoints", f.endpoint, "--data-dir", f.dir}
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
	}})
}

func (f *fleetRun) params(what string) map[string]any {
	return map[string]any{"hosts": f.Hosts, "tenants": f.Tenants, "ports": len(f.ports), "what": what}
}

// addPorts adds single ports to networks that span ever more hosts, taking turns.
func (f *fleetRun) addPorts(ctx context.Context) error {
	var sides []Side
	last := make([]added, len(spans)) // by tenant
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
				var err error
				last[tenant], err = f.addPort(ctx, fleetPort{tenant: tenant, nth: nth}, number)
				return last[tenant].took.Seconds() * 1000, err
			},
		})
	}
	samples, err := f.TakeTurns(ctx, sides...)
	if err != nil {
		return err
	}
	for tenant := range sides {
		if err := f.reportAdded(f.span(tenant), last[tenant], samples[tenant], samples[0]); err != nil {
			return err
		}
	}
	return nil
}

func (f *fleetRun) reportAdded(hosts int, a added, samples, base []float64) error {
	params := f.params("add a port")
	params["span"] = hosts
	reference := NewSeries("ms", base)
	return f.Done(Result{
		Params: params, Ratio: medianRatio(samples, base), Against: fmt.Sprintf("a network of %d hosts", f.span(0)),
		Series: NewSeries("ms", samples), Reference: &reference,
		Facts: []Fact{
			{Name: "hosts that got flow mods", Value: float64(a.hosts), Bound: Exactly(float64(hosts))},
			{Name: "flow mods", Value: float64(a.mods)},
			{Name: "flow mods on the port's own host", Value: float64(a.own)},
			{Name: "flow mods on each other host", Value: float64(a.least), Bound: Exactly(float64(a.most))},
		},
	})
}

// added is what one more port cost.
type added struct {
	took        time.Duration // from the write to etcd to the last barrier
	hosts       int           // that got flow mods
	mods, own   int64
	least, most int64 // flow mods on a host that got some, without the port's own
}

// addPort adds a port to its host's switch and to etcd.
func (f *fleetRun) addPort(ctx context.Context, p fleetPort, number int) (added, error) {
	iface := &openflow.Port{Number: uint32(1<<15 + number - len(f.ports)), Name: fleetInterface(number)}
	before, err := f.switches.ask(fleetRequest{Host: p.host, Port: iface})
	if err != nil {
		return added{}, err
	}
	value, err := store.Encode(p.object(number))
	if err != nil {
		return added{}, err
	}
	began := time.Now()
	put, err := f.client.Put(ctx, p.key().String(), string(value))
	if err != nil {
		return added{}, err
	}
	if err := f.realized(ctx, put.Header.Revision); err != nil {
		return added{}, err
	}
	after, err := f.switches.ask(fleetRequest{})
	if err != nil {
		return added{}, err
	}
	return difference(&before, &after, p.host, after.LastBarrier.Sub(began)), nil
}

func difference(before, after *fleetCounts, own int, took time.Duration) added {
	a := added{took: took, mods: after.mods() - before.mods()}
	for h := range after.Mods {
		n := after.Mods[h] - before.Mods[h]
		switch {
		case n == 0:
			continue
		case h == own:
			a.own = n
		default:
			if a.most == 0 || n < a.least {
				a.least = n
			}
			a.most = max(a.most, n)
		}
		a.hosts++
	}
	return a
}

// idle measures what the controller costs when nothing changes: it lets what is under way
// settle for so long, and measures for twice as long.
func (f *fleetRun) idle(ctx context.Context, settle time.Duration) error {
	long := 2 * settle
	f.Step("idle, for %v", settle+long)
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return ctx.Err()
	}
	before, err := f.controller.processor()
	if err != nil {
		return err
	}
	began := time.Now()
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
		{Name: "processor when idle", Value: share, Unit: "% of a core", Bound: AtMost(2)},
		{Name: "resident memory", Value: resident / (1 << 20), Unit: "MiB"},
		{Name: "resident memory of an empty controller", Value: f.empty / (1 << 20), Unit: "MiB"},
		{Name: "resident memory a port", Value: (resident - f.empty) / 1024 / float64(len(f.ports)), Unit: "KiB", Bound: AtMost(3)},
	}})
}
