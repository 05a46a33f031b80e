package integration

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
	"sluice/store"
)

// failingOver has gateways fail over until the test ends, with a container on each host, and returns the gateway and the
// containers of the other hosts, that of its backup first. All of them probe the gateway host by then.
func failingOver(t *testing.T, name string, tenantFlags ...string) (g store.Gateway, others []lab.Container) {
	t.Helper()
	st := needLab(t)
	sluice(t, "gateway", "fail-over", "on")
	t.Cleanup(func() {
		sluice(t, "lab", "up")
		sluice(t, "gateway", "fail-over", "off")
		eventually(t, "there are no probes any more", func() error {
			for _, h := range st.Hosts {
				if ports := probePorts(t, h); len(ports) > 0 {
					return fmt.Errorf("%s has %v", h.Name, ports)
				}
			}
			return nil
		})
	})
	tenant(t, name, tenantFlags...)
	eventually(t, "the gateway has a backup", func() error {
		if g = gatewayOf(t, name).Gateway; g.Backup == "" || g.Backup == g.Active {
			return fmt.Errorf("it is %+v", g)
		}
		return nil
	})
	for i, h := range st.Hosts {
		switch c := container(t, h.Name, name, fmt.Sprintf("%s-%d", name, i+1)); h.Name {
		case g.Active:
		case g.Backup:
			others = slices.Insert(others, 0, c)
		default:
			others = append(others, c)
		}
	}
	for _, c := range others {
		wantPing(t, c, lab.InternetAddress)
		eventually(t, c.Host+" finds the gateway host alive", func() error { return probesAlive(t, st, c.Host, g.Active) })
	}
	wantNoDiff(t)
	return g, others
}

// probePorts are a switch's ports that probe others.
func probePorts(t *testing.T, h lab.Host) (names []string) {
	t.Helper()
	for name := range strings.FieldsSeq(vsctl(t, h, "list-ports", store.BridgeName)) {
		if _, probes := store.ProbedHash(name); probes {
			names = append(names, name)
		}
	}
	return names
}

func vsctl(t *testing.T, h lab.Host, args ...string) string {
	t.Helper()
	return inHost(t, h.Name, append([]string{"env", "OVS_RUNDIR=" + h.RunDir, "ovs-vsctl", "--timeout=10"}, args...)...)
}

// probesAlive reports, by an error, whether a host's switch does not find another alive, or asks its probes for nothing.
func probesAlive(t *testing.T, st lab.Status, from, to string) error {
	h := st.Hosts[slices.IndexFunc(st.Hosts, func(h lab.Host) bool { return h.Name == from })]
	if !slices.Contains(probePorts(t, h), store.ProbeInterface(to)) {
		return errors.New("there is no probe")
	}
	if is := vsctl(t, h, "get", "interface", store.ProbeInterface(to), "bfd_status:state"); strings.TrimSpace(is) != "up" {
		return fmt.Errorf("the probe is %s", is)
	}
	for match := range dump(t, h) {
		if strings.Contains(match, "bundle_load(") {
			return nil
		}
	}
	return errors.New("no flow steers")
}

// leaveBy asks that containers reach the outside by a host.
func leaveBy(t *testing.T, containers []lab.Container, host string) {
	t.Helper()
	for _, c := range containers {
		if seen := seenAs(t, c); seen != uplink(host) {
			t.Errorf("%s leaves by %s, want %s (%s)", c.Name, seen, host, uplink(host))
		}
	}
}

// A cluster that is new fails over unasked.
func TestNewClusterFailsOver(t *testing.T) {
	needLab(t)
	if !strings.HasPrefix(failOverAtFirst, "fail-over is on: sluice gateway list shows the backups\n") || !strings.Contains(failOverAtFirst, "without --probe-outside: h1, h2, h3\n") {
		t.Errorf("a new cluster says %q", failOverAtFirst)
	}
}

