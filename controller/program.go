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
	tables   map[uint8]int     // how many flows it wants, by table, but for those that the switch refused
	troubles map[flows.Slice]trouble
	missing  []absence
}

// trouble is what is wrong with one slice on one host.
type trouble struct {
	problems []store.Problem
	unserved []store.Key     // what is not programmed whole for it
	refused  []openflow.Flow // by the switch
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
	var doubled []store.Problem
	want := func(f openflow.Flow) {
		first, ok := p.flows.Want(f)
		if !ok {
			doubled = append(doubled, flows.Doubled(s.c.state, s.host.name, &f, first)...)
			return
		}
		p.tables[f.Table]++
	}
	one := func(slice flows.Slice) {
		problems := append(flows.Compile(s.c.state, view, slice, want), doubled...)
		doubled = nil
		if len(problems) > 0 {
			p.troubles[slice] = trouble{problems: problems, unserved: s.contested(problems)}
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
		if key := problem.Key; key.Kind == store.KindPort && key.Host == s.host.name {
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
		return s.commitEach(ctx, p, mods)
	}
	if err != nil {
		return fmt.Errorf("host %s: commit %d flow mods: %w", s.host.name, mods.Len(), err)
	}
	s.counted(p, mods)
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

// kind is the flows of some mods that have one thing in common.
type kind struct {
	command openflow.Command
	label   string // of the command in metrics
	flows   *[]openflow.Flow
	growth  int // by how much each makes its table grow
}

// kinds are in the order in which they are sent: what goes makes room for what comes.
func kinds(m *flows.Mods) []kind {
	return []kind{
		{openflow.DeleteStrict, "delete", &m.Delete, -1},
		{openflow.ModifyStrict, "modify", &m.Modify, 0},
		{openflow.Add, "add", &m.Replace, 0},
		{openflow.Add, "add", &m.Add, 1},
	}
}

func bundleOf(mods flows.Mods) *datapath.Bundle {
	b := &datapath.Bundle{Mods: make([]datapath.Mod, 0, mods.Len())}
	for _, k := range kinds(&mods) {
		for _, f := range *k.flows {
			b.Mods = append(b.Mods, datapath.Mod{Command: k.command, Flow: f})
		}
	}
	return b
}

func (s *session) commitEach(ctx context.Context, p plan, mods flows.Mods) error {
	errs := s.sw.Apply(ctx, bundleOf(mods).Mods)
	for _, k := range kinds(&mods) {
		var landed []openflow.Flow
		for i, f := range *k.flows {
			var refused *datapath.RefusedError
			switch {
			case errs[i] == nil:
				landed = append(landed, f)
			case errors.As(errs[i], &refused):
				s.noteRefusal(p, f, errs[i])
				p.tables[f.Table] -= k.growth
			default:
				return fmt.Errorf("host %s: send a flow mod: %w", s.host.name, errs[i])
			}
		}
		errs, *k.flows = errs[len(*k.flows):], landed
	}
	s.counted(p, mods)
	return nil
}

func (s *session) noteRefusal(p plan, f openflow.Flow, err error) {
	slice := flows.Slice(f.Cookie)
	s.c.mu.RLock()
	owner := flows.Owner(s.c.state, f.Cookie)
	served := flows.Served(s.c.state, s.host.name, slice)
	s.c.mu.RUnlock()
	t := p.troubles[slice]
	t.refused = append(t.refused, f)
	f.Cookie = 0 // its owner says it in words
	t.problems = append(t.problems, store.Problem{
		Object: owner,
		Text:   fmt.Sprintf("the switch of host %s refused %s: %v", s.host.name, f.String(), err),
	})
	t.unserved = served
	p.troubles[slice] = t
	s.count(s.c.metrics.Refused, 1)
}

// counted keeps the confirmed mods, and the number of flows by table. That of a resync comes
// with its troubles: what the switch held before it may be another than was known.
func (s *session) counted(p plan, mods flows.Mods) {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	for _, k := range kinds(&mods) {
		for _, f := range *k.flows {
			if p.cookies != nil {
				s.host.tables[f.Table] += k.growth
			}
		}
		s.c.metrics.FlowMods.WithLabelValues(k.label).Add(float64(len(*k.flows)))
	}
}
