package flows

import (
	"fmt"
	"slices"

	of "sluice/datapath/openflow"
)

// Tables by number. They are spaced so that a table can come between two others without
// moving any; goto_table only goes forward.
const (
	tableClassify   uint8 = 0
	tableDecap      uint8 = 5
	tableAdmit      uint8 = 10
	tableAdmitND    uint8 = 12
	tableResolve    uint8 = 30
	tableRoute      uint8 = 40
	tableAnswer     uint8 = 44
	tableHop        uint8 = 46
	tableNAT        uint8 = 50
	tableNATKnown   uint8 = 51
	tableNATState   uint8 = 52
	tableNATNew     uint8 = 54
	tableNATOut     uint8 = 56
	tableL3Resolve  uint8 = 60
	tableForward    uint8 = 80
	tableAccountOut uint8 = 90
	tableAccountIn  uint8 = 92
	tableDeliver    uint8 = 100
	tableEncap      uint8 = 110
	tableDrop       uint8 = 250
)

// Registers. A frame carries them from table to table; metadata is its tenant's number
// in the high half and its network's in the low one.
const (
	regOrigin      = of.FieldReg0 // where it came from
	regSource      = of.FieldReg1 // the number of the port that sent it
	regDestination = of.FieldReg2 // the number of the port that gets it; 0: another host
	regReason      = of.FieldReg3 // why it is refused
	regScope       = of.FieldReg4 // what it counts as when it leaves its port
)

// Origins, in regOrigin.
const (
	originPort     = 1
	originTunnel   = 2
	originGateway  = 3 // the kernel, by the gateway port
	originHandOver = 4 // by tunnel from, and back into a tunnel to, another gateway host
)

// Scopes, in regScope.
const (
	scopeInternal = 0
	scopeEgress   = 1
)

// gatewayPort stands for the gateway port where a port's number is expected.
const gatewayPort = 0xffffffff

// Table is the contract of one OpenFlow table.
type Table struct {
	ID      uint8
	Name    string
	Purpose string
	Match   []of.Field // what its flows may match
	Set     []of.Field // what they may change
	Next    []uint8    // where they may go, always forward
	Output  bool       // whether they may send a frame out
	Meters  bool       // whether they may drop what comes too fast
	Steps   []Step     // the priorities that they may have, the highest first
}

// fields joins lists of fields.
func fields(lists ...[]of.Field) []of.Field { return slices.Concat(lists...) }

func list(f ...of.Field) []of.Field { return f }

// pipeline is never changed.
var pipeline = slices.Concat(entryTables(), routingTables(), exitTables())

// Tables are the tables of the pipeline, in the order in which a frame meets them.
func Tables() []Table { return slices.Clone(pipeline) }

