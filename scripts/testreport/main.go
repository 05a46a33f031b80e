// Command testreport runs go test -json and prints what it says for people: a line for each package, the whole
// output of what failed, and every skipped test with its reason. It exits 1 when something failed and, with
// -no-skips, when something was skipped. The slowest tests are listed. With -again N, up to N tests that failed are run once more, each by
// itself; one that passes then is named as unsteady in the last lines.
//
//	testreport -no-skips -again 2 -packages './store ./flows' -- go test -json -timeout=60m
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	noSkips := flag.Bool("no-skips", false, "fail when a test was skipped")
	again := flag.Int("again", 0, "run failed tests once more if they are no more than this")
	packages := flag.String("packages", "", "the packages to test, with spaces between")
	flag.Parse()
	ok, err := runAll(os.Stdout, flag.Args(), strings.Fields(*packages), *noSkips, *again)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// runAll tests the packages by a command, which is go test with its flags, and reports whether all is well.
func runAll(out io.Writer, command, packages []string, noSkips bool, again int) (bool, error) {
	if len(command) == 0 || len(packages) == 0 {
		return false, errors.New("say -packages, and after -- the command: go test -json")
	}
	r := newReport(out)
	if err := r.test(slices.Concat(command, packages)); err != nil {
		return false, err
	}
	if err := r.onceMore(command, again); err != nil {
		return false, err
	}
	return r.sum(noSkips), nil
}

// test runs go test and reads what it says. That tests fail is in there.
func (r *report) test(command []string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = r.out
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = r.read(stdout)
	var exit *exec.ExitError
	if ended := cmd.Wait(); errors.As(ended, &exit) {
		r.exited = true
	} else if err == nil {
		err = ended
	}
	return err
}

// event is one line of test2json's output (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Elapsed    float64
	Output     string
}

func (e event) key() string { return e.Package + e.ImportPath + " " + e.Test }

// slow is a test that took long, in seconds.
type slow struct {
	test    string
	elapsed float64
}

// slowSeconds is from when on a test is named as slow, and slowest how many are.
const slowSeconds, slowest = 20, 15

// report sums up what it has read.
type report struct {
	out    io.Writer
	output map[string][]string // by package and test
	// running tests began and did not end yet.
	running map[string]event
	passed  map[string]int // tests, by package
	skips   []string
	total   int
	failed  []failure
	exited  bool // go test ended with an error
	slow    []slow
	// unsteady tests failed at first and passed when they ran by themselves.
	unsteady []failure
}

func newReport(out io.Writer) *report {
	return &report{out: out, output: map[string][]string{}, running: map[string]event{}, passed: map[string]int{}}
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
	key := e.key()
	switch e.Action {
	case "run":
		r.running[key] = e
	case "pass", "fail", "skip":
		delete(r.running, key)
	}
	switch e.Action {
	case "output", "build-output":
		r.output[key] = append(r.output[key], e.Output)
	case "build-fail":
		r.fail(e, "does not build")
	case "pass":
		r.pass(e)
		delete(r.output, key)
	case "skip":
		if e.Test != "" {
			r.skips = append(r.skips, e.Package+" "+e.Test+": "+r.reason(key))
		}
	case "fail":
		if e.Test == "" {
			r.cutOff(e.Package)
		}
		r.fail(e, fmt.Sprintf("%.1fs", e.Elapsed))
	}
}

// cutOff tells the tests of a package that failed which began and did not end.
func (r *report) cutOff(pkg string) {
	for key, e := range r.running {
		if e.Package == pkg {
			delete(r.running, key)
			r.output[key] = append(r.output[key], "it did not end\n")
			r.fail(e, "cut off")
			r.failed[len(r.failed)-1].final = true
		}
	}
}

func (r *report) pass(e event) {
	if e.Test != "" {
		r.passed[e.Package]++
		r.total++
		if e.Elapsed >= slowSeconds && !strings.Contains(e.Test, "/") {
			r.slow = append(r.slow, slow{e.Test, e.Elapsed})
		}
		return
	}
	fmt.Fprintf(r.out, "ok %s %.1fs, %d tests\n", e.Package, e.Elapsed, r.passed[e.Package])
}

func (r *report) fail(e event, note string) {
	key := e.key()
	fmt.Fprintf(r.out, "FAIL %s %s\n", strings.TrimSpace(key), note)
	for _, line := range r.output[key] {
		fmt.Fprint(r.out, "    ", line)
	}
	r.failed = append(r.failed, failure{pkg: e.Package, test: e.Test, final: e.Action == "build-fail" || slices.ContainsFunc(r.output[key], isFinal)})
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
	ok := !r.exited && len(r.failed) == 0 && (!noSkips || len(r.skips) == 0) && r.total > 0
	slices.SortFunc(r.slow, func(a, b slow) int { return cmp.Compare(b.elapsed, a.elapsed) })
	for _, s := range r.slow[:min(len(r.slow), slowest)] {
		fmt.Fprintf(r.out, "slow: %.0fs %s\n", s.elapsed, s.test)
	}
	for _, f := range r.unsteady {
		fmt.Fprintf(r.out, "UNSTEADY %s %s: it failed at first, see above, and passed by itself: find out why\n", f.pkg, f.test)
	}
	verdict := map[bool]string{true: "passed", false: "FAILED"}[ok]
	fmt.Fprintf(r.out, "%s: %d tests passed, %d skipped\n", verdict, r.total, len(r.skips))
	return ok
}
