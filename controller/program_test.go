package controller

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/metrics"
	"sluice/store"
)

// What would hold a whole host's flows takes nothing and compiles nothing before its turn
// among the resyncs has come; a few slices do not wait.
func TestResyncsTakeTurns(t *testing.T) {
	some := func(n int) func(*host) {
		return func(h *host) {
			for i := range n {
				h.mark(flows.Slice(i), 1)
			}
		}
	}
	for _, c := range []struct {
		name  string
		mark  func(*host)
		waits bool
	}{
		{"all", func(h *host) { h.markAll(1) }, true},
		{"many slices", some(manyMarks + 1), true},
		{"a few slices", some(manyMarks), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &session{c: &Controller{turns: newTurns(1, time.Hour), state: store.NewState()}, host: newHost("h1")}
			c.mark(s.host)
			if got := s.host.extent() >= markedMany; got != c.waits {
				t.Fatalf("it wants a turn: %v", got)
			}
			if !c.waits {
				return
			}
			defer s.c.turns.try()() // another host's turn
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.realize(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("realize says %v", err)
			}
			if s.host.marks.empty() || !s.host.taken.empty() {
				t.Error("the marks were taken")
			}
		})
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
func TestCountedFlows(t *testing.T) {
	set, err := metrics.New(prometheus.NewRegistry(), func() metrics.Snapshot { return metrics.Snapshot{} })
	if err != nil {
		t.Fatal(err)
	}
	s := &session{c: &Controller{metrics: set}, host: newHost("h1")}
	s.host.tables = map[uint8]int{1: 10, 2: 20}
	slices := plan{cookies: []uint64{1}}
	in := func(tables ...uint8) (list []openflow.Flow) {
		for _, table := range tables {
			list = append(list, openflow.Flow{Table: table})
		}
		return list
	}
	s.counted(slices, flows.Mods{Add: in(1, 1, 3), Replace: in(1, 2), Modify: in(1), Delete: in(2, 2, 2)})
	if got, want := s.host.tables, (map[uint8]int{1: 12, 2: 17, 3: 1}); !maps.Equal(got, want) {
		t.Errorf("flows by table are %v, want %v", got, want)
	}
}
