package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/datapath/ovsrun"
	"sluice/integration/lab"
	"sluice/store"
)

// lastRelease is the commit that one upgrades from.
func lastRelease(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("releases.txt")
	if err != nil {
		t.Fatal(err)
	}
	commit := ""
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] != "#" {
			commit = fields[0]
		}
	}
	return commit
}

// buildRelease builds a commit's sluice from the repository's history, below dir.
func buildRelease(t *testing.T, commit, dir string) string {
	t.Helper()
	archive := exec.Command("git", "-c", "safe.directory=*", "-C", "..", "archive", commit) // the tests run as root, the clone may be another's
	var refused bytes.Buffer
	archive.Stderr = &refused
	source, err := archive.Output()
	if err != nil {
		t.Fatalf("git archive %s: %v: %s\nThe upgrade is tested from the release that integration/releases.txt names, built from the repository's history: "+
			"run the test in a clone that has it (git fetch --unshallow).", commit, err, refused.String())
	}
	program := filepath.Join(dir, "sluice-before")
	// With -trimpath the cache knows what was compiled in another directory.
	build := exec.Command("sh", "-c", "tar -x && go build -trimpath -buildvcs=false -o "+program+" ./cmd/sluice")
	build.Dir, build.Stdin = dir, bytes.NewReader(source)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", commit, err, out)
	}
	return program
}

// without removes flags that take a value, with it, and such that take none.
func without(argv []string, valued, bare []string) (kept []string) {
	for i := 0; i < len(argv); i++ {
		switch {
		case slices.Contains(valued, argv[i]):
			i++
		case !slices.Contains(bare, argv[i]):
			kept = append(kept, argv[i])
		}
	}
	return kept
}

// inTheClear has a part speak without TLS, with two controllers.
func inTheClear(argv []string) []string {
	argv = without(argv, []string{"--pki"}, nil)
	for i, word := range argv {
		argv[i] = strings.NewReplacer("https://", "http://", "ssl:172.30.0.100:6653", "tcp:172.30.0.100:6653,tcp:172.30.0.100:6654").Replace(word)
	}
	return argv
}

// upgrade is a cluster on its way from one version to the next.
type upgrade struct {
	*testing.T
	lab    lab.Status
	before string        // the program that one upgrades from
	second *ovsrun.Child // a controller beside the lab's own
}

// asBefore runs the last release, which knows neither certificates nor tokens.
func (u *upgrade) asBefore(argv []string) []string {
	argv = without(inTheClear(argv), []string{"--local-token-file", "--audit-log", "--docker-socket", "--dns-upstream", "--entry"}, []string{"--metrics-without-token"})
	argv[slices.IndexFunc(argv, func(w string) bool { return filepath.Base(w) == filepath.Base(program) })] = u.before
	return argv
}

// asNow runs this version, in the clear as the cluster was until now.
func (u *upgrade) asNow(argv []string) []string {
	return append(inTheClear(argv), "--insecure")
}

func (u *upgrade) kill(targets ...string) {
	u.Helper()
	for _, target := range targets {
		sluice(u.T, "lab", "kill", target)
	}
}

// revive starts the dead processes of a target, and waits until the cluster is realized.
func (u *upgrade) revive(target string, adapt func([]string) []string) {
	u.Helper()
	if err := lab.ReviveAs(u.Context(), target, adapt); err != nil {
		u.Fatal(err)
	}
}

func (u *upgrade) realized() {
	u.Helper()
	eventually(u.T, "all hosts are realized", func() error {
		st := answer[client.Status](u.T, "status")
		if n := st.HostStates[string(store.HostRealized)]; n != len(u.lab.Hosts) {
			return fmt.Errorf("%d of %d: %v, %v", n, len(u.lab.Hosts), st.HostStates, st.Problems)
		}
		return nil
	})
}

