package hostagent

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// mendInterval is how often the agent compares the host with what it should be.
	mendInterval = 10 * time.Second
	// retryInterval is the pause after a failed try of a keeper with a rhythm of its own.
	retryInterval = time.Second
)

// mender gives the keepers their turns.
type mender struct {
	keepers    []keeper // set before run
	problems   *problems
	registered func() bool   // reports whether the host is registered
	known      func() bool   // reports whether it is known what tenants may take
	nudge      bell          // asks the mend loop to run at once
	interval   time.Duration // between two rounds that nothing asks for
	made       chan struct{} // closed once all is right that must be before the host registers
	rounds     sync.Mutex    // held by the round that is under way

	mu    sync.Mutex
	right map[string]bool // by keeper: its last try succeeded
	once  map[string]bool // by keeper: a try has succeeded
	// mended is closed when a keeper becomes right, and is another one then.
	mended chan struct{}
}

func newMender(p *problems, registered, known func() bool) *mender {
	return &mender{
		problems: p, registered: registered, known: known, nudge: newBell(), interval: mendInterval, made: make(chan struct{}),
		right: make(map[string]bool), once: make(map[string]bool), mended: make(chan struct{}),
	}
}

// outcome is what came of a turn.
type outcome int

const (
	failed  outcome = iota
	kept            // it is as it should be
	untried         // it lacks what it needs
)

// run gives turns until ctx ends: those of the mend loop one after the other, at start, when
// woken and every interval; the others side by side, each in its own rhythm.
func (m *mender) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, k := range m.keepers {
		if k.wait != nil {
			all.Go(func() { m.keepApart(ctx, k) })
		}
	}
	all.Go(func() { m.loop(ctx) })
	all.Wait()
}

// loop is the mend loop. A round that failed comes again sooner.
func (m *mender) loop(ctx context.Context) {
	pauses := newPauses()
	for {
		wait := m.interval
		if m.round(ctx) {
			pauses.Reset()
		} else {
			wait = pauses.NextBackOff()
		}
		select {
		case <-ctx.Done():
			return
		case <-m.nudge:
		case <-time.After(wait):
		}
	}
}

// wake lets the mend loop run at once.
func (m *mender) wake() { m.nudge.ring() }

func (m *mender) keepApart(ctx context.Context, k keeper) {
	for ctx.Err() == nil {
		mended := m.nextMended() // before the turn: what it lacks may come a moment after
		switch m.turn(ctx, k) {
		case kept:
			k.wait(ctx)
		case untried:
			waitEither(ctx, k.wait, mended)
		case failed:
			pause(ctx, retryInterval)
		}
	}
}

// waitEither returns when a wait is over, or a channel is closed.
func waitEither(ctx context.Context, wait func(context.Context), closed <-chan struct{}) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-closed:
			stop()
		case <-ctx.Done():
		}
	}()
	wait(ctx)
}

func (m *mender) nextMended() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mended
}

// round gives each keeper of the mend loop its turn, whatever the others did. It reports
// whether none failed. One round is under way at a time.
func (m *mender) round(ctx context.Context) bool {
	m.rounds.Lock()
	defer m.rounds.Unlock()
	ok := true
	for _, k := range m.keepers {
		if k.wait == nil {
			ok = m.turn(ctx, k) != failed && ok
		}
	}
	return ok
}

// turn tries a keeper, if it has what it needs.
func (m *mender) turn(ctx context.Context, k keeper) outcome {
	if !m.mayTry(k) {
		m.problems.forget(k.name)
		m.note(k.name, false)
		return untried
	}
	bounded, cancel := context.WithTimeout(ctx, cmp.Or(k.limit, stepTimeout))
	defer cancel()
	err := k.try(bounded)
	if ctx.Err() != nil {
		return failed
	}
	m.problems.report(k.name, err)
	m.note(k.name, err == nil)
	if err != nil {
		return failed
	}
	return kept
}

func (m *mender) mayTry(k keeper) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !slices.ContainsFunc(k.needs, m.lacks) &&
		!slices.ContainsFunc(k.after, func(name string) bool { return !m.once[name] })
}

// lacks reports whether something that a keeper may need is not right. The caller has locked m.mu.
func (m *mender) lacks(name string) bool {
	switch name {
	case nameRegistration:
		return !m.registered()
	case nameTenantsKnown:
		return !m.known()
	}
	return !m.right[name]
}

func (m *mender) note(name string, right bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if right && !m.right[name] {
		close(m.mended)
		m.mended = make(chan struct{})
	}
	m.right[name] = right
	m.once[name] = m.once[name] || right
	select {
	case <-m.made:
	default:
		if m.allMade() {
			close(m.made)
		}
	}
}

// allMade reports whether each keeper that may touch the host before it is registered is
// right: then it may register. The caller has locked m.mu.
func (m *mender) allMade() bool {
	return !slices.ContainsFunc(m.keepers, func(k keeper) bool {
		return !slices.Contains(k.needs, nameRegistration) && !k.aside && !m.right[k.name]
	})
}
