package datapath_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sluice/datapath"
	"sluice/datapath/openflow"
)

// peer is the far end of a session, played by hand: what a switch, or something worse, says.
type peer struct {
	net.Conn
	t *testing.T
}

// brisk are options under which a test need not wait long for a time-out.
func brisk(t *testing.T) datapath.Options {
	return datapath.Options{Log: testLog(t), EchoInterval: 50 * time.Millisecond, AckTime: 50 * time.Millisecond, Patience: 300 * time.Millisecond, Timeout: 300 * time.Millisecond}
}

// patient are options under which nothing times out; without t nothing is logged either.
func patient(t *testing.T) datapath.Options {
	o := datapath.Options{EchoInterval: patience, Patience: patience, Timeout: patience}
	if t != nil {
		o.Log = testLog(t)
	}
	return o
}

// listen serves on loopback and gives a function that dials it.
func listen(t *testing.T, o datapath.Options) (*controller, func() *peer) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := serve(t, l, o)
	return c, func() *peer {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(patience))
		return &peer{conn, t}
	}
}

// session is a peer after its handshake, and our end.
func session(t *testing.T, o datapath.Options) (*peer, *datapath.Switch) {
	t.Helper()
	c, dial := listen(t, o)
	p := dial()
	p.handshake(0xa1)
	return p, c.next(t)
}

func (p *peer) handshake(id uint64) {
	p.t.Helper()
	p.expect(openflow.TypeHello)
	p.send(openflow.AppendHello(nil, 1))
	request := p.expect(openflow.TypeFeaturesRequest)
	p.expect(openflow.TypeExperimenter) // what it shall say unasked
	p.send(openflow.AppendFeaturesReply(nil, xid(request), openflow.Features{DatapathID: id}))
}

func xid(message []byte) uint32 {
	h, _ := openflow.ParseHeader(message)
	return h.XID
}

func (p *peer) send(message []byte) {
	p.t.Helper()
	if _, err := p.Write(message); err != nil {
		p.t.Fatalf("peer: %v", err)
	}
}

func (p *peer) receive() ([]byte, error) {
	b := make([]byte, openflow.HeaderLength)
	if _, err := io.ReadFull(p, b); err != nil {
		return nil, err
	}
	h, err := openflow.ParseHeader(b)
	if err != nil {
		return nil, err
	}
	b = append(b, make([]byte, int(h.Length)-len(b))...)
	_, err = io.ReadFull(p, b[openflow.HeaderLength:])
	return b, err
}

// expect reads the next message, which must be of that type.
func (p *peer) expect(want openflow.Type) []byte {
	p.t.Helper()
	b, err := p.receive()
	if err != nil {
		p.t.Fatalf("peer waits for a message of type %d: %v", want, err)
	}
	if got := openflow.Type(b[1]); got != want {
		p.t.Fatalf("peer has a message of type %d, wants %d", got, want)
	}
	return b
}

// expectClosed reads until our side closes the connection.
func (p *peer) expectClosed() {
	p.t.Helper()
	if _, err := io.Copy(io.Discard, p); err != nil && strings.Contains(err.Error(), "timeout") {
		p.t.Fatal("the session goes on")
	}
}

// ended waits for the end of a session, and wants a reason that contains text.
func ended(t *testing.T, s *datapath.Switch, text string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case _, ok := <-s.Events():
			if ok {
				continue
			}
			if err := s.Err(); err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("the session ended with %v, want %q", err, text)
			}
			return
		case <-timeout:
			t.Fatalf("the session goes on, want %q", text)
		}
	}
}

// Whoever does not say who it is, and what it speaks, is sent away.
func TestHandshakeRefuses(t *testing.T) {
	hello := openflow.AppendHello(nil, 1)
	for _, c := range []struct {
		name string
		says []byte
	}{
		{"silence", nil},
		{"half a header", hello[:5]},
		{"half a hello", hello[:12]},
		{"no hello first", openflow.AppendBarrierReply(nil, 1)},
		{"a header of seven bytes", []byte{4, 0, 0, 7, 0, 0, 0, 1}},
		{"a hello of 64 KiB", append([]byte{4, 0, 0xff, 0xff, 0, 0, 0, 1}, make([]byte, 0xffff-8)...)},
		{"a hello and silence", hello},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
		{"features of another version", append(hello, 1, 6, 0, 8, 0, 0, 0, 1)},
		{"features cut short", append(hello, 4, 6, 0, 8, 0, 0, 0, 0)},
		{"a request", append(hello, 4, 5, 0, 8, 0, 0, 0, 1)},
		{"a long echo request", append(append([]byte(nil), hello...), openflow.AppendEchoRequest(nil, 1, make([]byte, 8<<10))...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			sessions, dial := listen(t, brisk(t))
			p := dial()
			p.Write(c.says) // our side may have closed already
			p.expectClosed()
			if len(sessions.sessions) != 0 {
				t.Error("it became a session")
			}
		})
	}
}

