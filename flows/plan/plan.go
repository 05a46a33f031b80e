// Package plan says which flows a change of the state would add, change and remove, before anybody writes it:
// it compiles the slices that the change marks, once from the state before and once from the state after.
//
// It is the same pure function by which switches are programmed, so that a plan and what then happens agree. It
// must never look at more than what is marked: a plan costs what the change costs, but for the two states.
package plan

import (
	"maps"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// Preview is a state and what would become of it.
type Preview struct {
	before, after *store.State
	marked        map[string]map[flows.Slice]struct{} // by host
}

// New begins with the facts of a state (store.State.Facts).
func New(facts store.Batch) *Preview {
	p := &Preview{before: store.NewState(), after: store.NewState(), marked: map[string]map[flows.Slice]struct{}{}}
	p.before.Apply(facts)
	p.after.Apply(facts)
	return p
}

// State is what was begun with and all changes. Who reads it changes it by Change alone.
func (p *Preview) State() *store.State { return p.after }

// Change is one transaction: objects that are written, and nil ones that are deleted. Their numbers are drawn.
func (p *Preview) Change(writes []store.Event) {
	b := store.Batch{Revision: p.after.Revision() + 1, Events: slices.Clone(writes)}
	for i := range b.Events {
		e := &b.Events[i]
		e.Modified, e.Created = b.Revision, b.Revision
		if was, there := p.after.Find(e.Key); there {
			e.Created = was.Created
		}
	}
	flows.Affected(p.after, p.after.Apply(b), p.mark)
}

func (p *Preview) mark(host string, sl flows.Slice) {
	if p.marked[host] == nil {
		p.marked[host] = map[flows.Slice]struct{}{}
	}
	p.marked[host][sl] = struct{}{}
}

// Hosts are those whose flows may differ, sorted.
func (p *Preview) Hosts() []string { return slices.Sorted(maps.Keys(p.marked)) }

// Flows are what the changes make of a switch's flows, and the problems of what compiles to less than it asks for.
func (p *Preview) Flows(sw flows.Switch) (flows.Mods, []store.Problem, error) {
	slicesOf := slices.Sorted(maps.Keys(p.marked[sw.Host]))
	is, _ := compile(p.before, sw, slicesOf)
	will, problems := compile(p.after, sw, slicesOf)
	mods, err := flows.Compare(is, will)
	return mods, problems, err
}

func compile(s *store.State, sw flows.Switch, list []flows.Slice) (all []of.Flow, problems []store.Problem) {
	for _, sl := range list {
		problems = append(problems, flows.Compile(s, sw, sl, func(f of.Flow) { all = append(all, f) })...)
	}
	return all, problems
}
