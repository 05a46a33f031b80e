package main

import (
	"fmt"
	"slices"
	"strings"
)

// failure is a test that failed, or with no name a package.
type failure struct {
	pkg, test string
	final     bool // a second run could not take it back
}

// isFinal reports whether a line of output says that tests were cut off, or of a race: then a second run of what
// failed says nothing of what did not run, or was there all the time.
func isFinal(line string) bool {
	return slices.ContainsFunc([]string{"panic: ", "fatal error: ", "WARNING: DATA RACE", "signal: "},
		func(start string) bool { return strings.HasPrefix(strings.TrimSpace(line), start) })
}

// onceMore runs each test that failed by itself, unless they are more than limit or one of the failures is final.
// Where all pass, the run has not failed: the tests are unsteady, and named.
func (r *report) onceMore(command []string, limit int) error {
	tests := r.repeatable()
	if len(tests) == 0 || len(tests) > limit {
		return nil
	}
	for _, f := range tests {
		fmt.Fprintf(r.out, "once more: %s %s\n", f.pkg, f.test)
		second := newReport(r.out)
		if err := second.test(slices.Concat(command, []string{"-count=1", "-run=^" + f.test + "$", f.pkg})); err != nil {
			return err
		}
		r.skips = append(r.skips, second.skips...)
		if second.exited || len(second.failed) > 0 || second.total == 0 {
			return nil
		}
	}
	r.exited, r.failed, r.unsteady = false, nil, tests
	return nil
}

// repeatable lists the tests that failed, without their subtests; nil when a second run could not take it back.
func (r *report) repeatable() []failure {
	var tests []failure
	for _, f := range r.failed {
		if f.final {
			return nil
		}
		f.test, _, _ = strings.Cut(f.test, "/")
		if f.test != "" && !slices.Contains(tests, f) {
			tests = append(tests, f)
		}
	}
	named := func(pkg string) bool {
		return slices.ContainsFunc(tests, func(f failure) bool { return f.pkg == pkg })
	}
	if slices.ContainsFunc(r.failed, func(f failure) bool { return !named(f.pkg) }) {
		return nil // a package failed without a test of it
	}
	return tests
}
