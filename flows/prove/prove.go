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
	return New(s, t).Findings()
}

// picture is the store as the flows of one host are held against it.
type picture struct {
	state           *store.State
	host            string
	ofport          map[string]uint32
	tunnel, gateway uint32
	ports           map[uint32]*livePort // looked up so far, by number
}

// Proof is the proof of one host, kept so that after a change only what depends on it is proved again. It
// is not safe for concurrent use.
type Proof struct {
	picture
	entries  map[string]*entry              // by what tells two flows of a switch apart
	tenants  map[uint32]map[*entry]struct{} // by the tenant of the cookie
	broken   map[*entry]struct{}            // those with findings
	orders   map[uint8]*order
	sequence int
	proved   int // flows that were proved, for tests
	key      []byte
}

// entry is one installed flow.
type entry struct {
	flow     of.Flow
	at       int // when it came
	refuses  bool
	bound    bool // order.go looks at what it passes
	listed   bool // order.go knows that it refuses
	findings []Finding
	ordered  []Finding // those of order.go
}

// New proves all that a switch holds.
func New(s *store.State, t Tables) *Proof {
	p := &Proof{entries: make(map[string]*entry, len(t.Flows)), tenants: map[uint32]map[*entry]struct{}{}, broken: map[*entry]struct{}{}, orders: map[uint8]*order{}}
	p.see(s, flows.Switch{Host: t.Switch.Host, OFPort: maps.Clone(t.Switch.OFPort)})
	for _, table := range orderedTables {
		p.orders[table] = &order{must: p.refusals(table), passing: map[*entry]struct{}{}, stale: true}
	}
	for i := range t.Flows {
		p.add(&t.Flows[i])
	}
	p.settle()
	return p
}

// see takes another state, or another list of ports.
func (p *Proof) see(s *store.State, sw flows.Switch) {
	p.picture = picture{state: s, host: sw.Host, ofport: sw.OFPort, tunnel: sw.OFPort[store.TunnelInterface],
		gateway: sw.OFPort[store.GatewayInterface], ports: map[uint32]*livePort{}}
}

// Findings are all that is found, in the order in which the flows came. Nil: it is proved.
func (p *Proof) Findings() []Finding {
	var all []Finding
	broken := slices.SortedFunc(maps.Keys(p.broken), func(a, b *entry) int { return a.at - b.at })
	for i, e := range broken {
		for _, f := range slices.Concat(e.findings, e.ordered) {
			if i < shadowsSought {
				f.ShadowedBy = p.shadow(e)
			}
			all = append(all, f)
		}
	}
	return all
}

// shadowsSought is for how many flows it is looked what shadows them: that takes all flows of a table each.
const shadowsSought = 100

// shadow is a flow of higher priority that matches all that e does; nil: there is none.
func (p *Proof) shadow(e *entry) (by *of.Flow) {
	for _, other := range p.entries {
		f := &other.flow
		if f.Table == e.flow.Table && f.Priority > e.flow.Priority && within(e.flow.Match, f.Match) &&
			(by == nil || f.Priority > by.Priority || f.Priority == by.Priority && f.String() < by.String()) {
			by = f
		}
	}
	return by
}

// Changed proves again after flows came to the switch or left it. A flow that came in the place of one
// with the same table, priority and match takes its place.
func (p *Proof) Changed(gone, came []of.Flow) {
	for i := range gone {
		p.remove(&gone[i])
	}
	for i := range came {
		p.add(&came[i])
	}
	p.settle()
}

func (p *Proof) name(f *of.Flow) string {
	p.key = f.AppendMatchKey(p.key[:0])
	return string(p.key)
}

func (p *Proof) add(f *of.Flow) {
	p.remove(f)
	p.sequence++
	e := &entry{flow: *f, at: p.sequence}
	p.entries[p.name(f)] = e
	tenant := flows.Slice(f.Cookie).Tenant()
	if p.tenants[tenant] == nil {
		p.tenants[tenant] = map[*entry]struct{}{}
	}
	p.tenants[tenant][e] = struct{}{}
	p.prove(e)
}

func (p *Proof) remove(f *of.Flow) {
	e := p.entries[p.name(f)]
	if e == nil {
		return
	}
	delete(p.entries, string(p.key))
	delete(p.broken, e)
	delete(p.tenants[flows.Slice(e.flow.Cookie).Tenant()], e)
	if o := p.orders[e.flow.Table]; o != nil {
		o.drop(e)
	}
}

// prove proves one flow, but for what depends on order where refusals are still to be looked at.
func (p *Proof) prove(e *entry) {
	p.proved++
	r := p.flowOf(&e.flow)
	e.findings, e.refuses, e.bound = r.findings, r.refuses() && len(r.findings) == 0, r.bound()
	if o := p.orders[e.flow.Table]; o != nil {
		o.take(e)
		if e.bound && !o.stale {
			p.proveOrder(o, e)
		}
	}
	p.note(e)
}

// note keeps the list of flows with findings.
func (p *Proof) note(e *entry) {
	if len(e.findings)+len(e.ordered) > 0 {
		p.broken[e] = struct{}{}
		return
	}
	delete(p.broken, e)
}

func (p *Proof) proveOrder(o *order, e *entry) {
	r := &run{picture: &p.picture, flow: &e.flow, slice: flows.Slice(e.flow.Cookie)}
	var allowed []of.Match
	if port, _ := r.portIn(flows.RegSource); port != nil && e.flow.Table == flows.TableAdmitND {
		allowed = port.speech().discovery
	}
	o.holds(r, allowed)
	e.ordered = r.findings
}

// settle looks at each table where refusals have changed.
func (p *Proof) settle() {
	for _, table := range orderedTables {
		o := p.orders[table]
		if !o.stale {
			continue
		}
		o.renew()
		for e := range o.passing {
			p.proveOrder(o, e)
			p.note(e)
		}
	}
}
