package ovsdb_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/ovsdb"
	"sluice/datapath/ovstest"
)

// patience ends a test that hangs; no test measures time.
const patience = 60 * time.Second

func dial(t *testing.T) (*ovstest.OVS, *ovsdb.DB, context.Context) {
	t.Helper()
	ovs := ovstest.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	db, err := ovsdb.Dial(ctx, ovs.Endpoint(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return ovs, db, ctx
}

// ensure also holds what is read of a bridge to what EnsureBridge does: the one says that it is
// right where the other changes nothing.
func ensure(ctx context.Context, t *testing.T, db *ovsdb.DB, b ovsdb.Bridge, changed bool) {
	t.Helper()
	awaitRead(t, "bridge", !changed, func() (bool, error) {
		is, err := db.Bridge(ctx, b.Name)
		return is.Is(b), err
	})
	got, err := db.EnsureBridge(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	if got != changed {
		t.Errorf("EnsureBridge reports changed %v, want %v", got, changed)
	}
	if is, err := db.Bridge(ctx, b.Name); err != nil || !is.Is(b) {
		t.Errorf("after EnsureBridge the bridge is %+v, error %v", is, err)
	}
}

// ensurePort does the same with a port.
func ensurePort(ctx context.Context, t *testing.T, db *ovsdb.DB, i ovsdb.Interface, right bool) {
	t.Helper()
	awaitRead(t, "port "+i.Name, right, func() (bool, error) {
		is, err := db.Port(ctx, "br-test", i.Name)
		return is.Is(i), err
	})
	if err := db.EnsurePort(ctx, "br-test", i); err != nil {
		t.Error(err)
	}
	if is, err := db.Port(ctx, "br-test", i.Name); err != nil || !is.Is(i) {
		t.Errorf("after EnsurePort the port is %+v, error %v", is, err)
	}
}

// awaitRead waits until what others wrote has reached us too.
func awaitRead(t *testing.T, what string, right bool, read func() (bool, error)) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		switch is, err := read(); {
		case err != nil:
			t.Fatal(err)
		case is == right:
			return
		case time.Now().After(deadline):
			t.Fatalf("%s: read as right %v, want %v", what, is, right)
		}
	}
}

func integration() ovsdb.Bridge {
	return ovsdb.Bridge{
		Name: "br-test", DatapathType: "netdev", DatapathID: "00000000000000a1",
		Controllers: []string{"tcp:127.0.0.1:6653", "tcp:127.0.0.2:6653"},
	}
}

func TestEnsureBridge(t *testing.T) {
	ovs, db, ctx := dial(t)
	ensure(ctx, t, db, integration(), true)
	ensure(ctx, t, db, integration(), false)
	got := map[string]string{}
	for _, column := range []string{"datapath_type", "datapath_id", "fail_mode", "protocols", "other_config:disable-in-band"} {
		got[column] = strings.TrimSpace(ovs.VSCtl("get", "bridge", "br-test", column))
	}
	want := map[string]string{
		"datapath_type": "netdev", "datapath_id": `"00000000000000a1"`, "fail_mode": "secure",
		"protocols": "[OpenFlow13]", "other_config:disable-in-band": `"true"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bridge (-want +got):\n%s", diff)
	}
	controllers := strings.ReplaceAll(ovs.VSCtl("-f", "csv", "--no-headings",
		"--columns=target,connection_mode,max_backoff", "list", "controller"), `"`, "")
	for _, target := range integration().Controllers {
		if line := target + ",out-of-band,1000"; !strings.Contains(controllers, line) {
			t.Errorf("no controller %s in\n%s", line, controllers)
		}
	}
}

func controllerRow(ovs *ovstest.OVS, address string) string {
	return strings.TrimSpace(ovs.VSCtl("--bare", "--columns=_uuid", "find", "controller",
		`target="tcp:`+address+`:6653"`))
}

// A correction must not flush flows: the controllers that stay keep their rows.
func TestEnsureBridgeCorrectsWithoutFlushing(t *testing.T) {
	ovs, db, ctx := dial(t)
	b := integration()
	ensure(ctx, t, db, b, true)
	before := controllerRow(ovs, "127.0.0.1")
	ovs.OFCtl("add-flow", "br-test", "cookie=0x7,priority=5,actions=drop")

	ovs.VSCtl("set", "bridge", "br-test", "fail_mode=standalone", "other_config:mine=kept")
	b.Controllers[1] = "tcp:127.0.0.3:6653"
	ensure(ctx, t, db, b, true)
	ovs.VSCtl("clear", "controller", controllerRow(ovs, "127.0.0.1"), "max_backoff") // by hand
	ensure(ctx, t, db, b, true)
	for _, set := range []string{"protocols=OpenFlow10", "other_config:disable-in-band=false", "other_config:datapath-id=00000000000000a3"} {
		ovs.VSCtl("set", "bridge", "br-test", set)
		ensure(ctx, t, db, b, true)
	}
	b.Controllers = nil // none given: those there stay
	ensure(ctx, t, db, b, false)

	if after := controllerRow(ovs, "127.0.0.1"); before != after {
		t.Errorf("the controller that stays was made anew: %s, before %s", after, before)
	}
	if flows := ovs.OFCtl("dump-flows", "br-test"); !strings.Contains(flows, "cookie=0x7") {
		t.Errorf("the flow is gone:\n%s", flows)
	}
	if got := ovs.VSCtl("get", "bridge", "br-test", "fail_mode", "other_config:mine"); got != "secure\nkept\n" {
		t.Errorf("fail_mode and other_config:mine are %q", got)
	}
	targets := ovs.VSCtl("get-controller", "br-test") // no new one is connected: the old ones stay
	for _, at := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		if !strings.Contains(targets, at) {
			t.Errorf("controllers are %q, without %s", targets, at)
		}
	}
}

func TestPorts(t *testing.T) {
	_, db, ctx := dial(t)
	ensure(ctx, t, db, integration(), true)
	a := ovsdb.Interface{Name: "sl-a", Type: "internal", OFPort: 7, ExternalIDs: map[string]string{"uid": "a"}, MTU: 1400}
	b := ovsdb.Interface{Name: "sluice-tun", Type: "vxlan", Options: map[string]string{"remote_ip": "flow", "key": "flow"}}
	for range 2 { // the second time there is nothing to do
		if err := db.EnsurePort(ctx, "br-test", a, b); err != nil {
			t.Fatal(err)
		}
	}
	ports, err := db.Ports(ctx, "br-test")
	if err != nil {
		t.Fatal(err)
	}
	want := []ovsdb.InterfaceStatus{
		{Name: "br-test", OFPort: 65534},
		{Name: "sl-a", OFPort: 7, ExternalIDs: map[string]string{"uid": "a"}},
		{Name: "sluice-tun", OFPort: ports[len(ports)-1].OFPort},
	}
	if diff := cmp.Diff(want, ports); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
	for bridge, there := range map[string]bool{"br-test": true, "br-none": false} {
		if is, err := db.Port(ctx, bridge, "sl-a"); err != nil || is.Is(a) != there {
			t.Errorf("port sl-a of %s is %+v, error %v; want it there %v", bridge, is, err, there)
		}
	}
	for range 2 {
		if err := db.DeletePort(ctx, "br-test", "sl-a"); err != nil {
			t.Fatal(err)
		}
	}
	if ports, err = db.Ports(ctx, "br-test"); err != nil || len(ports) != 2 {
		t.Errorf("after the delete: %v, %v", ports, err)
	}
}

// A tunnel probes its other end as it is told, also when it is told something else.
func TestPortProbes(t *testing.T) {
	_, db, ctx := dial(t)
	ensure(ctx, t, db, integration(), true)
	probe := ovsdb.Interface{Name: "sluice-00000001", Type: "vxlan", Options: map[string]string{"remote_ip": "127.0.0.9", "key": "7"}}
	for _, bfd := range []map[string]string{{"enable": "true", "min_tx": "100"}, {"enable": "true", "min_tx": "200"}, nil} {
		probe.BFD = bfd
		if err := db.EnsurePort(ctx, "br-test", probe); err != nil {
			t.Fatal(err)
		}
		is, err := db.Port(ctx, "br-test", probe.Name)
		if err != nil || !is.Is(probe) {
			t.Errorf("the port is %+v, %v; want BFD %v", is, err, bfd)
		}
		other := probe
		other.BFD = map[string]string{"enable": "false"}
		if is.Is(other) {
			t.Error("it does not matter how it probes")
		}
		awaitRead(t, "a dead end of probes "+fmt.Sprint(bfd), bfd != nil, func() (bool, error) {
			is, err := db.Port(ctx, "br-test", probe.Name)
			return is != nil && is.Dead, err
		})
	}
}

// A container's device may come after its row, and a row that is wrong is corrected.
func TestEnsurePortMends(t *testing.T) {
	ovs, db, ctx := dial(t)
	ensure(ctx, t, db, integration(), true)
	late := ovsdb.Interface{Name: "sl-late"}
	if err := db.EnsurePort(ctx, "br-test", late); err == nil {
		t.Error("EnsurePort without a device succeeded")
	}
	ovs.Exec("ip", "link", "add", "sl-late", "type", "veth", "peer", "name", "peer")
	if err := db.EnsurePort(ctx, "br-test", late); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"external_ids:stray=1", "options:stray=1", "mtu_request=1300", "ofport_request=99", `mac="02:00:00:00:00:01"`} {
		ovs.VSCtl("--no-wait", "set", "interface", "sl-late", wrong)
		ensurePort(ctx, t, db, late, false)
	}
	ensurePort(ctx, t, db, late, true)
	if got := ovs.VSCtl("get", "interface", "sl-late", "external_ids", "options", "mtu_request"); got != "{}\n{}\n[]\n" {
		t.Errorf("after the correction: %q", got)
	}
}

