package integration

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	agentapi "sluice/hostagent/api"
	"sluice/integration/lab"
)

// Running containers of Docker go on while their host's agent or Docker daemon is killed and started
// anew, and end as they should afterwards. A container that is started while the agent is away waits for it.
func TestDockerRestarts(t *testing.T) {
	st := needLab(t)
	tenant(t, "dock-up", "--subnet", "10.95.0.0/24")
	had := portsEverywhere(t, st)
	web := dockerContainer(t, "h1", "dock-up", "up-web")
	db := dockerContainer(t, "h2", "dock-up", "up-db")
	bare := container(t, "h3", "dock-up", "up-bare")
	wantPing(t, db, ipOf(web))
	wantPing(t, bare, ipOf(web))

	steady := steadyPing(t, bare, ipOf(web))
	for _, target := range []string{"docker/h1", "agent/h1"} {
		sluice(t, "lab", "kill", target)
		if err := lab.Revive(t.Context(), target); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Second) // so that it pinged often, also where all went fast
	steady.wantAll()
	if status := on(t, "h1", "docker inspect --format {{.State.Status}} up-web"); status != "running" {
		t.Errorf("with live-restore the container is %s", status)
	}

	sluice(t, "lab", "kill", "agent/h1")
	late := make(chan error, 1)
	go func() {
		_, err := shell(t, "h1", "docker run -d --name up-late --network dock-up-default localhost/sluice-lab sleep infinity")
		late <- err
	}()
	if err := lab.Revive(t.Context(), "agent/h1"); err != nil {
		t.Fatal(err)
	}
	if err := <-late; err != nil {
		t.Errorf("a container that was started while the agent was away: %v", err)
	}
	on(t, "h1", "docker exec up-late ping -c 1 -W 1 "+ipOf(db).String())
	on(t, "h1", "docker rm -f up-late")
	dockerKilledAmid(t, st)
	for _, name := range []string{"up-web", "up-db", "up-bare"} {
		sluice(t, "lab", "rm", name)
	}
	on(t, "h1", "docker network rm dock-up-default")
	on(t, "h2", "docker network rm dock-up-default")
	if left := portsEverywhere(t, st); !maps.Equal(left, had) {
		t.Errorf("interfaces %v are left, %v were there before", left, had)
	}
}

// dockerKilledAmid kills Docker daemons, without live-restore, and agents while they start containers. Daemons end
// what they had when they are back. What they never heard of waits for ten minutes, and is then
// detached: here by hand.
func dockerKilledAmid(t *testing.T, st lab.Status) {
	t.Helper()
	daemon := filepath.Join(st.Hosts[1].RunDir, "docker/daemon.json")
	if err := os.WriteFile(daemon, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(daemon) })
	for i, target := range []string{"docker/h2", "docker/h2", "agent/h2", "agent/h2"} {
		name := fmt.Sprintf("up-amid-%d", i)
		started := make(chan struct{})
		go func() {
			defer close(started)
			shell(t, "h2", "docker run -d --name "+name+" --network dock-up-default localhost/sluice-lab sleep infinity")
		}()
		time.Sleep(time.Duration(i%2+1) * 150 * time.Millisecond) // amid, or not: all that follows must hold
		sluice(t, "lab", "kill", target)
		if target == "docker/h2" {
			<-started
		}
		if err := lab.Revive(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		<-started
		shell(t, "h2", "docker rm -f "+name)
	}
	on(t, "h2", "docker start up-db")
	detachUnclaimed(t, st.Hosts[1], "dock-up")
}

// detachUnclaimed detaches ports of a tenant whose interface waits for a container on a host.
func detachUnclaimed(t *testing.T, h lab.Host, tenant string) {
	t.Helper()
	agent := agentapi.Dial(filepath.Join(h.RunDir, "agent.sock"))
	defer agent.Close()
	ports, err := agent.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ports {
		if p.Tenant != tenant || !strings.HasPrefix(p.Name, "docker-") {
			continue
		}
		inHost(t, h.Name, "ip", "link", "show", agentapi.HandedEnd(p.Interface))
		if err := agent.Detach(t.Context(), agentapi.DetachRequest{Tenant: p.Tenant, Network: p.Network, Name: p.Name}); err != nil {
			t.Error(err)
		}
	}
}
