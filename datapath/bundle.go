package datapath

import (
	"context"
	"errors"
	"fmt"

	"sluice/datapath/openflow"
)

// Mod is one change of the switch's flows.
type Mod = openflow.FlowMod

// Bundle is changes that belong together: the switch makes all of them or none. They are flows
// alone: nothing uses groups (docs/design/013). Should that change, groups go in the bundle, added
// before and deleted after the flows that name them. Meters cannot go in one: see SetMeters.
type Bundle struct{ Mods []Mod }

// bundleFlags: all or nothing, in this order (EXT-230, 4.1). Open vSwitch 3.1 does both
// unasked; the flags make it a promise.
const bundleFlags = openflow.BundleAtomic | openflow.BundleOrdered

// RefusedError says which change a switch refused, and why.
type RefusedError struct {
	Mod Mod
	Err error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s flow %s: %v", e.Mod.Command, &e.Mod.Flow, e.Err)
}

// Unwrap is the switch's own error, an *openflow.Error among its causes.
func (e *RefusedError) Unwrap() error { return e.Err }

// refused names the change, unless it was refused for what this session is.
func refused(m *Mod, err error) error {
	if err == nil || errors.Is(err, ErrDemoted) {
		return err
	}
	return &RefusedError{Mod: *m, Err: err}
}

// Commit makes all changes of a bundle, or none, and returns once the switch has confirmed
// them by a barrier. A change that it refuses is a *RefusedError; ErrDemoted says that this
// session is not the master. After any other error, or when ctx ended, the outcome is
// unknown where the commit was under way: read the flows. An empty bundle is done already.
func (s *Switch) Commit(ctx context.Context, b *Bundle) error {
	if len(b.Mods) == 0 {
		return nil
	}
	x, err := s.begin(len(b.Mods) + closing)
	if err != nil {
		return err
	}
	defer x.end()
	t := transaction{exchange: x, mods: b.Mods, bundle: s.nextBundle()}
	if err := t.run(ctx); err != nil {
		return fmt.Errorf("switch %016x: commit %d flow changes: %w", s.id, len(b.Mods), err)
	}
	return nil
}

func (s *Switch) nextBundle() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bundles++
	return s.bundles
}

// transaction is a bundle under way. Request 0 opens it, requests 1 to n are its changes,
// and these follow:
const (
	fence   = iota + 1 // the barrier after which every refusal is known
	verdict            // commit or discard
	confirm            // the barrier after the commit
	closing            // how many requests there are beside the changes
)

type transaction struct {
	*exchange
	mods   []Mod
	bundle uint32
}

func (t *transaction) run(ctx context.Context) error {
	err := t.prepare(ctx)
	if err == nil {
		return t.commit(ctx)
	}
	discard := func(b []byte) []byte {
		return t.control(b, t.xid(len(t.mods)+verdict), openflow.BundleDiscard)
	}
	if ctx.Err() != nil || t.s.Err() != nil {
		t.s.out.tryPut(discard) // else the switch forgets it after 10 s
		return err
	}
	if err := t.s.out.put(ctx, discard); err != nil {
		return err
	}
	// Refusals that were on their way come before this answer: name the first change.
	_, _ = t.await(ctx, len(t.mods)+verdict)
	return t.refusal(err)
}

// prepare sends the changes. Open vSwitch commits a bundle without those that it refused to
// take up: so none may be refused.
func (t *transaction) prepare(ctx context.Context) error {
	open := func(b []byte, xid uint32) []byte { return t.control(b, xid, openflow.BundleOpen) }
	if err := t.send(ctx, 0, open); err != nil {
		return err
	}
	for sent := 0; sent < len(t.mods); {
		run := func(b []byte) []byte {
			b, sent = t.appendRun(b, sent)
			return b
		}
		if err := t.s.out.put(ctx, run); err != nil {
			return err
		}
		if t.hasErr() {
			return t.refusal(nil)
		}
	}
	if err := t.send(ctx, len(t.mods)+fence, openflow.AppendBarrierRequest); err != nil {
		return err
	}
	if _, err := t.await(ctx, len(t.mods)+fence); err != nil {
		return err
	}
	return t.refusal(nil)
}

