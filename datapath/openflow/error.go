package openflow

import "fmt"

// Error is an OFPT_ERROR: what a switch says of a request that it refused (OpenFlow 1.3,
// A.4.4). Its xid is the request's.
type Error struct {
	Type, Code   uint16
	Experimenter uint32 // of a Type of 0xffff, whose Code is the experimenter's own
	Request      Header // of the message refused; zero where the switch did not send it
	Data         []byte // as much of that message as the switch sent
}

// Types and codes of errors that a session must tell apart.
const (
	ErrorBadRequest  uint16 = 1
	ErrorBadAction   uint16 = 2
	ErrorInstruction uint16 = 3
	ErrorBadMatch    uint16 = 4
	ErrorFlowMod     uint16 = 5
	ErrorRole        uint16 = 11
	ErrorMeterMod    uint16 = 12
	ErrorExtension   uint16 = 0xffff

	ErrorBadRequestNotMaster uint16 = 10 // BAD_REQUEST: this controller is a slave
	ErrorRoleStale           uint16 = 0  // ROLE_REQUEST_FAILED: a stale generation
	ErrorMeterExists         uint16 = 1  // METER_MOD_FAILED: there is a meter of that number
)

// Error names the error as the specification does.
func (e *Error) Error() string {
	name := e.name()
	if e.Request.Length == 0 {
		return "switch refused: " + name
	}
	return fmt.Sprintf("switch refused message of type %d: %s", e.Request.Type, name)
}

func (e *Error) name() string {
	if e.Type == ErrorExtension {
		if n, ok := extensionErrorNames[ExperimenterType{e.Experimenter, uint32(e.Code)}]; ok {
			return n
		}
		return fmt.Sprintf("experimenter %#x, error %d", e.Experimenter, e.Code)
	}
	if int(e.Type) < len(errorNames) {
		t := &errorNames[e.Type]
		if int(e.Code) < len(t.codes) && t.codes[e.Code] != "" {
			return t.name + ", " + t.codes[e.Code]
		}
		return fmt.Sprintf("%s, code %d", t.name, e.Code)
	}
	return fmt.Sprintf("error %d, code %d", e.Type, e.Code)
}

// DemotedError reports whether the switch refused because this controller is not its master.
func (e *Error) DemotedError() bool {
	return e.Type == ErrorBadRequest && e.Code == ErrorBadRequestNotMaster
}

// StaleError reports whether the switch refused a role for its old generation.
func (e *Error) StaleError() bool { return e.Type == ErrorRole && e.Code == ErrorRoleStale }

// MeterExistsError reports whether the switch refused to add a meter that is there.
func (e *Error) MeterExistsError() bool {
	return e.Type == ErrorMeterMod && e.Code == ErrorMeterExists
}

type errorType struct {
	name  string
	codes []string
}

var errorNames = [...]errorType{
	{"hello failed", []string{"incompatible", "not permitted"}},
	{"bad request", []string{"bad version", "bad type", "bad multipart type", "bad experimenter",
		"bad experimenter type", "not permitted", "bad length", "buffer empty", "buffer unknown", "bad table",
		"not the master", "bad port", "bad packet", "multipart buffer overflow"}},
	{"bad action", []string{"bad type", "bad length", "bad experimenter", "bad experimenter type",
		"bad output port", "bad argument", "not permitted", "too many", "bad queue", "bad output group",
		"the match is inconsistent with it", "unsupported order", "bad tag", "bad set_field type",
		"bad set_field length", "bad set_field argument"}},
	{"bad instruction", []string{"unknown", "unsupported", "bad table", "unsupported metadata",
		"unsupported metadata mask", "bad experimenter", "bad experimenter type", "bad length", "not permitted",
		"duplicate"}},
	{"bad match", []string{"bad type", "bad length", "bad tag", "bad datalink mask", "bad network mask",
		"bad wildcards", "bad field", "bad value", "bad mask", "bad prerequisite", "duplicate field", "not permitted"}},
	{"flow mod failed", []string{"unknown", "table full", "bad table", "overlap", "not permitted", "bad timeout",
		"bad command", "bad flags"}},
	{"group mod failed", nil},
	{"port mod failed", nil},
	{"table mod failed", nil},
	{"queue operation failed", nil},
	{"switch config failed", nil},
	{"role request failed", []string{"stale generation", "unsupported", "bad role"}},
	{"meter mod failed", []string{"unknown", "the meter exists", "invalid meter", "unknown meter", "bad command", "bad flags",
		"bad rate", "bad burst", "bad band", "bad band value", "out of meters", "out of bands"}},
	{"table features failed", nil},
}

// extensionErrorNames are the ONF's for bundles (EXT-230).
var extensionErrorNames = map[ExperimenterType]string{
	{onfExperimenter, 2300}: "bundle failed, unknown",
	{onfExperimenter, 2301}: "bundle failed, not permitted",
	{onfExperimenter, 2302}: "bundle failed, bad id",
	{onfExperimenter, 2303}: "bundle failed, exists",
	{onfExperimenter, 2304}: "bundle failed, closed",
	{onfExperimenter, 2305}: "bundle failed, out of bundles",
	{onfExperimenter, 2306}: "bundle failed, bad type",
	{onfExperimenter, 2307}: "bundle failed, bad flags",
	{onfExperimenter, 2308}: "bundle failed, bad length",
	{onfExperimenter, 2309}: "bundle failed, bad xid",
	{onfExperimenter, 2310}: "bundle failed, unsupported message",
	{onfExperimenter, 2311}: "bundle failed, conflicting messages",
	{onfExperimenter, 2312}: "bundle failed, too many messages",
	{onfExperimenter, 2313}: "bundle failed, a message failed",
	{onfExperimenter, 2314}: "bundle failed, timed out",
	{onfExperimenter, 2315}: "bundle failed, in progress",
}

// DecodeError reads an OFPT_ERROR. Data is part of the message.
func DecodeError(message []byte) (*Error, error) {
	b, err := body(message, TypeError, 4)
	if err != nil {
		return nil, err
	}
	e := &Error{Type: be.Uint16(b), Code: be.Uint16(b[2:]), Data: b[4:]}
	if e.Type == ErrorExtension {
		if len(e.Data) < 4 {
			return nil, malformed("experimenter error without experimenter")
		}
		e.Experimenter, e.Data = be.Uint32(e.Data), e.Data[4:]
	}
	if h, err := ParseHeader(e.Data); err == nil {
		e.Request = h
	}
	return e, nil
}

// AppendError appends an error about a request, of which it carries the first 64 bytes at
// most.
func AppendError(b []byte, e *Error, request []byte) []byte {
	start := len(b)
	xid := uint32(0)
	if h, err := ParseHeader(request); err == nil {
		xid = h.XID
	}
	b = be.AppendUint16(be.AppendUint16(appendMessage(b, TypeError, xid), e.Type), e.Code)
	if e.Type == ErrorExtension {
		b = be.AppendUint32(b, e.Experimenter)
	}
	return EndMessage(append(b, request[:min(len(request), 64)]...), start)
}
