package bench

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"

	"sluice/controller/client"
	"sluice/store"
)

const (
	// floodBound is by how much others may suffer.
	floodBound = 1.5
	// floodPings are the round trips of one sample; its figure is their median.
	floodPings = 50
	// floodAttaches are those of one sample.
	floodAttaches = 5
)

// Tenants of the flood: one that floods, and one that suffers or does not.
const (
	greedyTenant = "greedy"
	calmTenant   = "calm"
)

func floodCase() Case {
	return Case{
		Name: "flood",
		About: "what others feel while one container sends as fast as it can: ARP requests, new TCP connections, UDP to random " +
			"ports, broadcasts",
		Ratio: "Round trips and attaches of another tenant on the flooded host are measured in turns, beside the flood and without it. A " +
			"sample is the median of 50 round trips, or of 5 attaches. The ratio is the median of the rounds' ratios. The flood takes " +
			"a processor of its own: with two, a part of what is measured is that.",
		Needs: labPrograms,
		Run: func(ctx context.Context, r *Run) error {
			return inLab(ctx, r, func(l *labRun) error { return measureFlood(ctx, l) })
		},
	}
}

// floodRun is two tenants, each with a container on the first two hosts.
type floodRun struct {
	*labRun
	greedy floodPort
	calm   [2]container
	to     string    // the second calm container's address
	fresh  container // that calm attaches and detaches
}

func measureFlood(ctx context.Context, l *labRun) error {
	f := &floodRun{labRun: l}
	if err := f.begin(ctx); err != nil {
		return err
	}
	for _, kind := range floodKinds {
		for _, felt := range []struct {
			what    string
			measure func(context.Context) (float64, error)
		}{{"round trip", f.roundTrip}, {"attach", f.attaches}} {
			if err := f.compare(ctx, kind, felt.what, felt.measure); err != nil {
				return fmt.Errorf("%s beside %s: %w", felt.what, kind.name, err)
			}
		}
	}
	return nil
}

func (f *floodRun) begin(ctx context.Context) error {
	f.Step("attaching containers")
	all, err := newContainers(ctx, 5)
	if err != nil {
		return err
	}
	f.fresh = all[4]
	for i, tenant := range []string{greedyTenant, calmTenant} {
		if _, err := f.api.CreateTenant(ctx, client.TenantSpec{Name: tenant, Gateway: f.Hosts[0].Name}); err != nil {
			return err
		}
		for host, c := range all[2*i : 2*i+2] {
			at, err := f.attach(ctx, host, tenant, c)
			if err != nil {
				return err
			}
			if err := f.realized(ctx, store.Revision(at.Revision), f.names()); err != nil {
				return err
			}
			switch {
			case tenant == calmTenant:
				f.calm[host], f.to = c, plainAddress(at)
			case host == 0:
				if f.greedy, err = newFloodPort(c, at.MAC, plainAddress(at)); err != nil {
					return err
				}
			}
		}
	}
	return pingUntilAnswered(ctx, f.calm[0].netns, f.to)
}

// compare takes a figure beside a flood and without it, in turns.
func (f *floodRun) compare(ctx context.Context, kind floodKind, what string, measure func(context.Context) (float64, error)) error {
	var rates []float64
	beside := func(ctx context.Context) (ms float64, err error) {
		rate, err := f.greedy.flood(ctx, kind.frame, func() error {
			ms, err = measure(ctx)
			return err
		})
		rates = append(rates, rate)
		return ms, err
	}
	samples, err := f.TakeTurns(ctx, Side{what + " beside " + kind.name, beside}, Side{what + " without", measure})
	if err != nil {
		return err
	}
	res := Compare("ms", samples[0], Other{"without a flood", AtMost(floodBound), samples[1]})
	res.Params = map[string]any{"what": what, "flood": kind.name}
	res.Facts = []Fact{{Name: "frames a second that the container sent", Value: quantile(rates, 0.5)}}
	return f.Done(res)
}

// roundTrip is the median of some, in ms.
func (f *floodRun) roundTrip(ctx context.Context) (float64, error) {
	count := f.Size(floodPings)
	out, err := output(ctx, "", "ip", "netns", "exec", f.calm[0].netns, "ping", "-n", "-i", "0.02", "-W", "2", "-c", strconv.Itoa(count), f.to)
	if err != nil {
		return 0, err
	}
	var took []float64
	for _, found := range pingTime.FindAllStringSubmatch(out, -1) {
		ms, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			return 0, err
		}
		took = append(took, ms)
	}
	if len(took) == 0 {
		return 0, fmt.Errorf("no echo came back:\n%s", out)
	}
	return quantile(took, 0.5), nil
}

// attaches is the median of some, in ms.
func (f *floodRun) attaches(ctx context.Context) (float64, error) {
	var took []float64
	for range f.Size(floodAttaches) {
		seconds, err := timed(func() error {
			_, err := f.attach(ctx, 0, calmTenant, f.fresh)
			return err
		})
		if err != nil {
			return 0, err
		}
		took = append(took, 1000*seconds)
		if err := f.detach(ctx, 0, calmTenant, f.fresh); err != nil {
			return 0, err
		}
	}
	return quantile(took, 0.5), nil
}

// floodPort is a container that floods.
type floodPort struct {
	container
	link string // its interface
	mac  store.MAC
	ip   netip.Addr
}

func newFloodPort(c container, mac, ip string) (p floodPort, err error) {
	p.container, p.link = c, "eth0"
	if p.mac, err = store.ParseMAC(mac); err == nil {
		p.ip, err = netip.ParseAddr(ip)
	}
	return p, err
}
