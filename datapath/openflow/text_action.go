package openflow

import (
	"fmt"
	"strconv"
)

// AppendActionsText appends actions in the syntax of ovs-ofctl(8) and in the order in which
// they count, and drop where there are none.
func AppendActionsText(b []byte, actions []Action) []byte {
	if len(actions) == 0 {
		return append(b, "drop"...)
	}
	set, first := instructionsOf(actions), true
	for _, kind := range instructionOrder {
		if set&(1<<kind) == 0 {
			continue
		}
		for _, a := range actions {
			if instructionOf(a) != kind {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			b, first = appendActionText(b, a), false
		}
	}
	return b
}

// appendListText appends the actions inside of another, in their order.
func appendListText(b []byte, actions []Action) []byte {
	for i, a := range actions {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendActionText(b, a)
	}
	return append(b, ')')
}

func appendActionText(b []byte, a Action) []byte {
	switch a := a.(type) {
	case Output:
		if portName(a.Port) == "" {
			b = append(b, "output:"...)
		}
		return appendPortName(b, a.Port)
	case OutputField:
		return a.Source.appendText(append(b, "output:"...))
	case SetField:
		return appendSetFieldText(b, &a)
	case Load:
		b = appendHex(append(b, "load:"...), U64(a.Value))
		return a.Target.appendText(append(b, "->"...))
	case Move:
		b = a.Source.appendText(append(b, "move:"...))
		return a.Target.appendText(append(b, "->"...))
	case Push:
		return a.Source.appendText(append(b, "push:"...))
	case Pop:
		return a.Target.appendText(append(b, "pop:"...))
	case PushVLAN:
		return appendHex(append(b, "push_vlan:"...), U64(uint64(a.EtherType)))
	case PopVLAN:
		return append(b, "pop_vlan"...)
	case DecTTL:
		return append(b, "dec_ttl"...)
	case CTClear:
		return append(b, "ct_clear"...)
	case ClearActions:
		return append(b, "clear_actions"...)
	}
	return appendOtherText(b, a)
}

func appendOtherText(b []byte, a Action) []byte {
	switch a := a.(type) {
	case Resubmit:
		return appendResubmitText(b, a)
	case Clone:
		return appendListText(append(b, "clone("...), a.Actions)
	case WriteActions:
		return appendListText(append(b, "write_actions("...), a.Actions)
	case CT:
		return appendCTText(b, &a)
	case Controller:
		return appendControllerText(b, a)
	case Group:
		return strconv.AppendUint(append(b, "group:"...), uint64(a.ID), 10)
	case Meter:
		return strconv.AppendUint(append(b, "meter:"...), uint64(a.ID), 10)
	case WriteMetadata:
		b = appendHex(append(b, "write_metadata:"...), U64(a.Value))
		if a.Mask != ^uint64(0) {
			b = appendHex(append(b, '/'), U64(a.Mask))
		}
		return b
	case GotoTable:
		return strconv.AppendUint(append(b, "goto_table:"...), uint64(a.Table), 10)
	case Note:
		return appendNoteText(b, a)
	case BundleLoad:
		return appendBundleLoadText(b, &a)
	case Conjunction:
		return fmt.Appendf(b, "conjunction(%d,%d/%d)", a.ID, a.Clause, a.Clauses)
	case Opaque:
		return append(appendPlainHex(append(b, "opaque("...), a.Bytes), ')')
	}
	return append(b, "invalid"...)
}

// appendText appends a subfield under the name that Open vSwitch prints.
func (s Subfield) appendText(b []byte) []byte {
	spec := s.Field.spec()
	b = append(append(b, spec.short().text...), '[')
	switch {
	case s.Offset == 0 && (s.Bits == 0 || s.Bits == spec.width()):
	case s.Bits == 1:
		b = strconv.AppendUint(b, uint64(s.Offset), 10)
	default:
		b = fmt.Appendf(b, "%d..%d", s.Offset, int(s.Offset)+int(s.Bits)-1)
	}
	return append(b, ']')
}

func appendSetFieldText(b []byte, a *SetField) []byte {
	s := a.Field.spec()
	whole := a.Mask.IsZero() || s.whole(a.Mask)
	b = append(b, "set_field:"...)
	switch {
	case s.kind == kindTunFlags:
		b = appendFlags(b, tunFlagNames[:], a.Value.Lo, 1, true)
	case s.kind == kindDecimal && !whole: // in a match both are hexadecimal
		b = append(strconv.AppendUint(b, a.Value.Lo, 10), '/')
		b = appendHex(b, a.Mask)
	default:
		b = appendFieldValue(b, s, a.Value, a.Mask, whole)
	}
	return append(append(b, "->"...), s.name...)
}

func appendResubmitText(b []byte, a Resubmit) []byte {
	port := widePort(a.InPort)
	given := port != 0 && port != PortInPort
	if given && a.Table == TableAll {
		return appendPortName(append(b, "resubmit:"...), port)
	}
	b = append(b, "resubmit("...)
	if given {
		b = appendPortName(b, port)
	}
	b = append(b, ',')
	if a.Table != TableAll {
		b = strconv.AppendUint(b, uint64(a.Table), 10)
	}
	return append(b, ')')
}

// reasonNames are why a frame goes to the controller.
var reasonNames = [...]string{"no_match", "action", "invalid_ttl", "action_set", "group", "packet_out"}

func appendControllerText(b []byte, a Controller) []byte {
	if a.Reason == reasonAction && a.ID == 0 {
		return strconv.AppendUint(append(b, "CONTROLLER:"...), uint64(a.MaxLength), 10)
	}
	b = append(b, "controller("...)
	if a.Reason != reasonAction {
		b = append(b, "reason="...)
		if int(a.Reason) < len(reasonNames) {
			b = append(append(b, reasonNames[a.Reason]...), ',')
		} else {
			b = append(strconv.AppendUint(b, uint64(a.Reason), 10), ',')
		}
	}
	if a.MaxLength != 0xffff {
		b = append(strconv.AppendUint(append(b, "max_len="...), uint64(a.MaxLength), 10), ',')
	}
	if a.ID != 0 {
		b = append(strconv.AppendUint(append(b, "id="...), uint64(a.ID), 10), ',')
	}
	b[len(b)-1] = ')'
	return b
}

func appendNoteText(b []byte, a Note) []byte {
	b = append(b, "note:"...)
	for i := range len(a.Data) {
		if i > 0 {
			b = append(b, '.')
		}
		b = fmt.Appendf(b, "%02x", a.Data[i])
	}
	return b
}

func appendCTText(b []byte, a *CT) []byte {
	b = append(b, "ct("...)
	start := len(b)
	if a.Commit {
		b = append(b, "commit,"...)
	}
	if a.Force {
		b = append(b, "force,"...)
	}
	if a.Table != TableAll {
		b = append(strconv.AppendUint(append(b, "table="...), uint64(a.Table), 10), ',')
	}
	if a.ZoneField != nil {
		b = append(a.ZoneField.appendText(append(b, "zone="...)), ',')
	} else if a.Zone != 0 {
		b = append(strconv.AppendUint(append(b, "zone="...), uint64(a.Zone), 10), ',')
	}
	if a.NAT != nil {
		b = append(a.NAT.appendText(b), ',')
	}
	if len(a.Exec) > 0 {
		b = append(appendListText(append(b, "exec("...), a.Exec), ',')
	}
	switch a.ALG {
	case 0:
	case algFTP:
		b = append(b, "alg=ftp,"...)
	case algTFTP:
		b = append(b, "alg=tftp,"...)
	default:
		b = append(strconv.AppendUint(append(b, "alg="...), uint64(a.ALG), 10), ',')
	}
	if len(b) == start {
		return append(b, ')')
	}
	b[len(b)-1] = ')'
	return b
}

// Application helpers of connection tracking, by the port of their protocol.
const (
	algFTP  = 21
	algTFTP = 69
)

func (n *NAT) appendText(b []byte) []byte {
	b = append(b, "nat"...)
	switch {
	case n.Source:
		b = append(b, "(src"...)
	case n.Destination:
		b = append(b, "(dst"...)
	default:
		return b
	}
	if !n.MinAddress.IsZero() {
		b = n.appendRange(append(b, '='))
	}
	for _, f := range [...]struct {
		on   bool
		word string
	}{{n.Persistent, ",persistent"}, {n.Hash, ",hash"}, {n.Random, ",random"}} {
		if f.on {
			b = append(b, f.word...)
		}
	}
	return append(b, ')')
}

func (n *NAT) appendRange(b []byte) []byte {
	b = n.appendAddress(b, n.MinAddress)
	if !n.MaxAddress.IsZero() {
		b = n.appendAddress(append(b, '-'), n.MaxAddress)
	}
	if n.MinPort != 0 {
		b = strconv.AppendUint(append(b, ':'), uint64(n.MinPort), 10)
		if n.MaxPort != 0 {
			b = strconv.AppendUint(append(b, '-'), uint64(n.MaxPort), 10)
		}
	}
	return b
}

// appendAddress sets an IPv6 address before a port in brackets.
func (n *NAT) appendAddress(b []byte, v Value) []byte {
	if !n.V6 || n.MinPort == 0 {
		return v.IP(n.V6).AppendTo(b)
	}
	return append(v.IP(true).AppendTo(append(b, '[')), ']')
}
