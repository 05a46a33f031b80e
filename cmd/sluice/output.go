package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/fatih/color"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	"sigs.k8s.io/yaml"
)

// format is the value of -o.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
	formatYAML  format = "yaml"
)

// formatFlag is -o of a command: one of the formats that it can write.
type formatFlag struct {
	chosen *format
	of     []format
}

func (f formatFlag) String() string { return string(*f.chosen) }

// Type names the value in the help.
func (f formatFlag) Type() string { return "format" }

// Set refuses formats that the command does not write.
func (f formatFlag) Set(s string) error {
	if slices.Contains(f.of, format(s)) {
		*f.chosen = format(s)
		return nil
	}
	last := len(f.of) - 1
	return fmt.Errorf("it is %s or %s", strings.Join(f.names()[:last], ", "), f.of[last])
}

func (f formatFlag) names() (names []string) {
	for _, one := range f.of {
		names = append(names, string(one))
	}
	return names
}

// outputFlag gives a command -o, with formats of its own besides those that every command has.
func outputFlag(cmd *cobra.Command, own ...format) *format {
	f := formatFlag{new(format), append([]format{formatTable, formatJSON, formatYAML}, own...)}
	*f.chosen = formatTable
	cmd.Flags().VarP(f, "output", "o", "how to show it: `"+strings.Join(f.names(), "|")+"`")
	complete := cobra.FixedCompletions(f.names(), cobra.ShellCompDirectiveNoFileComp)
	must(cmd.RegisterFlagCompletionFunc("output", complete))
	return f.chosen
}

// must is for wiring that is wrong in the source or never.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// print writes v in the format; people's own form is for the caller to write.
func (f *format) print(w io.Writer, v any, people func(io.Writer)) error {
	switch *f {
	case formatJSON:
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	case formatYAML:
		b, err := yaml.Marshal(v)
		if err != nil {
			return fmt.Errorf("write yaml: %w", err)
		}
		_, err = w.Write(b)
		return err
	}
	people(w)
	return nil
}

// grid is a table for people: a header, and columns apart by spaces.
type grid struct {
	header []string
	rows   [][]string
}

func columns(header ...string) *grid { return &grid{header: header} }

func (g *grid) row(cells ...string) { g.rows = append(g.rows, cells) }

func (g *grid) write(w io.Writer) {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "   "
	style.Format.Header = text.FormatUpper
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	t.AppendHeader(tableRow(g.header))
	for _, r := range g.rows {
		t.AppendRow(tableRow(r))
	}
	fmt.Fprintln(w, t.Render())
}

func tableRow(cells []string) table.Row {
	row := make(table.Row, len(cells))
	for i, c := range cells {
		if c == "" {
			c = "-"
		}
		row[i] = c
	}
	return row
}

// facts writes what one object is, a line each. A fact without value is left out.
func facts(w io.Writer, pairs ...string) {
	width := 0
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			width = max(width, len(pairs[i]))
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(w, "%-*s  %s\n", width+1, pairs[i]+":", pairs[i+1])
		}
	}
}

// joined writes a list with commas.
func joined[T any](list []T) string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = fmt.Sprint(v)
	}
	return strings.Join(texts, ", ")
}

// counted is a number and its noun: 1 port, 2 ports.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func yesNo(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// isTerminal reports whether a person watches w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// painter colours words on a terminal and leaves them plain in a pipe, or where NO_COLOR
// is set.
type painter struct{ on bool }

func painterFor(w io.Writer) painter {
	return painter{isTerminal(w) && os.Getenv("NO_COLOR") == ""}
}

func (p painter) paint(s string, attributes ...color.Attribute) string {
	c := color.New(attributes...)
	if p.on {
		c.EnableColor()
	} else {
		c.DisableColor()
	}
	return c.Sprint(s)
}

// labels are the values of --label.
type labels struct{ to *map[string]string }

func labelFlag(cmd *cobra.Command, to *map[string]string) {
	cmd.Flags().Var(labels{to}, "label", "`KEY=VALUE` for people and selectors; may be repeated")
}

func (l labels) String() string {
	if l.to == nil {
		return ""
	}
	return pairs(*l.to)
}

// Type names the value in the help.
func (l labels) Type() string { return "KEY=VALUE" }

// Set adds one label.
func (l labels) Set(s string) error {
	key, value, found := strings.Cut(s, "=")
	if !found || key == "" {
		return fmt.Errorf("write it as KEY=VALUE")
	}
	if *l.to == nil {
		*l.to = map[string]string{}
	}
	(*l.to)[key] = value
	return nil
}

// pairs writes labels in the order of their keys.
func pairs(labels map[string]string) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		list = append(list, k+"="+labels[k])
	}
	return strings.Join(list, ", ")
}
