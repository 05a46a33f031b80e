package chaos

import (
	"cmp"
	"slices"
	"time"
)

// Report is what a run saw.
type Report struct {
	Seed    uint64         `json:"seed"`
	Taken   time.Time      `json:"taken"`   // when it began
	Machine string         `json:"machine"` // on what
	Took    time.Duration  `json:"took"`    // nanoseconds, as all times of the report
	Faults  []FaultReport  `json:"faults"`
	Counts  map[string]int `json:"counts"`
}

// FaultReport is one kind of fault.
type FaultReport struct {
	Kind   string        `json:"kind"`
	Times  int           `json:"times"`
	Lost   int           `json:"lost"`   // packets of all pairs, that the fault was blamed for
	Mended time.Duration `json:"mended"` // median time from the fault's end until all was as before
	Worst  time.Duration `json:"worst"`
}

// report sums the windows up by kind, in the order of the kinds' names.
func (h *history) report(seed uint64) *Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &Report{Seed: seed, Taken: h.begun.UTC().Truncate(time.Second), Took: time.Since(h.begun), Counts: h.tally}
	times := map[string][]time.Duration{}
	lost := map[string]int{}
	for _, w := range h.windows {
		if !w.mended.IsZero() {
			times[w.kind] = append(times[w.kind], w.mended.Sub(w.ended))
		}
		lost[w.kind] += w.lost
	}
	for kind, took := range times {
		slices.Sort(took)
		r.Faults = append(r.Faults, FaultReport{
			Kind: kind, Times: len(took), Lost: lost[kind], Mended: took[len(took)/2], Worst: took[len(took)-1],
		})
	}
	slices.SortFunc(r.Faults, func(a, b FaultReport) int { return cmp.Compare(a.Kind, b.Kind) })
	return r
}
