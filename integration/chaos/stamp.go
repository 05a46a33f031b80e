package chaos

import (
	"bytes"
	"encoding/binary"
)

// stamp is what each packet of a run carries: who sent it to whom.
type stamp struct {
	tenant   uint16 // the sender's
	from, to uint16 // numbers of actors; stray: nobody is meant
	seq      uint64
}

// stray is the addressee of a packet that nobody should get: a broadcast, or one to an address
// of another tenant.
const stray = 0xffff

var magic = []byte("sluice~chaos")

const stampSize = 12 + 2 + 2 + 2 + 8

func (s stamp) bytes() []byte {
	b := append(make([]byte, 0, stampSize), magic...)
	b = binary.BigEndian.AppendUint16(b, s.tenant)
	b = binary.BigEndian.AppendUint16(b, s.from)
	b = binary.BigEndian.AppendUint16(b, s.to)
	return binary.BigEndian.AppendUint64(b, s.seq)
}

// readStamp finds a stamp in a frame, whatever headers are before it: a frame that lost its
// way may carry any.
func readStamp(frame []byte) (s stamp, ok bool) {
	i := bytes.Index(frame, magic)
	if i < 0 || len(frame)-i < stampSize {
		return stamp{}, false
	}
	b := frame[i+len(magic):]
	return stamp{
		tenant: binary.BigEndian.Uint16(b), from: binary.BigEndian.Uint16(b[2:]),
		to: binary.BigEndian.Uint16(b[4:]), seq: binary.BigEndian.Uint64(b[6:]),
	}, true
}
