package flows

// step is one priority of one table: what a flow of it is about. Flows are emitted by step, and
// the contract of the step's table says its priority.
type step uint8

// The steps of each table, the first to match first. What number a constant has means nothing.
const (
	stepClassifyKnown step = iota
	stepClassifyStray
	stepClassifyNone

	stepDecapSegment
	stepDecapNone

	stepTrunkPort
	stepTrunkPair
	stepTrunkStranger
	stepTrunkNone

	stepAdmitTagged
	stepAdmitServer
	stepAdmitDuplicate
	stepAdmitOwn
	stepAdmitSearch
	stepAdmitARP
	stepAdmitNone

	stepAdmitNDOwn
	stepAdmitNDSpoofed
	stepAdmitNDRest

	stepResolveSelf
	stepResolveKnown
	stepResolveResolver
	stepResolveTransit
	stepResolveNobody
	stepResolveRest

	stepRouteEcho
	stepRouteResolver
	stepRouteResolverFar
	stepRouteClosed
	stepRouteNetwork
	stepRoutePeering
	stepRouteNobody
	stepRoutePublished
	stepRouteTunnel
	stepRouteNAT
	stepRouteNowhere
	stepRouteRest

	stepAnswerKnown
	stepAnswerNone

	stepHopExpired
	stepHopPeering
	stepHopNext
	stepHopNone

	stepSteerAlive
	stepSteerDead
	stepSteerNone

	stepNATLimited
	stepNATTenant
	stepNATNone

	stepNATKnownOwn
	stepNATKnownNew
	stepNATKnownAnothers

	stepNATStateError
	stepNATStatePublished
	stepNATStateReply
	stepNATStateOpened
	stepNATStateOutside
	stepNATStateKnown
	stepNATStateTCP
	stepNATStateBack
	stepNATStateAsk
	stepNATStateNew
	stepNATStateNone

	stepNATNewClosed
	stepNATNewVTEP
	stepNATNewOpen
	stepNATNewNone

	stepNATOutTranslated
	stepNATOutNone

	stepL3ResolvePort
	stepL3ResolveFull
	stepL3ResolveNone

	stepForwardRelay
	stepForwardStar
	stepForwardPort
	stepForwardFloodCentre
	stepForwardFlood
	stepForwardNone

	stepAccountOutTenant
	stepAccountOutRest

	stepAccountInKernel
	stepAccountInAway
	stepAccountInBack
	stepAccountInPeering
	stepAccountInPublished
	stepAccountInEgress
	stepAccountInInternal
	stepAccountInRest

	stepDeliverPort
	stepDeliverNone

	stepEncapBack
	stepEncapRouted
	stepEncapTrunk
	stepEncapNetwork
	stepEncapNone

	stepDropTenant
	stepDropReason
	stepDropRest

	numSteps
)

// Step is one priority of a table, as its contract declares it.
type Step struct {
	step     step
	Priority uint16
	About    string // the frames that flows of this priority match
}

// place is where the flows of a step stand.
type place struct {
	table    uint8
	priority uint16
}

// places are those of all steps, by step.
var places = placesOf(pipeline)

func placesOf(tables []Table) (at [numSteps]place) {
	for _, t := range tables {
		for _, s := range t.Steps {
			at[s.step] = place{t.ID, s.Priority}
		}
	}
	return at
}
