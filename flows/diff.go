package flows

import of "sluice/datapath/openflow"

// Mods is what turns the installed flows into the desired ones.
type Mods struct {
	Add    []of.Flow // new, or in the place of a flow with another cookie
	Modify []of.Flow // strictly: the same table, priority, match and cookie; counters stay
	Delete []of.Flow // strictly
}

// Len is how many flow mods that takes.
func (m Mods) Len() int { return len(m.Add) + len(m.Modify) + len(m.Delete) }

// Diff compares two sets of flows in any order.
func Diff(installed, desired []of.Flow) Mods {
	index := make(map[uint64][]int32, len(installed))
	for i := range installed {
		h := identity(&installed[i])
		index[h] = append(index[h], int32(i))
	}
	right := make([]bool, len(installed)) // it is desired, as it is or changed
	var m Mods
	for i := range desired {
		d := &desired[i]
		have := find(index[identity(d)], installed, d)
		switch {
		case have < 0:
			m.Add = append(m.Add, *d)
			continue
		case installed[have].Cookie != d.Cookie || !sameTimeouts(&installed[have], d):
			m.Add = append(m.Add, *d) // adding replaces it; a modify would keep the old cookie
		case !of.EqualActions(installed[have].Actions, d.Actions):
			m.Modify = append(m.Modify, *d)
		}
		right[have] = true
	}
	for i := range installed {
		if !right[i] {
			m.Delete = append(m.Delete, installed[i])
		}
	}
	return m
}

func find(candidates []int32, flows []of.Flow, f *of.Flow) int {
	for _, i := range candidates {
		if sameIdentity(&flows[i], f) {
			return int(i)
		}
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
