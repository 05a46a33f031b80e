package flows

import of "sluice/datapath/openflow"

// Mods is what turns the installed flows into the desired ones.
type Mods struct {
	Add     []of.Flow // where none of their table, priority and match is
	Replace []of.Flow // adds too, in the place of a flow with another cookie, timeout or flag
	Modify  []of.Flow // strictly: the same table, priority, match and cookie; counters stay
	Delete  []of.Flow // strictly
}

// Len is how many flow mods that takes.
func (m Mods) Len() int { return len(m.Add) + len(m.Replace) + len(m.Modify) + len(m.Delete) }

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

// sameIdentity tells whether two flows cannot stand in one switch: table, priority and
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

// mix is one round of a multiplicative hash; the odd constant is 2^64 over the golden ratio.
func mix(h, v uint64) uint64 {
	h = (h ^ v) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}
