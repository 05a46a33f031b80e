package fake

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sluice/datapath/openflow"
)

// errClosed says that the controller closed the connection between two messages.
var errClosed = errors.New("closed by the controller")

// session is one connection with a controller.
type session struct {
	s    *Switch
	conn net.Conn
	in   *bufio.Reader

	listens atomic.Bool         // it has said what it wants to be told unasked
	role    openflow.Role       // guarded by the switch's lock
	watches bool                // changes to flows; guarded by the switch's lock
	bundles map[uint32][][]byte // the flow mods that wait for their bundle's commit
	changed bool                // flows, since the last barrier
	scratch []byte

	mu  sync.Mutex // of the sending side: the switch speaks unasked too
	out *bufio.Writer
}

const bufferBytes = 4 << 10

func newSession(s *Switch, conn net.Conn) *session {
	return &session{
		s: s, conn: conn, in: bufio.NewReaderSize(conn, bufferBytes), out: bufio.NewWriterSize(conn, bufferBytes),
		role: openflow.RoleEqual, bundles: map[uint32][][]byte{},
	}
}

// run answers messages until the connection ends.
func (c *session) run() error {
	c.send(func(b []byte) []byte { return openflow.AppendHello(b, 1) })
	for {
		if c.in.Buffered() == 0 {
			if err := c.flush(); err != nil {
				return err
			}
		}
		message, err := c.next()
		if err != nil {
			return err
		}
		if err := c.handle(message); err != nil {
			return err
		}
	}
}

// next reads a message into a buffer that the next one overwrites.
func (c *session) next() ([]byte, error) {
	head, err := c.await()
	if err != nil {
		return nil, err
	}
	h, err := openflow.ParseHeader(head)
	if err != nil {
		return nil, err
	}
	if h.Version != openflow.Version && h.Type != openflow.TypeHello {
		return nil, fmt.Errorf("message of version %d", h.Version)
	}
	if cap(c.scratch) < int(h.Length) || cap(c.scratch) > bufferBytes && h.Length < bufferBytes {
		c.scratch = make([]byte, h.Length)
	}
	c.scratch = c.scratch[:h.Length]
	_, err = io.ReadFull(c.in, c.scratch)
	return c.scratch, err
}

// await waits for a header. A silent controller is asked for an echo, and given up if it does
// not answer either.
func (c *session) await() ([]byte, error) {
	for asked := false; ; asked = true {
		if c.s.Probe > 0 && c.in.Buffered() == 0 {
			c.conn.SetReadDeadline(time.Now().Add(c.s.Probe))
		}
		head, err := c.in.Peek(openflow.HeaderLength)
		switch {
		case err == nil:
			return head, nil
		case errors.Is(err, io.EOF) && len(head) == 0:
			return nil, errClosed
		case asked || !errors.Is(err, os.ErrDeadlineExceeded):
			return nil, err
		}
		c.send(func(b []byte) []byte { return openflow.AppendEchoRequest(b, 0, nil) })
		if err := c.flush(); err != nil {
			return nil, err
		}
	}
}

// send puts a message into the output buffer. What cannot be written shows at the next flush.
func (c *session) send(encode func(b []byte) []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.Write(encode(c.out.AvailableBuffer()))
}

func (c *session) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Flush()
}

// refuse answers a message with an error.
func (c *session) refuse(e *openflow.Error, message []byte) {
	c.s.mu.Lock()
	c.s.counts.Refused++
	c.s.mu.Unlock()
	c.send(func(b []byte) []byte { return openflow.AppendError(b, e, message) })
}

// handle answers one message. Only bytes that cannot be framed are an error.
func (c *session) handle(message []byte) error {
	h, err := openflow.ParseHeader(message)
	if err != nil {
		return err
	}
	switch h.Type {
	case openflow.TypeHello, openflow.TypeEchoReply, openflow.TypeError:
	case openflow.TypeEchoRequest:
		c.send(func(b []byte) []byte {
			return openflow.AppendEchoReply(b, h.XID, message[openflow.HeaderLength:])
		})
	case openflow.TypeFeaturesRequest:
		c.send(func(b []byte) []byte {
			return openflow.AppendFeaturesReply(b, h.XID, openflow.Features{DatapathID: c.s.id, Tables: tables})
		})
	case openflow.TypeBarrierRequest:
		c.barrier(h.XID)
	case openflow.TypeRoleRequest:
		c.claim(h.XID, message)
	case openflow.TypeMeterMod:
		c.meterMod(message)
	case openflow.TypeFlowMod:
		c.flowMod(message)
	case openflow.TypeMultipartRequest:
		c.multipart(h.XID, message)
	case openflow.TypeExperimenter:
		c.experimenter(h.XID, message)
	default:
		c.refuse(errBadType, message)
	}
	return nil
}

func (c *session) barrier(xid uint32) {
	if c.changed {
		c.changed = false
		c.s.mu.Lock()
		c.s.counts.LastBarrier = time.Now()
		c.s.mu.Unlock()
	}
	c.send(func(b []byte) []byte { return openflow.AppendBarrierReply(b, xid) })
}

// mayWrite answers a slave that wants to write, and reports whether it is none.
func (c *session) mayWrite(message []byte) bool {
	c.s.mu.Lock()
	slave := c.role == openflow.RoleSlave
	c.s.mu.Unlock()
	if slave {
		c.refuse(errNotMaster, message)
	}
	return !slave
}

func (c *session) flowMod(message []byte) {
	if !c.mayWrite(message) {
		return
	}
	m, refusal := readMod(message)
	if refusal == nil {
		_, refusal = c.s.change(c, []mod{m})
	}
	if refusal != nil {
		c.refuse(refusal, message)
		return
	}
	c.changed = true
}

// change makes all of a controller's changes or, at the first that is refused, none and says
// which that was.
func (s *Switch) change(by *session, mods []mod) (at int, refusal *openflow.Error) {
	s.mu.Lock()
	counts := s.counts
	for at = range mods {
		if refusal = s.flows.apply(&mods[at]); refusal != nil {
			s.flows.revert()
			s.counts = counts
			s.mu.Unlock()
			return at, refusal
		}
		switch mods[at].Command {
		case openflow.Add:
			s.counts.Adds++
		case openflow.Modify, openflow.ModifyStrict:
			s.counts.Modifies++
		default:
			s.counts.Deletes++
		}
	}
	watchers := s.watchers()
	var updates []openflow.FlowUpdate
	if len(watchers) > 0 {
		updates = s.flows.updates()
	}
	removed := s.flows.keep()
	s.mu.Unlock()
	tellUpdates(watchers, by, updates)
	for i := range removed {
		s.tell(func(b []byte) []byte { return openflow.AppendFlowRemoved(b, 0, &removed[i]) })
	}
	return 0, nil
}
