package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/integration/lab"
)

// ownersAndTexts are flows as they are compared.
func ownersAndTexts(list []client.Flow) (lines []string) {
	for _, f := range list {
		lines = append(lines, f.Owner+": "+f.Text)
	}
	slices.Sort(lines)
	return lines
}

// What the switches were to hold at a revision is what they held then. A container that is gone since is found there, and
// a packet of its is followed as it would have gone.
func TestThePast(t *testing.T) {
	needLab(t)
	tenant(t, "past", "--subnet", "10.0.0.0/24", "--gateway", "h2")
	gone, stays := container(t, "h1", "past", "past-1"), container(t, "h2", "past", "past-2")
	then := fmt.Sprint(answer[client.Status](t, "status").Revision)
	held := answer[[]client.Flow](t, "flows", "--host", "h1", "--tenant", "past")
	at := answer[[]client.Flow](t, "flows", "--host", "h1", "--tenant", "past", "--at", then)
	if got, want := ownersAndTexts(at), ownersAndTexts(held); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("at revision %s the switch was to hold\n%s\nand held\n%s", then, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := lab.Remove(t.Context(), gone.Name); err != nil {
		t.Fatal(err)
	}
	at = answer[[]client.Flow](t, "flows", "--host", "h1", "--tenant", "past", "--at", then)
	if len(at) != len(held) {
		t.Errorf("after the container went, %d flows are shown of then, when there were %d", len(at), len(held))
	}
	lost := 0
	for _, f := range answer[[]client.Flow](t, "flows", "--between", then) {
		if strings.Contains(f.Owner, "past/default/past-1") && f.Change == "delete" {
			lost++
		}
		if f.Change == "add" && strings.Contains(f.Owner, "past") {
			t.Errorf("added is %s", f.Text)
		}
	}
	if lost == 0 {
		t.Error("nothing of the container that went is deleted")
	}
	if got := traceOf(t, portOf(gone), ipOf(stays).String(), "--at", then); got.Text != "delivered to past/default/past-2 on h2" {
		t.Errorf("then a packet was %s: %s", got.Verdict, got.Text)
	}
}

// Of a switch that is away the flows are shown that it held when they were last read, with how old that is; what
// programming would change on it is not known.
func TestLastDump(t *testing.T) {
	needLab(t)
	tenant(t, "dumped")
	container(t, "h3", "dumped", "dumped-1")
	held := answer[[]client.Flow](t, "flows", "--host", "h3")
	sluice(t, "lab", "kill", "h3")
	t.Cleanup(func() {
		sluice(t, "lab", "up")
		wantNoDiff(t)
	})
	eventually(t, "the last dump is shown", func() error {
		stdout, stderr, status := command(t, "flows", "--host", "h3", "--tenant", "dumped")
		if status != 0 || !strings.Contains(stderr, "its switch has no session with controller") || !strings.Contains(stderr, "this is what it held at ") || !strings.Contains(stdout, "dumped/default/dumped-1") {
			return fmt.Errorf("status %d: %s%s", status, stdout, stderr)
		}
		return nil
	})
	if got := answer[[]client.Flow](t, "flows", "--host", "h3"); !slices.Equal(ownersAndTexts(got), ownersAndTexts(held)) {
		t.Errorf("%d flows are shown, and it held %d", len(got), len(held))
	}
	refused(t, []string{"h3", "not connected"}, "flows", "--host", "h3", "--diff")
}
