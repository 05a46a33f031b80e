package fake

import (
	"encoding/binary"

	"sluice/datapath/openflow"
)

var be = binary.BigEndian

// restHead is how many bytes of flags and timeouts stand before an entry's instructions.
const restHead = 6

// appendRest appends what an entry keeps beside its match and cookie.
func appendRest(b []byte, w *openflow.WireFlow) []byte {
	b = be.AppendUint16(be.AppendUint16(b, w.IdleTimeout), w.HardTimeout)
	b = be.AppendUint16(b, uint16(w.Flags&stateFlags))
	return append(b, w.Instructions...)
}

// appendStats appends a flow's statistics (OpenFlow 1.3, A.3.5.2) from the bytes that it is kept
// in. The counters are zero.
func (t *table) appendStats(b []byte, key matchKey, now int64) []byte {
	e := t.entries[key]
	head, rest := key.Value(), e.rest.Value()
	start := len(b)
	b = append(b, 0, 0, head[0], 0)
	b = be.AppendUint32(b, uint32(max(now-e.since, 0)))
	b = be.AppendUint32(b, 0)
	b = append(b, head[1:3]...)
	b = append(b, rest[:restHead]...)
	b = be.AppendUint32(b, 0)
	b = be.AppendUint64(b, e.cookie)
	b = be.AppendUint64(be.AppendUint64(b, 0), 0)
	b = append(append(b, head[3:]...), rest[restHead:]...)
	be.PutUint16(b[start:], uint16(len(b)-start))
	return b
}
