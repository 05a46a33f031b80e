package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"sluice/datapath/ovsrun"
	"sluice/store"
)

const (
	// probedHosts are the hosts that a gateway host probes, and that probe it.
	probedHosts = 1000
	// probesTime is how long their cost is measured.
	probesTime = 20 * time.Second
	// probesShare bounds what a gateway host computes for all of them, in percent of one processor.
	probesShare = 50
	// probesPatience is how long all find each other alive, at most.
	probesPatience = 4 * time.Minute
	// probesLink is the name of the wire between both switches, at either end.
	probesLink = "wire"
)

func probesCase() Case {
	return Case{
		Name:  "probes",
		About: "what probes cost a gateway host's switch, with 100 and with 1,000 hosts that are none and that it probes each 100 ms, and that say once a second that they live",
		Ratio: "Two switches of their own, joined by a wire: one is the gateway host, the other all other hosts, with an address and a tunnel port each. A sample is the processor time of the gateway host's " +
			"ovs-vswitchd over 20 s in which nothing else happens, in percent of one processor. There is nothing beside it.",
		Needs: append([]string{"ip"}, ovsrun.Programs...),
		Run:   measureProbes,
	}
}

// probesRun has the switch of a gateway host, and one that stands for all other hosts.
type probesRun struct {
	*Run
	gateway, others *ovs
	ports           int
}

func measureProbes(ctx context.Context, r *Run) (err error) {
	p := &probesRun{Run: r}
	if p.gateway, err = startOVS(ctx); err != nil {
		return err
	}
	defer p.gateway.close()
	if p.others, err = startOVS(ctx); err != nil {
		return err
	}
	defer p.others.close()
	if err := p.wire(ctx); err != nil {
		return err
	}
	for _, hosts := range []int{probedHosts / 10, probedHosts} {
		if err := p.measure(ctx, r.Size(hosts)); err != nil {
			return err
		}
	}
	return nil
}

// wire joins both switches, and gives them their addresses.
func (p *probesRun) wire(ctx context.Context) error {
	if _, err := output(ctx, "", p.gateway.Inside("ip", "link", "add", probesLink, "type", "veth", "peer", "name", probesLink, "netns", pidOf(p.others))...); err != nil {
		return err
	}
	err := errors.Join(p.bridges(ctx, p.gateway), p.bridges(ctx, p.others))
	if err != nil {
		return err
	}
	var addresses strings.Builder
	for n := range p.Size(probedHosts) {
		fmt.Fprintf(&addresses, "addr add %s/16 dev underlay\n", probedAddress(n+1))
	}
	if _, err := output(ctx, addresses.String(), p.others.Inside("ip", "-batch", "-")...); err != nil {
		return err
	}
	_, err = output(ctx, "", p.gateway.Inside("ip", "addr", "add", probedAddress(0).String()+"/16", "dev", "underlay")...)
	return err
}

// bridges makes those of one switch: one for the wire, and one for the ports of probes.
func (p *probesRun) bridges(ctx context.Context, o *ovs) error {
	err := o.Change(ctx, func(c *ovsrun.Change) error {
		return errors.Join(c.AddUserspaceBridge(store.BridgeName, nil), c.AddBridge("underlay"),
			c.Also("set", "bridge", "underlay", "datapath_type=netdev"), c.AddPort("underlay", probesLink))
	})
	if err != nil {
		return err
	}
	_, err = output(ctx, "link set wire up\nlink set underlay up\n", o.Inside("ip", "-batch", "-")...)
	return err
}

// pidOf is the process of a switch.
func pidOf(o *ovs) string { return filepath.Base(filepath.Dir(filepath.Dir(o.NetNS()))) }

// probedAddress is that of the nth host; 0 is the gateway host.
func probedAddress(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 9, byte(n / 250), byte(n%250 + 1)})
}

// measure adds ports until there are so many hosts, and measures what they cost.
func (p *probesRun) measure(ctx context.Context, hosts int) error {
	p.Step("%d hosts: until all find each other alive", hosts)
	for ; p.ports < hosts; p.ports = min(hosts, p.ports+100) {
		err := errors.Join(p.add(ctx, p.gateway, hosts, false), p.add(ctx, p.others, hosts, true))
		if err != nil {
			return err
		}
	}
	upIn, err := timed(func() error { return p.allAlive(ctx) })
	if err != nil {
		return err
	}
	var samples []float64
	for round := range p.Rounds {
		p.Step("%d hosts: round %d of %d", hosts, round+1, p.Rounds)
		share, err := p.share(ctx)
		if err != nil {
			return err
		}
		samples = append(samples, share)
	}
	dead, err := p.dead(ctx)
	if err != nil {
		return err
	}
	res := Result{Series: NewSeries("%", samples)}
	res.Params = map[string]any{"hosts": hosts, "what": "processor time of a gateway host's switch"}
	res.Facts = []Fact{{Name: "hosts found dead", Value: float64(dead), Bound: Exactly(0)},
		{Name: "the most of a processor", Value: quantile(samples, 1), Unit: "%", Bound: AtMost(probesShare)},
		{Name: "all found alive after", Value: math.Round(upIn), Unit: "s"}}
	return p.Done(res)
}

// add adds the next ports, to the other hosts' switch those that lead to the gateway host.
func (p *probesRun) add(ctx context.Context, o *ovs, hosts int, back bool) error {
	return o.Change(ctx, func(c *ovsrun.Change) (err error) {
		for n := p.ports + 1; n <= min(hosts, p.ports+100); n++ {
			name, hear := fmt.Sprint("probe", n), "1000" // as an agent sets it towards hosts that are no gateway hosts
			local, remote := probedAddress(0), probedAddress(n)
			if back {
				local, remote, hear = remote, local, fmt.Sprint(store.DefaultProbeInterval.Milliseconds())
			}
			err = errors.Join(err, c.AddPort(store.BridgeName, name), c.Also("set", "interface", name, "type=geneve",
				"options:remote_ip="+remote.String(), "options:local_ip="+local.String(), fmt.Sprint("options:key=", store.ProbeTunnelKey),
				"bfd:enable=true", fmt.Sprint("bfd:min_tx=", store.DefaultProbeInterval.Milliseconds()), "bfd:min_rx="+hear, fmt.Sprint("bfd:mult=", store.ProbesMissed)))
		}
		return err
	})
}

// dead counts the hosts that one of both switches does not find alive.
func (p *probesRun) dead(ctx context.Context) (int, error) {
	alive := p.ports
	for _, o := range []*ovs{p.gateway, p.others} {
		text, err := o.AppCtl(ctx, "bfd/show")
		if err != nil {
			return 0, err
		}
		alive = min(alive, strings.Count(text, "Forwarding: true"))
	}
	return p.ports - alive, nil
}

// allAlive waits until both switches find all hosts alive.
func (p *probesRun) allAlive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probesPatience)
	defer cancel()
	return until(ctx, func() error {
		dead, err := p.dead(ctx)
		if err == nil && dead > 0 {
			err = fmt.Errorf("%d of %d hosts are not found alive", dead, p.ports)
		}
		return err
	})
}

// share is what the gateway host's switch computes, in percent of one processor.
func (p *probesRun) share(ctx context.Context) (float64, error) {
	before, err := processorOf("ovs-vswitchd", pidOf(p.gateway))
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := sleep(ctx, max(time.Second, time.Duration(float64(probesTime)*min(1, p.Scale)))); err != nil {
		return 0, err
	}
	after, err := processorOf("ovs-vswitchd", pidOf(p.gateway))
	return 100 * (after - before).Seconds() / time.Since(start).Seconds(), err
}
