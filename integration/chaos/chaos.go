package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/integration/lab"
	"sluice/integration/machine"
)

// Options say how long to break what.
type Options struct {
	For    time.Duration
	Seed   uint64
	Binary string // the sluice binary
	Out    io.Writer
	// Plant is a violation that the run makes itself, to see that it is found: cross, a flow
	// that carries frames to another tenant; lost, an acknowledged tenant deleted in etcd.
	Plant string
}

// breakers are how many faults there are at once.
const breakers = 2

// settleTime is how long traffic runs before the first fault: what is lost then is lost
// without a cause.
const settleTime = 2 * time.Second

// Run breaks the running lab, or one of its own. It returns what it saw, also beside a
// violation, which is its error.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	if _, err := lab.Load(ctx); errors.Is(err, lab.ErrNotRunning) {
		defer func() { err = errors.Join(err, lab.Down(context.WithoutCancel(ctx))) }()
		own := lab.Options{Hosts: 3, Controllers: 2, EtcdMembers: 3, Binary: o.Binary, Out: o.Out}
		if err := lab.Up(ctx, own); err != nil {
			return nil, err
		}
	}
	r, err := newRun(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close(context.WithoutCancel(ctx))) }()
	err = r.run(ctx)
	report = r.history.report(o.Seed)
	report.Machine = machine.Describe()
	report.Counts["packets sent between pairs"] = r.traffic.count()
	return report, err
}

// run is one run of chaos.
type run struct {
	Options
	world   *world
	traffic *traffic
	history *history
	ledger  *ledger
	work    *workload
}

func newRun(ctx context.Context, o Options) (*run, error) {
	r := &run{Options: o, history: newHistory(o.Out), ledger: newLedger()}
	var err error
	if r.world, err = makeWorld(ctx, o.Binary); err != nil {
		return nil, fmt.Errorf("make the containers that talk: %w", errors.Join(err, r.close(context.WithoutCancel(ctx))))
	}
	return r, nil
}

// run works until the time is over or something is violated, and judges what is left.
func (r *run) run(ctx context.Context) error {
	traffic, err := startTraffic(r.world)
	if err != nil {
		return err
	}
	r.traffic, r.work = traffic, newWorkload(r, r.random(0))
	defer traffic.stop()
	if err := r.trouble(ctx); err != nil {
		return r.explain(context.WithoutCancel(ctx), err)
	}
	if err := r.finish(ctx); err != nil {
		return r.explain(context.WithoutCancel(ctx), err)
	}
	return nil
}

// trouble breaks, asks and judges at once, for as long as was asked for.
func (r *run) trouble(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, r.For)
	defer cancel()
	g, ctx := errgroup.WithContext(limited)
	g.Go(func() error { return r.judge(ctx) })
	if r.Plant != "" {
		g.Go(func() error { return r.plant(ctx) })
	} else {
		g.Go(func() error { return r.work.work(ctx) })
		crew := newCrew(r)
		for i := range breakers {
			g.Go(func() error { return crew.work(ctx, r.random(uint64(i+1))) })
		}
	}
	err := g.Wait()
	if limited.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// random is a source of choices of its own for each part, so that one part's pace does not
// change another's choices.
func (r *run) random(part uint64) *rand.Rand { return rand.New(rand.NewPCG(r.Seed, part)) }

// close removes what the run made in the lab.
func (r *run) close(ctx context.Context) error {
	if r.world == nil {
		return nil
	}
	return r.world.remove(ctx)
}

// pause waits, and reports whether the run goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
