package openflow

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// U64 is a value of up to 64 bits.
func U64(v uint64) Value { return Value{Lo: v} }

// Address is an IPv4 or IPv6 address as a value.
func Address(a netip.Addr) Value {
	if a.Is4() {
		b := a.As4()
		return Value{Lo: uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return Value{Hi: binary.BigEndian.Uint64(b[:8]), Lo: binary.BigEndian.Uint64(b[8:])}
}

// Ones is a mask of the given number of low bits, at most 128.
func Ones(bits int) Value {
	return Value{Hi: 1<<max(bits-64, 0) - 1, Lo: 1<<min(bits, 64) - 1}
}

// And is the bitwise and of two values.
func (v Value) And(w Value) Value { return Value{v.Hi & w.Hi, v.Lo & w.Lo} }

// Xor is the bitwise exclusive or of two values.
func (v Value) Xor(w Value) Value { return Value{v.Hi ^ w.Hi, v.Lo ^ w.Lo} }

// Or is the bitwise or of two values.
func (v Value) Or(w Value) Value { return Value{v.Hi | w.Hi, v.Lo | w.Lo} }

// Left is the value shifted left by n bits, at most 128; what goes beyond is lost.
func (v Value) Left(n int) Value {
	if n >= 64 {
		return Value{Hi: v.Lo << (n - 64)}
	}
	return Value{Hi: v.Hi<<n | v.Lo>>(64-n), Lo: v.Lo << n}
}

// Right is the value shifted right by n bits, at most 128.
func (v Value) Right(n int) Value {
	if n >= 64 {
		return Value{Lo: v.Hi >> (n - 64)}
	}
	return Value{Hi: v.Hi >> n, Lo: v.Lo>>n | v.Hi<<(64-n)}
}

// IsZero reports whether no bit is set.
func (v Value) IsZero() bool { return v == Value{} }

// Is matches a field exactly.
func Is(f Field, v uint64) MatchField { return IsValue(f, U64(v)) }

// IsValue matches a field of up to 128 bits exactly.
func IsValue(f Field, v Value) MatchField {
	return MatchField{Field: f, Value: v, Mask: Ones(f.Bits())}
}

// Masked matches the bits of a field that mask selects.
func Masked(f Field, v, mask Value) MatchField {
	return MatchField{Field: f, Value: v.And(mask), Mask: mask}
}

// In matches an address field against a prefix.
func In(f Field, p netip.Prefix) MatchField {
	host := f.Bits() - p.Bits()
	mask := Ones(f.Bits()).Xor(Ones(host))
	return Masked(f, Address(p.Masked().Addr()), mask)
}

// NewMatch sorts fields into a match and leaves out those that match anything. Wide
// registers and vlan_tci come out under the names that Open vSwitch reads back for them. Of
// a field given twice the last one counts.
func NewMatch(fields ...MatchField) Match {
	m := make(Match, 0, len(fields)+1)
	for _, f := range fields {
		if f.Mask.IsZero() {
			continue
		}
		m = append(m, f)
		for i := len(m) - 1; i < len(m); i++ {
			m = split(m, i)
		}
	}
	slices.SortStableFunc(m, byField)
	out := m[:0]
	for i, f := range m {
		if i+1 < len(m) && m[i+1].Field == f.Field {
			continue
		}
		out = append(out, f)
	}
	return out
}

// Equal reports whether two matches are the same.
func (m Match) Equal(n Match) bool { return slices.Equal(m, n) }

// Get is the match's field f, and whether it is there.
func (m Match) Get(f Field) (MatchField, bool) {
	at, found := slices.BinarySearchFunc(m, f, func(e MatchField, f Field) int { return int(e.Field) - int(f) })
	if !found {
		return MatchField{}, false
	}
	return m[at], true
}

// Meets reports whether a packet can be of both matches. A field that only one of them names may
// have any value.
func (m Match) Meets(n Match) bool {
	for _, f := range m {
		g, both := n.Get(f.Field)
		if both && !f.Value.Xor(g.Value).And(f.Mask).And(g.Mask).IsZero() {
			return false
		}
	}
	return true
}