// startSecond runs another controller on the machine of the first, in the clear.
func (u *upgrade) startSecond(program string, more ...string) {
	u.Helper()
	u.stopSecond()
	argv := append([]string{"netns", "exec", u.lab.Controllers[0].NetNS, program, "controller", "--name", "c2",
		"--listen-openflow", "172.30.0.100:6654", "--listen-api", "127.0.0.1:8081", "--data-dir", u.TempDir(),
		"--etcd-endpoints", "http://172.30.0.100:2379"}, more...)
	second := exec.Command("ip", argv...)
	log, err := os.Create(filepath.Join(lab.Dir, "logs", "controller-second.log"))
	if err != nil {
		u.Fatal(err)
	}
	defer log.Close()
	second.Stdout, second.Stderr = log, log
	if u.second, err = ovsrun.Spawn(second); err != nil {
		u.Fatal(err)
	}
}

func (u *upgrade) stopSecond() {
	u.second.End()
	u.second = nil
}

// begin makes the lab a cluster that the last release set up, with a store and bridges of its own.
func (u *upgrade) begin() {
	u.Helper()
	u.wipe()
	u.revive("controller", u.asBefore)
	u.startSecond(u.before)
	u.revive("agent", u.asBefore)
	u.realized()
}

// wipe takes controllers, agents, their memory and the bridges away.
func (u *upgrade) wipe() {
	u.Helper()
	u.stopSecond()
	_, _, _ = command(u.T, "lab", "kill", "controller")
	_, _, _ = command(u.T, "lab", "kill", "agent")
	if err := os.RemoveAll(filepath.Join(lab.Dir, "controller-c1")); err != nil {
		u.Fatal(err)
	}
	for _, h := range u.lab.Hosts {
		if err := os.RemoveAll(filepath.Join(h.RunDir, "agent")); err != nil {
			u.Fatal(err)
		}
		err := h.Switch().Change(context.WithoutCancel(u.Context()), func(c *ovsrun.Change) error { return c.Also("--if-exists", "del-br", store.BridgeName) })
		if err != nil {
			u.Fatal(err)
		}
	}
}

// end leaves the lab to the next test as it was, whatever happened.
func (u *upgrade) end() {
	u.stopSecond()
	if u.Failed() {
		sluice(u.T, "lab", "down")
	}
	sluice(u.T, "lab", "up", "--hosts", "3")
}

func (u *upgrade) dumps() map[string]map[string]dumped {
	u.Helper()
	all := map[string]map[string]dumped{}
	for _, h := range u.lab.Hosts {
		all[h.Name] = dump(u.T, h)
	}
	return all
}

// compareVersions complains of flows that were written anew though both versions have them, and of
// counters that went back. It logs those that differ: before and after, the switches held exactly what
// the version of then compiles, so these are the changes that need to be.
func (u *upgrade) compareVersions(before, after map[string]map[string]dumped) {
	u.Helper()
	for _, h := range u.lab.Hosts {
		was, is := maps.Clone(before[h.Name]), maps.Clone(after[h.Name])
		u.forget("the last release has on "+h.Name, was, after[h.Name])
		u.forget("this version has on "+h.Name, is, before[h.Name])
		if len(was) < 50 {
			u.Errorf("%s: only %d flows are in both versions", h.Name, len(was))
		}
		compareDumps(u.T, h.Name, was, is)
	}
}

// forget takes out of some flows those that others lack.
func (u *upgrade) forget(who string, some, others map[string]dumped) {
	u.Helper()
	for text := range some {
		if _, both := others[text]; !both {
			u.Logf("only %s: %s", who, text)
			delete(some, text)
		}
	}
}

