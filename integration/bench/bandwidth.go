package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"

	"sluice/controller/client"
	"sluice/datapath/ovsrun"
)

const (
	// bandwidthTenants is how many tenants send at one time beside the star.
	bandwidthTenants = 10
	// bandwidthSeconds is how long each transfer takes.
	bandwidthSeconds = 4
	// bandwidthPings is how many round trips make one sample. Short ones that take turns often
	// see the same machine; pingTurns is how many there are for each round of transfers.
	bandwidthPings = 200
	pingTurns      = 6
	// How far the ratio of two equals strays from 1.
	bandwidthNoise = 0.05
	// bandwidthOfStar bounds the throughput of many tenants beside the star's.
	bandwidthOfStar = 1.5
)

func bandwidthCase() Case {
	return Case{
		Name:  "bandwidth",
		About: "TCP throughput and round trip inside a tenant across hosts, beside NORMAL bridges; ten tenants, beside a star",
		Ratio: "The sides take turns: each transfers once a round, and each takes a round trip, a median of 200, six times a round. The " +
			"ratio is the median of the turns' ratios.",
		Needs: append([]string{"iperf3"}, labPrograms...),
		Run:   measureBandwidth,
	}
}

// senders are pairs of containers, each with a receiver at its far end and not connected.
type senders struct {
	*labRun
	pairs []tenantPair
	mtu   int // of the interfaces that Sluice gives them
	stops []func()
}

func measureBandwidth(ctx context.Context, r *Run) error {
	return inLab(ctx, r, func(l *labRun) error {
		s := &senders{labRun: l}
		defer s.stop()
		if err := s.begin(ctx, r.Size(bandwidthTenants)); err != nil {
			return err
		}
		if err := s.oneTenant(ctx); err != nil {
			return err
		}
		return s.manyTenants(ctx)
	})
}

func (s *senders) begin(ctx context.Context, tenants int) error {
	ends, err := newContainers(ctx, 2*tenants)
	if err != nil {
		return err
	}
	for n := range tenants {
		p := tenantPair{number: n, from: ends[2*n], to: ends[2*n+1]}
		if _, err := s.api.CreateTenant(ctx, client.TenantSpec{Name: p.tenant()}); err != nil {
			return err
		}
		if err := s.serve(p); err != nil {
			return err
		}
		s.pairs = append(s.pairs, p)
	}
	return nil
}

// oneTenant compares the throughput and the round trip of one pair.
func (s *senders) oneTenant(ctx context.Context) error {
	p := s.pairs[0]
	ours := s.byFlows()
	if _, err := ours.by(p, s.roundTrip).Measure(ctx); err != nil { // tells the MTU, and resolves the peers
		return err
	}
	theirs, err := s.byBridges(ctx, fullMesh, p)
	if err != nil {
		return err
	}
	if err := s.samePlace(ctx, p, ours, theirs); err != nil {
		return err
	}
	for _, c := range []struct {
		what, unit string
		turns      int // for each round of the run
		measure    measurement
		bound      *Bound
	}{
		{"round trip", "ms", pingTurns, s.roundTrip, AtMost(1 + bandwidthNoise)},
		{"TCP throughput", "Gbit/s", 1, s.throughput, AtLeast(1 - bandwidthNoise)},
	} {
		often := *s.Run
		often.Rounds *= c.turns
		samples, err := often.TakeTurns(ctx, ours.by(p, c.measure), theirs.by(p, c.measure))
		if err != nil {
			return err
		}
		res := Compare(c.unit, samples[0], Other{theirs.name, c.bound, samples[1]})
		res.Params = s.params(c.what, 1)
		if err := s.Done(res); err != nil {
			return err
		}
	}
	return nil
}

