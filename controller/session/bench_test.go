package session

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"sluice/controller/account"
	"sluice/controller/cluster"
	"sluice/controller/dump"
	"sluice/controller/host"
	"sluice/controller/proof"
	"sluice/controller/report"
	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/datapath/ovstest"
	"sluice/flows"
	"sluice/metrics"
	"sluice/store"
	"sluice/store/etcd"
	"sluice/store/etcd/etcdtest"
)

// patience bounds every wait; it is far more than any takes.
const patience = 30 * time.Second

// switchID is the datapath id of h1's switch.
const switchID = store.DatapathID(0x51)

// bench is h1's real switch, a real etcd, and the session room of controller c1 between them.
type bench struct {
	t       *testing.T
	ovs     *ovstest.OVS
	store   *etcd.Client
	lease   *etcd.Lease // c1's
	srv     *Server
	created store.Revision // of h1
	log     *journal
	target  string // where the switch dials in
	dialled chan *datapath.Switch
}

// journal is a log that may be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) says(text string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Contains(j.text.String(), text)
}

// newBench has no host registered, and no switch that dials in. One that does is served, or else
// given to the test, which does by hand what a session does. adapt changes what sessions stand on.
func newBench(t *testing.T, served bool, adapt ...func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, ovs: ovstest.Start(t), store: etcdtest.Connect(t, etcdtest.Start(t)), log: &journal{}, dialled: make(chan *datapath.Switch, 4)}
	log := slog.New(slog.NewTextHandler(b.log, nil))
	b.lease = b.live("c1")
	set, err := metrics.New(prometheus.NewRegistry(), func() metrics.Snapshot { return metrics.Snapshot{} })
	if err != nil {
		t.Fatal(err)
	}
	picture, fleet := cluster.New(), host.NewFleet("c1", set)
	reports := report.New(report.Options{
		Controller: "c1", Picture: picture, Fleet: fleet, Store: b.store, Realize: set.Realize, Log: log,
		Problems: fleet.Problems, Unknown: func() store.UnknownSwitches { return b.srv.Unknown() },
	})
	prover := proof.New(proof.Options{Picture: picture, Interval: time.Hour, Changed: reports.Poke})
	o := Options{
		Controller: "c1", Picture: picture, Fleet: fleet, Reports: reports, Prover: prover, Dumps: dump.New(), Store: b.store, Metrics: set, Log: log,
		Checkpoints: account.New(account.Checkpoints{Picture: picture, Store: b.store, Log: log, Mastered: func() map[string]*account.Ledger {
			return map[string]*account.Ledger{"h1": fleet.Get("h1").Ledger}
		}}),
		Lease: func() *etcd.Lease { return b.lease }, AuditInterval: time.Hour, CounterInterval: -1, Resyncs: 1,
	}
	for _, change := range adapt {
		change(&o)
	}
	b.srv = New(o)
	picture.Observe(fleet.Observe, b.srv.Observe, reports.Observe, prover.Observe)
	b.background(func(ctx context.Context) { _ = b.store.Watch(ctx, picture.Apply) })
	b.background(func(ctx context.Context) { _ = reports.Keep(ctx) })
	b.serve(served)
	<-picture.Loaded()
	return b
}

// background runs f until the test ends.
func (b *bench) background(f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }()
	b.t.Cleanup(func() { cancel(); <-done })
}

// serve accepts the switch.
func (b *bench) serve(served bool) {
	l, target := b.ovs.Listen("c1.sock")
	b.target = target
	connected := b.srv.Serve
	if !served {
		connected = func(ctx context.Context, sw *datapath.Switch) { b.dialled <- sw; <-ctx.Done() }
	}
	b.background(func(ctx context.Context) { _ = datapath.Serve(ctx, l, datapath.Options{Log: b.srv.Log}, connected) })
}

// live has a controller be live until the test ends or its lease is closed.
func (b *bench) live(name string) *etcd.Lease {
	b.t.Helper()
	lease, err := b.store.GrantLease(b.t.Context(), 60)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.store.PutIf(b.t.Context(), store.LiveControllerKey(name), &store.LiveController{Incarnation: name}, 0, lease.ID); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { lease.Close() })
	return lease
}

// bridge has the switch dial in.
func (b *bench) bridge() {
	b.t.Helper()
	b.ovs.AddBridge(store.BridgeName)
	b.ovs.VSCtl("set", "bridge", store.BridgeName, "other_config:datapath-id="+switchID.String())
	b.ovs.AddInternalPort(store.BridgeName, store.GatewayInterface, 0)
	b.ovs.VSCtl("add-port", store.BridgeName, store.TunnelInterface, "--", "set", "interface", store.TunnelInterface,
		"type=vxlan", "options:remote_ip=flow", "options:key=flow")
	b.ovs.VSCtl("set-controller", store.BridgeName, b.target)
}

func (b *bench) register() {
	b.t.Helper()
	reg, err := b.store.RegisterHost(b.t.Context(), "h1", store.Host{
		Incarnation: "one", DatapathID: switchID, VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.1")},
		Gateway: true, Encap: "vxlan", UnderlayMTU: 1500,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { reg.Close() })
	b.created = reg.Created
	b.shown(reg.Created)
}

// shown waits until the picture has a revision.
func (b *bench) shown(rev store.Revision) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	if err := b.srv.Picture.Await(ctx, rev); err != nil {
		b.t.Fatal(err)
	}
}

