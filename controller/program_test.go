package controller

import (
	"context"
	"errors"
	"testing"

	"sluice/flows"
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
			s := &session{c: &Controller{turns: newTurns(1), state: store.NewState()}, host: newHost("h1")}
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
