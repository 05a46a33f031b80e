package datapath

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// chunk is how much is written under one write deadline: a peer that takes less than this
// per Options.Timeout is stalled.
const chunk = 32 << 10

// replyRoom is how far answers to echo requests may exceed a full queue. The reader sends
// them, and it never waits: a peer that fills even this does not read what it asks for.
const replyRoom = 128 << 10

var errNotReading = errors.New("peer sends echo requests and reads no replies")

// queue holds encoded messages on their way to one switch, bounded in bytes.
type queue struct {
	limit int

	mu      sync.Mutex
	pending []byte
	writing bool // the writer has taken what is not written yet
	closed  error
	room    chan struct{} // closed and replaced when the writer took what was pending

	filled chan struct{} // wakes the writer
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, room: make(chan struct{}), filled: make(chan struct{}, 1)}
}

// put appends what encode appends. It waits while the queue is full.
func (q *queue) put(ctx context.Context, encode func(b []byte) []byte) error {
	for {
		full, err := q.putOrRoom(encode)
		if full == nil {
			return err
		}
		select {
		case <-full:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// putOrRoom appends, or returns what tells that there is room again.
func (q *queue) putOrRoom(encode func(b []byte) []byte) (room <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed == nil && len(q.pending) >= q.limit {
		return q.room, nil
	}
	return nil, q.append(encode)
}

// tryPut is put where there is room, and false where there is none.
func (q *queue) tryPut(encode func(b []byte) []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pending) < q.limit && q.append(encode) == nil
}

// putReply is put for the reader: it never waits. Where nothing else is on its way, now may
// write the message; it returns how much of it the socket took at once. To wake the writer for
// each echo is most of what an idle session costs.
func (q *queue) putReply(encode func(b []byte) []byte, now func(b []byte) int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed == nil && len(q.pending) == 0 && !q.writing:
		return q.putRest(encode(q.pending), now)
	case len(q.pending) > q.limit+replyRoom:
		return errNotReading
	}
	return q.append(encode)
}

// putRest leaves to the writer what now does not write. It is called with the lock held, of an
// empty queue.
func (q *queue) putRest(message []byte, now func(b []byte) int) error {
	written := now(message)
	q.pending = message[:0]
	if written == len(message) {
		return nil
	}
	return q.append(func(b []byte) []byte { return append(b, message[written:]...) })
}

// append is called with the lock held.
func (q *queue) append(encode func(b []byte) []byte) error {
	if q.closed != nil {
		return q.closed
	}
	if len(q.pending) > chunk && cap(q.pending) < q.limit+chunk {
		q.pending = slices.Grow(q.pending, q.limit+chunk-len(q.pending)) // at once, not little by little
	}
	q.pending = encode(q.pending)
	select {
	case q.filled <- struct{}{}:
	default:
	}
	return nil
}

// take exchanges the pending bytes for an empty buffer, and makes room. Until written is called
// nobody else writes.
func (q *queue) take(empty []byte) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	full := q.pending
	q.pending, q.writing = empty, true
	close(q.room)
	q.room = make(chan struct{})
	return full
}

func (q *queue) written() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = false
}

// close makes every put fail with that reason, also those that wait.
func (q *queue) close(reason error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed == nil {
		q.closed = reason
		close(q.room)
		q.room = make(chan struct{})
	}
}

// lull is how long a session writes nothing before its large buffers are let go: thousands of
// idle sessions keep none, and a busy one does not make them again and again.
const lull = time.Second

// shrink lets the buffer of an empty queue go.
func (q *queue) shrink() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) == 0 {
		q.pending = nil
	}
}

// writeTo writes until done is closed or a write fails.
func (q *queue) writeTo(c net.Conn, timeout time.Duration, done <-chan struct{}) error {
	var spare []byte
	var lulled <-chan time.Time // nil while there is nothing to let go
	for {
		select {
		case <-q.filled:
		case <-lulled:
			q.shrink()
			spare, lulled = nil, nil
			continue
		case <-done:
			return nil
		}
		full := q.take(spare)
		if err := writeChunks(c, full, timeout); err != nil {
			return err
		}
		q.written()
		if lulled = nil; cap(full) > 2*chunk || cap(spare) > 2*chunk {
			lulled = time.After(lull)
		}
		spare = full[:0]
	}
}

func writeChunks(c net.Conn, b []byte, timeout time.Duration) error {
	for len(b) > 0 {
		n := min(len(b), chunk)
		if err := c.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		if _, err := c.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return c.SetWriteDeadline(time.Time{}) // else nothing could be written later without another
}

// writeNow writes what the socket of c takes at once, and returns how much that was. A failure
// is left to the writer, which will meet it too.
func writeNow(c net.Conn, b []byte) (written int) {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return 0 // TLS has its own idea of what to write
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Write(func(fd uintptr) (done bool) {
		written, _ = syscall.Write(int(fd), b)
		return true
	})
	return max(written, 0)
}
