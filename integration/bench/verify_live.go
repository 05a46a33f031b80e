package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"sluice/controller/client"
	"sluice/datapath/ovsrun"
	"sluice/flows/verify"
	"sluice/store"
)

// verifyWholeBound bounds, in seconds, what `sluice verify` takes over a host with wholeFlows flows; with ten times as many, ten times that.
const verifyWholeBound, wholeFlows = 1.0, 10_000

// Of a live host: its tenants, each with one port here and all others elsewhere, and the flows that one of those has here.
const liveTenants, flowsOfRemote = 20, 3

// liveFleet has so many flows on its first host, and one port of each tenant.
func liveFleet(flows int) *fleet {
	f := &fleet{FleetSize: FleetSize{Hosts: 2, Tenants: liveTenants}}
	each := max(2, flows/flowsOfRemote/liveTenants)
	for t := range f.Tenants {
		for n := range each {
			f.ports = append(f.ports, fleetPort{host: min(n, 1), tenant: t, nth: n})
		}
	}
	f.Ports = len(f.ports)
	return f
}

// measureLive measures what `sluice verify` waits for where one real switch holds so many flows: a controller reads them by OpenFlow and
// proves them.
func measureLive(ctx context.Context, r *Run, flows int) (err error) {
	f := &fleetRun{Run: r, fleet: liveFleet(r.Size(flows))}
	defer f.end()
	r.Step("starting etcd, a controller and Open vSwitch for %d flows", r.Size(flows))
	if err := f.startEtcd(ctx); err != nil {
		return err
	}
	if err := load(ctx, f.client, f.objects()); err != nil {
		return err
	}
	if err := f.startController(ctx); err != nil {
		return err
	}
	o, err := startOVS(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	stop, err := f.dials(ctx, o)
	if err != nil {
		return err
	}
	defer stop()
	client, err := client.Dial("http://"+f.api, client.WithTokenFile(filepath.Join(f.dir, "api.token")))
	if err != nil {
		return err
	}
	held, err := f.programmed(ctx, client, r.Size(flows))
	if err != nil {
		return err
	}
	samples, err := r.TakeTurns(ctx, Side{Name: "sluice verify", Measure: func(ctx context.Context) (float64, error) {
		return timed(func() error { _, err := f.verify(ctx, client, 1); return err })
	}})
	if err != nil {
		return err
	}
	res := Result{Series: NewSeries("s", samples[0]), Params: map[string]any{"flows": r.Size(flows), "what": verifyWhat}}
	res.Facts = []Fact{
		{"flows, exactly", float64(held), "", nil},
		{verifyWhat, res.Median, "s", AtMost(verifyWholeBound * max(1, float64(flows)/wholeFlows))},
	}
	return r.Done(res)
}

// dials has a bridge with the first host's ports dial the controller, which listens in another network namespace, until stop is called.
func (f *fleetRun) dials(ctx context.Context, o *ovs) (stop func(), err error) {
	l, target, err := o.listen()
	if err != nil {
		return nil, err
	}
	go relay(l, f.openflow)
	return func() { l.Close() }, o.Change(ctx, func(c *ovsrun.Change) error {
		err := c.AddUserspaceBridge(bridge, []string{target}, "inactivity_probe=0")
		if err == nil {
			err = c.Also("set", "bridge", bridge, fmt.Sprintf("other-config:datapath-id=%016x", fleetDatapath(0)))
		}
		for n, p := range f.interfaces()[0] {
			if n == 0 || err != nil { // the bridge's own is there
				continue
			}
			err = errors.Join(c.AddPort(bridge, p.Name), c.Also(append([]string{"set", "interface", p.Name, fmt.Sprint("ofport_request=", p.Number)}, liveType(p.Name)...)...))
		}
		return err
	})
}

func liveType(iface string) []string {
	if iface == store.TunnelInterface {
		return []string{"type=vxlan", "options:remote_ip=flow", "options:key=flow"}
	}
	return []string{"type=internal"}
}

// relay hands connections on to an address, until l is closed.
func relay(l net.Listener, address string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", address)
		if err != nil {
			in.Close()
			continue
		}
		for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				io.Copy(way[0], way[1])
				way[0].Close()
				way[1].Close()
			}()
		}
	}
}

// programmed waits until the first host holds at least so many flows, and they are proved.
func (f *fleetRun) programmed(ctx context.Context, client *client.Client, least int) (held int, err error) {
	ctx, cancel := context.WithTimeout(ctx, fleetPatience)
	defer cancel()
	return held, f.controller.await(ctx, func() error {
		got, err := client.Verify(ctx, fleetHost(0))
		if err != nil {
			return err
		}
		h := got.Hosts[0]
		if held = h.Flows; h.Verdict == verify.Proved && held >= least {
			return nil
		}
		time.Sleep(time.Second)
		return fmt.Errorf("host %s holds %d flows of %d, %s: %s", h.Host, held, least, h.Verdict, h.Why)
	})
}
