package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
)

var trunkHosts = []string{"h1", "h2", "h3"}

// withTrunk starts the agents of hosts anew, with the trunk or without.
func withTrunk(ctx context.Context, t *testing.T, on bool, hosts ...string) {
	t.Helper()
	for _, host := range hosts {
		_, _, _ = command(t, "lab", "kill", "agent/"+host)
		err := lab.ReviveAs(ctx, "agent/"+host, func(argv []string) []string {
			if on {
				return append(slices.Clone(argv), "--trunk", lab.TrunkInterface)
			}
			return argv
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// awaitTrunk waits until hosts say that they have a trunk that is ready, or none.
func awaitTrunk(t *testing.T, on bool, hosts ...string) {
	t.Helper()
	for _, host := range hosts {
		eventually(t, fmt.Sprintf("host %s has a trunk: %v", host, on), func() error {
			if h := answer[client.Host](t, "host", "show", host); h.TrunkReady != on || (h.Trunk != "") != on {
				return fmt.Errorf("its trunk is %q, ready: %v", h.Trunk, h.TrunkReady)
			}
			return nil
		})
	}
	wantNoDiff(t)
}

// onTrunk is how many frames hosts have sent into the trunk.
func onTrunk(t *testing.T) (frames int) {
	t.Helper()
	for _, host := range trunkHosts {
		out, err := exec.Command("ip", "-n", lab.UnderlayNS, "-j", "-s", "link", "show", "t-"+host).Output()
		if err != nil {
			t.Fatal(err)
		}
		var links []struct {
			Stats64 struct {
				Rx struct{ Packets int } `json:"rx"`
			} `json:"stats64"`
		}
		if err := json.Unmarshal(out, &links); err != nil || len(links) != 1 {
			t.Fatalf("%v\n%s", err, out)
		}
		frames += links[0].Stats64.Rx.Packets
	}
	return frames
}

// wantByTrunk pings, and asks whether questions and answers went by the trunk.
func wantByTrunk(t *testing.T, by bool, from, to lab.Container) {
	t.Helper()
	const pings, others = 100, 40
	before := onTrunk(t)
	countPings(t, from, ipOf(to), pings)
	if n := onTrunk(t) - before; by && n < 2*pings || !by && n > others {
		t.Errorf("of %d pings from %s on %s to %s on %s %d frames went by the trunk; by it: %v", pings, from.Name, from.Host, to.Name, to.Host, n, by)
	}
}

// trunked wires the lab's hosts to a trunk until the test ends, which their agents do not know yet.
func trunked(t *testing.T) {
	t.Helper()
	if err := lab.EnsureTrunk(t.Context(), trunkHosts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		withTrunk(ctx, t, false, trunkHosts...)
		awaitTrunk(t, false, trunkHosts...)
		if err := lab.RemoveTrunk(ctx, trunkHosts...); err != nil {
			t.Error(err)
		}
	})
}

// The gateway of a tenant moves and its host is drained while frames of its VLAN network go by the trunk: those go on there, and what leaves
// goes by tunnels. No ping is lost.
func TestGatewaysBesideATrunk(t *testing.T) {
	needLab(t)
	trunked(t)
	withTrunk(t.Context(), t, true, trunkHosts...)
	awaitTrunk(t, true, trunkHosts...)
	tenant(t, "trunk-g", "--segmentation", "vlan", "--subnet", "10.0.0.0/24")
	at := map[string]lab.Container{}
	for _, host := range trunkHosts {
		at[host] = container(t, host, "trunk-g", "trunk-g-"+host)
	}
	next := map[string]string{"h1": "h2", "h2": "h3", "h3": "h1"}
	var all []goesOn
	for from, to := range next {
		wantByTrunk(t, true, at[from], at[to])
		wantPing(t, at[from], lab.InternetAddress)
		all = append(all, goesOn{"ping of " + at[from].Name, steadyPing(t, at[from], ipOf(at[to])).end},
			goesOn{"ping to the outside of " + at[from].Name, steadyPing(t, at[from], lab.InternetAddress).end})
	}
	first := gatewayOf(t, "trunk-g").Active
	sluice(t, "gateway", "move", "trunk-g", next[first])
	sluice(t, "gateway", "move", "trunk-g", first)
	sluice(t, "gateway", "drain", first, "--no-wait") // the pings go on through it
	t.Cleanup(func() { command(t, "gateway", "undrain", first) })
	eventually(t, "the gateway goes elsewhere", func() error {
		if now := gatewayOf(t, "trunk-g"); now.Active == first || now.Move != nil {
			return fmt.Errorf("it is %+v", now.Gateway)
		}
		return nil
	})
	time.Sleep(2 * time.Second) // so that many pings go the new way
	sluice(t, "gateway", "undrain", first)
	wantNoDiff(t)
	for _, traffic := range all {
		if err := traffic.end(); err != nil {
			t.Errorf("over two moves and a drain: %s: %v", traffic.what, err)
		}
	}
	for from, to := range next {
		wantByTrunk(t, true, at[from], at[to])
	}
	if stdout, stderr, status := command(t, "verify"); status != 0 {
		t.Errorf("it is not proved: %s%s", stdout, stderr)
	}
}

// A gateway host with a trunk dies: the others of its VLAN network leave by the backup, and reach each other by the trunk as before.
func TestFailOverBesideATrunk(t *testing.T) {
	needLab(t)
	trunked(t)
	withTrunk(t.Context(), t, true, trunkHosts...)
	awaitTrunk(t, true, trunkHosts...)
	g, others := failingOver(t, "trunk-f", "--segmentation", "vlan")
	wantByTrunk(t, true, others[0], others[1])
	sluice(t, "lab", "kill", g.Active)
	wantByTrunk(t, true, others[0], others[1])
	for _, c := range others {
		eventually(t, c.Name+" gets out", func() error {
			if !ping(c, lab.InternetAddress, 1) {
				return errors.New("no answer")
			}
			return nil
		})
	}
	leaveBy(t, others, g.Backup)
	wantByTrunk(t, true, others[0], others[1])
	sluice(t, "lab", "up") // whose agent knows no trunk
	awaitTrunk(t, false, g.Active)
	wantByTrunk(t, false, others[0], others[1])
}

// Two tenants with the same addresses have VLAN networks, with containers on h1 and h2. While these ping each other and the outside, a
// container comes to h3, which has no trunk, h3 gets one and loses it, and the container goes: frames go by the trunk exactly while
// each host of the network has one, and no ping is lost.
func TestTrunk(t *testing.T) {
	needLab(t)
	trunked(t)
	at := map[string]lab.Container{}
	run := func(name, host, address string) { at[name+host] = container(t, host, name, name+"-"+host, address) }
	for _, name := range []string{"trunk-a", "trunk-b"} {
		tenant(t, name, "--segmentation", "vlan", "--subnet", "10.0.0.0/24", "--gateway", "h2")
		run(name, "h1", "10.0.0.11")
		run(name, "h2", "10.0.0.12")
	}
	wantByTrunk(t, false, at["trunk-ah1"], at["trunk-ah2"])
	withTrunk(t.Context(), t, true, "h1", "h2")
	awaitTrunk(t, true, "h1", "h2")
	wantByTrunk(t, true, at["trunk-ah1"], at["trunk-ah2"])
	wantByTrunk(t, true, at["trunk-bh1"], at["trunk-bh2"])

	for _, step := range []struct {
		what string
		do   func()
		by   bool // frames go by the trunk then
	}{
		{"a host without a trunk gets a container", func() { run("trunk-a", "h3", "10.0.0.13"); run("trunk-b", "h3", "10.0.0.13") }, false},
		{"it gets a trunk", func() { withTrunk(t.Context(), t, true, "h3"); awaitTrunk(t, true, "h3") }, true},
		{"it loses its trunk", func() { withTrunk(t.Context(), t, false, "h3"); awaitTrunk(t, false, "h3") }, false},
		{"its containers go", func() { sluice(t, "lab", "rm", "trunk-a-h3"); sluice(t, "lab", "rm", "trunk-b-h3") }, true},
	} {
		all := trunkTraffic(t, at)
		step.do()
		wantNoDiff(t)
		time.Sleep(2 * time.Second) // so that many pings go the new way
		for _, traffic := range all {
			if err := traffic.end(); err != nil {
				t.Errorf("%s: %s: %v", step.what, traffic.what, err)
			}
		}
		for _, name := range []string{"trunk-a", "trunk-b"} {
			wantByTrunk(t, step.by, at[name+"h1"], at[name+"h2"])
		}
		if step.what == "it gets a trunk" {
			wantByTrunk(t, true, at["trunk-ah3"], at["trunk-ah1"])
			broadcastsOnce(t, at["trunk-ah1"], at["trunk-ah2"], at["trunk-ah3"])
			trunkIsolates(t)
		}
		if stdout, stderr, status := command(t, "verify"); status != 0 {
			t.Errorf("%s: it is not proved: %s%s", step.what, stdout, stderr)
		}
	}
}

// trunkIsolates looks at what is said of frames on the trunk: of those that pass, and of those of another tenant.
func trunkIsolates(t *testing.T) {
	t.Helper()
	if out := sluice(t, "trace", "trunk-a/default/trunk-a-h1", "trunk-a/default/trunk-a-h2"); !strings.Contains(out, "by the trunk from h1") {
		t.Errorf("the trace is\n%s", out)
	}
	out, _, status := command(t, "trace", "trunk-a/default/trunk-a-h1", "trunk-b/default/trunk-b-h2")
	if status == 0 && strings.Contains(out, "delivered to trunk-b") {
		t.Errorf("another tenant is reached:\n%s", out)
	}
	if out := sluice(t, "flows", "--host", "h1", "--tenant", "trunk-a"); !strings.Contains(out, "send it out to trunk "+lab.TrunkInterface) {
		t.Errorf("no flow says that it sends to the trunk:\n%s", out)
	}
}

// trunkTraffic is what goes on while trunks come and go: between two hosts in both tenants, and to the outside.
func trunkTraffic(t *testing.T, at map[string]lab.Container) (all []goesOn) {
	t.Helper()
	for _, name := range []string{"trunk-a", "trunk-b"} {
		for from, to := range map[string]string{"h1": "h2", "h2": "h1"} {
			all = append(all, goesOn{"ping of " + at[name+from].Name, steadyPing(t, at[name+from], ipOf(at[name+to])).end})
		}
		all = append(all, goesOn{"ping to the outside", steadyPing(t, at[name+"h1"], lab.InternetAddress).end})
	}
	return all
}
