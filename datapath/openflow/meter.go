package openflow

// Commands and flags of a meter mod, and the one kind of band (OpenFlow 1.3, A.3.4.4).
const (
	meterAdd    = 0
	meterModify = 1

	meterBurst = 1 << 2
	meterStats = 1 << 3

	bandDrop       = 1
	bandDropLength = 16

	anyMeter = 0xffffffff
)

// MeterUnit is what a meter counts, as its flag on the wire.
type MeterUnit uint16

// The units.
const (
	MeterKilobits MeterUnit = 1 << 0 // 1,000 bits of whole frames, from their Ethernet header on
	MeterPackets  MeterUnit = 1 << 1
)

// MeterSpec is a meter that drops what comes faster than its rate.
type MeterSpec struct {
	ID    uint32
	Unit  MeterUnit
	Rate  uint32 // units a second
	Burst uint32 // units at once
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
	return EndMessage(appendMeter(b, m), start)
}

// appendMeter appends a meter's flags, number and band.
func appendMeter(b []byte, m MeterSpec) []byte {
	b = be.AppendUint32(be.AppendUint16(b, uint16(m.Unit)|meterBurst|meterStats), m.ID)
	b = be.AppendUint16(be.AppendUint16(b, bandDrop), bandDropLength)
	return zeroes(be.AppendUint32(be.AppendUint32(b, m.Rate), m.Burst), 4)
}

// DecodeMeterMod reads a meter mod that adds or modifies a meter. What MeterSpec cannot say is as of DecodeMeterConfig.
func DecodeMeterMod(message []byte) (m MeterSpec, add bool, err error) {
	b, err := body(message, TypeMeterMod, meterConfigLength)
	if err != nil {
		return m, false, err
	}
	command := be.Uint16(b)
	if command != meterAdd && command != meterModify {
		return m, false, malformed("a meter mod has command %d, which neither adds nor modifies", command)
	}
	return decodeMeter(b), command == meterAdd, nil
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

// AppendMeterConfigRequest asks for all meters as they are (OpenFlow 1.3, A.3.5.13).
func AppendMeterConfigRequest(b []byte, xid uint32) []byte {
	start := len(b)
	b = appendMultipart(b, TypeMultipartRequest, xid, multipartMeterConfig, false)
	return EndMessage(zeroes(be.AppendUint32(b, anyMeter), 4), start)
}

// meterConfigLength is that of a meter without its bands.
const meterConfigLength = 8

// DecodeMeterConfig reads one part of a reply, and whether further parts follow. A meter that MeterSpec cannot say, as
// one of several bands, has unit 0 and no rate.
func DecodeMeterConfig(message []byte) (list []MeterSpec, more bool, err error) {
	b, more, err := multipartBody(message, TypeMultipartReply, multipartMeterConfig, 0)
	for err == nil && len(b) > 0 {
		if len(b) < meterConfigLength {
			return nil, false, malformed("a meter needs %d bytes, %d are left", meterConfigLength, len(b))
		}
		length := int(be.Uint16(b))
		if length < meterConfigLength || length > len(b) {
			return nil, false, malformed("a meter says %d bytes, %d are left", length, len(b))
		}
		list, b = append(list, decodeMeter(b[:length])), b[length:]
	}
	return list, more, err
}

func decodeMeter(b []byte) MeterSpec {
	m := MeterSpec{ID: be.Uint32(b[4:])}
	unit := MeterUnit(be.Uint16(b[2:]) &^ (meterBurst | meterStats))
	band := b[meterConfigLength:]
	if len(band) == bandDropLength && be.Uint16(band) == bandDrop && (unit == MeterKilobits || unit == MeterPackets) {
		m.Unit, m.Rate, m.Burst = unit, be.Uint32(band[4:]), be.Uint32(band[8:])
	}
	return m
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

// AppendMeterConfigReply appends one part of what a switch says of its meters.
func AppendMeterConfigReply(b []byte, xid uint32, meters []MeterSpec, more bool) []byte {
	start := len(b)
	b = appendMultipart(b, TypeMultipartReply, xid, multipartMeterConfig, more)
	for _, m := range meters {
		b = appendMeter(be.AppendUint16(b, meterConfigLength+bandDropLength), m)
	}
	return EndMessage(b, start)
}

// AppendNoMeters appends the reply of a switch without meters, to a request of either kind.
func AppendNoMeters(b []byte, xid uint32, kind uint16) []byte {
	start := len(b)
	return EndMessage(appendMultipart(b, TypeMultipartReply, xid, kind, false), start)
}
