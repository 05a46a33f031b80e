package session

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"sluice/controller/cluster"
	"sluice/controller/dump"
	"sluice/controller/host"
	"sluice/controller/proof"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/metrics"
	"sluice/store"
)

// offline is a session of host h1 whose switch is not there.
func offline(t *testing.T) *session {
	t.Helper()
	set, err := metrics.New(prometheus.NewRegistry(), func() metrics.Snapshot { return metrics.Snapshot{} })
	if err != nil {
		t.Fatal(err)
	}
	srv := New(Options{
		Controller: "c1", Picture: cluster.New(), Fleet: host.NewFleet("c1", set), Metrics: set,
		Prover: proof.New(proof.Options{}), Dumps: dump.New(), Log: slog.New(slog.DiscardHandler), Resyncs: 1,
	})
	srv.turns = newTurns(1, time.Hour)
	return newSession(srv, host.New("h1"), nil, srv.Log)
}

// What would hold a whole host's flows takes nothing and compiles nothing before its turn
// among the resyncs has come; a few slices do not wait.
func TestResyncsTakeTurns(t *testing.T) {
	for _, c := range []struct {
		name  string
		mark  func(*host.Host)
		waits bool
	}{
		{"all", func(h *host.Host) { h.MarkAll(1) }, true},
		{"many slices", func(h *host.Host) {
			for n := range 1000 {
				h.Mark(flows.Slice(n), 1)
			}
		}, true},
		{"one slice", func(h *host.Host) { h.Mark(1, 1) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := offline(t)
			c.mark(s.host)
			if got := s.host.Extent() >= host.Many; got != c.waits {
				t.Fatalf("it wants a turn: %v", got)
			}
			if !c.waits {
				return
			}
			defer s.srv.turns.try()() // another host's turn
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.realize(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("realize says %v", err)
			}
			if taken := s.host.Take(); taken.Empty() {
				t.Error("the marks were taken")
			}
		})
	}
}

// Marks that became more than a round has prepared for wait for the next one.
func TestPlanIsTakenForWhatWasPreparedFor(t *testing.T) {
	s := offline(t)
	s.host.Mark(1, 1)
	s.host.MarkAll(2)
	if p := s.takePlan(host.Few); p != nil {
		t.Error("a resync was planned in a round of a few slices")
	}
	select {
	case <-s.host.Wake:
	default:
		t.Error("nobody comes back for what was left")
	}
	p := s.takePlan(host.All)
	if p == nil || !p.whole() {
		t.Fatalf("got %+v, want a plan of all slices", p)
	}
	s.host.Confirm(p.Outcome)
	if p := s.takePlan(host.All); p != nil {
		t.Error("a plan was made of nothing")
	}
}

// A turn that is not given back ends by itself, and is then given back once, not twice.
func TestTurnsEnd(t *testing.T) {
	turns := newTurns(1, time.Millisecond)
	slow, err := turns.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	turns.long = time.Hour
	next, err := turns.take(t.Context()) // comes although the first was never given back
	if err != nil {
		t.Fatal(err)
	}
	slow()
	if turns.try() != nil {
		t.Error("two have their turn at one time")
	}
	next()
	if end := turns.try(); end == nil {
		t.Error("no turn is free though all were given back")
	}
}

// The number of flows follows what the mods do: one that replaces a flow adds none.
func TestLandedFlowsAreCounted(t *testing.T) {
	s := offline(t)
	s.host.Audited(host.Outcome{Tables: map[uint8]int{1: 10, 2: 20}})
	in := func(tables ...uint8) (list []openflow.Flow) {
		for _, table := range tables {
			list = append(list, openflow.Flow{Table: table})
		}
		return list
	}
	mods := flows.Mods{Add: in(1, 1, 3), Replace: in(1, 2), Modify: in(1), Delete: in(2, 2, 2)}
	s.landed(&plan{Outcome: host.Outcome{Slices: []flows.Slice{1}}}, mods)
	want := map[uint8]int{1: 12, 2: 17, 3: 1}
	if diff := cmp.Diff(want, s.host.Tables()); diff != "" {
		t.Errorf("flows by table (-want +got):\n%s", diff)
	}
	s.landed(&plan{}, mods)
	if diff := cmp.Diff(want, s.host.Tables()); diff != "" {
		t.Errorf("those of a resync come with its outcome (-want +got):\n%s", diff)
	}
}

// Hosts do what they all do at one interval at times of their own.
func TestSpread(t *testing.T) {
	seen := map[time.Duration]bool{}
	for _, name := range []string{"h1", "h2", "h3", "h4"} {
		at := spread(name, time.Minute)
		if at < 0 || at >= time.Minute || at != spread(name, time.Minute) {
			t.Errorf("%s has its place at %v", name, at)
		}
		seen[at] = true
	}
	if len(seen) < 4 {
		t.Errorf("four hosts share %d places", len(seen))
	}
}

// An audit that finds no drift notes none: the host's status tells when there was some last.
func TestNoDriftIsNotNoted(t *testing.T) {
	s := offline(t)
	s.countDrift(flows.Mods{})
	if drift := s.host.Status(store.NewState(), "c1").Drift; drift != nil {
		t.Errorf("noted %+v", drift)
	}
	s.countDrift(flows.Mods{Add: []openflow.Flow{{}}})
	if drift := s.host.Status(store.NewState(), "c1").Drift; drift == nil || drift.Missing != 1 {
		t.Errorf("of one missing flow it noted %+v", drift)
	}
}
