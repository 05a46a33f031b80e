package datapath

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What the kernel tells of a connection, and whether its peer is held to be cut off after a second.
func TestUnacknowledged(t *testing.T) {
	for _, c := range []struct {
		name string
		info unix.TCPInfo
		want bool
	}{
		{"all is acknowledged", unix.TCPInfo{Snd_wnd: 1, Last_ack_recv: 5000}, false},
		{"under way for long", unix.TCPInfo{Snd_wnd: 1, Unacked: 1, Last_ack_recv: 1000}, true},
		{"under way", unix.TCPInfo{Snd_wnd: 1, Unacked: 1, Last_ack_recv: 999}, false},
		{"not even sent", unix.TCPInfo{Snd_wnd: 1, Notsent_bytes: 1, Last_ack_recv: 1000}, true},
		{"the peer does not read", unix.TCPInfo{Notsent_bytes: 1, Last_ack_recv: 5000}, false},
	} {
		if got := unacknowledged(&c.info, time.Second); got != c.want {
			t.Errorf("%s: cut off: %v", c.name, got)
		}
	}
}
