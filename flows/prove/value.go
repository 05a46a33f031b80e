package prove

import (
	"sluice/flows"

	of "sluice/datapath/openflow"
)

// value is what is known of a field while a flow's actions run.
type value struct {
	bits, known of.Value // of the bits known, those that are set; which are known
	of          of.Field // it is the whole value that this field had at first; FieldInvalid: of none
	part        copied   // a part of it is one of a field; the zero value: none is
}

// copied are bits of a value that are those that a field had at first.
type copied struct {
	of       of.Field
	from, to int // the lowest of them, there and here
	count    int
}

// written is a field that the actions have changed.
type written struct {
	field of.Field
	value value
}

// get is what is known of a field now.
func (r *run) get(f of.Field) value {
	for i := range r.writes {
		if r.writes[i].field == f {
			return r.writes[i].value
		}
	}
	m, _ := r.flow.Match.Get(f)
	return value{bits: m.Value.And(m.Mask), known: m.Mask, of: f}
}

// whole is a field's value, where all bits of it are known.
func (r *run) whole(f of.Field) (of.Value, bool) {
	v := r.get(f)
	return v.bits, v.known == of.Ones(f.Bits())
}

// number is the same of a field of at most 64 bits.
func (r *run) number(f of.Field) (uint64, bool) {
	v, ok := r.whole(f)
	return v.Lo, ok
}

// is reports whether a field is known to have a value.
func (r *run) is(f of.Field, want uint64) bool {
	v, ok := r.number(f)
	return ok && v == want
}

// bitsAre reports whether some bits of a field are known to be as wanted.
func (r *run) bitsAre(f of.Field, want, mask uint64) bool {
	v := r.get(f)
	return v.known.Lo&mask == mask && v.bits.Lo&mask == want
}

// copied reports whether a field holds what another one held at first.
func (r *run) copied(to, from of.Field) bool { return r.get(to).of == from }

// isBut reports whether a field is known to have a value, but for a part that is copied.
func (r *run) isBut(f of.Field, want of.Value, part copied) bool {
	v, mask := r.get(f), without(of.Ones(f.Bits()), of.Ones(part.count).Left(part.to))
	return v.part == part && v.known.And(mask) == mask && v.bits.And(mask) == want.And(mask)
}

// put notes that a field has a value from now on.
func (r *run) put(f of.Field, v value) {
	for i := range r.writes {
		if r.writes[i].field == f {
			r.writes[i].value = v
			return
		}
	}
	r.writes = append(r.writes, written{f, v})
}

// part are bits of a field, which may be all: their lowest, and how many.
func part(s of.Subfield) (low, count int) {
	if s.Bits == 0 {
		return 0, s.Field.Bits()
	}
	return int(s.Offset), int(s.Bits)
}

// write changes bits of a field to those of v, which stand lowest.
func (r *run) write(to of.Subfield, v value) {
	if high, low, wide := halves(to.Field); wide {
		r.writeWide(to, high, low, v)
		return
	}
	at, count := part(to)
	if at == 0 && count >= to.Field.Bits() {
		r.put(to.Field, v)
		return
	}
	before := r.get(to.Field)
	mask := of.Ones(count).Left(at)
	if v.part != (copied{}) {
		v.part.to += at
	}
	r.put(to.Field, value{
		bits:  without(before.bits, mask).Or(v.bits.Left(at).And(mask)),
		known: without(before.known, mask).Or(v.known.Left(at).And(mask)),
		part:  v.part,
	})
}

// halves are the registers that a register of 64 bits is made of.
func halves(f of.Field) (high, low of.Field, wide bool) {
	if f < of.FieldXReg0 || f > of.FieldXReg7 {
		return 0, 0, false
	}
	high = of.FieldReg0 + 2*(f-of.FieldXReg0)
	return high, high + 1, true
}

// writeWide changes bits of two registers that were written as one.
func (r *run) writeWide(to of.Subfield, high, low of.Field, v value) {
	const width = 32
	at, count := part(to)
	if inLow := min(at+count, width) - at; inLow > 0 {
		r.write(of.Subfield{Field: low, Offset: uint16(at), Bits: uint16(inLow)}, value{bits: v.bits, known: v.known})
		v = value{bits: v.bits.Right(inLow), known: v.known.Right(inLow)}
		at, count = width, count-inLow
	}
	if count > 0 {
		r.write(of.Subfield{Field: high, Offset: uint16(at - width), Bits: uint16(count)}, v)
	}
}

// read is what is known of bits of a field; they stand lowest.
func (r *run) read(from of.Subfield) value {
	at, count := part(from)
	v := r.get(from.Field)
	if at == 0 && count >= from.Field.Bits() {
		return v
	}
	part := value{bits: v.bits.Right(at).And(of.Ones(count)), known: v.known.Right(at).And(of.Ones(count))}
	if v.of != of.FieldInvalid {
		part.part = copied{of: v.of, from: at, count: count}
	}
	return part
}

// noPort reports whether in_port says that the frame came in nowhere.
func (r *run) noPort() bool {
	v, ok := r.number(of.FieldInPort)
	return ok && (v == flows.NoPort || v == uint64(of.PortAny)) || r.bitsAre(of.FieldInPort, flows.NoPort, flows.NoPort)
}
