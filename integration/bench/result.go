package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Result is one measurement of a case: what `sluice bench -o json` writes as one line.
type Result struct {
	Case   string         `json:"case"`
	Params map[string]any `json:"params"` // what was measured: sizes and modes, no figures

	// Ratio is the median of the rounds' ratios, ours to the other side's, in Unit.
	Ratio   float64 `json:"ratio"`
	Against string  `json:"against"`         // the other side
	Bound   *Bound  `json:"bound,omitempty"` // of Ratio; nil: for information

	Series                 // our side
	Reference *Series      `json:"reference,omitempty"` // the other side
	Also      []Comparison `json:"also,omitempty"`      // further comparisons of the same samples

	Facts  []Fact   `json:"facts,omitempty"`
	Missed []string `json:"missed,omitempty"` // what does not hold, in words

	// Taken and Machine say when and on what a result was taken, once it is kept.
	Taken   time.Time `json:"taken,omitzero"`
	Machine string    `json:"machine,omitempty"`
}

// Series is one side's samples, one or more a round, in the order in which they were taken.
type Series struct {
	Median  float64   `json:"median"`
	P99     float64   `json:"p99"`
	Unit    string    `json:"unit"`
	Samples []float64 `json:"samples"`
}

// Comparison is one more ratio of a Result's samples.
type Comparison struct {
	Ratio     float64 `json:"ratio"`
	Against   string  `json:"against"`
	Bound     *Bound  `json:"bound,omitempty"`
	Reference *Series `json:"reference,omitempty"`
}

// Fact is a figure beside the comparison, such as a count or a size. A fact with a bound is
// judged.
type Fact struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
	Bound *Bound  `json:"bound,omitempty"`
}

// Bound is what a figure must keep to. Nil ends are open.
type Bound struct {
	Least *float64 `json:"least,omitempty"`
	Most  *float64 `json:"most,omitempty"`
}

// AtLeast bounds a figure from below.
func AtLeast(v float64) *Bound { return &Bound{Least: &v} }

// AtMost bounds a figure from above.
func AtMost(v float64) *Bound { return &Bound{Most: &v} }

// Exactly bounds a figure to one value.
func Exactly(v float64) *Bound { return &Bound{Least: &v, Most: &v} }

// Holds reports whether v keeps to the bound; a nil bound is kept by all.
func (b *Bound) Holds(v float64) bool {
	return b == nil || (b.Least == nil || v >= *b.Least) && (b.Most == nil || v <= *b.Most)
}

// String is the bound as people write it.
func (b *Bound) String() string {
	var parts []string
	switch {
	case b == nil:
		return ""
	case b.Least != nil && b.Most != nil && *b.Least == *b.Most:
		return "= " + figure(*b.Least)
	}
	if b.Least != nil {
		parts = append(parts, ">= "+figure(*b.Least))
	}
	if b.Most != nil {
		parts = append(parts, "<= "+figure(*b.Most))
	}
	return strings.Join(parts, ", ")
}

// judge lists the figures of a result that do not keep to their bound.
func (r *Result) judge() {
	miss := func(what string, v float64, b *Bound) {
		if !b.Holds(v) {
			r.Missed = append(r.Missed, fmt.Sprintf("%s: %s, bound %s", what, figure(v), b))
		}
	}
	miss("ratio to "+r.Against, r.Ratio, r.Bound)
	for _, c := range r.Also {
		miss("ratio to "+c.Against, c.Ratio, c.Bound)
	}
	for _, f := range r.Facts {
		miss(f.Name, f.Value, f.Bound)
	}
}

// unbind drops the bounds.
func (r *Result) unbind() {
	r.Bound, r.Also, r.Facts = nil, slices.Clone(r.Also), slices.Clone(r.Facts)
	for i := range r.Also {
		r.Also[i].Bound = nil
	}
	for i := range r.Facts {
		r.Facts[i].Bound = nil
	}
}