func TestPortErrorsNameTheObject(t *testing.T) {
	ovs, db, ctx := dial(t)
	ensure(ctx, t, db, integration(), true)
	ovs.AddBridge("br-other")
	for _, c := range []struct {
		name string
		call func() error
		want []string
	}{
		{"no device", func() error { return db.EnsurePort(ctx, "br-test", ovsdb.Interface{Name: "sl-gone"}) },
			[]string{"br-test", "sl-gone", "No such device"}},
		{"no bridge", func() error { return db.EnsurePort(ctx, "br-none", ovsdb.Interface{Name: "sl-x"}) },
			[]string{"br-none", "sl-x", "does not exist"}},
		{"another bridge's", func() error { return db.EnsurePort(ctx, "br-test", ovsdb.Interface{Name: "br-other"}) },
			[]string{"br-test", "br-other", "belongs to port"}},
		{"names of no bridge", func() error { _, err := db.TableNames(ctx, "br-none"); return err },
			[]string{"br-none", "does not exist"}},
		{"delete from no bridge", func() error { return db.DeletePort(ctx, "br-none", "sl-x") },
			[]string{"br-none", "sl-x", "does not exist"}},
		{"no such datapath", func() error {
			b := integration()
			b.Name, b.DatapathType, b.DatapathID = "br-odd", "odd", "00000000000000a2"
			_, err := db.EnsureBridge(ctx, b)
			return err
		}, []string{"br-odd", "cannot use"}},
		{"bad protocol", func() error {
			b := integration()
			b.Protocols = []string{"OpenFlow99"}
			_, err := db.EnsureBridge(ctx, b)
			return err
		}, []string{"br-test", "OpenFlow99"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.call()
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v does not say %q", err, want)
				}
			}
		})
	}
}

