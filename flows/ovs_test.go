package flows

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// Open vSwitch takes the tables as they are written, and gives the same text back: what
// Diff compares after a dump is what was sent.
func TestOVSHoldsTheSame(t *testing.T) {
	o := startOVS(t)
	for _, path := range documents(t) {
		d, _ := readDocument(t, path)
		for _, sw := range d.switches {
			t.Run(filepath.Base(path)+"/"+sw.Host, func(t *testing.T) {
				flows, _ := compileHost(d.state, sw)
				var want []string
				for _, f := range flows {
					want = append(want, strings.TrimSpace(f.String()))
				}
				got := o.replace(t, want)
				slices.Sort(want)
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("the switch holds other flows (-sent +held):\n%s", diff)
				}
			})
		}
	}
}

// ovs is an Open vSwitch of the test's own with one bridge, br0, in its dummy datapath.
type ovs struct{ dir string }

func startOVS(t *testing.T) *ovs {
	t.Helper()
	requireOVS(t)
	dir, err := os.MkdirTemp("", "sluice-flows-")
	if err != nil {
		t.Fatal(err)
	}
	o := &ovs{dir: dir}
	t.Cleanup(o.stop)
	o.run(t, "ovsdb-tool", "create", o.path("conf.db"), "/usr/share/openvswitch/vswitch.ovsschema")
	o.run(t, "ovsdb-server", o.path("conf.db"), "--remote=punix:"+o.path("db.sock"), "--unixctl="+o.path("db.ctl"),
		"--pidfile="+o.path("db.pid"), "--log-file="+o.path("db.log"), "-vconsole:off", "--detach")
	o.run(t, "ovs-vsctl", "--db=unix:"+o.path("db.sock"), "--no-wait", "init")
	o.run(t, "ovs-vswitchd", "unix:"+o.path("db.sock"), "--unixctl="+o.path("vs.ctl"), "--disable-system", "--enable-dummy",
		"--pidfile="+o.path("vs.pid"), "--log-file="+o.path("vs.log"), "-vconsole:off", "--detach")
	bridge := []string{"--db=unix:" + o.path("db.sock"), "add-br", "br0", "--", "set", "bridge", "br0",
		"datapath_type=dummy", "fail_mode=secure"}
	for _, port := range []string{"1", "200"} {
		bridge = append(bridge, "--", "add-port", "br0", "p"+port, "--", "set", "interface", "p"+port, "type=dummy",
			"ofport_request="+port)
	}
	o.run(t, "ovs-vsctl", bridge...)
	return o
}

// requireOVS skips where Open vSwitch is not installed, or not allowed to run.
func requireOVS(t *testing.T) {
	t.Helper()
	why := ""
	if _, err := exec.LookPath("ovs-vswitchd"); err != nil {
		why = "Open vSwitch is not installed"
	}
	if os.Geteuid() != 0 {
		why = "needs root to run Open vSwitch"
	}
	switch {
	case why != "" && os.Getenv("SLUICE_REQUIRE_OVS") == "1":
		t.Fatal(why)
	case why != "":
		t.Skip(why)
	}
}

func (o *ovs) stop() {
	for _, name := range []string{"vs.pid", "db.pid"} {
		text, err := os.ReadFile(o.path(name))
		if err != nil {
			continue
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			_ = exec.Command("kill", strconv.Itoa(pid)).Run()
		}
	}
	_ = os.RemoveAll(o.dir)
}

func (o *ovs) path(name string) string { return filepath.Join(o.dir, name) }

func (o *ovs) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "OVS_RUNDIR="+o.dir, "OVS_LOGDIR="+o.dir, "OVS_DBDIR="+o.dir)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, &stderr)
	}
	return string(out)
}

// replace loads flows in the place of all others, and returns what the bridge holds then,
// sorted.
func (o *ovs) replace(t *testing.T, flows []string) []string {
	t.Helper()
	file := o.path("flows")
	if err := os.WriteFile(file, []byte(strings.Join(flows, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bridge := "unix:" + o.path("br0.mgmt")
	o.run(t, "ovs-ofctl", "-O", "OpenFlow13", "del-flows", bridge)
	o.run(t, "ovs-ofctl", "-O", "OpenFlow13", "--bundle", "add-flows", bridge, file)
	dump := o.run(t, "ovs-ofctl", "-O", "OpenFlow13", "--no-stats", "--no-names", "dump-flows", bridge)
	var held []string
	for line := range strings.Lines(dump) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "OFPST_FLOW") {
			held = append(held, line)
		}
	}
	slices.Sort(held)
	return held
}