func entryTables() []Table {
	l4 := list(of.FieldEthType, of.FieldIPProto)
	nd := list(of.FieldICMPv6Type, of.FieldICMPv6Code, of.FieldNDTarget, of.FieldNDSLL, of.FieldNDTLL, of.FieldIPTTL)
	return []Table{{
		ID: tableClassify, Name: "classify",
		Purpose: "Gives each frame its origin. One from a container gets its port, tenant and network; one from a tunnel " +
			"must come from a known VTEP; one from the kernel gets the tenant whose transit address it goes to.",
		Match: list(of.FieldInPort, of.FieldTunSrc, of.FieldTunIPv6Src, of.FieldEthType, of.FieldIPDst),
		Set:   list(regOrigin, regSource, regReason, of.FieldMetadata),
		Next:  []uint8{tableDecap, tableAdmit, tableResolve, tableNAT, tableDrop},
		Steps: []Step{
			{stepClassifyKnown, 100, "a port, a VTEP, the kernel: whoever may send here"},
			{stepClassifyStray, 90, "the tunnel or the gateway port, but nobody that is known"},
			{stepClassifyNone, 0, "a port that nobody owns"},
		},
	}, {
		ID: tableDecap, Name: "decap",
		Purpose: "Gives a frame from a tunnel its tenant and network, by tunnel key or, under the one key of all VLAN " +
			"networks, by 802.1Q tag, which comes off here.",
		Match: list(of.FieldTunID, of.FieldVLANVID),
		Set:   list(of.FieldMetadata, of.FieldVLANVID, regReason),
		Next:  []uint8{tableRoute, tableDrop},
		Steps: []Step{
			{stepDecapSegment, 100, "a network that is present here"},
			{stepDecapNone, 0, "no network that is"},
		},
	}, {
		ID: tableAdmit, Name: "admit",
		Purpose: "Port security. A container speaks only with the MAC and addresses that its port was given, in Ethernet, " +
			"ARP and IP; it sends no tags, serves no DHCP and advertises no routes. What no flow admits is refused.",
		Match: fields(list(regSource, of.FieldEthSrc, of.FieldEthDst, of.FieldVLANVID, of.FieldIPSrc, of.FieldIPDst, of.FieldIPv6Src,
			of.FieldIPv6Dst, of.FieldIPFrag, of.FieldARPOp, of.FieldARPSPA, of.FieldARPTPA, of.FieldARPSHA, of.FieldUDPSrc, of.FieldUDPDst), l4, nd),
		Set:  list(regReason),
		Next: []uint8{tableAdmitND, tableResolve, tableDrop},
		Steps: []Step{
			{stepAdmitTagged, 300, "no container sends a tag"},
			{stepAdmitServer, 290, "no container serves DHCP or advertises routes, nor sends a fragment that could hide it"},
			{stepAdmitDuplicate, 250, "the search for a duplicate of an own IPv6 address, sent from no address"},
			{stepAdmitOwn, 200, "the MACs and addresses that a port was given"},
			{stepAdmitSearch, 50, "the search of a kernel that has no IPv6 address of ours"},
			{stepAdmitARP, 20, "any other ARP, apart, so that a dump shows which"},
			{stepAdmitNone, 0, "all else"},
		},
	}, {
		ID: tableAdmitND, Name: "admit_nd",
		Purpose: "Port security of IPv6 neighbour discovery: the source address is right already; the link-layer address " +
			"and the target that the message claims must be too.",
		Match: fields(list(regSource, of.FieldEthSrc), l4, nd),
		Set:   list(regReason),
		Next:  []uint8{tableResolve, tableDrop},
		Steps: []Step{
			{stepAdmitNDOwn, 100, "claims that are true"},
			{stepAdmitNDSpoofed, 90, "any other claim"},
			{stepAdmitNDRest, 0, "what claims nothing"},
		},
	}, {
		ID: tableResolve, Name: "resolve",
		Purpose: "Neighbours without flooding: ARP for a known address or the router is answered here, as is neighbour " +
			"discovery for the router; a solicitation for a port goes to that port alone; any other question is refused.",
		Match: fields(list(of.FieldMetadata, regOrigin, regSource, of.FieldARPOp, of.FieldARPTPA), l4, nd),
		Set:   list(of.FieldEthSrc, of.FieldEthDst, of.FieldIPv6Src, of.FieldIPv6Dst, of.FieldICMPv6Type, regReason),
		Next:  []uint8{tableRoute, tableAnswer, tableForward, tableDrop},
		Steps: []Step{
			{stepResolveSelf, 210, "a port's search for another that has its own address"},
			{stepResolveKnown, 200, "the address of a port or a router"},
			{stepResolveTransit, 190, "the kernel's question for a transit address"},
			{stepResolveNobody, 100, "any other question"},
			{stepResolveRest, 0, "what is no question"},
		},
	}}
}

