// Package ovstest starts a private Open vSwitch for one test: its own ovsdb-server and
// ovs-vswitchd, in a directory and a network namespace of their own, so that it touches
// nothing of the machine and goes away with the test. Only tests import it.
package ovstest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const schema = "/usr/share/openvswitch/vswitch.ovsschema"

// patience bounds every wait for a daemon or a command; it is far more than any takes.
const patience = 30 * time.Second

// OVS is a running Open vSwitch.
type OVS struct {
	t        testing.TB
	dir      string
	options  []string // of ovs-vswitchd
	database *daemon
	vswitchd *daemon
}

// Start starts one, its ovs-vswitchd with these options besides its own, and stops it when
// the test ends. Without root or OVS the test is skipped, or fails if SLUICE_REQUIRE_OVS
// is set.
func Start(t testing.TB, options ...string) *OVS {
	t.Helper()
	Require(t)
	dir, err := os.MkdirTemp("", "sluice-ovs-") // t.TempDir is too long a path for a socket
	if err != nil {
		t.Fatal(err)
	}
	o := &OVS{t: t, dir: dir, options: options}
	t.Cleanup(o.stop)
	o.run("ovsdb-tool", "create", o.Path("conf.db"), schema)
	o.StartDatabase()
	o.run("ovs-vsctl", "--no-wait", "--db="+o.Endpoint(), "init")
	o.StartSwitch()
	return o
}

// Require skips the test, or fails it, where OVS cannot run. With go test -short it skips it.
func Require(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Open vSwitch: not with -short")
	}
	why := ""
	if os.Getuid() != 0 {
		why = "needs root"
	}
	for _, name := range []string{"ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl"} {
		if _, err := exec.LookPath(name); err != nil {
			why = "needs Open vSwitch: " + err.Error()
		}
	}
	if why == "" {
		return
	}
	if os.Getenv("SLUICE_REQUIRE_OVS") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Endpoint is the database's, for ovsdb.Dial and ovs-vsctl --db.
func (o *OVS) Endpoint() string { return "unix:" + o.Path("db.sock") }

// Listen opens a socket, and gives the target under which the switch reaches it.
func (o *OVS) Listen(name string) (l net.Listener, target string) {
	o.t.Helper()
	l, err := net.Listen("unix", o.Path(name))
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { l.Close() })
	return l, "unix:" + o.Path(name)
}

// AddBridge makes a userspace bridge whose controllers are these targets.
func (o *OVS) AddBridge(name string, controllers ...string) {
	o.t.Helper()
	args := []string{"--", "add-br", name, "--", "set", "bridge", name, "datapath_type=netdev",
		"fail_mode=secure", "protocols=OpenFlow13", "other_config:disable-in-band=true"}
	if len(controllers) > 0 {
		args = append(append(args, "--", "set-controller", name), controllers...)
	}
	o.VSCtl(args...)
	for _, uuid := range strings.Fields(strings.NewReplacer("[", "", "]", "", ",", " ").
		Replace(o.VSCtl("get", "bridge", name, "controller"))) {
		o.VSCtl("set", "controller", uuid, "connection_mode=out-of-band", "max_backoff=1000")
	}
}

// VSCtl runs ovs-vsctl and returns what it printed.
func (o *OVS) VSCtl(args ...string) string {
	o.t.Helper()
	return o.run("ovs-vsctl", append([]string{"--db=" + o.Endpoint()}, args...)...)
}

// OFCtl runs ovs-ofctl with a command, a bridge and more arguments.
func (o *OVS) OFCtl(command, bridge string, args ...string) string {
	o.t.Helper()
	target := "unix:" + o.Path(bridge+".mgmt")
	return o.run("ovs-ofctl", append([]string{"-O", "OpenFlow13", command, target}, args...)...)
}

// AppCtl runs ovs-appctl on ovs-vswitchd.
func (o *OVS) AppCtl(args ...string) string {
	o.t.Helper()
	return o.run("ovs-appctl", append([]string{"-t", o.Control()}, args...)...)
}

