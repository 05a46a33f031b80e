package datapath

import (
	"errors"
	"fmt"
	"io"
	"time"

	"sluice/datapath/openflow"
)

// read takes messages until the session ends. It is the only one that reads, and it waits
// for nobody but the peer (and, for a bounded time, for who asked for a long reply).
func (s *Switch) read() error {
	for {
		if err := s.awaitMessage(); err != nil {
			return err
		}
		h, err := s.header()
		if err != nil {
			return err
		}
		if err := judge(h); err != nil {
			return err
		}
		if err := s.handle(h); err != nil {
			return err
		}
	}
}

// header reads no further than the header, and leaves it in the buffer.
func (s *Switch) header() (openflow.Header, error) {
	b, err := s.in.Peek(openflow.HeaderLength)
	if err != nil {
		return openflow.Header{}, fmt.Errorf("read: %w", err)
	}
	return openflow.ParseHeader(b)
}

// judge refuses, after the hello, what no OpenFlow 1.3 switch sends.
func judge(h openflow.Header) error {
	if h.Version != openflow.Version {
		return fmt.Errorf("message of version %#x in a session of OpenFlow 1.3", h.Version)
	}
	switch h.Type {
	case openflow.TypeFeaturesRequest, openflow.TypeFlowMod, openflow.TypeMultipartRequest,
		openflow.TypeBarrierRequest, openflow.TypeRoleRequest:
		return fmt.Errorf("the peer sends requests (message type %d): it is no switch", h.Type)
	}
	return nil
}

// message reads a whole message into a buffer that the next one overwrites.
func (s *Switch) message(h openflow.Header) ([]byte, error) {
	if cap(s.scratch) < int(h.Length) {
		s.scratch = make([]byte, h.Length)
	}
	return s.readInto(s.scratch[:h.Length])
}

func (s *Switch) readInto(b []byte) ([]byte, error) {
	if err := s.allowRest(len(b)); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(s.in, b); err != nil {
		return nil, fmt.Errorf("read a message of %d bytes: %w", len(b), err)
	}
	return b, nil
}

// skip passes over a message.
func (s *Switch) skip(h openflow.Header) error {
	if err := s.allowRest(int(h.Length)); err != nil {
		return err
	}
	if _, err := s.in.Discard(int(h.Length)); err != nil {
		return fmt.Errorf("pass over a message of %d bytes: %w", h.Length, err)
	}
	return nil
}

// allowRest gives the rest of a message that has started one Timeout to come. During the
// handshake its own deadline stands.
func (s *Switch) allowRest(length int) error {
	if !s.known || s.in.Buffered() >= length {
		return nil
	}
	return s.conn.SetReadDeadline(time.Now().Add(s.o.Timeout))
}

// handle does what one message asks for. Only a malformed one is an error.
func (s *Switch) handle(h openflow.Header) error {
	switch h.Type {
	case openflow.TypeEchoRequest:
		return s.answerEcho(h)
	case openflow.TypeError:
		return s.handleError(h)
	case openflow.TypePortStatus:
		return s.handlePortStatus(h)
	case openflow.TypeFlowRemoved:
		return s.handleFlowRemoved(h)
	case openflow.TypeMultipartReply, openflow.TypeBarrierReply, openflow.TypeRoleReply, openflow.TypeExperimenter:
		return s.handleReply(h)
	default: // packet-ins, which were not asked for, among them
		return s.skip(h)
	}
}

func (s *Switch) answerEcho(h openflow.Header) error {
	message, err := s.message(h)
	if err != nil {
		return err
	}
	return s.reply(func(b []byte) []byte {
		return openflow.AppendEchoReply(b, h.XID, message[openflow.HeaderLength:])
	})
}

// reply sends a message without waiting.
func (s *Switch) reply(encode func(b []byte) []byte) error {
	return s.out.putReply(encode, func(b []byte) int { return writeNow(s.conn, b) })
}

// handleReply hands a reply to who asked for it; the rest of a reply that nobody awaits any
// more is passed over unread.
func (s *Switch) handleReply(h openflow.Header) error {
	x := s.find(h.XID)
	switch {
	case x == nil && h.Type == openflow.TypeExperimenter:
		return s.handleExperimenter(h)
	case h.Type == openflow.TypeMultipartReply && h.XID == 0:
		return s.handleFlowUpdates(h)
	case x == nil:
		return s.skip(h)
	}
	message, err := s.readInto(x.buffer(h.Length))
	if err != nil {
		return err
	}
	if role, _, err := openflow.DecodeRole(message); err == nil && role != RoleSlave {
		s.demoted = false
	}
	x.deliver(h.XID, message, s.o.Timeout)
	return nil
}

// handleExperimenter heeds a role status, and passes over what this program has no use for.
func (s *Switch) handleExperimenter(h openflow.Header) error {
	message, err := s.message(h)
	if err != nil {
		return err
	}
	kind, err := openflow.DecodeExperimenter(message)
	switch {
	case err != nil:
		return err
	case kind == openflow.ExperimenterMonitorPaused, kind == openflow.ExperimenterMonitorResumed:
		s.edited.tell()
		return nil
	case kind != openflow.ExperimenterRoleStatus:
		return nil
	}
	status, err := openflow.DecodeRoleStatus(message)
	if err == nil && status.Role == RoleSlave {
		s.demote()
	}
	return err
}

func (s *Switch) handleError(h openflow.Header) error {
	message, err := s.message(h)
	if err != nil {
		return err
	}
	refusal, err := openflow.DecodeError(message)
	if err != nil {
		return err
	}
	err = explain(refusal)
	if errors.Is(err, ErrDemoted) {
		s.demote()
	}
	if x := s.find(h.XID); x != nil {
		x.fail(h.XID, err)
		return nil
	}
	s.log.Debug("the switch refused what nobody awaits", "err", err)
	return nil
}

// demote tells once that the switch has another master.
func (s *Switch) demote() {
	if !s.demoted {
		s.demoted = true
		s.events.send(Demoted{})
	}
}

func (s *Switch) handlePortStatus(h openflow.Header) error {
	message, err := s.message(h)
	if err != nil {
		return err
	}
	status, err := openflow.DecodePortStatus(message)
	if err != nil {
		return err
	}
	s.events.send(PortEvent(status))
	return nil
}

func (s *Switch) handleFlowRemoved(h openflow.Header) error {
	message, err := s.message(h)
	if err != nil {
		return err
	}
	removed, err := openflow.DecodeFlowRemoved(message)
	if err != nil {
		return err
	}
	s.events.send(FlowRemoved(removed))
	return nil
}
