package prove

import (
	"cmp"
	"iter"
	"slices"

	"sluice/flows"

	of "sluice/datapath/openflow"
)

// This file proves what depends on order: that what must be refused is refused by a flow of higher
// priority than any that would pass it. Only a few tables have such refusals.

// orderedTables have them.
var orderedTables = []uint8{flows.TableAdmit, flows.TableAdmitND, flows.TableRoute, flows.TableNATState, flows.TableNATNew, flows.TableEncap}

// order is one such table. A refusal counts for the flows of its own slice, and for all where it is everybody's: so
// what was proved of a flow does not rest on what other tenants have.
type order struct {
	must       []refusal
	covered    []int32                    // for each of must: from which priority on everybody's flows refuse all of it; -1: they do not
	everybodys []*of.Flow                 // flows that refuse, the highest priority first
	own        map[flows.Slice][]*of.Flow // those of tenants
	passing    []int                      // the places of the flows that it is proved of
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
		return passes(flows.TableSteer, flows.TableNAT, flows.TableNATNew, flows.TableAccountOut) && !r.handedOver()
	case flows.TableNATState:
		return passes(flows.TableNATNew, flows.TableNATOut, flows.TableAccountOut, flows.TableEncap)
	case flows.TableEncap:
		return r.sends
	}
	return false
}

// refusing takes in a flow that refuses.
func (o *order) refusing(f *of.Flow) {
	slice := flows.Slice(f.Cookie)
	if slice.Tenant() == 0 {
		o.everybodys = append(o.everybodys, f)
		return
	}
	if o.own == nil {
		o.own = map[flows.Slice][]*of.Flow{}
	}
	o.own[slice] = append(o.own[slice], f)
}

// sort brings everybody's refusals into the order of their priorities.
func (o *order) sort() {
	slices.SortStableFunc(o.everybodys, func(a, b *of.Flow) int { return cmp.Compare(b.Priority, a.Priority) })
}

// cover finds from which priority on each refusal is whole.
func (o *order) cover() {
	o.covered = make([]int32, len(o.must))
	same := o.index()
	for i := range o.must {
		frames := o.must[i].frames
		if priority, ok := same[keyOf(frames)]; ok && len(frames) <= len(key{}) {
			o.covered[i] = priority
			continue
		}
		o.covered[i] = o.wholeFrom(frames)
	}
}

// key is a match of few fields, as the refusals have that there is one of for each host of a cluster.
type key [3]of.MatchField

func keyOf(m of.Match) (k key) {
	copy(k[:], m)
	return k
}

// index has, for each match of few fields that everybody's flows refuse, the highest priority at which they do.
func (o *order) index() map[key]int32 {
	same := make(map[key]int32, len(o.everybodys))
	for _, f := range slices.Backward(o.everybodys) {
		if len(f.Match) <= len(key{}) {
			same[keyOf(f.Match)] = int32(f.Priority)
		}
	}
	return same
}

// wholeFrom is the lowest priority such that flows of everybody's, of it and above, refuse all the frames; -1: they do not.
func (o *order) wholeFrom(frames of.Match) int32 {
	var some []of.Match
	for _, f := range o.everybodys {
		if within(frames, f.Match) {
			return int32(f.Priority) // alone
		}
		if !apart(frames, f.Match) {
			some = append(some, f.Match)
		}
	}
	var s subtraction
	if left, ok := s.rest(frames, some); left != nil || !ok {
		return -1
	}
	return int32(o.everybodys[len(o.everybodys)-1].Priority)
}

// countFor are the refusals that count for a flow.
func (o *order) countFor(r *run) iter.Seq[*of.Flow] {
	return func(yield func(*of.Flow) bool) {
		for _, list := range [][]*of.Flow{o.everybodys, o.own[r.slice]} {
			for _, f := range list {
				if !yield(f) {
					return
				}
			}
		}
	}
}

// above are the refusals of higher priority than a flow's that meet some frames.
func (o *order) above(frames of.Match, r *run) (list []of.Match) {
	for f := range o.countFor(r) {
		if f.Priority > r.flow.Priority && !apart(f.Match, frames) {
			list = append(list, f.Match)
		}
	}
	return list
}

// late is the refusal that comes too late for some frames; nil: there is none.
func (o *order) late(frames of.Match, r *run) *of.Flow {
	for f := range o.countFor(r) {
		if f.Priority <= r.flow.Priority && !apart(f.Match, frames) {
			return f
		}
	}
	return nil
}

// holds proves one flow of the table. allowed are frames that it may pass in any case.
func (o *order) holds(r *run, allowed []of.Match) {
	for i := range o.must {
		m := &o.must[i]
		if int32(r.flow.Priority) < o.covered[i] || !m.asked(r.flow) || m.relayed && !r.relayed(r.slice.Tenant()) {
			continue
		}
		frames, meets := meet(m.frames, r.flow.Match)
		if !meets {
			continue
		}
		var s subtraction
		switch left, ok := s.rest(frames, slices.Concat(o.above(frames, r), allowed)); {
		case !ok:
			r.broken(RuleComplex, "the refusals of table %s are too many cases to see that it passes none of %s", flows.TableName(r.flow.Table), m.words())
		case left == nil:
		default:
			r.passesRefused(left, m.words(), o.late(left, r))
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
