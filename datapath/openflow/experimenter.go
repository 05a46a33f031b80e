package openflow

// Messages of the ONF's extensions to OpenFlow 1.3 (EXT-230 bundles, EXT-191 role status),
// which Open vSwitch speaks.
const (
	onfRoleStatus    = 1911
	onfBundleControl = 2300
	onfBundleAdd     = 2301
)

// ExperimenterType is the sort of an experimenter message.
type ExperimenterType struct{ Experimenter, Subtype uint32 }

// The experimenter messages that this package reads, and the one by which a controller says
// what it wants to be told unasked.
var (
	ExperimenterRoleStatus    = ExperimenterType{onfExperimenter, onfRoleStatus}
	ExperimenterBundleControl = ExperimenterType{onfExperimenter, onfBundleControl}
	ExperimenterBundleAdd     = ExperimenterType{onfExperimenter, onfBundleAdd}
	ExperimenterAsyncConfig   = ExperimenterType{niciraExperimenter, niciraAsyncConfig}
)

// DecodeExperimenter reads the start of an experimenter message.
func DecodeExperimenter(message []byte) (ExperimenterType, error) {
	b, err := body(message, TypeExperimenter, 8)
	if err != nil {
		return ExperimenterType{}, err
	}
	return ExperimenterType{be.Uint32(b), be.Uint32(b[4:])}, nil
}

func experimenterBody(message []byte, want ExperimenterType, least int) ([]byte, error) {
	b, err := body(message, TypeExperimenter, 8+least)
	if err != nil {
		return nil, err
	}
	if got := (ExperimenterType{be.Uint32(b), be.Uint32(b[4:])}); got != want {
		return nil, malformed("experimenter message %#x/%d, want %#x/%d",
			got.Experimenter, got.Subtype, want.Experimenter, want.Subtype)
	}
	return b[8:], nil
}

func appendExperimenter(b []byte, xid uint32, t ExperimenterType) []byte {
	b = appendMessage(b, TypeExperimenter, xid)
	return be.AppendUint32(be.AppendUint32(b, t.Experimenter), t.Subtype)
}

// BundleStep is what a bundle control message does.
type BundleStep uint16

// The steps, each with its reply.
const (
	BundleOpen BundleStep = iota
	BundleOpened
	BundleClose
	BundleClosed
	BundleCommit
	BundleCommitted
	BundleDiscard
	BundleDiscarded
)

// BundleFlags say how a bundle is carried out; each of its messages carries the same.
type BundleFlags uint16

// The flags. Open vSwitch wants at least one of them where it matters: both give all or
// nothing, in the order of sending.
const (
	BundleAtomic  BundleFlags = 1
	BundleOrdered BundleFlags = 2
)

// BundleControl opens, closes, commits or discards a bundle, or says that this was done.
type BundleControl struct {
	Bundle uint32
	Step   BundleStep
	Flags  BundleFlags
}

// AppendBundleControl appends a bundle control message.
func AppendBundleControl(b []byte, xid uint32, c BundleControl) []byte {
	start := len(b)
	b = be.AppendUint32(appendExperimenter(b, xid, ExperimenterBundleControl), c.Bundle)
	b = be.AppendUint16(be.AppendUint16(b, uint16(c.Step)), uint16(c.Flags))
	return EndMessage(b, start)
}

// DecodeBundleControl reads one. Properties after it are passed over.
func DecodeBundleControl(message []byte) (BundleControl, error) {
	b, err := experimenterBody(message, ExperimenterBundleControl, 8)
	if err != nil {
		return BundleControl{}, err
	}
	c := BundleControl{be.Uint32(b), BundleStep(be.Uint16(b[4:])), BundleFlags(be.Uint16(b[6:]))}
	if c.Step > BundleDiscarded {
		return BundleControl{}, malformed("bundle control with step %d", c.Step)
	}
	return c, nil
}

// AppendBundleFlowMod appends a message that puts a flow mod into a bundle. It allocates
// nothing where b has the room. What AppendFlowMod says of flows that cannot be sent holds
// here; the most that fits is 24 bytes less.
func AppendBundleFlowMod(b []byte, xid, bundle uint32, flags BundleFlags, m *FlowMod) []byte {
	start := len(b)
	b = appendBundleAdd(b, xid, bundle, flags)
	b = AppendFlowModCookie(b, xid, m.Command, &m.Flow, m.CookieMask)
	if len(b)-start > maxMessage {
		b = appendBundleAdd(b[:start], xid, bundle, flags)
		b = appendRefusedMod(b, xid, m.Command, &m.Flow, m.CookieMask)
	}
	return EndMessage(b, start)
}

func appendBundleAdd(b []byte, xid, bundle uint32, flags BundleFlags) []byte {
	b = be.AppendUint32(appendExperimenter(b, xid, ExperimenterBundleAdd), bundle)
	return be.AppendUint32(b, uint32(flags))
}

// BundleAdd is a message that waits in a bundle.
type BundleAdd struct {
	Bundle  uint32
	Flags   BundleFlags
	Message []byte // with its header; part of the message that was read
}

// DecodeBundleAdd reads one. Properties after the inner message are passed over.
func DecodeBundleAdd(message []byte) (BundleAdd, error) {
	b, err := experimenterBody(message, ExperimenterBundleAdd, 8+headerLength)
	if err != nil {
		return BundleAdd{}, err
	}
	inner := b[8:]
	h, err := ParseHeader(inner)
	if err != nil {
		return BundleAdd{}, err
	}
	if int(h.Length) > len(inner) || h.XID != be.Uint32(message[4:]) {
		return BundleAdd{}, malformed("bundled message says %d bytes and xid %#x, has %d and %#x",
			h.Length, h.XID, len(inner), be.Uint32(message[4:]))
	}
	return BundleAdd{be.Uint32(b), BundleFlags(be.Uint16(b[6:])), inner[:h.Length]}, nil
}

// RoleStatus says that the switch changed a controller's role by itself.
type RoleStatus struct {
	Role       Role
	Reason     uint8 // 0: another became master
	Generation uint64
}

// AppendRoleStatus appends such a message.
func AppendRoleStatus(b []byte, xid uint32, s RoleStatus) []byte {
	start := len(b)
	b = be.AppendUint32(appendExperimenter(b, xid, ExperimenterRoleStatus), uint32(s.Role))
	b = be.AppendUint64(append(b, s.Reason, 0, 0, 0), s.Generation)
	return EndMessage(b, start)
}

// DecodeRoleStatus reads one.
func DecodeRoleStatus(message []byte) (RoleStatus, error) {
	b, err := experimenterBody(message, ExperimenterRoleStatus, 16)
	if err != nil {
		return RoleStatus{}, err
	}
	return RoleStatus{Role(be.Uint32(b)), b[4], be.Uint64(b[8:])}, nil
}
