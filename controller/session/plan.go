package session

import (
	"fmt"
	"maps"
	"slices"

	"sluice/controller/host"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// plan is what one round of programming wants a switch to hold, compiled from the state at one
// revision. It knows no switch: what the switch holds is given to its comparison.
type plan struct {
	host.Outcome
	host  string
	flows *flows.Comparison // what it wants; then what there is, and what differs
	// meters are those that its flows name.
	meters map[uint32]flows.Meter
}

// newPlan compiles the marked slices of a switch. about is how many flows they may have.
func newPlan(s *store.State, sw flows.Switch, marks host.Marks, about int) *plan {
	p := &plan{host: sw.Host, flows: flows.NewComparison(about), meters: map[uint32]flows.Meter{}, Outcome: host.Outcome{
		Revision: s.Revision(), Tables: map[uint8]int{}, Troubles: map[flows.Slice]host.Trouble{},
	}}
	if marks.All {
		flows.Slices(s, sw.Host, func(sl flows.Slice) { p.compile(s, sw, sl) })
	} else {
		p.Slices = slices.Sorted(maps.Keys(marks.Slices))
		for _, slice := range p.Slices {
			p.compile(s, sw, slice)
		}
	}
	p.Orphans = flows.Orphans(s, sw.Host)
	for _, key := range flows.Missing(s, sw) {
		p.Missing = append(p.Missing, host.Absence{Key: key, Created: s.Port(key).Created})
	}
	return p
}

// compile adds the flows of one slice, and its problems. A flow whose match another slice has
// already is a problem of both.
func (p *plan) compile(s *store.State, sw flows.Switch, slice flows.Slice) {
	want := func(f openflow.Flow) {
		if m, ok := flows.MeterOf(s, &f); ok {
			p.meters[m.ID] = m
		}
		first, ok := p.flows.Want(f)
		if ok {
			p.Tables[f.Table]++
			return
		}
		p.trouble(slice, flows.Doubled(s, p.host, &f, first))
	}
	p.trouble(slice, flows.Compile(s, sw, slice, want))
}

// trouble adds problems to a slice's trouble. What is left out here keeps the ports that need it
// from being realized; another host's port, or another host, is for its own controller to tell.
func (p *plan) trouble(slice flows.Slice, problems []store.Problem) {
	if len(problems) == 0 {
		return
	}
	t := p.Troubles[slice]
	t.Problems = append(t.Problems, problems...)
	for _, problem := range problems {
		if key := problem.Key; problem.LeavesOut != "" && (key.Host == "" || key.Host == p.host) {
			t.Unserved = append(t.Unserved, problem)
			t.Unreachable = t.Unreachable || key == store.HostKey(p.host)
		}
	}
	p.Troubles[slice] = t
}

// refuse notes that the switch refused a flow, so that what needs it is not programmed whole.
func (p *plan) refuse(s *store.State, f openflow.Flow, why error) {
	slice := flows.Slice(f.Cookie)
	t := p.Troubles[slice]
	t.Refused = append(t.Refused, f)
	f.Cookie = 0 // its owner says it in words
	text := fmt.Sprintf("the switch of host %s refused %s: %v", p.host, f.String(), why)
	t.Problems = append(t.Problems, store.Problem{Object: flows.Owner(s, uint64(slice)), Text: text, LeavesOut: store.LeavesOutPorts})
	for _, key := range flows.Served(s, p.host, slice) {
		t.Unserved = append(t.Unserved, store.LeftOut(key, "%s", text))
	}
	p.Troubles[slice] = t
}

// whole reports whether the plan is for every flow of the switch.
func (p *plan) whole() bool { return p.Slices == nil }

// cookies are those of the plan's slices.
func (p *plan) cookies() []uint64 {
	list := make([]uint64, len(p.Slices))
	for i, slice := range p.Slices {
		list[i] = uint64(slice)
	}
	return list
}

// expects is the fingerprint of what the switch holds once the mods that the plan needs have
// landed, where it held before before; nil where that cannot be told.
func (p *plan) expects(before *flows.Fingerprint, mods flows.Mods) *flows.Fingerprint {
	installed, desired := p.flows.Fingerprints()
	switch {
	case p.whole() && mods.Len() == 0:
		return &installed // equal, though perhaps in other bytes than ours
	case p.whole():
		return &desired
	case before == nil || mods.Len() == 0:
		return before
	}
	after := before.Replaced(installed, desired)
	return &after
}

// step is the flows of some mods that have one thing in common.
type step struct {
	command openflow.Command
	label   string // of the command in metrics
	flows   *[]openflow.Flow
	growth  int // by how much each makes its table grow
}

// steps are in the order in which they are sent: what goes makes room for what comes.
func steps(m *flows.Mods) []step {
	return []step{
		{openflow.DeleteStrict, "delete", &m.Delete, -1},
		{openflow.ModifyStrict, "modify", &m.Modify, 0},
		{openflow.Add, "add", &m.Replace, 0},
		{openflow.Add, "add", &m.Add, 1},
	}
}
