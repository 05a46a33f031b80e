package prove

import (
	"slices"

	"sluice/flows"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file proves a part of a switch's flows, after the whole of them was proved. A part is all flows of some
// slices of tenants: those whose flows, or whose objects in the store, changed since.
//
// It is enough, since nothing that was proved of another slice's flows rests on these flows. What depends on order rests
// on everybody's refusals and on those of the flow's own slice (order.go). And a port, wherever its number stands in a flow,
// is the concern of the port's slice and of its network's alone: where a flow names another, there are no parts.

// Ground is what the proof of a part rests on: which of the refusals that must be there everybody's flows make, as
// the last whole proof found them. It is right until a flow of everybody's changes, or what a host or the settings are.
// It holds no flow, and a few bytes for each host of the cluster.
type Ground struct {
	covered map[uint8][]int32 // by table: from which priority on; see order
}

// Whole proves all that a switch holds, as Host does. ground is what parts of it may be proved on afterwards; nil: there is
// a finding, or a flow that names a port which its slice is not of.
func Whole(s *store.State, t Tables) (found []Finding, ground *Ground) {
	p := prove(s, t)
	if len(p.found) > 0 || p.strays {
		return p.list(), nil
	}
	ground = &Ground{covered: make(map[uint8][]int32, len(p.orders))}
	for table, o := range p.orders {
		ground.covered[table] = o.covered
	}
	return nil, ground
}

// Part reports whether all flows of some slices keep the rules, given that those of all others do. False says only that this is
// not known: the whole is to be proved then.
func (g *Ground) Part(s *store.State, t Tables) bool {
	p := newProof(s, t)
	if slices.ContainsFunc(t.Flows, func(f of.Flow) bool { return flows.Slice(f.Cookie).Tenant() == 0 }) {
		return false
	}
	p.each()
	if p.strays {
		return false
	}
	for table, o := range p.orders {
		if len(o.passing) == 0 {
			continue
		}
		if o.must = p.refusals(table); len(o.must) != len(g.covered[table]) {
			return false // the cluster has other hosts by now
		}
		o.covered = g.covered[table]
		o.sort()
		p.order(o)
	}
	return len(p.found) == 0
}

// PartOf reports whether a slice can be proved as a part. What is everybody's cannot.
func PartOf(sl flows.Slice) bool { return sl.Tenant() != 0 }

// atHome reports whether the flow names no port but those that its slice is of.
func (r *run) atHome() bool {
	for _, number := range r.named {
		switch r.slice.Kind() {
		case flows.KindPort:
			if number != uint32(r.slice) {
				return false
			}
		case flows.KindNetwork:
			if p := r.livePort(number); p == nil || p.network != uint32(r.slice) {
				return false
			}
		default:
			return false
		}
	}
	return true
}
