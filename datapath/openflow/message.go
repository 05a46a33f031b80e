package openflow

// Version is the version that this package speaks: OpenFlow 1.3.
const Version = 4

const (
	headerLength = 8
	maxMessage   = 0xffff
)

// HeaderLength is how many bytes ParseHeader needs.
const HeaderLength = headerLength

// Type is a message's type (OpenFlow 1.3, A.1).
type Type uint8

// The types of messages that this package reads or writes, and the packet-in that a
// session must expect.
const (
	TypeHello            Type = 0
	TypeError            Type = 1
	TypeEchoRequest      Type = 2
	TypeEchoReply        Type = 3
	TypeExperimenter     Type = 4
	TypeFeaturesRequest  Type = 5
	TypeFeaturesReply    Type = 6
	TypePacketIn         Type = 10
	TypeFlowRemoved      Type = 11
	TypePortStatus       Type = 12
	TypeFlowMod          Type = 14
	TypeMultipartRequest Type = 18
	TypeMultipartReply   Type = 19
	TypeBarrierRequest   Type = 20
	TypeBarrierReply     Type = 21
	TypeRoleRequest      Type = 24
	TypeRoleReply        Type = 25
	TypeMeterMod         Type = 29
)

// Header starts every message (OpenFlow 1.3, A.1).
type Header struct {
	Version uint8
	Type    Type
	Length  uint16 // of the message, header included: 8 at least
	XID     uint32
}

// ParseHeader reads the header that b starts with. The version is the caller's to judge:
// a hello may have any.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < headerLength {
		return Header{}, malformed("a message header needs %d bytes, there are %d", headerLength, len(b))
	}
	h := Header{Version: b[0], Type: Type(b[1]), Length: be.Uint16(b[2:]), XID: be.Uint32(b[4:])}
	if h.Length < headerLength {
		return h, malformed("message of type %d says %d bytes", h.Type, h.Length)
	}
	return h, nil
}

// appendMessage appends a header whose length is still to be patched.
func appendMessage(b []byte, t Type, xid uint32) []byte {
	b = append(b, Version, byte(t), 0, headerLength)
	return be.AppendUint32(b, xid)
}

// body is what follows the header of a message of the given type, at least that long.
func body(message []byte, t Type, least int) ([]byte, error) {
	h, err := ParseHeader(message)
	switch {
	case err != nil:
		return nil, err
	case h.Version != Version || h.Type != t:
		return nil, malformed("message of version %d, type %d; want %d, %d", h.Version, h.Type, Version, t)
	case int(h.Length) != len(message):
		return nil, malformed("message of type %d says %d bytes and has %d", t, h.Length, len(message))
	case len(message) < headerLength+least:
		return nil, malformed("message of type %d has %d bytes, needs %d", t, len(message), headerLength+least)
	}
	return message[headerLength:], nil
}

// eitherType is the type of a request where the message has it, and else that of the reply.
func eitherType(message []byte, request, reply Type) Type {
	if h, err := ParseHeader(message); err == nil && h.Type == request {
		return request
	}
	return reply
}

// exactBody is a body of exactly that length.
func exactBody(message []byte, t Type, length int) ([]byte, error) {
	b, err := body(message, t, length)
	if err == nil && len(b) != length {
		err = malformed("message of type %d has %d bytes, must have %d", t, len(message), headerLength+length)
	}
	return b, err
}

// Hello is what a peer speaks (OpenFlow 1.3, A.5.1).
type Hello struct {
	Version  uint8  // the highest
	Versions uint32 // bit n: version n; 0: the peer sent no bitmap
}

// Speaks reports whether the peer speaks a version that we may use with it.
func (h Hello) Speaks(version uint8) bool {
	if h.Versions != 0 {
		return version < 32 && h.Versions&(1<<version) != 0
	}
	return h.Version >= version
}

// AppendHello appends a hello that offers OpenFlow 1.3 and nothing else.
func AppendHello(b []byte, xid uint32) []byte {
	start := len(b)
	b = appendMessage(b, TypeHello, xid)
	b = be.AppendUint32(append(b, 0, 1, 0, 8), 1<<Version)
	patchLength(b, start, start+2)
	return b
}

