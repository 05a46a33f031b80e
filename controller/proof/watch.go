package proof

import (
	"context"
	"hash/fnv"
	"log/slog"
	"time"

	"sluice/controller/host"
	"sluice/controller/signal"
	"sluice/store"
)

// Watch proves what one switch holds, again and again.
type Watch struct {
	prover  *Prover
	host    *host.Host
	read    Read
	log     *slog.Logger
	changed signal.Flag // this controller changed flows
	edited  signal.Flag // somebody else did
}

// Watch is of a switch that this controller programs. Nothing runs until Run does.
func (p *Prover) Watch(h *host.Host, read Read, log *slog.Logger) *Watch {
	return &Watch{prover: p, host: h, read: read, log: log, changed: signal.NewFlag(), edited: signal.NewFlag()}
}

// Changed says that this controller changed flows, or found that it has none to change.
func (w *Watch) Changed() { w.changed.Set() }

// Edited says that somebody else changed flows.
func (w *Watch) Edited() { w.edited.Set() }

// between is the shortest time from one proof of a switch to its next: what changes often is proved
// together.
const between = 500 * time.Millisecond

// Run proves until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	next := time.NewTimer(w.spread())
	defer next.Stop()
	for {
		when := w.prover.unhurried(w.edited)
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		case <-w.changed:
		case <-w.edited:
			when = w.prover.hurried
		}
		w.prove(ctx, when)
		next.Reset(w.prover.Interval)
		select {
		case <-time.After(between):
		case <-ctx.Done():
			return
		}
	}
}

// prove proves once and notes how that came out. What could not be read stays as old as it is.
func (w *Watch) prove(ctx context.Context, when inTurn) {
	l, err := w.prover.examine(ctx, w.host, w.read, when)
	if err != nil {
		if ctx.Err() == nil {
			w.log.Warn("isolation is not proved anew: the switch's flows cannot be read", "err", err)
		}
		return
	}
	before := w.host.Proof()
	if !w.host.Proved(l.At, len(l.Tables.Flows), l.Problems) {
		return
	}
	w.tell(before.Isolation, l.Problems)
	w.prover.Changed()
}

// tell logs the first finding where there was none before, and that there is none any more.
func (w *Watch) tell(before host.Isolation, findings store.Problems) {
	switch {
	case len(findings) == 0 && before == host.IsolationUnproved:
		w.log.Info("isolation is proved again")
	case len(findings) > 0 && before != host.IsolationUnproved:
		w.log.Error("isolation is not proved", "findings", len(findings), "first", findings[0].Text, "of", findings[0].Object)
	}
}

// spread is the switch's place in the interval, always the same, so that not all are read at once.
func (w *Watch) spread() time.Duration {
	h := fnv.New32a()
	h.Write([]byte(w.host.Name))
	return time.Duration(h.Sum32()%1000) * w.prover.Interval / 1000
}
