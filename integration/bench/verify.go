package bench

import (
	"context"
	"fmt"
	"runtime"

	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/flows/prove"
)

// proofOfReading bounds how long the proof of a host's flows takes, to the reading of them.
const proofOfReading = 3

// verifyFlows is how many flows are read and proved.
var verifyFlows = []int{1000, 10_000, 100_000}

// liveFlows is over how many the command is measured.
var liveFlows = []int{10_000, 100_000}

func verifyCase() Case {
	return Case{
		Name:  "verify",
		About: "the proof that tenants are kept apart, over all flows of a host, beside reading them from the switch; `sluice verify` as a whole; and what it costs those who program a port meanwhile",
		Ratio: "Each round reads the flows and proves what it read. The ratio is the median of the rounds' ratios. A port's slice is " +
			"deleted and added again in one bundle, every 20 ms for 3 seconds a round; what counts is the mean time of a bundle.",
		Needs: ovsPrograms,
		Run: func(ctx context.Context, r *Run) error {
			for _, n := range verifyFlows {
				if err := measureProof(ctx, r, n); err != nil {
					return err
				}
			}
			for _, n := range liveFlows {
				if err := measureLive(ctx, r, n); err != nil {
					return fmt.Errorf("sluice verify over %d flows: %w", n, err)
				}
			}
			return measureBeside(ctx, r)
		},
	}
}

// proved is a switch that holds the flows of a cluster, and is read by a session.
type proved struct {
	*testbed
	cluster cluster
	list    []openflow.Flow
	session session
}

func newProved(ctx context.Context, r *Run, size int) (p *proved, err error) {
	r.Step("compiling %d flows", r.Size(size))
	p = &proved{}
	p.cluster, p.list = clusterWith(r.Size(size))
	r.Step("starting Open vSwitch")
	if p.testbed, err = newTestbed(ctx, r.Log); err != nil {
		return nil, err
	}
	if p.session, err = p.metered(ctx, p.list); err == nil {
		err = p.session.Commit(ctx, &datapath.Bundle{Mods: addsOf(p.list)})
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func measureProof(ctx context.Context, r *Run, size int) error {
	p, err := newProved(ctx, r, size)
	if err != nil {
		return err
	}
	defer p.close()
	tables := prove.Tables{Switch: p.cluster.sw}
	samples, err := r.TakeTurns(ctx,
		Side{"reading", func(ctx context.Context) (float64, error) {
			tables.Flows = make([]openflow.Flow, 0, len(p.list))
			runtime.GC()
			return timed(func() error {
				return p.session.Flows(ctx, nil, func(f *openflow.FlowStats) bool {
					tables.Flows = append(tables.Flows, f.Flow)
					return true
				})
			})
		}},
		Side{"proof", func(context.Context) (float64, error) {
			runtime.GC()
			return timed(func() error {
				if found := prove.Host(p.cluster.state, tables); len(found) > 0 {
					return fmt.Errorf("it is not proved: %s", &found[0])
				}
				return nil
			})
		}})
	if err != nil {
		return err
	}
	res := Compare("s", samples[1], Other{"reading the flows", AtMost(proofOfReading), samples[0]})
	res.Params = map[string]any{"flows": r.Size(size)}
	res.Facts = []Fact{
		{"flows, exactly", float64(len(p.list)), "", nil},
		{"tenants that they serve", float64(p.cluster.tenants), "", nil},
	}
	return r.Done(res)
}