// DecodeHello reads a hello of any version, and passes over elements that it does not know.
func DecodeHello(message []byte) (Hello, error) {
	h, err := ParseHeader(message)
	if err != nil {
		return Hello{}, err
	}
	if h.Type != TypeHello || int(h.Length) != len(message) {
		return Hello{}, malformed("hello of type %d that says %d bytes and has %d", h.Type, h.Length, len(message))
	}
	hello := Hello{Version: h.Version}
	for b := message[headerLength:]; len(b) >= 4; {
		kind, length := be.Uint16(b), int(be.Uint16(b[2:]))
		if length < 4 || length > len(b) {
			return Hello{}, malformed("hello element %d says %d bytes, %d are left", kind, length, len(b))
		}
		if kind == 1 && length >= 8 {
			hello.Versions = be.Uint32(b[4:])
		}
		b = b[min(roundUp8(length), len(b)):]
	}
	return hello, nil
}

// AppendEchoRequest appends an echo request with data of at most a few hundred bytes.
func AppendEchoRequest(b []byte, xid uint32, data []byte) []byte {
	return appendWithData(b, TypeEchoRequest, xid, data)
}

// AppendEchoReply appends the answer to an echo request: the same xid, the same data.
func AppendEchoReply(b []byte, xid uint32, data []byte) []byte {
	return appendWithData(b, TypeEchoReply, xid, data)
}

func appendWithData(b []byte, t Type, xid uint32, data []byte) []byte {
	start := len(b)
	b = append(appendMessage(b, t, xid), data[:min(len(data), maxMessage-headerLength)]...)
	patchLength(b, start, start+2)
	return b
}

// AppendFeaturesRequest asks a switch who it is.
func AppendFeaturesRequest(b []byte, xid uint32) []byte {
	return appendMessage(b, TypeFeaturesRequest, xid)
}

// Features is who a switch is (OpenFlow 1.3, A.3.1).
type Features struct {
	DatapathID   uint64
	Buffers      uint32
	Tables       uint8
	Auxiliary    uint8 // 0: the main connection
	Capabilities uint32
}

// AppendFeaturesReply appends a switch's answer.
func AppendFeaturesReply(b []byte, xid uint32, f Features) []byte {
	start := len(b)
	b = be.AppendUint64(appendMessage(b, TypeFeaturesReply, xid), f.DatapathID)
	b = append(be.AppendUint32(b, f.Buffers), f.Tables, f.Auxiliary, 0, 0)
	b = be.AppendUint64(b, uint64(f.Capabilities)<<32)
	patchLength(b, start, start+2)
	return b
}

// DecodeFeatures reads a features reply.
func DecodeFeatures(message []byte) (Features, error) {
	b, err := exactBody(message, TypeFeaturesReply, 24)
	if err != nil {
		return Features{}, err
	}
	return Features{DatapathID: be.Uint64(b), Buffers: be.Uint32(b[8:]), Tables: b[12], Auxiliary: b[13],
		Capabilities: be.Uint32(b[16:])}, nil
}

// AppendBarrierRequest asks for an answer once all that went before is done.
func AppendBarrierRequest(b []byte, xid uint32) []byte {
	return appendMessage(b, TypeBarrierRequest, xid)
}

// AppendBarrierReply appends that answer.
func AppendBarrierReply(b []byte, xid uint32) []byte { return appendMessage(b, TypeBarrierReply, xid) }

// Role is what a controller is to a switch (OpenFlow 1.3, 6.3.4).
type Role uint32

// The roles.
const (
	RoleNoChange Role = iota
	RoleEqual
	RoleMaster
	RoleSlave
)

// AppendRoleRequest asks for a role, or with RoleNoChange which it is.
func AppendRoleRequest(b []byte, xid uint32, r Role, generation uint64) []byte {
	return appendRole(b, TypeRoleRequest, xid, r, generation)
}

// AppendRoleReply appends a switch's answer.
func AppendRoleReply(b []byte, xid uint32, r Role, generation uint64) []byte {
	return appendRole(b, TypeRoleReply, xid, r, generation)
}

func appendRole(b []byte, t Type, xid uint32, r Role, generation uint64) []byte {
	start := len(b)
	b = be.AppendUint32(appendMessage(b, t, xid), uint32(r))
	b = be.AppendUint64(zeroes(b, 4), generation)
	patchLength(b, start, start+2)
	return b
}

// DecodeRole reads a role request or reply. A switch that no master ever claimed says all
// ones for the generation.
func DecodeRole(message []byte) (Role, uint64, error) {
	b, err := exactBody(message, eitherType(message, TypeRoleRequest, TypeRoleReply), 16)
	if err != nil {
		return 0, 0, err
	}
	return Role(be.Uint32(b)), be.Uint64(b[8:]), nil
}
