package openflow

// Types of multipart messages (OpenFlow 1.3, A.3.5).
const (
	multipartFlow        = 1
	multipartAggregate   = 2
	multipartMeter       = 9
	multipartMeterConfig = 10
	multipartPortDesc    = 13
)

const multipartMore = 1 // flag: a further part follows

// MultipartType is the kind of a multipart message, and whether further parts follow.
type MultipartType struct {
	Kind uint16
	More bool
}

// The kinds of multipart messages that this package reads and writes.
const (
	MultipartFlow         uint16 = multipartFlow
	MultipartAggregate    uint16 = multipartAggregate
	MultipartMeter        uint16 = multipartMeter
	MultipartMeterConfig  uint16 = multipartMeterConfig
	MultipartPortDesc     uint16 = multipartPortDesc
	MultipartExperimenter uint16 = multipartExperimenter
)

// DecodeMultipart reads the start of a multipart request or reply.
func DecodeMultipart(message []byte) (MultipartType, error) {
	b, err := body(message, eitherType(message, TypeMultipartRequest, TypeMultipartReply), 8)
	if err != nil {
		return MultipartType{}, err
	}
	return MultipartType{Kind: be.Uint16(b), More: be.Uint16(b[2:])&multipartMore != 0}, nil
}

// multipartBody is what follows the multipart header, and whether further parts follow.
func multipartBody(message []byte, t Type, kind uint16, least int) ([]byte, bool, error) {
	b, err := body(message, t, 8+least)
	if err != nil {
		return nil, false, err
	}
	if got := be.Uint16(b); got != kind {
		return nil, false, malformed("multipart message of kind %d, want %d", got, kind)
	}
	return b[8:], be.Uint16(b[2:])&multipartMore != 0, nil
}

func appendMultipart(b []byte, t Type, xid uint32, kind uint16, more bool) []byte {
	b = appendMessage(b, t, xid)
	flags := uint16(0)
	if more {
		flags = multipartMore
	}
	return zeroes(be.AppendUint16(be.AppendUint16(b, kind), flags), 4)
}

// FlowQuery says which flows a request is about.
type FlowQuery struct {
	Table              uint8  // TableAll: every table
	Cookie, CookieMask uint64 // a mask of all ones is answered fastest; zero: any cookie
	Match              Match  // flows that this match covers
}

// AppendFlowStatsRequest asks for the flows that the query selects (OpenFlow 1.3, A.3.5.2).
func AppendFlowStatsRequest(b []byte, xid uint32, q FlowQuery) []byte {
	return appendFlowQuery(b, xid, multipartFlow, q)
}

// AppendAggregateRequest asks how many flows the query selects (OpenFlow 1.3, A.3.5.3).
func AppendAggregateRequest(b []byte, xid uint32, q FlowQuery) []byte {
	return appendFlowQuery(b, xid, multipartAggregate, q)
}

func appendFlowQuery(b []byte, xid uint32, kind uint16, q FlowQuery) []byte {
	start := len(b)
	b = appendMultipart(b, TypeMultipartRequest, xid, kind, false)
	b = be.AppendUint32(append(b, q.Table, 0, 0, 0), PortAny)
	b = zeroes(be.AppendUint32(b, anyGroup), 4)
	b = be.AppendUint64(be.AppendUint64(b, q.Cookie), q.CookieMask)
	b = appendMatch(b, q.Match, "")
	patchLength(b, start, start+2)
	return b
}

// DecodeFlowStatsRequest reads a request for flows, or for their number. It refuses
// restrictions by output port or group, and by fields that it does not know.
func DecodeFlowStatsRequest(message []byte) (FlowQuery, error) {
	kind := uint16(multipartFlow)
	if m, err := DecodeMultipart(message); err == nil && m.Kind == multipartAggregate {
		kind = multipartAggregate
	}
	b, _, err := multipartBody(message, TypeMultipartRequest, kind, 32)
	if err != nil {
		return FlowQuery{}, err
	}
	if be.Uint32(b[4:]) != PortAny || be.Uint32(b[8:]) != anyGroup {
		return FlowQuery{}, malformed("flow request restricted by output port or group")
	}
	q := FlowQuery{Table: b[0], Cookie: be.Uint64(b[16:]), CookieMask: be.Uint64(b[24:])}
	match, unknown, n, err := decodeMatch(b[32:])
	switch {
	case err != nil:
		return FlowQuery{}, err
	case unknown != "":
		return FlowQuery{}, malformed("flow request with %s", describeUnknown(unknown))
	case n != len(b)-32:
		return FlowQuery{}, malformed("flow request with %d bytes after its match", len(b)-32-n)
	}
	q.Match = match
	return q, nil
}

// flowStatsLength is the length of a flow's statistics up to its match.
const flowStatsLength = 48

// DecodeFlowStats reads one part of a flow statistics reply (OpenFlow 1.3, A.3.5.2) and
// yields its flows one by one, each a value of its own; yield returns false to stop. It
// says whether further parts follow. A flow that cannot be read ends the reading.
func DecodeFlowStats(message []byte, yield func(*FlowStats) bool) (more bool, err error) {
	var d decoder
	return eachFlowStats(message, func(b []byte) (bool, error) {
		f, err := d.decodeFlowStats(b)
		return err == nil && yield(f), err
	})
}

