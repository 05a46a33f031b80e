package openflow

// A flow monitor tells a controller of the changes that others make to a switch's flows. In
// OpenFlow 1.3 it is an extension of the ONF (EXT-187); 1.4 has it as a message of its own (7.3.5.17).

const (
	multipartExperimenter = 0xffff
	onfFlowMonitor        = 1870
	onfMonitorPaused      = 1871
	onfMonitorResumed     = 1872
)

// The experimenter messages by which a switch says that it dropped updates, since they were
// not taken, and that it told of what changed meanwhile.
var (
	ExperimenterMonitorPaused  = ExperimenterType{onfExperimenter, onfMonitorPaused}
	ExperimenterMonitorResumed = ExperimenterType{onfExperimenter, onfMonitorResumed}
)

// What a monitor tells of.
const (
	monitorAdd    = 1 << 1
	monitorDelete = 1 << 2
	monitorModify = 1 << 3
)

const monitorRequestLength = 16 // up to its match

// AppendFlowMonitorRequest asks to be told of every flow that is added, deleted or modified
// from now on, without its actions; of what this connection does itself, only that it did.
// The id must be new to the connection.
func AppendFlowMonitorRequest(b []byte, xid, id uint32) []byte {
	start := len(b)
	b = appendMultipart(b, TypeMultipartRequest, xid, multipartExperimenter, false)
	b = be.AppendUint32(be.AppendUint32(b, onfExperimenter), onfFlowMonitor)
	b = be.AppendUint16(be.AppendUint32(b, id), monitorAdd|monitorDelete|monitorModify)
	b = be.AppendUint32(be.AppendUint16(b, 4), PortAny) // 4: the length of the match, which is empty
	b = append(b, TableAll, 0, 0, 0)
	return EndMessage(appendMatch(b, nil, ""), start)
}

// DecodeFlowMonitorRequest reads the id of such a request. It refuses what asks for anything
// else.
func DecodeFlowMonitorRequest(message []byte) (id uint32, err error) {
	b, err := monitorBody(message, TypeMultipartRequest, monitorRequestLength+8)
	switch {
	case err != nil:
		return 0, err
	case be.Uint16(b[4:]) != monitorAdd|monitorDelete|monitorModify:
		return 0, malformed("flow monitor with flags %#x", be.Uint16(b[4:]))
	case be.Uint16(b[6:]) != 4 || be.Uint32(b[8:]) != PortAny || b[12] != TableAll || len(b) != monitorRequestLength+8:
		return 0, malformed("flow monitor restricted by match, output port or table")
	}
	return be.Uint32(b), nil
}

// monitorBody is what follows the header of a monitor's request or reply.
func monitorBody(message []byte, t Type, least int) ([]byte, error) {
	b, _, err := multipartBody(message, t, multipartExperimenter, 8+least)
	if err != nil {
		return nil, err
	}
	if be.Uint32(b) != onfExperimenter || be.Uint32(b[4:]) != onfFlowMonitor {
		return nil, malformed("experimenter multipart message %#x/%d", be.Uint32(b), be.Uint32(b[4:]))
	}
	return b[8:], nil
}

// FlowEvent is what happened to a flow.
type FlowEvent uint16

// The events. FlowAbbreviated stands for all changes of the controller that is told.
const (
	FlowAdded FlowEvent = iota
	FlowDeleted
	FlowModified
	FlowAbbreviated
)

const (
	updateLength      = 24 // up to its match
	abbreviatedLength = 8
)

// FlowUpdate is one change that a monitor tells of.
type FlowUpdate struct {
	Event    FlowEvent
	Table    uint8
	Priority uint16
	Cookie   uint64
	Match    []byte // with its padding, as a WireFlow has it; of a decoded update, part of the message
}

// DecodeFlowUpdates reads one message of a monitor and yields its updates until yield returns
// false.
func DecodeFlowUpdates(message []byte, yield func(FlowUpdate) bool) error {
	b, err := monitorBody(message, TypeMultipartReply, 0)
	if err != nil {
		return err
	}
	for len(b) > 0 {
		if len(b) < abbreviatedLength {
			return malformed("a flow update needs %d bytes, %d are left", abbreviatedLength, len(b))
		}
		length := int(be.Uint16(b))
		if length < abbreviatedLength || length > len(b) {
			return malformed("a flow update says %d bytes, %d are left", length, len(b))
		}
		u, err := decodeFlowUpdate(b[:length])
		if err != nil || !yield(u) {
			return err
		}
		b = b[length:]
	}
	return nil
}

func decodeFlowUpdate(b []byte) (FlowUpdate, error) {
	u := FlowUpdate{Event: FlowEvent(be.Uint16(b[2:]))}
	switch {
	case u.Event > FlowAbbreviated:
		return u, malformed("flow update with event %d", u.Event)
	case u.Event == FlowAbbreviated:
		return u, nil
	case len(b) < updateLength:
		return u, malformed("a flow update needs %d bytes, has %d", updateLength, len(b))
	}
	size, err := matchSize(b[updateLength:])
	if err != nil {
		return u, err
	}
	u.Priority, u.Table, u.Cookie = be.Uint16(b[6:]), b[14], be.Uint64(b[16:])
	u.Match = b[updateLength : updateLength+size]
	return u, nil
}

// AppendFlowUpdates appends a message of a monitor.
func AppendFlowUpdates(b []byte, xid uint32, updates ...FlowUpdate) []byte {
	start := len(b)
	b = appendMultipart(b, TypeMultipartReply, xid, multipartExperimenter, false)
	b = be.AppendUint32(be.AppendUint32(b, onfExperimenter), onfFlowMonitor)
	for i := range updates {
		b = appendFlowUpdate(b, &updates[i])
	}
	return EndMessage(b, start)
}

func appendFlowUpdate(b []byte, u *FlowUpdate) []byte {
	start := len(b)
	b = be.AppendUint16(append(b, 0, 0), uint16(u.Event))
	if u.Event == FlowAbbreviated {
		b = zeroes(b, 4)
		patchLength(b, start, start)
		return b
	}
	reason := uint16(0)
	if u.Event == FlowDeleted {
		reason = uint16(RemovedDelete)
	}
	b = be.AppendUint16(be.AppendUint16(b, reason), u.Priority)
	b = zeroes(b, 4) // timeouts
	b = be.AppendUint16(b, be.Uint16(u.Match[2:]))
	b = be.AppendUint64(append(b, u.Table, 0), u.Cookie)
	b = append(b, u.Match...)
	patchLength(b, start, start)
	return b
}
