package flows

import "sluice/store"

// This file names what stands in flows for those who read installed ones and compile none, such as
// package prove: the numbers of tables, registers, origins and kinds, under the names that
// pipeline.go gives them.

// Tables by number.
const (
	TableClassify   = tableClassify
	TableDecap      = tableDecap
	TableTrunk      = tableTrunk
	TableAdmit      = tableAdmit
	TableAdmitND    = tableAdmitND
	TableResolve    = tableResolve
	TableRoute      = tableRoute
	TableAnswer     = tableAnswer
	TableHop        = tableHop
	TableSteer      = tableSteer
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
	RegGateway     = regGateway     // which of its gateway hosts egress goes to
	RegFrom        = regFrom        // the tenant that it was of before it entered a peered tenant's network
)

// Origins, in RegOrigin.
const (
	OriginPort     = originPort
	OriginTunnel   = originTunnel
	OriginGateway  = originGateway
	OriginHandOver = originHandOver
	OriginResolver = originResolver
	OriginRelay    = originRelay
	OriginTrunk    = originTrunk
)

// GatewayPort and ResolverPort stand for the gateway port and the resolver port where a port's number is
// expected.
const (
	GatewayPort  = gatewayPort
	ResolverPort = resolverPort
)

// NoneAlive is what the low half of RegGateway says where no gateway host is alive.
const NoneAlive = noneAlive

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
	KindPeering = kindPeering

	KindPublished = kindPublished

	KindResolver = kindResolver
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

// Peer is the number of the other tenant of a slice of KindPeering.
func (sl Slice) Peer() uint32 { return sl.object() }

// Published is the first port of the gateway host of a slice of KindPublished.
func (sl Slice) Published() store.Endpoint {
	if sl.object()&udpPublished != 0 {
		return store.Endpoint{Protocol: store.ProtocolUDP, Port: uint16(sl.object())}
	}
	return store.Endpoint{Protocol: store.ProtocolTCP, Port: uint16(sl.object())}
}

// Port is the number of the port of a slice of KindPort.
func (sl Slice) Port() uint32 { return sl.object() }

// MetadataOf is what metadata says of a frame: the number of its tenant, and of its network.
func MetadataOf(v uint64) (tenant, network uint32) { return uint32(v >> 32), uint32(v) }

// MeterBounds is whose meter of a host has a number: that of the tenant with a number, with a slot of the host, or with a
// port of some OpenFlow port number there.
func MeterBounds(meter uint32) (number, slot, ofport uint32) {
	switch {
	case meter >= portMeters:
		return 0, 0, (meter - portMeters) / portMeterKinds
	case meter%(1<<meterKindBits) == meterNetwork:
		return 0, 0, meter >> meterKindBits
	case meter%(1<<meterKindBits) == meterBroadcasts:
		return meter >> meterKindBits, 0, 0
	}
	return 0, meter >> meterKindBits, 0
}
