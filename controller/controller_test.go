package controller_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"sluice/controller"
	"sluice/datapath"
	"sluice/datapath/ovstest"
	"sluice/flows"
	"sluice/store"
	"sluice/store/etcd"
	"sluice/store/etcd/etcdtest"
)

// patience bounds every wait; it is far more than any takes.
const patience = 30 * time.Second

// bench is one host's real switch, a real etcd, and what a test does with them.
type bench struct {
	t      *testing.T
	ctx    context.Context
	ovs    *ovstest.OVS
	server *etcd.Embedded
	store  *etcd.Client
	reg    *etcd.Registration
	log    *slog.Logger
}

const (
	h1         = "h1"
	datapathID = store.DatapathID(0x51)
)

func newBench(t *testing.T) *bench {
	t.Helper()
	ovs := ovstest.Start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*patience)
	t.Cleanup(cancel)
	b := &bench{t: t, ctx: ctx, ovs: ovs, log: slog.New(slog.NewTextHandler(testWriter{t}, nil))}
	b.server = etcdtest.Start(t)
	b.store = etcdtest.Connect(t, b.server)
	return b
}

// newProgrammed is a bench where controller c1 has programmed alice's first port.
func newProgrammed(t *testing.T) (*bench, *running, store.Item[store.Port]) {
	t.Helper()
	b := newBench(t)
	c := b.start("c1", "c1.sock")
	b.bridge(c.target)
	b.register()
	b.tenant("alice")
	a1 := b.port("alice", "a1", "aaaaaaaaaaaa", true)
	b.realized(a1)
	return b, c, a1
}

// testWriter hands the controller's log to the test, which shows it where it fails.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	defer func() { _ = recover() }() // the test may be over
	w.t.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// running is a controller that a test can stop.
type running struct {
	*controller.Controller
	registry *prometheus.Registry
	target   string
	stop     func()
	ended    <-chan error // what Run returned; whoever takes it spares stop the complaint
}

// start runs a controller under a name. It is stopped with the test at the latest.
func (b *bench) start(name string, socket string) *running {
	b.t.Helper()
	return b.startWith(name, socket, func(*controller.Options) {})
}

func (b *bench) startWith(name string, socket string, adapt func(*controller.Options)) *running {
	b.t.Helper()
	l, target := b.ovs.Listen(socket)
	registry := prometheus.NewRegistry()
	o := controller.Options{
		Name: name, Store: b.store, OpenFlow: l, Session: datapath.Options{Log: b.log},
		Registry: registry, Log: b.log.With("controller", name),
		AuditInterval: 25 * time.Millisecond, CounterInterval: 200 * time.Millisecond,
	}
	adapt(&o)
	c, err := controller.New(o)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.ctx)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx); close(done) }()
	stop := func() {
		cancel()
		if err, open := <-done; open && err != nil {
			b.t.Errorf("controller %s: %v", name, err)
		}
		l.Close()
	}
	stop = sync1(stop)
	b.t.Cleanup(stop)
	return &running{Controller: c, registry: registry, target: target, stop: stop, ended: done}
}

// sync1 makes f run at most once.
func sync1(f func()) func() {
	ran := false
	return func() {
		if !ran {
			ran = true
			f()
		}
	}
}

