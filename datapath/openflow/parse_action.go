package openflow

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// parseActions reads a list of actions.
func parseActions(s string, depth int) ([]Action, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("actions stand more than %d deep in each other", maxNesting)
	}
	var out []Action
	dropped := false
	for t := (tokens{rest: s}); ; {
		w, ok, err := t.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if w.key == "drop" && w.form == 0 {
			dropped = true
			continue
		}
		a, err := parseAction(w, depth)
		if err != nil {
			return nil, fmt.Errorf("action %s: %w", w.key, err)
		}
		out = append(out, a)
	}
	switch {
	case dropped && len(out) > 0:
		return nil, errors.New("drop stands beside other actions")
	case !dropped && len(out) == 0 && depth == 0:
		return nil, errors.New("no action: write drop")
	}
	return out, nil
}

var errUnknownAction = errors.New("this package does not model it")

func parseAction(w word, depth int) (Action, error) {
	if w.tail != "" {
		return nil, errUnknownAction
	}
	switch w.form {
	case 0:
		return parseWord(w.key)
	case '(':
		return parseCall(w, depth)
	}
	return parseColon(w)
}

// parseWord reads an action without argument.
func parseWord(key string) (Action, error) {
	switch key {
	case "pop_vlan", "strip_vlan":
		return PopVLAN{}, nil
	case "dec_ttl":
		return DecTTL{}, nil
	case "ct_clear":
		return CTClear{}, nil
	case "clear_actions":
		return ClearActions{}, nil
	case "ct":
		return CT{Table: TableAll}, nil
	}
	port, err := parsePort(key)
	switch {
	case err != nil:
		return nil, errUnknownAction
	case port == PortController:
		return Controller{MaxLength: 0xffff, Reason: reasonAction}, nil
	}
	return Output{port}, nil
}

// parseColon reads action:argument.
func parseColon(w word) (Action, error) {
	switch w.key {
	case "output":
		return parseOutput(w.value)
	case "set_field":
		return parseSetField(w.value)
	case "load":
		return parseLoad(w.value)
	case "move":
		return parseMove(w.value)
	case "push":
		s, err := parseSubfield(w.value)
		return Push{s}, err
	case "pop":
		s, err := parseSubfield(w.value)
		return Pop{s}, err
	case "resubmit":
		return parseResubmit(w.value + ",")
	case "write_metadata":
		return parseWriteMetadata(w.value)
	case "note":
		return parseNote(w.value)
	}
	return parseNumbered(w)
}

// parseNumbered reads an action with one number.
func parseNumbered(w word) (Action, error) {
	number := func(bits int, action func(uint64) Action) (Action, error) {
		v, err := parseNumber(w.value, bits)
		return action(v), err
	}
	switch w.key {
	case "push_vlan":
		return number(16, func(v uint64) Action { return PushVLAN{uint16(v)} })
	case "group":
		return number(32, func(v uint64) Action { return Group{uint32(v)} })
	case "meter":
		return number(32, func(v uint64) Action { return Meter{uint32(v)} })
	case "goto_table":
		return number(8, func(v uint64) Action { return GotoTable{uint8(v)} })
	case "CONTROLLER", "controller":
		return number(16, func(v uint64) Action { return Controller{MaxLength: uint16(v), Reason: reasonAction} })
	}
	return nil, errUnknownAction
}

// parseCall reads action(arguments).
func parseCall(w word, depth int) (Action, error) {
	switch w.key {
	case "clone":
		inner, err := parseActions(w.value, depth+1)
		return Clone{inner}, err
	case "write_actions":
		inner, err := parseActions(w.value, depth+1)
		return WriteActions{inner}, err
	case "ct":
		return parseCT(w.value, depth)
	case "resubmit":
		return parseResubmit(w.value)
	case "controller":
		return parseController(w.value)
	case "bundle_load":
		return parseBundleLoad(w.value)
	case "conjunction":
		return parseConjunction(w.value)
	case "opaque":
		raw, err := hex.DecodeString(w.value)
		if err != nil || !opaqueFramed(string(raw)) {
			return nil, fmt.Errorf("%q is no action", w.value)
		}
		return Opaque{string(raw)}, nil
	}
	return nil, errUnknownAction
}

func parseOutput(s string) (Action, error) {
	if strings.Contains(s, "[") {
		source, err := parseSubfield(s)
		return OutputField{source}, err
	}
	port, err := parsePort(s)
	if err == nil && port == PortController {
		return Controller{MaxLength: 0xffff, Reason: reasonAction}, nil
	}
	return Output{port}, err
}

// parseSubfield reads FIELD[], FIELD[3] or FIELD[0..15].
func parseSubfield(s string) (Subfield, error) {
	name, bits, ok := strings.Cut(s, "[")
	bits, closed := strings.CutSuffix(bits, "]")
	f, known := partNames[name]
	if !ok || !closed || !known {
		return Subfield{}, fmt.Errorf("%q is no part of a field", s)
	}
	width := uint64(f.spec().width())
	if bits == "" {
		return Subfield{Field: f}, nil
	}
	low, high, isRange := strings.Cut(bits, "..")
	if !isRange {
		high = low
	}
	first, err1 := parseNumber(low, 16)
	last, err2 := parseNumber(high, 16)
	if err1 != nil || err2 != nil || first > last || last >= width {
		return Subfield{}, fmt.Errorf("%q: %s has bits 0..%d", s, name, width-1)
	}
	p := Subfield{Field: f, Offset: uint16(first), Bits: uint16(last - first + 1)}
	if first == 0 && uint64(p.Bits) == width {
		p.Bits = 0
	}
	return p, nil
}

