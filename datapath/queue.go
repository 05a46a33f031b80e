package datapath

import (
	"context"
	"errors"
	"net"
	"sync"
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
		q.mu.Lock()
		if q.closed != nil || len(q.pending) < q.limit {
			defer q.mu.Unlock()
			return q.append(encode)
		}
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tryPut is put where there is room, and false where there is none.
func (q *queue) tryPut(encode func(b []byte) []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pending) < q.limit && q.append(encode) == nil
}

// putReply is put for the reader: it never waits.
func (q *queue) putReply(encode func(b []byte) []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) > q.limit+replyRoom {
		return errNotReading
	}
	return q.append(encode)
}

// append is called with the lock held.
func (q *queue) append(encode func(b []byte) []byte) error {
	if q.closed != nil {
		return q.closed
	}
	q.pending = encode(q.pending)
	select {
	case q.filled <- struct{}{}:
	default:
	}
	return nil
}

// take exchanges the pending bytes for an empty buffer, and makes room.
func (q *queue) take(empty []byte) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	full := q.pending
	q.pending = empty
	close(q.room)
	q.room = make(chan struct{})
	return full
}

func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pending) == 0
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

// writeTo writes until done is closed or a write fails.
func (q *queue) writeTo(c net.Conn, timeout time.Duration, done <-chan struct{}) error {
	var spare []byte
	for {
		select {
		case <-q.filled:
		case <-done:
			return nil
		}
		full := q.take(spare)
		if err := writeChunks(c, full, timeout); err != nil {
			return err
		}
		spare = full[:0]
		if cap(full) > 2*chunk && q.idle() {
			spare = nil // thousands of idle sessions keep no large buffers
		}
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
	return nil
}
