package session

import (
	"fmt"
	"testing"
)

// When a controller goes, only its hosts move.
func TestRendezvousMovesOnlyTheHostsOfWhoLeft(t *testing.T) {
	all, rest := []string{"c1", "c2", "c3"}, []string{"c1", "c3"}
	count := map[string]int{}
	for n := range 300 {
		host := fmt.Sprintf("h%d", n)
		before, after := rendezvous(all, host), rendezvous(rest, host)
		count[before]++
		if before != "c2" && before != after {
			t.Errorf("%s moved from %s to %s though c2 left", host, before, after)
		}
	}
	for _, c := range all {
		if count[c] < 50 {
			t.Errorf("controller %s has only %d of 300 hosts", c, count[c])
		}
	}
	if got := rendezvous(nil, "h1"); got != "" {
		t.Errorf("no controllers: got %q", got)
	}
}
