// Command testreport reads the output of go test -json and prints it for people: a line for
// each package, the whole output of what failed, and every skipped test with its reason.
// It exits 1 when something failed and, with -no-skips, when something was skipped.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one line of test2json's output (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Elapsed    float64
	Output     string
}

// report sums up what it has read.
type report struct {
	out    io.Writer
	output map[string][]string // by package and test
	passed map[string]int      // tests, by package
	skips  []string
	total  int
	failed bool
}

func main() {
	noSkips := flag.Bool("no-skips", false, "fail when a test was skipped")
	flag.Parse()
	r := newReport(os.Stdout)
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if !r.sum(*noSkips) {
		os.Exit(1)
	}
}

func newReport(out io.Writer) *report {
	return &report{out: out, output: map[string][]string{}, passed: map[string]int{}}
}

func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprint(r.out, string(line)) // go itself complains in plain text
			} else {
				r.add(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) add(e event) {
	key := e.Package + e.ImportPath + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		r.output[key] = append(r.output[key], e.Output)
	case "build-fail":
		r.fail(key, "does not build")
	case "pass":
		r.pass(e)
		delete(r.output, key)
	case "skip":
		if e.Test != "" {
			r.skips = append(r.skips, e.Package+" "+e.Test+": "+r.reason(key))
		}
	case "fail":
		r.fail(key, fmt.Sprintf("%.1fs", e.Elapsed))
	}
}

func (r *report) pass(e event) {
	if e.Test != "" {
		r.passed[e.Package]++
		r.total++
		return
	}
	fmt.Fprintf(r.out, "ok %s %.1fs, %d tests\n", e.Package, e.Elapsed, r.passed[e.Package])
}

func (r *report) fail(key, note string) {
	r.failed = true
	fmt.Fprintf(r.out, "FAIL %s %s\n", strings.TrimSpace(key), note)
	for _, line := range r.output[key] {
		fmt.Fprint(r.out, "    ", line)
	}
	delete(r.output, key)
}

// reason is what a skipped test said.
func (r *report) reason(key string) string {
	for _, line := range r.output[key] {
		if strings.Contains(line, "_test.go:") {
			return strings.TrimSpace(line)
		}
	}
	return strings.TrimSpace(strings.Join(r.output[key], " "))
}

// sum prints the end and says whether all is well.
func (r *report) sum(noSkips bool) bool {
	for _, s := range r.skips {
		fmt.Fprintln(r.out, "SKIP", s)
	}
	ok := !r.failed && (!noSkips || len(r.skips) == 0) && r.total > 0
	verdict := map[bool]string{true: "passed", false: "FAILED"}[ok]
	fmt.Fprintf(r.out, "%s: %d tests passed, %d skipped\n", verdict, r.total, len(r.skips))
	return ok
}
