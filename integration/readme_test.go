package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What the guide tells readers to type works as it stands, pipes and all. The lab is up already.
func TestReadingGuideCommands(t *testing.T) {
	needLab(t)
	t.Cleanup(func() {
		command(t, "lab", "rm", "a1")
		command(t, "lab", "rm", "a2")
		command(t, "tenant", "delete", "alice")
	})
	page, err := os.ReadFile("../docs/reading-flows.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for line := range strings.Lines(string(page)) {
		line, typed := strings.CutPrefix(line, "sudo ")
		if !typed || strings.HasPrefix(line, "bin/sluice lab up") || strings.HasPrefix(line, "bin/sluice lab down") {
			continue
		}
		line = strings.ReplaceAll(strings.ReplaceAll(line, "sudo ", ""), "bin/sluice", program)
		if out, err := exec.Command("bash", "-o", "pipefail", "-c", line).CombinedOutput(); err != nil || len(out) == 0 {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		ran++
	}
	if ran < 10 {
		t.Errorf("the guide has only %d commands to try", ran)
	}
}

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
