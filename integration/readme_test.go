package integration

import (
	"os"
	"strings"
	"testing"
)

// What README tells users to type works as it stands, in its order. The lab is up already,
// and is taken down by the tests' end.
func TestREADMECommands(t *testing.T) {
	needLab(t)
	t.Cleanup(func() {
		command(t, "lab", "rm", "a1")
		command(t, "lab", "rm", "a2")
		command(t, "tenant", "delete", "alice")
	})
	ran := 0
	for _, args := range readmeCommands(t) {
		if verb := strings.Join(args[:min(2, len(args))], " "); verb == "lab up" || verb == "lab down" {
			continue
		}
		sluice(t, args...)
		ran++
	}
	if ran < 5 {
		t.Errorf("README has only %d commands to try", ran)
	}
}

// readmeCommands are the lines of README that run sluice, without "sudo bin/sluice".
func readmeCommands(t *testing.T) [][]string {
	t.Helper()
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var commands [][]string
	for line := range strings.Lines(string(page)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "sudo bin/sluice "); ok {
			commands = append(commands, strings.Fields(rest))
		}
	}
	return commands
}
