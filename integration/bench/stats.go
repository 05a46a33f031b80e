package bench

import (
	"math"
	"slices"
	"strconv"
)

// NewSeries summarizes samples.
func NewSeries(unit string, samples []float64) Series {
	return Series{Median: quantile(samples, 0.5), P99: quantile(samples, 0.99), Unit: unit, Samples: samples}
}

// quantile is the q-quantile of samples by the nearest rank, the median of an even number
// their middle pair's mean; 0 of none.
func quantile(samples []float64, q float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	if q == 0.5 && n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[max(0, int(math.Ceil(q*float64(n)))-1)]
}

// medianRatio is the median of the ratios of ours to theirs, round by round.
func medianRatio(ours, theirs []float64) float64 {
	ratios := make([]float64, 0, len(ours))
	for i := range min(len(ours), len(theirs)) {
		if theirs[i] != 0 {
			ratios = append(ratios, ours[i]/theirs[i])
		}
	}
	return quantile(ratios, 0.5)
}

// figure writes a number with three significant digits, or whole where it is longer.
func figure(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100 || v == math.Trunc(v):
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}
