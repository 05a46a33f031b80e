// Package ovstest starts a private Open vSwitch for one test: its own ovsdb-server and
// ovs-vswitchd, in a directory and a network namespace of their own, so that it touches
// nothing of the machine and goes away with the test. Only tests import it.
package ovstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/digitalocean/go-openvswitch/ovs"
	"github.com/vishvananda/netns"

	"sluice/datapath/ovsrun"
)

// OVS is a running Open vSwitch. Its methods end the test where they fail.
type OVS struct {
	t       testing.TB
	private *ovsrun.Private
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
	t.Cleanup(func() { os.RemoveAll(dir) })
	o := &OVS{t: t}
	o.private, err = ovsrun.Start(context.Background(), dir, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.stop)
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
	for _, name := range ovsrun.Programs {
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

// Endpoint is the database's, for ovsdb.Dial.
func (o *OVS) Endpoint() string { return o.private.Endpoint() }

// Control is the socket of ovs-vswitchd that ovs-appctl speaks to.
func (o *OVS) Control() string { return o.private.Control }

// Path is a file of that name in the directory that goes away with the test.
func (o *OVS) Path(name string) string { return o.private.Path(name) }

// Listen opens a socket, and gives the target under which the switch reaches it.
func (o *OVS) Listen(name string) (l net.Listener, target string) {
	o.t.Helper()
	l, err := net.Listen("unix", o.Path(name))
	o.must(err)
	o.t.Cleanup(func() { l.Close() })
	return l, "unix:" + o.Path(name)
}

// ListenTCP opens a TCP port in the switch's network namespace, where switches that use TLS dial,
// and gives the address.
func (o *OVS) ListenTCP() (l net.Listener, address string) {
	o.t.Helper()
	o.Exec("ip", "link", "set", "lo", "up")
	o.must(o.inside(func() (err error) {
		l, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	}))
	o.t.Cleanup(func() { l.Close() })
	return l, l.Addr().String()
}

// Dial connects to a TCP port in the switch's network namespace.
func (o *OVS) Dial(address string) (c net.Conn) {
	o.t.Helper()
	o.must(o.inside(func() (err error) {
		c, err = net.Dial("tcp", address)
		return err
	}))
	o.t.Cleanup(func() { c.Close() })
	return c
}

// inside runs f on a thread in the switch's network namespace: sockets that it opens belong there.
func (o *OVS) inside(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its goroutine
		ns, err := netns.GetFromPath(o.private.NetNS())
		if err == nil {
			defer ns.Close()
			err = netns.Set(ns)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// Change makes one transaction of what say asks for, in go-openvswitch's words.
func (o *OVS) Change(say func(c *ovsrun.Change) error) {
	o.t.Helper()
	o.must(o.private.Change(context.Background(), say))
}

// AddBridge makes a userspace bridge whose controllers are these targets.
func (o *OVS) AddBridge(name string, controllers ...string) {
	o.t.Helper()
	o.Change(func(c *ovsrun.Change) error { return c.AddUserspaceBridge(name, controllers) })
}

// AddInternalPort gives a bridge an internal port. Number 0 stands for any.
func (o *OVS) AddInternalPort(bridge, name string, number uint32) {
	o.t.Helper()
	o.Change(func(c *ovsrun.Change) error {
		err := errors.Join(c.AddPort(bridge, name), c.Set.Interface(name, ovs.InterfaceOptions{Type: ovs.InterfaceTypeInternal}))
		if number != 0 {
			err = errors.Join(err, c.Also("set", "interface", name, fmt.Sprint("ofport_request=", number)))
		}
		return err
	})
}

// DeletePort takes a port from a bridge.
func (o *OVS) DeletePort(bridge, name string) {
	o.t.Helper()
	o.must(o.private.Client(context.Background()).VSwitch.DeletePort(bridge, name))
}

// Trace is what Open vSwitch says that it does with a frame in a bridge; the frame is as
// ovs-ofctl(8) writes it.
func (o *OVS) Trace(bridge, frame string) *ovs.ProtoTrace {
	o.t.Helper()
	trace, err := o.private.Trace(context.Background(), bridge, frame)
	o.must(err)
	return trace
}

// VSCtl runs ovs-vsctl for what Change cannot express, and returns what it printed.
func (o *OVS) VSCtl(args ...string) string {
	o.t.Helper()
	return o.printed(o.private.VSCtl(context.Background(), args...))
}

// OFCtl runs ovs-ofctl with a command, a bridge and more arguments, and returns what it printed.
func (o *OVS) OFCtl(command, bridge string, args ...string) string {
	o.t.Helper()
	return o.printed(o.private.OFCtl(context.Background(), command, bridge, args...))
}

// AppCtl runs ovs-appctl on ovs-vswitchd.
func (o *OVS) AppCtl(args ...string) string {
	o.t.Helper()
	return o.printed(o.private.AppCtl(context.Background(), args...))
}

// Exec runs a command in the network namespace of ovs-vswitchd.
func (o *OVS) Exec(args ...string) string {
	o.t.Helper()
	argv := o.private.Inside(args...)
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		o.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// StartDatabase starts ovsdb-server.
func (o *OVS) StartDatabase() {
	o.t.Helper()
	o.must(o.private.StartDatabase(context.Background()))
}

// StopDatabase kills ovsdb-server.
func (o *OVS) StopDatabase() { o.private.StopDatabase() }

// StartSwitch starts ovs-vswitchd.
func (o *OVS) StartSwitch() {
	o.t.Helper()
	o.must(o.private.StartSwitch(context.Background()))
}

// StopSwitch kills ovs-vswitchd.
func (o *OVS) StopSwitch() { o.private.StopSwitch() }

// PauseSwitch stops ovs-vswitchd's threads where they are; ResumeSwitch lets them go on.
func (o *OVS) PauseSwitch() {
	o.t.Helper()
	o.must(o.private.PauseSwitch())
}

// ResumeSwitch ends PauseSwitch.
func (o *OVS) ResumeSwitch() {
	o.t.Helper()
	o.must(o.private.ResumeSwitch())
}

// Log is what ovs-vswitchd has logged.
func (o *OVS) Log() string {
	o.t.Helper()
	b, err := os.ReadFile(o.Path("ovs-vswitchd.log"))
	o.must(err)
	return string(b)
}

func (o *OVS) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *OVS) printed(text string, err error) string {
	o.t.Helper()
	o.must(err)
	return text
}

func (o *OVS) stop() {
	o.private.Close()
	if o.t.Failed() {
		log, _ := os.ReadFile(o.Path("ovs-vswitchd.log"))
		o.t.Logf("the end of ovs-vswitchd.log:\n%s", log[max(0, len(log)-4000):])
	}
}
