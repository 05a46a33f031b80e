package session

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/controller/host"
	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// These tests do by hand, on a real switch and a real etcd, what a session's goroutine does.

// A claim stands in etcd and on the switch, with a generation later than any of both, and says
// in the same transaction that the host is not vouched for.
func TestClaim(t *testing.T) {
	b := newBench(t, false)
	b.register()
	b.bridge()
	s, ctx := b.session(), t.Context()
	key := store.MasterKey("h1")
	claimed := func(what string, generation uint64) store.Revision {
		t.Helper()
		if err := s.claim(ctx); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		o, modified, err := b.store.Get(ctx, key)
		b.must(err)
		role, now, err := s.sw.Role(ctx)
		b.must(err)
		if m := o.(*store.Master); m.Controller != "c1" || m.Generation != generation || role != datapath.RoleMaster || now != generation {
			t.Errorf("%s: etcd says %+v, the switch %v of generation %d; want generation %d", what, m, role, now, generation)
		}
		if !s.isMaster() {
			t.Errorf("%s: the picture does not show it yet", what)
		}
		return modified
	}
	_, first, err := s.sw.Role(ctx)
	b.must(err)
	claimed("the first claim", max(first, 0)+1)
	status, _, err := b.store.Get(ctx, store.StatusHostKey("h1"))
	b.must(err)
	if st, ok := status.(*store.StatusHost); !ok || st.State != store.HostBehind {
		t.Errorf("with the claim etcd says of the host: %+v", status)
	}
	at := claimed("claimed again", first+2)
	_, err = b.store.PutIf(ctx, key, &store.Master{Controller: "c1", Generation: 100}, at, b.lease.ID)
	b.must(err)
	claimed("a later claim in etcd", 101)
	_, err = b.store.Delete(ctx, key)
	b.must(err)
	at = claimed("no claim in etcd", 102)

	_, err = b.store.PutIf(ctx, key, &store.Master{Controller: "c2", Generation: 200}, at, 0)
	b.must(err)
	at = claimed("one of a controller that is not live", 201)
	b.live("c2")
	_, err = b.store.PutIf(ctx, key, &store.Master{Controller: "c2", Generation: 300}, at, 0)
	b.must(err)
	if err := s.claim(ctx); !errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), "host h1") || !strings.Contains(err.Error(), "controller c2 programs it") {
		t.Errorf("a live controller's host: %v", err)
	}
	_, err = b.store.Delete(ctx, key)
	b.must(err)
	if err := s.record(ctx, 400, at); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a claim on what is in etcd no more: %v", err)
	}
	lease := b.lease
	b.lease = nil
	if err := s.claim(ctx); err == nil || !strings.Contains(err.Error(), "no lease") || s.mayMaster() {
		t.Errorf("without a lease: %v", err)
	}
	b.lease = lease
	b.ovs.OFCtl("add-flow", store.BridgeName, "table=0,priority=7777,actions=drop")
	s.sw.Close(nil)
	for what, do := range map[string]func() error{
		"ask the switch for its role": func() error { return s.claim(ctx) },
		"read flows": func() error {
			s.expected = &flows.Fingerprint{}
			_, err := s.lookAtFlows(ctx)
			return err
		},
		"read meters": func() error {
			s.expected = &flows.Fingerprint{}
			_, err := s.look(ctx)
			return err
		},
		"read the counters": func() error { return s.readCounters(ctx) },
		"send a flow mod":   func() error { return s.commitEach(ctx, &plan{}, flows.Mods{Add: make([]openflow.Flow, 1)}) },
		"switch":            func() error { return s.becomeSlave(ctx) },
		"closed":            func() error { _, err := s.readPorts(ctx); return err },
		"session closed":    func() error { return s.watch(ctx) },
		"watch flows":       func() error { return s.master(ctx) },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("with the switch gone, %q: %v", what, err)
		}
	}
	if s.watching {
		t.Error("a switch that is gone tells of changes")
	}
}