// Exec runs a command in the network namespace of ovs-vswitchd.
func (o *OVS) Exec(args ...string) string {
	o.t.Helper()
	return o.run("nsenter", append([]string{"-t", strconv.Itoa(o.vswitchd.process.Pid), "-n"}, args...)...)
}

// StartDatabase starts ovsdb-server.
func (o *OVS) StartDatabase() {
	o.t.Helper()
	os.Remove(o.Path("db.sock"))
	o.database = o.spawn(o.Path("db.sock"), "ovsdb-server", o.Path("conf.db"), "--remote=p"+o.Endpoint(),
		"--unixctl="+o.Path("db.ctl"), "--log-file="+o.Path("ovsdb-server.log"), "-vconsole:off")
}

// StopDatabase kills ovsdb-server.
func (o *OVS) StopDatabase() { o.database.end() }

// StartSwitch starts ovs-vswitchd.
func (o *OVS) StartSwitch() {
	o.t.Helper()
	os.Remove(o.Control())
	args := []string{o.Endpoint(), "--disable-system", "--unixctl=" + o.Control(),
		"--log-file=" + o.Path("ovs-vswitchd.log"), "-vconsole:off"}
	o.vswitchd = o.spawn(o.Control(), "ovs-vswitchd", append(args, o.options...)...)
}

// StopSwitch kills ovs-vswitchd.
func (o *OVS) StopSwitch() { o.vswitchd.end() }

// PauseSwitch stops ovs-vswitchd's threads where they are; ResumeSwitch lets them go on.
func (o *OVS) PauseSwitch() { o.vswitchd.process.Signal(syscall.SIGSTOP) }

// ResumeSwitch ends PauseSwitch.
func (o *OVS) ResumeSwitch() { o.vswitchd.process.Signal(syscall.SIGCONT) }

// Log is what ovs-vswitchd has logged.
func (o *OVS) Log() string {
	o.t.Helper()
	b, err := os.ReadFile(o.Path("ovs-vswitchd.log"))
	if err != nil {
		o.t.Fatal(err)
	}
	return string(b)
}

// Control is the socket of ovs-vswitchd that ovs-appctl speaks to.
func (o *OVS) Control() string { return o.Path("switch.ctl") }

// Path is a file of that name in the directory that goes away with the test.
func (o *OVS) Path(name string) string { return filepath.Join(o.dir, name) }

// spawn starts a daemon in a network namespace that ends with it, and waits until its
// socket answers.
func (o *OVS) spawn(socket, name string, args ...string) *daemon {
	o.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+o.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	d, err := start(cmd)
	if err != nil {
		o.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return d
		}
		if time.Now().After(deadline) {
			d.end()
			o.t.Fatalf("%s did not start: %s", name, out.String())
		}
	}
}

// daemon is a child process that ends with this one, however that ends.
type daemon struct {
	process *os.Process
	exited  chan struct{}
}

// start keeps to the child's thread: the kernel takes its end for the parent's.
func start(cmd *exec.Cmd) (*daemon, error) {
	d := &daemon{exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(d.exited)
		err := cmd.Start()
		d.process = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() // killed, as a rule
		}
	}()
	return d, <-started
}

// end kills a daemon, also one that is paused, and waits for it.
func (d *daemon) end() {
	if d != nil {
		_ = d.process.Kill() // it may have ended
		<-d.exited
	}
}

func (o *OVS) run(name string, args ...string) string {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+o.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.t.Fatalf("%s: %v\n%s", fmt.Sprint(append([]string{name}, args...)), err, out)
	}
	return string(out)
}

func (o *OVS) stop() {
	o.vswitchd.end()
	o.database.end()
	if o.t.Failed() {
		log, _ := os.ReadFile(o.Path("ovs-vswitchd.log"))
		o.t.Logf("the end of ovs-vswitchd.log:\n%s", log[max(0, len(log)-4000):])
	}
	os.RemoveAll(o.dir)
}
