package datapath

import (
	"context"
	"testing"
)

// A reply is written at once only where nothing else is on its way, and what the socket does
// not take is left to the writer: the bytes stay in order.
func TestReplyKeepsOrder(t *testing.T) {
	text := func(s string) func([]byte) []byte { return func(b []byte) []byte { return append(b, s...) } }
	for _, takes := range []int{0, 1, 4, 5} {
		q := newQueue(100)
		var sent []byte
		now := func(b []byte) int {
			n := min(takes, len(b))
			sent = append(sent, b[:n]...)
			return n
		}
		writer := func() { sent = append(sent, q.take(nil)...) }
		steps := []func() error{
			func() error { return q.putReply(text("echo1"), now) },
			func() error { return q.putReply(text("echo2"), now) },
			func() error { writer(); return nil }, // it has taken all, and is still writing
			func() error { return q.putReply(text("echo3"), now) },
			func() error { q.written(); return nil },
			func() error { return q.put(context.Background(), text("mod")) },
			func() error { return q.putReply(text("echo4"), now) },
			func() error { writer(); q.written(); return nil },
			func() error { return q.putReply(text("echo5"), now) },
			func() error { writer(); return nil },
		}
		for i, step := range steps {
			if err := step(); err != nil {
				t.Fatalf("the socket takes %d: step %d: %v", takes, i, err)
			}
		}
		if want := "echo1echo2echo3modecho4echo5"; string(sent) != want {
			t.Errorf("the socket takes %d: sent %q, want %q", takes, sent, want)
		}
	}
}
