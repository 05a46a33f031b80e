package datapath_test

import (
	"bufio"
	"context"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"sluice/datapath"
	"sluice/datapath/openflow"
)

// agreeable answers what a session asks for, and keeps nothing: a switch that costs little.
func agreeable(conn net.Conn, id uint64) {
	defer conn.Close()
	conn.Write(openflow.AppendHello(nil, 1))
	in := bufio.NewReaderSize(conn, 1<<16)
	for {
		b, err := in.Peek(openflow.HeaderLength)
		if err != nil {
			return
		}
		h, err := openflow.ParseHeader(b)
		if err != nil {
			return
		}
		message, err := in.Peek(int(h.Length))
		if err != nil {
			return
		}
		if reply := answer(message, id); reply != nil {
			conn.Write(reply)
		}
		in.Discard(len(message))
	}
}

func answer(message []byte, id uint64) []byte {
	h, err := openflow.ParseHeader(message)
	if err != nil {
		return nil
	}
	switch h.Type {
	case openflow.TypeFeaturesRequest:
		return openflow.AppendFeaturesReply(nil, h.XID, openflow.Features{DatapathID: id})
	case openflow.TypeEchoRequest:
		return openflow.AppendEchoReply(nil, h.XID, nil)
	case openflow.TypeBarrierRequest:
		return openflow.AppendBarrierReply(nil, h.XID)
	case openflow.TypeMultipartRequest:
		return openflow.AppendPortDescReply(nil, h.XID, []openflow.Port{{Number: uint32(id)}}, false)
	case openflow.TypeExperimenter:
		if kind, err := openflow.DecodeExperimenter(message); err != nil || kind != openflow.ExperimenterBundleControl {
			return nil
		}
		c, err := openflow.DecodeBundleControl(message)
		if err != nil {
			return nil
		}
		c.Step++ // each step's reply follows it
		return openflow.AppendBundleControl(nil, h.XID, c)
	}
	return nil
}

// A thousand switches at once: each gets its own answers, on three goroutines, of which one
// is the caller's, and none is left at the end.
func TestThousandSwitches(t *testing.T) {
	const switches = 1000
	before := runtime.NumGoroutine()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var ready, peers sync.WaitGroup
	ready.Add(switches)
	served := make(chan error)
	go func() {
		served <- datapath.Serve(ctx, l, patient(nil), func(ctx context.Context, s *datapath.Switch) {
			if ports, err := s.Ports(ctx); err != nil || uint64(ports[0].Number) != s.DatapathID() {
				t.Errorf("switch %d: ports %v, %v", s.DatapathID(), ports, err)
			}
			if err := s.Commit(ctx, &datapath.Bundle{Mods: make([]datapath.Mod, 10)}); err != nil {
				t.Error(err)
			}
			ready.Done()
			<-ctx.Done()
		})
	}()
	for id := range uint64(switches) {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		peers.Go(func() { agreeable(conn, id+1) })
	}
	ready.Wait()
	// A goroutine for each peer here; three for each session, and Serve with its own.
	if now := runtime.NumGoroutine(); now > before+4*switches+10 {
		t.Errorf("%d goroutines with %d switches, %d before", now, switches, before)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	peers.Wait()
	awaitGoroutines(t, before)
}

// awaitGoroutines waits until no more goroutines run than before.
func awaitGoroutines(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// BenchmarkCommit is the cost on our side alone: the peer throws away what it reads.
func BenchmarkCommit(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	go agreeable(conn, 1)
	mods := make([]datapath.Mod, 10_000)
	for n := range mods {
		mods[n].Flow = openflow.Flow{
			Table: 1, Priority: 10, Cookie: uint64(n),
			Match:   openflow.NewMatch(openflow.Is(openflow.FieldMetadata, uint64(n))),
			Actions: []openflow.Action{openflow.Output{Port: 1}},
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	datapath.Serve(ctx, l, datapath.Options{}, func(ctx context.Context, s *datapath.Switch) {
		defer cancel()
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Commit(ctx, &datapath.Bundle{Mods: mods}); err != nil {
				b.Error(err)
				return
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(mods)), "ns/flow")
	})
}
