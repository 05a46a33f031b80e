package integration

import (
	"net/netip"
	"os/exec"
	"testing"
)

// What is cut passes nothing; what is healed passes everything again, and the cut did nothing
// to the others.
func TestCutAndHeal(t *testing.T) {
	needLab(t)
	a, b := pair(t, "parted")
	c := container(t, "h3", "parted", "parted-3")
	wantPing(t, a, ipOf(c))
	t.Cleanup(func() { sluice(t, "lab", "heal") })

	sluice(t, "lab", "cut", "h1", "h2")
	sluice(t, "lab", "cut", "h1", "h2") // once more does no harm
	wantNoPing(t, a, ipOf(b))
	wantPing(t, a, ipOf(c))
	wantPing(t, b, ipOf(c))
	for range 2 { // once more does no harm
		if said := sluice(t, "lab", "heal", "h2", "h1"); said != "h2 and h1 reach each other\n" {
			t.Errorf("heal says %q", said)
		}
		wantPing(t, a, ipOf(b))
	}

	refused(t, []string{"one machine"}, "lab", "cut", "h1", "h1")
	refused(t, []string{"h9", "c1, h1, h2, h3"}, "lab", "cut", "h1", "h9")
}

// A paused process is there and does nothing; it goes on where it was.
func TestPauseAndResume(t *testing.T) {
	needLab(t)
	tenant(t, "paused")
	t.Cleanup(func() { sluice(t, "lab", "resume", "agent/h1") })

	sluice(t, "lab", "pause", "agent/h1")
	waiting := exec.Command(program, "lab", "run", "h1", "paused", "paused-1", "--ip", "10.0.0.99")
	if err := waiting.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command(t, "lab", "rm", "paused-1") })
	a := container(t, "h2", "paused", "paused-2")
	wantNoPing(t, a, netip.MustParseAddr("10.0.0.99"))
	sluice(t, "lab", "resume", "agent/h1")
	if err := waiting.Wait(); err != nil {
		t.Errorf("what waited for a paused agent: %v", err)
	}
	wantPing(t, a, netip.MustParseAddr("10.0.0.99"))
	refused(t, []string{"controller[/NAME]"}, "lab", "pause", "h9")
}
