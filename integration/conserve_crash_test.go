package integration

import (
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
)

// datagrams are sent from one container to another, a steady stream.
type datagrams struct {
	sent, came atomic.Int64
	stop, over chan struct{}
}

// streaming begins one.
func streaming(t *testing.T, from, to lab.Container) *datagrams {
	t.Helper()
	var socket net.PacketConn
	if err := lab.InNamespace(to.NetNS, func() (err error) {
		socket, err = net.ListenPacket("udp", netip.AddrPortFrom(ipOf(to), 0).String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	conn, err := lab.DialIn(t.Context(), from.NetNS, "udp", socket.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	d := &datagrams{stop: make(chan struct{}), over: make(chan struct{})}
	go d.send(conn)
	go d.count(socket)
	t.Cleanup(func() { d.end() })
	return d
}

func (d *datagrams) send(conn net.Conn) {
	defer close(d.over)
	defer conn.Close()
	for {
		select {
		case <-d.stop:
			return
		case <-time.After(2 * time.Millisecond):
		}
		if _, err := conn.Write(make([]byte, 500)); err == nil { // it fails while nobody answers for the neighbour
			d.sent.Add(1)
		}
	}
}

func (d *datagrams) count(socket net.PacketConn) {
	b := make([]byte, 2048)
	for {
		if _, _, err := socket.ReadFrom(b); err != nil {
			return
		}
		d.came.Add(1)
	}
}

// end ends it and says how many were sent.
func (d *datagrams) end() int64 {
	select {
	case <-d.stop:
	default:
		close(d.stop)
	}
	<-d.over
	return d.sent.Load()
}

// A switch that is killed under traffic takes with it what was sent since its counters were last read, and nothing of what
// was shown before; what is sent once it is back counts as ever.
func TestACrashLosesOneReading(t *testing.T) {
	w := newConservation(t)
	a, b := pair(t, "crashed")
	of := &conserved{name: "crashed", alive: []lab.Container{a, b}, copies: true, number: answer[client.Tenant](t, "tenant", "show", "crashed").Number}
	w.tenants, w.made = append(w.tenants, of), 2
	w.balanced("all is counted before it begins")
	base := of.was
	counted := func(direction string) int64 {
		return toldOf(t, w.st, of.name).inside(direction).packets - base.inside(direction).packets
	}
	shows := func(direction string, least int64) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d packets are counted %s", least, direction), func() error {
			if n := counted(direction); n < least {
				return fmt.Errorf("%d are", n)
			}
			return nil
		})
	}
	flow := streaming(t, a, b)
	shows("out", 200)
	read := flow.sent.Load()
	shows("out", read)
	shows("in", read)
	before := map[string]int64{"out": counted("out"), "in": counted("in")}
	sluice(t, "lab", "kill", "switch/"+a.Host)
	killed := flow.sent.Load()
	sluice(t, "lab", "up")
	came := flow.came.Load()
	shows("in", before["in"]) // the master of the host counts again
	eventually(t, "traffic flows again", func() error {
		if flow.came.Load() <= came+10 {
			return fmt.Errorf("%d came", flow.came.Load())
		}
		return nil
	})
	back := flow.sent.Load()
	for direction, was := range before {
		if is := counted(direction); is < was {
			t.Errorf("%d packets were counted %s, and after the crash %d", was, direction, is)
		}
	}
	eventually(t, "some more come", func() error {
		if n := flow.sent.Load() - back; n < 500 {
			return fmt.Errorf("%d were sent", n)
		}
		return nil
	})
	all := flow.end()
	w.settle()
	shows("out", read+all-back)
	shows("in", flow.came.Load()) // its switch did not crash
	t.Logf("of %d packets %d were sent before a reading, %d before the kill, %d before the switch was back; counted %d out, %d in; %d came",
		all, read, killed, back, counted("out"), counted("in"), flow.came.Load())
	if out, in := counted("out"), counted("in"); out > all || in > all {
		t.Errorf("%d packets were sent; counted %d out, %d in", all, out, in)
	}
}