func TestHelloFailed(t *testing.T) {
	for name, hello := range map[string][]byte{
		"OpenFlow 1.0 alone":      {1, 0, 0, 8, 0, 0, 0, 9},
		"1.4 by the bitmap alone": {5, 0, 0, 16, 0, 0, 0, 9, 0, 1, 0, 8, 0, 0, 0, 1 << 5},
	} {
		t.Run(name, func(t *testing.T) {
			_, dial := listen(t, patient(t))
			p := dial()
			p.send(hello)
			p.expect(openflow.TypeHello)
			e, err := openflow.DecodeError(p.expect(openflow.TypeError))
			if err != nil || e.Type != 0 || e.Code != 0 {
				t.Errorf("answer %v, %v, want hello failed, incompatible", e, err)
			}
			p.expectClosed()
		})
	}
}

// What ends a session that was fine until then.
func TestSessionEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		says []byte
		want string
	}{
		{"short header", []byte{4, 2, 0, 7, 0, 0, 0, 1}, "malformed"},
		{"another version", []byte{1, 2, 0, 8, 0, 0, 0, 1}, "version"},
		{"a request", openflow.AppendBarrierRequest(nil, 1), "it is no switch"},
		{"an error without a code", []byte{4, 1, 0, 8, 0, 0, 0, 1}, "malformed"},
		{"a port status cut short", []byte{4, 12, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, "malformed"},
		{"flow removed cut short", []byte{4, 11, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, "malformed"},
		{"an experimenter without a kind", []byte{4, 4, 0, 8, 0, 0, 0, 0}, "malformed"},
		{"half a message", []byte{4, 12, 0, 80, 0, 0, 0, 1, 0}, "read a message"},
		{"half a packet-in", []byte{4, 10, 0, 80, 0, 0, 0, 1, 0}, "pass over a message"},
		{"half a header", []byte{4, 12, 0}, "echo"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, s := session(t, brisk(t))
			p.send(c.says)
			ended(t, s, c.want)
			p.expectClosed()
		})
	}
}

// However many connect and never say who they are, or that nobody recognizes, a listener keeps so
// many; one that was recognized stays, and the next one gets in.
func TestStrangersAreBounded(t *testing.T) {
	crowded := make(chan struct{}, 100)
	o := patient(t)
	o.Strangers, o.Crowded = 3, func() { crowded <- struct{}{} }
	c, dial := listen(t, o)
	ours := dial()
	ours.handshake(0xa1)
	known := c.next(t)
	known.Recognized()
	known.Recognized() // does no harm
	unknown := dial()
	unknown.handshake(0xa2)
	first := c.next(t)
	silent := dial()
	silent.expect(openflow.TypeHello) // it is among the strangers
	dial().expect(openflow.TypeHello)
	last := dial()
	last.handshake(0xa3)
	c.next(t).Recognized()
	ended(t, first, "made room for another")
	unknown.expectClosed()
	dial().expect(openflow.TypeHello) // takes the place of the one that was recognized
	another := dial()
	another.expect(openflow.TypeHello)
	silent.expectClosed()
	if len(crowded) != 2 || known.Err() != nil {
		t.Errorf("%d made room, and the one that was recognized ended with %v", len(crowded), known.Err())
	}
}

