package witness

import (
	"maps"

	of "sluice/datapath/openflow"
)

// bits are what is known of a field: the value of those bits that mask selects.
type bits struct{ value, mask of.Value }

// known is what a frame and its metadata must be, or are known to be: a field that is left out may be anything.
type known map[of.Field]bits

func (k known) clone() known { return maps.Clone(k) }

// meets adds what a match asks; it reports false where that cannot be.
func (k known) meets(m of.Match) bool {
	for _, f := range m {
		if !k.add(f.Field, bits{f.Value, f.Mask}) {
			return false
		}
	}
	return true
}

// fits reports whether a match can be met, and adds nothing.
func (k known) fits(m of.Match) bool {
	for _, f := range m {
		if b, ok := k[f.Field]; ok && !b.value.Xor(f.Value).And(b.mask).And(f.Mask).IsZero() {
			return false
		}
	}
	return true
}

// implies reports whether whatever is so meets a match.
func (k known) implies(m of.Match) bool {
	for _, f := range m {
		b := k[f.Field]
		if b.mask.And(f.Mask) != f.Mask || !b.value.Xor(f.Value).And(f.Mask).IsZero() {
			return false
		}
	}
	return true
}

// add learns more bits of a field; it reports false where they contradict.
func (k known) add(f of.Field, b bits) bool {
	old := k[f]
	if !old.value.Xor(b.value).And(old.mask).And(b.mask).IsZero() {
		return false
	}
	both := old.mask.Or(b.mask)
	if !both.IsZero() {
		k[f] = bits{old.value.And(old.mask).Or(b.value.And(b.mask)), both}
	}
	return true
}

// forget drops bits of a field.
func (k known) forget(f of.Field, mask of.Value) {
	b, ok := k[f]
	if !ok {
		return
	}
	b.mask = b.mask.And(mask.Xor(of.Ones(128)))
	if b.value = b.value.And(b.mask); b.mask.IsZero() {
		delete(k, f)
		return
	}
	k[f] = b
}

// get reads a subfield, right aligned.
func (k known) get(s of.Subfield) bits {
	mask := of.Ones(s.Width())
	b := k[s.Field]
	return bits{b.value.Right(int(s.Offset)).And(mask), b.mask.Right(int(s.Offset)).And(mask)}
}

// put adds a subfield's bits.
func (k known) put(s of.Subfield, b bits) bool {
	return k.add(s.Field, bits{b.value.Left(int(s.Offset)), b.mask.Left(int(s.Offset))})
}

func maskOf(s of.Subfield) of.Value { return of.Ones(s.Width()).Left(int(s.Offset)) }

// after makes k what it is once an action has run.
func (k known) after(a of.Action) {
	switch a := a.(type) {
	case of.SetField:
		mask := wholeOr(a.Field, a.Mask)
		k.forget(a.Field, mask)
		k.add(a.Field, bits{a.Value.And(mask), mask})
	case of.Load:
		k.forget(a.Target.Field, maskOf(a.Target))
		k.put(a.Target, bits{of.U64(a.Value), of.Ones(a.Target.Width())})
	case of.WriteMetadata:
		k.forget(of.FieldMetadata, of.U64(a.Mask))
		k.add(of.FieldMetadata, bits{of.U64(a.Value & a.Mask), of.U64(a.Mask)})
	case of.Move:
		b := k.get(a.Source)
		k.forget(a.Target.Field, maskOf(a.Target))
		k.put(a.Target, b)
	case of.Pop:
		k.forget(a.Target.Field, maskOf(a.Target))
	case of.BundleLoad: // whichever member is live
		k.forget(a.Target.Field, maskOf(a.Target))
	case of.PushVLAN:
		k[of.FieldVLANVID] = bits{of.U64(0x1000), of.U64(0x1fff)}
	case of.PopVLAN:
		delete(k, of.FieldVLANVID)
	case of.DecTTL:
		delete(k, of.FieldIPTTL)
	case of.CT:
		k.tracked(a)
	}
}

// connectionFields are what connection tracking writes.
var connectionFields = [...]of.Field{of.FieldCTState, of.FieldCTZone, of.FieldCTMark, of.FieldCTLabel}

func (k known) tracked(a of.CT) {
	for _, f := range connectionFields {
		delete(k, f)
	}
	if a.NAT != nil {
		k.untranslated()
		if a.NAT.Source && !a.NAT.V6 {
			k[of.FieldIPSrc] = bits{a.NAT.MinAddress, of.Ones(32)}
		}
	}
}

// untranslated forgets what translation may have written.
func (k known) untranslated() {
	for _, f := range translatedFields {
		delete(k, f)
	}
}

// translatedFields are what translation may write.
var translatedFields = [...]of.Field{of.FieldIPSrc, of.FieldIPDst, of.FieldTCPSrc, of.FieldTCPDst, of.FieldUDPSrc, of.FieldUDPDst}

func wholeOr(f of.Field, mask of.Value) of.Value {
	switch {
	case f == of.FieldVLANVID:
		return of.U64(0xfff)
	case mask.IsZero():
		return of.Ones(f.Bits())
	}
	return mask
}

// before makes k, which must hold once actions have run, what must hold before; it reports
// false where the actions never lead to it.
func (k known) before(actions []of.Action) bool {
	var stack []bits // what was popped, and is still to be pushed
	for i := len(actions) - 1; i >= 0; i-- {
		switch a := actions[i].(type) {
		case of.SetField:
			mask := wholeOr(a.Field, a.Mask)
			if !k.set(a.Field, bits{a.Value.And(mask), mask}) {
				return false
			}
		case of.Load:
			if !k.set(a.Target.Field, bits{of.U64(a.Value).Left(int(a.Target.Offset)), maskOf(a.Target)}) {
				return false
			}
		case of.WriteMetadata:
			if !k.set(of.FieldMetadata, bits{of.U64(a.Value & a.Mask), of.U64(a.Mask)}) {
				return false
			}
		case of.Move:
			b := k.get(a.Target)
			k.forget(a.Target.Field, maskOf(a.Target))
			if !k.put(a.Source, b) {
				return false
			}
		case of.Pop:
			stack = append(stack, k.get(a.Target))
			k.forget(a.Target.Field, maskOf(a.Target))
		case of.BundleLoad:
			k.forget(a.Target.Field, maskOf(a.Target))
		case of.Push:
			if last := len(stack) - 1; last >= 0 {
				b := stack[last]
				if stack = stack[:last]; !k.put(a.Source, b) {
					return false
				}
			}
		case of.PushVLAN, of.PopVLAN:
			delete(k, of.FieldVLANVID)
		case of.DecTTL:
			if b, ok := k[of.FieldIPTTL]; ok && b.mask == of.Ones(8) {
				b.value.Lo++
				k[of.FieldIPTTL] = b
			}
		case of.CT:
			if a.NAT != nil && a.NAT.Source && !k.set(of.FieldIPSrc, bits{a.NAT.MinAddress, of.Ones(32)}) {
				return false
			}
			if a.NAT != nil {
				k.untranslated()
			}
		}
	}
	return true
}

// set is before of one write: the bits that it wrote need to be what it wrote, and were free.
func (k known) set(f of.Field, b bits) bool {
	if old, ok := k[f]; ok && !old.value.Xor(b.value).And(old.mask).And(b.mask).IsZero() {
		return false
	}
	k.forget(f, b.mask)
	return true
}
