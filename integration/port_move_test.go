package integration

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"sluice/integration/lab"
)

// A port that moves keeps its addresses, its MAC and its connections to the world, and is reached on its new host without
// help; the host that it left holds nothing of it.
func TestPortMovesWithItsAddresses(t *testing.T) {
	st := needLab(t)
	tenant(t, "nomads", "--gateway", "h1")
	near, far := container(t, "h1", "nomads", "nomads-near"), container(t, "h3", "nomads", "nomads-far")
	mover := container(t, "h2", "nomads", "nomads-mover")
	world := packets(t, lab.InternetNS, fmt.Sprintf("%s:0", lab.InternetAddress))
	socket := packets(t, mover.NetNS, fmt.Sprintf("%s:7778", ipOf(mover)))
	from := speaks(t, socket, world, "before")

	const ns = "sluice-c-nomads-again" // where it is restored
	ip(t, "netns", "add", ns)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	steady := steadyPing(t, near, ipOf(mover))
	sluice(t, "port", "move", portOf(mover), "h3")
	socketOf := func(host string) string {
		for _, h := range st.Hosts {
			if h.Name == host {
				return filepath.Join(h.RunDir, "agent.sock")
			}
		}
		t.Fatalf("no host %s", host)
		return ""
	}
	sluice(t, "port", "attach", portOf(mover), "--netns", "/run/netns/"+ns, "--socket", socketOf("h3"))
	t.Cleanup(func() { command(t, "port", "detach", portOf(mover), "--socket", socketOf("h3")) })
	wantPing(t, near, ipOf(mover))
	t.Logf("silence, in pings 10 ms apart: %v", steady.end())
	wantPing(t, far, ipOf(mover))
	again := packets(t, ns, fmt.Sprintf("%s:7778", ipOf(mover)))
	if now := speaks(t, again, world, "after"); now.String() != from.String() {
		t.Errorf("the world saw it as %s, and sees it as %s", from, now)
	}
	eventually(t, "h2 lets go", func() error {
		for _, p := range containerPorts(t, st.Hosts[1]) {
			return fmt.Errorf("h2 has %s", p)
		}
		return nil
	})
}
