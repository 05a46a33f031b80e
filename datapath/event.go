package datapath

import "sluice/datapath/openflow"

// Event is what a switch says unasked: one of PortEvent, FlowRemoved, Demoted, Overflow.
type Event interface{ isEvent() }

type (
	// PortEvent tells that a port came, went or changed (OpenFlow 1.3, A.4.3).
	PortEvent openflow.PortStatus
	// FlowRemoved tells that a flow with the flag for it is gone (OpenFlow 1.3, A.4.2).
	FlowRemoved openflow.FlowRemoved
	// Demoted tells that another controller is the switch's master now.
	Demoted struct{}
	// Overflow tells that events were lost, since they were not taken: read all afresh,
	// the role too.
	Overflow struct{}
)

func (PortEvent) isEvent()   {}
func (FlowRemoved) isEvent() {}
func (Demoted) isEvent()     {}
func (Overflow) isEvent()    {}

// What happens to a port: the reasons of a PortEvent.
const (
	PortAdded    = openflow.PortAdded
	PortDeleted  = openflow.PortDeleted
	PortModified = openflow.PortModified
)

// eventsAhead is how many events wait to be taken.
const eventsAhead = 128

// events is a bounded channel whose last place is kept for Overflow. Only the reader sends.
type events struct {
	ch   chan Event
	lost bool // Overflow is the last event in ch
}

// send never waits. What is dropped while Overflow waits to be taken needs no mark of its
// own: it happened before the fresh read that Overflow asks for.
func (e *events) send(v Event) {
	if e.lost && len(e.ch) > 0 {
		return
	}
	e.lost = len(e.ch) == cap(e.ch)-1
	if e.lost {
		v = Overflow{}
	}
	e.ch <- v // never waits: there is a place, and only the reader sends
}