func routingTables() []Table {
	natMatch := list(of.FieldMetadata, regOrigin, of.FieldEthType, of.FieldIPProto, of.FieldCTState, of.FieldTCPFlags)
	handOver := list(regOrigin, of.FieldInPort, of.FieldEthDst, of.FieldTunDst, of.FieldTunIPv6Dst)
	return []Table{{
		ID: tableRoute, Name: "route",
		Purpose: "Frames to the router's MAC: an echo request to the router is answered, an address of the tenant's own " +
			"networks is routed here, any other IPv4 address goes to the tenant's gateway host, or to NAT when that is here.",
		Match: list(of.FieldMetadata, regOrigin, of.FieldEthDst, of.FieldTunSrc, of.FieldTunIPv6Src, of.FieldEthType,
			of.FieldIPProto, of.FieldIPDst, of.FieldIPv6Dst, of.FieldICMPType, of.FieldICMPCode, of.FieldICMPv6Type, of.FieldICMPv6Code),
		Set:  list(of.FieldTunDst, of.FieldTunIPv6Dst, regScope, regReason),
		Next: []uint8{tableAnswer, tableHop, tableNAT, tableNATNew, tableForward, tableAccountOut, tableDrop},
		Steps: []Step{
			{stepRouteEcho, 300, "an echo request to a router of the tenant"},
			{stepRouteClosed, 250, "ranges that no tenant may route to"},
			{stepRouteNetwork, 180, "a network of the tenant"},
			{stepRouteTunnel, 110, "to the gateway host where that is another, and from another gateway host while a gateway moves"},
			{stepRouteNAT, 100, "out by this gateway host"},
			{stepRouteNowhere, 50, "any other frame to a router"},
			{stepRouteRest, 0, "what is for no router"},
		},
	}, {
		ID: tableAnswer, Name: "answer",
		Purpose: "Turns a question (ARP, neighbour solicitation, echo request to the router) into its answer, and sends it " +
			"back where it came from. Answers are the switch's own and are not accounted.",
		Match: list(of.FieldEthType, of.FieldIPProto, of.FieldICMPType, of.FieldICMPv6Type),
		Set: list(of.FieldEthSrc, of.FieldEthDst, of.FieldARPOp, of.FieldARPSHA, of.FieldARPTHA, of.FieldARPSPA, of.FieldARPTPA,
			of.FieldIPSrc, of.FieldIPDst, of.FieldIPv6Src, of.FieldIPv6Dst, of.FieldICMPType, of.FieldICMPv6Type, of.FieldIPTTL,
			of.FieldNDOptionsType, of.FieldNDTLL, of.FieldNDReserved, of.FieldInPort, regDestination, regReason),
		Next: []uint8{tableDeliver, tableDrop},
		Steps: []Step{
			{stepAnswerKnown, 100, "a question that the switch answers"},
			{stepAnswerNone, 0, "any other"},
		},
	}, {
		ID: tableHop, Name: "hop",
		Purpose: "Routing between a tenant's own networks costs one TTL; a packet that has none left is refused.",
		Match:   list(of.FieldEthType, of.FieldIPTTL),
		Set:     list(of.FieldEthSrc, of.FieldIPTTL, regReason),
		Next:    []uint8{tableL3Resolve, tableDrop},
		Steps: []Step{
			{stepHopExpired, 100, "no TTL is left"},
			{stepHopNext, 90, "one TTL less"},
			{stepHopNone, 0, "no IP"},
		},
	}, {
		ID: tableNAT, Name: "nat",
		Purpose: "On a gateway host: looks the packet's connection up in the tenant's conntrack zone and translates it as " +
			"recorded there.",
		Match: list(of.FieldMetadata, of.FieldEthType),
		Set:   list(regReason),
		Next:  []uint8{tableNATKnown, tableDrop},
		Steps: []Step{
			{stepNATTenant, 100, "a tenant whose gateway host this is"},
			{stepNATNone, 0, "any other"},
		},
	}, {
		ID: tableNATKnown, Name: "nat_known",
		Purpose: "A connection that the zone knows must be this tenant's own, by the mark that it was committed with: a " +
			"deleted tenant's connections outlive it, and its number and zone may be another's by now.",
		Match: list(of.FieldMetadata, of.FieldEthType, of.FieldCTState, of.FieldCTMark),
		Set:   list(regReason),
		Next:  []uint8{tableNATState, tableDrop},
		Steps: []Step{
			{stepNATKnownOwn, 100, "a connection with the tenant's mark"},
			{stepNATKnownNew, 50, "no connection of the zone"},
			{stepNATKnownAnothers, 0, "a connection with another mark"},
		},
	}, {
		ID: tableNATState, Name: "nat_state",
		Purpose: "What the lookup found. From the kernel only a known connection passes, to l3_resolve. From a container a " +
			"known connection goes out and a new one to nat_new. While a gateway moves, what this host does not know goes " +
			"to the host that may.",
		Match: fields(natMatch, list(of.FieldIPSrc)),
		Set:   fields(handOver, list(of.FieldEthSrc, of.FieldIPSrc, regScope, regReason)),
		Next:  []uint8{tableNATNew, tableNATOut, tableL3Resolve, tableAccountOut, tableEncap, tableDrop},
		Steps: []Step{
			{stepNATStateError, 220, "from the kernel: its own errors, which come from the tenant's router"},
			{stepNATStateReply, 210, "from the kernel: a known connection"},
			{stepNATStateOutside, 200, "from the kernel: anything else"},
			{stepNATStateKnown, 150, "from a container: a known connection"},
			{stepNATStateTCP, 140, "while a gateway moves: TCP that ends here; the active host opens a connection for a SYN, the last of the chain refuses what nobody knows"},
			{stepNATStateOwnTCP, 136, "while a gateway moves: TCP of containers here that the next host may know"},
			{stepNATStatePassTCP, 135, "while a gateway moves: other TCP that the next host may know"},
			{stepNATStateOwnNew, 131, "while a gateway moves: what else of containers here the next host may know"},
			{stepNATStatePassNew, 130, "while a gateway moves: what else the next host may know"},
			{stepNATStateNew, 120, "a new connection"},
			{stepNATStateNone, 0, "anything else"},
		},
	}, {
		ID: tableNATNew, Name: "nat_new",
		Purpose: "A new connection: refused to the infrastructure (hosts, underlay, etcd, controllers), else committed with " +
			"the tenant's transit address as its source and the tenant's mark. Replies never pass here.",
		Match: list(of.FieldMetadata, of.FieldEthType, of.FieldIPDst),
		Set:   list(of.FieldCTMark, regReason),
		Next:  []uint8{tableNATOut, tableDrop},
		Steps: []Step{
			{stepNATNewClosed, 200, "the infrastructure of this host"},
			{stepNATNewVTEP, 190, "the VTEPs of all hosts"},
			{stepNATNewOpen, 100, "a connection to anywhere else"},
			{stepNATNewNone, 0, "a tenant that has none here"},
		},
	}, {
		ID: tableNATOut, Name: "nat_out",
		Purpose: "Addresses a translated packet to the kernel, which routes and masquerades it. One that conntrack could not " +
			"translate goes no further.",
		Match: list(of.FieldEthType, of.FieldIPSrc),
		Set:   list(of.FieldEthSrc, of.FieldEthDst, regDestination, regScope, regReason),
		Next:  []uint8{tableAccountOut, tableDrop},
		Steps: []Step{
			{stepNATOutTranslated, 100, "a transit address as its source"},
			{stepNATOutNone, 0, "any other"},
		},
	}, {
		ID: tableL3Resolve, Name: "l3_resolve",
		Purpose: "Gives a routed packet the network and MAC of the port that has its destination address. The source MAC " +
			"stays: the router's between networks, the kernel's on egress replies, by which they are accounted.",
		Match: list(of.FieldMetadata, of.FieldEthType, of.FieldIPDst, of.FieldIPv6Dst),
		Set:   list(of.FieldMetadata, of.FieldEthDst, regReason),
		Next:  []uint8{tableForward, tableDrop},
		Steps: []Step{
			{stepL3ResolvePort, 100, "the address of a port"},
			{stepL3ResolveNone, 0, "any other"},
		},
	}}
}

