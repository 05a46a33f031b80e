package proof

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"

	"sluice/controller/cluster"
	"sluice/controller/host"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/prove"
	"sluice/store"
)

// LeastInterval is the shortest interval between two proofs that nothing asks for.
const LeastInterval = time.Second

// Options are what proofs stand on.
type Options struct {
	Picture  *cluster.Picture
	Interval time.Duration // between two proofs over all flows of a switch, unless there is too much to prove
	Changed  func()        // is called when there is another outcome to tell
}

// Prover proves what switches hold. It is safe for concurrent use.
type Prover struct {
	Options
	turn    *semaphore.Weighted // to hold the flows of a switch and prove
	doubted lane                // of switches of which all is in doubt
	regular lane                // of those that nothing asks for
	room    []openflow.Flow     // for the flows that a watch reads; whose turn it is has it
	// everywhere counts the changes of the picture that may concern all flows. It is held as the picture is.
	everywhere uint64
}

// New makes a prover, whose Observe is to be told of what the picture takes in.
func New(o Options) *Prover {
	return &Prover{
		Options: o, turn: semaphore.NewWeighted(1),
		doubted: newLane(restDoubted), regular: newLane(restRegular),
	}
}

// Observe is an observer of the picture.
func (p *Prover) Observe(u cluster.Update) {
	for _, c := range u.Changes {
		if prove.Everywhere(c) {
			p.everywhere++
		}
	}
}

// Read reads the flows of these cookies that a switch holds now; nil: all its flows.
type Read func(ctx context.Context, cookies []uint64, yield func(*openflow.FlowStats) bool) error

// Look is what a switch held, and what is wrong with that.
type Look struct {
	At       time.Time     // when it was read
	Reading  time.Duration // how long that took
	Tables   prove.Tables
	Count    int // of its flows
	Findings []prove.Finding
	Problems store.Problems // the findings in words, one for each
	// Settled says that the switch was to hold what it held, as far as this controller knows: else a
	// finding may be of what is about to change.
	Settled bool
	ground  *ground // for parts; nil: there are none
}

// ground is what parts of a host's flows are proved on, as of the changes that concern all flows.
type ground struct {
	*prove.Ground
	everywhere uint64
}

// Bounds of how often a switch is read again that does not hold yet what it is to hold.
const (
	looks     = 6
	lookAgain = 500 * time.Millisecond
)

// Examine reads what a switch holds and proves it, now. Where there is something wrong that may be about to
// change, it reads again: what is still there counts.
func (p *Prover) Examine(ctx context.Context, h *host.Host, read Read) (*Look, error) {
	return p.examine(ctx, h, read, p.look)
}

// watched is what a watch sees of a switch: no flows, so that one switch after the other is read into the same room. It tells how
// long the first look took.
func (p *Prover) watched(ctx context.Context, h *host.Host, read Read, took func(time.Duration)) (*Look, error) {
	return p.examine(ctx, h, read, func(ctx context.Context, h *host.Host, read Read) (*Look, error) {
		l, worked := &Look{}, time.Duration(0)
		settled, err := p.inTurn(ctx, h, func() error {
			began := time.Now()
			l.Tables.Flows = p.room
			err := p.prove(ctx, h, read, l)
			p.empty(l)
			worked = time.Since(began)
			return err
		})
		took(worked)
		took = func(time.Duration) {}
		l.Settled = settled
		return l, err
	})
}

// mostRoom is for how many flows room is kept: a host with more needs that of its own.
const mostRoom = 20_000

// empty takes the flows out of a look, whose room is for the next.
func (p *Prover) empty(l *Look) {
	clear(l.Tables.Flows)
	if p.room = l.Tables.Flows[:0]; cap(p.room) > mostRoom {
		p.room = nil
	}
	l.Tables.Flows = nil
}

// examine looks until what is wrong is no more about to change.
func (p *Prover) examine(ctx context.Context, h *host.Host, read Read, look func(context.Context, *host.Host, Read) (*Look, error)) (*Look, error) {
	var last *Look
	for try := 1; ; try++ {
		l, err := look(ctx, h, read)
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

// look reads all that a switch holds and proves it, once it has its turn.
func (p *Prover) look(ctx context.Context, h *host.Host, read Read) (l *Look, err error) {
	l = &Look{}
	l.Settled, err = p.inTurn(ctx, h, func() error { return p.prove(ctx, h, read, l) })
	return l, err
}

// prove reads all that a switch holds, into the room that a look has, and proves it.
func (p *Prover) prove(ctx context.Context, h *host.Host, read Read, l *Look) (err error) {
	began := time.Now()
	l.At = began.UTC()
	if l.Tables.Flows, err = list(ctx, read, nil, l.Tables.Flows); err != nil {
		return fmt.Errorf("host %s: read flows for the proof: %w", h.Name, err)
	}
	l.Reading, l.Count = time.Since(began), len(l.Tables.Flows)
	p.Picture.View(func(s *store.State) {
		l.Tables.Switch = h.Switch(s)
		found, base := prove.Whole(s, l.Tables)
		l.Findings, l.Problems = found, inWords(s, found)
		if base != nil {
			l.ground = &ground{base, p.everywhere}
		}
	})
	return nil
}

// part reads some slices and proves them, given that all others are proved. Where they are not proved the whole is to be:
// at once where the switch was settled.
func (p *Prover) part(ctx context.Context, h *host.Host, read Read, cookies []uint64, g *ground) (proved, settled bool, err error) {
	settled, err = p.inTurn(ctx, h, func() error {
		t := prove.Tables{}
		if t.Flows, err = list(ctx, read, cookies, nil); err != nil {
			return fmt.Errorf("host %s: read flows of %d cookies for the proof: %w", h.Name, len(cookies), err)
		}
		p.Picture.View(func(s *store.State) {
			t.Switch = h.Switch(s)
			proved = g.everywhere == p.everywhere && g.Part(s, t)
		})
		return nil
	})
	return proved, settled, err
}

// list appends what is read to all.
func list(ctx context.Context, read Read, cookies []uint64, all []openflow.Flow) ([]openflow.Flow, error) {
	err := read(ctx, cookies, func(f *openflow.FlowStats) bool {
		all = append(all, f.Flow)
		return true
	})
	return all, err
}

// inTurn lets work read and prove while nobody else does. settled reports whether the switch was to hold all the while
// what it held.
func (p *Prover) inTurn(ctx context.Context, h *host.Host, work func() error) (settled bool, err error) {
	if err := p.turn.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer p.turn.Release(1)
	round, before := h.Round()
	err = work()
	now, after := h.Round()
	return before && after && now == round, err
}

// cookiesOf are the cookies of slices.
func cookiesOf(slices []flows.Slice) []uint64 {
	list := make([]uint64, len(slices))
	for i, sl := range slices {
		list[i] = uint64(sl)
	}
	return list
}