// runBytes is about how much is queued at once. Queued one by one, changes would leave in
// many small segments, which cost the switch more than we take to encode them.
const runBytes = 16 << 10

// appendRun appends changes from number first on, and returns which comes next.
func (t *transaction) appendRun(b []byte, first int) (_ []byte, next int) {
	for end := len(b) + runBytes; first < len(t.mods) && len(b) < end; first++ {
		b = openflow.AppendBundleFlowMod(b, t.xid(first+1), t.bundle, bundleFlags, &t.mods[first])
	}
	return b, first
}

func (t *transaction) commit(ctx context.Context) error {
	last := len(t.mods) + verdict
	commit := func(b []byte, xid uint32) []byte { return t.control(b, xid, openflow.BundleCommit) }
	if err := t.send(ctx, last, commit); err != nil {
		return err
	}
	if err := t.send(ctx, len(t.mods)+confirm, openflow.AppendBarrierRequest); err != nil {
		return err
	}
	message, err := t.await(ctx, last)
	if err != nil {
		return t.refusal(err)
	}
	c, err := openflow.DecodeBundleControl(message)
	if err == nil && (c.Bundle != t.bundle || c.Step != openflow.BundleCommitted) {
		err = fmt.Errorf("%w: bundle %d, step %d answers the commit of bundle %d",
			openflow.ErrMalformed, c.Bundle, c.Step, t.bundle)
	}
	if err != nil {
		t.s.Close(err)
		return err
	}
	_, err = t.await(ctx, len(t.mods)+confirm)
	return err
}

func (t *transaction) control(b []byte, xid uint32, step openflow.BundleStep) []byte {
	return openflow.AppendBundleControl(b, xid, openflow.BundleControl{Bundle: t.bundle, Step: step, Flags: bundleFlags})
}

// refusal is the error about the opening or else the first change that was refused, or else
// the one given.
func (t *transaction) refusal(otherwise error) error {
	at, err := t.firstErr(0, len(t.mods)+fence)
	switch {
	case err == nil:
		return otherwise
	case at == 0:
		return err
	}
	return refused(&t.mods[at-1], err)
}

// Apply makes changes one by one, without a bundle, and returns after a barrier the error of
// each: nil where the switch made it. It serves to name the bad ones of a bundle that was
// refused. Where the session or ctx ended, the error of those not known to be refused is
// that, and their outcome is unknown.
func (s *Switch) Apply(ctx context.Context, mods []Mod) []error {
	errs := make([]error, len(mods))
	if len(mods) == 0 {
		return errs
	}
	unknown := s.apply(ctx, mods, errs)
	for n := range errs {
		if errs[n] == nil {
			errs[n] = unknown
		}
		if errs[n] != nil {
			errs[n] = fmt.Errorf("switch %016x: %w", s.id, errs[n])
		}
	}
	return errs
}

func (s *Switch) apply(ctx context.Context, mods []Mod, errs []error) (unknown error) {
	x, err := s.begin(len(mods) + 1)
	if err != nil {
		return err
	}
	defer x.end()
	defer func() {
		for n := range mods {
			errs[n] = refused(&mods[n], x.err(n))
		}
	}()
	for n := range mods {
		mod := func(b []byte, xid uint32) []byte {
			return openflow.AppendFlowModCookie(b, xid, mods[n].Command, &mods[n].Flow, mods[n].CookieMask)
		}
		if err := x.send(ctx, n, mod); err != nil {
			return err
		}
	}
	if err := x.send(ctx, len(mods), openflow.AppendBarrierRequest); err != nil {
		return err
	}
	_, err = x.await(ctx, len(mods))
	return err
}
