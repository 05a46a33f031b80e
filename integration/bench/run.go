package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
)

// Options say how cases run.
type Options struct {
	Rounds int     // how often each side of a comparison runs; 0: 5
	Scale  float64 // of each case's sizes, for a quick look; 0: 1. Below 1 no bound is judged
	Log    *slog.Logger
	Binary string // the sluice binary, for cases that run it as a process of its own

	// PaperTenants are how many tenants the case paper-2 measures with, in rising order; nil: the case's own.
	PaperTenants []int
	// Unwatched measures also beside other load: for tests, whose figures say nothing.
	Unwatched bool

	Progress func(text string)    // what is being done; nil: nobody wants to know
	Report   func(r Result) error // each result, as soon as it is there
}

// Run is what a running case sees of the frame.
type Run struct {
	Options
	name string
}

// Outcome is how a run went.
type Outcome struct {
	Missed int      // results that do not hold
	Whole  []string // the cases that ran at full size and to their end: all that they measure is there
}

// RunAll runs cases one after the other. A case that cannot be measured does not keep the
// others from running.
func RunAll(ctx context.Context, cases []Case, o Options) (out Outcome, err error) {
	o = o.withDefaults()
	report := o.Report
	o.Report = func(r Result) error {
		if o.Scale < 1 {
			r.unbind() // bounds are of full sizes
		}
		if r.judge(); len(r.Missed) > 0 {
			out.Missed++
		}
		return report(r)
	}
	var errs []error
	for _, c := range cases {
		o.Progress(c.Name)
		if err := c.measure(ctx, &Run{Options: o, name: c.Name}); err != nil {
			errs = append(errs, fmt.Errorf("benchmark %s: %w", c.Name, err))
		} else if o.whole() {
			out.Whole = append(out.Whole, c.Name)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return out, errors.Join(errs...)
}

// whole reports whether cases run with all that they measure: then what was kept of them before may go.
func (o Options) whole() bool { return o.Scale >= 1 && len(o.PaperTenants) == 0 }

func (o Options) withDefaults() Options {
	if o.Rounds <= 0 {
		o.Rounds = 5
	}
	if o.Scale <= 0 {
		o.Scale = 1
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Report == nil {
		o.Report = func(Result) error { return nil }
	}
	return o
}

// Step says what the case does now.
func (r *Run) Step(format string, args ...any) {
	r.Progress(r.name + ": " + fmt.Sprintf(format, args...))
}

// Size is a case's size at the run's scale, at least 1.
func (r *Run) Size(full int) int { return max(1, int(math.Round(float64(full)*r.Scale))) }

// Done reports a result of this case.
func (r *Run) Done(res Result) error {
	res.Case = r.name
	if res.Params == nil {
		res.Params = map[string]any{}
	}
	if res.Samples == nil {
		res.Samples = []float64{}
	}
	return r.Report(res)
}

// Side is one of the things that a comparison runs.
type Side struct {
	Name string
	// Measure does the work once and returns its figure. What it does before and after the
	// part that it measures costs nothing.
	Measure func(ctx context.Context) (float64, error)
}

// TakeTurns runs each side once a round, a different one first in each, and returns the
// samples by side.
func (r *Run) TakeTurns(ctx context.Context, sides ...Side) ([][]float64, error) {
	samples := make([][]float64, len(sides))
	for round := range r.Rounds {
		for i := range sides {
			at := (round + i) % len(sides)
			r.Step("round %d of %d: %s", round+1, r.Rounds, sides[at].Name)
			v, err := sides[at].Measure(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", sides[at].Name, err)
			}
			samples[at] = append(samples[at], v)
		}
	}
	return samples, nil
}

// Compare makes a result of the samples of our side and of the others, in their order. The
// first of the others is the result's Against.
func Compare(unit string, ours []float64, others ...Other) Result {
	res := Result{Series: NewSeries(unit, ours)}
	for i, o := range others {
		ref := NewSeries(unit, o.Samples)
		c := Comparison{Ratio: medianRatio(ours, o.Samples), Against: o.Name, Bound: o.Bound, Reference: &ref}
		if i > 0 {
			res.Also = append(res.Also, c)
			continue
		}
		res.Ratio, res.Against, res.Bound, res.Reference = c.Ratio, c.Against, c.Bound, c.Reference
	}
	return res
}

// Other is a side that ours is compared with.
type Other struct {
	Name    string
	Bound   *Bound // of the ratio of ours to it
	Samples []float64
}