func exitTables() []Table {
	return []Table{{
		ID: tableForward, Name: "forward",
		Purpose: "Finds the port that has the destination MAC in the frame's network, here or behind a VTEP. Broadcast and " +
			"multicast go to the network's own ports and hosts; what came from a tunnel to ports only. Nothing is learned, " +
			"an unknown MAC is refused.",
		Match:  list(of.FieldMetadata, regOrigin, of.FieldEthDst),
		Set:    list(of.FieldTunDst, of.FieldTunIPv6Dst, regDestination, regReason),
		Next:   []uint8{tableAccountOut, tableAccountIn, tableEncap, tableDrop},
		Meters: true,
		Steps: []Step{
			{stepForwardPort, 100, "the MAC of a port"},
			{stepForwardFlood, 50, "broadcast and multicast"},
			{stepForwardNone, 0, "any other MAC"},
		},
	}, {
		ID: tableAccountOut, Name: "account_out",
		Purpose: "Counts a frame out, once, on the host whose container sent it, when it is admitted and its destination is " +
			"known: \"egress\" if that is the gateway, else \"internal\". A multicast frame counts once. What the switch answers " +
			"itself and what is refused before does not count.",
		Match: list(of.FieldMetadata, regOrigin, regScope),
		Next:  []uint8{tableAccountIn},
		Steps: []Step{
			{stepAccountOutTenant, 100, "a tenant's, by scope"},
			{stepAccountOutRest, 0, "what does not count"},
		},
	}, {
		ID: tableAccountIn, Name: "account_in",
		Purpose: "Counts a frame in, for each port that gets it, on that port's host: \"egress\" if the kernel of a gateway " +
			"sent it, which its source MAC tells on every host, else \"internal\". A frame is not sent back to its port.",
		Match: list(of.FieldMetadata, regSource, regDestination, of.FieldEthSrc),
		Next:  []uint8{tableDeliver, tableEncap},
		Steps: []Step{
			{stepAccountInAway, 300, "to another host, or to the kernel"},
			{stepAccountInBack, 200, "back to the port that sent it"},
			{stepAccountInEgress, 110, "a tenant's, from the kernel of a gateway"},
			{stepAccountInInternal, 100, "a tenant's, from its own ports"},
			{stepAccountInRest, 0, "what does not count"},
		},
	}, {
		ID: tableDeliver, Name: "deliver",
		Purpose: "Sends the frame to its port.",
		Match:   list(regDestination),
		Set:     list(regReason),
		Next:    []uint8{tableDrop},
		Output:  true,
		Steps: []Step{
			{stepDeliverPort, 100, "a port here, or the gateway port"},
			{stepDeliverNone, 0, "no port here"},
		},
	}, {
		ID: tableEncap, Name: "encap",
		Purpose: "Sends the frame to its host: by the network's tunnel key, or tagged under the one key of VLAN networks. " +
			"What came from a tunnel never enters one.",
		Match:  list(of.FieldMetadata, regOrigin),
		Set:    list(of.FieldTunID, of.FieldVLANVID, regReason),
		Next:   []uint8{tableDrop},
		Output: true,
		Steps: []Step{
			{stepEncapBack, 200, "from a tunnel: never into one"},
			{stepEncapNetwork, 100, "a network that is present here"},
			{stepEncapNone, 0, "any other"},
		},
	}, {
		ID: tableDrop, Name: "drop",
		Purpose: "Every refusal ends here and is counted by its reason, for the frame's tenant where that is known and has " +
			"something on this host, else for nobody's (tenant 0).",
		Match: list(of.FieldMetadata, regReason),
		Steps: []Step{
			{stepDropTenant, 100, "a tenant that has something here, by reason"},
			{stepDropReason, 50, "nobody's, by reason"},
			{stepDropRest, 0, "without a reason"},
		},
	}}
}

// TableName is the name of a table, or its number where there is no such table.
func TableName(id uint8) string {
	if t := tableByID(id); t != nil {
		return t.Name
	}
	return fmt.Sprint(id)
}

func tableByID(id uint8) *Table {
	at, found := slices.BinarySearchFunc(pipeline, id, func(t Table, id uint8) int { return int(t.ID) - int(id) })
	if !found {
		return nil
	}
	return &pipeline[at]
}
