package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// plan is what one round of programming wants a switch to hold.
type plan struct {
	revision store.Revision
	cookies  []uint64          // the slices; nil: every flow
	flows    *flows.Comparison // what it wants; then what there is, and what differs
	tables   map[uint8]int     // how many flows it wants, by table
	troubles map[flows.Slice]trouble
	missing  []absence
}

// trouble is what is wrong with one slice on one host.
type trouble struct {
	problems []store.Problem
	unserved []store.Key // the host's own ports that are not programmed whole for it
}

// realize works off the host's marks and tells the rest how far the switch is.
func (s *session) realize(ctx context.Context) error {
	marked := s.host.extent()
	if marked >= markedMany { // before compiling: only few hosts' flows may be held at one time
		end, err := s.c.turns.take(ctx)
		if err != nil {
			return err
		}
		defer end()
	}
	dump, err := s.askIf(ctx, marked == markedAll)
	if err != nil {
		return err
	}
	defer dump.Close()
	p, taken := s.takePlan(marked)
	if taken.empty() {
		return nil
	}
	mods, err := s.diff(ctx, p, dump)
	if err == nil {
		err = s.commit(ctx, p, mods)
	}
	if err != nil {
		s.host.putBack()
		return err
	}
	s.confirm(p, taken)
	return nil
}

func (s *session) confirm(p plan, taken marks) {
	if taken.all {
		s.host.resetTroubles(p.troubles, p.tables)
	} else {
		for _, cookie := range p.cookies {
			s.host.setTrouble(flows.Slice(cookie), p.troubles[flows.Slice(cookie)])
		}
	}
	s.host.confirmed(p.revision, p.missing)
	s.c.report.poke()
}

// takePlan takes the marks and compiles them under one lock: what it yields is right for
// exactly one revision. Marks that became more than they were, meanwhile, wait for the next
// round, which prepares for them.
func (s *session) takePlan(marked extent) (plan, marks) {
	s.c.mu.RLock()
	defer s.c.mu.RUnlock()
	if s.host.extent() > marked {
		s.host.wakeUp()
		return plan{}, marks{}
	}
	taken := s.host.take()
	if taken.empty() {
		return plan{}, taken
	}
	return s.compile(taken), taken
}

// compile needs the state's lock.
func (s *session) compile(taken marks) plan {
	view := s.view()
	p := plan{
		revision: s.c.state.Revision(), flows: flows.NewComparison(s.expected(taken)),
		tables: map[uint8]int{}, troubles: map[flows.Slice]trouble{},
	}
	want := func(f openflow.Flow) {
		if p.flows.Want(f) {
			p.tables[f.Table]++
		}
	}
	one := func(slice flows.Slice) {
		problems := flows.Compile(s.c.state, view, slice, want)
		if len(problems) > 0 {
			p.troubles[slice] = trouble{problems, s.contested(problems)}
		}
	}
	if taken.all {
		flows.Slices(s.c.state, s.host.name, one)
	} else {
		for _, slice := range slices.Sorted(maps.Keys(taken.slices)) {
			p.cookies = append(p.cookies, uint64(slice))
			one(slice)
		}
	}
	for _, key := range flows.Missing(s.c.state, view) {
		p.missing = append(p.missing, absence{key: key, created: s.c.state.Port(key).Created})
	}
	return p
}

// contested are the host's own ports among the objects of problems: they have no flows.
func (s *session) contested(problems []store.Problem) []store.Key {
	var keys []store.Key
	for _, problem := range problems {
		key, err := store.ParseKey(store.Prefix + problem.Object)
		if err == nil && key.Kind == store.KindPort && key.Host == s.host.name {
			keys = append(keys, key)
		}
	}
	return keys
}

