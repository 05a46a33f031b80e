package prove

import (
	"math/rand/v2"
	"testing"

	of "sluice/datapath/openflow"
)

// What is left of a subtraction is in the first match and in none of the others; nothing is left only
// where there is nothing. The twin looks at each frame of a small world.
func TestSubtractionIsThatOfSets(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	some, none := 0, 0
	for range 20_000 {
		a, others := randomMatch(r), make([]of.Match, r.IntN(5))
		for i := range others {
			others[i] = randomMatch(r)
		}
		var s subtraction
		left, ok := s.rest(a, others)
		if !ok {
			t.Fatalf("%v less %v: too complex", a, others)
		}
		remain := frames(a, others)
		switch {
		case left == nil && len(remain) > 0:
			t.Fatalf("%v less %v: frames %v are left, and none was found", a, others, remain)
		case left != nil && len(frames(left, nil)) == 0:
			t.Fatalf("%v less %v: %v holds no frame", a, others, left)
		case left != nil && len(frames(left, others)) != len(frames(left, nil)):
			t.Fatalf("%v less %v: %v holds frames that were taken away", a, others, left)
		case left != nil && !within(left, a):
			t.Fatalf("%v less %v: %v holds other frames", a, others, left)
		case left != nil:
			some++
		default:
			none++
		}
	}
	if some < 1000 || none < 1000 {
		t.Errorf("%d with a rest, %d without: the matches test too little", some, none)
	}
}

// fieldsTried have two bits each in that world, the lowest and, of an IPv6 address, the highest.
var fieldsTried = []of.Field{of.FieldReg1, of.FieldIPv6Src, of.FieldIPDst}

// bitsOf is a number of two bits as bits of a field.
func bitsOf(f of.Field, n int) of.Value {
	if f == of.FieldIPv6Src {
		return of.Value{Hi: uint64(n>>1) << 63, Lo: uint64(n & 1)}
	}
	return of.U64(uint64(n))
}

func randomMatch(r *rand.Rand) of.Match {
	var m []of.MatchField
	for _, f := range fieldsTried {
		m = append(m, of.Masked(f, bitsOf(f, r.IntN(4)), bitsOf(f, r.IntN(4))))
	}
	return of.NewMatch(m...)
}

// frames are those in a match and in none of some others, by number.
func frames(m of.Match, others []of.Match) (list []int) {
	for n := range 1 << (2 * len(fieldsTried)) {
		var all of.Match
		for i, f := range fieldsTried {
			all = append(all, of.IsValue(f, bitsOf(f, n>>(2*i)&3)))
		}
		frame := of.NewMatch(all...)
		taken := false
		for _, o := range others {
			taken = taken || within(frame, o)
		}
		if within(frame, m) && !taken {
			list = append(list, n)
		}
	}
	return list
}

// A subtraction that would take too many pieces says so, and never that nothing is left.
func TestSubtractionIsBounded(t *testing.T) {
	var others []of.Match
	r := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		others = append(others, of.NewMatch(of.Masked(of.FieldIPv6Src, of.Value{Hi: r.Uint64(), Lo: r.Uint64()},
			of.Value{Hi: 1 << r.IntN(64), Lo: 1 << r.IntN(64)}), of.Masked(of.FieldIPv6Dst, of.Value{Hi: r.Uint64()}, of.Value{Hi: 3 << r.IntN(63)})))
	}
	var s subtraction
	if left, ok := s.rest(of.NewMatch(), others); ok || left != nil {
		t.Errorf("left %v, %v after %d pieces", left, ok, s.looked)
	}
}

// meet is what both matches hold, and apart says that there is none.
func TestMeetIsThatOfSets(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		a, b := randomMatch(r), randomMatch(r)
		both, some := meet(a, b)
		var want []int
		inB := map[int]bool{}
		for _, n := range frames(b, nil) {
			inB[n] = true
		}
		for _, n := range frames(a, nil) {
			if inB[n] {
				want = append(want, n)
			}
		}
		if some != (len(want) > 0) || some && len(frames(both, nil)) != len(want) {
			t.Fatalf("%v and %v: %v, %v; want %v", a, b, both, some, want)
		}
	}
}
