package integration

import (
	"net/netip"
	"os/exec"
	"path/filepath"
	"testing"

	agentapi "sluice/hostagent/api"
)

// What stays with a name: MAC and addresses, over a stop of its container and of the whole cluster's processes. Until the name
// is deleted nobody else gets them, and its tenant stays.
func TestStickyNames(t *testing.T) {
	st := needLab(t)
	tenant(t, "stick", "--subnet", "10.0.0.0/29") // 5 addresses
	const ns, name = "sluice-c-stick-web", "stick/default/web"
	ip(t, "netns", "add", ns)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	socket := filepath.Join(st.Hosts[0].RunDir, "agent.sock")
	attach := func(args ...string) agentapi.Attachment {
		t.Helper()
		return answer[agentapi.Attachment](t, append([]string{"port", "attach", name, "--netns", "/run/netns/" + ns, "--socket", socket}, args...)...)
	}
	detach := func() { sluice(t, "port", "detach", name, "--socket", socket) }
	t.Cleanup(func() {
		command(t, "port", "detach", name, "--socket", socket)
		command(t, "sticky", "delete", name)
	})

	was := attach("--sticky")
	detach()
	for _, other := range []string{"a", "b", "c", "d"} {
		if c := container(t, "h2", "stick", "stick-"+other); ipOf(c).String()+"/29" == was.Addresses[0] {
			t.Errorf("container %s got %s, which stays with another name", c.Name, was.Addresses[0])
		}
	}
	refused(t, []string{"10.0.0.0/29", "all 5 for ports are taken: 4 by ports, 1 by names whose ports are gone (sluice sticky list)"}, "lab", "run", "h3", "stick", "stick-e")
	sluice(t, "lab", "kill", "agent/h1")
	sluice(t, "lab", "kill", "controller")
	sluice(t, "lab", "up")
	is := attach()
	if is.MAC != was.MAC || is.Addresses[0] != was.Addresses[0] {
		t.Errorf("it had %s and %v, and has %s and %v", was.MAC, was.Addresses, is.MAC, is.Addresses)
	}
	wantPing(t, inspect(t, "stick-a"), netip.MustParsePrefix(is.Addresses[0]).Addr())
	detach() // without --sticky the last time: it leaves nothing
	container(t, "h3", "stick", "stick-e")
	if left := answer[[]struct{ Name string }](t, "sticky", "list", "--tenant", "stick"); len(left) > 0 {
		t.Errorf("names keep %v", left)
	}
}