// eachFlowStats calls f with the bytes of each flow's statistics, until it returns false or
// an error.
func eachFlowStats(message []byte, f func(b []byte) (bool, error)) (more bool, err error) {
	b, more, err := multipartBody(message, TypeMultipartReply, multipartFlow, 0)
	for err == nil && len(b) > 0 {
		if len(b) < flowStatsLength {
			return false, malformed("a flow's statistics need %d bytes, %d are left", flowStatsLength, len(b))
		}
		length := int(be.Uint16(b))
		if length < flowStatsLength || length > len(b) {
			return false, malformed("a flow's statistics say %d bytes, %d are left", length, len(b))
		}
		on, err := f(b[:length])
		if err != nil {
			return false, err
		}
		if !on {
			break
		}
		b = b[length:]
	}
	return more, err
}

func (d *decoder) decodeFlowStats(b []byte) (*FlowStats, error) {
	f := &FlowStats{
		Flow: Flow{Table: b[2], Priority: be.Uint16(b[12:]), IdleTimeout: be.Uint16(b[14:]),
			HardTimeout: be.Uint16(b[16:]), Flags: Flags(be.Uint16(b[18:])), Cookie: be.Uint64(b[24:])},
		Seconds: be.Uint32(b[4:]), Nanoseconds: be.Uint32(b[8:]), Packets: be.Uint64(b[32:]), Bytes: be.Uint64(b[40:]),
	}
	return f, d.decodeRest(&f.Flow, b[flowStatsLength:])
}

// AppendFlowStatsReply starts one part of a flow statistics reply at the end of b. Flows
// follow by AppendFlowStats, then EndMessage closes it.
func AppendFlowStatsReply(b []byte, xid uint32, more bool) []byte {
	return appendMultipart(b, TypeMultipartReply, xid, multipartFlow, more)
}

// AppendFlowStats appends a flow to a reply.
func AppendFlowStats(b []byte, f *FlowStats) []byte {
	start := len(b)
	b = append(b, 0, 0, f.Table, 0)
	b = be.AppendUint32(be.AppendUint32(b, f.Seconds), f.Nanoseconds)
	b = be.AppendUint16(be.AppendUint16(b, f.Priority), f.IdleTimeout)
	b = be.AppendUint16(be.AppendUint16(b, f.HardTimeout), uint16(f.Flags))
	b = be.AppendUint64(zeroes(b, 4), f.Cookie)
	b = be.AppendUint64(be.AppendUint64(b, f.Packets), f.Bytes)
	b = AppendActions(appendMatch(b, f.Match, f.Unknown), f.Actions)
	patchLength(b, start, start)
	return b
}

// EndMessage writes the length of the message that starts at the given place and ends with
// b into its header.
func EndMessage(b []byte, start int) []byte {
	patchLength(b, start, start+2)
	return b
}

// aggregateLength is the length of an aggregate reply's body: packets, bytes, flows, padding.
const aggregateLength = 24

// DecodeAggregate reads the number of flows from an aggregate reply (OpenFlow 1.3, A.3.5.3).
func DecodeAggregate(message []byte) (flows uint32, err error) {
	b, _, err := multipartBody(message, TypeMultipartReply, multipartAggregate, aggregateLength)
	if err != nil {
		return 0, err
	}
	return be.Uint32(b[16:]), nil
}

// AppendAggregateReply appends such a reply. Its counters of packets and bytes are zero.
func AppendAggregateReply(b []byte, xid, flows uint32) []byte {
	start := len(b)
	b = zeroes(appendMultipart(b, TypeMultipartReply, xid, multipartAggregate, false), 16)
	return EndMessage(be.AppendUint32(be.AppendUint32(b, flows), 0), start)
}

// FlowRemoved says that a flow is gone (OpenFlow 1.3, A.4.2).
type FlowRemoved struct {
	FlowStats // without actions and flags
	Reason    RemovedReason
}

// RemovedReason says why a flow is gone.
type RemovedReason uint8

// The reasons.
const (
	RemovedIdle RemovedReason = iota
	RemovedHard
	RemovedDelete
	RemovedGroup
)

// DecodeFlowRemoved reads an OFPT_FLOW_REMOVED.
func DecodeFlowRemoved(message []byte) (FlowRemoved, error) {
	b, err := body(message, TypeFlowRemoved, 40)
	if err != nil {
		return FlowRemoved{}, err
	}
	r := FlowRemoved{Reason: RemovedReason(b[10]), FlowStats: FlowStats{
		Flow: Flow{Cookie: be.Uint64(b), Priority: be.Uint16(b[8:]), Table: b[11],
			IdleTimeout: be.Uint16(b[20:]), HardTimeout: be.Uint16(b[22:])},
		Seconds: be.Uint32(b[12:]), Packets: be.Uint64(b[24:]), Bytes: be.Uint64(b[32:])}}
	match, unknown, n, err := decodeMatch(b[40:])
	if err != nil {
		return FlowRemoved{}, err
	}
	if n != len(b)-40 {
		return FlowRemoved{}, malformed("flow removed with %d bytes after its match", len(b)-40-n)
	}
	r.Match, r.Unknown = match, unknown
	return r, nil
}

// AppendFlowRemoved appends such a message.
func AppendFlowRemoved(b []byte, xid uint32, r *FlowRemoved) []byte {
	start := len(b)
	b = be.AppendUint64(appendMessage(b, TypeFlowRemoved, xid), r.Cookie)
	b = append(be.AppendUint16(b, r.Priority), byte(r.Reason), r.Table)
	b = zeroes(be.AppendUint32(b, r.Seconds), 4)
	b = be.AppendUint16(be.AppendUint16(b, r.IdleTimeout), r.HardTimeout)
	b = be.AppendUint64(be.AppendUint64(b, r.Packets), r.Bytes)
	b = appendMatch(b, r.Match, r.Unknown)
	patchLength(b, start, start+2)
	return b
}
