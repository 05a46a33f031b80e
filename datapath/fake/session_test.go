package fake_test

import (
	"io"
	"net"
	"testing"
	"time"

	"sluice/datapath/fake"
	"sluice/datapath/openflow"
)

// wire is a controller's end of a connection, by hand.
type wire struct {
	t *testing.T
	net.Conn
}

// dialled accepts a switch that dials a listener.
func dialled(t *testing.T, l net.Listener) wire {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return wire{t, conn}
}

// expect reads the next message, which must be of that type.
func (w wire) expect(want openflow.Type) []byte {
	w.t.Helper()
	b := make([]byte, openflow.HeaderLength)
	if _, err := io.ReadFull(w, b); err != nil {
		w.t.Fatalf("wait for a message of type %d: %v", want, err)
	}
	h, err := openflow.ParseHeader(b)
	if err != nil || h.Type != want {
		w.t.Fatalf("message of type %d (%v), want %d", h.Type, err, want)
	}
	b = append(b, make([]byte, int(h.Length)-len(b))...)
	if _, err := io.ReadFull(w, b[openflow.HeaderLength:]); err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w wire) say(message []byte) {
	w.t.Helper()
	if _, err := w.Write(message); err != nil {
		w.t.Fatal(err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// A controller that says nothing is asked for an echo, then given up and dialled anew.
func TestSilentController(t *testing.T) {
	l := listen(t)
	s := fake.New(1)
	s.Probe = 10 * time.Millisecond
	go s.Run(t.Context(), "tcp", l.Addr().String())
	for range 2 {
		w := dialled(t, l)
		w.expect(openflow.TypeHello)
		w.expect(openflow.TypeEchoRequest)
		if _, err := io.Copy(io.Discard, w); err != nil {
			t.Fatalf("the switch holds on: %v", err)
		}
	}
}

// What a session would never send is refused in the protocol's words, and ends nothing.
func TestRefusals(t *testing.T) {
	l := listen(t)
	s := fake.New(1)
	go s.Run(t.Context(), "tcp", l.Addr().String())
	w := dialled(t, l)
	w.expect(openflow.TypeHello)
	w.say(openflow.AppendHello(nil, 1))
	for _, c := range []struct {
		name       string
		message    []byte
		kind, code uint16
	}{
		{"a type that is a switch's own", openflow.AppendBarrierReply(nil, 1), 1, 1},
		{"a flow mod cut short", []byte{4, 14, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, 1, 6},
		{"statistics of queues", []byte{4, 18, 0, 16, 0, 0, 0, 1, 0, 5, 0, 0, 0, 0, 0, 0}, 1, 2},
		{"an unknown extension", []byte{4, 4, 0, 16, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1}, 1, 4},
		{"role 7", openflow.AppendRoleRequest(nil, 1, 7, 0), 11, 2},
		{"the commit of no bundle", openflow.AppendBundleControl(nil, 1, openflow.BundleControl{Bundle: 9, Step: openflow.BundleCommit}), 0xffff, 2302},
	} {
		w.say(c.message)
		e, err := openflow.DecodeError(w.expect(openflow.TypeError))
		if err != nil || e.Type != c.kind || e.Code != c.code {
			t.Errorf("%s: %v, %v; want type %d, code %d", c.name, e, err, c.kind, c.code)
		}
	}
	w.say(openflow.AppendBarrierRequest(nil, 2))
	w.expect(openflow.TypeBarrierReply)
	if n := s.Counts().Refused; n != 6 {
		t.Errorf("%d refusals counted, want 6", n)
	}
}
