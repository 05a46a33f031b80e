package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/controller/client"
)

const (
	// meanwhileHosts are those of both containers of each tenant: nobody has a host to itself.
	meanwhileHosts = 2
	// makeEvery is how often a further tenant is made. Where one takes longer, the next follows at once.
	makeEvery = time.Second
	// growAtOnce is how many tenants of Sluice come at one time while nothing is measured.
	growAtOnce = 4
	// meanwhileLeast bounds what one tenant gets while others are made to what it gets while none is.
	meanwhileLeast = 0.95
)

// meanwhileLevels are how many further tenants are present.
var meanwhileLevels = []int{0, 100, 300, 500}

func paperThreeCase() Case {
	return Case{
		Name:  "paper-3",
		About: "TCP of one tenant while further ones are made beside it on the same two hosts, with 0 to 500 present: Sluice beside the paper's large design",
		Ratio: "The tenant transfers between two hosts whose wires carry 100 Mbit/s in each direction. Meanwhile a tenant with a container on both hosts is made each second, answers a ping, and is " +
			"removed; in the large design that is a bridge and a GRE port on each host. Both ways take turns, each at rest and while tenants are made, once a round; the ratio is the median of the rounds' " +
			"ratios. All tenants of both ways are on these hosts: of Sluice with their containers, of the large design their bridges alone. A sample during which less than 10 % of the processors' time was " +
			"idle is thrown away, and a level where that happens three times is not kept. How long it takes to make a tenant is what the case tenant measures.",
		Needs: paperPrograms,
		Run: func(ctx context.Context, r *Run) error {
			return inPaper(ctx, r, meanwhileHosts, func(s *paperRun) error { return measureMeanwhile(ctx, s) })
		},
	}
}

// meanwhile is two ways to give tenants networks, each with a tenant that transfers and one that comes and goes.
type meanwhile struct {
	*paperRun
	ours, theirs making
	further      []container // for Sluice's tenants that are present, in pairs
}

// making is one way to make tenants, and who is watched meanwhile.
type making struct {
	watched paperSide
	one     func(ctx context.Context, present int) error // makes a tenant until its first ping is answered, and removes it
	reach   func(ctx context.Context, from, to int) error
	made    []float64 // in each transfer
}

func measureMeanwhile(ctx context.Context, s *paperRun) error {
	levels := s.levels(meanwhileLevels)
	ends, err := newContainers(ctx, 8+2*levels[len(levels)-1])
	if err != nil {
		return err
	}
	m := &meanwhile{paperRun: s, further: ends[8:]}
	if err := m.begin(ctx, ends[:8]); err != nil {
		return err
	}
	var errs []error
	at := 0
	for _, level := range levels {
		for _, way := range []*making{&m.ours, &m.theirs} {
			if err := way.reach(ctx, at, level); err != nil {
				return fmt.Errorf("%s, from %d to %d tenants: %w", way.watched.name, at, level, err)
			}
		}
		at = level
		errs = append(errs, m.level(ctx, level))
	}
	return errors.Join(errs...)
}

// begin connects who transfers, and says how tenants are made.
func (m *meanwhile) begin(ctx context.Context, ends []container) error {
	pair := func(n int) tenantPair { return tenantPair{n, ends[2*n], ends[2*n+1]} }
	ours, err := m.oursSide(ctx, pair(0), m.Hosts[hostTo].Name)
	if err != nil {
		return err
	}
	design, large := largeDesign(func(int) int { return hostTo }), placed{pair(1), [2]int{hostFrom, hostTo}}
	if err := m.lay(ctx, design, large); err != nil {
		return fmt.Errorf("%s: %w", design.name, err)
	}
	theirs := paperSide{design.name, large.tenantPair, design.address(large.number, 1), true}
	for _, side := range []paperSide{ours, theirs} {
		if err := m.serve(side.pair); err != nil {
			return err
		}
	}
	flows := &tenantRun{labRun: m.labRun, pair: ends[4:6], present: newPresent(0, 0)}
	m.ours = making{watched: ours, reach: m.grow, one: func(ctx context.Context, _ int) error {
		flows.created++
		name := fmt.Sprint("measured-", flows.created)
		if _, err := flows.create(ctx, name, &creation{}); err != nil {
			return err
		}
		return flows.remove(ctx, name)
	}}
	bridges := &normalRun{labRun: m.labRun, pair: ends[6:8]}
	m.theirs = making{watched: theirs, reach: bridges.reach, one: func(ctx context.Context, present int) error {
		_, _, err := bridges.one(ctx, present+1)
		return err
	}}
	return nil
}

