package openflow

// Flow is one flow entry (OpenFlow 1.3, 5.2). Instructions stand in Actions too, in the
// order in which a switch executes them and ovs-ofctl prints them: Meter, the actions to
// apply, ClearActions, WriteActions, WriteMetadata, GotoTable.
type Flow struct {
	Table       uint8
	Priority    uint16
	Cookie      uint64
	IdleTimeout uint16 // seconds; 0: none
	HardTimeout uint16 // seconds; 0: none
	Match       Match
	Actions     []Action // none: drop
	Flags       Flags

	// Unknown is what a flow of someone else matches besides, in fields that this package
	// does not know: their OXM bytes, so that the flow can still be shown and deleted.
	Unknown string
}

// Flags are the flags of a flow mod (OpenFlow 1.3, A.3.4.1).
type Flags uint16

// The flags of a flow mod.
const (
	SendFlowRemoved Flags = 1 << iota
	CheckOverlap
	ResetCounts
	NoPacketCounts
	NoByteCounts
)

// FlowStats is an installed flow with its counters.
type FlowStats struct {
	Flow
	Packets, Bytes uint64
	// Seconds and Nanoseconds are its age. A flow that was removed tells whole seconds.
	Seconds, Nanoseconds uint32
}

// Value is a field's value, right aligned: addresses and numbers up to 64 bits stand in Lo.
type Value struct{ Hi, Lo uint64 }

// MatchField is one field of a match. A zero Mask stands for none at all (that field is
// then left out of a Match), all ones up to the field's width for an exact match.
type MatchField struct {
	Field       Field
	Value, Mask Value
}

// Match is what a flow matches: fields sorted by Field, each at most once, so that two
// equal matches are equal slices.
type Match []MatchField

// Action is one action or instruction. The set is closed; each is a plain value.
type Action interface{ isAction() }

// Reserved ports (OpenFlow 1.3, A.2.1).
const (
	PortUnset      uint32 = 0xfffffff7 // Open vSwitch's own
	PortInPort     uint32 = 0xfffffff8
	PortTable      uint32 = 0xfffffff9
	PortNormal     uint32 = 0xfffffffa
	PortFlood      uint32 = 0xfffffffb
	PortAll        uint32 = 0xfffffffc
	PortController uint32 = 0xfffffffd
	PortLocal      uint32 = 0xfffffffe
	PortAny        uint32 = 0xffffffff
)

// TableAll names every table in a request.
const TableAll uint8 = 0xff