// manyTenants compares what all pairs receive at one time, spoke to spoke of the star.
func (s *senders) manyTenants(ctx context.Context) error {
	ours := s.byFlows()
	theirs, err := s.byBridges(ctx, star, s.pairs...)
	if err != nil {
		return err
	}
	sides := make([]Side, 0, 2)
	for _, w := range []wiring{ours, theirs} {
		s.Step("connecting %d tenants by %s", len(s.pairs), w.name)
		addresses, err := w.plugAll(ctx, s.pairs)
		if err != nil {
			return err
		}
		sides = append(sides, Side{w.name, func(ctx context.Context) (float64, error) { return s.sum(ctx, addresses) }})
	}
	samples, err := s.TakeTurns(ctx, sides...)
	if err != nil {
		return err
	}
	res := Compare("Gbit/s", samples[0], Other{theirs.name, AtLeast(bandwidthOfStar), samples[1]})
	res.Params = s.params("TCP throughput, spoke to spoke", len(s.pairs))
	return s.Done(res)
}

func (s *senders) params(what string, tenants int) map[string]any {
	return map[string]any{"what": what, "tenants": tenants, "encap": s.Encap}
}

// sum is what all pairs together receive at one time, in Gbit/s. One that starves counts for
// nothing: that is what a clogged way does to it.
func (s *senders) sum(ctx context.Context, addresses []string) (sum float64, err error) {
	rates := make([]float64, len(s.pairs))
	err = sideBySide(ctx, len(s.pairs), func(ctx context.Context, i int) (err error) {
		rates[i], err = s.throughput(ctx, s.pairs[i], addresses[i])
		return err
	})
	for _, rate := range rates {
		sum += rate
	}
	if err == nil && sum <= 0 {
		err = errors.New("nothing was received")
	}
	return sum, err
}

// measurement tries a pair that is connected, by its far end's address.
type measurement func(ctx context.Context, p tenantPair, address string) (float64, error)

// throughput is what a pair's far end receives by TCP, in Gbit/s.
func (s *senders) throughput(ctx context.Context, p tenantPair, address string) (float64, error) {
	rate, err := transfer(ctx, p.from.netns, address, s.Size(bandwidthSeconds))
	return rate / 1e9, err
}

// transfer sends by TCP from a namespace to an iperf3 that serves, and returns what is received, in bits a second.
func transfer(ctx context.Context, netns, address string, seconds int, options ...string) (float64, error) {
	argv := []string{"ip", "netns", "exec", netns, "iperf3", "-c", address, "-t", strconv.Itoa(seconds), "-J", "--connect-timeout", "20000"}
	out, err := output(ctx, "", append(argv, options...)...)
	if err != nil {
		return 0, err
	}
	var report struct {
		End struct {
			Received struct {
				Rate float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		return 0, fmt.Errorf("iperf3's report: %w", err)
	}
	return report.End.Received.Rate, nil
}

var pingTime = regexp.MustCompile(`time=([0-9.]+) ms`)

// roundTrip is the median of many, in milliseconds.
func (s *senders) roundTrip(ctx context.Context, p tenantPair, address string) (float64, error) {
	return roundTrip(ctx, p.from.netns, address, s.Size(bandwidthPings))
}

func roundTrip(ctx context.Context, netns, address string, pings int) (float64, error) {
	out, err := output(ctx, "", "ip", "netns", "exec", netns, "ping", "-n", "-i", "0.002", "-c", strconv.Itoa(pings), address)
	if err != nil {
		return 0, err
	}
	var times []float64
	for _, found := range pingTime.FindAllStringSubmatch(out, -1) {
		ms, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			return 0, err
		}
		times = append(times, ms)
	}
	if len(times) < pings*9/10 {
		return 0, fmt.Errorf("%d of %d pings answered", len(times), pings)
	}
	return quantile(times, 0.5), nil
}

// serve runs the receiving end of a pair until stop.
func (s *senders) serve(p tenantPair) error { return s.serveIn(p.to.netns) }

// serveIn runs an iperf3 that serves in a namespace until stop.
func (s *senders) serveIn(netns string, options ...string) error {
	cmd := exec.Command("ip", append([]string{"netns", "exec", netns, "iperf3", "-s"}, options...)...)
	server, err := ovsrun.Spawn(cmd)
	if err != nil {
		return fmt.Errorf("start iperf3: %w", err)
	}
	s.stops = append(s.stops, server.End)
	return nil
}

func (s *senders) stop() {
	for _, stop := range s.stops {
		stop()
	}
}
