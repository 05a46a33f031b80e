package host

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"sluice/controller/cluster"
	"sluice/flows"
	"sluice/metrics"
	"sluice/store"
)

// world is a fleet of controller c1 that observes a picture, and what a test puts there.
type world struct {
	t       *testing.T
	picture *cluster.Picture
	fleet   *Fleet
	metrics *metrics.Set
	series  *prometheus.Registry
	rev     store.Revision
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, picture: cluster.New(), series: prometheus.NewRegistry()}
	set, err := metrics.New(w.series, func() metrics.Snapshot { return metrics.Snapshot{} })
	if err != nil {
		t.Fatal(err)
	}
	w.metrics, w.fleet = set, NewFleet("c1", set)
	w.picture.Observe(w.fleet.Observe)
	return w
}

func (w *world) put(key store.Key, o store.Object) {
	w.t.Helper()
	w.rev++
	err := w.picture.Apply(store.Batch{Revision: w.rev, Events: []store.Event{{Key: key, Object: o, Created: w.rev, Modified: w.rev}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) host(name string, id store.DatapathID) {
	w.put(store.HostKey(name), &store.Host{DatapathID: id, Gateway: name == "h1"})
}

// network gives alice a network and a port of it on h1.
func (w *world) network() {
	w.put(store.TenantKey("alice"), &store.Tenant{Number: 7})
	w.put(store.NetworkKey("alice", "default"), &store.Network{Number: 8, Segmentation: store.SegmentationTunnel, Segment: 8})
	w.put(store.PortKey("h1", "alice", "default", "a1"), &store.Port{Number: 9, MAC: store.MAC{2}, Interface: "sl-b"})
}

func (w *world) names() (list []string) {
	for h := range w.fleet.All() {
		list = append(list, h.Name)
	}
	return list
}

func waiting(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return false
	default:
		return true
	}
}

func TestFleetFollowsThePicture(t *testing.T) {
	w := newWorld(t)
	changed := w.fleet.Changed()
	w.host("h2", 2)
	if waiting(changed) {
		t.Error("who waits for hosts was not woken")
	}
	w.host("h1", 1)
	if got := w.names(); !slices.Equal(got, []string{"h1", "h2"}) {
		t.Fatalf("the fleet is %v", got)
	}
	first := w.fleet.Get("h1")
	w.host("h1", 3)
	if w.fleet.Get("h1") != first || !w.fleet.Has(first) {
		t.Error("a host that changed became another")
	}
	changed = w.fleet.Changed()
	w.put(store.TenantKey("alice"), &store.Tenant{Number: 7})
	if !waiting(changed) {
		t.Error("who waits for hosts was woken by a tenant")
	}
	w.put(store.HostKey("h1"), nil)
	if w.fleet.Get("h1") != nil || w.fleet.Has(first) {
		t.Error("a host that was deleted is there")
	}
	w.host("h1", 1)
	if w.fleet.Has(first) {
		t.Error("a host that was registered anew is the one that was deleted")
	}
}

// A change marks its slices on the hosts that it touches, as of the revision after the last one.
func TestFleetMarks(t *testing.T) {
	w := newWorld(t)
	w.host("h1", 1)
	w.host("h2", 2)
	for _, name := range w.names() {
		w.fleet.Get(name).Connect()
		w.fleet.Get(name).Take()
		w.fleet.Get(name).Confirm(Outcome{Slices: []flows.Slice{}})
	}
	for len(w.fleet.Get("h1").Wake) > 0 {
		<-w.fleet.Get("h1").Wake
	}
	w.network()
	w.put(store.PortKey("nowhere", "alice", "default", "x"), &store.Port{Number: 3}) // of a host that is not registered
	h1, h2 := w.fleet.Get("h1"), w.fleet.Get("h2")
	if h1.Idle() || !h2.Idle() {
		t.Errorf("h1 idle %v, h2 idle %v; want the port's host alone marked", h1.Idle(), h2.Idle())
	}
	if waiting(h1.Wake) || !waiting(h2.Wake) {
		t.Error("not just the marked host's session was woken")
	}
	if from := h1.Take().from; from != w.rev-1 {
		t.Errorf("marked as of revision %d, want %d, the port's", from, w.rev-1)
	}
}

func TestMastershipWakesItsHostAlone(t *testing.T) {
	w := newWorld(t)
	w.host("h1", 1)
	w.host("h2", 2)
	wait := func() (h1, h2 <-chan struct{}) {
		return w.fleet.Get("h1").Mastership.Wait(), w.fleet.Get("h2").Mastership.Wait()
	}
	h1, h2 := wait()
	w.put(store.MasterKey("h1"), &store.Master{Controller: "c1"})
	w.put(store.MasterKey("h9"), &store.Master{Controller: "c1"})
	if waiting(h1) || !waiting(h2) {
		t.Error("a claim to h1 did not wake h1's session alone")
	}
	h1, h2 = wait()
	w.put(store.LiveControllerKey("c2"), &store.LiveController{})
	if waiting(h1) || waiting(h2) {
		t.Error("a controller came: not every session looks again")
	}
	h1, h2 = wait()
	w.fleet.WakeMasterships()
	if waiting(h1) || waiting(h2) {
		t.Error("asked to look again, not every session does")
	}
}

func TestMastered(t *testing.T) {
	w := newWorld(t)
	for i, name := range []string{"h1", "h2", "h3"} {
		w.host(name, store.DatapathID(i+1))
	}
	w.put(store.MasterKey("h3"), &store.Master{Controller: "c1"})
	w.put(store.MasterKey("h1"), &store.Master{Controller: "c1"})
	w.put(store.MasterKey("h2"), &store.Master{Controller: "c2"})
	w.picture.View(func(s *store.State) {
		var got []string
		for h := range w.fleet.Mastered(s) {
			got = append(got, h.Name)
		}
		if !slices.Equal(got, []string{"h1", "h3"}) {
			t.Errorf("mastered are %v", got)
		}
		for range w.fleet.Mastered(s) {
			break
		}
	})
}

// What this controller knows of a host that another one programs is of before.
func TestStatusAndProblemsOfAnothersHost(t *testing.T) {
	w := newWorld(t)
	w.host("h1", 0x51)
	w.put(store.LiveHostKey("h1"), &store.LiveHost{})
	h := w.fleet.Get("h1")
	h.Connect()
	h.MarkAll(w.rev)
	h.Take()
	h.Confirm(Outcome{Revision: w.rev, Tables: map[uint8]int{0: 4, 1: 3}, Troubles: map[flows.Slice]Trouble{1: trouble("it is wrong"), 2: trouble("it is wrong")}}) // as two peers of h1 find it
	h.Drifted(flows.Mods{})
	status := func() (s Status, problems store.Problems) {
		w.picture.View(func(state *store.State) { s, problems = h.Status(state, "c1"), w.fleet.Problems(state) })
		return s, problems
	}
	own, problems := status()
	if own.Flows != 7 || own.Drift == nil || len(own.Problems) != 1 || !own.Live || !own.Connected ||
		own.DatapathID != 0x51 || own.State != store.HostRealized || own.Realized != w.rev {
		t.Errorf("the status is %+v", own)
	}
	if len(problems.Told()) != 1 {
		t.Errorf("problems are %v", problems)
	}
	w.put(store.MasterKey("h1"), &store.Master{Controller: "c2"})
	anothers, problems := status()
	if anothers.Master != "c2" || anothers.Flows != 0 || anothers.Drift != nil || len(anothers.Problems) != 0 || !anothers.Connected {
		t.Errorf("of another's host it tells %+v", anothers)
	}
	if len(problems) != 0 {
		t.Errorf("of another's host it tells problems %v", problems)
	}
	w.put(store.MasterKey("h1"), &store.Master{Controller: "c1"})
	h.Disconnect()
	if down, _ := status(); down.State != store.HostDown || down.Connected || down.Master != "c1" {
		t.Errorf("of a host whose switch is gone it tells %+v", down)
	}
}

// A switch that never told its ports is taken to have every interface that the state wants.
func TestAssumedSwitch(t *testing.T) {
	w := newWorld(t)
	w.host("h1", 1)
	w.host("h2", 2)
	w.network()
	w.put(store.PortKey("h1", "alice", "default", "a2"), &store.Port{Number: 10, MAC: store.MAC{4}, Interface: "sl-a"})
	w.picture.View(func(s *store.State) {
		want := map[string]uint32{store.TunnelInterface: 1, store.GatewayInterface: 2, store.ResolverInterface: 3, "sl-a": 4, "sl-b": 5}
		if diff := cmp.Diff(want, w.fleet.Get("h1").Switch(s).OFPort); diff != "" {
			t.Errorf("h1's ports (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]uint32{store.TunnelInterface: 1, store.ResolverInterface: 2}, w.fleet.Get("h2").Switch(s).OFPort); diff != "" {
			t.Errorf("ports of h2, which is no gateway host (-want +got):\n%s", diff)
		}
	})
}

// A port that comes or goes marks what it carries; the tunnel's marks all.
func TestMarkPort(t *testing.T) {
	w := newWorld(t)
	w.host("h1", 1)
	w.network()
	h := w.fleet.Get("h1")
	h.Connect()
	h.Take()
	h.Confirm(Outcome{Slices: []flows.Slice{}})
	marks := func(iface string) Marks {
		w.picture.View(func(s *store.State) { h.MarkPort(s, iface) })
		return h.Take()
	}
	if m := marks("sl-b"); m.All || len(m.Slices) == 0 || m.from != w.rev {
		t.Errorf("the port's interface marks %+v", m)
	}
	if m := marks("eth0"); !m.Empty() {
		t.Errorf("an interface that is nobody's marks %+v", m)
	}
	if m := marks(store.TunnelInterface); !m.All || m.from != w.rev {
		t.Errorf("the tunnel's interface marks %+v", m)
	}
	if waiting(h.Wake) {
		t.Error("the session was not woken")
	}
}

// A host's series end with it, and a session that ends later begins none.
func TestSeriesEndWithTheHost(t *testing.T) {
	w := newWorld(t)
	w.host("h1", 1)
	h := w.fleet.Get("h1")
	series := func() (n int, total float64) {
		families, err := w.series.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if len(m.GetLabel()) > 0 && m.GetLabel()[0].GetName() == "host" {
					n, total = n+1, total+m.GetCounter().GetValue()
				}
			}
		}
		return n, total
	}
	w.fleet.BeginSeries(h)
	before, _ := series()
	w.fleet.Count(h, w.metrics.Refused, 3)
	w.fleet.Count(h, w.metrics.Drift, 2, "extra")
	if n, total := series(); before == 0 || n != before || total != 5 {
		t.Errorf("%d series at first, then %d of %v in all; want as many, and 5", before, n, total)
	}
	w.put(store.HostKey("h1"), nil)
	w.fleet.Count(h, w.metrics.Refused, 1)
	w.fleet.BeginSeries(h)
	if n, _ := series(); n != 0 {
		t.Errorf("%d series are left", n)
	}
}

// A host keeps the highest generation that any claim to it had, also one made before it was known.
func TestFleetSeesGenerations(t *testing.T) {
	w := newWorld(t)
	latest := func(name string) uint64 {
		_, latest := w.fleet.Get(name).Generations()
		return latest
	}
	w.put(store.MasterKey("h1"), &store.Master{Controller: "c2", Generation: 4})
	w.host("h1", 1)
	if got := latest("h1"); got != 4 {
		t.Errorf("of a host that registers after its claim: %d", got)
	}
	w.put(store.MasterKey("h1"), &store.Master{Controller: "c3", Generation: 6})
	w.put(store.MasterKey("h1"), nil)
	if got := latest("h1"); got != 6 {
		t.Errorf("when its claim is gone: %d", got)
	}
}
