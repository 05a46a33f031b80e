package main

import (
	"strings"
	"testing"
)

const (
	passing = `{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}` + "\n" + `{"Action":"pass","Package":"p","Elapsed":0.2}` + "\n"
	skipped = `{"Action":"output","Package":"p","Test":"TestB","Output":"    x_test.go:9: needs root\n"}` + "\n" +
		`{"Action":"skip","Package":"p","Test":"TestB","Elapsed":0}` + "\n"
	failing = `{"Action":"output","Package":"p","Test":"TestC","Output":"got 1, want 2\n"}` + "\n" +
		`{"Action":"fail","Package":"p","Test":"TestC","Elapsed":0}` + "\n"
	slowly = `{"Action":"pass","Package":"p","Test":"TestE","Elapsed":21}` + "\n" + `{"Action":"pass","Package":"p","Test":"TestD/sub","Elapsed":31}` + "\n" +
		`{"Action":"pass","Package":"p","Test":"TestD","Elapsed":31}` + "\n"
	broken = `{"ImportPath":"p","Action":"build-output","Output":"p/a.go:1: undefined: x\n"}` + "\n" +
		`{"ImportPath":"p","Action":"build-fail"}` + "\n"
)

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name, in string
		noSkips  bool
		ok       bool
		says     string
	}{
		{"pass", passing, true, true, "passed: 1 tests passed, 0 skipped"},
		{"skip allowed", passing + skipped, false, true, "SKIP p TestB: x_test.go:9: needs root"},
		{"skip forbidden", passing + skipped, true, false, "FAILED: 1 tests passed, 1 skipped"},
		{"fail", passing + failing, false, false, "    got 1, want 2"},
		{"does not build", broken, false, false, "    p/a.go:1: undefined: x"},
		{"slow", slowly, false, true, "slow: 31s TestD\nslow: 21s TestE\npassed: 3 tests"},
		{"no test at all", "", false, false, "FAILED: 0 tests"},
		{"plain text", "go: cannot find main module\n", false, false, "go: cannot find main module"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			r := newReport(&out)
			if err := r.read(strings.NewReader(c.in)); err != nil {
				t.Fatal(err)
			}
			if ok := r.sum(c.noSkips); ok != c.ok {
				t.Errorf("verdict %v, want %v", ok, c.ok)
			}
			if !strings.Contains(out.String(), c.says) {
				t.Errorf("no %q in\n%s", c.says, out.String())
			}
		})
	}
}
