package store

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Draw is one value that a new object takes: a key under alloc/ that does not exist yet.
type Draw struct {
	Owner Key
	Dir   string // under alloc/, with what the value is unique in: "addresses/alice/web"
	// Value is the only one that will do; empty: any of Space, looked for from a hash of Seed,
	// so that concurrent creators seldom meet.
	Value string
	// Retake says that Value may be a tombstone of Owner's: the very object comes back that left it.
	Retake bool
	// Former is an object that is not there, for which Value may be reserved; zero: for none.
	Former Key
	Space  Space
	Rather Space // a part of Space from which a value is drawn while many of it are free; empty: none is better
	Seed   string
	// Set puts the value into the object. It may be called again with another.
	Set func(value string)
	// Taken is the refusal where Value is another's.
	Taken func(owner string) error
	// Counts reports whether a taken value is of Space, where others are taken in Dir too; nil: all are.
	Counts func(value string) bool
	// Exhausted is the refusal where all of Space is taken.
	Exhausted func(Counted) error
}

// Counted is by what the values of a space are taken.
type Counted struct {
	InUse  int // by objects
	Freed  int // by tombstones
	Sticky int // by names whose port is gone
}

// Space is what a draw may choose from. At is the value at an offset less than Count, or ""
// where that one is not to be had, such as the router's address.
type Space struct {
	Count uint64
	At    func(offset uint64) string
}

// Numbers is the space of numbers from 1 to last.
func Numbers(last uint32) Space {
	return Space{Count: uint64(last), At: func(offset uint64) string { return strconv.FormatUint(offset+1, 10) }}
}

// Addresses is the space of a subnet without its router and without some ranges.
func Addresses(s Subnet, excluded []AddressRange) Space {
	spans := choosable(s.Prefix, excluded)
	count := uint64(0)
	for _, part := range spans {
		count += part.last - part.first + 1
	}
	return Space{Count: count, At: func(offset uint64) string {
		for _, part := range spans {
			if size := part.last - part.first + 1; offset >= size {
				offset -= size
				continue
			}
			if a := UsableAt(s.Prefix, part.first+offset); a != s.Gateway {
				return a.String()
			}
			break
		}
		return ""
	}}
}

// MACs is the space of locally administered unicast addresses that are not reserved.
func MACs() Space {
	return Space{Count: 1 << 46, At: func(offset uint64) string {
		// The two low bits of the first byte say "local" and "one station" (IEEE 802).
		m := MACFromUint64(offset>>40<<42 | 2<<40 | offset&(1<<40-1))
		if ValidateMAC(m) != nil {
			return ""
		}
		return m.String()
	}}
}

// drawNumber draws a number from 1 to last. what names such numbers to people, todo says
// what helps when none is left.
func drawNumber(dir string, owner Key, seed string, last uint32, what, todo string, set func(uint32)) Draw {
	return Draw{
		Owner: owner, Dir: dir, Seed: seed, Space: Numbers(last), Exhausted: exhausted(what, todo),
		Set: func(value string) {
			n, _ := strconv.ParseUint(value, 10, 32) // made by Numbers
			set(uint32(n))
		},
	}
}

func exhausted(what, todo string) func(Counted) error {
	return func(u Counted) error {
		return fmt.Errorf("%s %w: %d are in use and %d are freed but not yet forgotten by every host: %s", what, ErrExhausted, u.InUse, u.Freed, todo)
	}
}

// within is the directory under alloc/ of the values in a network.
func (u *unique[V, R, T]) within(n NetworkName) string {
	return strings.Join([]string{u.dir, n.Tenant, n.Network}, "/")
}

// addressOf reads an address that a draw proposes: one made by Addresses, or given as an address.
func addressOf(value string) netip.Addr {
	a, _ := netip.ParseAddr(value)
	return a
}
