package store

import (
	"fmt"
	"net"
	"net/netip"
)

// MAC is a 48-bit Ethernet address. In JSON it is text: "02:00:5e:00:01:01".
type MAC [6]byte

// ParseMAC reads six colon-separated bytes in hexadecimal.
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != 6 {
		return MAC{}, fmt.Errorf("%q is not a MAC address such as 02:00:00:00:00:01", s)
	}
	return MAC(hw), nil
}

// MACFromUint64 takes the low 48 bits of v.
func MACFromUint64(v uint64) MAC {
	return MAC{byte(v >> 40), byte(v >> 32), byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

// Uint64 is the address as a number, most significant byte first.
func (m MAC) Uint64() uint64 {
	var v uint64
	for _, b := range m {
		v = v<<8 | uint64(b)
	}
	return v
}

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// IsZero reports whether no address was given.
func (m MAC) IsZero() bool { return m == MAC{} }

// IsMulticast reports whether the group bit is set.
func (m MAC) IsMulticast() bool { return m[0]&1 == 1 }

// LinkLocal is the IPv6 link-local address that EUI-64 derives from m (RFC 4291, 2.5.1).
func (m MAC) LinkLocal() netip.Addr {
	return netip.AddrFrom16([16]byte{
		0: 0xfe, 1: 0x80,
		8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5],
	})
}

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MAC) UnmarshalText(b []byte) error {
	parsed, err := ParseMAC(string(b))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}
