package openflow

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ParseFlow reads a flow in the syntax of ovs-ofctl(8): what add-flow takes and what
// dump-flows --no-stats prints. Its match comes out as NewMatch makes it. What this package
// cannot represent is an error that names it.
func ParseFlow(s string) (Flow, error) {
	f, err := parseFlow(s)
	if err != nil {
		return Flow{}, fmt.Errorf("flow %q: %w", s, err)
	}
	return f, nil
}

func parseFlow(s string) (Flow, error) {
	head, actions, ok := cutActions(s)
	if !ok {
		return Flow{}, errors.New("no actions=")
	}
	f := Flow{Priority: defaultPriority}
	p := matchParser{flow: &f}
	for t := (tokens{rest: head}); ; {
		w, ok, err := t.next()
		if err != nil {
			return Flow{}, err
		}
		if !ok {
			break
		}
		if err := p.word(w); err != nil {
			return Flow{}, err
		}
	}
	if err := p.finish(); err != nil {
		return Flow{}, err
	}
	var err error
	f.Actions, err = parseActions(actions, 0)
	if err != nil {
		return Flow{}, err
	}
	f.Actions = inOrder(f.Actions)
	return f, nil
}

// cutActions splits a flow's text at the word actions.
func cutActions(s string) (head, actions string, ok bool) {
	for _, word := range []string{"actions=", "action="} {
		before, after, found := strings.Cut(s, word)
		if found && (before == "" || isSeparator(before[len(before)-1])) {
			return before, after, true
		}
	}
	return "", "", false
}

// inOrder puts instructions where they count.
func inOrder(actions []Action) []Action {
	out := make([]Action, 0, len(actions))
	for _, kind := range instructionOrder {
		for _, a := range actions {
			if instructionOf(a) == kind {
				out = append(out, a)
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// tokens cuts text into words: key, key=value, key:value and key(value), which may be
// followed by more, as in check_pkt_larger(1500)->reg0[0]. Parentheses nest.
type tokens struct{ rest string }

// word is one of them.
type word struct {
	key, value string
	form       byte   // '=', ':', '(' or 0 for a key alone
	tail       string // what follows the closing parenthesis of form '('
}

func isSeparator(c byte) bool { return c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (t *tokens) next() (w word, ok bool, err error) {
	s := t.rest
	for len(s) > 0 && isSeparator(s[0]) {
		s = s[1:]
	}
	if s == "" {
		t.rest = ""
		return word{}, false, nil
	}
	i := strings.IndexAny(s, ":=(, \t\r\n")
	switch {
	case i < 0:
		w.key, t.rest = s, ""
		return w, true, nil
	case isSeparator(s[i]):
		w.key, t.rest = s[:i], s[i:]
		return w, true, nil
	}
	w.key, w.form = s[:i], s[i]
	end, err := valueEnd(s[i:])
	if err != nil {
		return word{}, false, fmt.Errorf("%s: %w", w.key, err)
	}
	w.value, t.rest = s[i+1:i+end], s[i+end:]
	if w.form == '(' {
		closing := closingParenthesis(w.value)
		w.value, w.tail = w.value[:closing], w.value[closing+1:]
	}
	return w, true, nil
}

// valueEnd is where the value that starts with s ends: at a separator outside of all
// parentheses.
func valueEnd(s string) (int, error) {
	depth := 0
	for i := range len(s) {
		switch {
		case s[i] == '(':
			depth++
		case s[i] == ')':
			if depth--; depth < 0 {
				return 0, errors.New("a ) without its (")
			}
		case depth == 0 && isSeparator(s[i]):
			return i, nil
		}
	}
	if depth != 0 {
		return 0, errors.New("a ( without its )")
	}
	return len(s), nil
}

// closingParenthesis is where the parenthesis before s closes; valueEnd saw that it does.
func closingParenthesis(s string) int {
	depth := 1
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(s) - 1
}

// parseNumber reads a number of at most that many bits, decimal or with 0x hexadecimal.
func parseNumber(s string, bits int) (uint64, error) {
	v, err := parseWide(s, bits)
	return v.Lo, err
}

// parseWide reads a number of at most 128 bits.
func parseWide(s string, bits int) (Value, error) {
	var v Value
	digits, isHex := strings.CutPrefix(s, "0x")
	if isHex && len(digits) > 16 && len(digits) <= 32 {
		hi, err1 := strconv.ParseUint(digits[:len(digits)-16], 16, 64)
		lo, err2 := strconv.ParseUint(digits[len(digits)-16:], 16, 64)
		if err1 != nil || err2 != nil {
			return v, fmt.Errorf("%q is no number", s)
		}
		v = Value{hi, lo}
	} else {
		base := 10
		if isHex {
			base = 16
		}
		lo, err := strconv.ParseUint(digits, base, 64)
		if err != nil {
			return v, fmt.Errorf("%q is no number", s)
		}
		v.Lo = lo
	}
	if v.And(Ones(bits)) != v {
		return v, fmt.Errorf("%s has more than %d bits", s, bits)
	}
	return v, nil
}

func parseMAC(s string) (Value, error) {
	parts := strings.Split(s, ":")
	raw, err := hex.DecodeString(strings.Join(parts, ""))
	if err != nil || len(raw) != 6 || slices.ContainsFunc(parts, func(p string) bool { return len(p) != 2 }) {
		return Value{}, fmt.Errorf("%q is no Ethernet address", s)
	}
	return getValue(raw), nil
}

func parseIP(s string, v6 bool) (Value, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Is4() == v6 || a.Zone() != "" {
		if v6 {
			return Value{}, fmt.Errorf("%q is no IPv6 address", s)
		}
		return Value{}, fmt.Errorf("%q is no IPv4 address", s)
	}
	return Address(a), nil
}

func parsePort(s string) (uint32, error) {
	for i, name := range portNames {
		if strings.EqualFold(name, s) {
			return PortUnset + uint32(i), nil
		}
	}
	v, err := parseNumber(s, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no port", s)
	}
	return uint32(v), nil
}

func parsePlain(s *fieldSpec, text string) (Value, error) {
	switch s.kind {
	case kindMAC:
		return parseMAC(text)
	case kindIPv4:
		return parseIP(text, false)
	case kindIPv6:
		return parseIP(text, true)
	case kindPort:
		port, err := parsePort(text)
		return U64(uint64(port)), err
	}
	return parseWide(text, int(s.bits))
}

// parseValue reads value or value/mask of a field. Without one the mask is all ones.
func parseValue(f Field, text string) (v, mask Value, err error) {
	s := f.spec()
	width := Ones(int(s.bits))
	plain, maskText, masked := strings.Cut(text, "/")
	if v, err = parsePlain(s, plain); err != nil {
		return v, mask, fmt.Errorf("%s: %w", f, err)
	}
	if !masked {
		return v, width, nil
	}
	if mask, err = parseMask(s, maskText); err != nil {
		return v, mask, fmt.Errorf("%s: %w", f, err)
	}
	if s.exact && mask != width {
		return v, mask, fmt.Errorf("%s cannot be masked", f)
	}
	return v.And(mask), mask, nil
}

func parseMask(s *fieldSpec, text string) (Value, error) {
	if s.kind == kindIPv4 || s.kind == kindIPv6 {
		if n, err := strconv.ParseUint(text, 10, 8); err == nil {
			if n > uint64(s.bits) {
				return Value{}, fmt.Errorf("a prefix of %d bits", n)
			}
			return Ones(int(s.bits)).Xor(Ones(int(s.bits) - int(n))), nil
		}
	}
	return parsePlain(s, text)
}
