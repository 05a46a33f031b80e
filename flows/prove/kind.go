package prove

import (
	"slices"

	"sluice/flows"

	of "sluice/datapath/openflow"
)

// This file says how the flows of each kind of slice are proved. A kind that is not here is nobody's: its
// flows are findings.

// kinds are how each kind's flows are held against their cookie.
var kinds = map[flows.Kind]func(*run){
	flows.KindBase:    (*run).everybodys,
	flows.KindPeer:    (*run).everybodys,
	flows.KindTenant:  (*run).tenants,
	flows.KindNetwork: (*run).tenants,
	flows.KindPort:    (*run).tenants,
	flows.KindPeering: (*run).peerings,

	flows.KindPublished: (*run).publications,

	flows.KindResolver: (*run).everybodys,
}

// everybodys is a flow that is nobody's: which ways it may go way.go says.
func (r *run) everybodys() {
	if r.slice.Tenant() != 0 {
		r.broken(RuleOwner, "its cookie is of no object of Sluice, so that nobody would delete it")
	}
}

// tenants is a flow of one tenant.
func (r *run) tenants() {
	if r.slice.Tenant() == 0 {
		r.broken(RuleOwner, "its cookie is of no object of Sluice, so that nobody would delete it")
		return
	}
	if !r.refuses() {
		r.owner()
	}
}

// begin makes the run ready for another flow. What it has room for is kept.
func (p *picture) begin(f *of.Flow) *run {
	if p.run == nil {
		p.run = &run{}
	}
	r := p.run
	*r = run{picture: p, flow: f, slice: flows.Slice(f.Cookie),
		writes: r.writes[:0], stack: r.stack[:0], passes: r.passes[:0], named: r.named[:0]}
	return r
}

// flowOf proves one flow for itself, whatever the others are. The run is good until the next.
func (p *picture) flowOf(f *of.Flow) *run {
	r := p.begin(f)
	if f.Unknown != "" || !canonical(f.Match) {
		r.broken(RuleAction, "it matches what this proof does not understand, so that nothing is known of its frames")
		return r
	}
	r.tenant, _ = r.matched()
	r.do(f.Actions)
	r.comesBack()
	switch proof := kinds[r.slice.Kind()]; {
	case r.refuses() && len(r.findings) == 0: // whoever's it is
	case proof == nil:
		r.broken(RuleOwner, "its cookie is of no object of Sluice, so that nobody would delete it")
	default:
		r.asItWas(proof)
	}
	return r
}

// asItWas calls f with what the flow matches, before its actions.
func (r *run) asItWas(f func(*run)) {
	writes := r.writes
	r.writes = nil
	f(r)
	r.writes = writes
}

// canonical reports whether a match names each field once, in order, with a mask that fixes something.
func canonical(m of.Match) bool {
	for i := range m {
		if m[i].Mask.IsZero() || m[i].Field.Bits() == 0 || !without(m[i].Mask, of.Ones(m[i].Field.Bits())).IsZero() {
			return false
		}
	}
	return slices.IsSortedFunc(m, func(a, b of.MatchField) int { return int(a.Field) - int(b.Field) }) && distinct(m)
}

func distinct(m of.Match) bool {
	for i := 1; i < len(m); i++ {
		if m[i].Field == m[i-1].Field {
			return false
		}
	}
	return true
}
