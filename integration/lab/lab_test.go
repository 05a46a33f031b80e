package lab

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/ovstest"
)

// Down removes what these names match, so they must match nothing else.
func TestOnlyOurNamespacesMatch(t *testing.T) {
	for name, want := range map[string]bool{
		"sluice-net": true, "sluice-ctl": true, "sluice-inet": true,
		"sluice-h1": true, "sluice-h99": true, "sluice-c-a1": true,
		"sluice-ctl2": true, "sluice-etcd1": true, "sluice-ctl1": false, "sluice-etcd": false,
		"sluice-h0": false, "sluice-h100": false, "sluice-h1x": false, "sluice-test-h1": false,
		"sluice-c-": false, "sluice-c-A": false, "xsluice-net": false, "sluice-network": false, "": false,
	} {
		if got := ours.MatchString(name); got != want {
			t.Errorf("%q ours: %v, want %v", name, got, want)
		}
	}
}

func TestMergeOptionsWithALabThatRuns(t *testing.T) {
	three := state{Hosts: 3, Controllers: 1, Encap: "geneve", Topology: "mesh"}
	for _, c := range []struct {
		name    string
		was     state
		o       Options
		want    state
		refusal string
	}{
		{name: "nothing said, nothing there", want: state{Hosts: 3, Controllers: 1, Encap: "vxlan", Topology: "mesh"}},
		{name: "nothing said", was: three, want: three},
		{name: "grow", was: three, o: Options{Hosts: 5}, want: state{Hosts: 5, Controllers: 1, Encap: "geneve", Topology: "mesh"}},
		{name: "shrink", was: three, o: Options{Hosts: 2}, refusal: "cannot shrink to 2"},
		{name: "too many", o: Options{Hosts: 100}, refusal: "1 to 99 hosts"},
		{name: "negative", o: Options{Hosts: -1}, refusal: "1 to 99 hosts"},
		{name: "other tunnels", was: three, o: Options{Encap: "gre"}, refusal: "geneve, not gre"},
		{name: "unknown tunnels", o: Options{Encap: "ipip"}, refusal: "use vxlan, geneve or gre"},
		{name: "a control plane", o: Options{Controllers: 2, EtcdMembers: 3},
			want: state{Hosts: 3, Controllers: 2, EtcdMembers: 3, Encap: "vxlan", Topology: "mesh"}},
		{name: "one more controller", was: three, o: Options{Controllers: 2}, refusal: "1 controllers and 0 members of etcd"},
		{name: "etcd moves out", was: three, o: Options{EtcdMembers: 3}, refusal: "sluice lab down"},
		{name: "too many controllers", o: Options{Controllers: 10}, refusal: "1 to 9 controllers"},
		{name: "too many members", o: Options{EtcdMembers: 8}, refusal: "1 to 7 members"},
		{name: "star", o: Options{Topology: "star"}, refusal: `"star"`},
		{name: "no such binary", o: Options{Binary: "/nonexistent/sluice"}, refusal: "/nonexistent/sluice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.o.merge(&c.was)
			if c.refusal != "" {
				if err == nil || !strings.Contains(err.Error(), c.refusal) {
					t.Fatalf("error %v, want one with %q", err, c.refusal)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got.Binary = ""
			if diff := cmp.Diff(&c.want, got, cmp.AllowUnexported(state{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestTargets(t *testing.T) {
	small := &state{Hosts: 2, Controllers: 1}
	large := &state{Hosts: 1, Controllers: 2, EtcdMembers: 3}
	for _, c := range []struct {
		lab          *state
		target, want string
	}{
		{small, "controller", "controller-c1"},
		{small, "controller/c1", "controller-c1"},
		{small, "controller/c2", ""},
		{small, "etcd", "controller-c1"},
		{small, "etcd/e1", ""}, // not the controller, whom nobody named
		{small, "agent", "agent-h1 agent-h2"},
		{small, "agent/h2", "agent-h2"},
		{small, "agent/h3", ""},
		{small, "switch/h1", "vswitchd-h1"},
		{small, "switch/h3", ""},
		{small, "switch", ""},
		{small, "h1", "ovsdb-h1 vswitchd-h1 agent-h1"},
		{small, "h3", ""},
		{small, "", ""},
		{large, "controller", "controller-c1 controller-c2"},
		{large, "etcd", "etcd-e1 etcd-e2 etcd-e3"},
		{large, "etcd/e2", "etcd-e2"},
		{large, "etcd/e4", ""},
	} {
		got, err := c.lab.targets(c.target)
		if (err != nil) != (c.want == "") || err == nil && strings.Join(got, " ") != c.want {
			t.Errorf("%q of %d controllers: %v, %v, want %q", c.target, c.lab.Controllers, got, err, c.want)
		}
	}
}

func TestMachinesToCut(t *testing.T) {
	s := &state{Hosts: 2, Controllers: 2, EtcdMembers: 1}
	for name, want := range map[string]string{
		"h2": "h2", "c1": "ctl", "c2": "ctl2", "controller/c2": "ctl2", "e1": "etcd1", "etcd/e1": "etcd1",
		"h3": "", "c3": "", "e2": "", "": "", "agent/h1": "",
	} {
		if got, err := s.wireOf(name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is at %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestWhoAnswersBehindTheForwarder(t *testing.T) {
	for _, s := range []state{{Controllers: 1}, {Controllers: 2, EtcdMembers: 3}} {
		for _, text := range []string{s.apis(), s.etcds()} {
			backends, err := parseBackends(text)
			if err != nil || len(backends) == 0 {
				t.Errorf("%q: %v, %v", text, backends, err)
			}
			for _, b := range backends {
				if processNS(b.Process) == "" {
					t.Errorf("%q: process %s has no namespace", text, b.Process)
				}
			}
		}
	}
	if _, err := parseBackends("127.0.0.1:80"); err == nil {
		t.Error("a backend without a process is one")
	}
}

// A process is known by its start time too: a number that was used again is another process.
// Containers are listed while others are attached: a file that is not yet written whole is nobody's.
func TestContainersInAFolderThatIsWritten(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"web.json":       `{"name": "web", "mac": "02:00:00:00:00:01"}`,
		"attaching.json": `{"name": "attaching"}`,
		".new-1":         ``,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := containersIn(dir)
	if err != nil || len(got) != 1 || got[0].Name != "web" {
		t.Errorf("containers %+v, %v; want web alone", got, err)
	}
}

func TestStartTime(t *testing.T) {
	first, err := startTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child, err := startTime(cmd.Process.Pid)
	if err != nil || child < first && len(child) <= len(first) {
		t.Errorf("child began at %q, its parent at %q: %v", child, first, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := waitGone(cmd.Process.Pid, child); err != nil {
		t.Errorf("a killed child that nobody waited for yet: %v", err)
	}
	_ = cmd.Wait()
	if _, err := startTime(cmd.Process.Pid); err == nil {
		t.Error("a process that is gone has a start time")
	}
}

// A test or a benchmark that was killed leaves its lab to the next one, which must not fail
// because of it; a lab that people made is theirs.
func TestTakeOverRemovesWhatADeadHolderLeft(t *testing.T) {
	ovstest.Require(t) // root above all
	free, err := Reserve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	if _, err := Load(t.Context()); err == nil {
		t.Fatal("a lab is running: sluice lab down")
	}
	defer Down(t.Context())

	halfALab(t)
	if err := takeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a lab of a holder that did not free it: %v, want ErrNotRunning", err)
	}

	if err := disown(); err != nil {
		t.Fatal(err)
	}
	halfALab(t)
	if err := takeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(t.Context()); err != nil {
		t.Errorf("a lab that nobody had reserved: %v", err)
	}
}

// halfALab is what Up writes first.
func halfALab(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := state{Hosts: 1, Controllers: 1, Encap: "vxlan", API: "127.0.0.1:1", Etcd: "127.0.0.1:2"}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
}
