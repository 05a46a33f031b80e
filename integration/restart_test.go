package integration

import (
	"errors"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
)

// pair is a tenant with two containers on two hosts, that have talked, and with its gateway host.
func pair(t *testing.T, name string, args ...string) (a, b lab.Container) {
	t.Helper()
	tenant(t, name, args...)
	a = container(t, "h1", name, name+"-1")
	b = container(t, "h2", name, name+"-2")
	wantPing(t, a, ipOf(b))
	eventually(t, "there is a gateway host", func() error { // after a kill of all controllers it takes until the old leader's lease ends
		if answer[client.Tenant](t, "tenant", "show", name).GatewayHost == "" {
			return errors.New("none was chosen")
		}
		return nil
	})
	return a, b
}

// Killing the controller, with its etcd, and every agent, and starting them again, loses no
// packet and rewrites no flow; what was acknowledged before is still known.
func TestKillsLoseNoPacketAndChangeNoFlow(t *testing.T) {
	st := needLab(t)
	a, b := pair(t, "steady")
	wantNoDiff(t)
	before := map[string]map[string]dumped{}
	for _, h := range st.Hosts {
		before[h.Name] = dump(t, h)
	}
	steady := steadyPing(t, a, ipOf(b))

	sluice(t, "lab", "kill", "controller")
	sluice(t, "lab", "kill", "agent")
	time.Sleep(2 * time.Second) // under traffic, with nobody there
	sluice(t, "lab", "up")
	wantNoDiff(t)
	steady.wantAll()
	for _, h := range st.Hosts {
		compareDumps(t, h.Name, before[h.Name], dump(t, h))
	}
	sluice(t, "port", "show", "steady/default/steady-1")
	late := container(t, "h3", "steady", "steady-3")
	wantPing(t, late, ipOf(a))
}

// A host whose switch is killed comes back with its flows.
func TestKilledHostComesBack(t *testing.T) {
	needLab(t)
	a, b := pair(t, "killed")
	sluice(t, "lab", "kill", "h2")
	wantNoPing(t, a, ipOf(b))
	sluice(t, "lab", "up")
	wantNoDiff(t)
	eventually(t, "traffic flows again", func() error { return transfer(t, a, b) })
}

// lab up on a lab that runs disturbs nothing.
func TestUpTwiceChangesNothing(t *testing.T) {
	st := needLab(t)
	processes := func() map[string]int {
		now, err := lab.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pids := map[string]int{}
		for _, p := range now.Processes {
			if !p.Alive {
				t.Errorf("%s does not run; its log is %s", p.Name, p.Log)
			}
			pids[p.Name] = p.PID
		}
		return pids
	}
	before := processes()
	sluice(t, "lab", "up")
	for name, pid := range processes() {
		if before[name] != pid {
			t.Errorf("%s was started anew", name)
		}
	}
	if got := answer[lab.Status](t, "lab", "status"); got.API != st.API {
		t.Errorf("the API moved from %s to %s", st.API, got.API)
	}
	refused(t, []string{"lab down"}, "lab", "up", "--hosts", "2")
	refused(t, []string{"star"}, "lab", "up", "--topology", "star")
}