// expected is about how many flows the marked slices have.
func (s *session) expected(taken marks) int {
	if !taken.all {
		return 0
	}
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	n := 0
	for _, flows := range s.host.tables {
		n += flows
	}
	return n
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
func (s *session) diff(ctx context.Context, p plan, dump *datapath.Dump) (flows.Mods, error) {
	var unread error
	have := func(w *openflow.WireFlow) bool {
		unread = p.flows.Have(w)
		return unread == nil
	}
	var err error
	if p.cookies == nil {
		err = dump.Each(ctx, have)
	} else {
		err = s.sw.WireFlows(ctx, p.cookies, have)
	}
	if err = errors.Join(err, unread); err != nil {
		return flows.Mods{}, fmt.Errorf("host %s: read flows: %w", s.host.name, err)
	}
	return p.flows.Mods()
}

// commit sends the mods as one bundle. A bundle that the switch refuses is sent again flow
// by flow, so that the bad flow is named and the rest lands.
func (s *session) commit(ctx context.Context, p plan, mods flows.Mods) error {
	left := s.leftBy(p, mods)
	if mods.Len() == 0 {
		s.left = left
		return nil
	}
	s.left = nil // until all of it has landed
	if slices.ContainsFunc(mods.Delete, counts) {
		// What such a flow tells when it goes is lost with the session, or among many others.
		if err := s.readCounters(ctx); err != nil {
			return err
		}
	}
	bundle := bundleOf(mods)
	err := s.sw.Commit(ctx, bundle)
	var refused *datapath.RefusedError
	if errors.As(err, &refused) {
		return s.commitEach(ctx, p, bundle.Mods)
	}
	if err != nil {
		return fmt.Errorf("host %s: commit %d flow mods: %w", s.host.name, mods.Len(), err)
	}
	s.counted(bundle.Mods)
	s.left = left
	return nil
}

// leftBy is the fingerprint of what the switch holds once the mods that a plan needs have
// landed; nil where that cannot be told.
func (s *session) leftBy(p plan, mods flows.Mods) *flows.Fingerprint {
	installed, desired := p.flows.Fingerprints()
	whole := p.cookies == nil
	switch {
	case whole && mods.Len() == 0:
		return &installed // equal, though perhaps in other bytes than ours
	case whole:
		return &desired
	case s.left == nil || mods.Len() == 0:
		return s.left
	}
	left := s.left.Replaced(installed, desired)
	return &left
}

func bundleOf(mods flows.Mods) *datapath.Bundle {
	b := &datapath.Bundle{Mods: make([]datapath.Mod, 0, mods.Len())}
	add := func(command openflow.Command, list []openflow.Flow) {
		for _, f := range list {
			b.Mods = append(b.Mods, datapath.Mod{Command: command, Flow: f})
		}
	}
	add(openflow.DeleteStrict, mods.Delete)
	add(openflow.ModifyStrict, mods.Modify)
	add(openflow.Add, mods.Add)
	return b
}

func (s *session) commitEach(ctx context.Context, p plan, mods []datapath.Mod) error {
	errs := s.sw.Apply(ctx, mods)
	var landed []datapath.Mod
	for i, mod := range mods {
		var refused *datapath.RefusedError
		switch {
		case errs[i] == nil:
			landed = append(landed, mod)
		case errors.As(errs[i], &refused):
			s.noteRefusal(p, mod, errs[i])
		default:
			return fmt.Errorf("host %s: send a flow mod: %w", s.host.name, errs[i])
		}
	}
	s.counted(landed)
	return nil
}

func (s *session) noteRefusal(p plan, mod datapath.Mod, err error) {
	slice := flows.Slice(mod.Flow.Cookie)
	s.c.mu.RLock()
	owner := flows.Owner(s.c.state, mod.Flow.Cookie)
	served := flows.Served(s.c.state, s.host.name, slice)
	s.c.mu.RUnlock()
	flow := mod.Flow
	flow.Cookie = 0 // its owner says it in words
	t := p.troubles[slice]
	t.problems = append(t.problems, store.Problem{
		Object: owner,
		Text:   fmt.Sprintf("the switch of host %s refused %s: %v", s.host.name, flow.String(), err),
	})
	t.unserved = served
	p.troubles[slice] = t
	s.c.metrics.Refused.WithLabelValues(s.host.name).Inc()
}

// counted keeps the number of flows by table and the confirmed mods.
func (s *session) counted(mods []datapath.Mod) {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	for _, mod := range mods {
		switch mod.Command {
		case openflow.Add:
			s.host.tables[mod.Flow.Table]++
			s.c.metrics.FlowMods.WithLabelValues("add").Inc()
		case openflow.DeleteStrict:
			s.host.tables[mod.Flow.Table]--
			s.c.metrics.FlowMods.WithLabelValues("delete").Inc()
		default:
			s.c.metrics.FlowMods.WithLabelValues("modify").Inc()
		}
	}
}