// A program of a switch from the first resync on: a few slices, drift, refusals, ports that come
// and go.
func TestProgram(t *testing.T) {
	b := newBench(t, false)
	b.register()
	b.alice()
	b.bridge()
	s, ctx := b.session(), t.Context()
	b.must(s.claim(ctx))
	b.must(s.watch(ctx))
	if !s.watching {
		t.Fatal("the switch does not tell of changes")
	}
	a1 := b.port("a1")
	b.must(s.startOver(ctx))
	if marks := s.host.Extent(); marks != host.All || len(s.host.Wake) != 1 || !b.knows(store.TunnelInterface) {
		t.Errorf("starting over marked %v", marks)
	}
	b.learns(s, a1.Value.Interface)
	if how := b.hows(s, 20); how[auditWhole] != 20 {
		t.Errorf("before it is known what the switch holds, audits go %v", how)
	}
	b.must(s.realize(ctx))
	b.inSync(s)
	sent := count(t, s.srv.Metrics.FlowMods, "add")
	if held := s.host.Flows(); sent != held || s.expected == nil || s.expected.Flows() != held {
		t.Errorf("%d flow mods were sent for %d flows", sent, held)
	}
	if !s.host.Idle() {
		t.Error("after a round something is marked")
	}
	b.must(s.realize(ctx)) // nothing to do

	t.Run("resync of what is right", func(t *testing.T) {
		s.host.MarkAll(1)
		s.expected = nil
		b.must(s.realize(ctx))
		b.inSync(s)
		if again := count(t, s.srv.Metrics.FlowMods, "add"); again != sent || s.expected == nil {
			t.Errorf("%d flow mods were sent again", again-sent)
		}
		s.edited = true
		if how := b.hows(s, 100); how[auditQuick]+how[auditWhole] != 100 || how[auditQuick] == 0 {
			t.Errorf("audits go %v", how)
		}
	})
	t.Run("a few slices", func(t *testing.T) {
		a2 := b.port("a2")
		b.learns(s, a2.Value.Interface)
		if s.host.Extent() != host.Few {
			t.Errorf("a port marks %v", s.host.Extent())
		}
		b.must(s.realize(ctx))
		b.inSync(s)
		s.edited = true
		if how := b.hows(s, 200); how[auditQuick]+how[auditWhole] != 200 || how[auditQuick] < 100 || how[auditWhole] == 0 {
			t.Errorf("when others may have changed flows, audits go %v", how)
		}
		s.edited = false
		if how := b.hows(s, 400); how[auditCounted] < 200 || how[auditQuick] == 0 || how[auditDiffers] > 0 {
			t.Errorf("when nobody else changed flows, audits go %v", how)
		}
		s.watching = false
		if how := b.hows(s, 100); how[auditQuick]+how[auditWhole] != 100 {
			t.Errorf("of a switch that does not tell, audits go %v", how)
		}
		s.watching = true
		s.host.Mark(flows.Slice(0x0100000000000000), 1)
		b.must(s.realize(ctx)) // of a slice that is right, or is none
		s.edited = true
		if how := b.hows(s, 20); how[auditQuick]+how[auditWhole] != 20 {
			t.Errorf("after a round without mods, audits go %v", how)
		}
		s.edited = false
	})
	t.Run("audits", func(t *testing.T) { b.audits(t, s) })
	t.Run("refusals", func(t *testing.T) { b.refusals(t, s) })
	t.Run("events", func(t *testing.T) { b.events(t, s, a1) })
}

