package store

import (
	"slices"
	"testing"
)

// People are told each problem once, sorted by object and text, whoever found it.
func TestTold(t *testing.T) {
	web := func(text string) Problem { return ProblemOf(NetworkKey("alice", "web"), "%s", text) }
	found := Problems{web("two"), {Object: "networks/alice/web", Text: "one"}, ProblemOf(HostKey("h1"), "VTEP %d", 7), web("one"), web("two"), web("alone")}
	before := slices.Clone(found)
	var told []string
	for _, p := range found.Told() {
		told = append(told, p.Object+": "+p.Text)
	}
	if want := []string{"hosts/h1: VTEP 7", "networks/alice/web: alone", "networks/alice/web: one", "networks/alice/web: two"}; !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
	if !slices.Equal(before, found) {
		t.Error("the problems as they were found are in another order")
	}
	if got := web("x").Key; got != NetworkKey("alice", "web") {
		t.Errorf("the problem is of %s", got)
	}
}