func TestNameTables(t *testing.T) {
	ovs, db, ctx := dial(t)
	ensure(ctx, t, db, integration(), true)
	for _, names := range []map[int]string{{0: "classify", 5: "admit"}, {0: "classify", 6: "admit"}} {
		if err := db.NameTables(ctx, "br-test", names); err != nil {
			t.Fatal(err)
		}
		got, err := db.TableNames(ctx, "br-test")
		if diff := cmp.Diff(names, got); err != nil || diff != "" {
			t.Errorf("names of tables, error %v: -want +got\n%s", err, diff)
		}
	}
	ovs.OFCtl("add-flow", "br-test", "table=6,actions=drop")
	if flows := ovs.OFCtl("dump-flows", "br-test", "--names"); !strings.Contains(flows, "table=admit") {
		t.Errorf("tables have no names in\n%s", flows)
	}
}

func TestReconnect(t *testing.T) {
	ovs, db, ctx := dial(t)
	ensure(ctx, t, db, integration(), true)
	ovs.StopDatabase()
	ovs.StartDatabase()
	// A call made at once waits for the connection, and sees what others wrote meanwhile.
	if err := db.EnsurePort(ctx, "br-test", ovsdb.Interface{Name: "sl-b", Type: "internal"}); err != nil {
		t.Fatal(err)
	}
	ovs.AddInternalPort("br-test", "sl-c", 0)
	ports, err := db.Ports(ctx, "br-test")
	if err != nil || len(ports) != 3 {
		t.Errorf("after the restart: %v, %v", ports, err)
	}
}

func TestClose(t *testing.T) {
	ovs, db, ctx := dial(t)
	ensure(ctx, t, db, integration(), true)
	ovs.StopDatabase()
	done := make(chan error)
	go func() { done <- db.EnsurePort(ctx, "br-test", ovsdb.Interface{Name: "sl-b", Type: "internal"}) }()
	db.Close() // also while it has no connection
	if err := <-done; err == nil {
		t.Error("a call on a closed DB succeeded")
	}
}

