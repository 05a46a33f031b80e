package hostagent

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
)

const (
	// wayOutInterval is between two pings of the address outside.
	wayOutInterval = 200 * time.Millisecond
	// cutAfter is how many pings without an answer say that the way out is cut: a second.
	cutAfter = 5
	// openAfter is how many answers in a row say that it is open again: three seconds, so that one that comes and goes is cut.
	openAfter = 15
)

// wayOut asks an address outside whether a gateway host's uplink leads there. The nil wayOut asks nobody: nothing is cut.
type wayOut struct {
	target   netip.Addr
	problems *problems
	changed  func()

	mu    sync.Mutex
	pulse pulse
}

// pulse judges by pings that are answered or not. The zero pulse takes the way out for open.
type pulse struct {
	cut        bool
	unanswered int // pings since the last answer
	answers    int // in a row, since it was cut
}

// sent notes a ping, and reports whether the way out is cut since now.
func (p *pulse) sent() bool {
	p.unanswered++
	if p.unanswered > cutAfter {
		p.answers = 0
		if !p.cut {
			p.cut = true
			return true
		}
	}
	return false
}

// answered notes an answer, and reports whether the way out is open again since now.
func (p *pulse) answered() bool {
	p.unanswered = 0
	if !p.cut {
		return false
	}
	p.answers++
	if p.answers < openAfter {
		return false
	}
	*p = pulse{}
	return true
}

// newWayOut asks an address, on a gateway host; nil: there is none to ask.
func newWayOut(o Options, p *problems, changed func()) *wayOut {
	if !o.Gateway || !o.ProbeOutside.IsValid() {
		return nil
	}
	return &wayOut{target: o.ProbeOutside, problems: p, changed: changed}
}

// isCut reports whether the way out is cut.
func (w *wayOut) isCut() bool {
	if w == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pulse.cut
}

// run asks until ctx ends.
func (w *wayOut) run(ctx context.Context) {
	if w == nil {
		return
	}
	for ctx.Err() == nil {
		conn, err := icmp.ListenPacket("ip4:icmp", "0.0.0.0")
		if err != nil {
			w.problems.report("probe outside", fmt.Errorf("ping %s: %w", w.target, err))
			pause(ctx, retryInterval)
			continue
		}
		w.problems.report("probe outside", nil)
		w.ask(ctx, conn)
	}
}

// ask pings until ctx ends or the socket fails.
func (w *wayOut) ask(ctx context.Context, conn *icmp.PacketConn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		defer cancel()
		w.hear(conn)
	}()
	defer func() { conn.Close(); <-heard }()
	tick := time.NewTicker(wayOutInterval)
	defer tick.Stop()
	for seq := 0; ; seq++ {
		_ = w.ping(conn, seq) // one that cannot be sent has no answer
		w.note((*pulse).sent)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w *wayOut) ping(conn *icmp.PacketConn, seq int) error {
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: ownEcho(), Seq: seq & 0xffff, Data: []byte("sluice")}}
	b, err := m.Marshal(nil)
	if err != nil {
		return err
	}
	_, err = conn.WriteTo(b, &net.IPAddr{IP: w.target.AsSlice()})
	return err
}

// ownEcho is the identifier of this process's pings.
func ownEcho() int { return os.Getpid() & 0xffff }

// hear takes answers until the socket is closed.
func (w *wayOut) hear(conn *icmp.PacketConn) {
	for b := make([]byte, 1500); ; {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		if w.answers(b[:n], from) {
			w.note((*pulse).answered)
		}
	}
}

// answers reports whether a message is an answer to one of our pings.
func (w *wayOut) answers(b []byte, from net.Addr) bool {
	m, err := icmp.ParseMessage(1, b) // of ICMP for IPv4
	if err != nil || m.Type != ipv4.ICMPTypeEchoReply || from.String() != w.target.String() {
		return false
	}
	echo, ok := m.Body.(*icmp.Echo)
	return ok && echo.ID == ownEcho()
}

// note takes notice of a ping or an answer, and tells where that changes anything.
func (w *wayOut) note(what func(*pulse) bool) {
	w.mu.Lock()
	changed := what(&w.pulse)
	cut := w.pulse.cut
	w.mu.Unlock()
	if !changed {
		return
	}
	var problem error
	if cut {
		problem = fmt.Errorf("%s does not answer pings by this host's uplink: look at the uplink, or name another address with --probe-outside", w.target)
	}
	w.problems.report(wayOutProblem, problem)
	w.changed()
}

// wayOutProblem is under which name a way out that is cut is a problem of the host.
const wayOutProblem = "way out"
