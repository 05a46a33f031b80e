package prove

import (
	"maps"
	"slices"

	"sluice/flows"
	"sluice/store"
)

// StateChanged proves again after a batch was applied to the state, with what State.Apply said of it. It is
// called before the next Apply. What depends on a tenant's objects is proved again for that tenant; a
// change of what a host is to others is proved over all flows.
func (p *Proof) StateChanged(s *store.State, changes []store.Change) {
	var stale staleness
	for i := range changes {
		stale.note(s, &changes[i])
	}
	p.see(s, flows.Switch{Host: p.host, OFPort: p.ofport})
	p.again(&stale)
}

// PortsChanged proves again after interfaces came to the switch or left it.
func (p *Proof) PortsChanged(ofport map[string]uint32) {
	var stale staleness
	for _, m := range []map[string]uint32{p.ofport, ofport} {
		for iface := range m {
			if p.ofport[iface] == ofport[iface] {
				continue
			}
			item := p.state.PortByInterface(p.host, iface)
			if item == nil {
				stale.all = stale.all || iface == store.TunnelInterface || iface == store.GatewayInterface
				continue
			}
			stale.tenant(p.state, item.Key.Tenant)
		}
	}
	p.see(p.state, flows.Switch{Host: p.host, OFPort: maps.Clone(ofport)})
	p.again(&stale)
}

// staleness is what has to be proved again.
type staleness struct {
	all     bool
	tenants []uint32 // by number
}

func (st *staleness) note(s *store.State, c *store.Change) {
	switch c.Key.Kind {
	case store.KindTenant, store.KindNetwork, store.KindPort, store.KindGateway:
		for _, o := range []store.Object{c.Before, c.After} {
			if t, ok := o.(*store.Tenant); ok {
				st.tenants = append(st.tenants, t.Number)
			}
		}
		st.tenant(s, c.Key.Tenant)
	case store.KindHost:
		before, was := c.Before.(*store.Host)
		after, is := c.After.(*store.Host)
		st.all = st.all || !was || !is || before == after || c.Anew || !sameToOthers(before, after)
	case store.KindSettings:
		st.all = true
	}
}

func (st *staleness) tenant(s *store.State, name string) {
	st.tenants = append(st.tenants, s.FormerNumbers(name)...)
	if t := s.Tenant(name); t != nil {
		st.tenants = append(st.tenants, t.Value.Number)
	}
}

// again proves what is stale, and what had findings: those may be of anybody's objects.
func (p *Proof) again(st *staleness) {
	if st.all {
		for table, o := range p.orders {
			o.must, o.stale = p.refusals(table), true
		}
		for _, e := range p.entries {
			p.prove(e)
		}
		p.settle()
		return
	}
	slices.Sort(st.tenants)
	for _, number := range slices.Compact(st.tenants) {
		for e := range p.tenants[number] {
			p.prove(e)
		}
	}
	for e := range p.broken {
		p.prove(e)
	}
	p.settle()
}
