package openflow

import "testing"

func TestShifts(t *testing.T) {
	v := Value{Hi: 0x0123456789abcdef, Lo: 0xfedcba9876543210}
	for _, x := range []struct {
		n           int
		left, right Value
	}{
		{0, v, v},
		{4, Value{0x123456789abcdeff, 0xedcba98765432100}, Value{0x00123456789abcde, 0xffedcba987654321}},
		{63, Value{0xff6e5d4c3b2a1908, 0}, Value{0, 0x02468acf13579bdf}},
		{64, Value{Hi: v.Lo}, Value{Lo: v.Hi}},
		{68, Value{Hi: 0xedcba98765432100}, Value{Lo: 0x00123456789abcde}},
		{128, Value{}, Value{}},
	} {
		if got := v.Left(x.n); got != x.left {
			t.Errorf("left by %d: %x, want %x", x.n, got, x.left)
		}
		if got := v.Right(x.n); got != x.right {
			t.Errorf("right by %d: %x, want %x", x.n, got, x.right)
		}
	}
	if got := (Value{0b1100, 0b0011}).Or(Value{0b1010, 0b0101}); got != (Value{0b1110, 0b0111}) {
		t.Errorf("or: %b", got)
	}
}

func TestWidths(t *testing.T) {
	for s, want := range map[Subfield]int{
		{Field: FieldReg0}: 32, {Field: FieldReg0, Offset: 4, Bits: 7}: 7, {Field: FieldInPort}: 16, {Field: FieldVLANVID}: 12, {Field: FieldMetadata}: 64,
	} {
		if got := s.Width(); got != want {
			t.Errorf("%+v has %d bits, want %d", s, got, want)
		}
	}
}
