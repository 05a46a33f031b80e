package openflow

import "bytes"

// Port is a port of a switch (OpenFlow 1.3, A.2.1). Speeds and features are left out.
type Port struct {
	Number uint32
	Name   string // at most 16 bytes: the interface's name
	MAC    [6]byte
	Config uint32 // PortConfigDown and others
	State  uint32 // PortStateLinkDown and others
}

// Bits of a port's config and state.
const (
	PortConfigDown    uint32 = 1 << 0
	PortStateLinkDown uint32 = 1 << 0
)

const portLength = 64

func decodePort(b []byte) Port {
	name, _, _ := bytes.Cut(b[16:32], []byte{0})
	return Port{Number: be.Uint32(b), Name: string(name), MAC: [6]byte(b[8:14]),
		Config: be.Uint32(b[32:]), State: be.Uint32(b[36:])}
}

func appendPort(b []byte, p *Port) []byte {
	start := len(b)
	b = zeroes(be.AppendUint32(b, p.Number), 4)
	b = zeroes(append(b, p.MAC[:]...), 2)
	b = append(b, p.Name[:min(len(p.Name), 16)]...)
	b = zeroes(b, 32-(len(b)-start))
	b = be.AppendUint32(be.AppendUint32(b, p.Config), p.State)
	return zeroes(zeroes(b, 16), 8)
}

// AppendPortDescRequest asks for all ports (OpenFlow 1.3, A.3.5.7).
func AppendPortDescRequest(b []byte, xid uint32) []byte {
	start := len(b)
	return EndMessage(appendMultipart(b, TypeMultipartRequest, xid, multipartPortDesc, false), start)
}

// AppendPortDescReply appends one part of the answer, of at most 1,000 ports.
func AppendPortDescReply(b []byte, xid uint32, ports []Port, more bool) []byte {
	start := len(b)
	b = appendMultipart(b, TypeMultipartReply, xid, multipartPortDesc, more)
	for i := range ports {
		b = appendPort(b, &ports[i])
	}
	return EndMessage(b, start)
}

// DecodePortDesc reads one part of a port description reply, and says whether further
// parts follow.
func DecodePortDesc(message []byte) (ports []Port, more bool, err error) {
	b, more, err := multipartBody(message, TypeMultipartReply, multipartPortDesc, 0)
	if err != nil {
		return nil, false, err
	}
	if len(b)%portLength != 0 {
		return nil, false, malformed("port description of %d bytes, must be a multiple of %d", len(b), portLength)
	}
	ports = make([]Port, 0, len(b)/portLength)
	for ; len(b) > 0; b = b[portLength:] {
		ports = append(ports, decodePort(b))
	}
	return ports, more, nil
}

// PortStatus says that a port came, went or changed (OpenFlow 1.3, A.4.3).
type PortStatus struct {
	Reason PortReason
	Port   Port
}

// PortReason says what became of a port.
type PortReason uint8

// The reasons.
const (
	PortAdded PortReason = iota
	PortDeleted
	PortModified
)

// DecodePortStatus reads an OFPT_PORT_STATUS.
func DecodePortStatus(message []byte) (PortStatus, error) {
	b, err := exactBody(message, TypePortStatus, 8+portLength)
	if err != nil {
		return PortStatus{}, err
	}
	if b[0] > byte(PortModified) {
		return PortStatus{}, malformed("port status with reason %d", b[0])
	}
	return PortStatus{Reason: PortReason(b[0]), Port: decodePort(b[8:])}, nil
}

// AppendPortStatus appends such a message.
func AppendPortStatus(b []byte, xid uint32, s PortStatus) []byte {
	start := len(b)
	b = zeroes(append(appendMessage(b, TypePortStatus, xid), byte(s.Reason)), 7)
	return EndMessage(appendPort(b, &s.Port), start)
}
