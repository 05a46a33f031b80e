package store

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// UsableRange is the first and the last address of a subnet that a router or a container
// may have. IPv4 keeps the first for the network and the last for broadcast; IPv6 keeps
// the first for the subnet's routers (RFC 4291, 2.6.1).
func UsableRange(p netip.Prefix) (first, last netip.Addr) {
	first, last = p.Masked().Addr().Next(), lastAddr(p)
	if p.Addr().Is4() {
		last = last.Prev()
	}
	return first, last
}

// Usable reports whether a is in the subnet's usable range.
func Usable(p netip.Prefix, a netip.Addr) bool {
	if !p.Contains(a) {
		return false
	}
	first, last := UsableRange(p)
	return first.Compare(a) <= 0 && a.Compare(last) <= 0
}

// Offers reports whether a port may have an address: a usable one that is not the router's.
func (s Subnet) Offers(a netip.Addr) bool { return a != s.Gateway && Usable(s.Prefix, a) }

// DefaultGateway is the router's address where none was chosen: the first usable one.
func DefaultGateway(p netip.Prefix) netip.Addr {
	first, _ := UsableRange(p)
	return first
}

// UsableCount is how many addresses the usable range has; more than fit are 2^64-1.
func UsableCount(p netip.Prefix) uint64 {
	host := p.Addr().BitLen() - p.Bits()
	all := uint64(1)<<host - 1 // without the first; 2^64-1 where a shift of 64 or more leaves nothing
	if p.Addr().Is4() {
		all--
	}
	return all
}

// UsableAt is the address at an offset into the usable range, counted from 0. The offset
// must be less than UsableCount.
func UsableAt(p netip.Prefix, offset uint64) netip.Addr {
	first, _ := UsableRange(p)
	if first.Is4() {
		b := first.As4()
		binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(offset))
		return netip.AddrFrom4(b)
	}
	b := first.As16()
	low, carry := bits.Add64(binary.BigEndian.Uint64(b[8:]), offset, 0)
	binary.BigEndian.PutUint64(b[8:], low)
	binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])+carry)
	return netip.AddrFrom16(b)
}

// halves are an address as two numbers, the second of 64 bits.
func halves(a netip.Addr) (high, low uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}
