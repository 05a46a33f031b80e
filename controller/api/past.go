package api

import (
	"context"
	"fmt"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// listPast lists the flows that a host was to have at a revision, or what changed of them since another one.
func (s *server) listPast(ctx context.Context, in *flowQuery) (*flowList, error) {
	if in.View == client.ViewDiff {
		return nil, malformed("view diff compares with what the switch holds now: ask for it without a revision, or for what changed with since")
	}
	if err := s.dumps.Acquire(ctx, 1); err != nil {
		return nil, s.refuse(fmt.Errorf("flows of host %s: wait for others that are read: %w", in.Host, err))
	}
	defer s.dumps.Release(1)
	states, err := s.pasts(ctx, in.Since, in.At)
	if err != nil {
		return nil, s.refuse(err)
	}
	p, err := s.pastOf(in, states)
	if err != nil {
		return nil, err
	}
	return p.list(s)
}

// pasts are the states of some revisions: since, unless it is 0, and at, or now.
func (s *server) pasts(ctx context.Context, since, at store.Revision) (states []*store.State, err error) {
	if since > 0 {
		state, err := s.Controller.Past(ctx, since)
		if err != nil {
			return nil, err
		}
		states = append(states, state)
	}
	state, err := s.past(ctx, at)
	return append(states, state), err
}

// past is the state at a revision, which nobody changes; 0: now.
func (s *server) past(ctx context.Context, at store.Revision) (*store.State, error) {
	if at > 0 {
		return s.Controller.Past(ctx, at)
	}
	var facts store.Batch
	s.Controller.View(func(state *store.State) { facts = state.Facts() })
	state := store.NewState()
	state.Apply(facts)
	return state, nil
}

// pastFlows are a question about the flows of one host in the past.
type pastFlows struct {
	host   string
	states []*store.State         // one, or what was before and after
	keep   []func(described) bool // of each state: those that are asked for
	sw     flows.Switch
	gone   int // interfaces that the switch has not now
}

// pastOf refuses names of nothing, which are those that neither state has.
func (s *server) pastOf(in *flowQuery, states []*store.State) (*pastFlows, error) {
	p := &pastFlows{host: in.Host, states: states}
	var missing []error
	for _, state := range states {
		keep, err := in.choosers(state)
		if state.Host(in.Host) == nil {
			err = huma.Error404NotFound(fmt.Sprintf("host %s did not exist at revision %d", in.Host, state.Revision()))
		}
		if err != nil {
			missing = append(missing, err)
		}
		p.keep = append(p.keep, func(f described) bool {
			return err == nil && !slices.ContainsFunc(keep, func(k func(described) bool) bool { return !k(f) })
		})
	}
	if len(missing) == len(states) {
		return nil, missing[len(missing)-1]
	}
	p.sw, p.gone = s.Controller.SwitchAt(in.Host, states...)
	return p, nil
}

// desired compiles what the host was to have in one state.
func (p *pastFlows) desired(i int) ([]openflow.Flow, store.Problems) {
	if p.states[i].Host(p.host) == nil {
		return nil, nil
	}
	list, problems := flows.Desired(p.states[i], p.sw)
	return list, problems
}

// list compiles, and describes each flow as the state names things that it is of.
func (p *pastFlows) list(s *server) (*flowList, error) {
	last := len(p.states) - 1
	desired, problems := p.desired(last)
	found := unchanged(desired)
	if last > 0 {
		before, _ := p.desired(0)
		changes, err := difference(unchanged(before), desired)
		if err != nil {
			return nil, s.refuse(err)
		}
		found = changes
	}
	inOrder(found)
	d, out := describerOf(p.sw), &flowList{Body: []client.Flow{}}
	for i := range found {
		of := last
		if found[i].change == "delete" {
			of = 0
		}
		if f := d.flow(p.states[of], &found[i]); p.keep[of](f) {
			out.Body = append(out.Body, f.Flow)
		}
	}
	for _, problem := range problems.Told() {
		out.Problems = append(out.Problems, problem.Object+": "+problem.Text)
	}
	if p.gone > 0 {
		out.Problems = append(out.Problems, fmt.Sprintf("hosts/%s: %d interfaces of then are not on its switch now, as far as this controller knows: their OpenFlow numbers are assumed", p.host, p.gone))
	}
	return out, nil
}

// pastFor is the state at a revision for one caller. A tenant's caller is not shown a tenant of before that had the name.
func (s *server) pastFor(ctx context.Context, caller access.Caller, at store.Revision) (*store.State, error) {
	state, err := s.past(ctx, at)
	if err != nil || caller.Role != store.RoleTenant {
		return state, err
	}
	var created store.Revision
	s.Controller.View(func(now *store.State) {
		if t := now.Tenant(caller.Tenant); t != nil {
			created = t.Created
		}
	})
	if then := state.Tenant(caller.Tenant); then == nil || then.Created != created {
		return nil, fmt.Errorf("%w: tenant %s did not exist at revision %d", store.ErrNotFound, caller.Tenant, at)
	}
	return state, nil
}
