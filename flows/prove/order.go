package prove

import (
	"cmp"
	"slices"

	"sluice/flows"

	of "sluice/datapath/openflow"
)

// This file proves what depends on order: that what must be refused is refused by a flow of higher
// priority than any that would pass it. Only a few tables have such refusals.

// orderedTables have them.
var orderedTables = []uint8{flows.TableAdmit, flows.TableAdmitND, flows.TableRoute, flows.TableNATState, flows.TableNATNew, flows.TableEncap}

// order is one such table.
type order struct {
	must    []refusal
	covered []int    // for each of must: from which priority on flows refuse all of it; -1: they do not
	refuse  []*entry // flows that refuse, the highest priority first
	passing map[*entry]struct{}
	stale   bool // must, or what refuses, has changed
}

// bound reports whether a flow of the table may pass only what is refused before it.
func (r *run) bound() bool {
	passes := func(tables ...uint8) bool {
		return slices.ContainsFunc(r.passes, func(to uint8) bool { return slices.Contains(tables, to) })
	}
	switch r.flow.Table {
	case flows.TableAdmit, flows.TableAdmitND, flows.TableNATNew:
		return len(r.passes) > 0
	case flows.TableRoute:
		return passes(flows.TableNAT, flows.TableNATNew, flows.TableAccountOut) && !r.handedOver()
	case flows.TableNATState:
		return passes(flows.TableNATNew, flows.TableNATOut, flows.TableAccountOut, flows.TableEncap)
	case flows.TableEncap:
		return r.sends
	}
	return false
}

// take keeps a flow where it belongs.
func (o *order) take(e *entry) {
	e.ordered = nil
	delete(o.passing, e)
	if e.bound {
		o.passing[e] = struct{}{}
	}
	if e.refuses == e.listed {
		return
	}
	if e.listed = e.refuses; e.refuses {
		o.refuse = append(o.refuse, e)
	} else {
		o.unlist(e)
	}
	o.stale = true
}

// drop forgets a flow.
func (o *order) drop(e *entry) {
	delete(o.passing, e)
	if e.listed {
		o.unlist(e)
		o.stale = true
	}
}

func (o *order) unlist(e *entry) {
	at := slices.Index(o.refuse, e)
	o.refuse = slices.Delete(o.refuse, at, at+1)
}

// renew finds anew from which priority on each refusal is whole.
func (o *order) renew() {
	slices.SortStableFunc(o.refuse, func(a, b *entry) int { return cmp.Compare(b.flow.Priority, a.flow.Priority) })
	o.stale = false
	covered := make([]int, len(o.must))
	for i := range o.must {
		covered[i] = o.cover(o.must[i].frames)
	}
	o.covered = covered
}

// cover is the lowest priority such that flows of it and above refuse all the frames; -1: they do not.
func (o *order) cover(frames of.Match) int {
	var some []of.Match
	for _, e := range o.refuse {
		if within(frames, e.flow.Match) {
			return int(e.flow.Priority) // alone
		}
		if !apart(frames, e.flow.Match) {
			some = append(some, e.flow.Match)
		}
	}
	var s subtraction
	if left, ok := s.rest(frames, some); left != nil || !ok {
		return -1
	}
	return int(o.refuse[len(o.refuse)-1].flow.Priority)
}

// above are the refusals of higher priority that meet some frames.
func (o *order) above(frames of.Match, priority uint16) (list []of.Match) {
	for _, e := range o.refuse {
		if e.flow.Priority > priority && !apart(e.flow.Match, frames) {
			list = append(list, e.flow.Match)
		}
	}
	return list
}

// late is the refusal that comes too late for some frames; nil: there is none.
func (o *order) late(frames of.Match, priority uint16) *of.Flow {
	for _, e := range o.refuse {
		if e.flow.Priority <= priority && !apart(e.flow.Match, frames) {
			return &e.flow
		}
	}
	return nil
}

// holds proves one flow of the table. allowed are frames that it may pass in any case.
func (o *order) holds(r *run, allowed []of.Match) {
	for i, m := range o.must {
		if int(r.flow.Priority) < o.covered[i] {
			continue
		}
		frames, meets := meet(m.frames, r.flow.Match)
		if !meets {
			continue
		}
		var s subtraction
		switch left, ok := s.rest(frames, slices.Concat(o.above(frames, r.flow.Priority), allowed)); {
		case !ok:
			r.broken(RuleComplex, "the refusals of table %s are too many cases to see that it passes none of %s", flows.TableName(r.flow.Table), m.why)
		case left == nil:
		default:
			r.passesRefused(left, m.why, o.late(left, r.flow.Priority))
		}
	}
}

func (r *run) passesRefused(left of.Match, what string, late *of.Flow) {
	if late != nil {
		r.brokenFor(left, RuleRefused, "it passes %s: %s would refuse them, and does not come before it", what, late)
		return
	}
	r.brokenFor(left, RuleRefused, "it passes %s: no flow refuses them", what)
}
