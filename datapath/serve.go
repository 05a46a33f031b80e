package datapath

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sluice/datapath/openflow"
)

// Serve accepts switches until ctx ends or the listener fails, and returns when every
// session has ended. It closes the listener.
//
// After the handshake of a session connected runs, with a context that ends with the
// session, whereupon connected must return; the session ends when connected returns.
// Whatever goes wrong in a session, a panic of connected too, ends that session and is
// logged.
func Serve(ctx context.Context, l net.Listener, o Options, connected func(ctx context.Context, s *Switch)) error {
	o = o.withDefaults()
	strangers := newStrangers(o.Strangers, o.Crowded)
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(ctx, func() { _ = l.Close() })
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer cancel()
	for {
		conn, err := accept(ctx, l, o)
		switch {
		case err == nil: // also where ctx has ended: serve closes it
			sessions.Go(func() { serve(ctx, conn, o, strangers, connected) })
		case ctx.Err() != nil:
			return nil
		default:
			return fmt.Errorf("accept switches on %s: %w", l.Addr(), err)
		}
	}
}

// accept tries again, without end, what may pass, such as too many open files.
func accept(ctx context.Context, l net.Listener, o Options) (net.Conn, error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 10*time.Millisecond, time.Second
	attempt := func() (net.Conn, error) {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, backoff.Permanent(err)
		}
		if err != nil {
			o.Log.Warn("cannot accept a switch, trying again", "err", err)
		}
		return conn, err
	}
	return backoff.Retry(ctx, attempt, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0))
}

// serve runs one session to its end.
func serve(ctx context.Context, conn net.Conn, o Options, strangers *strangers, connected func(ctx context.Context, s *Switch)) {
	if o.TLS != nil {
		conn = tls.Server(conn, o.TLS)
	}
	s := newSwitch(ctx, conn, o)
	unhook := context.AfterFunc(ctx, func() { s.Close(ErrClosed) })
	defer unhook()
	s.leave = strangers.enter(source(conn.RemoteAddr()), s.Close)
	defer s.leave()
	var loops sync.WaitGroup
	s.guard("handshake", s.handshake)
	if s.Err() == nil {
		s.log.Log(ctx, strangers.level(s, slog.LevelDebug), "switch connected")
		loops.Go(func() { s.guard("writer", s.write) })
		loops.Go(func() {
			defer close(s.events.ch)
			s.guard("reader", s.read)
		})
		s.guard("session", func() error {
			connected(s.life, s)
			return ErrClosed
		})
	}
	loops.Wait()
	if err := s.Err(); errors.Is(err, ErrClosed) {
		s.log.Log(ctx, strangers.level(s, slog.LevelDebug), "session closed")
	} else {
		s.log.Log(ctx, strangers.level(s, slog.LevelWarn), "session ended", "err", err)
	}
}

// guard runs a part of the session. The end of the part, or its panic, ends the session.
func (s *Switch) guard(part string, run func() error) {
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("panic in a session", "part", part, "err", v, "stack", string(debug.Stack()))
			s.Close(fmt.Errorf("panic in the %s: %v", part, v))
		}
	}()
	if err := run(); err != nil {
		s.Close(err)
	}
}

func (s *Switch) write() error { return s.out.writeTo(s.conn, s.o.Timeout, s.life.Done()) }

// unasked is what a switch shall say unasked. Packet-ins are not among it: each would be
// work for nothing, and Open vSwitch holds replies back while they are not read.
var unasked = openflow.AsyncConfig{PortStatus: 7, FlowRemoved: 15, RoleStatus: 7}

// The handshake's limits: a peer that has not said who it is gets no more memory than this.
const (
	helloLimit     = 1 << 10
	handshakeLimit = 4 << 10
)

// handshake exchanges hellos and asks who the switch is (OpenFlow 1.3, 6.3.1), all within
// one Timeout. Nothing else of the session runs yet.
func (s *Switch) handshake() error {
	if err := s.conn.SetDeadline(time.Now().Add(s.o.Timeout)); err != nil {
		return err
	}
	if _, err := s.conn.Write(openflow.AppendHello(nil, 0)); err != nil {
		return fmt.Errorf("send hello: %w", err)
	}
	if err := s.awaitHello(); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	b := openflow.AppendFeaturesRequest(nil, 0)
	b = openflow.AppendAsyncConfig(b, 0, unasked)
	if _, err := s.conn.Write(b); err != nil {
		return fmt.Errorf("send features request: %w", err)
	}
	f, err := s.awaitFeatures()
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	s.introduce(f.DatapathID)
	s.log = s.log.With("dpid", fmt.Sprintf("%016x", s.id))
	return s.conn.SetDeadline(time.Time{})
}

// introduce keeps who the switch is. Another session, for which this one makes room, may close it now.
func (s *Switch) introduce(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id, s.known = id, true
}

func (s *Switch) awaitHello() error {
	h, err := s.header()
	if err != nil {
		return err
	}
	if h.Type != openflow.TypeHello || h.Length > helloLimit {
		return fmt.Errorf("want a hello, have a message of type %d and %d bytes", h.Type, h.Length)
	}
	message, err := s.message(h)
	if err != nil {
		return err
	}
	hello, err := openflow.DecodeHello(message)
	if err == nil && !hello.Speaks(openflow.Version) {
		incompatible := &openflow.Error{Type: 0, Code: 0}                     // hello failed, incompatible
		_, _ = s.conn.Write(openflow.AppendError(nil, incompatible, message)) // it ends with another error anyway
		err = fmt.Errorf("the peer offers versions up to %#x, bitmap %#x; want 1.3 (0x4)", hello.Version, hello.Versions)
	}
	return err
}

// awaitFeatures passes over what a switch says unasked meanwhile: nobody has read its state
// yet, so nothing is lost.
func (s *Switch) awaitFeatures() (openflow.Features, error) {
	for {
		message, err := s.handshakeMessage()
		switch {
		case err != nil:
			return openflow.Features{}, err
		case message == nil:
			continue
		case openflow.Type(message[1]) == openflow.TypeFeaturesReply:
			return openflow.DecodeFeatures(message)
		}
		h, _ := openflow.ParseHeader(message) // it was parsed before
		reply := openflow.AppendEchoReply(nil, h.XID, message[openflow.HeaderLength:])
		if _, err := s.conn.Write(reply); err != nil {
			return openflow.Features{}, err
		}
	}
}

// handshakeMessage is a features reply, an echo request, or nil for one that was skipped.
func (s *Switch) handshakeMessage() ([]byte, error) {
	h, err := s.header()
	if err == nil {
		err = judge(h)
	}
	if err != nil {
		return nil, err
	}
	if h.Type != openflow.TypeFeaturesReply && h.Type != openflow.TypeEchoRequest {
		return nil, s.skip(h)
	}
	if h.Length > handshakeLimit {
		return nil, fmt.Errorf("message of type %d has %d bytes during the handshake", h.Type, h.Length)
	}
	return s.message(h)
}
