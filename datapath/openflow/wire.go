package openflow

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error about bytes that are no OpenFlow 1.3.
var ErrMalformed = errors.New("malformed OpenFlow")

var be = binary.BigEndian

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// padTo8 appends zeroes until the bytes since start are a multiple of eight.
func padTo8(b []byte, start int) []byte {
	for (len(b)-start)%8 != 0 {
		b = append(b, 0)
	}
	return b
}

// zeroes appends n zero bytes, at most 16.
func zeroes(b []byte, n int) []byte {
	var none [16]byte
	return append(b, none[:n]...)
}

// patchLength writes how many bytes follow start into the 16 bits at the given place.
func patchLength(b []byte, start, place int) { be.PutUint16(b[place:], uint16(len(b)-start)) }

func roundUp8(n int) int { return (n + 7) &^ 7 }

// appendValue appends the low bytes of a value, at most 16, most significant first.
func appendValue(b []byte, v Value, bytes uint8) []byte {
	var all [16]byte
	be.PutUint64(all[:], v.Hi)
	be.PutUint64(all[8:], v.Lo)
	return append(b, all[len(all)-int(bytes):]...)
}

// getValue reads a value of at most 16 bytes.
func getValue(b []byte) Value {
	var v Value
	for _, x := range b {
		v.Hi = v.Hi<<8 | v.Lo>>56
		v.Lo = v.Lo<<8 | uint64(x)
	}
	return v
}
