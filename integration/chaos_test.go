package integration

import (
	"os/exec"
	"strings"
	"testing"
)

// What must hold is violated on purpose, and seen: an acknowledged tenant vanishes from etcd, a
// flow carries frames to another tenant. A judge that sees nothing judges nothing.
func TestChaosFindsWhatIsPlanted(t *testing.T) {
	needLab(t)
	for plant, says := range map[string]string{
		"cross": "a frame crossed tenants",
		"lost":  "tenant chaos-t1 was acknowledged and is gone",
	} {
		t.Run(plant, func(t *testing.T) {
			refusedAfterProgress(t, says, "lab", "chaos", "--for", "12s", "--seed", "1", "--plant", plant)
			wantNoDiff(t)
		})
	}
}

// refusedAfterProgress runs a command that must fail; its last line says why.
func refusedAfterProgress(t *testing.T, says string, args ...string) {
	t.Helper()
	_, stderr, status := command(t, args...)
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if last := lines[len(lines)-1]; status != 1 || !strings.Contains(last, says) || !strings.Contains(last, "seed 1") {
		t.Errorf("sluice %s: exit status %d, %q, want 1 and %q with the seed", strings.Join(args, " "), status, last, says)
	}
}

// A minute of faults, on two controllers and three members of etcd. It has a lab of its own,
// and gives the others theirs back.
func TestChaos(t *testing.T) {
	needLab(t)
	sluice(t, "lab", "down")
	defer sluice(t, "lab", "up", "--hosts", "3")
	out, err := exec.Command(program, "lab", "chaos", "--for", "1m", "--seed", "20").CombinedOutput()
	if err != nil {
		t.Fatalf("sluice lab chaos: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}
