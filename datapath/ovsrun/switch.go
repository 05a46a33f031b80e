package ovsrun

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/digitalocean/go-openvswitch/ovs"
)

// patience bounds a command, or the wait for a daemon, where the context has no deadline; it
// is far more than any takes.
const patience = 30 * time.Second

// Switch is a running Open vSwitch, by its directory.
type Switch struct {
	Dir     string // OVS_RUNDIR: holds its sockets, among them the database's, db.sock
	Control string // socket of ovs-vswitchd for ovs-appctl; "": the one that its pid file names
}

// Endpoint is the database's, for ovs-vsctl --db and OVSDB clients.
func (s Switch) Endpoint() string { return "unix:" + s.Path("db.sock") }

// Path is a file of that name in the switch's directory.
func (s Switch) Path(name string) string { return filepath.Join(s.Dir, name) }

// Client is go-openvswitch's, for this switch. It must not be used to read flows: it drops
// reg0, tun_dst and more without a word. OFCtl gives them as text, and openflow.ParseFlow
// reads it.
func (s Switch) Client(ctx context.Context) *ovs.Client {
	return ovs.New(ovs.Exec(func(program string, args ...string) ([]byte, error) {
		return s.run(ctx, program, args...)
	}))
}

// VSCtl runs ovs-vsctl and returns what it printed. It is for what Client and Change cannot
// express: init, columns that go-openvswitch has no option for, and looking at rows.
func (s Switch) VSCtl(ctx context.Context, args ...string) (string, error) {
	out, err := s.run(ctx, "ovs-vsctl", args...)
	return string(out), err
}

// OFCtl runs ovs-ofctl on a bridge and returns what it printed. It is for flows as text, groups,
// meters and packets, which go-openvswitch reads with losses or has no words for.
func (s Switch) OFCtl(ctx context.Context, command, bridge string, args ...string) (string, error) {
	out, err := s.run(ctx, "ovs-ofctl", append([]string{command, bridge}, args...)...)
	return string(out), err
}

// AppCtl runs ovs-appctl on ovs-vswitchd and returns what it printed. go-openvswitch knows
// ofproto/trace alone of its commands.
func (s Switch) AppCtl(ctx context.Context, args ...string) (string, error) {
	out, err := s.run(ctx, "ovs-appctl", args...)
	return string(out), err
}

// run runs a program to its end. Standard error is left out of what it returns, but for a
// command that failed: then it is all.
func (s Switch) run(ctx context.Context, program string, args ...string) ([]byte, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	cmd := s.Command(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		what := strings.Join(append([]string{program}, args[:min(len(args), 12)]...), " ")
		return stderr.Bytes(), fmt.Errorf("%s: %w: %s", what, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}

// Command is a command line of one of Open vSwitch's programs, such that it reaches this switch.
func (s Switch) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	var at []string
	switch program {
	case "ovs-vsctl":
		at = []string{"--db=" + s.Endpoint()}
	case "ovs-ofctl":
		at = []string{"-O", ovs.ProtocolOpenFlow13}
	case "ovs-appctl":
		if s.Control != "" {
			at = []string{"-t", s.Control}
		}
	}
	cmd := exec.CommandContext(ctx, program, slices.Concat(at, args)...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+s.Dir)
	return cmd
}
