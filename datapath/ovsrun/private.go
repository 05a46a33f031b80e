package ovsrun

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Schema is where Debian's openvswitch-common keeps the database's schema.
const Schema = "/usr/share/openvswitch/vswitch.ovsschema"

// Programs are what a private switch and its users run.
var Programs = []string{"ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ovs-appctl", "nsenter"}

// Private is an Open vSwitch of the caller's own, in a directory and network namespaces of its
// own: it touches nothing of the machine, and ends with this process however that ends.
type Private struct {
	Switch
	options  []string // of ovs-vswitchd
	database *Child
	vswitchd *Child
}

// Start starts one without bridges in an empty directory, whose path must be short enough for
// sockets in it (107 characters); its ovs-vswitchd has these options besides its own. Close ends it.
func Start(ctx context.Context, dir string, options ...string) (*Private, error) {
	p := &Private{Switch: Switch{Dir: dir}, options: options}
	p.Control = p.Path("switch.ctl")
	if err := p.begin(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Private) begin(ctx context.Context) error {
	if err := CreateDatabase(ctx, p.Path("conf.db")); err != nil {
		return err
	}
	if err := p.StartDatabase(ctx); err != nil {
		return err
	}
	if _, err := p.VSCtl(ctx, "--no-wait", "init"); err != nil {
		return err
	}
	return p.StartSwitch(ctx)
}

// CreateDatabase makes an empty database file.
func CreateDatabase(ctx context.Context, file string) error {
	if out, err := exec.CommandContext(ctx, "ovsdb-tool", "create", file, Schema).CombinedOutput(); err != nil {
		return fmt.Errorf("create database %s: %w: %s", file, err, bytes.TrimSpace(out))
	}
	return nil
}

// Close ends the daemons. The directory stays.
func (p *Private) Close() {
	p.vswitchd.End()
	p.database.End()
}

// StartDatabase starts ovsdb-server.
func (p *Private) StartDatabase(ctx context.Context) (err error) {
	p.database, err = p.start(ctx, p.Path("db.sock"), "ovsdb-server", p.Path("conf.db"), "--remote=p"+p.Endpoint(),
		"--unixctl="+p.Path("db.ctl"), "--log-file="+p.Path("ovsdb-server.log"), "-vconsole:off")
	return err
}

// StopDatabase kills ovsdb-server.
func (p *Private) StopDatabase() { p.database.End() }

// StartSwitch starts ovs-vswitchd.
func (p *Private) StartSwitch(ctx context.Context) (err error) {
	args := []string{p.Endpoint(), "--disable-system", "--unixctl=" + p.Control,
		"--log-file=" + p.Path("ovs-vswitchd.log"), "-vconsole:off"}
	p.vswitchd, err = p.start(ctx, p.Control, "ovs-vswitchd", append(args, p.options...)...)
	return err
}

// StopSwitch kills ovs-vswitchd.
func (p *Private) StopSwitch() { p.vswitchd.End() }

// PauseSwitch stops ovs-vswitchd's threads where they are; ResumeSwitch lets them go on.
func (p *Private) PauseSwitch() error { return p.vswitchd.process.Signal(syscall.SIGSTOP) }

// ResumeSwitch ends PauseSwitch.
func (p *Private) ResumeSwitch() error { return p.vswitchd.process.Signal(syscall.SIGCONT) }

// NetNS is the path of ovs-vswitchd's network namespace.
func (p *Private) NetNS() string { return fmt.Sprintf("/proc/%d/ns/net", p.vswitchd.process.Pid) }

// Inside is a command line that runs a command in the network namespace of ovs-vswitchd.
func (p *Private) Inside(argv ...string) []string {
	return append([]string{"nsenter", "-t", strconv.Itoa(p.vswitchd.process.Pid), "-n"}, argv...)
}

// Prioritized is the command line of one of Open vSwitch's daemons with the priority that its own ovs-ctl gives it. Without, each busy process
// keeps a switch waiting as long as any other.
func Prioritized(program string, args ...string) []string {
	return append([]string{"nice", "-n", "-10", program}, args...)
}

// start starts a daemon in a network namespace that ends with it, and waits until its socket
// answers.
func (p *Private) start(ctx context.Context, socket, program string, args ...string) (*Child, error) {
	os.Remove(socket) // of one that was killed
	argv := Prioritized(program, args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+p.Dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	var out bytes.Buffer // read once the daemon has ended
	cmd.Stdout, cmd.Stderr = &out, &out
	c, err := Spawn(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return c, nil
		}
		select {
		case <-c.exited:
			return nil, fmt.Errorf("start %s: it ended at once: %w: %s", program, c.err, strings.TrimSpace(out.String()))
		case <-ctx.Done():
			c.End()
			return nil, fmt.Errorf("start %s: %w: %s", program, ctx.Err(), strings.TrimSpace(out.String()))
		case <-time.After(5 * time.Millisecond):
		}
	}
}
