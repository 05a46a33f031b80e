package flows

import (
	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file is the naive twin of the product's one way to compile and compare: whole hosts
// object by object instead of slice by slice, and lists of flows instead of their bytes.

// CompileHost emits every flow of a host. Two flows with one table, priority and match
// are a problem; the first stands.
func CompileHost(s *store.State, sw Switch, emit func(of.Flow)) []store.Problem {
	unique := uniqueFlows{seen: newIndex(0), emit: emit}
	c := newCompiler(s, sw, baseSlice(), unique.add)
	c.base()
	for h := range s.Hosts() {
		c.slice = peerSlice(h.Key.Host)
		c.peer(h)
	}
	c.slice = resolverSlice()
	if c.resolver != 0 {
		c.toResolver()
	}
	for _, name := range tenantsOn(s, sw.Host) {
		if t := s.Tenant(name); t != nil {
			c.wholeTenant(t)
		}
	}
	for _, d := range unique.doubled {
		c.problems = append(c.problems, Doubled(s, sw.Host, &d[1], Slice(d[0].Cookie))...)
	}
	return c.problems
}

func (c *compiler) wholeTenant(t *store.Item[store.Tenant]) {
	c.slice = tenantSlice(t.Value.Number)
	c.tenant(t)
	for n := range c.state.NetworksOf(t.Key.Tenant) {
		c.slice = networkSlice(t.Value.Number, n.Value.Number)
		c.network(n)
		for p := range c.state.PortsOf(n.Key.NetworkName()) {
			c.slice = portSlice(t.Value.Number, p.Value.Number)
			c.port(p)
		}
	}
	for _, name := range c.state.PeersOf(t.Key.Tenant) {
		peer := c.state.Tenant(name)
		c.slice = peeringSlice(t.Value.Number, peer.Value.Number)
		c.peering(t, peer)
	}
	c.wholePublications(t)
}

// wholePublications emits what a tenant publishes, as its own slices do.
func (c *compiler) wholePublications(t *store.Item[store.Tenant]) {
	for p := range c.state.PublicationsOf(t.Key.Tenant) {
		c.slice = publishedSlice(t.Value.Number, p.Value)
		if c.state.Unpublished(p) == "" && c.state.TenantName(t.Value.Number) == t.Key.Tenant {
			c.publication(p)
		}
	}
}

// uniqueFlows passes on the first flow of each table, priority and match.
type uniqueFlows struct {
	seen    *index
	doubled [][2]of.Flow
	emit    func(of.Flow)
}

func (u *uniqueFlows) add(f of.Flow) {
	if at := u.seen.find(&f); at >= 0 {
		u.doubled = append(u.doubled, [2]of.Flow{u.seen.flows[at], f})
		return
	}
	u.seen.add(f)
	u.emit(f)
}

// Diff compares two sets of flows in any order.
func Diff(installed, desired []of.Flow) Mods {
	have := newIndex(len(installed))
	for _, f := range installed {
		have.add(f)
	}
	right := make([]bool, len(installed)) // it is desired, as it is or changed
	var m Mods
	for i := range desired {
		d := &desired[i]
		at := have.find(d)
		if at < 0 {
			m.Add = append(m.Add, *d)
			continue
		}
		right[at] = true
		switch old := &have.flows[at]; {
		case old.Cookie != d.Cookie || !sameTimeouts(old, d):
			m.Replace = append(m.Replace, *d) // a modify would keep the old cookie
		case !of.EqualActions(old.Actions, d.Actions):
			m.Modify = append(m.Modify, *d)
		}
	}
	for i := range installed {
		if !right[i] {
			m.Delete = append(m.Delete, installed[i])
		}
	}
	return m
}

// index finds flows by table, priority and match.
type index struct {
	flows []of.Flow
	first map[uint64]int32 // hash -> the last flow added with it
	next  []int32          // flow -> the one before with the same hash; -1: none
}

func newIndex(size int) *index {
	return &index{flows: make([]of.Flow, 0, size), next: make([]int32, 0, size), first: make(map[uint64]int32, size)}
}

func (x *index) add(f of.Flow) {
	h := identity(&f)
	before, ok := x.first[h]
	if !ok {
		before = -1
	}
	x.first[h] = int32(len(x.flows))
	x.flows, x.next = append(x.flows, f), append(x.next, before)
}

// find is the place of the flow that f would replace, or -1.
func (x *index) find(f *of.Flow) int {
	at, ok := x.first[identity(f)]
	for ok && at >= 0 {
		if sameIdentity(&x.flows[at], f) {
			return int(at)
		}
		at = x.next[at]
	}
	return -1
}

func sameTimeouts(f, g *of.Flow) bool {
	return f.IdleTimeout == g.IdleTimeout && f.HardTimeout == g.HardTimeout && f.Flags == g.Flags
}

// sameIdentity reports whether two flows cannot stand in one switch: table, priority and
// match are the same.
func sameIdentity(f, g *of.Flow) bool {
	return f.Table == g.Table && f.Priority == g.Priority && f.Match.Equal(g.Match) && f.Unknown == g.Unknown
}

// identity is a hash of table, priority and match.
func identity(f *of.Flow) uint64 {
	h := mix(0, uint64(f.Table)<<16|uint64(f.Priority))
	for i := range f.Match {
		m := &f.Match[i]
		h = mix(h, uint64(m.Field))
		h = mix(h, m.Value.Lo)
		h = mix(h, m.Value.Hi)
		h = mix(h, m.Mask.Lo^m.Mask.Hi<<1)
	}
	return h
}