// With no controller and no etcd there, a gateway host loses its power: the others send to its backup, which lets its own
// containers out by itself. Nothing crosses from tenant to tenant.
func TestGatewayFailsOverByItself(t *testing.T) {
	g, others := failingOver(t, "rescued")
	leaveBy(t, others, g.Active)
	sluice(t, "lab", "kill", "controller")
	sluice(t, "lab", "kill", g.Active)
	for _, c := range others {
		eventually(t, c.Name+" gets out", func() error {
			if !ping(c, lab.InternetAddress, 1) {
				return errors.New("no answer")
			}
			return nil
		})
	}
	leaveBy(t, others, g.Backup)
	sluice(t, "lab", "up")
	wantNoDiff(t)
}

// The leader makes the backup of a dead gateway host its tenant's gateway host, and gives that a backup. The dead host
// gets nothing back when it returns.
func TestBackupStaysAfterFailOver(t *testing.T) {
	g, others := failingOver(t, "taken")
	sluice(t, "lab", "kill", g.Active)
	eventually(t, "the lease of its agent ends", func() error {
		if answer[client.Host](t, "host", "show", g.Active).Live {
			return errors.New("it is live")
		}
		return nil
	})
	eventually(t, "the backup takes over", func() error {
		if now := gatewayOf(t, "taken"); now.Active != g.Backup {
			return fmt.Errorf("the gateway is %+v", now.Gateway)
		}
		return nil
	})
	now := gatewayOf(t, "taken")
	if now.Active != g.Backup || !strings.Contains(now.Why, g.Active+" is dead") || now.Epoch != g.Epoch+1 {
		t.Fatalf("the gateway is %+v", now.Gateway)
	}
	leaveBy(t, others, g.Backup)
	sluice(t, "lab", "up")
	wantNoDiff(t)
	leaveBy(t, others, g.Backup)
	if again := gatewayOf(t, "taken"); again.Active != g.Backup || again.Epoch != now.Epoch {
		t.Errorf("after the host returned the gateway is %+v", again.Gateway)
	}
}

// A gateway host whose switch was started anew, with no controller there to give it its flows, is not found alive: hosts go on sending
// to the backup, and come back once it has them.
func TestHostWithoutFlowsIsNotFoundAlive(t *testing.T) {
	g, others := failingOver(t, "patient")
	leaveBy(t, others, g.Active)
	sluice(t, "lab", "kill", "controller")
	sluice(t, "lab", "kill", "switch/"+g.Active)
	for _, c := range others {
		eventually(t, c.Name+" gets out", func() error {
			if !ping(c, lab.InternetAddress, 1) {
				return errors.New("no answer")
			}
			return nil
		})
	}
	if err := lab.Revive(t.Context(), "switch/"+g.Active); err != nil {
		t.Fatal(err)
	}
	// Two switches find each other alive within some two seconds: these pings are sent over ten.
	if got := answered(t, others[len(others)-1], 200); got < 190 {
		t.Errorf("while the gateway host has a switch without flows, %d of 200 pings are answered", got)
	}
	leaveBy(t, others, g.Backup)
	sluice(t, "lab", "up")
	for _, c := range others {
		eventually(t, c.Name+" leaves by its gateway host again", func() error {
			if seen := seenAs(t, c); seen != uplink(gatewayOf(t, "patient").Active) {
				return fmt.Errorf("it leaves by %s", seen)
			}
			return nil
		})
	}
	wantNoDiff(t)
}

// answered counts the answers to pings of the outside, one each 50 ms.
func answered(t *testing.T, c lab.Container, pings int) int {
	t.Helper()
	out, _ := exec.Command(program, "lab", "exec", c.Name, "--", // ping fails where one is lost: the numbers say it better
		"ping", "-n", "-i0.05", "-W1", fmt.Sprintf("-c%d", pings), lab.InternetAddress.String()).CombinedOutput()
	return strings.Count(string(out), "icmp_seq=")
}