// A full queue holds a request back until its context ends, and no longer.
func TestBackpressure(t *testing.T) {
	o := patient(t)
	o.QueueBytes = 1 << 10
	_, s := session(t, o) // the peer reads no further
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	go func() {
		mods := make([]datapath.Mod, 200_000) // more than the kernel's buffers take
		errs <- s.Commit(ctx, &datapath.Bundle{Mods: mods})
	}()
	select {
	case err := <-errs:
		t.Fatalf("nobody read, and Commit says %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Errorf("Commit says %v, want that its context ended", err)
	}
	if s.Err() != nil {
		t.Errorf("the session ended: %v", s.Err())
	}
}

// Events that nobody takes become one Overflow, and the session answers on.
func TestEventsOverflow(t *testing.T) {
	p, s := session(t, patient(t))
	status := openflow.PortStatus{Reason: openflow.PortAdded, Port: openflow.Port{Number: 1, Name: "sl-a"}}
	for range 1000 {
		p.send(openflow.AppendPortStatus(nil, 0, status))
	}
	go func() {
		request := p.expect(openflow.TypeMultipartRequest)
		p.send(openflow.AppendPortDescReply(nil, xid(request), []openflow.Port{status.Port}, false))
	}()
	if ports, err := s.Ports(deadline(t)); err != nil || len(ports) != 1 { // all 1000 were read before
		t.Fatalf("ports %v, %v", ports, err)
	}
	taken := 0
	for {
		if _, overflow := nextEvent(t, s).(datapath.Overflow); overflow {
			break
		}
		taken++
	}
	if taken == 0 || taken >= 1000 || len(s.Events()) != 0 {
		t.Errorf("%d events before Overflow, %d after", taken, len(s.Events()))
	}
	p.send(openflow.AppendPortStatus(nil, 0, status))
	if _, ok := nextEvent(t, s).(datapath.PortEvent); !ok {
		t.Error("no event after Overflow was taken")
	}
}

// A switch may read no further request until its replies are taken, as Open vSwitch does: the
// replies must be taken then although requests wait to be sent.
func TestRequestsAndRepliesDoNotWaitForEachOther(t *testing.T) {
	ours, theirs := net.Pipe() // which keeps nothing: what is not read is not written
	o := patient(t)
	o.QueueBytes = 1
	c := serve(t, &lastConn{Conn: ours, closed: make(chan struct{})}, o)
	p := &peer{theirs, t}
	p.handshake(1)
	s := c.next(t)
	const cookies = 100
	go func() {
		defer theirs.Close()
		for range cookies {
			request := p.expect(openflow.TypeMultipartRequest)
			for part := range 2 * 8 { // more than wait for the caller
				p.send(openflow.EndMessage(openflow.AppendFlowStatsReply(nil, xid(request), part < 15), 0))
			}
		}
		p.receive() // until our side is done
	}()
	check(t, "flows", []string{}, dump(deadline(t), t, s, make([]uint64, cookies)))
}

// A reply that cannot be read ends the session, and the call says why.
func TestMalformedReply(t *testing.T) {
	p, s := session(t, patient(t))
	go func() {
		id := xid(p.expect(openflow.TypeMultipartRequest))
		p.send(openflow.AppendBarrierReply(nil, id)) // of another type
	}()
	if _, err := s.Ports(deadline(t)); !errors.Is(err, openflow.ErrMalformed) {
		t.Errorf("Ports says %v, want malformed", err)
	}
	ended(t, s, "malformed")
}

func TestLateReplyIsPassedOver(t *testing.T) {
	p, s := session(t, patient(t))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		request := p.expect(openflow.TypeMultipartRequest)
		cancel()
		p.send(openflow.AppendPortDescReply(nil, xid(request), nil, true))
		p.send(openflow.AppendPortDescReply(nil, xid(request), nil, false))
		p.send(openflow.AppendPortDescReply(nil, xid(p.expect(openflow.TypeMultipartRequest)), make([]openflow.Port, 2), false))
	}()
	if _, err := s.Ports(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("first call: %v", err)
	}
	if ports, err := s.Ports(deadline(t)); err != nil || len(ports) != 2 {
		t.Errorf("second call: %v, %v", ports, err)
	}
}

// A panic of the caller's function ends its session alone.
func TestPanicEndsOneSession(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan *datapath.Switch)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() {
		served <- datapath.Serve(ctx, l, patient(t), func(ctx context.Context, s *datapath.Switch) {
			if s.DatapathID() == 1 {
				panic("the first switch")
			}
			second <- s
			<-ctx.Done()
		})
	}()
	for id := range uint64(2) {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		p := &peer{conn, t}
		p.handshake(id + 1)
		if id == 0 {
			p.expectClosed()
		}
	}
	if s := <-second; s.Err() != nil {
		t.Errorf("the second session: %v", s.Err())
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	server, client := certificates(t)
	o := patient(t)
	o.TLS = server
	c, dial := listen(t, o)
	conn := tls.Client(dial().Conn, client)
	p := &peer{conn, t}
	p.handshake(0xa2)
	s := c.next(t)
	go func() {
		p.send(openflow.AppendPortDescReply(nil, xid(p.expect(openflow.TypeMultipartRequest)), nil, false))
	}()
	if _, err := s.Ports(deadline(t)); err != nil {
		t.Error(err)
	}

	plain := dial() // without TLS, and with TLS but no certificate, there is no session
	plain.Write(openflow.AppendHello(nil, 1))
	plain.expectClosed()
	stranger := &peer{tls.Client(dial().Conn, &tls.Config{RootCAs: client.RootCAs, ServerName: client.ServerName}), t}
	stranger.Write(openflow.AppendHello(nil, 1))
	stranger.expectClosed()
	if len(c.sessions) != 0 {
		t.Error("a peer without a certificate became a session")
	}
}
