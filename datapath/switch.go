package datapath

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the same for every session of a listener. The zero value of each field but
// Log and TLS stands for its default.
type Options struct {
	Log *slog.Logger
	// EchoInterval is how long a switch may be silent before it is asked for an echo; 6 s by
	// default: longer than the 5 s after which its own probe comes, as ovsdb.InactivityProbe
	// has it, so that an idle session carries one probe and not two.
	EchoInterval time.Duration
	// AckTime is how long after that the kernel of a switch's machine may acknowledge nothing; 4 s
	// by default. So a session that was cut ends after 10 s.
	AckTime time.Duration
	// Patience is how long a switch may say nothing, or not answer one request, while its machine
	// acknowledges what is sent: it may be busy; 30 s by default.
	Patience time.Duration
	// Timeout bounds the handshake, the rest of a message whose start has come, the taking of a
	// reply by who asked for it, and the writing of 32 KiB; 10 s by default.
	Timeout time.Duration
	// QueueBytes bounds what waits to be written to one switch; 256 KiB by default.
	QueueBytes int
	// Strangers bounds the connections that were not Recognized yet, each of some 30 KiB; 2048 by
	// default. Where there are more, the oldest ends of the address that has most.
	Strangers int
	// Crowded is told of each connection that ended so; nil: nobody is.
	Crowded func()
	// TLS is the configuration of the server side; nil: plain TCP.
	TLS *tls.Config
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.EchoInterval <= 0 {
		o.EchoInterval = 6 * time.Second
	}
	if o.AckTime <= 0 {
		o.AckTime = 4 * time.Second
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = 256 << 10
	}
	if o.Strangers <= 0 {
		o.Strangers = 2048
	}
	if o.Crowded == nil {
		o.Crowded = func() {}
	}
	return o
}

// The errors that a caller tells apart.
var (
	// ErrStale: a master with a later generation exists.
	ErrStale = errors.New("stale generation: a later master exists")
	// ErrDemoted: this session may not write, since another controller is master.
	ErrDemoted = errors.New("demoted: another controller is master")
	// ErrClosed: the session was ended from this side.
	ErrClosed = errors.New("session closed")
)

// Switch is a session with one switch. Its methods may be called concurrently.
type Switch struct {
	o      Options
	log    *slog.Logger
	conn   net.Conn
	in     *bufio.Reader
	out    *queue
	events events
	edited edits
	life   context.Context // ends with the session, for the reason err
	end    context.CancelCauseFunc

	id         uint64
	known      bool        // the handshake is done
	recognized atomic.Bool // it is one of ours
	leave      func()      // the strangers

	// The reader's own.
	scratch []byte
	demoted bool // Demoted was sent, and the switch has given no other role since

	watch    sync.Once
	watchErr error

	mu        sync.Mutex
	err       error // why the session ended
	exchanges []*exchange
	nextXID   uint32
	bundles   uint32 // ids given out
}

// readAhead is the session's read buffer, in bytes.
const readAhead = 16 << 10

func newSwitch(ctx context.Context, conn net.Conn, o Options) *Switch {
	s := &Switch{
		o: o, log: o.Log.With("remote", conn.RemoteAddr().String()),
		conn: conn, in: bufio.NewReaderSize(conn, readAhead), out: newQueue(o.QueueBytes),
		events: events{ch: make(chan Event, eventsAhead)}, edited: make(edits, 1), nextXID: 1,
		leave: func() {},
	}
	s.life, s.end = context.WithCancelCause(context.WithoutCancel(ctx))
	return s
}

// DatapathID is the switch's 64-bit id.
func (s *Switch) DatapathID() uint64 { return s.id }

// Recognized says that the switch is one of ours: it makes room for no other any more.
func (s *Switch) Recognized() {
	s.recognized.Store(true)
	s.leave()
}

// RemoteAddr is the address that the switch dialled from.
func (s *Switch) RemoteAddr() string { return s.conn.RemoteAddr().String() }

// Certificate is what the switch showed when it dialled in, or nil where the session is plain TCP.
// Options.TLS says who is believed.
func (s *Switch) Certificate() *x509.Certificate {
	t, ok := s.conn.(*tls.Conn)
	if !ok {
		return nil
	}
	if chain := t.ConnectionState().PeerCertificates; len(chain) > 0 {
		return chain[0]
	}
	return nil
}

// Events is what the switch says unasked. It is closed when the session ends.
func (s *Switch) Events() <-chan Event { return s.events.ch }

// Err is why the session ended, or nil while it lives.
func (s *Switch) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends the session; the first reason stays. Calls under way return it.
func (s *Switch) Close(reason error) {
	if reason == nil {
		reason = ErrClosed
	}
	if reason = s.setErr(reason); reason == nil {
		return
	}
	s.out.close(reason)
	s.end(reason)
	if t, ok := s.conn.(*tls.Conn); ok {
		_ = t.NetConn().Close() // its own Close would wait for the peer to take a farewell
	} else {
		_ = s.conn.Close()
	}
}

// setErr is nil when the session has ended before.
func (s *Switch) setErr(reason error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil
	}
	s.err = reason
	if s.known {
		s.err = fmt.Errorf("switch %016x: %w", s.id, reason)
	}
	return s.err
}
