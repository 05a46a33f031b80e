package store

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// AddressRange is all addresses from First to Last. In JSON it is text: "10.0.0.1-10.0.0.20", or
// "10.0.0.5" for one address.
type AddressRange struct{ First, Last netip.Addr }

// ParseAddressRange reads "10.0.0.1-10.0.0.20", "10.0.0.5" or "10.0.0.64/26".
func ParseAddressRange(text string) (AddressRange, error) {
	malformed := fmt.Errorf("%q is no range of addresses such as 10.0.0.1-10.0.0.20, 10.0.0.5 or 10.0.0.64/26", text)
	if p, err := netip.ParsePrefix(text); err == nil {
		return AddressRange{p.Masked().Addr(), lastAddr(p)}, nil
	}
	from, to, both := strings.Cut(text, "-")
	if !both {
		to = from
	}
	first, err := netip.ParseAddr(from)
	last, err2 := netip.ParseAddr(to)
	switch {
	case err != nil || err2 != nil || first.Zone() != "" || last.Zone() != "" || first.BitLen() != last.BitLen():
		return AddressRange{}, malformed
	case last.Less(first):
		return AddressRange{}, fmt.Errorf("range %q ends before it begins: did you mean %s-%s?", text, last, first)
	}
	return AddressRange{first, last}, nil
}

// Contains reports whether an address is in the range.
func (r AddressRange) Contains(a netip.Addr) bool {
	return r.First.BitLen() == a.BitLen() && !a.Less(r.First) && !r.Last.Less(a)
}

func (r AddressRange) String() string {
	if r.First == r.Last {
		return r.First.String()
	}
	return r.First.String() + "-" + r.Last.String()
}

// MarshalText implements encoding.TextMarshaler. A range of nothing, which null in JSON is read as, has no text.
func (r AddressRange) MarshalText() ([]byte, error) {
	if !r.First.IsValid() {
		return nil, errors.New("a range has no first address")
	}
	return []byte(r.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *AddressRange) UnmarshalText(b []byte) error {
	parsed, err := ParseAddressRange(string(b))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

// span is a run of offsets into a subnet's usable range.
type span struct{ first, last uint64 }

// choosable are the offsets of a subnet's usable addresses outside of some ranges, in order.
func choosable(p netip.Prefix, excluded []AddressRange) []span {
	left := []span{{0, UsableCount(p) - 1}}
	for _, r := range excluded {
		from, to, touches := offsetsOf(p, r)
		if !touches {
			continue
		}
		var rest []span
		for _, s := range left {
			if s.first < from {
				rest = append(rest, span{s.first, min(s.last, from-1)})
			}
			if s.last > to {
				rest = append(rest, span{max(s.first, to+1), s.last})
			}
		}
		left = rest
	}
	slices.SortFunc(left, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	return left
}

// offsetsOf is where a range lies in a subnet's usable range, as far as that is counted.
func offsetsOf(p netip.Prefix, r AddressRange) (from, to uint64, touches bool) {
	first, last := UsableRange(p)
	if r.First.BitLen() != first.BitLen() || r.Last.Less(first) || last.Less(r.First) {
		return 0, 0, false
	}
	counted := UsableCount(p)
	if r.First.Compare(first) > 0 {
		from = min(distance(first, r.First), counted)
	}
	to = min(distance(first, r.Last), counted-1)
	return from, to, from < counted
}

// distance is how far b is behind a, both of one family; 2^64-1 where that does not fit.
func distance(a, b netip.Addr) uint64 {
	high, low := halves(a)
	high2, low2 := halves(b)
	if low2 < low {
		high2--
	}
	if high != high2 {
		return 1<<64 - 1
	}
	return low2 - low
}
