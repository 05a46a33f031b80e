package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"sluice/datapath/ovsrun"
	"sluice/integration/lab"
	"sluice/store"
)

const (
	// busyTime is how long processors are busy, at least.
	busyTime = 3 * time.Minute
	// alarmPorts are the ports of other hosts of which a switch holds flows while it is resynchronised: some 100,000 flows.
	alarmPorts, alarmTenants = 31_000, 200
)

// alarms counts fail-overs while nothing dies.
func (f *failOverRun) alarms(ctx context.Context) error {
	rev, err := f.fill(ctx)
	if err == nil {
		err = f.realized(ctx, rev, f.names())
	}
	if err == nil {
		_, err = f.ready(ctx)
	}
	if err != nil {
		return err
	}
	flows, err := f.cookies(ctx, 0)
	if err != nil {
		return err
	}
	f.Step("false alarms")
	before, err := f.flaps(ctx)
	if err != nil {
		return err
	}
	seconds, err := timed(func() error { return f.beBusy(ctx) })
	if err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	after, err := f.flaps(ctx)
	if err != nil {
		return err
	}
	hears, err := f.longest(ctx, "bfd:min_rx")
	if err != nil {
		return err
	}
	says, err := f.longest(ctx, "bfd:min_tx")
	if err != nil {
		return err
	}
	res := Result{Series: NewSeries("s", []float64{seconds})}
	res.Params = map[string]any{"what": "false alarms"}
	res.Facts = []Fact{
		{Name: "found dead or alive again", Value: float64(after - before), Bound: Exactly(0)},
		{Name: "flows of a switch", Value: float64(len(flows))},
		{Name: "longest interval of what is heard, afterwards", Value: float64(hears), Unit: "ms"},
		{Name: "longest interval of what is said, afterwards", Value: float64(says), Unit: "ms"},
	}
	return f.Done(res)
}

// longest is the most that any switch has of a number of its probes.
func (f *failOverRun) longest(ctx context.Context, what string) (most int, err error) {
	err = f.eachProbe(ctx, what, func(n int) { most = max(most, n) })
	return most, err
}

// flaps count how often any switch found another dead, or alive again.
func (f *failOverRun) flaps(ctx context.Context) (sum int, err error) {
	err = f.eachProbe(ctx, "bfd_status:flap_count", func(n int) { sum += n })
	return sum, err
}

// eachProbe looks at a number that switches have of their probes of others.
func (f *failOverRun) eachProbe(ctx context.Context, what string, look func(int)) error {
	for _, host := range f.Hosts {
		for _, other := range f.Hosts {
			if other.Name == host.Name {
				continue
			}
			text, err := host.Switch().VSCtl(ctx, "get", "interface", store.ProbeInterface(other.Name), what)
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(strings.Trim(text, "\"\n"))
			if err != nil {
				return fmt.Errorf("host %s: %s of the probe of %s: %w", host.Name, what, other.Name, err)
			}
			look(n)
		}
	}
	return nil
}

// beBusy keeps all processors busy twice over, by processes of their own, while all controllers end and come back, and switches
// lose all flows, for busyTime and more.
func (f *failOverRun) beBusy(ctx context.Context) error {
	for range 2 * runtime.NumCPU() {
		loop, err := ovsrun.Spawn(exec.Command("sh", "-c", "while :; do :; done"))
		if err != nil {
			return fmt.Errorf("keep a processor busy: %w", err)
		}
		defer loop.End()
	}
	end := time.Now().Add(time.Duration(float64(busyTime) * min(f.Scale, 1)))
	for n := 0; time.Now().Before(end); n++ {
		if err := errors.Join(f.resync(ctx), f.anew(ctx, f.Hosts[n%len(f.Hosts)].Switch())); err != nil {
			return err
		}
	}
	return nil
}

// fill gives all hosts flows of many ports: each tenant has one on each host, and many on the second.
func (f *failOverRun) fill(ctx context.Context) (store.Revision, error) {
	f.Step("writing ports")
	var all []store.Event
	number := 1 << 20
	ports := max(1, f.Size(alarmPorts)/alarmTenants)
	for n := range alarmTenants {
		tenant := presentTenant(n + 1000)
		all = append(all, tenantObjects(n+1000, f.Hosts[1].Name)...)
		for p := range ports + len(f.Hosts) {
			number++
			host := 1
			if p < len(f.Hosts) {
				host = p
			}
			port := fleetPort{host: host, tenant: n, nth: p}.object(number)
			port.Addresses = []netip.Prefix{netip.PrefixFrom(store.UsableAt(presentSubnet, uint64(p)+1), presentSubnet.Bits())}
			key := store.PortKey(f.Hosts[host].Name, tenant, "default", fmt.Sprint("p", p))
			all = append(all, taken(key, "ports", tenant, "default", key.Name), taken(key, "port-numbers", fmt.Sprint(number)),
				taken(key, "macs", tenant, "default", port.MAC.String()), taken(key, "addresses", tenant, "default", port.Addresses[0].Addr().String()),
				store.Event{Key: key, Object: port})
		}
	}
	return write(ctx, f.client, all)
}

// resync has controllers read all flows of all switches.
func (f *failOverRun) resync(ctx context.Context) error {
	if err := lab.Kill(ctx, "controller"); err != nil {
		return err
	}
	return f.allRealized(ctx)
}

// anew takes all flows from a switch behind the controller's back, which writes them again: 100,000 in one bundle.
func (f *failOverRun) anew(ctx context.Context, sw ovsrun.Switch) error {
	if _, err := sw.OFCtl(ctx, "del-flows", store.BridgeName); err != nil {
		return err
	}
	time.Sleep(10 * time.Second) // a switch that lost all flows is realized until its controller notices
	return f.allRealized(ctx)
}

// allRealized waits until all hosts hold what is there now. It starts a controller that does not run: where processors are busy,
// one may end at once that finds the addresses of the one before taken.
func (f *failOverRun) allRealized(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, labPatience)
	defer cancel()
	return until(ctx, func() error {
		if err := lab.Revive(ctx, "controller"); err != nil {
			return err
		}
		st, err := f.api.Status(ctx)
		if err != nil {
			return err
		}
		for _, h := range st.Hosts {
			if !h.Connected || h.State == store.HostBehind || h.State == store.HostDown {
				return fmt.Errorf("host %s is %s", h.Name, h.State)
			}
		}
		return nil
	})
}
