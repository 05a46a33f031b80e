package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sluice/integration/bench"
)

// benchFlags are the command line of sluice bench.
type benchFlags struct {
	options bench.Options
	results string
	pprof   pprofFlag
	log     logFlags
}

func benchCommand() *cobra.Command {
	var o benchFlags
	cases := bench.Cases()
	cmd := &cobra.Command{
		Use:   "bench [NAME...]",
		Short: "Measure what Sluice promises, beside what it is compared with",
		Long: `Measure what Sluice promises. Both sides of a comparison are measured in the same run, in
rounds, and the median of the rounds' ratios is held against a bound: the exit status is 1 when
one is missed. Without NAME all cases run. It needs root and Open vSwitch.

` + describeCases(cases),
		Example:   "  sluice bench program resync\n  sluice bench program -o json --rounds 9\n  sluice bench --scale 0.01\n  sluice bench paper-2 --tenants 50,100",
		Args:      cobra.ArbitraryArgs,
		ValidArgs: bench.Names(cases),
	}
	out := outputFlag(cmd)
	o.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		chosen, err := bench.Choose(cases, names)
		if err != nil {
			return usageError{err}
		}
		return o.run(cmd, chosen, out)
	}
	return cmd
}

// describeCases lists what each case compares, and how its ratios are made.
func describeCases(cases []bench.Case) string {
	var b strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&b, "  %-10s %s\n", c.Name, wrapped(c.About+". "+c.Ratio, "             ", 95))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// wrapped breaks a text into lines of so many characters, the indent of all but the first
// included.
func wrapped(text, indent string, width int) string {
	var b strings.Builder
	column := len(indent)
	for i, word := range strings.Fields(text) {
		switch {
		case i > 0 && column+1+len(word) > width:
			b.WriteString("\n" + indent)
			column = len(indent)
		case i > 0:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

func (o *benchFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.IntVar(&o.options.Rounds, "rounds", 5, "`NUMBER` of times that each side runs")
	f.Float64Var(&o.options.Scale, "scale", 1, "`FRACTION` of the full sizes; below 1 no bound is judged")
	f.IntSliceVar(&o.options.PaperTenants, "tenants", nil, "`NUMBERS` of tenants that paper-2 measures with, in rising order; default 1,5,10,20")
	f.StringVar(&o.results, "results", "", "`FILE` of earlier results, one JSON object a line, to renew with these")
	o.pprof.register(cmd)
	o.log.register(cmd)
	quiet := f.Lookup("log-level")
	quiet.DefValue = "warn"
	must(quiet.Value.Set(quiet.DefValue))
}

func (o *benchFlags) run(cmd *cobra.Command, cases []bench.Case, out *format) error {
	if err := o.prepare(cmd); err != nil {
		return err
	}
	status := newStatusLine(cmd.ErrOrStderr())
	defer status.clear()
	o.options.Progress = status.show
	var results []bench.Result
	o.options.Report = func(r bench.Result) error {
		results = append(results, r)
		if *out != formatJSON {
			return nil
		}
		status.clear()
		return writeLine(cmd.OutOrStdout(), r)
	}
	outcome, err := bench.RunAll(cmd.Context(), cases, o.options)
	status.clear()
	if *out != formatJSON && len(results) > 0 {
		people := func(w io.Writer) { writeResults(w, results) }
		if err := out.print(cmd.OutOrStdout(), results, people); err != nil {
			return err
		}
	}
	return o.conclude(results, outcome, err)
}

// prepare checks the flags and starts what they ask for.
func (o *benchFlags) prepare(cmd *cobra.Command) error {
	if o.options.Rounds < 1 || o.options.Scale <= 0 || o.options.Scale > 1 {
		return usagef("--rounds is at least 1, --scale above 0 and at most 1")
	}
	if n := o.options.PaperTenants; len(n) > 0 && (!slices.IsSorted(n) || n[0] < 1 || n[len(n)-1] > bench.MostPaperTenants) {
		return usagef("--tenants are from 1 to %d, in rising order", bench.MostPaperTenants)
	}
	log, err := o.log.logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	o.options.Log = log
	if o.options.Binary, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return o.pprof.serve(cmd.Context(), log)
}

// conclude keeps the results and says what is wrong with them.
func (o *benchFlags) conclude(results []bench.Result, outcome bench.Outcome, err error) error {
	if o.results != "" && len(results) > 0 {
		if err := bench.Keep(o.results, results, outcome.Whole); err != nil {
			return err
		}
	}
	if err == nil && outcome.Missed > 0 {
		err = fmt.Errorf("%s of %d missed a bound", counted(outcome.Missed, "result"), len(results))
	}
	return err
}

// writeLine writes a result as one line of JSON.
func writeLine(w io.Writer, r bench.Result) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

func writeResults(w io.Writer, results []bench.Result) {
	p := painterFor(w)
	g := columns("case", "with", "ours", "against", "theirs", "ratio", "bound", "verdict")
	for _, row := range bench.Rows(results) {
		g.row(row.Case, row.Params, row.Ours, row.Against, row.Theirs, row.Ratio, row.Bound, p.verdict(row))
	}
	g.write(w)
}

func (p painter) verdict(row bench.Row) string {
	if row.Verdict() != "" && !row.Held {
		return p.bad(row.Verdict())
	}
	return row.Verdict()
}

// statusLine shows on a terminal what is being done, and nothing in a pipe.
type statusLine struct {
	out io.Writer
	on  bool
}

func newStatusLine(w io.Writer) *statusLine { return &statusLine{w, isTerminal(w)} }

func (l *statusLine) show(text string) {
	if l.on {
		fmt.Fprintf(l.out, "\r\x1b[K… %s", text)
	}
}

func (l *statusLine) clear() {
	if l.on {
		fmt.Fprint(l.out, "\r\x1b[K")
	}
}
