package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"sluice/controller/api"
)

const (
	// bandwidthTenants is how many tenants send at one time beside the star.
	bandwidthTenants = 10
	// bandwidthSeconds is how long each transfer takes.
	bandwidthSeconds = 4
	// bandwidthPings is how many round trips make one sample. Short ones that take turns often
	// see the same machine; pingTurns is how many there are for each round of transfers.
	bandwidthPings = 100
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
		Run:   measureBandwidth,
	}
}

// wiring is one way in which the containers of a pair are connected.
type wiring string

const (
	wiredByFlows  wiring = "Sluice's flows"
	wiredDirectly wiring = "NORMAL bridges, a tunnel from host to host"
	wiredAsStar   wiring = "NORMAL bridges, a star of tunnels"
)

// senders are pairs of containers, a pair a tenant, each connected in every way at once: one
// on the lab's first host, one on its second. The third is the centre of the star.
type senders struct {
	*labRun
	pairs []senderPair
	stops []func()
}

type senderPair struct {
	from, to container
	target   map[wiring]string // the address of to
}

func measureBandwidth(ctx context.Context, r *Run) error {
	if err := need("iperf3", "ethtool"); err != nil {
		return err
	}
	return inLab(ctx, r, func(l *labRun) error {
		s := &senders{labRun: l}
		defer s.stop()
		if err := s.wire(ctx, r.Size(bandwidthTenants)); err != nil {
			return err
		}
		for _, measure := range []func(context.Context) error{s.throughput, s.roundTrip, s.manyTenants} {
			if err := measure(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *senders) throughput(ctx context.Context) error {
	samples, err := s.TakeTurns(ctx, s.transfer(wiredByFlows, 1), s.transfer(wiredDirectly, 1))
	if err != nil {
		return err
	}
	res := Compare("Gbit/s", samples[0], Other{string(wiredDirectly), AtLeast(1 - bandwidthNoise), samples[1]})
	res.Params = s.params("TCP throughput", 1)
	return s.Done(res)
}

func (s *senders) roundTrip(ctx context.Context) error {
	ping := func(w wiring) Side {
		return Side{"pings by " + string(w), func(ctx context.Context) (float64, error) { return s.pairs[0].ping(ctx, w) }}
	}
	often := *s.Run
	often.Rounds *= pingTurns
	samples, err := often.TakeTurns(ctx, ping(wiredByFlows), ping(wiredDirectly))
	if err != nil {
		return err
	}
	res := Compare("ms", samples[0], Other{string(wiredDirectly), AtMost(1 + bandwidthNoise), samples[1]})
	res.Params = s.params("round trip", 1)
	return s.Done(res)
}

func (s *senders) manyTenants(ctx context.Context) error {
	n := len(s.pairs)
	samples, err := s.TakeTurns(ctx, s.transfer(wiredByFlows, n), s.transfer(wiredAsStar, n))
	if err != nil {
		return err
	}
	res := Compare("Gbit/s", samples[0], Other{string(wiredAsStar), AtLeast(bandwidthOfStar), samples[1]})
	res.Params = s.params("TCP throughput, spoke to spoke", n)
	return s.Done(res)
}

func (s *senders) params(what string, tenants int) map[string]any {
	return map[string]any{"what": what, "tenants": tenants, "encap": s.Encap}
}

// transfer is the sum of what that many tenants receive at one time, in Gbit/s.
func (s *senders) transfer(w wiring, tenants int) Side {
	return Side{"TCP by " + string(w), func(ctx context.Context) (float64, error) {
		rates := make([]float64, tenants)
		err := sideBySide(ctx, tenants, func(ctx context.Context, i int) (err error) {
			rates[i], err = s.pairs[i].send(ctx, w)
			return err
		})
		sum := 0.0
		for _, rate := range rates {
			sum += rate // one that starves is what a clogged way does to it
		}
		if err == nil && sum <= 0 {
			err = errors.New("nothing was received")
		}
		return sum, err
	}}
}

func (p senderPair) send(ctx context.Context, w wiring) (float64, error) {
	out, err := output(ctx, "", "ip", "netns", "exec", p.from.netns,
		"iperf3", "-c", p.target[w], "-t", strconv.Itoa(bandwidthSeconds), "-J", "--connect-timeout", "20000")
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
	return report.End.Received.Rate / 1e9, nil
}

var pingTime = regexp.MustCompile(`time=([0-9.]+) ms`)

// ping is the median of many round trips, in milliseconds.
func (p senderPair) ping(ctx context.Context, w wiring) (float64, error) {
	out, err := output(ctx, "", "ip", "netns", "exec", p.from.netns,
		"ping", "-n", "-i", "0.002", "-c", strconv.Itoa(bandwidthPings), p.target[w])
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
	if len(times) < bandwidthPings*9/10 {
		return 0, fmt.Errorf("%d of %d pings answered by %s", len(times), bandwidthPings, w)
	}
	return quantile(times, 0.5), nil
}

// serve runs the receiving end of a pair until stop.
func (s *senders) serve(p senderPair) error {
	cmd := exec.Command("ip", "netns", "exec", p.to.netns, "iperf3", "-s")
	cmd.Env = os.Environ()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	d, err := spawn(cmd)
	if err != nil {
		return fmt.Errorf("start iperf3: %w", err)
	}
	s.stops = append(s.stops, d.end)
	return nil
}

func (s *senders) stop() {
	for _, stop := range s.stops {
		stop()
	}
}

// wire makes the pairs and waits until each reaches its other end in every way.
func (s *senders) wire(ctx context.Context, tenants int) error {
	ends, err := newContainers(ctx, 2*tenants)
	if err != nil {
		return err
	}
	for n := range tenants {
		s.Step("connecting tenant %d of %d", n+1, tenants)
		p := senderPair{from: ends[2*n], to: ends[2*n+1], target: map[wiring]string{}}
		mtu, err := s.wireByFlows(ctx, n, &p)
		if err != nil {
			return err
		}
		for _, w := range []wiring{wiredDirectly, wiredAsStar} {
			if err := s.wireByBridges(ctx, normalWire{w, n, mtu}, &p); err != nil {
				return err
			}
		}
		if err := s.serve(p); err != nil {
			return err
		}
		s.pairs = append(s.pairs, p)
	}
	return s.answering(ctx)
}

func (s *senders) answering(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, p := range s.pairs {
		for w, address := range p.target {
			if err := pingUntilAnswered(ctx, p.from.netns, address); err != nil {
				return fmt.Errorf("%s: %w", w, err)
			}
		}
	}
	return nil
}

func (s *senders) wireByFlows(ctx context.Context, n int, p *senderPair) (mtu int, err error) {
	tenant := fmt.Sprint("bench-", n+1)
	if _, err := s.api.CreateTenant(ctx, api.TenantSpec{Name: tenant}); err != nil {
		return 0, err
	}
	if _, err := s.attach(ctx, 0, tenant, p.from); err != nil {
		return 0, err
	}
	a, err := s.attach(ctx, 1, tenant, p.to)
	p.target[wiredByFlows] = plainAddress(a)
	return a.MTU, err
}
