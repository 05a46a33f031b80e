package prove

import (
	"math/bits"

	of "sluice/datapath/openflow"
)

// This file subtracts matches: sets of frames, each given by the bits that a match fixes.

// most is how many pieces one subtraction may look at.
const most = 20_000

// meet is the frames of both matches; false: there are none.
func meet(a, b of.Match) (of.Match, bool) {
	if apart(a, b) {
		return nil, false
	}
	both := make(of.Match, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].Field < b[0].Field:
			both, a = append(both, a[0]), a[1:]
		case a[0].Field > b[0].Field:
			both, b = append(both, b[0]), b[1:]
		default:
			both = append(both, of.MatchField{Field: a[0].Field, Value: a[0].Value.Or(b[0].Value), Mask: a[0].Mask.Or(b[0].Mask)})
			a, b = a[1:], b[1:]
		}
	}
	return append(append(both, a...), b...), true
}

// apart reports whether no frame is in both matches.
func apart(a, b of.Match) bool {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].Field < b[0].Field:
			a = a[1:]
		case a[0].Field > b[0].Field:
			b = b[1:]
		default:
			if !a[0].Value.Xor(b[0].Value).And(a[0].Mask).And(b[0].Mask).IsZero() {
				return true
			}
			a, b = a[1:], b[1:]
		}
	}
	return false
}

// within reports whether all frames of a are in b.
func within(a, b of.Match) bool {
	for _, f := range b {
		g, fixed := a.Get(f.Field)
		if !fixed || !f.Mask.And(g.Mask).Xor(f.Mask).IsZero() || !f.Value.Xor(g.Value).And(f.Mask).IsZero() {
			return false
		}
	}
	return true
}

// subtraction takes matches away from one, in pieces, until one is left over or none is.
type subtraction struct {
	looked int
}

// rest is some frames of a that are in none of the others; nil: there are none. It is
// false where too many pieces had to be looked at.
func (s *subtraction) rest(a of.Match, others []of.Match) (left of.Match, ok bool) {
	for i, b := range others {
		if s.looked++; s.looked > most {
			return nil, false
		}
		switch {
		case apart(a, b):
		case within(a, b):
			return nil, true
		default:
			return s.pieces(a, b, others[i+1:])
		}
	}
	if a == nil {
		a = of.Match{} // all frames there are, which is not none
	}
	return a, true
}

// pieces cuts a along the bits that b fixes and a does not: all pieces but the last are outside of b, and
// the last is within.
func (s *subtraction) pieces(a, b of.Match, others []of.Match) (left of.Match, ok bool) {
	for _, f := range b {
		g, _ := a.Get(f.Field)
		for free := without(f.Mask, g.Mask); !free.IsZero(); {
			bit := highest(free)
			free = without(free, bit)
			outside := of.MatchField{Field: f.Field, Value: f.Value.Xor(bit).And(bit), Mask: bit}
			piece, _ := meet(a, of.Match{outside})
			if left, ok := s.rest(piece, others); left != nil || !ok {
				return left, ok
			}
			inside := of.MatchField{Field: f.Field, Value: f.Value.And(bit), Mask: bit}
			a, _ = meet(a, of.Match{inside})
		}
	}
	return nil, true
}

func without(v, w of.Value) of.Value { return of.Value{Hi: v.Hi &^ w.Hi, Lo: v.Lo &^ w.Lo} }

// highest is the highest bit that is set.
func highest(v of.Value) of.Value {
	if v.Hi != 0 {
		return of.Value{Hi: 1 << (bits.Len64(v.Hi) - 1)}
	}
	return of.Value{Lo: 1 << (bits.Len64(v.Lo) - 1)}
}