type (
	// Output sends the frame to a port: output:1, IN_PORT. To PortController it reads back
	// as a Controller.
	Output struct{ Port uint32 }
	// OutputField sends it to the port that a register holds: output:NXM_NX_REG0[].
	OutputField struct{ Source Subfield }
	// SetField writes a whole field, or the bits under a mask: set_field:V/M->field.
	SetField struct {
		Field       Field
		Value, Mask Value // zero Mask: the whole field
	}
	// Load writes bits of a field, at most 64: load:0x5->NXM_NX_REG0[0..15].
	Load struct {
		Target Subfield
		Value  uint64
	}
	// Move copies bits: move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[].
	Move struct{ Source, Target Subfield }
	// Push puts bits on the stack.
	Push struct{ Source Subfield }
	// Pop takes bits off the stack.
	Pop struct{ Target Subfield }
	// PushVLAN adds an 802.1Q or 802.1ad tag of that Ethernet type.
	PushVLAN struct{ EtherType uint16 }
	// PopVLAN removes the outer tag.
	PopVLAN struct{}
	// DecTTL decrements the IP TTL; a frame whose TTL ran out goes no further.
	DecTTL struct{}
	// Resubmit looks the frame up in another table and comes back. InPort 0: unchanged.
	Resubmit struct {
		InPort uint16
		Table  uint8
	}
	// Clone runs actions on a copy of the frame.
	Clone struct{ Actions []Action }
	// CT sends the frame through connection tracking.
	CT struct {
		Commit, Force bool
		Zone          uint16
		ZoneField     *Subfield // instead of Zone, where not nil
		Table         uint8     // recirculate to; TableAll: do not
		NAT           *NAT      // nil: none
		Exec          []Action  // on the connection: ct_mark, ct_label
		ALG           uint16    // 0, 21 (ftp) or 69 (tftp)
	}
	// CTClear forgets the connection state.
	CTClear struct{}
	// Controller sends the frame, or its first MaxLength bytes, to the controller.
	Controller struct {
		MaxLength uint16
		Reason    uint8
		ID        uint16
	}
	// Group runs a group.
	Group struct{ ID uint32 }
	// Meter is the meter instruction.
	Meter struct{ ID uint32 }
	// WriteMetadata is the write-metadata instruction.
	WriteMetadata struct{ Value, Mask uint64 } // Mask all ones: the whole field
	// GotoTable is the goto-table instruction.
	GotoTable struct{ Table uint8 }
	// WriteActions is the write-actions instruction.
	WriteActions struct{ Actions []Action }
	// ClearActions is the clear-actions instruction.
	ClearActions struct{}
	// Note carries bytes that do nothing. The wire pads them with zeroes to six more than a
	// multiple of eight.
	Note struct{ Data string }
	// BundleLoad writes the number of one of some ports to a field of 16 bits or more, of those that are live, and
	// 0xffff where none is: bundle_load(eth_src,0,active_backup,ofport,NXM_NX_REG6[0..15],members:1,2).
	BundleLoad struct {
		Algorithm uint16 // ActiveBackup, HighestRandomWeight
		Fields    uint16 // what HighestRandomWeight hashes, by Nicira's number; 0: the source MAC
		Basis     uint16 // of the hash
		Target    Subfield
		Members   []uint16
	}
	// Conjunction makes the flow a part of a conjunctive match. Clause counts from 1.
	Conjunction struct {
		ID              uint32
		Clause, Clauses uint8
	}
	// Opaque is an action that this package does not model: its bytes, header included.
	Opaque struct{ Bytes string }
)

// Subfield is a run of bits of a field, lowest first. Bits 0 stands for the whole field.
type Subfield struct {
	Field  Field
	Offset uint16
	Bits   uint16
}

// Width is how many bits the subfield has. A whole port or VLAN id is narrower in actions than in a match: NXM's
// 16 bits, and an id without the present bit.
func (s Subfield) Width() int {
	if s.Bits != 0 {
		return int(s.Bits)
	}
	return int(s.Field.spec().width())
}

// NAT is the nat(...) argument of CT. All zero: translate by the connection's own record.
// A range has its lower end in Min; Max is zero where it is no range.
type NAT struct {
	Source, Destination bool // at most one
	// MinAddress and MaxAddress are the range, as Value; V6 tells their family.
	MinAddress, MaxAddress Value
	V6                     bool
	MinPort, MaxPort       uint16
	Persistent, Hash       bool
	Random                 bool
}

func (Output) isAction()        {}
func (OutputField) isAction()   {}
func (SetField) isAction()      {}
func (Load) isAction()          {}
func (Move) isAction()          {}
func (Push) isAction()          {}
func (Pop) isAction()           {}
func (PushVLAN) isAction()      {}
func (PopVLAN) isAction()       {}
func (DecTTL) isAction()        {}
func (Resubmit) isAction()      {}
func (Clone) isAction()         {}
func (CT) isAction()            {}
func (CTClear) isAction()       {}
func (Controller) isAction()    {}
func (Group) isAction()         {}
func (Meter) isAction()         {}
func (WriteMetadata) isAction() {}
func (GotoTable) isAction()     {}
func (WriteActions) isAction()  {}
func (ClearActions) isAction()  {}
func (Note) isAction()          {}
func (BundleLoad) isAction()    {}
func (Conjunction) isAction()   {}
func (Opaque) isAction()        {}
