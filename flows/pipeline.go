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
	tableTrunk      uint8 = 6
	tableAdmit      uint8 = 10
	tableAdmitND    uint8 = 12
	tableResolve    uint8 = 30
	tableRoute      uint8 = 40
	tableAnswer     uint8 = 44
	tableHop        uint8 = 46
	tableSteer      uint8 = 48
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
	regFrom        = of.FieldReg5 // the number of the tenant whose port sent it to a peered tenant; 0: it stays with its own
	regGateway     = of.FieldReg6 // low half: the port of a gateway host that is alive, or noneAlive; high half: that of the active one
)

// noneAlive is what the low half of regGateway says where no probe finds a gateway host alive.
const noneAlive = 0xffff

// Origins, in regOrigin.
const (
	originPort     = 1
	originTunnel   = 2
	originGateway  = 3 // the kernel, by the gateway port
	originHandOver = 4 // by tunnel from, and back into a tunnel to, another gateway host
	originResolver = 5 // the host's resolver, by the resolver port
	originRelay    = 6 // by tunnel from a host of a star, and back into a tunnel to another
	originTrunk    = 7 // by the trunk, from a port on another host
)

// Scopes, in regScope.
const (
	scopeInternal = 0
	scopeEgress   = 1
	scopePeering  = 2

	scopePublished = 3
)