// A gateway host that lives and has lost its way out counts as dead: others send to the backup, which the leader makes
// the gateway host. It is no goal of moves meanwhile.
func TestLostUplinkCountsAsDead(t *testing.T) {
	g, others := failingOver(t, "stranded")
	asksOutside := func(argv []string) []string {
		if slices.Contains(argv, "agent") {
			argv = append(argv, "--probe-outside", lab.InternetAddress.String())
		}
		return argv
	}
	sluice(t, "lab", "kill", "agent/"+g.Active)
	if err := lab.ReviveAs(t.Context(), "agent/"+g.Active, asksOutside); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sluice(t, "lab", "kill", "agent/"+g.Active) }) // the lab starts it without
	leaveBy(t, others, g.Active)
	blackhole := []string{"ip", "route", "add", "blackhole", lab.InternetAddress.String() + "/32"}
	inHost(t, g.Active, blackhole...)
	restored := false
	restore := func() {
		if blackhole[2] = "del"; !restored {
			inHost(t, g.Active, blackhole...)
		}
		restored = true
	}
	t.Cleanup(restore)
	for _, c := range others {
		within(t, 8*time.Second, c.Name+" leaves by the backup", func() error { // before the leader does anything
			if !ping(c, lab.InternetAddress, 1) {
				return errors.New("no answer")
			}
			return nil
		})
	}
	leaveBy(t, others, g.Backup)
	eventually(t, "the backup takes over", func() error {
		if now := gatewayOf(t, "stranded"); now.Active != g.Backup || now.Why != g.Active+" lost its way out: its backup took over" {
			return fmt.Errorf("the gateway is %+v", now.Gateway)
		}
		return nil
	})
	refused(t, []string{g.Active, "not ready", "way out"}, "gateway", "move", "stranded", g.Active)
	restore()
	eventually(t, "the host is ready again", func() error {
		if h := answer[client.Host](t, "host", "show", g.Active); h.NotReady != "" || h.Cut {
			return fmt.Errorf("it is %+v", h.Host)
		}
		return nil
	})
	leaveBy(t, others, g.Backup)
}

// A gateway host that comes and goes, since the link to it flaps, is not sent to for a while after each time, and for longer each time.
func TestFlappingGatewayHostIsDamped(t *testing.T) {
	st := needLab(t)
	g, others := failingOver(t, "nervous")
	c := others[len(others)-1]
	from := st.Hosts[slices.IndexFunc(st.Hosts, func(h lab.Host) bool { return h.Name == c.Host })]
	probe := func(column, want string) func() error {
		return func() error {
			if is := strings.Trim(vsctl(t, from, "get", "interface", store.ProbeInterface(g.Active), column), "\"\n"); is != want {
				return fmt.Errorf("%s is %s", column, is)
			}
			return nil
		}
	}
	t.Cleanup(func() { sluice(t, "lab", "heal", c.Host, g.Active) })
	for range 2 {
		sluice(t, "lab", "cut", c.Host, g.Active)
		eventually(t, "the gateway host is found dead", probe("bfd_status:forwarding", "false"))
		time.Sleep(time.Second) // until the agent has seen it
		sluice(t, "lab", "heal", c.Host, g.Active)
		eventually(t, "the gateway host is found alive", probe("bfd_status:forwarding", "true"))
		time.Sleep(time.Second)
	}
	sluice(t, "lab", "cut", c.Host, g.Active)
	eventually(t, "the gateway host is found dead again", probe("bfd_status:forwarding", "false"))
	time.Sleep(time.Second)
	sluice(t, "lab", "heal", c.Host, g.Active)
	time.Sleep(5 * time.Second) // of 20: without damping it is found alive after two
	if err := probe("bfd_status:forwarding", "false")(); err != nil {
		t.Errorf("a gateway host that flaps is sent to as soon as it is back: %v", err)
	}
	leaveBy(t, []lab.Container{c}, g.Backup)
	eventually(t, "the status says so", func() error {
		if out := sluice(t, "status"); !strings.Contains(out, "it comes and goes by the probes of "+c.Host) {
			return errors.New(out)
		}
		return nil
	})
	eventually(t, "the gateway host is found alive later", probe("bfd_status:forwarding", "true"))
	leaveBy(t, []lab.Container{c}, g.Active)
	wantNoDiff(t)
}