// noDiffBefore waits until the switches hold what the last release compiles.
func (u *upgrade) noDiffBefore() {
	u.Helper()
	eventually(u.T, "sluice flows --diff of the last release is empty", func() error {
		out, err := exec.Command(u.before, "flows", "--diff", "--api", u.lab.API).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// A cluster of the last release is upgraded under traffic, controllers first, then agents, and goes
// from plain TCP to TLS after that: no packet is lost, no connection breaks, and no flow changes but
// those that differ between the versions.
func TestRollingUpgrade(t *testing.T) {
	u := &upgrade{T: t, lab: needLab(t)}
	u.before = buildRelease(t, lastRelease(t), t.TempDir())
	t.Cleanup(u.end)
	u.begin()
	a, b := pair(t, "rolling")
	u.noDiffBefore()
	before := u.dumps()
	steady, streamed := steadyPing(t, a, ipOf(b)), stream(t, a, b)

	u.controllersFirst(a)
	u.agentsThen(b)
	wantNoDiff(t)
	after := u.dumps()
	u.compareVersions(before, after)
	u.toTLS(a, b)
	for _, h := range u.lab.Hosts {
		compareDumps(t, h.Name, after[h.Name], dump(t, h))
	}

	steady.wantAll()
	if sent, came := streamed(); sent == 0 || came != sent {
		t.Errorf("of %d bytes %d came over one connection", sent, came)
	}
}

// controllersFirst upgrades one after the other, and attaches while they differ.
func (u *upgrade) controllersFirst(a lab.Container) {
	u.Helper()
	u.kill("controller")
	u.revive("controller", u.asNow)
	u.realized()
	refused(u.T, []string{"controllers/c2", "hosts/h1", "unknown version, schema 1"}, "schema", "set", fmt.Sprint(store.SchemaVersion))
	late := container(u.T, "h3", "rolling", "rolling-3")
	eventually(u.T, "a container that came meanwhile talks", func() error { // the other controller may not have found etcd again
		if !ping(late, ipOf(a), 1) {
			return errors.New("it does not")
		}
		return nil
	})
	u.startSecond(program, "--insecure")
	u.realized()
}

// agentsThen upgrades them one by one.
func (u *upgrade) agentsThen(b lab.Container) {
	u.Helper()
	for _, h := range u.lab.Hosts {
		u.kill("agent/" + h.Name)
		u.revive("agent/"+h.Name, u.asNow)
		u.realized()
	}
	sluice(u.T, "lab", "rm", "rolling-3")
	st := answer[client.Status](u.T, "status")
	for _, h := range st.Hosts {
		if h.Agent.Schema != store.SchemaVersion {
			u.Errorf("the agent of %s says %+v", h.Name, h.Agent)
		}
	}
	sluice(u.T, "schema", "set", fmt.Sprint(store.SchemaVersion))
	wantPing(u.T, container(u.T, "h3", "rolling", "rolling-4"), ipOf(b))
	sluice(u.T, "lab", "rm", "rolling-4")
}

// toTLS starts the controller with its certificate, then each agent with targets that say ssl:. The
// other controller, in the clear, keeps the switches meanwhile: the agent drops it last.
func (u *upgrade) toTLS(a, b lab.Container) {
	u.Helper()
	u.kill("controller")
	u.revive("controller", nil)
	for _, h := range u.lab.Hosts {
		u.kill("agent/" + h.Name)
		u.revive("agent/"+h.Name, nil)
		eventually(u.T, "the switch of "+h.Name+" dials the new target alone", func() error { return dialsOnly(u.T, h, "ssl:172.30.0.100:6653") })
	}
	u.realized()
	u.stopSecond()
	wantPing(u.T, a, ipOf(b))
	wantNoDiff(u.T)
}

// dialsOnly reports where a switch dials.
func dialsOnly(t *testing.T, h lab.Host, target string) error {
	t.Helper()
	is, err := h.Switch().Client(t.Context()).VSwitch.GetController(store.BridgeName)
	if err == nil && strings.TrimSpace(is) != target {
		err = fmt.Errorf("it dials %q", is)
	}
	return err
}

// stream sends over one TCP connection until it is told to stop, and says then how many bytes went
// and came.
func stream(t *testing.T, from, to lab.Container) (stop func() (sent, came int64)) {
	t.Helper()
	l, err := lab.ListenIn(t.Context(), to.NetNS, "tcp", ipOf(to).String()+":0")
	if err != nil {
		t.Fatal(err)
	}
	got := lab.CountReceived(l)
	c, err := lab.DialIn(t.Context(), from.NetNS, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	enough, ended := make(chan struct{}), make(chan int64)
	go func() {
		sent, part := int64(0), make([]byte, 1000)
		for {
			select {
			case <-enough:
				ended <- sent
				return
			default:
			}
			n, err := c.Write(part)
			if sent += int64(n); err != nil {
				ended <- -1
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return func() (sent, came int64) {
		close(enough)
		sent = <-ended
		c.Close()
		came = int64(<-got)
		l.Close()
		return sent, came
	}
}
