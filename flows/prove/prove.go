package prove

import (
	"maps"
	"slices"

	"sluice/flows"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// Host proves all that one switch holds. It returns a finding for each rule that a flow breaks: none
// means that it is proved. The order is that of the flows.
func Host(s *store.State, t Tables) []Finding {
	return prove(s, t).list()
}

// picture is the store as the flows of one host are held against it.
type picture struct {
	state           *store.State
	host            string
	ofport          map[string]uint32
	tunnel, gateway uint32
	resolver, trunk uint32
	ports           map[uint32]*livePort // looked up so far, by number
	run             *run                 // of one flow after the other
}

// proof is a proof over some flows of one host, while it is made.
type proof struct {
	picture
	flows  []of.Flow
	orders map[uint8]*order
	found  map[int][]Finding // by the place of the flow
	asking map[int]bool      // what it passes are questions to the resolver, and nothing else
	strays bool              // a flow names a port that its slice is not of
}

func newProof(s *store.State, t Tables) *proof {
	p := &proof{flows: t.Flows, orders: make(map[uint8]*order, len(orderedTables)), found: map[int][]Finding{}, asking: map[int]bool{}, picture: picture{
		state: s, host: t.Switch.Host, ofport: t.Switch.OFPort, tunnel: t.Switch.OFPort[store.TunnelInterface],
		gateway: t.Switch.OFPort[store.GatewayInterface], resolver: t.Switch.OFPort[store.ResolverInterface], ports: map[uint32]*livePort{},
	}}
	if own := s.Host(p.host); own != nil && own.Value.Trunk != "" {
		p.trunk = p.ofport[own.Value.Trunk]
	}
	for _, table := range orderedTables {
		p.orders[table] = &order{}
	}
	return p
}

// prove proves all that a switch holds.
func prove(s *store.State, t Tables) *proof {
	p := newProof(s, t)
	p.each()
	for table, o := range p.orders {
		o.must = p.refusals(table)
		o.sort()
		o.cover()
		p.order(o)
	}
	return p
}

// each proves each flow, but for what depends on order.
func (p *proof) each() {
	for i := range p.flows {
		r := p.flowOf(&p.flows[i])
		p.strays = p.strays || !r.atHome()
		p.find(i, r)
		o := p.orders[r.flow.Table]
		if o == nil {
			continue
		}
		if r.refuses() && len(r.findings) == 0 {
			o.refusing(r.flow)
		}
		if r.bound() {
			o.passing = append(o.passing, i)
		}
		if r.onlyAsks() {
			p.asking[i] = true
		}
	}
}

// order proves what depends on the order of a table.
func (p *proof) order(o *order) {
	for _, i := range o.passing {
		f := &p.flows[i]
		r := &run{picture: &p.picture, flow: f, slice: flows.Slice(f.Cookie)}
		var allowed []of.Match
		if port, _ := r.portIn(flows.RegSource); port != nil && f.Table == flows.TableAdmitND {
			allowed = port.speech().discovery
		}
		if p.asking[i] {
			allowed = questions
		}
		o.holds(r, allowed)
		p.find(i, r)
	}
}

// find notes what a run found of the flow at a place.
func (p *proof) find(at int, r *run) {
	if len(r.findings) > 0 {
		p.found[at] = append(p.found[at], r.findings...)
	}
}

// list are all findings, in the order of the flows. Nil: it is proved.
func (p *proof) list() []Finding {
	var all []Finding
	for i, at := range slices.Sorted(maps.Keys(p.found)) {
		var by *of.Flow
		if i < shadowsSought {
			by = p.shadow(&p.flows[at])
		}
		for _, f := range p.found[at] {
			f.ShadowedBy = by
			all = append(all, f)
		}
	}
	return all
}

// shadowsSought is for how many flows it is looked what shadows them: that takes all flows of a table each.
const shadowsSought = 100

// shadow is a flow of higher priority that matches all that one does; nil: there is none.
func (p *proof) shadow(shaded *of.Flow) (by *of.Flow) {
	for i := range p.flows {
		f := &p.flows[i]
		if f.Table == shaded.Table && f.Priority > shaded.Priority && within(shaded.Match, f.Match) &&
			(by == nil || f.Priority > by.Priority || f.Priority == by.Priority && f.String() < by.String()) {
			by = f
		}
	}
	return by
}