func parseSetField(s string) (Action, error) {
	value, name, ok := strings.Cut(s, "->")
	if !ok {
		return nil, errors.New("no -> in it")
	}
	f, known := settableField(name)
	if !known {
		return nil, fmt.Errorf("field %s is not known", name)
	}
	v, mask, err := parseSetValue(f, value)
	if err != nil {
		return nil, err
	}
	if f.spec().whole(mask) {
		mask = Value{}
	} else if mask.IsZero() {
		return nil, errors.New("a mask of no bits")
	}
	return SetField{Field: f, Value: v, Mask: mask}, nil
}

func settableField(name string) (Field, bool) {
	switch name {
	case "in_port": // 16 bits wide there: only load writes it so
		return FieldInvalid, false
	case "nw_src":
		return FieldIPSrc, true
	case "nw_dst":
		return FieldIPDst, true
	case "icmp_type":
		return FieldICMPType, true
	case "icmp_code":
		return FieldICMPCode, true
	case "nw_proto":
		return FieldIPProto, true
	}
	f, ok := matchNames[name]
	return f, ok && f.spec().wide().bytes != 0
}

func parseSetValue(f Field, text string) (v, mask Value, err error) {
	if f.spec().kind == kindTunFlags {
		return parseFlags(f, tunFlagNames[:], text)
	}
	s := f.spec()
	value, maskText, masked := strings.Cut(text, "/")
	if v, err = parsePlain(s, value); err != nil || !masked {
		return v, Ones(int(s.bits)), err
	}
	mask, err = parseMask(s, maskText)
	if err == nil && v.And(mask) != v {
		err = errors.New("the value has bits outside of its mask")
	}
	return v, mask, err
}

func parseLoad(s string) (Action, error) {
	value, target, ok := strings.Cut(s, "->")
	if !ok {
		return nil, errors.New("no -> in it")
	}
	t, err := parseSubfield(target)
	if err != nil {
		return nil, err
	}
	p, ok := t.word()
	if !ok {
		return nil, fmt.Errorf("%s has more bits than a load can write", target)
	}
	v, err := parseNumber(value, int(p.bits))
	return Load{Target: t, Value: v}, err
}

func parseWriteMetadata(s string) (Action, error) {
	value, maskText, masked := strings.Cut(s, "/")
	a := WriteMetadata{Mask: ^uint64(0)}
	var err error
	if a.Value, err = parseNumber(value, 64); err == nil && masked {
		a.Mask, err = parseNumber(maskText, 64)
	}
	return a, err
}

func parseMove(s string) (Action, error) {
	source, target, ok := strings.Cut(s, "->")
	if !ok {
		return nil, errors.New("no -> in it")
	}
	from, err := parseSubfield(source)
	if err != nil {
		return nil, err
	}
	to, err := parseSubfield(target)
	if err != nil {
		return nil, err
	}
	p, ok1 := from.part()
	q, ok2 := to.part()
	if !ok1 || !ok2 || p.bits != q.bits {
		return nil, fmt.Errorf("%s and %s differ in width", source, target)
	}
	return Move{Source: from, Target: to}, nil
}

func parseResubmit(s string) (Action, error) {
	port, rest, ok := strings.Cut(s, ",")
	table, more, _ := strings.Cut(rest, ",")
	if !ok || more != "" {
		return nil, errors.New("only a port and a table can be given")
	}
	a := Resubmit{Table: TableAll}
	if port = strings.TrimSpace(port); port != "" {
		p, err := parsePort(port)
		if err != nil || p > 0xffff && p < PortUnset {
			return nil, fmt.Errorf("%q is no port of 16 bits", port)
		}
		if a.InPort = uint16(p & 0xffff); p == PortInPort {
			a.InPort = 0
		}
	}
	if table = strings.TrimSpace(table); table != "" {
		v, err := parseNumber(table, 8)
		if err != nil {
			return nil, err
		}
		a.Table = uint8(v)
	}
	return a, nil
}

// parseNote pads to what the wire carries.
func parseNote(s string) (Action, error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, ".", ""))
	if err != nil {
		return nil, fmt.Errorf("%q are no bytes", s)
	}
	for len(raw)%8 != 6 {
		raw = append(raw, 0)
	}
	return Note{string(raw)}, nil
}

func parseConjunction(s string) (Action, error) {
	id, of, ok1 := strings.Cut(s, ",")
	clause, clauses, ok2 := strings.Cut(of, "/")
	n, err1 := parseNumber(strings.TrimSpace(id), 32)
	k, err2 := parseNumber(strings.TrimSpace(clause), 8)
	all, err3 := parseNumber(strings.TrimSpace(clauses), 8)
	if err := errors.Join(err1, err2, err3); err != nil || !ok1 || !ok2 || k == 0 {
		return nil, fmt.Errorf("%q is not id,clause/clauses", s)
	}
	return Conjunction{ID: uint32(n), Clause: uint8(k), Clauses: uint8(all)}, nil
}
