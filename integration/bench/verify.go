package bench

import (
	"context"
	"fmt"

	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/flows/prove"
)

// verifyFlows is how many flows the case proves.
const verifyFlows = 10_000

// proofOfReading bounds how long the proof of a host's flows takes, to the reading of them.
const proofOfReading = 10

func verifyCase() Case {
	return Case{
		Name:  "verify",
		About: "the proof that tenants are kept apart, over all flows of a host with 10,000, beside reading them from the switch",
		Ratio: "Each round reads the flows and proves what it read. The ratio is the median of the rounds' ratios. A cluster costs the sum " +
			"of its hosts: they are proved one after another.",
		Needs: ovsPrograms,
		Run:   verify,
	}
}

func verify(ctx context.Context, r *Run) error {
	r.Step("compiling")
	c, list := clusterWith(r.Size(verifyFlows))
	r.Step("starting Open vSwitch")
	bed, err := newTestbed(ctx, r.Log)
	if err != nil {
		return err
	}
	defer bed.close()
	s, err := bed.metered(ctx, list)
	if err != nil {
		return err
	}
	if err := s.Commit(ctx, &datapath.Bundle{Mods: addsOf(list)}); err != nil {
		return err
	}
	tables := prove.Tables{Switch: c.sw}
	samples, err := r.TakeTurns(ctx,
		Side{"reading", func(ctx context.Context) (float64, error) {
			tables.Flows = tables.Flows[:0]
			return timed(func() error {
				return s.Flows(ctx, nil, func(f *openflow.FlowStats) bool {
					tables.Flows = append(tables.Flows, f.Flow)
					return true
				})
			})
		}},
		Side{"proof", func(context.Context) (float64, error) {
			return timed(func() error {
				if found := prove.Host(c.state, tables); len(found) > 0 {
					return fmt.Errorf("it is not proved: %s", &found[0])
				}
				return nil
			})
		}})
	if err != nil {
		return err
	}
	res := Compare("s", samples[1], Other{"reading the flows", AtMost(proofOfReading), samples[0]})
	res.Params = map[string]any{"flows": r.Size(verifyFlows)}
	res.Facts = []Fact{
		{"flows, exactly", float64(len(tables.Flows)), "", nil},
		{"tenants that they serve", float64(c.tenants), "", nil},
	}
	return r.Done(res)
}
