package ovsrun_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/digitalocean/go-openvswitch/ovs"
	"github.com/google/go-cmp/cmp"

	"sluice/datapath/ovsrun"
	"sluice/datapath/ovstest"
)

func private(t *testing.T, options ...string) (*ovsrun.Private, error) {
	t.Helper()
	ovstest.Require(t)
	dir, err := os.MkdirTemp("", "sluice-ovs-") // t.TempDir is too long a path for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p, err := ovsrun.Start(t.Context(), dir, options...)
	if err == nil {
		t.Cleanup(p.Close)
	}
	return p, err
}

func started(t *testing.T) *ovsrun.Private {
	t.Helper()
	p, err := private(t)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestUserspaceBridge(t *testing.T) {
	p := started(t)
	targets := []string{"tcp:127.0.0.1:6653", "ptcp:6654:127.0.0.1"}
	err := p.Change(t.Context(), func(c *ovsrun.Change) error {
		return errors.Join(c.AddUserspaceBridge("br0", targets, "inactivity_probe=7000"), c.AddUserspaceBridge("br1", nil))
	})
	if err != nil {
		t.Fatal(err)
	}
	mode, err := p.Client(t.Context()).VSwitch.GetFailMode("br0")
	if err != nil || mode != ovs.FailModeSecure {
		t.Errorf("fail mode %q, %v", mode, err)
	}
	for _, bridge := range []string{"br0", "br1"} {
		// go-openvswitch takes protocols for JSON, which Open vSwitch 3.1 does not print.
		got, err := p.VSCtl(t.Context(), "get", "bridge", bridge, "datapath_type", "other_config", "protocols")
		if want := "netdev\n{disable-in-band=\"true\"}\n[OpenFlow13]\n"; err != nil || got != want {
			t.Errorf("%s is %q, %v, want %q", bridge, got, err, want)
		}
	}
	rows, err := p.VSCtl(t.Context(), "--bare", "--columns=target,connection_mode,max_backoff,inactivity_probe", "list", "controller")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		if want := target + "\nout-of-band\n1000\n7000"; !strings.Contains(rows, want) {
			t.Errorf("no controller %q among\n%s", want, rows)
		}
	}
}

// A command that fails takes back those before it, and is named.
func TestChangeIsOneTransaction(t *testing.T) {
	p := started(t)
	err := p.Change(t.Context(), func(c *ovsrun.Change) error {
		return errors.Join(c.AddBridge("br0"), c.SetFailMode("no-such-bridge", ovs.FailModeSecure))
	})
	if err == nil || !strings.Contains(err.Error(), "no bridge named no-such-bridge") {
		t.Errorf("%v does not say what failed", err)
	}
	if bridges, err := p.Client(t.Context()).VSwitch.ListBridges(); err != nil || len(bridges) > 0 {
		t.Errorf("it left %v, %v", bridges, err)
	}
	refused := errors.New("refused")
	if err := p.Change(t.Context(), func(*ovsrun.Change) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("%v, want %v", err, refused)
	}
}

// A frame that may leave where it came from has no in_port; its trace is read nonetheless.
func TestTrace(t *testing.T) {
	p := started(t)
	err := p.Change(t.Context(), func(c *ovsrun.Change) error { return c.AddUserspaceBridge("br0", nil) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.OFCtl(t.Context(), "add-flow", "br0", "actions=load:0xffff->NXM_OF_IN_PORT[],LOCAL"); err != nil {
		t.Fatal(err)
	}
	trace, err := p.Trace(t.Context(), "br0", "in_port=LOCAL,icmp,nw_frag=first")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"load:0xffff->NXM_OF_IN_PORT[]", "LOCAL"}
	if diff := cmp.Diff(want, trace.FlowActions); diff != "" {
		t.Errorf("actions (-want +got):\n%s\n%s", diff, trace.RawOutput)
	}
	if _, err := p.Trace(t.Context(), "br1", "in_port=1"); err == nil || !strings.Contains(err.Error(), "br1") {
		t.Errorf("a bridge that is not there: %v", err)
	}
}

func TestStartSaysWhatFailed(t *testing.T) {
	_, err := private(t, "--no-such-option")
	for _, want := range []string{"ovs-vswitchd", "ended at once", "unrecognized option '--no-such-option'"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