func (b *bench) register() {
	b.t.Helper()
	reg, err := b.store.RegisterHost(b.ctx, h1, store.Host{
		Incarnation: "one", DatapathID: datapathID, VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.1")},
		Gateway: true, Encap: "vxlan", UnderlayMTU: 1500,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.reg = reg
	b.t.Cleanup(func() { reg.Close() })
}

func (b *bench) bridge(targets ...string) {
	b.t.Helper()
	b.ovs.AddBridge(store.BridgeName, targets...)
	b.ovs.VSCtl("set", "bridge", store.BridgeName, "other_config:datapath-id="+datapathID.String())
	b.addInterface(store.GatewayInterface)
	b.ovs.VSCtl("add-port", store.BridgeName, store.TunnelInterface, "--", "set", "interface", store.TunnelInterface,
		"type=vxlan", "options:remote_ip=flow", "options:key=flow")
}

func (b *bench) tenant(name string) {
	b.t.Helper()
	_, err := b.store.CreateTenant(b.ctx, store.TenantSpec{Name: name, Segmentation: store.SegmentationTunnel})
	if err != nil {
		b.t.Fatal(err)
	}
}

// port creates a port, with its interface if asked to.
func (b *bench) port(tenant, name, uid string, withInterface bool) store.Item[store.Port] {
	b.t.Helper()
	item, err := b.store.CreatePort(b.ctx, store.PortSpec{
		Host: h1, HostCreated: b.reg.Created, Tenant: tenant, Network: "default", Name: name, UID: uid,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if withInterface {
		b.addInterface(item.Value.Interface)
	}
	return item
}

func (b *bench) addInterface(name string) {
	b.t.Helper()
	b.ovs.VSCtl("add-port", store.BridgeName, name, "--", "set", "interface", name, "type=internal")
}

func (b *bench) realized(item store.Item[store.Port]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := b.store.WaitHost(ctx, h1, item.Created, item.Key); err != nil {
		b.t.Fatalf("%s: %v", item.Key.Short(), err)
	}
}

// volatile is what changes in a dump though the flow is the same one.
var volatile = regexp.MustCompile(`(duration|n_packets|n_bytes|idle_age|hard_age)=[^,]*, `)

func (b *bench) dump() []string {
	b.t.Helper()
	var list []string
	for line := range strings.Lines(b.ovs.OFCtl("dump-flows", store.BridgeName, "--no-names")) {
		if strings.Contains(line, "table=") {
			list = append(list, strings.TrimSpace(volatile.ReplaceAllString(line, "")))
		}
	}
	slices.Sort(list)
	return list
}

func (b *bench) eventually(what string, ok func() bool) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			b.t.Fatalf("did not happen: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// inSync says that the switch holds exactly what the controller wants.
func (b *bench) inSync(c *running) {
	b.t.Helper()
	desired, problems, err := c.Desired(h1)
	if err != nil || len(problems) > 0 {
		b.t.Fatalf("desired flows: %v, problems %v", err, problems)
	}
	installed, err := c.Installed(b.ctx, h1)
	if err != nil {
		b.t.Fatal(err)
	}
	var want, got []string
	for _, f := range desired {
		want = append(want, f.String())
	}
	for _, f := range installed {
		got = append(got, f.Flow.String())
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Fatalf("desired (-), installed (+):\n%s", diff)
	}
}

func (r *running) count(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if hasLabels(m, labels) {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return total
}

func hasLabels(m *dto.Metric, labels []string) bool {
	for _, want := range labels {
		if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName()+"="+l.GetValue() == want }) {
			return false
		}
	}
	return true
}

// unknown reports whether a controller lists a switch as unknown.
func unknown(c *running, id store.DatapathID) bool {
	return slices.Contains(c.Unknown().Unknown, id)
}

// A port's life: realized when its flows are there, missing while its interface is not,
// gone without a trace.
func TestPortIsRealizedAndRemoved(t *testing.T) {
	b := newBench(t)
	c := b.start("c1", "c1.sock")
	b.bridge(c.target)
	b.eventually("the switch is shown as unknown before its host registers", func() bool {
		return unknown(c, datapathID)
	})
	if dump := b.dump(); len(dump) > 0 {
		t.Errorf("an unknown switch got %d flows", len(dump))
	}
	b.register()
	b.tenant("alice")
	a1 := b.port("alice", "a1", "aaaaaaaaaaaa", true)
	b.realized(a1)
	if left := c.Unknown(); len(left.Unknown) > 0 || left.UnknownMore > 0 {
		t.Errorf("still unknown: %+v", left)
	}
	b.inSync(c)

	a2 := b.port("alice", "a2", "bbbbbbbbbbbb", false)
	b.eventually("a2 is listed as missing", func() bool {
		return slices.Contains(c.Hosts()[0].Missing, a2.Key.Short())
	})
	b.addInterface(a2.Value.Interface)
	b.realized(a2)
	b.inSync(c)

	for _, key := range []store.Key{a1.Key, a2.Key} {
		if _, err := b.store.DeletePort(b.ctx, key, b.reg.Created); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.store.DeleteTenant(b.ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	tenant := fmt.Sprintf("%06x", 1) // as the cookie shows it
	b.eventually("no flow of alice is left", func() bool {
		return !slices.ContainsFunc(b.dump(), func(f string) bool { return strings.Contains(f, tenant) && strings.Contains(f, a1.Value.MAC.String()) })
	})
	b.eventually("the switch is in sync", func() bool { return len(c.Hosts()[0].Missing) == 0 })
	b.inSync(c)
}

// Restarting the controller changes no flow: not one is sent.
func TestRestartSendsNothing(t *testing.T) {
	b, first, _ := newProgrammed(t)
	before := b.dump()
	first.stop()
	if diff := cmp.Diff(before, b.dump()); diff != "" {
		t.Errorf("stopping the controller changed flows:\n%s", diff)
	}
	second := b.start("c1", "c1.sock")
	b.tookOver(second, before)
}

// tookOver waits until a controller programs the switch, and says that it changed no flow.
func (b *bench) tookOver(c *running, before []string) {
	b.t.Helper()
	b.eventually("the new controller programs the switch", func() bool {
		hosts := c.Hosts()
		return len(hosts) == 1 && hosts[0].State == store.HostRealized && hosts[0].Flows > 0
	})
	if n := c.count(b.t, "sluice_flow_mods_total"); n != 0 {
		b.t.Errorf("it sent %v flow mods", n)
	}
	if diff := cmp.Diff(before, b.dump()); diff != "" {
		b.t.Errorf("it changed flows:\n%s", diff)
	}
}

// A flow that the switch refuses is named, keeps its own port from being realized, and
// stops nothing else; when the cause is gone, it lands without anyone's help.
func TestRefusedFlowIsNamedAndTheRestLands(t *testing.T) {
	b, c, _ := newProgrammed(t)
	admit := 0
	for _, f := range b.dump() {
		if strings.Contains(f, "table=10,") {
			admit++
		}
	}
	b.ovs.VSCtl("--", "--id=@full", "create", "Flow_Table", fmt.Sprint("flow_limit=", admit), "overflow_policy=refuse",
		"--", "set", "Bridge", store.BridgeName, "flow_tables:10=@full")
	a2 := b.port("alice", "a2", "bbbbbbbbbbbb", true)
	refused := func() bool {
		return slices.ContainsFunc(c.Problems(), func(p store.Problem) bool {
			return p.Object == "port alice/default/a2" && strings.Contains(p.Text, "refused table=10")
		})
	}
	b.eventually("a2's flow is named", refused)
	if !slices.ContainsFunc(b.dump(), func(f string) bool { return strings.Contains(f, "dl_dst="+a2.Value.MAC.String()) }) {
		t.Error("the rest of a2's flows did not land")
	}
	b.eventually("the host is an exception", func() bool { return c.Hosts()[0].State == store.HostRefused })
	ctx, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	if err := b.store.WaitHost(ctx, h1, a2.Created, a2.Key); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a2 is said to be realized, or not why not: %v", err)
	}
	b.ovs.VSCtl("clear", "Bridge", store.BridgeName, "flow_tables")
	b.realized(a2)
	b.inSync(c)
}

// What a counting flow counted is told when somebody removes it: sums never go back.
func TestCountersOutliveTheirFlows(t *testing.T) {
	b, c, a1 := newProgrammed(t)
	number := strings.TrimSpace(b.ovs.VSCtl("get", "interface", a1.Value.Interface, "ofport"))
	spoof := func() { // a frame of a1's interface with a source MAC that is not a1's
		b.ovs.OFCtl("packet-out", store.BridgeName, "in_port="+number+
			" packet=ffffffffffff0200000000990806"+strings.Repeat("00", 46)+" actions=table")
	}
	drops := func() float64 {
		return c.count(t, "sluice_tenant_drops_total", "tenant=alice", "reason=spoofed")
	}
	for range 3 {
		spoof()
	}
	b.eventually("three drops are counted", func() bool { return drops() == 3 })
	spoof()
	b.ovs.OFCtl("del-flows", store.BridgeName, fmt.Sprint("table=", flows.AccountTables()[2]))
	b.eventually("the fourth is counted though its flow is gone", func() bool { return drops() == 4 })
	b.eventually("the flows are mended", func() bool {
		desired, _, _ := c.Desired(h1)
		return len(b.dump()) == len(desired)
	})
	spoof()
	b.eventually("the fifth is counted", func() bool { return drops() == 5 })
	c.stop()
	c = b.start("c1", "c1.sock")
	b.eventually("the next controller knows of all five, of which the switch can tell one", func() bool { return drops() == 5 })
}

// A killed vswitchd comes back empty; its flows return by themselves.
func TestSwitchRestart(t *testing.T) {
	b, c, _ := newProgrammed(t)
	before := b.dump()
	b.ovs.StopSwitch()
	b.ovs.StartSwitch()
	b.eventually("the flows are back", func() bool {
		installed, err := c.Installed(b.ctx, h1)
		return err == nil && len(installed) == len(before) && c.Hosts()[0].State == store.HostRealized
	})
	b.inSync(c)
}

// An interface that gets another OpenFlow number keeps its port: the flows follow.
func TestRenumberedInterface(t *testing.T) {
	b, c, a1 := newProgrammed(t)
	b.ovs.VSCtl("set", "interface", a1.Value.Interface, "ofport_request=77")
	b.eventually("the port's flows name its new number", func() bool {
		return slices.ContainsFunc(b.dump(), func(f string) bool { return strings.HasSuffix(f, "actions=output:77") })
	})
	b.realized(a1)
	b.eventually("no flow names the old one", func() bool {
		desired, _, err := c.Desired(h1)
		return err == nil && len(b.dump()) == len(desired)
	})
	b.inSync(c)
}

// Two controllers: one masters the switch, and when it goes the other takes over without
// touching a flow.
func TestSecondControllerTakesOver(t *testing.T) {
	b := newBench(t)
	one, two := b.start("c1", "c1.sock"), b.start("c2", "c2.sock")
	b.bridge(one.target, two.target)
	b.register()
	b.tenant("alice")
	b.realized(b.port("alice", "a1", "aaaaaaaaaaaa", true))
	masters := func() (m []*running) {
		for _, c := range []*running{one, two} {
			if c.count(t, "sluice_openflow_sessions", "role=master") == 1 {
				m = append(m, c)
			}
		}
		return m
	}
	b.eventually("exactly one is master", func() bool { return len(masters()) == 1 })
	b.eventually("one alone counts the host", func() bool {
		return one.count(t, "sluice_hosts", "state=realized")+two.count(t, "sluice_hosts", "state=realized") == 1 &&
			one.count(t, "sluice_hosts")+two.count(t, "sluice_hosts") == 1
	})
	active := masters()[0]
	other := one
	if active == one {
		other = two
	}
	if n := other.count(t, "sluice_flow_mods_total"); n != 0 {
		t.Errorf("the slave sent %v flow mods", n)
	}
	before := b.dump()
	active.stop()
	b.eventually("the other is master", func() bool {
		return other.count(t, "sluice_openflow_sessions", "role=master") == 1 && other.Hosts()[0].State == store.HostRealized
	})
	if n := other.count(t, "sluice_flow_mods_total"); n != 0 {
		t.Errorf("taking over sent %v flow mods", n)
	}
	if diff := cmp.Diff(before, b.dump()); diff != "" {
		t.Errorf("taking over changed flows:\n%s", diff)
	}
	b.realized(b.port("alice", "a2", "bbbbbbbbbbbb", true))
	b.inSync(other)
}
