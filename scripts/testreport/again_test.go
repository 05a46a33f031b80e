package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A module whose tests count in files how often they ran.
const module = `package p

import ("os"; "testing")

func ran(name string) int {
	b, _ := os.ReadFile(name)
	os.WriteFile(name, append(b, '.'), 0o600)
	return len(b) + 1
}

func TestGood(t *testing.T) { ran("good") }

func TestOnce(t *testing.T) {
	t.Run("sub", func(t *testing.T) {
		if ran("once") == 1 && os.Getenv("ONCE") != "" { t.Error("it is the first time") }
	})
}

func TestAlways(t *testing.T) { if os.Getenv("ALWAYS") != "" { t.Error("as ever") } }

func TestSkips(t *testing.T) {
	if os.Getenv("SKIPS") == "" { return }
	if ran("skips") == 2 { t.Skip("no more") }
	t.Error("it is the first time")
}

func TestExit(t *testing.T) {
	if os.Getenv("EXIT") != "" && ran("exit") == 1 { print("gone\n"); os.Exit(2) }
}

func TestPanic(t *testing.T) { if os.Getenv("PANIC") != "" && ran("panic") == 1 { panic("out") } }
`

func TestOnceMore(t *testing.T) {
	for _, c := range []struct {
		name  string
		env   []string
		again int
		ok    bool
		good  string // runs of the test that passes
		says  string
	}{
		{"all pass", nil, 2, true, ".", "passed: 7 tests passed, 0 skipped"},
		{"unsteady", []string{"ONCE"}, 1, true, ".", "UNSTEADY p TestOnce: "},
		{"no second run", []string{"ONCE"}, 0, false, ".", "FAILED: "},
		{"fails again", []string{"ALWAYS"}, 2, false, ".", "FAILED: "},
		{"one of two fails again", []string{"ONCE", "ALWAYS"}, 2, false, ".", "FAILED: "},
		{"too many", []string{"ONCE", "ALWAYS"}, 1, false, ".", "FAILED: "},
		{"is skipped then", []string{"SKIPS"}, 2, false, ".", "SKIP p TestSkips: p_test.go:"},
		{"exit after a failure", []string{"ONCE", "EXIT"}, 2, false, ".", "FAIL p TestExit cut off"},
		{"panic", []string{"PANIC"}, 2, false, ".", "FAILED: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"go.mod": "module p\n", "p_test.go": module} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			t.Chdir(dir)
			for _, name := range c.env {
				t.Setenv(name, "yes")
			}
			var out strings.Builder
			ok, err := runAll(&out, []string{"go", "test", "-json"}, []string{"p"}, true, c.again)
			if err != nil || ok != c.ok {
				t.Errorf("verdict %v (%v), want %v\n%s", ok, err, c.ok, out.String())
			}
			if runs, _ := os.ReadFile("good"); string(runs) != c.good {
				t.Errorf("the test that passes ran %d times", len(runs))
			}
			if !strings.Contains(out.String(), c.says) || strings.Contains(out.String(), "UNSTEADY") != strings.HasPrefix(c.says, "UNSTEADY") {
				t.Errorf("no %q, or an unsteady test, in\n%s", c.says, out.String())
			}
		})
	}
}

func TestFinal(t *testing.T) {
	for line, want := range map[string]bool{
		"panic: test timed out after 1h0m0s\n": true, "    WARNING: DATA RACE\n": true, "signal: killed\n": true,
		"fatal error: all goroutines are asleep\n": true, "x_test.go:9: it did not panic: no\n": false,
	} {
		if got := isFinal(line); got != want {
			t.Errorf("isFinal(%q) = %v", line, got)
		}
	}
}

// What failed without a test of its own, or could not be built, is not run again.
func TestRepeatable(t *testing.T) {
	for name, c := range map[string]struct {
		failed []failure
		want   int
	}{
		"a test and its package":         {[]failure{{pkg: "p", test: "TestA"}, {pkg: "p"}}, 1},
		"a subtest, its test, a package": {[]failure{{pkg: "p", test: "TestA/x"}, {pkg: "p", test: "TestA"}, {pkg: "p"}}, 1},
		"tests of two packages":          {[]failure{{pkg: "p", test: "TestA"}, {pkg: "p"}, {pkg: "q", test: "TestA"}, {pkg: "q"}}, 2},
		"a package alone":                {[]failure{{pkg: "p", test: "TestA"}, {pkg: "p"}, {pkg: "q"}}, 0},
		"one that is final":              {[]failure{{pkg: "p", test: "TestA"}, {pkg: "p", final: true}}, 0},
		"nothing":                        {nil, 0},
	} {
		if got := (&report{failed: c.failed}).repeatable(); len(got) != c.want {
			t.Errorf("%s: %v, want %d", name, got, c.want)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct{ command, packages []string }{{nil, []string{"p"}}, {[]string{"go"}, nil}} {
		if _, err := runAll(&strings.Builder{}, c.command, c.packages, true, 0); err == nil || !strings.Contains(err.Error(), "-packages") {
			t.Errorf("%v %v: %v", c.command, c.packages, err)
		}
	}
}
