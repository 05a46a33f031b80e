package bench

import (
	"context"
	"fmt"
	"slices"
)

// climb measures one thing at rising levels of something that may be in its way. Levels
// cannot take turns one by one where reaching them takes long, so that each round goes
// through all of them and back to the first.
type climb struct {
	levels []int
	reach  func(ctx context.Context, from, to int) error           // nil: there is nothing to do
	take   func(ctx context.Context, level int) ([]float64, error) // the samples of one round
}

// climbed are samples by level and round. The first level has one round more than the others.
type climbed struct {
	levels []int
	rounds [][][]float64
}

// climb runs each level once a round, and the first once more at the end.
func (r *Run) climb(ctx context.Context, c climb) (climbed, error) {
	got := climbed{c.levels, make([][][]float64, len(c.levels))}
	at := c.levels[0]
	visit := func(i int) error {
		level := c.levels[i]
		if c.reach != nil && level != at {
			if err := c.reach(ctx, at, level); err != nil {
				return fmt.Errorf("from %d to %d: %w", at, level, err)
			}
		}
		at = level
		samples, err := c.take(ctx, level)
		if err != nil {
			return fmt.Errorf("at %d: %w", level, err)
		}
		got.rounds[i] = append(got.rounds[i], samples)
		return nil
	}
	for range r.Rounds {
		for i := range c.levels {
			if err := visit(i); err != nil {
				return got, err
			}
		}
	}
	return got, visit(0)
}

// levels are levels at the run's scale, each once; the first is what it is.
func (r *Run) levels(full []int) []int {
	levels := full[:1:1]
	for _, n := range full[1:] {
		levels = append(levels, r.Size(n))
	}
	return slices.Compact(levels)
}

// compare holds a level against the first: in each round against the samples of the first from
// before and after it together, so that a machine that drifts drifts on both sides. The first
// itself is held against what it was a round earlier, which is that drift.
func (c climbed) compare(i int, against string, bound *Bound) Result {
	var ratios []float64
	first := c.rounds[0]
	for round := range len(first) - 1 {
		ours, theirs := c.rounds[i][round], slices.Concat(first[round], first[round+1])
		if i == 0 {
			ours, theirs = first[round+1], first[round]
		}
		ratios = append(ratios, quantile(ours, 0.5)/quantile(theirs, 0.5))
	}
	if i == 0 {
		against += ", a round earlier"
	}
	reference := NewSeries("ms", slices.Concat(first...))
	return Result{
		Ratio: quantile(ratios, 0.5), Against: against, Bound: bound,
		Series: NewSeries("ms", slices.Concat(c.rounds[i]...)), Reference: &reference,
	}
}
