package flows

// This file names what stands in flows for those who read installed ones and compile none, such as
// package prove: the numbers of tables, registers, origins and kinds, under the names that
// pipeline.go gives them.

// Tables by number.
const (
	TableClassify   = tableClassify
	TableDecap      = tableDecap
	TableAdmit      = tableAdmit
	TableAdmitND    = tableAdmitND
	TableResolve    = tableResolve
	TableRoute      = tableRoute
	TableAnswer     = tableAnswer
	TableHop        = tableHop
	TableNAT        = tableNAT
	TableNATKnown   = tableNATKnown
	TableNATState   = tableNATState
	TableNATNew     = tableNATNew
	TableNATOut     = tableNATOut
	TableL3Resolve  = tableL3Resolve
	TableForward    = tableForward
	TableAccountOut = tableAccountOut
	TableAccountIn  = tableAccountIn
	TableDeliver    = tableDeliver
	TableEncap      = tableEncap
	TableDrop       = tableDrop
)

// Registers of a frame.
const (
	RegOrigin      = regOrigin      // where it came from
	RegSource      = regSource      // the number of the port that sent it
	RegDestination = regDestination // the number of the port that gets it
	RegReason      = regReason      // why it is refused
	RegScope       = regScope       // what it counts as
)

// Origins, in RegOrigin.
const (
	OriginPort     = originPort
	OriginTunnel   = originTunnel
	OriginGateway  = originGateway
	OriginHandOver = originHandOver
)

// GatewayPort stands for the gateway port where a port's number is expected.
const GatewayPort = gatewayPort

// NoPort is what in_port says of a frame that may leave where it came in.
const NoPort = noPort

// Kind is the sort of object that a slice belongs to.
type Kind = sliceKind

// The kinds of slices.
const (
	KindBase    = kindBase
	KindPeer    = kindPeer
	KindTenant  = kindTenant
	KindNetwork = kindNetwork
	KindPort    = kindPort
)

// Kinds are all kinds of slices, each with the word for whose they are.
func Kinds() map[Kind]string {
	all := make(map[Kind]string, len(sections))
	for i := range sections {
		all[sections[i].kind] = sections[i].owner
	}
	return all
}

// Kind is the sort of object that the slice belongs to.
func (sl Slice) Kind() Kind { return sl.kind() }

// MetadataOf is what metadata says of a frame: the number of its tenant, and of its network.
func MetadataOf(v uint64) (tenant, network uint32) { return uint32(v >> 32), uint32(v) }

// MeterTenant is the number of the tenant whose broadcasts a meter bounds.
func MeterTenant(meter uint32) uint32 { return meter >> meterRateBits }