// alice makes the tenant of that name.
func (b *bench) alice() {
	b.t.Helper()
	rev, err := b.store.CreateTenant(b.t.Context(), store.TenantSpec{Name: "alice", Segmentation: store.SegmentationTunnel})
	if err != nil {
		b.t.Fatal(err)
	}
	b.shown(rev)
}

// port is one of alice's on h1, named a1 to a9, with its interface.
func (b *bench) port(name string) store.Item[store.Port] {
	b.t.Helper()
	item, err := b.store.CreatePort(b.t.Context(), store.PortSpec{
		Host: "h1", HostCreated: b.created, Tenant: "alice", Network: "default", Name: name, UID: strings.Repeat(string(name[1]-'1'+'a'), 12),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.ovs.AddInternalPort(store.BridgeName, item.Value.Interface, 0)
	b.shown(item.Created)
	return item
}

// session is one by hand: the test does what the session's goroutine does.
func (b *bench) session() *session {
	b.t.Helper()
	select {
	case sw := <-b.dialled:
		h := b.srv.Fleet.Get("h1")
		s := newSession(b.srv, h, sw, b.srv.Log)
		h.Connect()
		return s
	case <-time.After(patience):
		b.t.Fatal("no switch dialled in")
		return nil
	}
}

// unknown are the switches that are listed as such.
func (b *bench) unknown() []store.DatapathID {
	return b.srv.Unknown().Unknown
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) eventually(what string, ok func() bool) {
	b.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("did not happen: %s", what)
		}
	}
}

// learns takes events until the session knows a port's interface.
func (b *bench) learns(s *session, iface string) {
	b.t.Helper()
	for deadline := time.After(patience); !b.knows(iface); {
		select {
		case event := <-s.sw.Events():
			b.must(s.handle(b.t.Context(), event))
		case <-deadline:
			b.t.Fatalf("the switch does not tell of %s", iface)
		}
	}
}

func (b *bench) knows(iface string) (knows bool) {
	b.srv.Picture.View(func(s *store.State) { knows = b.srv.Fleet.Get("h1").Switch(s).OFPort[iface] != 0 })
	return knows
}

// desired are the flows that the switch should hold.
func (b *bench) desired() (list []string) {
	b.srv.Picture.View(func(s *store.State) {
		desired, _ := flows.Desired(s, b.srv.Fleet.Get("h1").Switch(s))
		for _, f := range desired {
			list = append(list, f.String())
		}
	})
	slices.Sort(list)
	return list
}

// installed are those that it holds, read through the session's switch.
func (b *bench) installed(sw *datapath.Switch) (list []string) {
	b.t.Helper()
	b.must(sw.Flows(b.t.Context(), nil, func(f *openflow.FlowStats) bool {
		list = append(list, f.Flow.String())
		return true
	}))
	slices.Sort(list)
	return list
}

// inSync says that the switch holds what it should, and that the controller knows how much.
func (b *bench) inSync(s *session) {
	b.t.Helper()
	installed := b.installed(s.sw)
	if diff := cmp.Diff(b.desired(), installed); diff != "" {
		b.t.Errorf("desired (-), installed (+):\n%s", diff)
	}
	if s.host.Flows() != len(installed) {
		b.t.Errorf("of %d flows it counts %d", len(installed), s.host.Flows())
	}
}

// spoofed is how many frames with the wrong source were counted on h1.
func (b *bench) spoofed() (n uint64) {
	totals := map[flows.Class]account.Sum{}
	b.srv.Fleet.Get("h1").Ledger.AddTo(totals)
	for class, sum := range totals {
		if class.Reason == "spoofed" {
			n += sum.Packets
		}
	}
	return n
}

// spoof sends a frame with the wrong source from a port.
func (b *bench) spoof(iface string) {
	b.t.Helper()
	number := strings.TrimSpace(b.ovs.VSCtl("get", "interface", iface, "ofport"))
	b.ovs.OFCtl("packet-out", store.BridgeName, "in_port="+number+
		" packet=ffffffffffff0200000000990806"+strings.Repeat("00", 46)+" actions=table")
}

// count is what a metric of the host or of the controller has come to.
func count(t *testing.T, of *prometheus.CounterVec, labels ...string) int {
	t.Helper()
	var m dto.Metric
	if err := of.WithLabelValues(labels...).Write(&m); err != nil {
		t.Fatal(err)
	}
	return int(m.GetCounter().GetValue())
}

// hows is how often which way was chosen in so many audits' looks.
func (b *bench) hows(s *session, times int) map[string]int {
	b.t.Helper()
	seen := map[string]int{}
	for range times {
		how, err := s.look(b.t.Context())
		b.must(err)
		seen[how]++
	}
	return seen
}

// limit has a table of the switch hold no more flows than it does; makeRoom ends it.
func (b *bench) limit(s *session, table uint8) (makeRoom func()) {
	b.t.Helper()
	held := s.host.Tables()[table]
	b.ovs.VSCtl("--", "--id=@full", "create", "Flow_Table", fmt.Sprint("flow_limit=", held), "overflow_policy=refuse",
		"--", "set", "Bridge", store.BridgeName, fmt.Sprintf("flow_tables:%d=@full", table))
	return func() { b.ovs.VSCtl("clear", "Bridge", store.BridgeName, "flow_tables") }
}
