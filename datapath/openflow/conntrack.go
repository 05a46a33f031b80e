package openflow

import "net/netip"

// Nicira's message that makes a switch forget connections (NXT_CT_FLUSH, Open vSwitch 3.1), and its properties.
const (
	niciraCTFlush = 32
	ctFlushOrigin = 0 // the tuple of who opened the connection
	ctFlushReply  = 1 // the tuple of the answers
	ctFlushZone   = 2
	ctTupleSource = 0

	ctTupleDestination     = 1
	ctTupleDestinationPort = 3

	ctPropertyStart = 4 // bytes of type and length
)

// ExperimenterCTFlush is the type of the message that AppendCTFlush appends.
var ExperimenterCTFlush = ExperimenterType{niciraExperimenter, niciraCTFlush}

// CTFlush says which connections a switch is to forget: those of a conntrack zone that are all that is said besides.
type CTFlush struct {
	Zone    uint16
	Source  netip.Addr // who opened them; invalid: anybody
	Answers netip.Addr // who answers in them; invalid: anybody
	// To, Protocol and Port are where they were opened to; invalid: anywhere.
	To       netip.Addr
	Protocol uint8
	Port     uint16
}

// AppendCTFlush appends the message. A switch forgets before it answers the barrier that follows.
func AppendCTFlush(b []byte, xid uint32, c CTFlush) []byte {
	start := len(b)
	b = appendExperimenter(b, xid, ExperimenterCTFlush)
	b = append(b, c.Protocol, 0, 0, 0, 0, 0, 0, 0)
	b = appendCTTuple(b, ctFlushOrigin, c.Source, c.To, c.Port)
	b = appendCTTuple(b, ctFlushReply, c.Answers, netip.Addr{}, 0)
	b = be.AppendUint16(be.AppendUint16(b, ctFlushZone), 2*ctPropertyStart)
	b = append(be.AppendUint16(b, c.Zone), 0, 0)
	return EndMessage(b, start)
}

// appendCTTuple appends what is said of one direction of connections, if anything is.
func appendCTTuple(b []byte, direction uint16, source, destination netip.Addr, port uint16) []byte {
	if !source.IsValid() && !destination.IsValid() {
		return b
	}
	start := len(b)
	b = append(be.AppendUint16(be.AppendUint16(b, direction), 0), 0, 0, 0, 0)
	b = appendCTAddress(b, ctTupleSource, source)
	b = appendCTAddress(b, ctTupleDestination, destination)
	if port != 0 {
		b = be.AppendUint16(be.AppendUint16(b, ctTupleDestinationPort), ctPropertyStart+2)
		b = append(be.AppendUint16(b, port), 0, 0)
	}
	be.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

func appendCTAddress(b []byte, kind uint16, a netip.Addr) []byte {
	if !a.IsValid() {
		return b
	}
	bytes := a.As16()
	b = be.AppendUint16(be.AppendUint16(b, kind), ctPropertyStart+uint16(len(bytes)))
	return append(append(b, bytes[:]...), 0, 0, 0, 0)
}
