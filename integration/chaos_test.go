package integration

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"sluice/integration/lab"
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

// Everything is killed at once in the middle of 200 attaches. What was acknowledged is there
// and reached once all runs again; of what failed nothing is left. Of an attach whose answer was
// on its way nobody knows: the one who asked detaches, as a container runtime does.
func TestEverythingKilledAmidAttaches(t *testing.T) {
	st := needLab(t)
	tenant(t, "amid", "--subnet", "10.90.0.0/16")
	first := container(t, "h1", "amid", "amid-first")
	had := len(portsEverywhere(t, st))

	const attaches = 200
	attached, failed := attachUntilKilled(t, attaches)
	t.Logf("%d attaches succeeded, %d failed", len(attached), len(failed))
	for name, err := range failed {
		t.Logf("%s: %v", name, err)
	}
	if len(attached) == 0 || len(failed) == 0 {
		t.Fatal("nothing was killed in their middle")
	}
	t.Cleanup(func() { sideBySide(attached, func(c lab.Container) { command(t, "lab", "rm", c.Name) }) })

	sluice(t, "lab", "up")
	wantNoDiff(t)
	sideBySide(attached, func(c lab.Container) { wantPing(t, first, ipOf(c)) })
	for name, err := range failed {
		if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
			command(t, "port", "detach", "amid/default/"+name, "--socket", lab.Dir+"/"+hostOfAmid(name)+"/agent.sock")
			delete(failed, name)
		}
	}
	eventually(t, "ports are those that were acknowledged", func() error {
		ports := answer[[]struct{ Name string }](t, "port", "list", "--tenant", "amid")
		if len(ports) != 1+len(attached) {
			return fmt.Errorf("%d ports, of %d attaches that succeeded", len(ports), 1+len(attached))
		}
		for _, p := range ports {
			if _, ok := failed[p.Name]; ok {
				return fmt.Errorf("port %s is there, though its attach failed", p.Name)
			}
		}
		if n := len(portsEverywhere(t, st)); n != had+len(attached) {
			return fmt.Errorf("%d interfaces are in the switches, %d were and %d attaches succeeded", n, had, len(attached))
		}
		return nil
	})
}

// sideBySide does something with all containers, eight at a time.
func sideBySide(all []lab.Container, do func(lab.Container)) {
	var g errgroup.Group
	g.SetLimit(8)
	for _, c := range all {
		g.Go(func() error { do(c); return nil })
	}
	_ = g.Wait() // none fails
}

// attachUntilKilled attaches containers side by side, and kills every process of the lab when
// half of them are there.
func attachUntilKilled(t *testing.T, n int) (attached []lab.Container, failed map[string]error) {
	t.Helper()
	failed = map[string]error{}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(8)
	for i := range n {
		g.Go(func() error {
			name := fmt.Sprintf("amid-%d", i)
			c, err := lab.Run(t.Context(), lab.Request{Host: hostOfAmid(name), Tenant: "amid", Name: name})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[name] = err
				return nil
			}
			if attached = append(attached, c); len(attached) == n/2 {
				killAll(t)
			}
			return nil
		})
	}
	_ = g.Wait() // none fails
	return attached, failed
}

// hostOfAmid is where a container of the test is.
func hostOfAmid(name string) string {
	n, _ := strconv.Atoi(strings.TrimPrefix(name, "amid-")) // the names are made here
	return fmt.Sprintf("h%d", 1+n%3)
}

// killAll kills what serves the cluster, as near to one moment as can be.
func killAll(t *testing.T) {
	t.Helper()
	st, err := lab.Load(t.Context())
	if err != nil {
		t.Error(err)
	}
	for _, p := range st.Processes {
		if p.Alive && p.Name != "internet" && p.Name != "forward" {
			if err := unix.Kill(p.PID, unix.SIGKILL); err != nil {
				t.Errorf("kill %s: %v", p.Name, err)
			}
		}
	}
}
