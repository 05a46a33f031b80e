package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"sluice/integration/machine"
)

// Row is one comparison as people read it.
type Row struct {
	Case, Params  string
	Ours, Against string
	Theirs        string
	Ratio, Bound  string // Bound "": it was not judged
	Held          bool
}

// Verdict is whether the row keeps to its bound, or nothing where it has none.
func (r Row) Verdict() string {
	switch {
	case r.Bound == "":
		return ""
	case r.Held:
		return "holds"
	}
	return "missed"
}

// Rows are the comparisons and the judged facts of results, a row each.
func Rows(results []Result) []Row {
	var rows []Row
	for _, r := range results {
		c := Comparison{Ratio: r.Ratio, Against: r.Against, Bound: r.Bound, Reference: r.Reference}
		for _, c := range append([]Comparison{c}, r.Also...) {
			rows = append(rows, r.row(c))
		}
		for _, f := range r.Facts {
			rows = append(rows, Row{
				Case: r.Case, Params: paramText(r.Params), Ours: quantity(f.Value, f.Unit), Against: f.Name,
				Bound: f.Bound.String(), Held: f.Bound.Holds(f.Value),
			})
		}
	}
	return rows
}

func (r *Result) row(c Comparison) Row {
	row := Row{
		Case: r.Case, Params: paramText(r.Params), Ours: quantity(r.Median, r.Unit),
		Against: c.Against, Bound: c.Bound.String(), Held: c.Bound.Holds(c.Ratio),
	}
	if c.Against != "" {
		row.Ratio = fmt.Sprintf("%.2f", c.Ratio)
	}
	if c.Reference != nil {
		row.Theirs = quantity(c.Reference.Median, c.Reference.Unit)
	}
	return row
}

func quantity(v float64, unit string) string { return strings.TrimSpace(figure(v) + " " + unit) }

func paramText(params map[string]any) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(params)) {
		list = append(list, fmt.Sprintf("%s=%v", k, number(params[k])))
	}
	return strings.Join(list, " ")
}

// number keeps a count that went through JSON from being written with an exponent.
func number(v any) any {
	if f, ok := v.(float64); ok {
		return figure(f)
	}
	return v
}

// Keep writes results to a file of earlier ones, one JSON object a line. A result takes the
// place of the one with its case and parameters. Of a case that ran whole nothing earlier
// stays: what it did not measure now is measured no more.
func Keep(path string, results []Result, whole []string) error {
	kept, err := Load(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	kept = slices.DeleteFunc(kept, func(k Result) bool { return slices.Contains(whole, k.Case) })
	now, where := time.Now().UTC().Truncate(time.Second), machine.Describe()
	for _, r := range results {
		r.Taken, r.Machine = now, where
		at := slices.IndexFunc(kept, func(k Result) bool { return k.Case == r.Case && paramText(k.Params) == paramText(r.Params) })
		if at < 0 {
			kept = append(kept, r)
			continue
		}
		kept[at] = r
	}
	return save(path, kept)
}

func save(path string, results []Result) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, r := range results {
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("results %s: %w", path, err)
		}
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// Load reads a file that Keep wrote.
func Load(path string) ([]Result, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var results []Result
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, len(b)+1)
	for n := 1; lines.Scan(); n++ {
		var r Result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("results %s: line %d: %w", path, n, err)
		}
		results = append(results, r)
	}
	return results, lines.Err()
}
