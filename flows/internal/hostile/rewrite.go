package hostile

import (
	"math/rand/v2"
	"slices"

	of "sluice/datapath/openflow"
)

// Rewrite draws a change of a cluster's tables that no frame can tell.
func Rewrite(r *rand.Rand, cluster []Tables) *Change {
	e := &editor{Rand: r, cluster: cluster}
	for {
		host := r.IntN(len(cluster))
		rewrite := pick(e, e.renumber, e.split, e.double, e.shuffle, e.merge)
		if c := rewrite(host); c != nil {
			return c
		}
	}
}

// renumber spreads the priorities of a table, in their order.
func (e *editor) renumber(host int) *Change {
	c := &Change{Kind: "renumbers priorities", Host: host, Flows: slices.Clone(e.cluster[host].Flows)}
	table := tableIDs[e.IntN(len(tableIDs))]
	scale, shift := uint16(1+e.IntN(100)), uint16(e.IntN(100))
	for i := range c.Flows {
		f := &c.Flows[i]
		if f.Table != table {
			continue
		}
		c.Removed = append(c.Removed, *f)
		f.Priority = f.Priority*scale + shift
		c.Added = append(c.Added, *f)
	}
	return c
}

// prefixes are the fields whose masks are split.
var prefixes = []of.Field{of.FieldIPSrc, of.FieldIPDst, of.FieldIPv6Src, of.FieldIPv6Dst, of.FieldARPSPA, of.FieldARPTPA, of.FieldNDTarget}

// split puts two flows in the place of one: the halves of a prefix.
func (e *editor) split(host int) *Change {
	list := e.cluster[host].Flows
	start := e.IntN(len(list))
	for i := range list {
		at := (start + i) % len(list)
		f := list[at]
		for k, m := range f.Match {
			free := m.Mask.Xor(of.Ones(m.Field.Bits()))
			if !slices.Contains(prefixes, m.Field) || free.IsZero() {
				continue
			}
			bit := highest(free)
			low, high := cloned(f), cloned(f)
			low.Match[k].Mask = m.Mask.Xor(bit)
			high.Match[k].Mask, high.Match[k].Value = m.Mask.Xor(bit), m.Value.Xor(bit)
			return &Change{Kind: "splits a prefix", Host: host, Removed: []of.Flow{f}, Added: []of.Flow{low, high},
				Flows: append(slices.Delete(slices.Clone(list), at, at+1), low, high)}
		}
	}
	return nil
}

func highest(v of.Value) of.Value {
	for n := 127; n >= 0; n-- {
		bit := of.Ones(n + 1).Xor(of.Ones(n))
		if !v.And(bit).IsZero() {
			return bit
		}
	}
	return of.Value{}
}

// double repeats a flow below itself, where nothing stands between.
func (e *editor) double(host int) *Change {
	list := e.cluster[host].Flows
	f := list[e.IntN(len(list))]
	if f.Priority == 0 {
		return nil
	}
	f.Priority--
	return e.replace("repeats a flow below itself", host, 0, f, true)
}

// shuffle changes the order in which flows are told, which says nothing.
func (e *editor) shuffle(host int) *Change {
	c := &Change{Kind: "tells flows in another order", Host: host, Flows: slices.Clone(e.cluster[host].Flows)}
	e.Shuffle(len(c.Flows), func(i, j int) { c.Flows[i], c.Flows[j] = c.Flows[j], c.Flows[i] })
	return c
}

// merge puts one flow in the place of two that do the same for the halves of a prefix.
func (e *editor) merge(host int) *Change {
	list := e.cluster[host].Flows
	start := e.IntN(len(list))
	for i := range list {
		f := &list[(start+i)%len(list)]
		for j := range list {
			g := &list[j]
			both, ok := merged(f, g)
			if !ok {
				continue
			}
			c := &Change{Kind: "merges two halves", Host: host, Removed: []of.Flow{*f, *g}, Added: []of.Flow{both}}
			for k := range list {
				if &list[k] != f && &list[k] != g {
					c.Flows = append(c.Flows, list[k])
				}
			}
			c.Flows = append(c.Flows, both)
			return c
		}
	}
	return nil
}

// merged is the one flow that does what two do.
func merged(f, g *of.Flow) (of.Flow, bool) {
	if f.Table != g.Table || f.Priority != g.Priority || f.Cookie != g.Cookie || f.Flags != g.Flags || len(f.Match) != len(g.Match) ||
		!of.EqualActions(f.Actions, g.Actions) {
		return of.Flow{}, false
	}
	both, differ := cloned(*f), 0
	for i, m := range f.Match {
		n := g.Match[i]
		if m == n {
			continue
		}
		diff := m.Value.Xor(n.Value)
		if m.Field != n.Field || m.Mask != n.Mask || highest(diff) != diff || !slices.Contains(prefixes, m.Field) || ones(m.Mask.Xor(diff), m.Field) {
			return of.Flow{}, false
		}
		both.Match[i].Mask, both.Match[i].Value = m.Mask.Xor(diff), m.Value.And(m.Mask.Xor(diff))
		differ++
	}
	return both, differ == 1
}

// ones reports whether a mask is no prefix's.
func ones(mask of.Value, f of.Field) bool {
	free := mask.Xor(of.Ones(f.Bits()))
	return !free.And(of.Value{Hi: free.Hi, Lo: free.Lo + 1}).IsZero() && free.Hi == 0
}
