package witness

import (
	"cmp"
	"slices"

	of "sluice/datapath/openflow"
)

// branch is one way that a frame may go on from a flow: to another table, or out by a port.
type branch struct {
	flow   *of.Flow
	before []of.Action // what runs until then
	out    bool        // it leaves by port, else it goes to table
	table  uint8
	port   uint32
}

// graph is the tables of one switch as ways between them.
type graph struct {
	tables [256][]*node // each by falling priority
	into   [256][]*branch
	out    []*branch
}

type node struct {
	flow     *of.Flow
	branches []*branch // none: it drops
}

func newGraph(list []of.Flow) *graph {
	g := &graph{}
	for i := range list {
		n := &node{flow: &list[i], branches: branches(&list[i], nil, list[i].Actions)}
		g.tables[list[i].Table] = append(g.tables[list[i].Table], n)
		for _, b := range n.branches {
			if b.out {
				g.out = append(g.out, b)
			} else {
				g.into[b.table] = append(g.into[b.table], b)
			}
		}
	}
	for _, t := range g.tables {
		slices.SortStableFunc(t, func(a, b *node) int { return cmp.Compare(b.flow.Priority, a.flow.Priority) })
	}
	return g
}

// branches lists the ways on from a list of actions, those inside of clones too. What a resubmit's
// table did to the frame before it came back is left open.
func branches(f *of.Flow, before, actions []of.Action) (all []*branch) {
	on := func(b branch) {
		b.flow, b.before = f, slices.Clone(before)
		all = append(all, &b)
	}
	for _, a := range actions {
		switch a := a.(type) {
		case of.Output:
			on(branch{out: true, port: a.Port})
		case of.OutputField:
			on(branch{out: true, port: of.PortAny})
		case of.Resubmit:
			on(branch{table: a.Table})
		case of.GotoTable:
			on(branch{table: a.Table})
		case of.Clone:
			all = append(all, branches(f, slices.Clone(before), a.Actions)...)
		case of.CT:
			if a.Table != of.TableAll {
				before = append(before, a)
				on(branch{table: a.Table})
			}
		default:
			before = append(before, a)
		}
	}
	return all
}

// node is the flow's place in the graph; nil: the switch does not hold it.
func (g *graph) node(f *of.Flow) *node {
	for _, n := range g.tables[f.Table] {
		if n.flow.Priority == f.Priority && n.flow.Match.Equal(f.Match) {
			return n
		}
	}
	return nil
}

// most is how many tables a way may cross in one switch.
const most = 24

// onwards draws a way from a flow to where frames leave, for frames of which so much is known, and returns its
// branches. It reports false where the draw led nowhere.
func (g *graph) onwards(d dice, n *node, known known) (way []*branch, ok bool) {
	is := known.clone()
	is.meets(n.flow.Match)
	for range most {
		if len(n.branches) == 0 {
			return nil, false
		}
		b := pick(d, n.branches)
		way = append(way, b)
		for _, a := range b.before {
			is.after(a)
		}
		if b.out {
			break
		}
		if n = g.next(d, b.table, is); n == nil {
			return nil, false
		}
		is.meets(n.flow.Match)
	}
	return way, true
}

// back adds to k, what must hold when a frame meets the first flow of a way, what it takes to go the way.
func (k known) back(way []*branch) bool {
	need := known{}
	for i := len(way) - 1; i >= 0; i-- {
		if !need.before(way[i].before) || !need.meets(way[i].flow.Match) {
			return false
		}
	}
	for f, b := range need {
		if !k.add(f, b) {
			return false
		}
	}
	return true
}

// next draws a flow of a table that a frame of which so much is known may meet, such as leads on.
func (g *graph) next(d dice, table uint8, is known) *node {
	var may []*node
	for _, n := range g.tables[table] {
		if !is.fits(n.flow.Match) {
			continue
		}
		if len(n.branches) > 0 && !drops(n) {
			may = append(may, n)
		}
		if is.implies(n.flow.Match) {
			break // hides all below
		}
	}
	return pick(d, may)
}

// drops reports whether a flow leads to the drop table alone: the last of the pipeline.
func drops(n *node) bool {
	for _, b := range n.branches {
		if b.out || b.table != lastTable {
			return false
		}
	}
	return true
}

// lastTable is where every refusal ends.
const lastTable = 250

// backwards draws a way from where frames enter the switch to a table, for frames that are as need says there,
// and returns what they must be when they enter. It reports false where the draw led nowhere.
func (g *graph) backwards(d dice, table uint8, need known) (known, bool) {
	for range most {
		if table == 0 && (len(g.into[0]) == 0 || d.often(80)) {
			return need, need.enters()
		}
		b, before, ok := g.previous(d, table, need)
		if !ok {
			return nil, false
		}
		table, need = b.flow.Table, before
	}
	return nil, false
}

// previous draws a branch into a table by which frames may come that are as need says.
func (g *graph) previous(d dice, table uint8, need known) (*branch, known, bool) {
	into := g.into[table]
	if len(into) == 0 {
		return nil, nil, false
	}
	const tries = 400
	start := d.IntN(len(into))
	for i := range min(len(into), tries) {
		b := into[(start+i)%len(into)]
		before := need.clone()
		if before.before(b.before) && before.meets(b.flow.Match) {
			return b, before, true
		}
	}
	return nil, nil, false
}

// enters reports whether a frame can be so when it enters a switch: nothing is written into its metadata
// and registers yet. What is needed of a connection stays: frames before it make it.
func (k known) enters() bool {
	for f, b := range k {
		if (f == of.FieldMetadata || f >= of.FieldReg0 && f <= of.FieldXXReg3) && !b.value.IsZero() {
			return false
		}
	}
	return true
}
