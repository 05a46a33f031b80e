package flows

import (
	"fmt"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// Desired compiles every flow that a switch should hold. Two flows with one table, priority
// and match are a problem of both owners; the first stands.
func Desired(s *store.State, sw Switch) ([]of.Flow, []store.Problem) {
	var list []of.Flow
	var problems []store.Problem
	c := NewComparison(0)
	want := func(f of.Flow) {
		if first, ok := c.Want(f); !ok {
			problems = append(problems, Doubled(s, sw.Host, &f, first)...)
			return
		}
		list = append(list, f)
	}
	Slices(s, sw.Host, func(sl Slice) { problems = append(problems, Compile(s, sw, sl, want)...) })
	return list, problems
}

// Doubled says that the table, priority and match of a host's desired flow f are those of a
// flow of another slice, which stands in its place: a problem of the owner of either, and the
// owner of f is left out.
func Doubled(s *store.State, host string, f *of.Flow, first Slice) []store.Problem {
	left := Slice(f.Cookie)
	problems := doubled(s, host, left, first, f.Table)
	for i := range problems {
		problems[i].LeavesOut = store.LeavesOutPorts
	}
	return append(problems, doubled(s, host, first, left, f.Table)...)
}

// doubled tells each object that a slice serves of the other slice's flow.
func doubled(s *store.State, host string, sl, other Slice, table uint8) []store.Problem {
	owner := Owner(s, uint64(sl))
	text := fmt.Sprintf("a flow of %s in table %s of host %s has the match of a flow of %s: delete one of the two",
		owner, TableName(table), host, Owner(s, uint64(other)))
	keys := Served(s, host, sl)
	if len(keys) == 0 {
		return []store.Problem{{Object: owner, Text: text}}
	}
	problems := make([]store.Problem, len(keys))
	for i, key := range keys {
		problems[i] = store.Problem{Key: key, Object: key.Short(), Text: text}
	}
	return problems
}

// Compare finds what turns the installed flows into the desired ones, whatever their order.
// An error names a flow that cannot be read.
func Compare(installed, desired []of.Flow) (Mods, error) {
	c := NewComparison(len(desired))
	for _, f := range desired {
		c.Want(f)
	}
	var b []byte
	for i := range installed {
		var w of.WireFlow
		b, w = installed[i].AppendWire(b[:0])
		if err := c.Have(&w); err != nil {
			return Mods{}, fmt.Errorf("read the installed flow %s: %w", &installed[i], err)
		}
	}
	return c.Mods()
}
