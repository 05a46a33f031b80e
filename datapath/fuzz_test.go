package datapath_test

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/datapath"
	"sluice/datapath/openflow"
)

// lastConn is a listener of one connection, which fails once that is closed.
type lastConn struct {
	net.Conn
	accepted bool
	once     sync.Once
	closed   chan struct{}
}

func (l *lastConn) Accept() (net.Conn, error) {
	if !l.accepted {
		l.accepted = true
		return &watchedConn{l.Conn, l}, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}
func (l *lastConn) Close() error   { return nil }
func (l *lastConn) Addr() net.Addr { return l.LocalAddr() }

// watchedConn tells its listener when the session closes it.
type watchedConn struct {
	net.Conn
	l *lastConn
}

func (c *watchedConn) Close() error {
	c.l.once.Do(func() { close(c.l.closed) })
	return c.Conn.Close()
}

// transcript is all that a well-behaved switch might say to the calls below, with the
// transaction ids that they get.
func transcript() [][]byte {
	flow := openflow.FlowStats{Flow: openflow.Flow{Priority: 7, Cookie: 9, Actions: []openflow.Action{openflow.GotoTable{Table: 5}}}}
	dump := openflow.AppendFlowStatsReply(nil, 2, false)
	dump = openflow.EndMessage(openflow.AppendFlowStats(dump, &flow), 0)
	request := openflow.AppendFlowMod(nil, 4, openflow.Add, &flow.Flow)
	return [][]byte{
		openflow.AppendEchoRequest(nil, 1, []byte("echo")),
		openflow.AppendPortDescReply(nil, 1, []openflow.Port{{Number: 1, Name: "sl-a"}}, false),
		dump,
		openflow.AppendRoleReply(nil, 3, openflow.RoleMaster, 5),
		openflow.AppendError(nil, &openflow.Error{Type: openflow.ErrorBadMatch, Code: 9}, request),
		openflow.AppendError(nil, &openflow.Error{Type: openflow.ErrorBadRequest, Code: 10}, request),
		openflow.AppendBarrierReply(nil, 6),
		openflow.AppendBundleControl(nil, 7, openflow.BundleControl{Bundle: 1, Step: openflow.BundleCommitted}),
		openflow.AppendBarrierReply(nil, 8),
		openflow.AppendPortStatus(nil, 0, openflow.PortStatus{Port: openflow.Port{Number: 1, Name: "sl-a"}}),
		openflow.AppendFlowRemoved(nil, 0, &openflow.FlowRemoved{FlowStats: flow}),
		openflow.AppendRoleStatus(nil, 0, openflow.RoleStatus{Role: openflow.RoleSlave, Generation: 6}),
		{4, byte(openflow.TypePacketIn), 0, 32, 0, 0, 0, 0, 23: 0, 31: 0},
	}
}

// hostile plays one session in which the peer says exactly these bytes, after a handshake
// or instead of one, and hangs up. It returns why the session ended, or nil where it did not
// come to one, and only when every goroutine of the session has ended.
func hostile(t *testing.T, handshake bool, says []byte) (reason error) {
	ours, theirs := net.Pipe()
	l := &lastConn{Conn: ours, closed: make(chan struct{})}
	o := datapath.Options{Log: slog.New(slog.DiscardHandler), EchoInterval: patience, Patience: patience, Timeout: patience}
	go io.Copy(io.Discard, theirs)
	go func() {
		defer theirs.Close()
		if handshake {
			theirs.Write(openflow.AppendHello(nil, 1))
			theirs.Write(openflow.AppendFeaturesReply(nil, 1, openflow.Features{DatapathID: 1}))
		}
		theirs.Write(says)
	}()
	served := make(chan struct{})
	go func() {
		defer close(served)
		datapath.Serve(t.Context(), l, o, func(ctx context.Context, s *datapath.Switch) {
			callAll(ctx, s)
			reason = s.Err()
		})
	}()
	select {
	case <-served:
	case <-time.After(patience):
		t.Fatal("the session does not end")
	}
	return reason
}

// callAll makes each sort of call, none of which may outlast the session. They start one
// after the other, so that their transaction ids are mostly those of transcript.
func callAll(ctx context.Context, s *datapath.Switch) {
	var calls sync.WaitGroup
	for _, call := range []func(){
		func() { s.Ports(ctx) },
		func() { s.Flows(ctx, nil, func(f *openflow.FlowStats) bool { return f.String() != "" }) },
		func() { s.Become(ctx, datapath.RoleMaster, 5) },
		func() { s.Commit(ctx, &datapath.Bundle{Mods: make([]datapath.Mod, 1)}) },
		func() { s.Apply(ctx, make([]datapath.Mod, 3)) },
	} {
		calls.Go(call)
		runtime.Gosched()
	}
	for range s.Events() { // until the session ends
	}
	calls.Wait()
}

// FuzzSession: whatever a peer says, its session ends with an error and nothing panics.
func FuzzSession(f *testing.F) {
	var all []byte
	for _, message := range transcript() {
		f.Add(true, message)
		f.Add(true, append(message[:len(message):len(message)], message[:len(message)-1]...))
		f.Add(false, message)
		all = append(all, message...)
	}
	f.Add(true, all)
	f.Add(false, append(openflow.AppendHello(nil, 1), all...))
	f.Fuzz(func(t *testing.T, handshake bool, says []byte) {
		err := hostile(t, handshake, says)
		if handshake && err == nil {
			t.Error("the session has no reason for its end")
		}
		if err != nil && strings.Contains(err.Error(), "panic") {
			t.Errorf("the session ended with %v", err)
		}
	})
}

// A transcript with random bytes changed: nearer to what a session expects than bytes that a
// fuzzer makes up.
func TestMutatedTranscripts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	before := runtime.NumGoroutine()
	for range 2000 {
		var says []byte
		for _, n := range random.Perm(len(transcript())) {
			says = append(says, transcript()[n]...)
		}
		for range random.IntN(4) {
			says[random.IntN(len(says))] = byte(random.Uint32())
		}
		err := hostile(t, true, says)
		if err == nil || strings.Contains(err.Error(), "panic") {
			t.Fatalf("the session ended with %v after\n%x", err, says)
		}
	}
	awaitGoroutines(t, before)
}
