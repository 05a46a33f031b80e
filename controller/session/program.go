package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sluice/controller/account"
	"sluice/controller/host"
	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// realize works off the host's marks and tells the rest how far the switch is.
func (s *session) realize(ctx context.Context) error {
	marked := s.host.Extent()
	if marked >= host.Many { // before compiling: only few hosts' flows may be held at one time
		end, err := s.srv.turns.take(ctx)
		if err != nil {
			return err
		}
		defer end()
	}
	dump, err := s.askIf(ctx, marked == host.All)
	if err != nil {
		return err
	}
	defer dump.Close()
	p := s.takePlan(marked)
	if p == nil {
		return nil
	}
	mods, err := s.diff(ctx, p, dump)
	if err == nil {
		err = s.commit(ctx, p, mods)
	}
	if err != nil {
		s.host.PutBack()
		return err
	}
	s.host.Confirm(p.Outcome)
	s.srv.Reports.Poke()
	s.proof.Changed(p.Slices)
	return nil
}

// takePlan takes the marks and compiles them under one lock: what it yields is right for
// exactly one revision. Nil: there is nothing to do, or the marks became more than they were,
// and wait for the next round, which prepares for them.
func (s *session) takePlan(marked host.Extent) (p *plan) {
	s.srv.Picture.View(func(state *store.State) {
		if s.host.Extent() > marked {
			s.host.Wake.Set()
			return
		}
		if marks := s.host.Take(); !marks.Empty() {
			p = s.compile(state, marks)
		}
	})
	return p
}

func (s *session) compile(state *store.State, marks host.Marks) *plan {
	var about int
	if marks.All {
		about = s.host.Flows()
	}
	return newPlan(state, s.host.Switch(state), marks, about)
}

// askIf asks the switch for all its flows, where they are wanted, so that it gathers them
// while we compile. Nil: they are not.
func (s *session) askIf(ctx context.Context, wanted bool) (*datapath.Dump, error) {
	if !wanted {
		return nil, nil
	}
	return s.sw.AskFlows(ctx)
}

// diff reads what the switch holds of the plan's slices, all of it from the dump, and yields
// what differs.
func (s *session) diff(ctx context.Context, p *plan, dump *datapath.Dump) (flows.Mods, error) {
	var unread error
	have := func(w *openflow.WireFlow) bool {
		unread = p.flows.Have(w)
		return unread == nil
	}
	var err error
	if p.whole() {
		err = dump.Each(ctx, have)
	} else {
		err = s.sw.WireFlows(ctx, p.cookies(), have)
	}
	if err = errors.Join(err, unread); err != nil {
		return flows.Mods{}, fmt.Errorf("host %s: read flows: %w", s.host.Name, err)
	}
	return p.flows.Mods()
}

// commit sends the mods as one bundle. A bundle that the switch refuses is sent again flow
// by flow, so that the bad flow is named and the rest lands.
func (s *session) commit(ctx context.Context, p *plan, mods flows.Mods) error {
	after := p.expects(s.expected, mods)
	if err := s.setMeters(ctx, p); err != nil {
		return err
	}
	if mods.Len() == 0 {
		s.expected = after
		return nil
	}
	s.expected = nil // until all of it has landed
	if slices.ContainsFunc(mods.Delete, account.Counts) {
		// What such a flow tells when it goes is lost with the session, or among many others.
		if err := s.readCounters(ctx); err != nil {
			return err
		}
	}
	err := s.sw.Commit(ctx, bundleOf(mods))
	var refused *datapath.RefusedError
	if errors.As(err, &refused) {
		if err := errors.Join(s.learnMeters(ctx), s.setMeters(ctx, p)); err != nil { // somebody may have deleted one
			return err
		}
		return s.commitEach(ctx, p, mods)
	}
	if err != nil {
		return fmt.Errorf("host %s: commit %d flow mods: %w", s.host.Name, mods.Len(), err)
	}
	s.landed(p, mods)
	if err := s.forgetLeft(ctx, mods); err != nil {
		return err
	}
	s.expected = after
	return nil
}

// forgetLeft has a gateway host's switch forget the connections of addresses that left their ports. The
// host is realized after that: who gets such an address then meets nothing of the one before.
func (s *session) forgetLeft(ctx context.Context, mods flows.Mods) error {
	var left []openflow.CTFlush
	if len(mods.Delete)+len(mods.Replace) > 0 {
		s.srv.Picture.View(func(state *store.State) { left = flows.LeftConnections(state, s.host.Name, mods) })
	}
	err := s.sw.Forget(ctx, left)
	var refused *openflow.Error
	if errors.As(err, &refused) { // the flows are right: the host is not held up for it
		s.log.Warn("the switch does not forget the connections of addresses that left: it needs Open vSwitch 3.1", "err", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("host %s: %w", s.host.Name, err)
	}
	return nil
}

func bundleOf(mods flows.Mods) *datapath.Bundle {
	b := &datapath.Bundle{Mods: make([]datapath.Mod, 0, mods.Len())}
	for _, step := range steps(&mods) {
		for _, f := range *step.flows {
			b.Mods = append(b.Mods, datapath.Mod{Command: step.command, Flow: f})
		}
	}
	return b
}

// commitEach sends each mod by itself.
func (s *session) commitEach(ctx context.Context, p *plan, mods flows.Mods) error {
	errs := s.sw.Apply(ctx, bundleOf(mods).Mods)
	for _, step := range steps(&mods) {
		var landed []openflow.Flow
		for i, f := range *step.flows {
			var refused *datapath.RefusedError
			switch {
			case errs[i] == nil:
				landed = append(landed, f)
			case errors.As(errs[i], &refused):
				s.refused(p, f, errs[i])
				p.Tables[f.Table] -= step.growth
			default:
				return fmt.Errorf("host %s: send a flow mod: %w", s.host.Name, errs[i])
			}
		}
		errs, *step.flows = errs[len(*step.flows):], landed
	}
	s.landed(p, mods)
	return s.forgetLeft(ctx, mods)
}

func (s *session) refused(p *plan, f openflow.Flow, why error) {
	s.srv.Picture.View(func(state *store.State) { p.refuse(state, f, why) })
	s.srv.Fleet.Count(s.host, s.srv.Metrics.Refused, 1)
}

// landed counts the confirmed mods, and the number of flows by table. That of a resync comes
// with its outcome: what the switch held before it may be another than was known.
func (s *session) landed(p *plan, mods flows.Mods) {
	for _, step := range steps(&mods) {
		for _, f := range *step.flows {
			if !p.whole() && step.growth != 0 {
				s.host.Grow(f.Table, step.growth)
			}
		}
		s.srv.Metrics.FlowMods.WithLabelValues(step.label).Add(float64(len(*step.flows)))
	}
}

// readCounters reads the accounting tables and the meters: a few small tables, never a dump per tenant.
func (s *session) readCounters(ctx context.Context) error {
	for _, table := range flows.AccountTables() {
		err := s.sw.TableFlows(ctx, table, func(f *openflow.FlowStats) bool {
			s.host.Ledger.Read(f)
			return true
		})
		if err != nil {
			return fmt.Errorf("host %s: read the counters of table %s: %w", s.host.Name, flows.TableName(table), err)
		}
	}
	_, err := s.readMeters(ctx)
	return err
}
