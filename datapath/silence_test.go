package datapath_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"sluice/datapath"
	"sluice/datapath/openflow"
)

// These tests play a far end that says nothing, takes nothing or does not answer.

func TestEcho(t *testing.T) {
	p, s := session(t, datapath.Options{Log: testLog(t), EchoInterval: 10 * time.Millisecond, AckTime: 10 * time.Millisecond, Patience: patience, Timeout: patience})
	for range 3 { // as long as it answers, the session stays
		p.send(openflow.AppendEchoReply(nil, xid(p.expect(openflow.TypeEchoRequest)), nil))
	}
	p.expect(openflow.TypeEchoRequest)
	p.send(openflow.AppendEchoRequest(nil, 77, []byte("are you there")))
	for {
		b, err := p.receive()
		if err != nil {
			t.Fatal(err)
		}
		if openflow.Type(b[1]) == openflow.TypeEchoReply {
			check(t, "echo reply", string(openflow.AppendEchoReply(nil, 77, []byte("are you there"))), string(b))
			break
		}
	}
	if s.Err() != nil {
		t.Errorf("the session ended: %v", s.Err())
	}
}

// A peer that is gone without a word answers no echo.
func TestHalfOpenPeer(t *testing.T) {
	p, s := session(t, brisk(t))
	p.expect(openflow.TypeEchoRequest)
	ended(t, s, "no answer to an echo request")
}

// A peer that asks for echoes and takes no reply gets no unbounded queue.
func TestPeerThatDoesNotRead(t *testing.T) {
	o := patient(t)
	o.QueueBytes = 1 << 10
	p, s := session(t, o)
	request := openflow.AppendEchoRequest(nil, 1, make([]byte, 60_000))
	go func() {
		for {
			if _, err := p.Write(request); err != nil {
				return
			}
		}
	}()
	ended(t, s, "reads no replies")
}

// A peer that answers echoes and not what it is asked holds up who asked, but not for ever.
func TestPeerThatDoesNotAnswer(t *testing.T) {
	p, s := session(t, brisk(t))
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				if _, err := p.Write(openflow.AppendEchoRequest(nil, 1, nil)); err != nil {
					return
				}
			}
		}
	}()
	go io.Copy(io.Discard, p)
	_, err := s.Ports(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no answer to a request") {
		t.Errorf("reading ports: %v", err)
	}
	ended(t, s, "no answer to a request")
}

// A caller that takes no flows is cut off; the session goes on.
func TestSlowCaller(t *testing.T) {
	o := patient(t)
	o.Timeout = 300 * time.Millisecond
	p, s := session(t, o)
	cutOff := make(chan error)
	release := make(chan struct{})
	go func() {
		cutOff <- s.Flows(deadline(t), nil, func(*openflow.FlowStats) bool { <-release; return true })
	}()
	request := p.expect(openflow.TypeMultipartRequest)
	part := openflow.AppendFlowStatsReply(nil, xid(request), true)
	part = openflow.EndMessage(openflow.AppendFlowStats(part, &openflow.FlowStats{}), 0)
	for range 50 {
		p.send(part)
	}
	go func() {
		p.send(openflow.AppendPortDescReply(nil, xid(p.expect(openflow.TypeMultipartRequest)), nil, false))
	}()
	if _, err := s.Ports(deadline(t)); err != nil {
		t.Fatalf("ports, behind a slow caller: %v", err)
	}
	close(release)
	if err := <-cutOff; err == nil || !strings.Contains(err.Error(), "not taken in time") {
		t.Errorf("the slow caller's dump says %v", err)
	}
}