// gatewayPort and resolverPort stand for the gateway port and the resolver port where a port's number is
// expected.
const (
	gatewayPort  = 0xffffffff
	resolverPort = 0xfffffffe
)

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
			"must come from a known VTEP; one from the trunk goes to the table that looks whose it is; one from the kernel must have no VLAN tag, and gets the tenant whose transit address it goes to; an answer of " +
			"the resolver gets the tenant whose desk it comes from, and the resolver's own address.",
		Match: list(of.FieldInPort, of.FieldTunSrc, of.FieldTunIPv6Src, of.FieldEthType, of.FieldIPDst, of.FieldIPSrc, of.FieldIPv6Src,
			of.FieldVLANVID),
		Set:    list(regOrigin, regSource, regReason, of.FieldMetadata, of.FieldEthSrc, of.FieldIPSrc, of.FieldIPv6Src),
		Next:   []uint8{tableDecap, tableTrunk, tableAdmit, tableResolve, tableNAT, tableL3Resolve, tableDrop},
		Meters: true,
		Steps: []Step{
			{stepClassifyKnown, 100, "a port, a VTEP, the trunk, the kernel, the resolver: whoever may send here"},
			{stepClassifyStray, 90, "the tunnel, the gateway or the resolver port, but nobody that is known"},
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
		ID: tableTrunk, Name: "trunk",
		Purpose: "Gives a frame from the trunk its tenant and network by its 802.1Q tag, which comes off here, if its source MAC is " +
			"that of a port of the network on another host. It goes to ports here alone: never to a router, nor on to another host.",
		Match: list(of.FieldVLANVID, of.FieldEthSrc),
		Set:   list(of.FieldMetadata, of.FieldVLANVID, regReason),
		Next:  []uint8{tableForward, tableDrop},
		Steps: []Step{
			{stepTrunkPort, 100, "the MAC of a port on another host"},
			{stepTrunkPair, 90, "a MAC of the allowed pairs of ports on other hosts"},
			{stepTrunkStranger, 50, "a network that is present here, and nobody of it"},
			{stepTrunkNone, 0, "no network that is"},
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
			{stepResolveSelf, 210, "a port's search for another that has its own address, which gets no answer; by ARP its neighbours hear that it is its"},
			{stepResolveKnown, 200, "the address of a port or a router"},
			{stepResolveResolver, 195, "a container's question for the resolver"},
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
			"networks is routed here, a question to the resolver goes to the tenant's desk there, an address of a peered tenant's " +
			"network makes the frame that network's, any other IPv4 address goes " +
			"to the tenant's gateway host, or to NAT when that is here.",
		Match: list(of.FieldMetadata, regOrigin, of.FieldEthDst, of.FieldTunSrc, of.FieldTunIPv6Src, of.FieldEthType,
			of.FieldIPProto, of.FieldIPSrc, of.FieldIPv6Src, of.FieldIPDst, of.FieldIPv6Dst, of.FieldICMPType, of.FieldICMPCode, of.FieldICMPv6Type, of.FieldICMPv6Code,
			of.FieldUDPDst, of.FieldTCPDst, of.FieldUDPSrc, of.FieldTCPSrc),
		Set:  fields(handOver, list(of.FieldEthSrc, of.FieldIPDst, of.FieldIPv6Dst, of.FieldMetadata, regDestination, regScope, regFrom, regGateway, regReason)),
		Next: []uint8{tableAnswer, tableHop, tableSteer, tableNAT, tableNATNew, tableForward, tableAccountOut, tableEncap, tableDrop},
		Steps: []Step{
			{stepRouteEcho, 300, "an echo request to a router of the tenant"},
			{stepRouteResolver, 280, "a question to the resolver: UDP or TCP to port 53"},
			{stepRouteResolverFar, 275, "the same of tenants whose number is longer than 16 bits"},
			{stepRouteClosed, 250, "ranges that no tenant may route to"},
			{stepRouteNetwork, 180, "a network of the tenant"},
			{stepRoutePeering, 170, "from a port here to a network of a tenant that this one is peered with"},
			{stepRouteNobody, 115, "while a gateway moves: TCP that no gateway host knows"},
			{stepRoutePublished, 112, "what a published port sends, which goes where egress goes"},
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
		Purpose: "Routing between networks costs one TTL; a packet that has none left is refused. The source MAC becomes the " +
			"router's, or that of a peered tenant's router, which tells on every host whose frame it was.",
		Match: list(of.FieldEthType, of.FieldIPTTL, regScope),
		Set:   list(of.FieldEthSrc, of.FieldIPTTL, regReason),
		Next:  []uint8{tableL3Resolve, tableDrop},
		Steps: []Step{
			{stepHopExpired, 100, "no TTL is left"},
			{stepHopPeering, 95, "one TTL less, to a peered tenant"},
			{stepHopNext, 90, "one TTL less"},
			{stepHopNone, 0, "no IP"},
		},
	}, {
		ID: tableSteer, Name: "steer",
		Purpose: "Sends egress to that of its tenant's two gateway hosts which the probes of this switch find alive: to the " +
			"active one, or else to its backup, which may be this host. Where they find neither alive, it goes to the active one.",
		Match: list(regGateway),
		Set:   list(of.FieldTunDst, of.FieldTunIPv6Dst, regReason),
		Next:  []uint8{tableNAT, tableAccountOut, tableDrop},
		Steps: []Step{
			{stepSteerAlive, 100, "a gateway host that is alive"},
			{stepSteerDead, 90, "the active one, where none is"},
			{stepSteerNone, 0, "any other"},
		},
	}, {
		ID: tableNAT, Name: "nat",
		Purpose: "On a gateway host: looks the packet's connection up in the tenant's conntrack zone and translates it as " +
			"recorded there. What a tenant with a limited rate sends or gets too fast is dropped.",
		Match:  list(of.FieldMetadata, of.FieldEthType, regOrigin),
		Set:    list(regReason),
		Next:   []uint8{tableNATKnown, tableDrop},
		Meters: true,
		Steps: []Step{
			{stepNATLimited, 110, "from the kernel, for a tenant whose rate is limited"},
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
			{stepNATKnownOwn, 100, "a connection with the tenant's mark, or with that of a publication of its"},
			{stepNATKnownNew, 50, "no connection of the zone"},
			{stepNATKnownAnothers, 0, "a connection with another mark"},
		},
	}, {
		ID: tableNATState, Name: "nat_state",
		Purpose: "What the lookup found. From the kernel a known connection passes, to l3_resolve, and a new one to a published port, which is " +
			"committed here with the port's container as its destination and the publication's mark; nothing else. From a container a " +
			"known connection goes out and a new one to nat_new. While a gateway moves, what this host does not know goes " +
			"to the host that may, and what that does not know comes back.",
		Match: fields(natMatch, list(of.FieldIPSrc, of.FieldTunSrc, of.FieldTunIPv6Src, of.FieldCTMark, of.FieldIPDst, of.FieldTCPDst, of.FieldUDPDst)),
		Set:   fields(handOver, list(of.FieldEthSrc, of.FieldIPSrc, of.FieldCTMark, regReason)),
		Next:  []uint8{tableNATNew, tableNATOut, tableL3Resolve, tableAccountOut, tableEncap, tableDrop},
		Steps: []Step{
			{stepNATStateError, 220, "from the kernel: its own errors, which come from the tenant's router"},
			{stepNATStatePublished, 215, "from the kernel: a connection to a published port"},
			{stepNATStateReply, 210, "from the kernel: a known connection"},
			{stepNATStateOpened, 205, "from the kernel: a new connection to a published port"},
			{stepNATStateOutside, 200, "from the kernel: anything else"},
			{stepNATStateKnown, 150, "from a container: a known connection"},
			{stepNATStateTCP, 140, "while a gateway moves: a SYN, which opens a connection wherever it comes"},
			{stepNATStateBack, 135, "while a gateway moves: what another gateway host asked for, and this one does not know either"},
			{stepNATStateAsk, 130, "while a gateway moves: what another gateway host may know"},
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
		Set:   list(of.FieldEthSrc, of.FieldEthDst, regDestination, regReason),
		Next:  []uint8{tableAccountOut, tableDrop},
		Steps: []Step{
			{stepNATOutTranslated, 100, "a transit address as its source"},
			{stepNATOutNone, 0, "any other"},
		},
	}, {
		ID: tableL3Resolve, Name: "l3_resolve",
		Purpose: "Gives a routed packet the network and MAC of the port that has its destination address. The source MAC " +
			"stays: the router's between networks, the kernel's on egress replies, that of published ports, by which they are accounted.",
		Match: list(of.FieldMetadata, of.FieldEthType, of.FieldIPDst, of.FieldIPv6Dst),
		Set:   list(of.FieldMetadata, of.FieldEthDst, regReason),
		Next:  []uint8{tableForward, tableDrop},
		Steps: []Step{
			{stepL3ResolvePort, 100, "the address of a port"},
			{stepL3ResolveFull, 50, "a transit address: the tenant's zone is full, so that the way in was not translated"},
			{stepL3ResolveNone, 0, "any other"},
		},
	}}
}

func exitTables() []Table {
	return []Table{{
		ID: tableForward, Name: "forward",
		Purpose: "Finds the port that has the destination MAC in the frame's network, here or behind a VTEP. Broadcast and " +
			"multicast go to the network's own ports and hosts; what came from a tunnel or the trunk to ports only. Nothing is learned, " +
			"an unknown MAC is refused. In a star what is for another host goes to the gateway host, which relays it.",
		Match:  list(of.FieldMetadata, regOrigin, of.FieldEthDst, of.FieldTunSrc, of.FieldTunIPv6Src),
		Set:    list(of.FieldTunDst, of.FieldTunIPv6Dst, of.FieldInPort, regOrigin, regDestination, regReason),
		Next:   []uint8{tableAccountOut, tableAccountIn, tableEncap, tableDrop},
		Meters: true,
		Steps: []Step{
			{stepForwardRelay, 120, "at the centre of a star: by tunnel from another host, for a port on a third"},
			{stepForwardStar, 110, "from a port here to one elsewhere, by the centre of a star"},
			{stepForwardPort, 100, "the MAC of a port"},
			{stepForwardFloodCentre, 60, "broadcast and multicast from another gateway host of a star that moves, which sends them to all hosts itself"},
			{stepForwardFlood, 50, "broadcast and multicast"},
			{stepForwardNone, 0, "any other MAC"},
		},
	}, {
		ID: tableAccountOut, Name: "account_out",
		Purpose: "Counts a frame out, once, on the host whose container sent it, when it is admitted and its destination is " +
			"known: \"egress\" if that is the gateway, \"published\" if a published port answers by it, \"peering\" if it is a peered tenant's, else \"internal\", as questions to the resolver are. A multicast frame counts once. What the switch answers " +
			"itself and what is refused before does not count.",
		Match: list(of.FieldMetadata, regOrigin, regScope, regFrom),
		Next:  []uint8{tableAccountIn},
		Steps: []Step{
			{stepAccountOutTenant, 100, "a tenant's, by scope, or from the kernel of this gateway host"},
			{stepAccountOutRest, 0, "what does not count"},
		},
	}, {
		ID: tableAccountIn, Name: "account_in",
		Purpose: "Counts a frame in, for each port that gets it, on that port's host: \"egress\" if the kernel of a gateway " +
			"sent it, \"published\" if it opened or goes on with a connection to a published port, \"peering\" if a peered tenant did, which its source MAC tells on every host, else \"internal\". A frame is not sent back to its port.",
		Match: list(of.FieldMetadata, regSource, regDestination, of.FieldEthSrc),
		Next:  []uint8{tableDeliver, tableEncap},
		Steps: []Step{
			{stepAccountInKernel, 310, "a tenant's, to the kernel of this gateway host"},
			{stepAccountInAway, 300, "to another host, to the kernel, or to the resolver"},
			{stepAccountInBack, 200, "back to the port that sent it"},
			{stepAccountInPeering, 115, "a tenant's, from a port of a peered tenant"},
			{stepAccountInPublished, 112, "a tenant's, from outside to a published port"},
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
			{stepDeliverPort, 100, "a port here, the gateway port, or the resolver port"},
			{stepDeliverNone, 0, "no port here"},
		},
	}, {
		ID: tableEncap, Name: "encap",
		Purpose: "Sends the frame to its host: by the network's tunnel key, or tagged under the one key of VLAN networks; or tagged out of the trunk, " +
			"what one port of a VLAN network sends to others of it, where every host of the network has a trunk. " +
			"What came from a tunnel never enters one, but for what a gateway host relays in a star: that does not go back to the host that it came from.",
		Match:  list(of.FieldMetadata, of.FieldEthSrc, regOrigin, regScope, of.FieldTunSrc, of.FieldTunIPv6Src, of.FieldTunDst, of.FieldTunIPv6Dst),
		Set:    list(of.FieldTunID, of.FieldVLANVID, regReason),
		Next:   []uint8{tableDrop},
		Output: true,
		Steps: []Step{
			{stepEncapBack, 200, "from a tunnel or the trunk: never into one; relayed, and back to where it came from"},
			{stepEncapRouted, 160, "from another network, by tunnel: the router's MAC is on no trunk"},
			{stepEncapTrunk, 150, "from a port here to others of its network, by the trunk"},
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
