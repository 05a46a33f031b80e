package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sluice/integration/lab"
)

// schema is where Debian's openvswitch-common keeps the database's schema.
const schema = "/usr/share/openvswitch/vswitch.ovsschema"

// startTime bounds the wait for a daemon.
const startTime = 30 * time.Second

// ovs is an Open vSwitch of its own: a directory, and a network namespace that lives and
// dies with its ovs-vswitchd.
type ovs struct {
	dir      string
	database *daemon
	vswitchd *daemon
}

// ovsPrograms are what a case with a switch of its own runs.
var ovsPrograms = []string{"ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "nsenter", "ip"}

// startOVS starts one without bridges; close removes it.
func startOVS(ctx context.Context) (o *ovs, err error) {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return nil, err
	}
	o = &ovs{dir: dir}
	defer func() {
		if err != nil {
			o.close()
		}
	}()
	if _, err := o.run(ctx, "ovsdb-tool", "create", o.path("conf.db"), schema); err != nil {
		return o, err
	}
	o.database, err = o.start(ctx, o.path("db.sock"), "ovsdb-server", o.path("conf.db"),
		"--remote=p"+o.endpoint(), "--unixctl="+o.path("db.ctl"), "--log-file="+o.path("db.log"), "-vconsole:off")
	if err != nil {
		return o, err
	}
	if _, err := o.vsctl(ctx, "--no-wait", "init"); err != nil {
		return o, err
	}
	o.vswitchd, err = o.start(ctx, o.path("switch.ctl"), "ovs-vswitchd", o.endpoint(),
		"--disable-system", "--unixctl="+o.path("switch.ctl"), "--log-file="+o.path("switch.log"), "-vconsole:off")
	if err != nil {
		return o, err
	}
	_, err = o.run(ctx, "nsenter", "-t", strconv.Itoa(o.vswitchd.process.Pid), "-n", "ip", "link", "set", "lo", "up")
	return o, err
}

func (o *ovs) path(name string) string { return filepath.Join(o.dir, name) }

func (o *ovs) endpoint() string { return "unix:" + o.path("db.sock") }

// close ends the daemons and removes what they left.
func (o *ovs) close() {
	o.vswitchd.end()
	o.database.end()
	os.RemoveAll(o.dir)
}

// addBridge makes a userspace bridge whose controllers are these targets.
func (o *ovs) addBridge(ctx context.Context, name string, controllers ...string) error {
	args := []string{"--", "add-br", name, "--", "set", "bridge", name, "datapath_type=netdev",
		"fail_mode=secure", "protocols=OpenFlow13", "other_config:disable-in-band=true"}
	var ids []string
	for i, target := range controllers {
		id := fmt.Sprint("@c", i)
		ids = append(ids, id)
		args = append(args, "--", "--id="+id, "create", "controller", fmt.Sprintf("target=%q", target),
			"connection_mode=out-of-band", "max_backoff=1000", "inactivity_probe=0")
	}
	if len(ids) > 0 {
		args = append(args, "--", "set", "bridge", name, "controller="+strings.Join(ids, ","))
	}
	_, err := o.vsctl(ctx, args...)
	return err
}

func (o *ovs) vsctl(ctx context.Context, args ...string) (string, error) {
	return o.run(ctx, append([]string{"ovs-vsctl", "--db=" + o.endpoint(), "--timeout=30"}, args...)...)
}

// ofctl is an ovs-ofctl command line on a bridge.
func (o *ovs) ofctl(options []string, command, bridge string, args ...string) []string {
	argv := append([]string{"ovs-ofctl", "-O", "OpenFlow13"}, options...)
	return append(append(argv, command, "unix:"+o.path(bridge+".mgmt")), args...)
}

func (o *ovs) run(ctx context.Context, argv ...string) (string, error) {
	var out strings.Builder
	err := o.runTo(ctx, &out, argv...)
	return out.String(), err
}

// runQuietly runs a command whose output goes to /dev/null.
func (o *ovs) runQuietly(ctx context.Context, argv ...string) error {
	return o.runTo(ctx, nil, argv...)
}

func (o *ovs) runTo(ctx context.Context, out io.Writer, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+o.dir)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv[:min(4, len(argv))], " "), err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// inside calls f on a thread in the switch's network namespace: sockets that f opens belong
// there.
func (o *ovs) inside(f func() error) error {
	return lab.InNamespaceAt(fmt.Sprintf("/proc/%d/ns/net", o.vswitchd.process.Pid), f)
}

// listen opens a port for switches in the switch's namespace.
func (o *ovs) listen() (l net.Listener, target string, err error) {
	err = o.inside(func() error {
		l, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	if err != nil {
		return nil, "", err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return l, "tcp:127.0.0.1:" + port, nil
}

// dial connects to a port in the switch's namespace.
func (o *ovs) dial(address string) (c net.Conn, err error) {
	err = o.inside(func() error {
		c, err = net.Dial("tcp", address)
		return err
	})
	return c, err
}

// start starts a daemon in a network namespace that ends with it, and waits until its socket
// answers.
func (o *ovs) start(ctx context.Context, socket, name string, args ...string) (*daemon, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+o.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	d, err := spawn(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return d, nil
		}
		select {
		case <-d.exited:
			return nil, fmt.Errorf("start %s: it ended at once: %w", name, d.err)
		case <-ctx.Done():
			d.end()
			return nil, fmt.Errorf("start %s: %w", name, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// daemon is a child process that ends with this one, however that ends.
type daemon struct {
	process *os.Process
	exited  chan struct{}
	err     error // set before exited is closed
}

// spawn keeps to the child's thread: the kernel takes its end for the parent's.
func spawn(cmd *exec.Cmd) (*daemon, error) {
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
			d.err = cmd.Wait()
		}
	}()
	return d, <-started
}

// end kills a daemon and waits for it.
func (d *daemon) end() {
	if d != nil {
		_ = d.process.Kill() // it may have ended
		<-d.exited
	}
}
