package openflow

// Commands and flags of a meter mod, and the one kind of band (OpenFlow 1.3, A.3.4.4).
const (
	meterAdd    = 0
	meterModify = 1

	meterPackets = 1 << 1 // rates are packets a second
	meterBurst   = 1 << 2
	meterStats   = 1 << 3

	bandDrop       = 1
	bandDropLength = 16

	anyMeter = 0xffffffff
)

// MeterSpec is a meter that drops what comes faster than its rate.
type MeterSpec struct {
	ID    uint32
	Rate  uint32 // packets a second
	Burst uint32 // packets at once
}

// AppendMeterAdd adds a meter; one that is there is refused (Error.MeterExistsError).
func AppendMeterAdd(b []byte, xid uint32, m MeterSpec) []byte {
	return appendMeterMod(b, xid, meterAdd, m)
}

// AppendMeterModify gives a meter that is there another rate.
func AppendMeterModify(b []byte, xid uint32, m MeterSpec) []byte {
	return appendMeterMod(b, xid, meterModify, m)
}

func appendMeterMod(b []byte, xid uint32, command uint16, m MeterSpec) []byte {
	start := len(b)
	b = be.AppendUint16(appendMessage(b, TypeMeterMod, xid), command)
	b = be.AppendUint32(be.AppendUint16(b, meterPackets|meterBurst|meterStats), m.ID)
	b = be.AppendUint16(be.AppendUint16(b, bandDrop), bandDropLength)
	b = zeroes(be.AppendUint32(be.AppendUint32(b, m.Rate), m.Burst), 4)
	return EndMessage(b, start)
}

// MeterStats is what a meter counted.
type MeterStats struct {
	ID                           uint32
	DroppedPackets, DroppedBytes uint64
}

// AppendMeterStatsRequest asks for what all meters counted (OpenFlow 1.3, A.3.5.12).
func AppendMeterStatsRequest(b []byte, xid uint32) []byte {
	start := len(b)
	b = appendMultipart(b, TypeMultipartRequest, xid, multipartMeter, false)
	return EndMessage(zeroes(be.AppendUint32(b, anyMeter), 4), start)
}

// Lengths of a meter's statistics without its bands, and of a band's.
const (
	meterStatsLength = 40
	bandStatsLength  = 16
)

// DecodeMeterStats reads one part of a reply, and whether further parts follow.
func DecodeMeterStats(message []byte) (list []MeterStats, more bool, err error) {
	b, more, err := multipartBody(message, TypeMultipartReply, multipartMeter, 0)
	for err == nil && len(b) > 0 {
		if len(b) < meterStatsLength {
			return nil, false, malformed("a meter's statistics need %d bytes, %d are left", meterStatsLength, len(b))
		}
		length := int(be.Uint16(b[4:]))
		if length < meterStatsLength || length > len(b) || (length-meterStatsLength)%bandStatsLength != 0 {
			return nil, false, malformed("a meter's statistics say %d bytes, %d are left", length, len(b))
		}
		m := MeterStats{ID: be.Uint32(b)}
		for band := b[meterStatsLength:length]; len(band) > 0; band = band[bandStatsLength:] {
			m.DroppedPackets += be.Uint64(band)
			m.DroppedBytes += be.Uint64(band[8:])
		}
		list, b = append(list, m), b[length:]
	}
	return list, more, err
}

// AppendMeterStatsReply appends the reply of a switch without meters.
func AppendMeterStatsReply(b []byte, xid uint32) []byte {
	start := len(b)
	return EndMessage(appendMultipart(b, TypeMultipartReply, xid, multipartMeter, false), start)
}