// Two writers at once: the one that comes second corrects instead of creating.
func TestConcurrentEnsurePort(t *testing.T) {
	_, db, ctx := dial(t)
	ensure(ctx, t, db, integration(), true)
	errs := make(chan error)
	for n := range 20 {
		go func() {
			errs <- db.EnsurePort(ctx, "br-test", ovsdb.Interface{Name: fmt.Sprintf("sl-%d", n/2), Type: "internal"})
		}()
	}
	for range 20 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if ports, err := db.Ports(ctx, "br-test"); err != nil || len(ports) != 11 {
		t.Errorf("ports %v, %v", ports, err)
	}
}

// TestEnsureSSL: whoever looked at another's certificate, or took an authority from the net, is
// corrected, and what is right is left alone.
func TestEnsureSSL(t *testing.T) {
	ovs, db, ctx := dial(t)
	want := ovsdb.SSL{PrivateKey: "/pki/host-h1.pem", Certificate: "/pki/host-h1.pem", Authority: "/pki/ca.crt"}
	for name, spoil := range map[string][]string{
		"none":               {"del-ssl"},
		"right":              nil,
		"another's":          {"set-ssl", "/a.pem", "/pki/host-h1.pem", "/pki/ca.crt"},
		"another authority":  {"set-ssl", "/pki/host-h1.pem", "/pki/host-h1.pem", "/b.crt"},
		"one taken from net": {"--bootstrap", "set-ssl", "/pki/host-h1.pem", "/pki/host-h1.pem", "/pki/ca.crt"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := db.EnsureSSL(ctx, want); err != nil {
				t.Fatal(err)
			}
			if spoil != nil {
				ovs.VSCtl(append([]string{"--no-wait"}, spoil...)...)
			}
			awaitRead(t, "certificate", spoil == nil, func() (bool, error) {
				is, err := db.SSL(ctx)
				return is != nil && *is == want, err
			})
			if changed, err := db.EnsureSSL(ctx, want); err != nil || changed != (spoil != nil) {
				t.Errorf("EnsureSSL: changed %v, %v", changed, err)
			}
			is, err := db.SSL(ctx)
			if err != nil || is == nil || *is != want {
				t.Errorf("the certificate is %+v, %v", is, err)
			}
			if bootstrap := strings.TrimSpace(ovs.VSCtl("get", "ssl", ".", "bootstrap_ca_cert")); bootstrap != "false" {
				t.Errorf("bootstrap_ca_cert is %s", bootstrap)
			}
		})
	}
}

// TestEdited tells what others change from what was done here.
func TestEdited(t *testing.T) {
	ovs, db, ctx := dial(t)
	heard := func(what string) {
		t.Helper()
		select {
		case <-db.Edited():
		case <-ctx.Done():
			t.Fatalf("never heard: %s", what)
		}
	}
	silent := func(what string) {
		t.Helper()
		if err := db.EnsurePort(ctx, "br-test", ovsdb.Interface{Name: "sl-last", Type: "internal"}); err != nil { // all before it is seen
			t.Fatal(err)
		}
		select {
		case <-db.Edited():
			t.Errorf("%s is an edit", what)
		default:
		}
	}
	heard("a connection that is new")
	ensure(ctx, t, db, integration(), true)
	port := ovsdb.Interface{Name: "sl-a", Type: "internal", ExternalIDs: map[string]string{"uid": "a"}}
	for range 2 {
		ensurePort(ctx, t, db, port, false)
		if err := errors.Join(db.DeletePort(ctx, "br-test", "sl-a"), db.DeletePort(ctx, "br-test", "sl-a")); err != nil {
			t.Fatal(err)
		}
	}
	ensurePort(ctx, t, db, port, false)
	silent("what was done here")
	ovs.VSCtl("add-port", "br-test", "sl-other", "--", "set", "interface", "sl-other", "type=internal")
	silent("a port of somebody else's")
	for _, edit := range [][]string{
		{"set", "interface", "sl-a", "external_ids:uid=b"},
		{"del-port", "br-test", "sl-a"},
		{"set-fail-mode", "br-test", "standalone"},
		{"set", "bridge", "br-test", "other_config:forward-bpdu=true"},
		{"set-controller", "br-test", "tcp:127.0.0.9:6653"},
		{"set-ssl", "/no.pem", "/no.pem", "/no.crt"},
		{"del-ssl"},
		{"del-br", "br-test"},
	} {
		for len(db.Edited()) > 0 {
			<-db.Edited()
		}
		ovs.VSCtl(edit...)
		heard(strings.Join(edit, " "))
	}
}
