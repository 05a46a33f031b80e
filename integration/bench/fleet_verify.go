package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"sluice/controller/client"
	"sluice/flows/verify"
)

// verifyHosts are of how many hosts isolation is proved at one time.
var verifyHosts = []int{1, 10, 100, 1000}

// verifyAtOnce is of how many hosts one request asks, as the command does.
const verifyAtOnce = 16

// verifyFleet measures what `sluice verify` waits for, over ever more hosts: reading and proving all their flows.
func (f *fleetRun) verifyFleet(ctx context.Context) error {
	client, err := client.Dial("http://"+f.api, client.WithTokenFile(filepath.Join(f.dir, "api.token")))
	if err != nil {
		return err
	}
	levels := slices.DeleteFunc(slices.Clone(verifyHosts), func(n int) bool { return n > f.Hosts })
	if last := len(levels) - 1; levels[last] != f.Hosts {
		levels = append(levels, f.Hosts)
	}
	flows := make([]int, len(levels))
	var sides []Side
	for i, n := range levels {
		sides = append(sides, Side{Name: fmt.Sprintf("verify %d hosts", n), Measure: func(ctx context.Context) (float64, error) {
			return timed(func() (err error) {
				flows[i], err = f.verify(ctx, client, n)
				return err
			})
		}})
	}
	samples, err := f.TakeTurns(ctx, sides...)
	if err != nil {
		return err
	}
	for i, n := range levels {
		res := Compare("s", samples[i], Other{Name: "one host", Samples: samples[0]})
		res.Params = map[string]any{"hosts": n, "what": verifyWhat}
		res.Facts = []Fact{{Name: "flows", Value: float64(flows[i])}}
		if err := f.Done(res); err != nil {
			return err
		}
	}
	return nil
}

// proved waits until the controller has proved all that every switch holds, which it does by itself after a start.
func (f *fleetRun) proved(ctx context.Context) error {
	client, err := client.Dial("http://"+f.api, client.WithTokenFile(filepath.Join(f.dir, "api.token")))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fleetPatience)
	defer cancel()
	for {
		left, err := f.unproved(ctx, client)
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-time.After(time.Second): // so that asking costs the controller little
		case <-ctx.Done():
			return fmt.Errorf("%d hosts of %d are not proved: %w", left, f.Hosts, ctx.Err())
		}
	}
}

// unproved counts the hosts of which the controller has not proved what their switches hold.
func (f *fleetRun) unproved(ctx context.Context, client *client.Client) (left int, err error) {
	status, err := client.Status(ctx)
	if err != nil {
		return 0, err
	}
	left = f.Hosts
	for _, h := range status.Hosts {
		if h.Proof != nil && h.Proof.Isolation == "proved" {
			left--
		}
	}
	return left, nil
}

// verifyWhat names the results of verifyFleet.
const verifyWhat = "sluice verify"

// verify proves the first hosts and counts their flows.
func (f *fleetRun) verify(ctx context.Context, client *client.Client, hosts int) (flows int, err error) {
	var names []string
	for h := range hosts {
		names = append(names, fleetHost(h))
	}
	for some := range slices.Chunk(names, verifyAtOnce) {
		got, err := client.Verify(ctx, some...)
		if err != nil {
			return 0, err
		}
		for _, h := range got.Hosts {
			if h.Verdict != verify.Proved {
				return 0, fmt.Errorf("host %s is %s: %s", h.Host, h.Verdict, h.Why)
			}
			flows += h.Flows
		}
	}
	return flows, nil
}
