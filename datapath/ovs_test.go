package datapath_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/datapath/ovstest"
)

// patience ends a test that hangs; no test measures time.
const patience = 60 * time.Second

// controller serves sessions as a test wants them: one at a time, by hand.
type controller struct {
	sessions chan *datapath.Switch
}

// serve starts a controller whose sessions stay until the test or they themselves end.
func serve(t *testing.T, l net.Listener, o datapath.Options) *controller {
	t.Helper()
	c := &controller{sessions: make(chan *datapath.Switch, 16)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- datapath.Serve(ctx, l, o, func(ctx context.Context, s *datapath.Switch) {
			c.sessions <- s
			<-ctx.Done()
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return c
}

func (c *controller) next(t *testing.T) *datapath.Switch {
	t.Helper()
	select {
	case s := <-c.sessions:
		return s
	case <-time.After(patience):
		t.Fatal("no switch connected")
		return nil
	}
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// connect makes a bridge with one controller and its session.
func connect(t *testing.T) (*ovstest.OVS, *datapath.Switch, context.Context) {
	t.Helper()
	ovs := ovstest.Start(t)
	l, target := ovs.Listen("controller")
	c := serve(t, l, datapath.Options{Log: testLog(t)})
	ovs.AddBridge("br-test", target)
	return ovs, c.next(t), deadline(t)
}

func flow(t *testing.T, text string) openflow.Flow {
	t.Helper()
	f, err := openflow.ParseFlow(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func adds(t *testing.T, flows ...string) *datapath.Bundle {
	b := &datapath.Bundle{}
	for _, text := range flows {
		b.Mods = append(b.Mods, datapath.Mod{Command: openflow.Add, Flow: flow(t, text)})
	}
	return b
}

// dump reads flows through the session, as sorted text without counters.
func dump(ctx context.Context, t *testing.T, s *datapath.Switch, cookies []uint64) []string {
	t.Helper()
	got := []string{}
	err := s.Flows(ctx, cookies, func(f *openflow.FlowStats) bool {
		got = append(got, f.Flow.String())
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	return got
}

func check(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestCommitAndRead(t *testing.T) {
	ovs, s, ctx := connect(t)
	id := strings.Trim(strings.TrimSpace(ovs.VSCtl("get", "bridge", "br-test", "datapath_id")), `"`)
	check(t, "datapath id", id, fmt.Sprintf("%016x", s.DatapathID()))

	one, two := flow(t, "cookie=0x1,table=0,priority=9,in_port=1,actions=resubmit(,5)"), flow(t, "cookie=0x2,table=5,priority=3,actions=drop")
	if err := s.Commit(ctx, adds(t, one.String(), two.String())); err != nil {
		t.Fatal(err)
	}
	check(t, "all flows", []string{one.String(), two.String()}, dump(ctx, t, s, nil))
	check(t, "flows of one cookie", []string{two.String()}, dump(ctx, t, s, []uint64{2}))
	check(t, "flows of no cookie", []string{}, dump(ctx, t, s, []uint64{}))
	var many []uint64
	for n := range uint64(1000) { // far more requests than go ahead at once
		many = append(many, n+1)
	}
	check(t, "flows of many cookies", []string{one.String(), two.String()}, dump(ctx, t, s, many))
	var table []string
	if err := s.TableFlows(ctx, 5, func(f *openflow.FlowStats) bool {
		table = append(table, f.Flow.String())
		return true
	}); err != nil {
		t.Fatal(err)
	}
	check(t, "flows of table 5", []string{two.String()}, table)

	deletion := datapath.Mod{Command: openflow.Delete, CookieMask: ^uint64(0), Flow: openflow.Flow{Table: openflow.TableAll, Cookie: 1}}
	if err := s.Commit(ctx, &datapath.Bundle{Mods: []datapath.Mod{deletion}}); err != nil {
		t.Fatal(err)
	}
	check(t, "after the delete by cookie", []string{two.String()}, dump(ctx, t, s, nil))
}

// refusedFlow is one that Open vSwitch does not take: goto_table backwards.
func refusedFlow() datapath.Mod {
	return datapath.Mod{Command: openflow.Add, Flow: openflow.Flow{
		Table: 7, Priority: 77, Cookie: 0x77, Actions: []openflow.Action{openflow.GotoTable{Table: 3}},
	}}
}

func TestRefusedFlowIsNamedAndNothingLands(t *testing.T) {
	_, s, ctx := connect(t)
	b := adds(t, "cookie=0x1,priority=1,actions=drop", "cookie=0x2,priority=2,actions=drop")
	b.Mods = slices.Insert(b.Mods, 1, refusedFlow())
	var refused *datapath.RefusedError
	if err := s.Commit(ctx, b); !errors.As(err, &refused) || refused.Mod.Flow.Cookie != 0x77 {
		t.Fatalf("Commit says %v, want a RefusedError of cookie 0x77", err)
	}
	check(t, "flows", []string{}, dump(ctx, t, s, nil))

	errs := s.Apply(ctx, b.Mods)
	if errs[0] != nil || errs[2] != nil || !errors.As(errs[1], &refused) || refused.Mod.Flow.Cookie != 0x77 {
		t.Errorf("Apply says %v, want an error of the second alone", errs)
	}
	if got := dump(ctx, t, s, nil); len(got) != 2 {
		t.Errorf("after Apply the switch holds %v", got)
	}
	if err := s.Commit(ctx, adds(t, "cookie=0x3,priority=3,actions=drop")); err != nil {
		t.Errorf("the session is of no use after a refusal: %v", err)
	}
}

// A flow that is refused only at the commit: an overlap is found when the first is in.
func TestRefusedAtCommit(t *testing.T) {
	_, s, ctx := connect(t)
	b := adds(t, "cookie=0x1,priority=5,in_port=1,actions=drop", "cookie=0x2,priority=5,ip,actions=drop")
	b.Mods[1].Flow.Flags = openflow.CheckOverlap
	var refused *datapath.RefusedError
	if err := s.Commit(ctx, b); !errors.As(err, &refused) || refused.Mod.Flow.Cookie != 2 {
		t.Fatalf("Commit says %v, want a RefusedError of cookie 0x2", err)
	}
	check(t, "flows", []string{}, dump(ctx, t, s, nil))
}

func TestLargeBundleAndDump(t *testing.T) {
	_, s, ctx := connect(t)
	const flows = 20_000 // many times what a queue or a read buffer holds
	b := &datapath.Bundle{}
	for n := range flows {
		b.Mods = append(b.Mods, datapath.Mod{Flow: openflow.Flow{
			Table: 1, Priority: 10, Cookie: uint64(n),
			Match: openflow.NewMatch(openflow.Is(openflow.FieldMetadata, uint64(n))),
		}})
	}
	if err := s.Commit(ctx, b); err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	if err := s.Flows(ctx, nil, func(f *openflow.FlowStats) bool { seen[f.Cookie] = true; return true }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != flows {
		t.Errorf("read %d flows, want %d", len(seen), flows)
	}
	few := 0
	if err := s.Flows(ctx, nil, func(*openflow.FlowStats) bool { few++; return few < 3 }); err != nil || few != 3 {
		t.Errorf("a dump that is broken off yields %d flows, %v", few, err)
	}
	if _, err := s.Ports(ctx); err != nil {
		t.Errorf("after a dump that was broken off: %v", err)
	}
}

func TestPortsAndPortEvents(t *testing.T) {
	ovs, s, ctx := connect(t)
	ovs.AddInternalPort("br-test", "sl-one", 11)
	ovs.DeletePort("br-test", "sl-one")
	var got []string
	for len(got) < 2 {
		switch e := nextEvent(t, s).(type) {
		case datapath.PortEvent:
			if e.Reason != datapath.PortModified && e.Port.Name == "sl-one" {
				got = append(got, fmt.Sprintf("reason %d port %d", e.Reason, e.Port.Number))
			}
		default:
			t.Fatalf("event %#v", e)
		}
	}
	check(t, "events", []string{"reason 0 port 11", "reason 1 port 11"}, got)

	ovs.AddInternalPort("br-test", "sl-two", 12)
	ports, err := s.Ports(ctx)
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]uint32{}
	for _, p := range ports {
		numbers[p.Name] = p.Number
	}
	check(t, "ports", map[string]uint32{"br-test": openflow.PortLocal, "sl-two": 12}, numbers)
}

func nextEvent(t *testing.T, s *datapath.Switch) datapath.Event {
	t.Helper()
	select {
	case e, ok := <-s.Events():
		if !ok {
			t.Fatalf("the session ended: %v", s.Err())
		}
		return e
	case <-time.After(patience):
		t.Fatal("no event")
		return nil
	}
}

func TestFlowRemoved(t *testing.T) {
	ovs, s, ctx := connect(t)
	b := adds(t, "cookie=0x1,priority=1,actions=drop")
	b.Mods[0].Flow.Flags = openflow.SendFlowRemoved
	if err := s.Commit(ctx, b); err != nil {
		t.Fatal(err)
	}
	ovs.OFCtl("del-flows", "br-test")
	e, ok := nextEvent(t, s).(datapath.FlowRemoved)
	if !ok || e.Cookie != 1 || e.Reason != openflow.RemovedDelete {
		t.Errorf("event %#v", e)
	}
}

// Two controllers: who claims the role later has it, the other learns it at once and can
// write no more, and cannot claim it back with an old generation.
func TestMastership(t *testing.T) {
	ovs := ovstest.Start(t)
	ctx := deadline(t)
	var c [2]*controller
	var targets [2]string
	for n := range c {
		l, target := ovs.Listen(fmt.Sprint("controller", n))
		c[n], targets[n] = serve(t, l, datapath.Options{Log: testLog(t)}), target
	}
	ovs.AddBridge("br-test", targets[:]...)
	a, b := c[0].next(t), c[1].next(t)

	role, generation, err := a.Role(ctx)
	check(t, "role at first", []any{datapath.RoleEqual, uint64(0), error(nil)}, []any{role, generation, err})
	if err := a.Become(ctx, datapath.RoleMaster, 5); err != nil {
		t.Fatal(err)
	}
	if err := a.Commit(ctx, adds(t, "cookie=0xa,priority=1,actions=drop")); err != nil {
		t.Fatal(err)
	}
	if err := b.Become(ctx, datapath.RoleMaster, 4); !errors.Is(err, datapath.ErrStale) {
		t.Errorf("claim with an old generation: %v, want ErrStale", err)
	}
	if err := b.Become(ctx, datapath.RoleMaster, 6); err != nil {
		t.Fatal(err)
	}
	if e, ok := nextEvent(t, a).(datapath.Demoted); !ok {
		t.Errorf("event %#v, want Demoted", e)
	}
	role, generation, err = a.Role(ctx)
	check(t, "role after", []any{datapath.RoleSlave, uint64(6), error(nil)}, []any{role, generation, err})

	bundle := adds(t, "cookie=0xb,priority=2,actions=drop")
	if err := a.Commit(ctx, bundle); !errors.Is(err, datapath.ErrDemoted) {
		t.Errorf("Commit of the one demoted: %v, want ErrDemoted", err)
	}
	if errs := a.Apply(ctx, bundle.Mods); !errors.Is(errs[0], datapath.ErrDemoted) {
		t.Errorf("Apply of the one demoted: %v, want ErrDemoted", errs)
	}
	check(t, "flows", 1, len(dump(ctx, t, a, nil)))
	if err := a.Become(ctx, datapath.RoleMaster, 7); err != nil {
		t.Fatal(err)
	}
	if err := a.Commit(ctx, bundle); err != nil {
		t.Errorf("Commit of the master: %v", err)
	}
	if e, ok := nextEvent(t, b).(datapath.Demoted); !ok {
		t.Errorf("event %#v, want Demoted", e)
	}
	if err := b.Become(ctx, datapath.RoleMaster, 8); err != nil { // and to and fro again
		t.Fatal(err)
	}
	if e, ok := nextEvent(t, a).(datapath.Demoted); !ok {
		t.Errorf("event %#v, want Demoted", e)
	}
}

// Packet-ins are not sent, even where a flow asks for them.
func TestNoPacketIns(t *testing.T) {
	ovs, s, ctx := connect(t)
	if err := s.Commit(ctx, adds(t, "cookie=0x1,priority=1,actions=CONTROLLER:128")); err != nil {
		t.Fatal(err)
	}
	ovs.AppCtl("vlog/set", "vconn:file:dbg")
	packet := strings.Repeat("ff", 6) + "020000000001" + "88b5" + strings.Repeat("00", 46)
	ovs.OFCtl("packet-out", "br-test", "in_port=LOCAL,packet="+packet+",actions=table")
	if err := s.Apply(ctx, adds(t, "cookie=0x2,priority=2,actions=drop").Mods)[0]; err != nil {
		t.Fatal(err) // its barrier came after the packet
	}
	if log := ovs.Log(); strings.Contains(log, "OFPT_PACKET_IN") {
		t.Errorf("the switch sent a packet-in:\n%s", log)
	}
}

func TestReconnectAfterSwitchRestart(t *testing.T) {
	ovs := ovstest.Start(t)
	l, target := ovs.Listen("controller")
	c := serve(t, l, datapath.Options{Log: testLog(t)})
	ovs.AddBridge("br-test", target)
	first := c.next(t)
	ovs.StopSwitch()
	for range first.Events() { // until the session ends
	}
	if first.Err() == nil {
		t.Error("a session without its switch has no error")
	}
	if err := first.Commit(deadline(t), adds(t, "priority=1,actions=drop")); err == nil {
		t.Error("a session that ended took a bundle")
	}
	ovs.StartSwitch()
	second := c.next(t)
	check(t, "datapath id after the restart", first.DatapathID(), second.DatapathID())
}

// A switch that stands still does not delay another, and is given up after the time-outs.
func TestStalledSwitchDelaysNoOther(t *testing.T) {
	options := datapath.Options{Log: testLog(t), EchoInterval: 200 * time.Millisecond, Patience: 2 * time.Second, Timeout: 2 * time.Second, QueueBytes: 4096}
	var ovs [2]*ovstest.OVS
	var s [2]*datapath.Switch
	for n := range ovs {
		ovs[n] = ovstest.Start(t)
		l, target := ovs[n].Listen("controller")
		c := serve(t, l, options)
		ovs[n].AddBridge("br-test", target)
		s[n] = c.next(t)
	}
	ctx := deadline(t)
	ovs[0].PauseSwitch()
	stalled := make(chan error)
	go func() {
		b := &datapath.Bundle{}
		for n := range 50_000 {
			b.Mods = append(b.Mods, datapath.Mod{Flow: openflow.Flow{Priority: uint16(n)}})
		}
		stalled <- s[0].Commit(ctx, b)
	}()
	for n := range 20 {
		if err := s[1].Commit(ctx, adds(t, fmt.Sprintf("cookie=%d,priority=%d,actions=drop", n, n))); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-stalled; err == nil || ctx.Err() != nil {
		t.Errorf("the stalled session says %v", err)
	}
	if err := s[1].Err(); err != nil {
		t.Errorf("the other session ended: %v", err)
	}
}

// TestOVSMeters makes meters that are there and that are not; a bundle with a flow that names one is
// taken then, and not before. What they counted is read back.
func TestOVSMeters(t *testing.T) {
	o, s, ctx := connect(t)
	bundle := adds(t, "actions=meter:29,load:0x1->NXM_NX_REG0[],goto_table:1")
	var refused *datapath.RefusedError
	if err := s.Commit(ctx, bundle); !errors.As(err, &refused) {
		t.Fatalf("a flow that names no meter: %v", err)
	}
	for _, rate := range []uint32{100, 500, 500} {
		specs := []openflow.MeterSpec{
			{ID: 29, Unit: openflow.MeterPackets, Rate: rate, Burst: rate}, {ID: 199999, Unit: openflow.MeterKilobits, Rate: 7, Burst: rate},
		}
		if err := s.SetMeters(ctx, specs); err != nil {
			t.Fatal(err)
		}
		held, err := s.Meters(ctx)
		slices.SortFunc(held, func(a, b openflow.MeterSpec) int { return int(a.ID) - int(b.ID) })
		if err != nil || !slices.Equal(held, specs) {
			t.Errorf("the switch has the meters %+v, want %+v: %v", held, specs, err)
		}
		if held := o.OFCtl("dump-meters", "br-test"); !strings.Contains(held, fmt.Sprintf("rate=%d burst_size=%d", rate, rate)) {
			t.Errorf("the switch has\n%s", held)
		}
	}
	if err := s.Commit(ctx, bundle); err != nil {
		t.Fatal(err)
	}
	stats, err := s.MeterStats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(stats, func(a, b openflow.MeterStats) int { return int(a.ID) - int(b.ID) })
	if want := []openflow.MeterStats{{ID: 29}, {ID: 199999}}; !slices.Equal(stats, want) {
		t.Errorf("meters are %+v, want %+v", stats, want)
	}
	if err := s.SetMeters(ctx, []openflow.MeterSpec{{ID: 0, Unit: openflow.MeterPackets, Rate: 1, Burst: 1}}); err == nil || !strings.Contains(err.Error(), "add meter 0: switch refused") {
		t.Errorf("a number that no meter may have: %v", err)
	}
	o.OFCtl("add-meter", "br-test", "meter=7,kbps,burst,bands=type=drop,rate=5,burst_size=6,type=drop,rate=8,burst_size=9")
	held, err := s.Meters(ctx)
	if err != nil || !slices.Contains(held, openflow.MeterSpec{ID: 7}) {
		t.Errorf("with one of two bands the switch has the meters %+v: %v", held, err)
	}
	if err := s.SetMeters(ctx, nil); err != nil {
		t.Error(err)
	}
}
