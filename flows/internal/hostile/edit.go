package hostile

import (
	"fmt"
	"math/rand/v2"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// Tables are what a host's switch holds.
type Tables struct {
	Switch flows.Switch
	Flows  []of.Flow
}

// Change is what an edit did to the tables of one host.
type Change struct {
	Kind    string
	Host    int // whose tables, by their place
	Flows   []of.Flow
	Removed []of.Flow // of those before
	Added   []of.Flow // of Flows
}

func (c *Change) String() string {
	s := fmt.Sprintf("%s, host %d", c.Kind, c.Host)
	for _, f := range c.Removed {
		s += fmt.Sprintf("\n- %s", &f)
	}
	for _, f := range c.Added {
		s += fmt.Sprintf("\n+ %s", &f)
	}
	return s
}

// editor edits one cluster's tables.
type editor struct {
	*rand.Rand
	cluster []Tables
	values  map[of.Field][]of.Value // that its flows match or set
}

// kinds are the edits, by name. Each returns what becomes of a flow; ok is false where it does not suit.
var kinds = []struct {
	name string
	edit func(e *editor, f of.Flow) (of.Flow, bool)
	adds bool // the flow stays, what comes out stands beside it
}{
	{"drops the tenant", (*editor).dropTenant, false},
	{"drops a match field", (*editor).dropField, false},
	{"drops a match field", (*editor).dropField, false},
	{"widens a mask", (*editor).widen, false},
	{"widens a mask", (*editor).widen, false},
	{"matches another value", (*editor).otherMatch, false},
	{"matches another value", (*editor).otherMatch, false},
	{"sets another value", (*editor).otherValue, false},
	{"sets another value", (*editor).otherValue, false},
	{"sets another value", (*editor).otherValue, false},
	{"outputs elsewhere", (*editor).otherOutput, false},
	{"goes to another table", (*editor).otherTable, false},
	{"tracks otherwise", (*editor).otherTracking, false},
	{"leaves out an action", (*editor).dropAction, false},
	{"sets more", (*editor).moreActions, false},
	{"outputs besides", (*editor).alsoOutput, false},
	{"swaps cookies", (*editor).otherCookie, false},
	{"raises a priority", (*editor).raise, false},
	{"floods", (*editor).flood, false},
	{"copies with another match", (*editor).otherMatch, true},
	{"copies with another value", (*editor).otherValue, true},
	{"opens wide", (*editor).open, true},
	{"takes a stranger's tunnel", (*editor).stranger, true},
	{"takes another flow's actions", (*editor).otherActions, false},
}

// Edit draws one hostile edit of a cluster's tables.
func Edit(r *rand.Rand, cluster []Tables) *Change {
	e := &editor{r, cluster, valuesOf(cluster)}
	for {
		host := r.IntN(len(cluster))
		switch r.IntN(len(kinds) + 4) {
		case 0:
			return e.remove(host, e.interesting(cluster[host].Flows))
		case 1:
			return e.refusal(host)
		case 2:
			return e.abroad(host)
		case 3:
			host = e.busiest()
		}
		kind := kinds[r.IntN(len(kinds))]
		for range 30 { // flows, until one suits
			at := e.interesting(cluster[host].Flows)
			old := &cluster[host].Flows[at]
			f, ok := kind.edit(e, cloned(*old))
			f.Match = consistent(f.Match)
			if !ok || f.Equal(old) {
				continue
			}
			if c := e.replace(kind.name, host, at, f, kind.adds); c != nil {
				return c
			}
		}
	}
}

// busiest is the host with the most flows, where most can go wrong.
func (e *editor) busiest() (host int) {
	for i, t := range e.cluster {
		if len(t.Flows) > len(e.cluster[host].Flows) {
			host = i
		}
	}
	return host
}

// interesting draws a flow, seldom one of the drop table, where nothing can be won. Every fourth is one of the few by which
// frames change their tenant, their host or their way, where there are some.
func (e *editor) interesting(list []of.Flow) int {
	if few := indexes(list, seldom); len(few) > 0 && e.IntN(4) == 0 {
		return few[e.IntN(len(few))]
	}
	for {
		at := e.IntN(len(list))
		if list[at].Table != 250 || e.IntN(10) == 0 {
			return at
		}
	}
}

// seldom reports whether a flow is of a peering, of a publication, of the resolver, or of a gateway that moves.
func seldom(f *of.Flow) bool {
	switch flows.Slice(f.Cookie).Kind() {
	case flows.KindPeering, flows.KindPublished, flows.KindResolver:
		return true
	}
	return slices.ContainsFunc(f.Match, func(m of.MatchField) bool { return m.Field == of.FieldEthDst && asks(m.Value) }) ||
		slices.ContainsFunc(f.Actions, func(a of.Action) bool {
			set, ok := a.(of.SetField)
			return ok && set.Field == of.FieldEthDst && asks(set.Value)
		})
}

// asks reports whether a MAC marks what gateway hosts ask each other.
func asks(mac of.Value) bool {
	return mac.Lo == store.HandOverMAC.Uint64() || mac.Lo == store.BounceMAC.Uint64()
}

func indexes(list []of.Flow, of func(*of.Flow) bool) (all []int) {
	for i := range list {
		if of(&list[i]) {
			all = append(all, i)
		}
	}
	return all
}

// replace puts f in the place of a flow, or beside it; nil: another has its match and priority.
func (e *editor) replace(kind string, host, at int, f of.Flow, beside bool) *Change {
	old := e.cluster[host].Flows
	for i, g := range old {
		if (beside || i != at) && g.Table == f.Table && g.Priority == f.Priority && g.Match.Equal(f.Match) {
			return nil
		}
	}
	c := &Change{Kind: kind, Host: host, Flows: slices.Clone(old), Added: []of.Flow{f}}
	if beside {
		c.Flows = append(c.Flows, f)
		return c
	}
	c.Removed = []of.Flow{old[at]}
	c.Flows[at] = f
	return c
}

// remove deletes a flow, such as a refusal.
func (e *editor) remove(host, at int) *Change {
	old := e.cluster[host].Flows
	return &Change{Kind: "deletes a flow", Host: host, Removed: []of.Flow{old[at]}, Flows: slices.Delete(slices.Clone(old), at, at+1)}
}

// refusal deletes a flow that refuses: it leads to the drop table alone.
func (e *editor) refusal(host int) *Change {
	list := e.cluster[host].Flows
	for {
		at := e.interesting(list)
		last := len(list[at].Actions) - 1
		if last >= 0 && list[at].Actions[last] == of.Action(of.GotoTable{Table: 250}) {
			return e.remove(host, at)
		}
	}
}

// abroad brings a flow of another host.
func (e *editor) abroad(host int) *Change {
	other := e.cluster[e.IntN(len(e.cluster))].Flows
	f := cloned(other[e.interesting(other)])
	f.Priority += uint16(e.IntN(3))
	if c := e.replace("brings another host's flow", host, 0, f, true); c != nil {
		return c
	}
	return e.remove(host, e.interesting(e.cluster[host].Flows))
}

func cloned(f of.Flow) of.Flow {
	f.Match, f.Actions = slices.Clone(f.Match), slices.Clone(f.Actions)
	return f
}

// valuesOf are the values of each field that flows speak of.
func valuesOf(cluster []Tables) map[of.Field][]of.Value {
	all := map[of.Field][]of.Value{}
	for _, t := range cluster {
		for _, f := range t.Flows {
			for _, m := range f.Match {
				all[m.Field] = append(all[m.Field], m.Value)
			}
			noteActions(all, f.Actions)
		}
	}
	for f, list := range all {
		slices.SortFunc(list, func(a, b of.Value) int {
			if a.Hi != b.Hi {
				return int(int64(a.Hi>>1) - int64(b.Hi>>1))
			}
			return int(int64(a.Lo>>1) - int64(b.Lo>>1))
		})
		all[f] = slices.Compact(list)
	}
	return all
}

func noteActions(all map[of.Field][]of.Value, actions []of.Action) {
	for _, a := range actions {
		switch a := a.(type) {
		case of.SetField:
			all[a.Field] = append(all[a.Field], a.Value)
		case of.Load:
			all[a.Target.Field] = append(all[a.Target.Field], of.U64(a.Value))
		case of.WriteMetadata:
			all[of.FieldMetadata] = append(all[of.FieldMetadata], of.U64(a.Value))
		case of.Clone:
			noteActions(all, a.Actions)
		case of.CT:
			noteActions(all, a.Exec)
		}
	}
}

// value draws one that flows of the cluster speak of.
func (e *editor) value(f of.Field) of.Value {
	list := e.values[f]
	if len(list) == 0 {
		return of.U64(1)
	}
	return list[e.IntN(len(list))]
}

func pick[T any](e *editor, from ...T) T { return from[e.IntN(len(from))] }
