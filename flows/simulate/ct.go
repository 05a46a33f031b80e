package simulate

import of "sluice/datapath/openflow"

// ct runs the ct action: track, translate, and walk on in another table with a copy that
// sees the result. The packet itself does not see it (ovs-actions(7)).
func (r *run) ct(a of.CT, p *Packet, at *position, step *Step) error {
	zone := a.Zone
	if a.ZoneField != nil {
		zone = uint16(p.read(*a.ZoneField).Lo)
	}
	if !p.isIP() {
		return nil
	}
	if p.Uint(of.FieldIPFrag) != 0 {
		step.stop("ct waits for the other fragments: not sent on")
		return errStop
	}
	r.bridge.track(p, zone, a, step)
	r.exec(a, p)
	step.note("ct zone %d: %s", zone, stateText(p.track.state))
	if a.Table == of.TableAll {
		return nil
	}
	again := *p
	again.seen = min(again.depth, parsedTags)
	again.showTracking()
	next := at.copy()
	next.depth++
	return r.table(a.Table, &again, next)
}

// exec runs the actions on the connection: they write its mark and label.
func (r *run) exec(a of.CT, p *Packet) {
	c := p.track.conn
	if c == nil || !a.Commit {
		return
	}
	scratch := *p
	scratch.showTracking()
	for _, action := range a.Exec {
		scratch.apply(action)
	}
	c.mark, c.label = scratch.Get(of.FieldCTMark), scratch.Get(of.FieldCTLabel)
}

// track finds or makes the packet's connection, and translates it where asked.
func (b *Bridge) track(p *Packet, zone uint16, a of.CT, step *Step) {
	same := p.track.conn != nil && p.track.zone == zone && !a.Force
	if !same {
		b.identify(p, zone, a)
	}
	if p.track.state&stateNew != 0 && p.track.conn == nil && a.Commit {
		c, ok := b.create(zone, tupleOf(p), a.NAT)
		if !ok {
			step.note("ct found no free port to translate to: not translated")
		}
		p.track.conn = c
	}
	if a.NAT != nil {
		step.noting(p, p.translate, translated[:]...)
	}
}

// identify sets the packet's state in a zone afresh.
func (b *Bridge) identify(p *Packet, zone uint16, a of.CT) {
	p.track = tracking{zone: zone, state: stateTracked}
	if p.Quoted != (Tuple{}) {
		b.identifyError(p, zone)
		return
	}
	t := tupleOf(p)
	c, reply := b.find(zone, t)
	if c != nil && (c.closed && opens(p) || a.Force && a.Commit && reply) {
		b.remove(c)
		c = nil
	}
	switch {
	case p.isTCP() && malformed(p.Uint(of.FieldTCPFlags)):
		p.track.state |= stateInvalid
	case c != nil:
		p.track.conn, p.track.reply = c, reply
		p.track.state |= c.update(p, reply)
	case mayOpen(p):
		p.track.state |= stateNew
	default:
		p.track.state |= stateInvalid
	}
}

// identifyError relates an ICMP error to the connection that it reports about: it goes the
// way of an answer to the packet that it quotes, and to nobody but that packet's sender.
func (b *Bridge) identifyError(p *Packet, zone uint16) {
	c, reply := b.find(zone, p.Quoted.reverse())
	if c == nil || tupleOf(p).Dst != p.Quoted.Src {
		p.track.state |= stateInvalid
		return
	}
	p.track.conn, p.track.related, p.track.reply = c, true, reply
	p.track.state |= stateRelated
	if reply {
		p.track.state |= stateReply
	}
}

// update moves a connection on and returns the packet's state in it.
func (c *connection) update(p *Packet, reply bool) uint8 {
	flags := p.Uint(of.FieldTCPFlags)
	if p.isTCP() && flags&TCPRst != 0 {
		c.closed = true
	}
	if reply {
		c.answered = true
		return stateEstablished | stateReply
	}
	if c.answered || p.isTCP() && !opens(p) {
		return stateEstablished
	}
	return stateNew
}

// opens reports whether a segment asks for a new TCP connection.
func opens(p *Packet) bool {
	return p.isTCP() && p.Uint(of.FieldTCPFlags)&(TCPSyn|TCPAck) == TCPSyn
}

// malformed reports whether no sender means these flags of TCP.
func malformed(flags uint64) bool {
	const push, urgent = 0x08, 0x20
	switch {
	case flags&TCPSyn != 0 && flags&(TCPRst|TCPFin) != 0:
		return true
	case flags&TCPSyn == 0 && flags&(TCPAck|TCPRst) == 0:
		return true
	}
	return flags&TCPAck == 0 && flags&(TCPFin|push|urgent) != 0
}

// mayOpen reports whether a packet without a connection can begin one. Other protocols than
// TCP and ICMP can always: they are told apart by addresses, UDP by its ports besides.
func mayOpen(p *Packet) bool {
	switch {
	case p.isTCP():
		return p.Uint(of.FieldTCPFlags)&(TCPSyn|TCPAck) != TCPSyn|TCPAck
	case p.isICMP():
		return p.Uint(of.FieldICMPType) == icmpEcho
	case p.isICMPv6():
		return p.Uint(of.FieldICMPv6Type) == icmpv6Echo
	}
	return true
}

// translated are the fields that translation may write.
var translated = [...]of.Field{
	of.FieldIPSrc, of.FieldIPDst, of.FieldIPv6Src, of.FieldIPv6Dst,
	of.FieldTCPSrc, of.FieldTCPDst, of.FieldUDPSrc, of.FieldUDPDst,
}

// translate rewrites the packet as its connection says, once in a zone.
func (p *Packet) translate() {
	c := p.track.conn
	const done = stateSourceNAT | stateDestinationNAT
	if c == nil || !c.source && !c.destination || p.track.state&done != 0 {
		return
	}
	if c.source != p.track.reply {
		p.track.state |= stateSourceNAT
	} else {
		p.track.state |= stateDestinationNAT
	}
	if p.track.related {
		p.translateError(c)
		return
	}
	if p.track.reply {
		p.setTuple(c.orig.reverse())
	} else {
		p.setTuple(c.reply.reverse())
	}
}

// translateError rewrites an error's quoted packet and the one address of its own header
// that the connection translates.
func (p *Packet) translateError(c *connection) {
	t := tupleOf(p)
	switch {
	case p.track.reply && c.source:
		t.Dst = c.orig.Src
	case p.track.reply:
		t.Src = c.orig.Dst
	case c.source:
		t.Src = c.reply.Dst
	default:
		t.Dst = c.reply.Src
	}
	p.setTuple(t)
	if p.track.reply {
		p.Quoted = c.orig
	} else {
		p.Quoted = c.reply
	}
}
