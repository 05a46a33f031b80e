package proof

import (
	"context"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"sluice/controller/host"
	"sluice/controller/signal"
	"sluice/flows"
	"sluice/flows/prove"
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

	// These are Run's own.
	ground  *ground // of the last whole proof; nil: there are no parts
	unsure  int     // how often in a row a part was not proved while the switch changed
	overdue bool    // the last whole proof is older than the interval
	doubt   bool    // all is to be proved

	mu      sync.Mutex
	waiting waiting
	busy    bool // what waited was taken, and is not proved yet
}

// waiting is what changed since it was last taken.
type waiting struct {
	all    bool
	slices map[flows.Slice]struct{}
}

func (w *waiting) empty() bool { return !w.all && len(w.slices) == 0 }

// Watch is of a switch that this controller programs. Nothing runs until Run does.
func (p *Prover) Watch(h *host.Host, read Read, log *slog.Logger) *Watch {
	return &Watch{prover: p, host: h, read: read, log: log, changed: signal.NewFlag(), edited: signal.NewFlag()}
}

// Changed says that this controller brought these slices to what they should be; nil: all flows.
func (w *Watch) Changed(slices []flows.Slice) {
	w.await(slices, slices == nil)
	w.changed.Set()
}

// Edited says that somebody else changed flows.
func (w *Watch) Edited() {
	w.await(nil, true)
	w.edited.Set()
}

// Audited says that an audit found the flows to be those that this session brought the switch to. If all these are proved,
// they are as of now.
func (w *Watch) Audited() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting.empty() && !w.busy {
		w.host.ProofStands(time.Now().UTC())
	}
}

// mostParts is how many slices are proved as a part; so many take longer to be asked for than all flows of most hosts.
const mostParts = 256

// await adds to what waits.
func (w *Watch) await(slices []flows.Slice, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting.slices == nil {
		w.waiting.slices = map[flows.Slice]struct{}{}
	}
	for _, sl := range slices {
		w.waiting.slices[sl] = struct{}{}
		all = all || !prove.PartOf(sl)
	}
	if w.waiting.all = w.waiting.all || all || len(w.waiting.slices) > mostParts; w.waiting.all {
		w.waiting.slices = nil
	}
}

// take hands out what waits; settle must follow.
func (w *Watch) take() (slices []flows.Slice, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for sl := range w.waiting.slices {
		slices = append(slices, sl)
	}
	all = w.waiting.all
	w.waiting, w.busy = waiting{}, true
	return slices, all
}

// settle says what of that waits on.
func (w *Watch) settle(slices []flows.Slice, all bool) {
	w.await(slices, all)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = false
}

// How long a switch is left alone after a proof.
const (
	// between is so long that what this controller changes often is proved together.
	between = 500 * time.Millisecond
	// leastRest is the least, also where somebody edits flows: an audit may remove them soon, and a proof is to see them before.
	leastRest = 100 * time.Millisecond
	// readingRest is how many times as long as all flows were read the least is: reading takes the time of Open vSwitch's
	// main thread, which programs flows too.
	readingRest = 9
)

// Run proves until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	w.ground, w.unsure, w.overdue, w.doubt = nil, 0, false, false
	next := time.NewTimer(w.spread())
	defer next.Stop()
	for {
		rest := leastRest
		doubted, regular := w.lanes()
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			w.overdue = true
			continue
		case <-w.edited:
			rest = w.whole(ctx, next, func(time.Duration) {})
		case <-w.changed:
			if w.doubt {
				continue // a whole proof is to come anyway
			}
			switch w.part(ctx) {
			case wholeCalmly:
				w.doubt = true
				continue
			case wholeNow:
				rest = w.whole(ctx, next, func(time.Duration) {})
			}
		case doubted <- struct{}{}:
			rest = w.whole(ctx, next, w.prover.doubted.leave)
		case regular <- struct{}{}:
			rest = w.whole(ctx, next, w.prover.regular.leave)
		}
		w.pause(ctx, rest)
	}
}

// pause leaves the switch alone: for rest in any case, and as long as between unless somebody edits flows.
func (w *Watch) pause(ctx context.Context, rest time.Duration) {
	select {
	case <-time.After(rest):
	case <-ctx.Done():
		return
	}
	select {
	case <-time.After(between - rest):
	case <-w.edited:
		w.edited.Set() // Run takes it
	case <-ctx.Done():
	}
}

// lanes are those by which the switch waits for a whole proof; nil: it does not.
func (w *Watch) lanes() (doubted, regular chan<- struct{}) {
	switch {
	case w.doubt:
		return w.prover.doubted.free, nil
	case w.overdue:
		return nil, w.prover.regular.free
	}
	return nil, nil
}

// need says whether all flows are to be proved after a part was.
type need int

const (
	noWhole     need = iota
	wholeCalmly      // after those who wait for theirs
	wholeNow         // something may be wrong
)

// part proves the slices that changed.
func (w *Watch) part(ctx context.Context) need {
	slices, all := w.take()
	if all || w.ground == nil {
		w.settle(nil, true)
		return wholeCalmly
	}
	at := time.Now().UTC()
	proved, settled, err := w.prover.part(ctx, w.host, w.read, cookiesOf(slices), w.ground)
	w.unsure++
	switch {
	case err != nil:
		w.unread(ctx, err)
		w.settle(nil, true)
		return noWhole // the next change, or the interval, tries again
	case proved:
		w.unsure = 0
		w.host.ProofStands(at)
		w.settle(nil, false)
		return noWhole
	case settled:
		w.settle(nil, true)
		return wholeNow
	case w.unsure > looks:
		w.settle(nil, true)
		return wholeCalmly
	}
	w.settle(slices, false) // what was read may be about to change: it is looked at again
	w.changed.Set()
	return noWhole
}

// whole proves all and notes how that came out. What could not be read stays as old as it is. rest is how long the switch is
// left alone at least.
func (w *Watch) whole(ctx context.Context, next *time.Timer, took func(time.Duration)) (rest time.Duration) {
	w.take()
	w.doubt, w.overdue, w.unsure = false, false, 0
	next.Reset(w.prover.Interval)
	l, err := w.prover.watched(ctx, w.host, w.read, took)
	if err != nil {
		w.ground = nil
		w.settle(nil, true)
		w.unread(ctx, err)
		return leastRest
	}
	w.ground = l.ground
	before := w.host.Proof()
	news := w.host.Proved(l.At, l.Count, l.Problems)
	w.settle(nil, false)
	if news {
		w.tell(before.Isolation, l.Problems)
		w.prover.Changed()
	}
	return max(leastRest, readingRest*l.Reading)
}

func (w *Watch) unread(ctx context.Context, err error) {
	if ctx.Err() == nil {
		w.log.Warn("isolation is not proved anew: the switch's flows cannot be read", "err", err)
	}
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