// audits finds what others did to the flows of a session's switch.
func (b *bench) audits(t *testing.T, s *session) {
	ctx, drift := t.Context(), s.srv.Metrics.Drift
	right := b.installed(s.sw)
	s.srv.Fleet.BeginSeries(s.host)
	before := count(t, s.srv.Metrics.Audits, auditCounted) + count(t, s.srv.Metrics.Audits, auditQuick)
	b.must(s.audit(ctx))
	if now := count(t, s.srv.Metrics.Audits, auditCounted) + count(t, s.srv.Metrics.Audits, auditQuick) + count(t, s.srv.Metrics.Audits, auditWhole); now != before+1 {
		t.Errorf("one audit counts as %d", now-before)
	}
	victim := right[len(right)-1]
	rule, _, _ := strings.Cut(victim, " actions=")
	for _, step := range []struct {
		what                    string
		do                      func()
		missing, extra, changed int
	}{
		{"nothing", func() { s.expected = nil }, 0, 0, 0}, // each flow is compared
		{"an extra flow", func() { b.ovs.OFCtl("add-flow", store.BridgeName, "table=0,priority=7777,actions=NORMAL") }, 0, 1, 0},
		{"a flow replaced", func() { b.ovs.OFCtl("add-flow", store.BridgeName, rule+",cookie=5,actions=NORMAL") }, 0, 1, 1},
	} {
		step.do()
		s.edited = true
		for range 40 {
			if how, _ := s.look(ctx); step.what != "nothing" && how != auditDiffers && how != auditWhole {
				t.Errorf("%s: the audit goes %s", step.what, how)
			}
		}
		b.must(s.audit(ctx))
		if s.edited {
			t.Errorf("%s: what others did is still to be looked at", step.what)
		}
		if diff := cmp.Diff(right, b.installed(s.sw)); diff != "" {
			t.Errorf("%s is not mended (-want +got):\n%s", step.what, diff)
		}
		b.inSync(s)
		var status host.Drift
		b.srv.Picture.View(func(state *store.State) {
			if d := s.host.Status(state, "c1").Drift; d != nil {
				status = *d
			}
		})
		metric := host.Drift{Missing: count(t, drift, "h1", "missing"), Extra: count(t, drift, "h1", "extra"), Changed: count(t, drift, "h1", "changed"), Last: status.Last}
		if want := (host.Drift{Missing: step.missing, Extra: step.extra, Changed: step.changed, Last: status.Last}); status != want || metric != want {
			t.Errorf("%s: the status says %+v, the metric %+v; want %+v", step.what, status, metric, want)
		}
		if status.Last.IsZero() != (step.what == "nothing") {
			t.Errorf("%s: drift was found at %v", step.what, status.Last)
		}
	}
	if !b.log.says(`msg="the audit found drift and mends it" kind=extra flows=1 first=`) {
		t.Error("the log does not name the extra flow")
	}

	s.host.Mark(1, 1)
	if err := s.audit(ctx); !errors.Is(err, errUnsettled) {
		t.Errorf("an audit of a host that changes: %v", err)
	}
	if err := s.compare(ctx, nil, auditWhole); !errors.Is(err, errUnsettled) {
		t.Errorf("a host that changes meanwhile: %v", err)
	}
	next := func(what string, want time.Duration) {
		t.Helper()
		before := time.Now()
		b.must(s.auditIfRoom(ctx))
		if s.audits.due.Before(before.Add(want)) || s.audits.due.After(time.Now().Add(want)) {
			t.Errorf("%s the next audit comes in %v, want %v", what, s.audits.due.Sub(before), want)
		}
	}
	s.audits = schedule{interval: time.Hour}
	next("while the host changes", 2*time.Minute)
	b.must(s.realize(ctx))
	s.edited = true
	next("after one", time.Hour)
	if s.audits.rest != 10*time.Minute {
		t.Errorf("after an edit audits rest %v", s.audits.rest)
	}
	end := s.srv.turns.try()
	if end == nil {
		t.Fatal("an audit kept its turn")
	}
	next("without a turn", 2*time.Minute)
	end()
}

// refusals are named, counted, and lacked by the port that needs them; the rest lands.
func (b *bench) refusals(t *testing.T, s *session) {
	ctx := t.Context()
	refused := count(t, s.srv.Metrics.Refused, "h1")
	const admit = 10
	makeRoom := b.limit(s, admit)
	a3 := b.port("a3")
	b.learns(s, a3.Value.Interface)
	before, held := count(t, s.srv.Metrics.FlowMods, "add"), s.host.Flows()
	b.must(s.realize(ctx))
	lacking := count(t, s.srv.Metrics.Refused, "h1") - refused
	desired, installed := b.desired(), b.installed(s.sw)
	if lacking == 0 || len(desired)-len(installed) != lacking || s.host.Flows() != len(installed) {
		t.Errorf("%d flows were refused; of %d, %d are installed and %d counted", lacking, len(desired), len(installed), s.host.Flows())
	}
	if sent := count(t, s.srv.Metrics.FlowMods, "add") - before; sent != len(installed)-held {
		t.Errorf("%d flow mods are counted, %d landed", sent, len(installed)-held)
	}
	if s.expected != nil {
		t.Error("it is held to be known what the switch has")
	}
	problems := s.host.Problems()
	if len(problems) != lacking || problems[0].Object != "port alice/default/a3" || !strings.Contains(problems[0].Text, "refused table=10") {
		t.Errorf("the problems are %v", problems)
	}
	_, exception := s.host.Standing(s.srv.Picture.Revision())
	if exception == nil || exception.State != store.HostRefused {
		t.Errorf("the host stands as %+v", exception)
	}
	drifted := func() int {
		return count(t, s.srv.Metrics.Drift, "h1", "missing")
	}
	missing := drifted()
	b.must(s.audit(ctx)) // tries again, in vain
	if drifted() != missing {
		t.Error("what was refused is counted as drift")
	}
	if s.host.Flows() != len(installed) {
		t.Errorf("after a resync %d flows are counted, %d are installed", s.host.Flows(), len(installed))
	}
	makeRoom()
	b.must(s.audit(ctx))
	b.inSync(s)
	if _, exception := s.host.Standing(s.srv.Picture.Revision()); exception != nil || len(s.host.Problems()) > 0 {
		t.Errorf("with room again the host stands as %+v, %v", exception, s.host.Problems())
	}
}