// grow gives Sluice more tenants, each with a container on both hosts.
func (m *meanwhile) grow(ctx context.Context, from, to int) error {
	m.Step("Sluice: from %d to %d tenants on two hosts", from, to)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(growAtOnce)
	for n := from; n < to; n++ {
		g.Go(func() error {
			tenant := fmt.Sprint("beside-", n+1)
			if _, err := m.api.CreateTenant(ctx, client.TenantSpec{Name: tenant, Gateway: m.Hosts[n%meanwhileHosts].Name}); err != nil {
				return err
			}
			for host := range meanwhileHosts {
				if _, err := m.attach(ctx, host, tenant, m.further[2*n+host]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// level compares both ways with so many tenants present.
func (m *meanwhile) level(ctx context.Context, present int) error {
	m.ours.made, m.theirs.made = nil, nil
	samples, err := m.TakeTurns(ctx, m.atRest(&m.ours), m.busy(&m.ours, present), m.atRest(&m.theirs), m.busy(&m.theirs, present))
	if err != nil {
		return fmt.Errorf("%d tenants present: %w", present, err)
	}
	res := Compare("Mbit/s", samples[1], Other{"Sluice while none is made", AtLeast(meanwhileLeast), samples[0]},
		Other{m.theirs.watched.name + " while as many are made", nil, samples[3]})
	res.Params = map[string]any{"what": "TCP while tenants are made", "present": present}
	res.Facts = []Fact{
		{Name: "tenants made in a transfer", Value: quantile(m.ours.made, 0.5)},
		{Name: "tenants made in a transfer, " + m.theirs.watched.name, Value: quantile(m.theirs.made, 0.5)},
		{Name: m.theirs.watched.name + ", to what it is while none is made", Value: medianRatio(samples[3], samples[2])},
	}
	return m.Done(res)
}

func (m *meanwhile) atRest(way *making) Side {
	return Side{way.watched.name + " at rest", func(ctx context.Context) (float64, error) {
		return m.spared(ctx, func() (float64, error) { return m.stream(ctx, way.watched) })
	}}
}

func (m *meanwhile) busy(way *making, present int) Side {
	return Side{way.watched.name + " while tenants are made", func(ctx context.Context) (float64, error) {
		return m.spared(ctx, func() (rate float64, err error) {
			ended := make(chan struct{})
			g, ctx := errgroup.WithContext(ctx)
			g.Go(func() (err error) {
				defer close(ended)
				rate, err = m.stream(ctx, way.watched)
				return err
			})
			g.Go(func() error { return way.keep(ctx, present, ended) })
			err = g.Wait()
			return rate, err
		})
	}}
}

// stream transfers for a while, and returns Mbit/s.
func (m *meanwhile) stream(ctx context.Context, side paperSide) (float64, error) {
	rate, err := transfer(ctx, side.pair.from.netns, side.address, m.Size(paperSeconds))
	return rate / 1e6, err
}

// keep makes tenants, one after the other, until the transfer has ended.
func (w *making) keep(ctx context.Context, present int, ended <-chan struct{}) error {
	tick := time.NewTicker(makeEvery)
	defer tick.Stop()
	for made := 0.0; ; made++ {
		if err := w.one(ctx, present); err != nil {
			return fmt.Errorf("one more tenant: %w", err)
		}
		select {
		case <-ended:
			w.made = append(w.made, made+1)
			return nil
		case <-tick.C:
		}
	}
}
