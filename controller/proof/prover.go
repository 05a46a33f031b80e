package proof

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"

	"sluice/controller/cluster"
	"sluice/controller/host"
	"sluice/datapath/openflow"
	"sluice/flows/prove"
	"sluice/store"
)

// LeastInterval is the shortest interval between two proofs that nothing asks for.
const LeastInterval = time.Second

// Options are what proofs stand on.
type Options struct {
	Interval time.Duration // between two proofs over all flows of a switch
	Changed  func()        // is called when there is another outcome to tell
}

// Prover proves what switches hold. It is safe for concurrent use.
type Prover struct {
	Options
	replica *replica
	turn    *semaphore.Weighted // to hold the flows of a switch and prove
	calm    chan struct{}       // holds one while somebody without hurry has a turn, waits for it or rests
}

// New makes a prover, whose Observe is to be told of what the picture takes in.
func New(o Options) *Prover {
	return &Prover{Options: o, replica: newReplica(), turn: semaphore.NewWeighted(1), calm: make(chan struct{}, 1)}
}

// Observe is an observer of the picture, after the fleet: what a batch marks is marked before it is
// proved by.
func (p *Prover) Observe(u cluster.Update) { p.replica.note(u) }

// Read reads all flows that a switch holds now.
type Read func(ctx context.Context, yield func(*openflow.FlowStats) bool) error

// Look is what a switch held, and what is wrong with that.
type Look struct {
	At       time.Time // when it was read
	Tables   prove.Tables
	Findings []prove.Finding
	Problems store.Problems // the findings in words, one for each
	// Settled says that the switch was to hold what it held, as far as this controller knows: else a
	// finding may be of what is about to change.
	Settled bool
}

// Bounds of how often a switch is read again that does not hold yet what it is to hold.
const (
	looks     = 6
	lookAgain = 500 * time.Millisecond
)

// Examine reads what a switch holds and proves it, now. Where there is something wrong that may be about to
// change, it reads again: what is still there counts.
func (p *Prover) Examine(ctx context.Context, h *host.Host, read Read) (*Look, error) {
	return p.examine(ctx, h, read, p.hurried)
}

// inTurn calls work once it may.
type inTurn func(ctx context.Context, work func() error) error

func (p *Prover) examine(ctx context.Context, h *host.Host, read Read, when inTurn) (*Look, error) {
	var last *Look
	for try := 1; ; try++ {
		var l *Look
		err := when(ctx, func() (err error) {
			l, err = p.look(ctx, h, read)
			return err
		})
		if err != nil {
			return nil, err
		}
		if last != nil && !l.Settled {
			l.keep(last)
		}
		if last = l; l.Settled || len(l.Findings) == 0 || try == looks {
			return l, nil
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// look reads what a switch holds and proves it.
func (p *Prover) look(ctx context.Context, h *host.Host, read Read) (*Look, error) {
	round, settled := h.Round()
	l := &Look{At: time.Now().UTC()}
	err := read(ctx, func(f *openflow.FlowStats) bool {
		l.Tables.Flows = append(l.Tables.Flows, f.Flow)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("host %s: read flows for the proof: %w", h.Name, err)
	}
	p.replica.read(func(s *store.State) {
		l.Tables.Switch = h.Switch(s)
		l.Findings = prove.Host(s, l.Tables)
		l.Problems = inWords(s, l.Findings)
	})
	now, still := h.Round()
	l.Settled = settled && still && now == round
	return l, nil
}

// hurried waits for the turn alone.
func (p *Prover) hurried(ctx context.Context, work func() error) error {
	if err := p.turn.Acquire(ctx, 1); err != nil {
		return err
	}
	defer p.turn.Release(1)
	return work()
}

// rest is how many times as long as its work the next one without hurry waits: all of them take a quarter of
// one processor at most.
const rest = 3

// unhurried lets all go first that are in a hurry, and waits while others without hurry work or rest. It stops
// waiting for those when hurry has something.
func (p *Prover) unhurried(hurry <-chan struct{}) inTurn {
	return func(ctx context.Context, work func() error) error {
		select {
		case p.calm <- struct{}{}:
		case <-hurry:
			return p.hurried(ctx, work)
		case <-ctx.Done():
			return ctx.Err()
		}
		var began time.Time
		err := p.hurried(ctx, func() error {
			began = time.Now()
			return work()
		})
		if began.IsZero() {
			<-p.calm
		} else {
			time.AfterFunc(rest*time.Since(began), func() { <-p.calm })
		}
		return err
	}
}
