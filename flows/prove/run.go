package prove

import (
	"fmt"
	"slices"

	"sluice/flows"

	of "sluice/datapath/openflow"
)

// run is one flow whose actions are followed, for all frames that it matches at once.
type run struct {
	*picture
	flow   *of.Flow
	slice  flows.Slice
	tenant uint32 // that the match names; 0: none
	writes []written
	stack  []value
	pushed int  // tags, less those taken off
	tagged bool // it came back from a table, and may have the tag of a tunnel

	commit bool // the last look into conntrack committed

	asks     bool     // it sends questions to the resolver
	passes   []uint8  // tables that frames go to
	sends    bool     // it outputs
	named    []uint32 // the numbers of ports that it was proved by
	findings []Finding
}

// broken notes that the flow breaks a rule. One flow tells each rule once.
func (r *run) broken(rule Rule, format string, args ...any) {
	r.brokenFor(nil, rule, format, args...)
}

func (r *run) brokenFor(frames of.Match, rule Rule, format string, args ...any) {
	if slices.ContainsFunc(r.findings, func(f Finding) bool { return f.Rule == rule }) {
		return
	}
	r.findings = append(r.findings, Finding{Host: r.host, Flow: *r.flow, Rule: rule, Text: fmt.Sprintf(format, args...), Frames: frames})
}

// do follows actions.
func (r *run) do(actions []of.Action) {
	for _, a := range actions {
		r.action(a)
	}
}

func (r *run) action(a of.Action) {
	switch a := a.(type) {
	case of.Output:
		r.sends = true
		r.untagged()
		r.output(a.Port)
	case of.GotoTable:
		r.leave(a.Table)
	case of.Resubmit:
		r.resubmit(a)
	case of.Clone:
		r.clone(a.Actions)
	case of.CT:
		r.ct(&a)
	case of.Meter:
		r.meter(a.ID)
	default:
		if !r.rewrite(a) {
			r.broken(RuleAction, "it does what no flow of Sluice does (%s), so that nothing is known of the frame from there on", actionText(a))
		}
	}
}

// actionText is an action as ovs-ofctl(8) writes it.
func actionText(a of.Action) string {
	switch a.(type) {
	case nil, of.Opaque:
		return "an action that is not known here"
	}
	return string(of.AppendActionsText(nil, []of.Action{a}))
}

// rewrite follows an action that changes the frame or what is known of it; it reports false for any other.
func (r *run) rewrite(a of.Action) bool {
	switch a := a.(type) {
	case of.SetField:
		r.setField(a)
	case of.Load:
		_, count := part(a.Target)
		r.write(a.Target, value{bits: of.U64(a.Value), known: of.Ones(count)})
	case of.WriteMetadata:
		r.setField(of.SetField{Field: of.FieldMetadata, Value: of.U64(a.Value), Mask: of.U64(a.Mask)})
	case of.BundleLoad: // any of its ports, or none
		r.write(a.Target, value{})
	case of.Move:
		r.move(a.Target, r.read(a.Source))
	case of.Push:
		r.stack = append(r.stack, r.read(a.Source))
	case of.Pop:
		r.pop(a.Target)
	case of.PushVLAN:
		r.pushed++
		r.put(of.FieldVLANVID, value{})
	case of.PopVLAN:
		r.pushed--
		r.put(of.FieldVLANVID, value{})
	case of.DecTTL:
		r.put(of.FieldIPTTL, value{})
	default:
		return false
	}
	return true
}

func (r *run) setField(a of.SetField) {
	mask := a.Mask
	if mask.IsZero() {
		mask = of.Ones(a.Field.Bits())
	}
	before := r.get(a.Field)
	to := of.Subfield{Field: a.Field}
	r.write(to, value{
		bits:  without(before.bits, mask).Or(a.Value.And(mask)),
		known: without(before.known, mask).Or(mask),
	})
}

// move writes what was read. A part of a field, or a field of another width, is no copy of it.
func (r *run) move(to of.Subfield, v value) {
	if _, count := part(to); count != v.of.Bits() {
		v.of = of.FieldInvalid
	}
	r.write(to, v)
}

func (r *run) pop(to of.Subfield) {
	if len(r.stack) == 0 {
		r.write(to, value{})
		return
	}
	last := len(r.stack) - 1
	r.move(to, r.stack[last])
	r.stack = r.stack[:last]
}

// resubmit sends the frame through another table and goes on with it. From account_out on, flows change
// nothing but the tunnel's key and tag; only there a frame may come back from.
func (r *run) resubmit(a of.Resubmit) {
	if a.InPort != 0 || a.Table < flows.TableAccountOut {
		r.broken(RuleAction, "it comes back from table %s, in which flows may change whose the frame is", flows.TableName(a.Table))
		return
	}
	r.leave(a.Table)
	r.stack = r.stack[:0] // flows there may have left something on it
	to, known := r.number(flows.RegDestination)
	r.tagged = a.Table == flows.TableEncap || !known || to == 0
	r.put(of.FieldTunID, value{})
	r.put(of.FieldVLANVID, value{})
}

// untagged asks that the frame has no tag of a tunnel that it came back from.
func (r *run) untagged() {
	if r.tagged {
		r.broken(RuleAction, "it goes on with a frame that was sent into a tunnel, and may still have its tag: only a copy may go there")
	}
}

// comesBack asks that a frame that comes back from the flow is what it was: it may have been sent here
// by a flow that goes on with it.
func (r *run) comesBack() {
	if r.flow.Table < flows.TableAccountOut {
		return
	}
	for i := range r.writes {
		f := r.writes[i].field
		switch tunnel := f == of.FieldTunID || f == of.FieldVLANVID; {
		case r.writes[i].value.of == f, f == flows.RegReason, f == flows.RegScope, tunnel && r.flow.Table == flows.TableEncap:
		default:
			r.broken(ruleOf(f), "it changes %s in table %s, so that a flow that sent a frame there goes on with another", f, flows.TableName(r.flow.Table))
		}
	}
}

// clone follows actions on a copy.
func (r *run) clone(actions []of.Action) {
	writes, stack, pushed, tagged := slices.Clone(r.writes), slices.Clone(r.stack), r.pushed, r.tagged
	r.do(actions)
	r.writes, r.stack, r.pushed, r.tagged = writes, stack, pushed, tagged
}

// leave is the frame's way to another table.
func (r *run) leave(to uint8) {
	if to != flows.TableDrop {
		r.passes = append(r.passes, to)
	}
	r.untagged()
	r.goes(to, false)
}

// refuses reports whether the flow lets nothing pass.
func (r *run) refuses() bool { return len(r.passes) == 0 && !r.sends }