// events of the switch are heeded: ports, flows that are gone with what they counted, demotion,
// events that were lost.
func (b *bench) events(t *testing.T, s *session, a1 store.Item[store.Port]) {
	ctx := t.Context()
	b.ovs.DeletePort(store.BridgeName, a1.Value.Interface)
	for b.knows(a1.Value.Interface) {
		b.must(s.handle(ctx, <-s.sw.Events()))
	}
	if s.host.Extent() != host.Few || s.host.Idle() {
		t.Error("a port that went marks nothing")
	}
	b.must(s.realize(ctx))
	b.inSync(s)

	b.ovs.AddInternalPort(store.BridgeName, a1.Value.Interface, 0)
	s.audits.due = time.Time{}
	b.must(s.handle(ctx, datapath.Overflow{}))
	if !b.knows(a1.Value.Interface) || s.host.Idle() || !s.edited || s.audits.due.IsZero() {
		t.Error("what lost events would have told is not caught up with")
	}
	b.must(s.realize(ctx))
	b.inSync(s)

	if err := s.handle(ctx, datapath.Demoted{}); !errors.Is(err, datapath.ErrDemoted) {
		t.Errorf("demoted: %v", err)
	}
	// What alice's flows counted is read before they go, and told as they go.
	b.spoof(a1.Value.Interface)
	b.must(b.deletePorts())
	if b.spoofed() != 0 {
		t.Fatal("counters are read though nobody did")
	}
	b.must(s.realize(ctx))
	if n := b.spoofed(); n != 1 {
		t.Errorf("when alice's flows are gone, %d frames are counted", n)
	}
	b.inSync(s)
	for gone := false; !gone; {
		event := <-s.sw.Events()
		b.must(s.handle(ctx, event))
		if f, is := event.(datapath.FlowRemoved); is {
			_, counts := flows.Account(&f.Flow)
			gone = counts && f.Packets > 0
		}
	}
	if n := b.spoofed(); n != 1 {
		t.Errorf("with their last word, %d frames are counted", n)
	}
	b.background(func(ctx context.Context) { _ = s.srv.Checkpoints.Keep(ctx) })
	soon := time.Now().Add(7 * time.Second) // counters that merely moved are written every ten
	b.eventually("the last word is written at once", func() bool {
		o, _, err := b.store.Get(ctx, store.StatusCountersKey("h1"))
		b.must(err)
		return o != nil || time.Now().After(soon)
	})
	if time.Now().After(soon) {
		t.Error("that a flow's last word is to be written was not said")
	}

	_, generation, err := s.sw.Role(ctx)
	b.must(err)
	b.must(s.sw.Become(ctx, datapath.RoleSlave, generation))
	if err := s.handle(ctx, datapath.Overflow{}); !errors.Is(err, datapath.ErrDemoted) {
		t.Errorf("another is the master, as lost events would have told: %v", err)
	}
	s.host.MarkAll(1)
	s.host.Take()
	s.host.PutBack()
	b.ovs.OFCtl("add-flow", store.BridgeName, "table=0,priority=7777,actions=drop")
	if err := s.realize(ctx); err == nil || !strings.Contains(err.Error(), "host h1: commit 1 flow mods") {
		t.Errorf("a slave writes: %v", err)
	}
	if s.host.Idle() || s.expected != nil {
		t.Error("what could not be written is not marked any more")
	}
}

func (b *bench) deletePorts() error {
	for _, name := range []string{"a1", "a2", "a3"} {
		rev, err := b.store.DeletePort(b.t.Context(), store.PortKey("h1", "alice", "default", name), b.created)
		if err != nil {
			return err
		}
		b.shown(rev)
	}
	return nil
}
