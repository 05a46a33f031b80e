package datapath

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"sluice/datapath/openflow"
)

// awaitMessage waits for a header. A silent switch is asked for an echo; whatever it says
// next counts as a sign of life (OpenFlow 1.3, 6.3.3). A switch that is busy answers nothing
// for seconds, though its machine takes what is sent to it; a machine that was cut off
// takes nothing. So the first has as long as Options.Patience, and the second only Options.AckTime.
func (s *Switch) awaitMessage() error {
	if s.in.Buffered() >= openflow.HeaderLength {
		return nil
	}
	err := s.peek(s.o.EchoInterval)
	for silent := s.o.EchoInterval; errors.Is(err, os.ErrDeadlineExceeded); silent += s.o.AckTime {
		if silent >= s.o.Patience {
			return fmt.Errorf("no answer to an echo request within %v", s.o.Patience-s.o.EchoInterval)
		}
		if err := s.askEcho(); err != nil {
			return err
		}
		err = s.peek(s.o.AckTime)
		if errors.Is(err, os.ErrDeadlineExceeded) && s.cutOff() {
			return fmt.Errorf("the switch's machine took nothing that was sent to it within %v: the way to it is cut, or it is gone", s.o.AckTime)
		}
	}
	return err
}

func (s *Switch) peek(patience time.Duration) error {
	if err := s.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := s.in.Peek(openflow.HeaderLength); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

func (s *Switch) askEcho() error {
	return s.reply(func(b []byte) []byte { return openflow.AppendEchoRequest(b, 0, nil) })
}

// cutOff reports whether the peer's machine has acknowledged nothing within AckTime, though
// something waits to be. It is false where that cannot be known: only TCP tells.
func (s *Switch) cutOff() bool {
	conn := s.conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	socket, ok := conn.(*net.TCPConn)
	if !ok {
		return false
	}
	info, err := tcpInfo(socket)
	return err == nil && unacknowledged(info, s.o.AckTime)
}

func tcpInfo(c *net.TCPConn) (info *unix.TCPInfo, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	failed := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	return info, errors.Join(failed, err)
}

// unacknowledged reports whether a peer that has room for what is sent acknowledged none of it for
// so long. One whose window is closed does not read, which is for the writer to judge: the kernel asks
// such a peer again at intervals that grow, so that it may be long since it last answered.
func unacknowledged(info *unix.TCPInfo, long time.Duration) bool {
	waits := info.Unacked > 0 || info.Notsent_bytes > 0
	return waits && info.Snd_wnd > 0 && time.Duration(info.Last_ack_recv)*time.Millisecond >= long
}
