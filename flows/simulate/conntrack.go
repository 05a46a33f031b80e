package simulate

import (
	"fmt"
	"net/netip"
	"strings"

	of "sluice/datapath/openflow"
)

// Tuple is one direction of a connection. An echo's ports are its identifier, and Type is
// the message's.
type Tuple struct {
	V6               bool
	Proto, Type      uint8
	Src, Dst         of.Value
	SrcPort, DstPort uint16
}

func (t Tuple) String() string {
	return fmt.Sprintf("proto=%d,%s:%d->%s:%d", t.Proto, t.addr(t.Src), t.SrcPort, t.addr(t.Dst), t.DstPort)
}

func (t Tuple) addr(v of.Value) netip.Addr { return address(v, t.V6) }

// reverse is the tuple of an answer.
func (t Tuple) reverse() Tuple {
	t.Src, t.Dst = t.Dst, t.Src
	t.SrcPort, t.DstPort = t.DstPort, t.SrcPort
	if answer, ok := echoAnswers[[2]uint8{t.Proto, t.Type}]; ok {
		t.Type = answer
	}
	return t
}

// echoAnswers pairs requests with replies, both ways.
var echoAnswers = map[[2]uint8]uint8{
	{protoICMP, icmpEcho}:          icmpEchoReply,
	{protoICMP, icmpEchoReply}:     icmpEcho,
	{protoICMPv6, icmpv6Echo}:      icmpv6EchoReply,
	{protoICMPv6, icmpv6EchoReply}: icmpv6Echo,
}

// tupleOf reads a packet's own tuple.
func tupleOf(p *Packet) Tuple {
	t := Tuple{Proto: uint8(p.Uint(of.FieldIPProto)), Src: p.Get(of.FieldIPSrc), Dst: p.Get(of.FieldIPDst)}
	if p.isIPv6() {
		t.V6, t.Src, t.Dst = true, p.Get(of.FieldIPv6Src), p.Get(of.FieldIPv6Dst)
	}
	switch t.Proto {
	case protoTCP:
		t.SrcPort, t.DstPort = uint16(p.Uint(of.FieldTCPSrc)), uint16(p.Uint(of.FieldTCPDst))
	case protoUDP:
		t.SrcPort, t.DstPort = uint16(p.Uint(of.FieldUDPSrc)), uint16(p.Uint(of.FieldUDPDst))
	case protoICMP:
		t.SrcPort, t.DstPort, t.Type = p.Echo, p.Echo, uint8(p.Uint(of.FieldICMPType))
	case protoICMPv6:
		t.SrcPort, t.DstPort, t.Type = p.Echo, p.Echo, uint8(p.Uint(of.FieldICMPv6Type))
	}
	return t
}

// setTuple writes addresses and ports back into a packet.
func (p *Packet) setTuple(t Tuple) {
	src, dst := of.FieldIPSrc, of.FieldIPDst
	if t.V6 {
		src, dst = of.FieldIPv6Src, of.FieldIPv6Dst
	}
	p.Set(src, t.Src)
	p.Set(dst, t.Dst)
	switch t.Proto {
	case protoTCP:
		p.SetUint(of.FieldTCPSrc, uint64(t.SrcPort))
		p.SetUint(of.FieldTCPDst, uint64(t.DstPort))
	case protoUDP:
		p.SetUint(of.FieldUDPSrc, uint64(t.SrcPort))
		p.SetUint(of.FieldUDPDst, uint64(t.DstPort))
	}
}

// Bits of ct_state (ovs-fields(7)).
const (
	stateNew = 1 << iota
	stateEstablished
	stateRelated
	stateReply
	stateInvalid
	stateTracked
	stateSourceNAT
	stateDestinationNAT
)

func stateText(state uint8) string {
	var b strings.Builder
	for i, name := range []string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"} {
		if state&(1<<i) != 0 {
			b.WriteString("+" + name)
		}
	}
	return b.String()
}

// connection is an entry of a zone.
type connection struct {
	zone uint16
	// orig is the first packet as it came; reply is an answer to it as it will come.
	orig, reply         Tuple
	source, destination bool // translated
	answered            bool
	closed              bool
	mark, label         of.Value
}

type connectionKey struct {
	zone  uint16
	tuple Tuple
}

// tracking is what the connection tracker knows of a packet, whether or not the tables
// may see it.
type tracking struct {
	conn    *connection // nil: none, or not committed yet
	zone    uint16
	state   uint8
	reply   bool // against conn's first packet
	related bool // an error about conn
}

func (p *Packet) clearTracking() {
	p.track = tracking{}
	p.showTracking()
}

// showTracking lets the tables see the connection state.
func (p *Packet) showTracking() {
	p.SetUint(of.FieldCTState, uint64(p.track.state))
	p.SetUint(of.FieldCTZone, uint64(p.track.zone))
	var mark, label of.Value
	if c := p.track.conn; c != nil {
		mark, label = c.mark, c.label
	}
	p.Set(of.FieldCTMark, mark)
	p.Set(of.FieldCTLabel, label)
}

// find looks a tuple up in a zone and tells which way it goes.
func (b *Bridge) find(zone uint16, t Tuple) (c *connection, reply bool) {
	c = b.connections[connectionKey{zone, t}]
	return c, c != nil && t != c.orig
}

// create enters a connection and returns false where no free tuple is left to translate
// it to: an echo has no port that could be chosen anew.
func (b *Bridge) create(zone uint16, t Tuple, nat *of.NAT) (*connection, bool) {
	c := &connection{zone: zone, orig: t, reply: t.reverse()}
	if nat != nil {
		c.source, c.destination = nat.Source, nat.Destination
	}
	switch {
	case c.source:
		c.reply.Dst = nat.MinAddress
	case c.destination:
		c.reply.Src = nat.MinAddress
	}
	if !b.choosePort(c, nat) {
		return nil, false
	}
	b.connections[connectionKey{zone, c.orig}] = c
	b.connections[connectionKey{zone, c.reply}] = c
	return c, true
}

// choosePort settles the translated ports: those asked for, else the packet's own, and
// the next free source port where that connection exists already.
func (b *Bridge) choosePort(c *connection, nat *of.NAT) bool {
	hasPort := c.orig.Proto == protoTCP || c.orig.Proto == protoUDP
	switch {
	case hasPort && c.destination && nat.MinPort != 0:
		c.reply.SrcPort = nat.MinPort
	case hasPort && c.source && nat.MinPort != 0:
		c.reply.DstPort = nat.MinPort
		return b.free(c)
	}
	if b.free(c) || !c.source && !c.destination {
		return true
	}
	low, high := portRange(c.reply.DstPort)
	for range int(high-low) + 1 {
		if !hasPort || b.free(c) {
			break
		}
		if c.reply.DstPort++; c.reply.DstPort > high || c.reply.DstPort < low {
			c.reply.DstPort = low
		}
	}
	return b.free(c)
}

func (b *Bridge) free(c *connection) bool {
	return b.connections[connectionKey{c.zone, c.reply}] == nil
}

// portRange is where a source port may move to: low ports stay low.
func portRange(port uint16) (low, high uint16) {
	switch {
	case port < 512:
		return 1, 511
	case port < 1024:
		return 600, 1023
	}
	return 1024, 65535
}

func (b *Bridge) remove(c *connection) {
	delete(b.connections, connectionKey{c.zone, c.orig})
	delete(b.connections, connectionKey{c.zone, c.reply})
}
